#include "scvi/metric/tsne.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "clouds.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using testing::Clouds;
using testing::WithThreads;

TEST(Tsne, KeepsCloudsTogetherAndNeighboursNear) {
  const Clouds clouds(500, 10, 5, 3);
  const std::vector<float> map = tsne(clouds.points(), {.n_iterations = 500});
  ASSERT_EQ(map.size(), 1000u);
  EXPECT_GT(testing::purity(map, clouds.labels, 15), 0.98);
  EXPECT_GT(testing::trustworthiness(clouds.points(), map, 15), 0.95);
}

TEST(Tsne, IsCentred) {
  const Clouds clouds(200, 4, 2, 3);
  const std::vector<float> map = tsne(clouds.points(), {.n_iterations = 50});
  for (int axis = 0; axis < 2; ++axis) {
    double sum = 0, largest = 0;
    for (int i = 0; i < 200; ++i) {
      sum += map[2 * i + axis];
      largest = std::max(largest, std::abs(static_cast<double>(map[2 * i + axis])));
    }
    EXPECT_LT(std::abs(sum / 200), 1e-4 * largest);
  }
}

TEST(Tsne, TheTreeComesCloseToAllPairs) {
  // Few iterations, so that small differences do not grow.
  const Clouds clouds(300, 6, 3, 2);
  const TsneOptions options{.n_iterations = 10, .n_exaggerated = 0, .learning_rate = 20};
  TsneOptions exact = options, coarse = options;
  exact.theta = 0;
  coarse.theta = 0.3;
  const std::vector<float> all = tsne(clouds.points(), exact), tree = tsne(clouds.points(), coarse);
  double squares = 0, differences = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    squares += all[i] * all[i];
    differences += (all[i] - tree[i]) * (all[i] - tree[i]);
  }
  EXPECT_GT(differences, 0);
  EXPECT_LT(differences, 1e-3 * squares);
}

TEST(Tsne, DoesNotDependOnTheNumberOfThreads) {
  const Clouds clouds(700, 5, 3, 2);
  const auto run = [&](int n_threads) {
    const WithThreads with(n_threads);
    return tsne(clouds.points(), {.n_iterations = 30});
  };
  const std::vector<float> one = run(1);
  EXPECT_EQ(one, run(4));
  EXPECT_EQ(one, run(2));
}

TEST(Tsne, MapsWhateverItIsGiven) {
  const TsneOptions options{.n_iterations = 300};
  EXPECT_TRUE(tsne(Points(std::vector<double>{}, 0, 3), options).empty());
  const std::vector<double> rows = {0, 0, 1, 1, 5, 5};
  EXPECT_EQ(tsne(Points(std::span(rows).first(2), 1, 2), options), (std::vector<float>{0, 0}));
  const std::vector<float> two = tsne(Points(std::span(rows).first(4), 2, 2), options);
  EXPECT_TRUE(testing::all_finite(two));
  EXPECT_GT(std::hypot(two[0] - two[2], two[1] - two[3]), 0);
  EXPECT_TRUE(testing::all_finite(tsne(Points(rows, 3, 2), options)));
  EXPECT_TRUE(testing::all_finite(tsne(Points(rows, 6, 1), options)));
  const std::vector<double> same(80, 2.5);
  EXPECT_TRUE(testing::all_finite(tsne(Points(same, 40, 2), options)));
  std::vector<double> apart(80, 0);
  apart[0] = 1e6;
  EXPECT_TRUE(testing::all_finite(tsne(Points(apart, 40, 2), options)));
  for (std::size_t i = 0; i < apart.size(); ++i) apart[i] = i % 4 < 2 ? 1e200 : -1e200;
  EXPECT_TRUE(testing::all_finite(tsne(Points(apart, 40, 2), {.perplexity = 3, .n_iterations = 300})));
}

TEST(Tsne, RefusesWhatItCannotMap) {
  std::vector<double> rows = {0, 1, 2, 3};
  const Points points(rows, 4, 1);
  EXPECT_THROW(tsne(points, {.perplexity = 0.5}), InputError);
  EXPECT_THROW(tsne(points, {.perplexity = std::nan("")}), InputError);
  EXPECT_THROW(tsne(points, {.n_iterations = 0}), InputError);
  EXPECT_THROW(tsne(points, {.n_exaggerated = -1}), InputError);
  EXPECT_THROW(tsne(points, {.exaggeration = 0}), InputError);
  EXPECT_THROW(tsne(points, {.learning_rate = -1}), InputError);
  EXPECT_THROW(tsne(points, {.theta = 0.8}), InputError);
  rows[2] = 1e60;
  EXPECT_THROW(tsne(Points(rows, 4, 1)), InputError);
  rows[2] = std::numeric_limits<double>::infinity();
  EXPECT_THROW(tsne(Points(rows, 4, 1)), InputError);
}

TEST(Tsne, StopsWhenInterrupted) {
  const std::vector<double> rows = {0, 1, 2, 3};
  set_interrupt(true);
  EXPECT_THROW(tsne(Points(rows, 4, 1)), Interrupted);
  set_interrupt(false);
}

}  // namespace
}  // namespace scvi
