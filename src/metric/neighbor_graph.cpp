#include "scvi/metric/neighbor_graph.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "graph_algebra.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kPointsAtOnce = 1024;

/// How membership falls with distance: 1 up to rho, then exp(-(distance - rho) / sigma).
struct Kernel {
  double rho = 0;
  double sigma = 0;
};

double mean(std::span<const double> values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double membership(double distance, const Kernel& kernel) {
  if (distance <= kernel.rho || kernel.sigma == 0) return 1;
  return std::exp(-(distance - kernel.rho) / kernel.sigma);
}

/// The sigma at which the memberships of a point's neighbours sum to `target`, by bisection.
double fitting_sigma(std::span<const double> distances, double rho, double target) {
  constexpr int kIterations = 64;
  constexpr double kTolerance = 1e-5;
  double low = 0, high = std::numeric_limits<double>::infinity(), sigma = 1;
  for (int i = 0; i < kIterations; ++i) {
    double sum = 0;
    for (const double distance : distances) sum += membership(distance, {.rho = rho, .sigma = sigma});
    if (std::abs(sum - target) < kTolerance) break;
    (sum > target ? high : low) = sigma;
    sigma = std::isinf(high) ? sigma * 2 : (low + high) / 2;
  }
  return sigma;
}

/// @param mean_distance of all points to all their neighbours
Kernel kernel_of(std::span<const double> distances, double mean_distance) {
  // A point itself counts among its neighbours, at distance 0.
  const double n_with_self = static_cast<double>(distances.size() + 1);
  const double share_without_self = static_cast<double>(distances.size()) / n_with_self;
  const auto nearest = std::find_if(distances.begin(), distances.end(), [](double d) { return d > 0; });
  const double rho = nearest == distances.end() ? 0 : *nearest;
  const double sigma = fitting_sigma(distances, rho, std::log2(n_with_self));
  constexpr double kLeastShare = 1e-3;
  const double scale = (rho > 0 ? mean(distances) : mean_distance) * share_without_self;
  return {.rho = rho, .sigma = std::max(sigma, kLeastShare * scale)};
}

std::vector<double> memberships(const Neighbors& neighbors) {
  const double mean_distance = mean(neighbors.distances);
  std::vector<double> strengths(neighbors.distances.size());
  parallel_for(neighbors.n, kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    for (std::int64_t i = begin; i < end; ++i) {
      const auto distances =
          std::span(neighbors.distances)
              .subspan(static_cast<std::size_t>(i * neighbors.k), static_cast<std::size_t>(neighbors.k));
      const Kernel kernel = kernel_of(distances, mean_distance);
      for (std::int64_t j = 0; j < neighbors.k; ++j)
        strengths[i * neighbors.k + j] = membership(distances[j], kernel);
    }
  });
  return strengths;
}

}  // namespace

SparseGraph distance_graph(const Neighbors& neighbors) {
  check_distances(neighbors);
  return rows_of(neighbors, neighbors.distances);
}

SparseGraph fuzzy_graph(const Neighbors& neighbors) {
  check_distances(neighbors);
  // The chance that at least one of two directions is an edge, were they independent; in float64, so that one that is
  // certain stays so.
  return both_ways(rows_of(neighbors, memberships(neighbors)), [](double a, double b) { return a + b - a * b; });
}

std::vector<std::int64_t> connected_components(const SparseGraph& graph) {
  constexpr std::int64_t kUnseen = -1;
  std::vector<std::int64_t> component(static_cast<std::size_t>(graph.n), kUnseen);
  std::vector<std::int64_t> waiting;
  std::int64_t n_components = 0;
  for (std::int64_t start = 0; start < graph.n; ++start) {
    if (component[start] != kUnseen) continue;
    component[start] = n_components;
    waiting.push_back(start);
    while (!waiting.empty()) {
      const std::int64_t vertex = waiting.back();
      waiting.pop_back();
      for (const std::int64_t other : graph.of(vertex)) {
        if (component[other] != kUnseen) continue;
        component[other] = n_components;
        waiting.push_back(other);
      }
    }
    ++n_components;
  }
  return component;
}

}  // namespace scvi
