#include "scvi/core/settings.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <thread>

#include "processors.hpp"

namespace scvi {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Version 2, file cpu.max: "150000 100000" or "max 100000".
double quota_v2(const std::string& folder) {
  std::istringstream text(text_of(folder + "/cpu.max"));
  double quota = 0, period = 0;
  return text >> quota >> period && quota > 0 && period > 0 ? quota / period : 0;
}

/// Version 1, two files; a quota of -1 means none.
double quota_v1(const std::string& folder) {
  std::istringstream quota_text(text_of(folder + "/cpu.cfs_quota_us"));
  std::istringstream period_text(text_of(folder + "/cpu.cfs_period_us"));
  double quota = 0, period = 0;
  return quota_text >> quota && period_text >> period && quota > 0 && period > 0 ? quota / period : 0;
}

double lesser_quota(double a, double b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

/// The least quota of `group` and its ancestors below `mount`. Within a container the path may name a folder that
/// only the host sees; its ancestor "/" is then the container's own group.
template <class Quota>
double least_quota(const std::string& mount, std::string group, Quota quota_of) {
  double least = 0;
  while (!group.empty()) {
    least = lesser_quota(least, quota_of(mount + group));
    group.erase(group.find_last_of('/') == std::string::npos ? 0 : group.find_last_of('/'));
  }
  return lesser_quota(least, quota_of(mount));
}

bool lists_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

int affinity_count() {
  for (int capacity = 1024; capacity <= (1 << 20); capacity *= 4) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(capacity),
                                                               [](cpu_set_t* p) { CPU_FREE(p); });
    const std::size_t bytes = CPU_ALLOC_SIZE(capacity);
    if (sched_getaffinity(0, bytes, set.get()) == 0) return CPU_COUNT_S(bytes, set.get());
    if (errno != EINVAL) break;
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

double cgroup_cpu_quota(const std::string& membership, const std::string& root) {
  double least = 0;
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      least = lesser_quota(least, least_quota(root, group, quota_v2));
    } else if (lists_cpu(controllers)) {
      least = lesser_quota(least, least_quota(root + "/" + controllers, group, quota_v1));
      least = lesser_quota(least, least_quota(root + "/cpu", group, quota_v1));
    }
  }
  return least;
}

Settings& settings() {
  static Settings the_settings;
  return the_settings;
}

int available_processors() {
  // A quota is set when a container starts; the mask may change while we run, and asking for it is cheap.
  static const double quota = cgroup_cpu_quota(text_of("/proc/self/cgroup"), "/sys/fs/cgroup");
  const int allowed = std::max(1, affinity_count());
  return quota > 0 ? std::clamp(static_cast<int>(std::ceil(std::min(quota, 1e6))), 1, allowed) : allowed;
}

int effective_threads() {
  const int wanted = settings().n_threads;
  return wanted > 0 ? wanted : available_processors();
}

}  // namespace scvi
