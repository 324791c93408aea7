#include "scvi/core/settings.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>

#include "../../src/core/processors.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

class SettingsGuard {
 public:
  ~SettingsGuard() { settings() = before_; }

 private:
  Settings before_ = settings();
};

TEST(Settings, DefaultToSeedZeroAndAllProcessors) {
  EXPECT_EQ(Settings().seed, 0u);
  EXPECT_EQ(Settings().n_threads, 0);
}

TEST(EffectiveThreads, IsWhatWasSetOrWhatThereIs) {
  const SettingsGuard guard;
  settings().n_threads = 3;
  EXPECT_EQ(effective_threads(), 3);
  settings().n_threads = 0;
  EXPECT_EQ(effective_threads(), available_processors());
  settings().n_threads = -5;
  EXPECT_EQ(effective_threads(), available_processors());
}

TEST(AvailableProcessors, FollowsTheAffinityMask) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_GE(available_processors(), 1);
  EXPECT_LE(available_processors(), CPU_COUNT(&before));
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(available_processors(), 1);
  sched_setaffinity(0, sizeof before, &before);
}

class CgroupQuota : public ::testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) {
    const std::filesystem::path full = folder_.path(path);
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  std::string root() const { return folder_.path(); }

 private:
  testing::TemporaryDirectory folder_;
};

TEST_F(CgroupQuota, IsZeroWithoutAnyLimit) {
  EXPECT_EQ(cgroup_cpu_quota("0::/\n", root()), 0);
  put("cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_cpu_quota("0::/\n", root()), 0);
  EXPECT_EQ(cgroup_cpu_quota("", root()), 0);
  EXPECT_EQ(cgroup_cpu_quota("nonsense", root()), 0);
}

TEST_F(CgroupQuota, ReadsVersionTwo) {
  put("job/cpu.max", "150000 100000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota("0::/job\n", root()), 1.5);
}

TEST_F(CgroupQuota, TakesTheLeastOfAllAncestors) {
  put("slurm/cpu.max", "200000 100000\n");
  put("slurm/job/cpu.max", "800000 100000\n");
  put("slurm/job/step/cpu.max", "max 100000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota("0::/slurm/job/step\n", root()), 2);
}

TEST_F(CgroupQuota, FallsBackToTheContainersOwnGroup) {
  put("cpu.max", "300000 100000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota("0::/docker/0123abcd\n", root()), 3);
}

TEST_F(CgroupQuota, ReadsVersionOne) {
  put("cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n");
  put("cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota("5:memory:/job\n4:cpu,cpuacct:/job\n", root()), 2.5);
  put("cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cgroup_cpu_quota("4:cpu,cpuacct:/job\n", root()), 0);
}

TEST_F(CgroupQuota, IgnoresTheCpusetController) {
  put("cpuset/job/cpu.cfs_quota_us", "100000\n");
  put("cpuset/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpu_quota("4:cpuset:/job\n", root()), 0);
}

}  // namespace
}  // namespace scvi
