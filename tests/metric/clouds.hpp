#pragma once

// Points with known clusters, and how well a map keeps neighbours.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "scvi/core/random.hpp"
#include "scvi/metric/points.hpp"

namespace scvi::testing {

/// Clouds of normal points around random centres, whose axes have standard deviations from 0.2 to 1.
struct Clouds {
  std::int64_t n = 0, dim = 0;
  std::vector<double> rows;
  std::vector<std::int64_t> labels;

  Clouds(std::int64_t n_points, std::int64_t dimensions, std::int64_t n_clouds, double distance,
         std::uint64_t seed = 1)
      : n(n_points), dim(dimensions) {
    RandomStream random(seed, "clouds");
    std::vector<double> centers(n_clouds * dim), deviations(n_clouds * dim);
    for (double& value : centers) value = distance * random.standard_normal();
    for (double& value : deviations) value = 0.2 + 0.8 * random.uniform();
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t cloud = i % n_clouds;
      labels.push_back(cloud);
      for (std::int64_t d = 0; d < dim; ++d)
        rows.push_back(centers[cloud * dim + d] + deviations[cloud * dim + d] * random.standard_normal());
    }
  }

  Points points() const { return {std::span<const double>(rows), n, dim}; }
};

/// Places of all others in the order of their distance from point i: 1 for the nearest.
inline std::vector<std::int64_t> ranks_around(const std::vector<double>& rows, std::int64_t n, std::int64_t dim,
                                              std::int64_t i) {
  std::vector<std::pair<double, std::int64_t>> others;
  for (std::int64_t j = 0; j < n; ++j) {
    double squared = 0;
    for (std::int64_t d = 0; d < dim; ++d) squared += std::pow(rows[i * dim + d] - rows[j * dim + d], 2);
    if (j != i) others.emplace_back(squared, j);
  }
  std::sort(others.begin(), others.end());
  std::vector<std::int64_t> ranks(n);
  for (std::size_t place = 0; place < others.size(); ++place)
    ranks[others[place].second] = static_cast<std::int64_t>(place) + 1;
  return ranks;
}

/// How far the k neighbours of points on a map are neighbours in truth (Venna and Kaski 2001): 1 for all; about 0.5
/// for a random map.
inline double trustworthiness(const Points& points, const std::vector<float>& map, std::int64_t k) {
  const std::int64_t n = points.n();
  const std::vector<double> rows = points.to_double(), places(map.begin(), map.end());
  double penalty = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto in_space = ranks_around(rows, n, points.dim(), i), on_map = ranks_around(places, n, 2, i);
    for (std::int64_t j = 0; j < n; ++j)
      if (j != i && on_map[j] <= k) penalty += static_cast<double>(std::max<std::int64_t>(0, in_space[j] - k));
  }
  const auto count = static_cast<double>(n), neighbors = static_cast<double>(k);
  return 1 - penalty * 2 / (count * neighbors * (2 * count - 3 * neighbors - 1));
}

/// Share of the k nearest on the map that bear the same label.
inline double purity(const std::vector<float>& map, const std::vector<std::int64_t>& labels, std::int64_t k) {
  const auto n = static_cast<std::int64_t>(labels.size());
  const std::vector<double> places(map.begin(), map.end());
  double same = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto ranks = ranks_around(places, n, 2, i);
    for (std::int64_t j = 0; j < n; ++j) same += j != i && ranks[j] <= k && labels[i] == labels[j];
  }
  return same / static_cast<double>(n * k);
}

inline bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

}  // namespace scvi::testing
