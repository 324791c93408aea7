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

}  // namespace
}  // namespace scvi
