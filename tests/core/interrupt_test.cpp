#include "scvi/core/interrupt.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

class Interrupt : public ::testing::Test {
 protected:
  void SetUp() override {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    set_interrupt(false);
  }
  void TearDown() override { set_interrupt(false); }
};

TEST_F(Interrupt, IsNotRequestedAtFirst) {
  EXPECT_FALSE(interrupt_requested());
  EXPECT_NO_THROW(throw_if_interrupted());
}

TEST_F(Interrupt, UnwindsAsInterruptedOnceRequested) {
  set_interrupt(true);
  EXPECT_TRUE(interrupt_requested());
  EXPECT_THROW(throw_if_interrupted(), Interrupted);
  set_interrupt(false);
  EXPECT_NO_THROW(throw_if_interrupted());
}

TEST_F(Interrupt, FirstSignalOnlyRaisesTheFlag) {
  const auto signalled_once = [](int signal_number) {
    catch_interrupts();
    std::raise(signal_number);
    std::exit(interrupt_requested() ? 7 : 1);
  };
  EXPECT_EXIT(signalled_once(SIGINT), ::testing::ExitedWithCode(7), "");
  EXPECT_EXIT(signalled_once(SIGTERM), ::testing::ExitedWithCode(7), "");
}

TEST_F(Interrupt, SecondSignalEndsTheProgram) {
  const auto signalled_twice = [](int first, int second) {
    catch_interrupts();
    std::raise(first);
    std::raise(second);
    std::exit(1);
  };
  EXPECT_EXIT(signalled_twice(SIGINT, SIGINT), ::testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(signalled_twice(SIGINT, SIGTERM), ::testing::KilledBySignal(SIGTERM), "");
}

TEST_F(Interrupt, LeavesAnIgnoredSignalIgnored) {
  const auto ignored = [] {
    std::signal(SIGINT, SIG_IGN);
    catch_interrupts();
    std::raise(SIGINT);
    std::exit(interrupt_requested() ? 1 : 7);
  };
  EXPECT_EXIT(ignored(), ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace scvi
