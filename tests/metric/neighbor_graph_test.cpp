#include "scvi/metric/neighbor_graph.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "clouds.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

#include "golden_case.inc"
#include "scanpy_graph.inc"

using Indices = std::vector<std::int64_t>;

Neighbors golden_neighbors() {
  // scanpy counts the cell itself: its 15 are these 14.
  return nearest_neighbors(Points(kLatentValues, kCells, kLatent), 14);
}

Indices of(const SparseGraph& graph, std::int64_t vertex) {
  return {graph.of(vertex).begin(), graph.of(vertex).end()};
}

void expect_near(std::span<const float> values, const std::vector<float>& expected, double tolerance) {
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], tolerance) << i;
}

void expect_sound(const SparseGraph& graph) {
  ASSERT_EQ(std::ssize(graph.indptr), graph.n + 1);
  ASSERT_EQ(graph.indptr.back(), graph.n_edges());
  ASSERT_EQ(graph.weights.size(), graph.indices.size());
  for (std::int64_t i = 0; i < graph.n; ++i) {
    const auto others = graph.of(i);
    ASSERT_TRUE(std::ranges::is_sorted(others, std::less_equal<>()) || others.size() < 2) << i;
  }
}

void expect_symmetric(const SparseGraph& graph) {
  for (std::int64_t i = 0; i < graph.n; ++i) {
    for (std::size_t at = 0; at < graph.of(i).size(); ++at) {
      const std::int64_t other = graph.of(i)[at];
      const auto back = graph.of(other);
      const auto found = std::ranges::lower_bound(back, i);
      ASSERT_TRUE(found != back.end() && *found == i) << i << ", " << other;
      ASSERT_EQ(graph.weights_of(other)[found - back.begin()], graph.weights_of(i)[at]);
    }
  }
}

TEST(DistanceGraph, IsThatOfScanpy) {
  const SparseGraph graph = distance_graph(golden_neighbors());
  expect_sound(graph);
  EXPECT_EQ(graph.n_edges(), kCells * 14);
  EXPECT_EQ(of(graph, 77), kNeighborsOf77);
  expect_near(graph.weights_of(77), kDistancesOf77, 1e-5);
}

TEST(FuzzyGraph, IsThatOfScanpy) {
  const SparseGraph graph = fuzzy_graph(golden_neighbors());
  expect_sound(graph);
  expect_symmetric(graph);
  EXPECT_EQ(graph.n_edges(), kConnectivities);
  EXPECT_EQ(of(graph, 0), kConnectedTo0);
  expect_near(graph.weights_of(0), kConnectivitiesOf0, 2e-5);
  EXPECT_EQ(of(graph, 77), kConnectedTo77);
  expect_near(graph.weights_of(77), kConnectivitiesOf77, 2e-5);
  for (std::int64_t i = 0; i < kCells; ++i) {
    const auto weights = graph.weights_of(i);
    EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), kConnectivitySums[i], 1e-4) << i;
  }
}

TEST(FuzzyGraph, ConnectsEveryPointFullyToItsNearest) {
  const testing::Clouds clouds(300, 6, 3, 2);
  const Neighbors neighbors = nearest_neighbors(clouds.points(), 10);
  const SparseGraph graph = fuzzy_graph(neighbors);
  for (std::int64_t i = 0; i < graph.n; ++i) {
    const auto others = graph.of(i);
    const auto at = std::ranges::lower_bound(others, neighbors.of(i)[0]) - others.begin();
    EXPECT_EQ(graph.weights_of(i)[at], 1) << i;
    for (const float weight : graph.weights_of(i)) EXPECT_TRUE(weight > 0 && weight <= 1) << i;
  }
}

TEST(FuzzyGraph, DoesNotChangeWithTheScaleOfThePoints) {
  const testing::Clouds clouds(200, 4, 2, 2);
  std::vector<double> larger = clouds.rows;
  for (double& value : larger) value *= 64;
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(clouds.points(), 8));
  const SparseGraph scaled = fuzzy_graph(nearest_neighbors(Points(larger, 200, 4), 8));
  EXPECT_EQ(graph.indices, scaled.indices);
  for (std::size_t i = 0; i < graph.weights.size(); ++i) EXPECT_NEAR(graph.weights[i], scaled.weights[i], 1e-4);
}

TEST(FuzzyGraph, OfDuplicatesIsFull) {
  const std::vector<double> rows(20, 1);
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(Points(rows, 10, 2), 9));
  EXPECT_EQ(graph.n_edges(), 90);
  for (const float weight : graph.weights) EXPECT_EQ(weight, 1);
}

TEST(FuzzyGraph, OfOneOrTwoPoints) {
  const std::vector<double> rows = {0, 3};
  EXPECT_EQ(fuzzy_graph(nearest_neighbors(Points(std::span(rows).first(1), 1, 1), 0)).n_edges(), 0);
  const SparseGraph pair = fuzzy_graph(nearest_neighbors(Points(rows, 2, 1), 1));
  EXPECT_EQ(pair.indices, (Indices{1, 0}));
  EXPECT_EQ(pair.weights, (std::vector<float>{1, 1}));
  const SparseGraph nothing = fuzzy_graph(nearest_neighbors(Points(std::vector<double>{}, 0, 1), 0));
  EXPECT_EQ(nothing.indptr, Indices{0});
}

TEST(FuzzyGraph, DoesNotDependOnTheNumberOfThreads) {
  const testing::Clouds clouds(3000, 4, 2, 2);
  const Neighbors neighbors = nearest_neighbors(clouds.points(), 14);
  const auto run = [&](int n_threads) {
    const testing::WithThreads with(n_threads);
    return fuzzy_graph(neighbors);
  };
  const SparseGraph one = run(1), four = run(4);
  EXPECT_EQ(one.indices, four.indices);
  EXPECT_EQ(one.weights, four.weights);
}

TEST(FuzzyGraph, StopsWhenInterrupted) {
  const Neighbors neighbors = golden_neighbors();
  set_interrupt(true);
  EXPECT_THROW(fuzzy_graph(neighbors), Interrupted);
  set_interrupt(false);
}

TEST(NeighborGraphs, RefuseDistancesBeyondFloat) {
  const std::vector<double> rows = {0, 1, 1e39};
  const Neighbors neighbors = nearest_neighbors(Points(rows, 3, 1), 1);
  for (const auto make : {distance_graph, fuzzy_graph}) {
    try {
      make(neighbors);
      ADD_FAILURE() << "no error";
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("point 2"), std::string::npos) << error.what();
    }
  }
}

TEST(ConnectedComponents, AreNumberedByTheirFirstVertices) {
  // 0-3-4, 1, 2-5.
  const SparseGraph graph{
      .n = 6, .indptr = {0, 1, 1, 2, 4, 5, 6}, .indices = {3, 5, 0, 4, 3, 2}, .weights = {1, 1, 1, 1, 1, 1}};
  EXPECT_EQ(connected_components(graph), (Indices{0, 1, 2, 0, 0, 2}));
  EXPECT_TRUE(connected_components(SparseGraph{}).empty());
}

}  // namespace
}  // namespace scvi
