#include "graph_algebra.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi {
namespace {

SparseGraph transposed(const SparseGraph& graph) {
  SparseGraph turned{.n = graph.n, .indptr = {}, .indices = {}, .weights = {}};
  turned.indptr.assign(static_cast<std::size_t>(graph.n + 1), 0);
  turned.indices.resize(graph.indices.size());
  turned.weights.resize(graph.weights.size());
  for (const std::int64_t column : graph.indices) ++turned.indptr[column + 1];
  std::partial_sum(turned.indptr.begin(), turned.indptr.end(), turned.indptr.begin());
  std::vector<std::int64_t> next(turned.indptr.begin(), turned.indptr.end() - 1);
  for (std::int64_t row = 0; row < graph.n; ++row) {
    for (std::int64_t at = graph.indptr[row]; at < graph.indptr[row + 1]; ++at) {
      const std::int64_t place = next[graph.indices[at]]++;
      turned.indices[place] = row;
      turned.weights[place] = graph.weights[at];
    }
  }
  return turned;
}

}  // namespace

void check_distances(const Neighbors& neighbors) {
  constexpr double kMost = std::numeric_limits<float>::max();
  const auto beyond = std::ranges::find_if(neighbors.distances, [](double distance) { return !(distance <= kMost); });
  if (beyond == neighbors.distances.end()) return;
  throw InputError(
      {.problem = "are too large to compute with",
       .field = "distances of point " + std::to_string((beyond - neighbors.distances.begin()) / neighbors.k),
       .remedy = "scale the values down"});
}

SparseGraph rows_of(const Neighbors& neighbors, std::span<const double> weights) {
  SparseGraph graph{.n = neighbors.n, .indptr = {}, .indices = {}, .weights = {}};
  for (std::int64_t i = 0; i <= neighbors.n; ++i) graph.indptr.push_back(i * neighbors.k);
  graph.indices.resize(neighbors.indices.size());
  graph.weights.resize(neighbors.indices.size());
  constexpr std::int64_t kRowsAtOnce = 1024;
  parallel_for(neighbors.n, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::pair<std::int64_t, double>> row(static_cast<std::size_t>(neighbors.k));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = i * neighbors.k;
      for (std::int64_t j = 0; j < neighbors.k; ++j) row[j] = {neighbors.indices[first + j], weights[first + j]};
      std::sort(row.begin(), row.end());
      for (std::int64_t j = 0; j < neighbors.k; ++j) {
        graph.indices[first + j] = row[j].first;
        graph.weights[first + j] = static_cast<float>(row[j].second);
      }
    }
  });
  return graph;
}

SparseGraph both_ways(const SparseGraph& directed, double (*combine)(double, double)) {
  const SparseGraph turned = transposed(directed);
  SparseGraph both{.n = directed.n, .indptr = {0}, .indices = {}, .weights = {}};
  both.indices.reserve(directed.indices.size() + directed.indices.size() / 2);
  both.weights.reserve(both.indices.capacity());
  for (std::int64_t row = 0; row < directed.n; ++row) {
    std::int64_t i = directed.indptr[row], j = turned.indptr[row];
    const std::int64_t end_i = directed.indptr[row + 1], end_j = turned.indptr[row + 1];
    while (i < end_i || j < end_j) {
      const std::int64_t column_i = i < end_i ? directed.indices[i] : directed.n;
      const std::int64_t column_j = j < end_j ? turned.indices[j] : directed.n;
      const float there = column_i <= column_j ? directed.weights[i++] : 0;
      const float back = column_j <= column_i ? turned.weights[j++] : 0;
      const auto weight = static_cast<float>(combine(there, back));
      if (weight == 0) continue;
      both.indices.push_back(std::min(column_i, column_j));
      both.weights.push_back(weight);
    }
    both.indptr.push_back(both.n_edges());
  }
  return both;
}

}  // namespace scvi
