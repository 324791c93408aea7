#include "scvi/core/profile.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace scvi {
namespace {

class Profile : public ::testing::Test {
 protected:
  Profile() { reset_profile(); }
  ~Profile() override {
    set_profiling(false);
    reset_profile();
  }
};

TEST_F(Profile, CountsNothingUnlessAskedTo) {
  { const ProfileSection section("a"); }
  EXPECT_TRUE(profile_entries().empty());
  EXPECT_EQ(profile_seconds("a"), 0);
}

TEST_F(Profile, AddsUpCallsAndTimeByNameFromAnyThread) {
  set_profiling(true);
  {
    const ProfileSection outer("outer");
    for (int i = 0; i < 3; ++i) const ProfileSection inner("inner");
    std::thread([] { const ProfileSection inner("inner"); }).join();
  }
  const auto entries = profile_entries();
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].name, "inner");
  EXPECT_EQ(entries[0].calls, 4);
  EXPECT_EQ(entries[1].name, "outer");
  EXPECT_GE(entries[1].wall_seconds, entries[0].wall_seconds);
  EXPECT_GT(profile_seconds("outer"), 0);
  EXPECT_NE(profile_table(1).find("inner"), std::string::npos);
}

}  // namespace
}  // namespace scvi
