#include "scvi/loader/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

using Cells = std::vector<std::int64_t>;

TEST(SequentialSampler, KeepsTheGivenOrderInEveryEpoch) {
  const SequentialSampler sampler({5, 2, 2, 9});
  EXPECT_EQ(sampler.size(), 4);
  EXPECT_EQ(sampler.order(0), (Cells{5, 2, 2, 9}));
  EXPECT_EQ(sampler.order(7), (Cells{5, 2, 2, 9}));
  EXPECT_EQ(SequentialSampler(all_cells(3)).order(0), (Cells{0, 1, 2}));
  EXPECT_TRUE(all_cells(0).empty());
}

TEST(ShuffledSampler, VisitsEachCellOfTheSubsetOnceInANewOrderEachEpoch) {
  Cells cells;
  for (std::int64_t i = 0; i < 100; ++i) cells.push_back(3 * i + 1);
  const ShuffledSampler sampler(cells, {.seed = 4});
  EXPECT_EQ(sampler.size(), 100);
  Cells first = sampler.order(0);
  EXPECT_EQ(first, sampler.order(0));
  EXPECT_NE(first, sampler.order(1));
  EXPECT_NE(first, ShuffledSampler(cells, {.seed = 5}).order(0));
  EXPECT_NE(first, ShuffledSampler(cells, {.seed = 4, .purpose = "labelled"}).order(0));
  std::sort(first.begin(), first.end());
  EXPECT_EQ(first, cells);
}

// Trained weights and checkpoints depend on this order.
TEST(ShuffledSampler, DrawsThePermutationOfItsStream) {
  const Cells cells = {8, 6, 7, 5, 3, 0, 9};
  const std::uint64_t epoch = (std::uint64_t{2} << 32) + 11;
  Cells expected = RandomStream(42, "minibatches", {epoch, 0}).permutation(7);
  for (auto& cell : expected) cell = cells[cell];
  EXPECT_EQ(ShuffledSampler(cells, {.seed = 42}).order(epoch), expected);
}

TEST(WeightedSampler, DrawsCellsInProportionToTheirWeights) {
  const std::int64_t n = 100000;
  const WeightedSampler sampler({10, 20, 30, 40, 50}, {0, 1, 0, 3, 0}, n, {.seed = 1});
  const Cells order = sampler.order(0);
  EXPECT_EQ(sampler.size(), n);
  EXPECT_EQ(std::ssize(order), n);
  const auto of_20 = std::count(order.begin(), order.end(), 20);
  EXPECT_EQ(of_20 + std::count(order.begin(), order.end(), 40), n);
  // Five standard deviations of Binomial(n, 1/4).
  EXPECT_NEAR(static_cast<double>(of_20), 0.25 * n, 5 * std::sqrt(n * 0.25 * 0.75));
}

TEST(WeightedSampler, RepeatsAnEpochAndDrawsOthersAnew) {
  const std::vector<double> weights(50, 0.3);
  const WeightedSampler sampler(all_cells(50), weights, 200, {.seed = 1});
  EXPECT_EQ(sampler.order(3), sampler.order(3));
  EXPECT_NE(sampler.order(3), sampler.order(4));
  EXPECT_NE(sampler.order(3), WeightedSampler(all_cells(50), weights, 200, {.seed = 2}).order(3));
}

TEST(WeightedSampler, NeverPassesTheLastCellWhateverTheRounding) {
  const double tiny = std::numeric_limits<double>::denorm_min();
  for (const double weight : {tiny, 1.0, 1e307}) {
    const Cells order = WeightedSampler({3, 4}, {weight, 0}, 1000, {.seed = 1}).order(0);
    EXPECT_EQ(std::count(order.begin(), order.end(), 3), 1000);
  }
}

TEST(WeightedSampler, RefusesWeightsThatCannotBeDrawnFrom) {
  const double nan = std::nan("");
  const double infinity = std::numeric_limits<double>::infinity();
  for (const auto& weights :
       std::vector<std::vector<double>>{{1, -1}, {1, nan}, {infinity, 1}, {1e308, 1e308}, {0, 0}, {1}, {1, 1, 1}}) {
    EXPECT_THROW(WeightedSampler({0, 1}, weights, 5, {}), InputError);
  }
  EXPECT_THROW(WeightedSampler({0, 1}, {1, 1}, -1, {}), InputError);
  EXPECT_THROW(WeightedSampler({}, {}, 1, {}), InputError);
  EXPECT_TRUE(WeightedSampler({}, {}, 0, {}).order(0).empty());
}

TEST(WindowedSampler, VisitsEachCellOnceAndMixesOnlyBlocksOfAWindow) {
  Cells cells;
  for (std::int64_t cell = 0; cell < 1000; ++cell) {
    if (cell % 10 != 3 && cell / 20 != 7) cells.push_back(cell);
  }
  const WindowedSampler sampler(cells, {.block_cells = 20, .window_blocks = 6}, {.seed = 4});
  EXPECT_EQ(sampler.size(), std::ssize(cells));
  for (const std::uint64_t epoch : {0, 1, 2}) {
    const Cells order = sampler.order(epoch);
    EXPECT_EQ(order, sampler.order(epoch));
    EXPECT_NE(order, sampler.order(epoch + 1));
    Cells sorted = order;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(sorted, cells);
    // Every full window of 6 blocks of 18 cells is made of whole blocks, which are not neighbours.
    for (std::size_t first = 0; first + 108 <= order.size(); first += 108) {
      Cells blocks;
      for (std::size_t i = first; i < first + 108; ++i) blocks.push_back(order[i] / 20);
      EXPECT_FALSE(std::is_sorted(blocks.begin(), blocks.end()));
      std::sort(blocks.begin(), blocks.end());
      for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(std::count(blocks.begin(), blocks.end(), blocks[18 * i]), 18);
      blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
      ASSERT_EQ(blocks.size(), 6U);
      EXPECT_GT(blocks.back() - blocks.front(), 5);
    }
  }
}

TEST(WindowedSampler, PutsEveryCellOfASortedFileNearEachOtherEquallyOften) {
  // Two kinds of cells, one after the other in the file: the first minibatches see both alike.
  const WindowedSampler sampler(all_cells(4000), {.block_cells = 10, .window_blocks = 40}, {.seed = 1});
  double sum = 0;
  constexpr int kEpochs = 200;
  for (std::uint64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const Cells order = sampler.order(epoch);
    for (int i = 0; i < 100; ++i) sum += order[i] < 2000 ? 1 : 0;
  }
  // The share spreads by sqrt(0.25 / 40 + 0.25 / 100) = 0.094 around 0.5 in an epoch.
  EXPECT_NEAR(sum / 100 / kEpochs, 0.5, 4 * 0.094 / std::sqrt(kEpochs));
}

TEST(WindowedSampler, RefusesOptionsThatCannotBe) {
  EXPECT_THROW(WindowedSampler({1, 2}, {.block_cells = 0}, {}), InputError);
  EXPECT_THROW(WindowedSampler({1, 2}, {.window_blocks = 0}, {}), InputError);
  EXPECT_THROW(WindowedSampler({-1, 2}, {}, {}), InputError);
  EXPECT_TRUE(WindowedSampler({}, {}, {}).order(0).empty());
}

}  // namespace
}  // namespace scvi
