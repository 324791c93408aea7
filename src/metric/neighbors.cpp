#include "scvi/metric/neighbors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "nearest_heap.hpp"
#include "point_blocks.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kNobody = -1;

/// @param queries (n_queries, dim), row-major
/// @param excludes_self whether query i is point i, which is no neighbour of itself
Neighbors search(const PointBlocks& points, const std::vector<double>& queries, std::int64_t n_queries,
                 std::int64_t dim, std::int64_t k, bool excludes_self) {
  Neighbors found{.n = n_queries, .k = k, .indices = {}, .distances = {}};
  found.indices.resize(static_cast<std::size_t>(n_queries * k));
  found.distances.resize(found.indices.size());
  // A few queries at a time meet each block while it is in the cache.
  constexpr std::int64_t kQueries = 16;
  parallel_for(n_queries, kQueries, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    std::vector<NearestHeap> heaps(static_cast<std::size_t>(end - begin), NearestHeap(k));
    std::array<double, PointBlocks::kWidth> squared;
    for (std::int64_t block = 0; block < points.n_blocks(); ++block) {
      for (std::int64_t query = begin; query < end; ++query) {
        points.squared_distances(queries.data() + query * dim, block, squared.data());
        heaps[query - begin].offer(squared.data(), block * PointBlocks::kWidth, points.size_of(block),
                                   excludes_self ? query : kNobody);
      }
    }
    for (std::int64_t query = begin; query < end; ++query) {
      std::int64_t at = query * k;
      for (const auto& [distance, index] : heaps[query - begin].sorted()) {
        found.indices[at] = index;
        found.distances[at++] = std::sqrt(distance);
      }
    }
  });
  return found;
}

void check_k(std::int64_t k, std::int64_t most) {
  if (k >= 0 && k <= most) return;
  throw InputError(
      {.problem = "is " + std::to_string(k) + ", but there are " + std::to_string(most) + " to choose from",
       .field = "number of neighbours",
       .remedy = "give a number from 0 to " + std::to_string(most)});
}

}  // namespace

Neighbors nearest_neighbors(const Points& points, std::int64_t k) {
  check_k(k, std::max<std::int64_t>(points.n() - 1, 0));
  const std::vector<double> rows = points.to_double();
  return search(PointBlocks(rows, points.n(), points.dim()), rows, points.n(), points.dim(), k, true);
}

Neighbors nearest_neighbors(const Points& points, const Points& queries, std::int64_t k) {
  check_k(k, points.n());
  if (points.dim() != queries.dim())
    throw InputError({.problem = "have " + std::to_string(queries.dim()) + " columns, but the points have " +
                                 std::to_string(points.dim()),
                      .field = "queries"});
  return search(PointBlocks(points.to_double(), points.n(), points.dim()), queries.to_double(), queries.n(),
                points.dim(), k, false);
}

}  // namespace scvi
