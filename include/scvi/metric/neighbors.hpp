#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scvi/metric/points.hpp"

namespace scvi {

/// Nearest neighbours of n points, k for each.
struct Neighbors {
  std::int64_t n = 0;
  std::int64_t k = 0;
  std::vector<std::int64_t> indices;  ///< (n, k), nearest first; at equal distance the smaller index first
  std::vector<double> distances;      ///< (n, k), Euclidean

  std::span<const std::int64_t> of(std::int64_t point) const {
    return std::span(indices).subspan(static_cast<std::size_t>(point * k), static_cast<std::size_t>(k));
  }
};

/// The exact k nearest neighbours of every point among all the other points. A point is never its own neighbour; its
/// duplicates may be.
/// @throws InputError unless 0 <= k < points.n()
Neighbors nearest_neighbors(const Points& points, std::int64_t k);

/// The exact k nearest neighbours of every query among `points`.
/// @throws InputError unless 0 <= k <= points.n() and both have the same dimension
Neighbors nearest_neighbors(const Points& points, const Points& queries, std::int64_t k);

}  // namespace scvi
