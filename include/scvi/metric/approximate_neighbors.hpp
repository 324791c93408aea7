#pragma once

#include <cstdint>

#include "scvi/core/settings.hpp"
#include "scvi/metric/neighbors.hpp"

namespace scvi {

/// How to search neighbours approximately.
struct ApproximateNeighborsOptions {
  /// Points are grouped around 2 sqrt(n) centres, and neighbours are sought in so many groups around each point. More
  /// find more of the true neighbours, at proportional cost.
  std::int64_t n_groups_searched = 12;
  /// Rounds in which every point also looks at the neighbours of its neighbours. Each finds about half of those that
  /// are still missing.
  int n_refinements = 2;
  std::uint64_t seed = settings().seed;
};

/// The k nearest neighbours of every point among the other points, nearly all of them (see the tests for how many):
/// by groups, then by neighbours of neighbours (Dong, Moses and Li 2011). Distances are exact. The result depends on
/// the points and options only, not on the number of threads.
/// @throws InputError unless 0 <= k < points.n(), and for options out of range; Interrupted
Neighbors approximate_neighbors(const Points& points, std::int64_t k,
                                const ApproximateNeighborsOptions& options = {});

/// Up to so many points are searched exactly by neighbors_of_any(): it takes seconds.
inline constexpr std::int64_t kExactNeighborsLimit = 30000;

/// nearest_neighbors() of few points, approximate_neighbors() of many.
Neighbors neighbors_of_any(const Points& points, std::int64_t k, std::uint64_t seed = settings().seed);

}  // namespace scvi
