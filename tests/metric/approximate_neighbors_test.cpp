#include "scvi/metric/approximate_neighbors.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "clouds.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using testing::Clouds;
using testing::WithThreads;

/// Share of the true neighbours that were found.
double recall(const Neighbors& found, const Neighbors& truth) {
  std::int64_t hits = 0;
  for (std::int64_t i = 0; i < truth.n; ++i) {
    const std::set<std::int64_t> wanted(truth.of(i).begin(), truth.of(i).end());
    for (const std::int64_t other : found.of(i)) hits += static_cast<std::int64_t>(wanted.count(other));
  }
  return static_cast<double>(hits) / static_cast<double>(truth.n * truth.k);
}

void expect_sound(const Neighbors& found, const Clouds& clouds) {
  for (std::int64_t i = 0; i < found.n; ++i) {
    const auto others = found.of(i);
    EXPECT_EQ(std::set<std::int64_t>(others.begin(), others.end()).size(), others.size()) << i;
    for (std::int64_t j = 0; j < found.k; ++j) {
      ASSERT_NE(others[j], i);
      double squared = 0;
      for (std::int64_t d = 0; d < clouds.dim; ++d)
        squared += std::pow(clouds.rows[i * clouds.dim + d] - clouds.rows[others[j] * clouds.dim + d], 2);
      ASSERT_NEAR(found.distances[i * found.k + j], std::sqrt(squared), 1e-9);
      if (j > 0) {
        ASSERT_LE(found.distances[i * found.k + j - 1], found.distances[i * found.k + j]);
      }
    }
  }
}

TEST(ApproximateNeighbors, AreNearlyAllTrueNeighbours) {
  for (const std::int64_t n_clouds : {1, 15}) {
    const Clouds clouds(4000, 10, n_clouds, 2);
    const Neighbors found = approximate_neighbors(clouds.points(), 14);
    EXPECT_GT(recall(found, nearest_neighbors(clouds.points(), 14)), 0.99) << n_clouds << " clouds";
    expect_sound(found, clouds);
  }
  // One cloud without any structure is the hardest, and many neighbours are harder than few.
  const Clouds clouds(4000, 10, 1, 0);
  const Neighbors found = approximate_neighbors(clouds.points(), 90);
  EXPECT_GT(recall(found, nearest_neighbors(clouds.points(), 90)), 0.95);
  expect_sound(found, clouds);
}

TEST(ApproximateNeighbors, EachPartOfTheSearchFindsMore) {
  const Clouds clouds(6000, 10, 1, 0);
  const Neighbors truth = nearest_neighbors(clouds.points(), 14);
  const auto recall_with = [&](std::int64_t n_groups, int n_refinements) {
    ApproximateNeighborsOptions options;
    options.n_groups_searched = n_groups;
    options.n_refinements = n_refinements;
    return recall(approximate_neighbors(clouds.points(), 14, options), truth);
  };
  const double least = recall_with(2, 0);
  EXPECT_LT(least, 0.7);
  EXPECT_GT(recall_with(8, 0), least + 0.1);
  EXPECT_GT(recall_with(2, 1), least + 0.1);
  EXPECT_GT(recall_with(2, 2), recall_with(2, 1));
  EXPECT_EQ(recall_with(10000, 0), 1);
}

TEST(ApproximateNeighbors, AreExactWhereEveryGroupIsSearched) {
  for (const std::int64_t n : {2, 3, 5, 30}) {
    const Clouds clouds(n, 3, 1, 0);
    const Neighbors found = approximate_neighbors(clouds.points(), n - 1);
    EXPECT_EQ(found.indices, nearest_neighbors(clouds.points(), n - 1).indices) << n;
  }
}

TEST(ApproximateNeighbors, AreCompleteAmongDuplicates) {
  std::vector<double> rows(600, 1.5);
  for (const std::int64_t n_others : {0, 20}) {
    for (std::int64_t i = 0; i < n_others; ++i) rows[2 * i] = static_cast<double>(i);
    const Neighbors found = approximate_neighbors(Points(rows, 300, 2), 14);
    for (std::int64_t i = 0; i < 300; ++i) {
      const auto others = found.of(i);
      EXPECT_EQ(std::set<std::int64_t>(others.begin(), others.end()).size(), 14u);
      EXPECT_EQ(std::count(others.begin(), others.end(), i), 0);
      if (i >= n_others) {
        EXPECT_EQ(found.distances[i * 14 + 13], 0);
      }
    }
  }
}

TEST(ApproximateNeighbors, AreFoundBesideAHeapOfDuplicates) {
  // All duplicates have the same nearest centre, which is more than one group may hold.
  constexpr std::int64_t kPoints = 6000, kHeap = 4500;
  Clouds clouds(kPoints, 6, 5, 3);
  for (std::int64_t i = 0; i < 6 * kHeap; ++i) clouds.rows[i] = 0.25;
  const Neighbors found = approximate_neighbors(clouds.points(), 14);
  expect_sound(found, clouds);
  for (std::int64_t i = 0; i < kHeap; ++i) ASSERT_EQ(found.distances[i * 14 + 13], 0) << i;
  const Neighbors truth = nearest_neighbors(clouds.points(), 14);
  std::int64_t n_right = 0;
  for (std::int64_t i = kHeap * 14; i < kPoints * 14; ++i) n_right += found.distances[i] == truth.distances[i];
  EXPECT_GT(static_cast<double>(n_right), 0.99 * 14 * (kPoints - kHeap));
}

TEST(ApproximateNeighbors, OfPointsFarApartAreAllThere) {
  // Groups of one or two points, fewer than the neighbours asked for.
  std::vector<double> rows;
  for (int i = 0; i < 200; ++i) rows.push_back(std::pow(1.2, i));
  ApproximateNeighborsOptions options;
  options.n_groups_searched = 1;
  const Neighbors found = approximate_neighbors(Points(rows, 200, 1), 150, options);
  for (std::int64_t i = 0; i < 200; ++i)
    EXPECT_EQ(std::set<std::int64_t>(found.of(i).begin(), found.of(i).end()).size(), 150u);
}

TEST(ApproximateNeighbors, DoNotDependOnTheNumberOfThreadsButOnTheSeed) {
  const Clouds clouds(3000, 8, 3, 2);
  ApproximateNeighborsOptions options;
  options.n_groups_searched = 2;
  options.n_refinements = 1;
  const auto search = [&](int n_threads, std::uint64_t seed) {
    const WithThreads with(n_threads);
    options.seed = seed;
    return approximate_neighbors(clouds.points(), 10, options);
  };
  const Neighbors one = search(1, 5), four = search(4, 5);
  EXPECT_EQ(one.indices, four.indices);
  EXPECT_EQ(one.distances, four.distances);
  EXPECT_NE(one.indices, search(1, 6).indices);
}

TEST(ApproximateNeighbors, RefuseWhatCannotBeSearched) {
  std::vector<double> rows = {0, 1, 2};
  EXPECT_THROW(approximate_neighbors(Points(rows, 3, 1), 3), InputError);
  EXPECT_THROW(approximate_neighbors(Points(rows, 3, 1), -1), InputError);
  ApproximateNeighborsOptions options;
  options.n_groups_searched = 0;
  EXPECT_THROW(approximate_neighbors(Points(rows, 3, 1), 1, options), InputError);
  rows[1] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(approximate_neighbors(Points(rows, 3, 1), 1), InputError);
  EXPECT_TRUE(approximate_neighbors(Points(std::vector<double>{}, 0, 4), 0).indices.empty());
}

TEST(ApproximateNeighbors, SurviveDistancesThatOverflow) {
  std::vector<double> rows;
  for (int i = 0; i < 400; ++i) rows.push_back(i % 3 == 0 ? 1e200 * i : i % 3 == 1 ? -1e300 : i);
  const Neighbors found = approximate_neighbors(Points(rows, 400, 1), 5);
  EXPECT_EQ(found.indices.size(), 2000u);
}

TEST(ApproximateNeighbors, StopWhenInterrupted) {
  const Clouds clouds(500, 3, 1, 0);
  set_interrupt(true);
  EXPECT_THROW(approximate_neighbors(clouds.points(), 3), Interrupted);
  set_interrupt(false);
}

TEST(NeighborsOfAny, AreExactForFewPoints) {
  const Clouds clouds(500, 3, 2, 1);
  EXPECT_EQ(neighbors_of_any(clouds.points(), 5).indices, nearest_neighbors(clouds.points(), 5).indices);
}

}  // namespace
}  // namespace scvi
