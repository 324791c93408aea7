#include "scvi/metric/kmeans.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "point_blocks.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

/// Moves the points so that their mean is 0, which keeps the arithmetic accurate. @returns what was taken off
std::vector<double> take_off_mean(std::vector<double>& rows, std::int64_t n, std::int64_t dim) {
  std::vector<double> mean(static_cast<std::size_t>(dim));
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t d = 0; d < dim; ++d) mean[d] += rows[i * dim + d];
  for (double& value : mean) value /= static_cast<double>(n);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t d = 0; d < dim; ++d) rows[i * dim + d] -= mean[d];
  return mean;
}

constexpr std::int64_t kWidth = PointBlocks::kWidth;
using BlockOfDoubles = std::array<double, kWidth>;

/// The points to cluster, by rows and by blocks.
struct Cloud {
  std::int64_t n, dim, n_clusters;
  std::vector<double> rows;  ///< (n, dim), of mean 0
  std::vector<double> mean;  ///< (dim), that of the points given
  PointBlocks blocks;

  Cloud(const Points& points, std::int64_t clusters)
      : n(points.n()),
        dim(points.dim()),
        n_clusters(clusters),
        rows(points.to_double()),
        mean(take_off_mean(rows, n, dim)),
        blocks(rows, n, dim) {}

  const double* point(std::int64_t i) const { return rows.data() + i * dim; }

  double mean_variance() const {
    double sum = 0;
    for (const double value : rows) sum += value * value;
    return rows.empty() ? 0 : sum / static_cast<double>(rows.size());
  }
};

double squared_distance(const double* a, const double* b, std::int64_t dim) {
  double sum = 0;
  for (std::int64_t d = 0; d < dim; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return sum;
}

/// Sum over the blocks of what part(block) returns, always added in the same order.
template <class Part>
double sum_over_blocks(const Cloud& cloud, Part part) {
  constexpr std::int64_t kBlocksAtOnce = 4;
  std::vector<double> parts(static_cast<std::size_t>(cloud.blocks.n_blocks()));
  parallel_for(cloud.blocks.n_blocks(), kBlocksAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) parts[block] = part(block);
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

/// Greedy k-means++: every next centre is a point drawn with probability proportional to its squared distance from
/// the centres so far; of several such draws the one that leaves the least total distance.
class Seeding {
 public:
  Seeding(const Cloud& cloud, RandomStream& random)
      : cloud_(cloud),
        random_(random),
        n_trials_(2 + static_cast<int>(std::log(static_cast<double>(cloud.n_clusters)))),
        nearest_(static_cast<std::size_t>(cloud.n), std::numeric_limits<double>::infinity()),
        cumulated_(static_cast<std::size_t>(cloud.n)) {}

  /// (n_clusters, dim)
  std::vector<double> run() {
    add(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(cloud_.n))));
    for (std::int64_t c = 1; c < cloud_.n_clusters; ++c) add(best_of_trials());
    return std::move(centers_);
  }

 private:
  void add(std::int64_t point) {
    const double* const center = cloud_.point(point);
    centers_.insert(centers_.end(), center, center + cloud_.dim);
    sum_over_blocks(cloud_,
                    [&](std::int64_t block) { return approach(block, center, nearest_.data() + block * kWidth); });
    std::partial_sum(nearest_.begin(), nearest_.end(), cumulated_.begin());
  }

  /// Lowers the distances of a block to those from `center` where it is nearer. @returns their sum
  double approach(std::int64_t block, const double* center, double* nearest) const {
    BlockOfDoubles squared;
    cloud_.blocks.squared_distances(center, block, squared.data());
    double sum = 0;
    for (std::int64_t i = 0; i < cloud_.blocks.size_of(block); ++i) {
      nearest[i] = std::min(nearest[i], squared[i]);
      sum += nearest[i];
    }
    return sum;
  }

  std::int64_t best_of_trials() {
    std::int64_t best = 0;
    double best_potential = std::numeric_limits<double>::infinity();
    for (int trial = 0; trial < n_trials_; ++trial) {
      const std::int64_t candidate = draw();
      const double potential = potential_with(candidate);
      if (potential < best_potential) {
        best = candidate;
        best_potential = potential;
      }
    }
    return best;
  }

  std::int64_t draw() {
    const double target = random_.uniform() * cumulated_.back();
    const auto at = std::upper_bound(cumulated_.begin(), cumulated_.end(), target);
    return std::min<std::int64_t>(at - cumulated_.begin(), cloud_.n - 1);
  }

  double potential_with(std::int64_t candidate) const {
    const double* const center = cloud_.point(candidate);
    return sum_over_blocks(cloud_, [&](std::int64_t block) {
      BlockOfDoubles nearest;
      std::copy_n(nearest_.data() + block * kWidth, cloud_.blocks.size_of(block), nearest.data());
      return approach(block, center, nearest.data());
    });
  }

  const Cloud& cloud_;
  RandomStream& random_;
  int n_trials_;
  std::vector<double> nearest_;    ///< squared distance to the nearest centre so far
  std::vector<double> cumulated_;  ///< running sums of nearest_
  std::vector<double> centers_;
};

/// One start of Lloyd's algorithm.
class Lloyd {
 public:
  Lloyd(const Cloud& cloud, std::vector<double> centers)
      : cloud_(cloud), centers_(std::move(centers)), labels_(static_cast<std::size_t>(cloud.n), -1) {}

  KMeansResult run(const KMeansOptions& options) {
    const double tolerance = options.tolerance * cloud_.mean_variance();
    KMeansResult result;
    bool settled = false;
    while (!settled && result.n_iterations < options.max_iterations) {
      throw_if_interrupted();
      ++result.n_iterations;
      settled = !assign();
      const double shift = move_centers();
      if (shift <= tolerance) break;
    }
    // The centres moved after the last assignment: labels must be those of the centres handed out.
    if (!settled) assign();
    result.inertia = inertia();
    result.labels = std::move(labels_);
    result.centers = std::move(centers_);
    return result;
  }

 private:
  /// Gives every point its nearest centre, the first one when several are. @returns whether any label changed
  bool assign() {
    return sum_over_blocks(cloud_, [&](std::int64_t block) { return assign_block(block); }) > 0;
  }

  /// @returns the number of labels that changed
  double assign_block(std::int64_t block) {
    BlockOfDoubles nearest, squared;
    std::array<std::int64_t, kWidth> label{};
    nearest.fill(std::numeric_limits<double>::infinity());
    for (std::int64_t c = 0; c < cloud_.n_clusters; ++c) {
      cloud_.blocks.squared_distances(centers_.data() + c * cloud_.dim, block, squared.data());
      // Selections rather than a branch: nobody can foresee which centre is nearest.
      for (std::int64_t i = 0; i < kWidth; ++i) {
        const bool nearer = squared[i] < nearest[i];
        nearest[i] = nearer ? squared[i] : nearest[i];
        label[i] = nearer ? c : label[i];
      }
    }
    std::int64_t changes = 0;
    for (std::int64_t i = 0; i < cloud_.blocks.size_of(block); ++i)
      changes += std::exchange(labels_[block * kWidth + i], label[i]) != label[i];
    return static_cast<double>(changes);
  }

  /// Moves every centre to the mean of its points. @returns the sum of the squared distances moved
  double move_centers() {
    std::vector<double> sums, counts;
    sum_clusters(sums, counts);
    refill_empty_clusters(sums, counts);
    double shift = 0;
    for (std::int64_t c = 0; c < cloud_.n_clusters; ++c) {
      if (counts[c] == 0) continue;
      for (std::int64_t d = 0; d < cloud_.dim; ++d) {
        double& coordinate = centers_[c * cloud_.dim + d];
        const double moved = sums[c * cloud_.dim + d] / counts[c];
        shift += (moved - coordinate) * (moved - coordinate);
        coordinate = moved;
      }
    }
    return shift;
  }

  void sum_clusters(std::vector<double>& sums, std::vector<double>& counts) const {
    // Few enough chunks that their sums take little memory; never by the number of threads.
    const std::int64_t chunk = std::max<std::int64_t>(1024, (cloud_.n + 63) / 64),
                       chunks = chunk_count(cloud_.n, chunk);
    const std::int64_t k = cloud_.n_clusters, dim = cloud_.dim, width = k * (dim + 1);
    std::vector<double> parts(static_cast<std::size_t>(chunks * width));  // of a chunk: sums, then counts
    parallel_for(cloud_.n, chunk, [&](std::int64_t begin, std::int64_t end) {
      double* const part = parts.data() + begin / chunk * width;
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t c = labels_[i];
        for (std::int64_t d = 0; d < dim; ++d) part[c * dim + d] += cloud_.point(i)[d];
        ++part[k * dim + c];
      }
    });
    sums.assign(static_cast<std::size_t>(k * dim), 0.0);
    counts.assign(static_cast<std::size_t>(k), 0.0);
    for (std::int64_t part = 0; part < chunks; ++part) {
      const double* const from = parts.data() + part * width;
      for (std::int64_t i = 0; i < k * dim; ++i) sums[i] += from[i];
      for (std::int64_t c = 0; c < k; ++c) counts[c] += from[k * dim + c];
    }
  }

  /// Takes for every empty cluster one of the points farthest from their centres out of its own cluster.
  void refill_empty_clusters(std::vector<double>& sums, std::vector<double>& counts) const {
    std::vector<std::int64_t> empty;
    for (std::int64_t c = 0; c < cloud_.n_clusters; ++c)
      if (counts[c] == 0) empty.push_back(c);
    if (empty.empty()) return;
    std::vector<double> distances(static_cast<std::size_t>(cloud_.n));
    for (std::int64_t i = 0; i < cloud_.n; ++i) distances[i] = distance_to_center(i);
    std::vector<std::int64_t> farthest(static_cast<std::size_t>(cloud_.n));
    std::iota(farthest.begin(), farthest.end(), 0);
    std::partial_sort(farthest.begin(), farthest.begin() + std::ssize(empty), farthest.end(),
                      [&](std::int64_t a, std::int64_t b) {
                        return distances[a] != distances[b] ? distances[a] > distances[b] : a < b;
                      });
    for (std::size_t e = 0; e < empty.size(); ++e) {
      const std::int64_t point = farthest[e];
      // All points lie on centres: fewer different points than clusters.
      if (distances[point] == 0) return;
      for (std::int64_t d = 0; d < cloud_.dim; ++d) {
        sums[labels_[point] * cloud_.dim + d] -= cloud_.point(point)[d];
        sums[empty[e] * cloud_.dim + d] = cloud_.point(point)[d];
      }
      --counts[labels_[point]];
      counts[empty[e]] = 1;
    }
  }

  double distance_to_center(std::int64_t i) const {
    return squared_distance(cloud_.point(i), centers_.data() + labels_[i] * cloud_.dim, cloud_.dim);
  }

  double inertia() const {
    return sum_over_blocks(cloud_, [&](std::int64_t block) {
      double sum = 0;
      for (std::int64_t i = 0; i < cloud_.blocks.size_of(block); ++i) sum += distance_to_center(block * kWidth + i);
      return sum;
    });
  }

  const Cloud& cloud_;
  std::vector<double> centers_;  ///< (n_clusters, dim)
  std::vector<std::int64_t> labels_;
};

KMeansResult run_start(const Cloud& cloud, const KMeansOptions& options, std::int64_t start) {
  RandomStream random(options.seed, "kmeans", {static_cast<std::uint64_t>(start), 0});
  return Lloyd(cloud, Seeding(cloud, random).run()).run(options);
}

/// The start of least inertia; the first of them when several are equal.
KMeansResult best_start(const Cloud& cloud, const KMeansOptions& options) {
  KMeansResult best;
  const auto keep_better = [&](KMeansResult& result) {
    if (best.labels.empty() || result.inertia < best.inertia) best = std::move(result);
  };
  // Threads work best on whole starts; with fewer starts than threads they share each one. The numbers are the same.
  const std::int64_t threads = effective_threads();
  if (options.n_init < threads) {
    for (std::int64_t start = 0; start < options.n_init; ++start) {
      KMeansResult result = run_start(cloud, options, start);
      keep_better(result);
    }
    return best;
  }
  // One round at a time, so that the labels of few starts are in memory at once.
  for (std::int64_t first = 0; first < options.n_init; first += threads) {
    std::vector<KMeansResult> round(static_cast<std::size_t>(std::min(threads, options.n_init - first)));
    parallel_for(static_cast<std::int64_t>(round.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) round[i] = run_start(cloud, options, first + i);
    });
    for (KMeansResult& result : round) keep_better(result);
  }
  return best;
}

void check(const Points& points, std::int64_t n_clusters, const KMeansOptions& options) {
  if (n_clusters < 1 || n_clusters > points.n())
    throw InputError(
        {.problem = "is " + std::to_string(n_clusters) + " for " + std::to_string(points.n()) + " points",
         .field = "number of clusters",
         .remedy = "give a number from 1 to the number of points"});
  if (options.n_init < 1 || options.max_iterations < 1)
    throw InputError({.problem = "are " + std::to_string(options.n_init) + " starts of at most " +
                                 std::to_string(options.max_iterations) +
                                 " iterations, but at least 1 of 1 is needed",
                      .field = "options of k-means"});
  if (!(options.tolerance >= 0))
    throw InputError({.problem = "is " + std::to_string(options.tolerance) + ", but cannot be negative",
                      .field = "tolerance of k-means"});
}

void warn_of_missing_clusters(const KMeansResult& result, std::int64_t n_clusters) {
  std::vector<bool> seen(static_cast<std::size_t>(n_clusters));
  for (const std::int64_t label : result.labels) seen[label] = true;
  const auto found = std::count(seen.begin(), seen.end(), true);
  if (found < n_clusters)
    log_warning("k-means found " + std::to_string(found) + " clusters instead of " + std::to_string(n_clusters) +
                ": there are no more different points");
}

}  // namespace

KMeansResult kmeans(const Points& points, std::int64_t n_clusters, const KMeansOptions& options) {
  check(points, n_clusters, options);
  const Cloud cloud(points, n_clusters);
  KMeansResult best = best_start(cloud, options);
  for (std::int64_t c = 0; c < n_clusters; ++c)
    for (std::int64_t d = 0; d < cloud.dim; ++d) best.centers[c * cloud.dim + d] += cloud.mean[d];
  warn_of_missing_clusters(best, n_clusters);
  return best;
}

}  // namespace scvi
