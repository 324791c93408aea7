#include "scvi/metric/tsne.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "as_step.hpp"
#include "graph_algebra.hpp"
#include "quad_tree.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"
#include "scvi/metric/approximate_neighbors.hpp"
#include "starting_layout.hpp"

namespace scvi {
namespace {

using Place = QuadTree::Place;
using Places = std::vector<Place>;

constexpr std::int64_t kPointsAtOnce = 128;

void check(const TsneOptions& options) {
  const auto refuse = [](const std::string& field, double value, const std::string& wanted) {
    throw InputError({.problem = "is " + std::to_string(value) + ", but must be " + wanted, .field = field});
  };
  if (!std::isfinite(options.perplexity) || options.perplexity < 1)
    refuse("perplexity", options.perplexity, "a number from 1");
  if (options.n_iterations < 1) refuse("number of iterations", options.n_iterations, "at least 1");
  if (options.n_exaggerated < 0) refuse("exaggerated iterations", options.n_exaggerated, "at least 0");
  if (!std::isfinite(options.exaggeration) || options.exaggeration <= 0)
    refuse("exaggeration", options.exaggeration, "a number above 0");
  if (!std::isfinite(options.learning_rate) || options.learning_rate < 0)
    refuse("learning rate", options.learning_rate, "a number from 0");
  // Beyond, a square might be seen from within as if from afar.
  if (!(options.theta >= 0 && options.theta <= 0.7)) refuse("theta", options.theta, "from 0 to 0.7");
}

/// exp(-beta d^2) over their sum, with the beta at which their entropy is log(perplexity), by bisection.
void fit_row(std::span<const double> distances, double perplexity, std::span<double> shares) {
  constexpr int kIterations = 100;
  constexpr double kTolerance = 1e-5;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double nearest = distances.empty() ? 0 : distances[0] * distances[0];
  double low = 0, high = kInfinity, beta = 1;
  for (int i = 0; i < kIterations; ++i) {
    double sum = 0, weighted = 0;
    for (std::size_t j = 0; j < distances.size(); ++j) {
      // Relative to the nearest, so that one is never 0.
      const double squared = distances[j] * distances[j] - nearest;
      shares[j] = std::exp(-beta * squared);
      sum += shares[j];
      if (shares[j] > 0) weighted += shares[j] * squared;
    }
    for (double& share : shares) share /= sum;
    const double surplus = std::log(sum) + beta * weighted / sum - std::log(perplexity);
    if (std::abs(surplus) < kTolerance) break;
    (surplus > 0 ? low : high) = beta;
    beta = high == kInfinity ? beta * 2 : (low + high) / 2;
  }
}

/// How much two points belong together: symmetric, summing to 1.
SparseGraph affinities(const Points& points, double perplexity, std::uint64_t seed) {
  constexpr double kNeighborsPerPerplexity = 3;
  const std::int64_t others = std::max<std::int64_t>(points.n() - 1, 0);
  const auto wanted = static_cast<std::int64_t>(std::ceil(kNeighborsPerPerplexity * perplexity));
  const Neighbors neighbors = neighbors_of_any(points, std::min(others, wanted), seed);
  check_distances(neighbors);
  std::vector<double> shares(neighbors.distances.size());
  parallel_for(neighbors.n, kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto first = static_cast<std::size_t>(i * neighbors.k), count = static_cast<std::size_t>(neighbors.k);
      fit_row(std::span(neighbors.distances).subspan(first, count), perplexity,
              std::span(shares).subspan(first, count));
    }
  });
  SparseGraph graph = both_ways(rows_of(neighbors, shares), [](double a, double b) { return a + b; });
  for (float& weight : graph.weights) weight /= 2 * static_cast<float>(points.n());
  return graph;
}

class Descent {
 public:
  Descent(const SparseGraph& affinities, const TsneOptions& options, Places start)
      : affinities_(affinities),
        options_(options),
        places_(std::move(start)),
        updates_(places_.size()),
        gains_(places_.size(), Place{1, 1}),
        forces_(places_.size()) {
    constexpr double kLeastRate = 50;
    const double automatic = static_cast<double>(places_.size()) / options.exaggeration / 4;
    rate_ = options.learning_rate > 0 ? options.learning_rate : std::max(automatic, kLeastRate);
  }

  void run(Progress& progress) {
    for (int i = 0; i < options_.n_iterations; ++i) {
      throw_if_interrupted();
      step(i < options_.n_exaggerated);
      progress.update(i + 1, "");
    }
  }

  const Places& places() const { return places_; }

 private:
  void step(bool exaggerated) {
    const double total = repel();
    const double attraction = exaggerated ? options_.exaggeration : 1;
    const double momentum = exaggerated ? 0.5 : 0.8;
    // All points see where the others were before any of them moves.
    parallel_for(std::ssize(places_), kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Place pull = attracted(i);
        for (std::size_t d = 0; d < 2; ++d) forces_[i][d] = 4 * (attraction * pull[d] - forces_[i][d] / total);
      }
    });
    parallel_for(std::ssize(places_), kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) move(i, momentum);
    });
  }

  /// Sets the forces to the repulsion. @returns what they are to be divided by: the sum of all q but those of points
  /// with themselves
  double repel() {
    const QuadTree tree(places_);
    std::vector<double> parts(static_cast<std::size_t>(chunk_count(std::ssize(places_), kPointsAtOnce)));
    parallel_for(std::ssize(places_), kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const QuadTree::Repulsion found = tree.repulsion(places_[i], options_.theta);
        forces_[i] = found.force;
        parts[begin / kPointsAtOnce] += found.sum - 1;
      }
    });
    return std::max(std::accumulate(parts.begin(), parts.end(), 0.0), std::numeric_limits<double>::min());
  }

  Place attracted(std::int64_t i) const {
    Place pull{};
    const auto others = affinities_.of(i);
    const auto weights = affinities_.weights_of(i);
    for (std::size_t j = 0; j < others.size(); ++j) {
      const double x = places_[i][0] - places_[others[j]][0], y = places_[i][1] - places_[others[j]][1];
      const double strength = static_cast<double>(weights[j]) / (1 + x * x + y * y);
      pull[0] += strength * x;
      pull[1] += strength * y;
    }
    return pull;
  }

  /// A step against the gradient; longer where it has kept its direction (Jacobs 1988).
  void move(std::int64_t i, double momentum) {
    constexpr double kLonger = 0.2, kShorter = 0.8, kLeastGain = 0.01;
    for (std::size_t d = 0; d < 2; ++d) {
      double& gain = gains_[i][d];
      gain = updates_[i][d] * forces_[i][d] < 0 ? gain + kLonger : std::max(gain * kShorter, kLeastGain);
      updates_[i][d] = momentum * updates_[i][d] - rate_ * gain * forces_[i][d];
      places_[i][d] += updates_[i][d];
    }
  }

  const SparseGraph& affinities_;
  const TsneOptions& options_;
  Places places_, updates_, gains_, forces_;
  double rate_ = 0;
};

/// The principal axes, the first with standard deviation 1e-4; a little noise tells equal points apart.
Places start_of(const Points& points, std::uint64_t seed) {
  constexpr double kDeviation = 1e-4, kNoise = 1e-7;
  std::vector<double> layout = principal_layout(points, seed);
  Places places(static_cast<std::size_t>(points.n()));
  double squared = 0;
  for (std::size_t i = 0; i < places.size(); ++i)
    squared += layout[2 * i] * layout[2 * i] / static_cast<double>(places.size());
  const bool is_spread = squared > 0 && std::isfinite(squared);
  if (!is_spread) std::fill(layout.begin(), layout.end(), 0.0);  // huge values may have left none that is finite
  const double scale = is_spread ? kDeviation / std::sqrt(squared) : 0;
  RandomStream random(seed, "tsne start");
  for (std::size_t i = 0; i < places.size(); ++i)
    for (std::size_t d = 0; d < 2; ++d) places[i][d] = layout[2 * i + d] * scale + kNoise * random.standard_normal();
  return places;
}

std::vector<float> centred(const Places& places) {
  Place mean{};
  for (const Place& place : places)
    for (std::size_t d = 0; d < 2; ++d) mean[d] += place[d] / static_cast<double>(places.size());
  std::vector<float> map;
  for (const Place& place : places)
    for (std::size_t d = 0; d < 2; ++d) map.push_back(static_cast<float>(place[d] - mean[d]));
  return map;
}

}  // namespace

std::vector<float> tsne(const Points& points, const TsneOptions& options, Progress* progress) {
  check(options);
  const double most = std::max(1.0, static_cast<double>(points.n() - 1) / 3);
  Progress silent;
  Progress& shown = progress != nullptr ? *progress : silent;
  const SparseGraph graph = as_step(shown, "starting the t-SNE", [&] {
    return affinities(points, std::min(options.perplexity, most), options.seed);
  });
  Descent descent(graph, options, start_of(points, options.seed));
  shown.start("t-SNE", options.n_iterations, "iteration");
  descent.run(shown);
  shown.finish();
  return centred(descent.places());
}

}  // namespace scvi
