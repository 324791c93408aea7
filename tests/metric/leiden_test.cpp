#include "scvi/metric/leiden.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "clouds.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/metric/clustering.hpp"

namespace scvi {
namespace {

using Labels = std::vector<std::int64_t>;

struct Edge {
  std::int64_t from, to;
  float weight = 1;
};

SparseGraph graph_of(std::int64_t n, const std::vector<Edge>& edges) {
  std::vector<std::vector<std::pair<std::int64_t, float>>> rows(n);
  for (const Edge& edge : edges) {
    rows[edge.from].emplace_back(edge.to, edge.weight);
    rows[edge.to].emplace_back(edge.from, edge.weight);
  }
  SparseGraph graph{.n = n, .indptr = {0}, .indices = {}, .weights = {}};
  for (auto& row : rows) {
    std::sort(row.begin(), row.end());
    for (const auto& [column, weight] : row) {
      graph.indices.push_back(column);
      graph.weights.push_back(weight);
    }
    graph.indptr.push_back(graph.n_edges());
  }
  return graph;
}

void add_clique(std::vector<Edge>& edges, std::int64_t first, std::int64_t size) {
  for (std::int64_t i = first; i < first + size; ++i)
    for (std::int64_t j = i + 1; j < first + size; ++j) edges.push_back({i, j});
}

/// Modularity from its definition.
double modularity(const SparseGraph& graph, const Labels& labels, double resolution) {
  std::vector<double> strength(graph.n);
  for (std::int64_t i = 0; i < graph.n; ++i)
    for (const float weight : graph.weights_of(i)) strength[i] += weight;
  const double total = std::accumulate(strength.begin(), strength.end(), 0.0);
  double sum = 0;
  for (std::int64_t i = 0; i < graph.n; ++i) {
    for (std::size_t at = 0; at < graph.of(i).size(); ++at)
      if (labels[graph.of(i)[at]] == labels[i]) sum += graph.weights_of(i)[at];
    for (std::int64_t j = 0; j < graph.n; ++j)
      if (labels[j] == labels[i]) sum -= resolution * strength[i] * strength[j] / total;
  }
  return sum / total;
}

TEST(Leiden, FindsCliquesAndNumbersThemBySize) {
  std::vector<Edge> edges = {{2, 3}, {9, 10}};
  add_clique(edges, 0, 3);
  add_clique(edges, 3, 7);
  add_clique(edges, 10, 5);
  const LeidenResult result = leiden(graph_of(15, edges));
  EXPECT_EQ(result.labels, (Labels{2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1}));
  EXPECT_EQ(result.n_clusters, 3);
  EXPECT_GE(result.n_rounds, 1);
}

TEST(Leiden, ReportsTheModularityOfItsClusters) {
  const testing::Clouds clouds(300, 4, 5, 1);
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(clouds.points(), 10));
  for (const double resolution : {0.5, 1.0, 2.0}) {
    const LeidenResult result = leiden(graph, {.resolution = resolution});
    EXPECT_NEAR(result.quality, modularity(graph, result.labels, resolution), 1e-6) << resolution;
  }
}

TEST(Leiden, NoVertexWouldRatherBeElsewhere) {
  const testing::Clouds clouds(200, 4, 4, 1);
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(clouds.points(), 10));
  const LeidenResult result = leiden(graph);
  const double best = modularity(graph, result.labels, 1);
  for (std::int64_t i = 0; i < graph.n; i += 7) {
    for (std::int64_t cluster = 0; cluster < result.n_clusters; ++cluster) {
      Labels moved = result.labels;
      moved[i] = cluster;
      EXPECT_LE(modularity(graph, moved, 1), best + 1e-9) << i << " to " << cluster;
    }
  }
}

TEST(Leiden, RecoversCloudsWellApart) {
  const testing::Clouds clouds(900, 6, 6, 8);
  const LeidenResult result = leiden(fuzzy_graph(nearest_neighbors(clouds.points(), 60)), {.resolution = 0.3});
  EXPECT_GT(adjusted_rand_index(clouds.labels, result.labels), 0.99);
}

TEST(Leiden, MoreResolutionGivesMoreClusters) {
  const testing::Clouds clouds(500, 5, 3, 2);
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(clouds.points(), 14));
  const std::int64_t few = leiden(graph, {.resolution = 0.2}).n_clusters;
  const std::int64_t some = leiden(graph).n_clusters;
  EXPECT_LT(few, some);
  EXPECT_LT(some, leiden(graph, {.resolution = 4}).n_clusters);
  EXPECT_EQ(leiden(graph, {.resolution = 1e6}).n_clusters, 500);
}

TEST(Leiden, WeightsDecide) {
  // A ring of four whose opposite sides are strong, once the one pair and once the other.
  EXPECT_EQ(leiden(graph_of(4, {{0, 1, 9}, {1, 2, 1}, {2, 3, 9}, {3, 0, 1}})).labels, (Labels{0, 0, 1, 1}));
  EXPECT_EQ(leiden(graph_of(4, {{0, 1, 1}, {1, 2, 9}, {2, 3, 1}, {3, 0, 9}})).labels, (Labels{0, 1, 1, 0}));
}

TEST(Leiden, FollowsItsSeed) {
  const testing::Clouds clouds(1000, 5, 1, 0);
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(clouds.points(), 14));
  EXPECT_EQ(leiden(graph, {.seed = 3}).labels, leiden(graph, {.seed = 3}).labels);
  EXPECT_NE(leiden(graph, {.seed = 3}).labels, leiden(graph, {.seed = 4}).labels);
}

TEST(Leiden, VerticesWithoutEdgesAreClustersOfTheirOwn) {
  EXPECT_EQ(leiden(graph_of(5, {{1, 2}, {2, 4}, {1, 4}})).labels, (Labels{1, 0, 0, 2, 0}));
  EXPECT_EQ(leiden(graph_of(3, {})).labels, (Labels{0, 1, 2}));
  EXPECT_EQ(leiden(graph_of(1, {})).n_clusters, 1);
  const LeidenResult nothing = leiden(graph_of(0, {}));
  EXPECT_EQ(nothing.n_clusters, 0);
  EXPECT_TRUE(nothing.labels.empty());
  EXPECT_EQ(leiden(graph_of(2, {{0, 1}})).labels, (Labels{0, 0}));
}

TEST(Leiden, ComponentsAreNeverJoined) {
  std::vector<Edge> edges;
  for (std::int64_t first = 0; first < 60; first += 6) add_clique(edges, first, 6);
  const LeidenResult result = leiden(graph_of(60, edges), {.resolution = 0.001});
  EXPECT_EQ(result.n_clusters, 10);
}

TEST(Leiden, RefusesOptionsOutOfRange) {
  const SparseGraph graph = graph_of(2, {{0, 1}});
  EXPECT_THROW(leiden(graph, {.resolution = -1}), InputError);
  EXPECT_THROW(leiden(graph, {.resolution = std::nan("")}), InputError);
  EXPECT_THROW(leiden(graph, {.max_rounds = 0}), InputError);
}

TEST(Leiden, RefusesWeightsThatAreNone) {
  SparseGraph graph = graph_of(3, {{0, 1}, {1, 2}});
  for (const float wrong : {-1.0F, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    graph.weights[1] = wrong;
    EXPECT_THROW(leiden(graph), InputError) << wrong;
  }
}

TEST(Leiden, TakesEdgesOfNoWeightForNone) {
  SparseGraph graph = graph_of(3, {{0, 1}, {1, 2}});
  graph.weights.assign(graph.weights.size(), 0);
  EXPECT_EQ(leiden(graph).labels, (Labels{0, 1, 2}));
  EXPECT_EQ(leiden(graph).quality, 0);
}

TEST(Leiden, StopsWhenInterrupted) {
  set_interrupt(true);
  EXPECT_THROW(leiden(graph_of(2, {{0, 1}})), Interrupted);
  set_interrupt(false);
}

}  // namespace
}  // namespace scvi
