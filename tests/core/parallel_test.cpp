#include "scvi/core/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

/// Runs each test with several threads, whatever the machine has.
class Parallel : public ::testing::Test {
 protected:
  void SetUp() override { settings().n_threads = 4; }
  void TearDown() override { settings().n_threads = 0; }
};

using Range = std::pair<std::int64_t, std::int64_t>;

std::set<Range> ranges_of(std::int64_t n, std::int64_t chunk) {
  std::mutex mutex;
  std::multiset<Range> ranges;
  parallel_for(n, chunk, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    ranges.emplace(begin, end);
  });
  EXPECT_EQ(static_cast<std::int64_t>(ranges.size()), chunk_count(n, chunk));
  return {ranges.begin(), ranges.end()};
}

TEST_F(Parallel, CutsTheRangeTheSameWayForAnyThreadCount) {
  const std::set<Range> expected = {{0, 4}, {4, 8}, {8, 10}};
  for (const int threads : {1, 2, 4, 9}) {
    settings().n_threads = threads;
    EXPECT_EQ(ranges_of(10, 4), expected) << threads;
  }
}

TEST_F(Parallel, CutsIndependentItemsByTheNumberOfThreads) {
  EXPECT_EQ(chunk_of_independent(128, 32), 32);
  EXPECT_EQ(chunk_of_independent(400, 32), 128);
  EXPECT_EQ(chunk_of_independent(5, 32), 32);
  EXPECT_EQ(chunk_of_independent(0, 32), 32);
  EXPECT_EQ(chunk_of_independent(4000, 32, 500), 512) << "two for each of four threads";
  EXPECT_EQ(chunk_of_independent(100, 32, 500), 32);
  settings().n_threads = 1;
  EXPECT_EQ(chunk_of_independent(128, 32), 128);
  EXPECT_EQ(chunk_of_independent(129, 32), 160);
  EXPECT_EQ(chunk_of_independent(558, 32, 128), 128);
}

TEST_F(Parallel, CutsEvenlyForTwoThreads) {
  EXPECT_EQ(even_chunk(128, 29), 32) << "four of them";
  EXPECT_EQ(even_chunk(128, 1), 1);
  EXPECT_EQ(even_chunk(128, 100), 64);
  EXPECT_EQ(even_chunk(128, 200), 128) << "too few to share";
  EXPECT_EQ(even_chunk(7, 3), 4);
  EXPECT_EQ(even_chunk(0, 5), 1);
}

TEST_F(Parallel, HandlesEmptyAndSmallRanges) {
  EXPECT_TRUE(ranges_of(0, 8).empty());
  EXPECT_EQ(ranges_of(1, 8), (std::set<Range>{{0, 1}}));
  EXPECT_EQ(ranges_of(8, 8), (std::set<Range>{{0, 8}}));
  int calls = 0;
  parallel_for(-3, 8, [&](std::int64_t, std::int64_t) { ++calls; });
  EXPECT_EQ(calls, 0);
}

TEST_F(Parallel, VisitsEveryItemOnce) {
  std::vector<int> visits(100003);
  parallel_for(static_cast<std::int64_t>(visits.size()), 17, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++visits[i];
  });
  for (const int count : visits) ASSERT_EQ(count, 1);
}

TEST_F(Parallel, SumsInChunkSlotsHaveTheSameBitsForAnyThreadCount) {
  const auto sum = [] {
    std::vector<double> parts(chunk_count(50000, 64));
    parallel_for(50000, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) parts[begin / 64] += std::sin(static_cast<double>(i));
    });
    double total = 0;
    for (const double part : parts) total += part;
    return total;
  };
  settings().n_threads = 1;
  const double expected = sum();
  for (const int threads : {2, 3, 8}) {
    settings().n_threads = threads;
    EXPECT_EQ(sum(), expected) << threads;
  }
}

TEST_F(Parallel, ReallyUsesSeveralThreads) {
  // Two chunks that wait for each other end only when two threads run them.
  std::atomic<int> arrived{0};
  parallel_for(2, 1, [&](std::int64_t, std::int64_t) {
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
  EXPECT_EQ(arrived, 2);
}

TEST_F(Parallel, NeverUsesMoreThreadsThanSetEvenAfterMoreWereUsed) {
  ranges_of(1000, 1);
  settings().n_threads = 2;
  std::mutex mutex;
  std::set<std::thread::id> ids;
  parallel_for(2000, 1, [&](std::int64_t, std::int64_t) {
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  EXPECT_LE(ids.size(), 2u);
}

TEST_F(Parallel, RunsNestedCallsOnTheCallingThread) {
  std::atomic<int> strays{0}, inner{0};
  for (const std::int64_t outer : {8, 1}) {
    parallel_for(outer, 1, [&](std::int64_t, std::int64_t) {
      const std::thread::id self = std::this_thread::get_id();
      parallel_for(20, 1, [&](std::int64_t, std::int64_t) {
        ++inner;
        if (std::this_thread::get_id() != self) ++strays;
      });
    });
  }
  EXPECT_EQ(inner, 9 * 20);
  EXPECT_EQ(strays, 0);
}

TEST_F(Parallel, RethrowsTheFirstExceptionInChunkOrder) {
  for (int repeat = 0; repeat < 200; ++repeat) {
    try {
      parallel_for(64, 1, [&](std::int64_t begin, std::int64_t) {
        if (begin % 2 == 1 && begin >= 5) throw std::runtime_error(std::to_string(begin));
        std::this_thread::yield();
      });
      FAIL();
    } catch (const std::runtime_error& error) {
      ASSERT_STREQ(error.what(), "5");
    }
  }
}

TEST_F(Parallel, HasEndedAllBodiesWhenTheExceptionArrives) {
  std::atomic<int> running{0};
  for (int repeat = 0; repeat < 50; ++repeat) {
    EXPECT_THROW(parallel_for(64, 1,
                              [&](std::int64_t begin, std::int64_t) {
                                ++running;
                                for (int i = 0; i < 50; ++i) std::this_thread::yield();
                                --running;
                                if (begin == 1) throw std::logic_error("x");
                              }),
                 std::logic_error);
    EXPECT_EQ(running, 0);
  }
}

TEST_F(Parallel, WorksAgainAfterAnException) {
  EXPECT_THROW(parallel_for(4, 1, [](std::int64_t, std::int64_t) { throw std::logic_error("x"); }), std::logic_error);
  EXPECT_EQ(ranges_of(10, 4).size(), 3u);
}

TEST_F(Parallel, StopsHandingOutChunksAfterAFailure) {
  settings().n_threads = 1;
  int calls = 0;
  EXPECT_THROW(parallel_for(10, 1,
                            [&](std::int64_t begin, std::int64_t) {
                              ++calls;
                              if (begin == 2) throw std::logic_error("x");
                            }),
               std::logic_error);
  EXPECT_EQ(calls, 3);
}

TEST_F(Parallel, MayBeCalledFromSeveralThreadsAtOnce) {
  std::vector<std::thread> callers;
  std::vector<std::int64_t> sums(6);
  for (std::size_t c = 0; c < sums.size(); ++c)
    callers.emplace_back([&, c] {
      for (int repeat = 0; repeat < 50; ++repeat) {
        std::vector<std::int64_t> parts(chunk_count(1000, 7));
        parallel_for(1000, 7, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) parts[begin / 7] += i;
        });
        for (const std::int64_t part : parts) sums[c] += part;
      }
    });
  for (std::thread& caller : callers) caller.join();
  for (const std::int64_t sum : sums) EXPECT_EQ(sum, 50 * 499500);
}

TEST_F(Parallel, DoesManySmallJobsWhetherHelpersLookOutOrSleep) {
  for (const int threads : {2, 4}) {
    settings().n_threads = threads;
    std::vector<std::int64_t> parts(16);
    for (int job = 0; job < 3000; ++job) {
      parallel_for(16, 1, [&](std::int64_t begin, std::int64_t) { parts[begin] += begin + 1; });
      // Long enough that helpers fall asleep now and then.
      if (job % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    for (std::int64_t i = 0; i < 16; ++i) EXPECT_EQ(parts[i], 3000 * (i + 1)) << threads;
  }
}

TEST_F(Parallel, RethrowsOutOfANestedCallAndGoesOnAfterManyFailures) {
  for (int repeat = 0; repeat < 200; ++repeat) {
    settings().n_threads = 2 + repeat % 3;
    const auto nested = [&](std::int64_t begin, std::int64_t) {
      parallel_for(4, 1, [&](std::int64_t inner, std::int64_t) {
        if (begin == 3 && inner == 2) throw std::runtime_error("inner");
      });
    };
    EXPECT_THROW(parallel_for(8, 1, nested), std::runtime_error);
    EXPECT_EQ(ranges_of(8, 1).size(), 8u);
  }
}

TEST_F(Parallel, FollowsAThreadCountThatChangesBetweenCalls) {
  for (const int threads : {1, 7, 2, 5, 3}) {
    settings().n_threads = threads;
    EXPECT_EQ(ranges_of(97, 3).size(), 33u);
  }
}

TEST(ParallelAtExit, ProgramEndsWhileThePoolSleeps) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto use_and_exit = [] {
    settings().n_threads = 3;
    parallel_for(100, 1, [](std::int64_t, std::int64_t) {});
    std::exit(7);
  };
  EXPECT_EXIT(use_and_exit(), ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace scvi
