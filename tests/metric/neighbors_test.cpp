#include "scvi/metric/neighbors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"
#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

#include "golden_case.inc"

using Indices = std::vector<std::int64_t>;

Indices of(const Neighbors& neighbors, std::int64_t point) {
  return {neighbors.of(point).begin(), neighbors.of(point).end()};
}

std::vector<double> random_rows(std::int64_t n, std::int64_t dim, bool on_a_grid) {
  RandomStream random(1, "rows");
  std::vector<double> rows(n * dim);
  for (double& value : rows) value = on_a_grid ? static_cast<double>(random.below(4)) : random.standard_normal();
  return rows;
}

/// All others, sorted by distance and index.
Neighbors plain_search(const std::vector<double>& rows, std::int64_t n, std::int64_t dim, std::int64_t k) {
  Neighbors found{.n = n, .k = k, .indices = {}, .distances = {}};
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<std::pair<double, std::int64_t>> others;
    for (std::int64_t j = 0; j < n; ++j) {
      double squared = 0;
      for (std::int64_t d = 0; d < dim; ++d) squared += std::pow(rows[i * dim + d] - rows[j * dim + d], 2);
      if (j != i) others.emplace_back(squared, j);
    }
    std::sort(others.begin(), others.end());
    for (std::int64_t j = 0; j < k; ++j) {
      found.indices.push_back(others[j].second);
      found.distances.push_back(std::sqrt(others[j].first));
    }
  }
  return found;
}

TEST(NearestNeighbors, AreThoseOfScikitLearn) {
  const Neighbors found = nearest_neighbors(Points(kLatentValues, kCells, kLatent), 5);
  EXPECT_EQ(of(found, 0), (Indices{107, 79, 61, 138, 31}));
  EXPECT_EQ(of(found, 1), (Indices{56, 95, 22, 137, 59}));
  EXPECT_EQ(of(found, 2), (Indices{129, 138, 39, 37, 123}));
  EXPECT_NEAR(found.distances[0], 1.582514018751098, 1e-12);
  EXPECT_NEAR(found.distances[14], 2.584317646610308, 1e-12);
}

TEST(NearestNeighbors, OfOtherPointsAreThoseOfScikitLearn) {
  const std::span<const float> all(kOtherValues);
  const Points points(all.first(100 * kOther), 100, kOther),
      queries(all.subspan(100 * kOther, 3 * kOther), 3, kOther);
  const Neighbors found = nearest_neighbors(points, queries, 3);
  EXPECT_EQ(found.indices, (Indices{46, 41, 21, 78, 60, 32, 39, 79, 5}));
  EXPECT_NEAR(found.distances[0], 3.82243395942808, 1e-12);
  EXPECT_NEAR(found.distances[8], 4.373129826602266, 1e-12);
}

TEST(NearestNeighbors, EqualAPlainSearchAcrossBlocks) {
  // Sizes around the width of a block; points on a grid make many ties and duplicates.
  for (const std::int64_t n : {2, 17, 255, 256, 257, 600}) {
    for (const bool on_a_grid : {false, true}) {
      const std::vector<double> rows = random_rows(n, 3, on_a_grid);
      const std::int64_t k = std::min<std::int64_t>(20, n - 1);
      const Neighbors found = nearest_neighbors(Points(rows, n, 3), k), expected = plain_search(rows, n, 3, k);
      EXPECT_EQ(found.indices, expected.indices) << n;
      for (std::size_t i = 0; i < found.distances.size(); ++i)
        ASSERT_NEAR(found.distances[i], expected.distances[i], 1e-12);
    }
  }
}

TEST(NearestNeighbors, NeverIncludeThePointItselfButItsDuplicates) {
  const std::vector<double> rows(10, 3.5);
  const Neighbors found = nearest_neighbors(Points(rows, 5, 2), 4);
  EXPECT_EQ(of(found, 0), (Indices{1, 2, 3, 4}));
  EXPECT_EQ(of(found, 2), (Indices{0, 1, 3, 4}));
  EXPECT_EQ(found.distances, std::vector<double>(20, 0.0));
}

TEST(NearestNeighbors, OfQueriesMayBeTheSamePoint) {
  const std::vector<double> rows = {0, 1, 2};
  const Neighbors found = nearest_neighbors(Points(rows, 3, 1), Points(rows, 3, 1), 1);
  EXPECT_EQ(found.indices, (Indices{0, 1, 2}));
}

TEST(NearestNeighbors, DoNotDependOnTheNumberOfThreads) {
  const std::vector<double> rows = random_rows(1000, 7, false);
  settings().n_threads = 1;
  const Neighbors one = nearest_neighbors(Points(rows, 1000, 7), 15);
  settings().n_threads = 5;
  const Neighbors five = nearest_neighbors(Points(rows, 1000, 7), 15);
  settings().n_threads = 0;
  EXPECT_EQ(one.indices, five.indices);
  EXPECT_EQ(one.distances, five.distances);
}

TEST(NearestNeighbors, AreCompleteWhereDistancesOverflow) {
  const std::vector<double> rows = {-1e200, 1e200, 0};
  const Neighbors found = nearest_neighbors(Points(rows, 3, 1), 2);
  EXPECT_EQ(found.indices, (Indices{1, 2, 0, 2, 0, 1}));
}

TEST(NearestNeighbors, AcceptZeroNeighboursAndNoPoints) {
  const std::vector<double> rows = {0, 1, 2};
  EXPECT_TRUE(nearest_neighbors(Points(rows, 3, 1), 0).indices.empty());
  EXPECT_TRUE(nearest_neighbors(Points(std::vector<double>{}, 0, 4), 0).indices.empty());
}

TEST(NearestNeighbors, RefuseMoreNeighboursThanThereAreOthers) {
  const std::vector<double> rows = {0, 1, 2};
  const Points points(rows, 3, 1);
  EXPECT_THROW(nearest_neighbors(points, 3), InputError);
  EXPECT_THROW(nearest_neighbors(points, -1), InputError);
  EXPECT_NO_THROW(nearest_neighbors(points, points, 3));
  EXPECT_THROW(nearest_neighbors(points, points, 4), InputError);
}

TEST(NearestNeighbors, RefuseQueriesOfAnotherDimensionAndValuesNotFinite) {
  std::vector<double> rows = {0, 1, 2, 3};
  EXPECT_THROW(nearest_neighbors(Points(rows, 4, 1), Points(rows, 2, 2), 1), InputError);
  rows[2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(nearest_neighbors(Points(rows, 4, 1), 1), InputError);
}

}  // namespace
}  // namespace scvi
