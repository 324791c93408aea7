#include "scvi/metric/umap.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "as_step.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"
#include "starting_layout.hpp"

namespace scvi {
namespace {

using Place = std::array<float, 2>;
using Places = std::vector<Place>;

void check(const SparseGraph& graph, const Points& points, const UmapOptions& options) {
  if (graph.n != points.n())
    throw InputError({.problem = "has " + std::to_string(graph.n) + " vertices, but there are " +
                                 std::to_string(points.n()) + " points",
                      .field = "neighbour graph"});
  if (options.n_epochs < 0 || options.negative_sample_rate < 0 || !std::isfinite(options.learning_rate) ||
      options.learning_rate <= 0)
    throw InputError({.problem = "has " + std::to_string(options.n_epochs) + " epochs, " +
                                 std::to_string(options.negative_sample_rate) +
                                 " negative samples and learning rate " + std::to_string(options.learning_rate) +
                                 ", but needs numbers from 0 and a rate above 0",
                      .field = "UMAP"});
}

// The fit of the curve.

/// Sums of squares and products of residuals and their derivatives by a and b.
struct NormalEquations {
  double cost = 0, aa = 0, ab = 0, bb = 0, a = 0, b = 0;
};

NormalEquations equations_at(const UmapCurve& curve, double min_dist, double spread) {
  constexpr int kDistances = 300;
  NormalEquations sums;
  for (int i = 0; i < kDistances; ++i) {
    const double x = 3 * spread * i / (kDistances - 1);
    const double wanted = x < min_dist ? 1 : std::exp(-(x - min_dist) / spread);
    const double power = x > 0 ? std::pow(x, 2 * curve.b) : 0;
    const double value = 1 / (1 + curve.a * power);
    const double by_a = -power * value * value;
    const double by_b = x > 0 ? curve.a * by_a * 2 * std::log(x) : 0;
    const double residual = wanted - value;
    sums.cost += residual * residual;
    sums.aa += by_a * by_a;
    sums.ab += by_a * by_b;
    sums.bb += by_b * by_b;
    sums.a += by_a * residual;
    sums.b += by_b * residual;
  }
  return sums;
}

/// The step of Levenberg and Marquardt.
UmapCurve stepped(const UmapCurve& curve, const NormalEquations& sums, double damping) {
  const double aa = sums.aa * (1 + damping), bb = sums.bb * (1 + damping);
  const double determinant = aa * bb - sums.ab * sums.ab;
  return {.a = curve.a + (bb * sums.a - sums.ab * sums.b) / determinant,
          .b = curve.b + (aa * sums.b - sums.ab * sums.a) / determinant};
}

// The optimisation.

/// The forces between two places on the map.
class Forces {
 public:
  explicit Forces(const UmapCurve& curve) : a_(static_cast<float>(curve.a)), b_(static_cast<float>(curve.b)) {}

  void attract(Place& place, const Place& other, float step) const {
    const float squared = squared_distance(place, other);
    if (squared <= 0) return;
    const float power = std::pow(squared, b_);
    move(place, other, -2 * a_ * b_ * power / (squared * (a_ * power + 1)), step);
  }

  void repel(Place& place, const Place& other, float step) const {
    constexpr float kSoftening = 0.001F;
    const float squared = squared_distance(place, other);
    if (squared <= 0) return;
    move(place, other, 2 * b_ / ((kSoftening + squared) * (a_ * std::pow(squared, b_) + 1)), step);
  }

 private:
  static float squared_distance(const Place& a, const Place& b) {
    const float x = a[0] - b[0], y = a[1] - b[1];
    return x * x + y * y;
  }

  static void move(Place& place, const Place& other, float strength, float step) {
    constexpr float kMost = 4;
    for (std::size_t d = 0; d < place.size(); ++d)
      place[d] += step * std::clamp(strength * (place[d] - other[d]), -kMost, kMost);
  }

  float a_;
  float b_;
};

/// Random vertices, each four of which follow from where they are needed alone.
class VertexDraws {
 public:
  VertexDraws(std::array<std::uint32_t, 2> key, std::int64_t n, int epoch, std::int64_t vertex)
      : key_(key),
        counter_{0, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(vertex),
                 static_cast<std::uint32_t>(vertex >> 32)},
        n_(static_cast<std::uint64_t>(n)) {}

  std::int64_t next() {
    if (used_ == words_.size()) {
      words_ = philox4x32(counter_, key_);
      ++counter_[0];
      used_ = 0;
    }
    // 2^32 words are enough to choose fairly among as many vertices as fit into memory.
    return static_cast<std::int64_t>(words_[used_++] * n_ >> 32);
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::uint64_t n_;
  std::array<std::uint32_t, 4> words_{};
  std::size_t used_ = 4;
};

class Optimisation {
 public:
  Optimisation(const SparseGraph& graph, const UmapOptions& options, int n_epochs, Places start)
      : graph_(graph),
        options_(options),
        n_epochs_(n_epochs),
        forces_(umap_curve(options.min_dist, options.spread)),
        places_(std::move(start)) {
    const std::uint64_t seed = RandomStream(options.seed, "umap").next_uint64();
    key_ = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
    for (const float weight : graph.weights) largest_weight_ = std::max(largest_weight_, weight);
  }

  void run(Progress& progress) {
    for (int epoch = 0; epoch < n_epochs_; ++epoch) {
      throw_if_interrupted();
      before_ = places_;
      parallel_for(graph_.n, kBlock, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t vertex = begin; vertex < end; ++vertex) move(vertex, begin, end, epoch);
      });
      progress.update(epoch + 1, "");
    }
  }

  const Places& places() const { return places_; }

 private:
  static constexpr std::int64_t kBlock = 256;

  /// Edges take part in a share of the epochs that is proportional to their weight, evenly spread; those that would
  /// not take part once do not at all.
  bool is_due(float weight, int epoch) const {
    const double share = static_cast<double>(weight) / static_cast<double>(largest_weight_);
    if (share * n_epochs_ < 1) return false;
    return std::floor((epoch + 1) * share) > std::floor(epoch * share);
  }

  void move(std::int64_t vertex, std::int64_t block_begin, std::int64_t block_end, int epoch) {
    const auto step = static_cast<float>(options_.learning_rate * (1 - static_cast<double>(epoch) / n_epochs_));
    const auto place_of = [&](std::int64_t other) -> const Place& {
      return other >= block_begin && other < block_end ? places_[other] : before_[other];
    };
    const auto others = graph_.of(vertex);
    const auto weights = graph_.weights_of(vertex);
    VertexDraws draws(key_, graph_.n, epoch, vertex);
    Place place = places_[vertex];
    for (std::size_t i = 0; i < others.size(); ++i) {
      if (!is_due(weights[i], epoch)) continue;
      // Once as the one end of the edge and once as the other: umap-learn moves both ends, from both sides.
      forces_.attract(place, place_of(others[i]), step);
      forces_.attract(place, place_of(others[i]), step);
      for (int j = 0; j < options_.negative_sample_rate; ++j) {
        const std::int64_t other = draws.next();
        if (other != vertex) forces_.repel(place, place_of(other), step);
      }
    }
    places_[vertex] = place;
  }

  const SparseGraph& graph_;
  const UmapOptions& options_;
  int n_epochs_;
  Forces forces_;
  Places places_;
  Places before_;
  std::array<std::uint32_t, 2> key_{};
  float largest_weight_ = 0;
};

/// Both axes from 0 to 10, and a little noise that tells equal vertices apart.
Places spread_out(const std::vector<double>& layout, std::int64_t n, std::uint64_t seed) {
  constexpr double kWidth = 10, kNoise = 1e-3;
  RandomStream random(seed, "umap start");
  Places places(static_cast<std::size_t>(n));
  for (std::size_t axis = 0; axis < 2; ++axis) {
    double low = n > 0 ? layout[axis] : 0, high = low;
    for (std::int64_t i = 0; i < n; ++i) {
      low = std::min(low, layout[2 * i + axis]);
      high = std::max(high, layout[2 * i + axis]);
    }
    const double range = high - low;
    for (std::int64_t i = 0; i < n; ++i) {
      const double share = range > 0 && std::isfinite(range) ? (layout[2 * i + axis] - low) / range : 0.5;
      places[i][axis] = static_cast<float>(kWidth * share + kNoise * random.standard_normal());
    }
  }
  return places;
}

std::vector<double> start_of(const SparseGraph& graph, const Points& points, std::uint64_t seed) {
  constexpr std::int64_t kFewestForSpectrum = 10;
  if (graph.n >= kFewestForSpectrum) {
    const auto components = connected_components(graph);
    if (std::ranges::all_of(components, [](std::int64_t component) { return component == 0; }))
      return spectral_layout(graph, seed);
  }
  return principal_layout(points, seed);
}

}  // namespace

UmapCurve umap_curve(double min_dist, double spread) {
  if (!std::isfinite(spread) || spread <= 0 || !(min_dist >= 0 && min_dist <= spread))
    throw InputError({.problem = "are " + std::to_string(min_dist) + " and " + std::to_string(spread) +
                                 ", but min_dist must be from 0 to spread, and spread above 0",
                      .field = "min_dist and spread"});
  constexpr int kMostSteps = 500;
  UmapCurve curve;
  NormalEquations sums = equations_at(curve, min_dist, spread);
  double damping = 1e-3;
  for (int i = 0; i < kMostSteps && damping < 1e12; ++i) {
    const UmapCurve next = stepped(curve, sums, damping);
    const NormalEquations next_sums = equations_at(next, min_dist, spread);
    const bool better = next.a > 0 && next.b > 0 && next_sums.cost < sums.cost;
    damping *= better ? 0.1 : 10;
    if (!better) continue;
    curve = next;
    sums = next_sums;
  }
  return curve;
}

std::vector<float> umap(const SparseGraph& graph, const Points& points, const UmapOptions& options,
                        Progress* progress) {
  check(graph, points, options);
  constexpr std::int64_t kFewPoints = 10000;
  constexpr int kEpochsOfFew = 500, kEpochsOfMany = 200;
  const int n_epochs = options.n_epochs > 0 ? options.n_epochs : graph.n <= kFewPoints ? kEpochsOfFew : kEpochsOfMany;
  Progress silent;
  Progress& shown = progress != nullptr ? *progress : silent;
  Places start = as_step(shown, "starting the UMAP",
                         [&] { return spread_out(start_of(graph, points, options.seed), graph.n, options.seed); });
  Optimisation optimisation(graph, options, n_epochs, std::move(start));
  shown.start("UMAP", n_epochs, "epoch");
  optimisation.run(shown);
  shown.finish();
  std::vector<float> map;
  for (const Place& place : optimisation.places()) map.insert(map.end(), place.begin(), place.end());
  return map;
}

}  // namespace scvi
