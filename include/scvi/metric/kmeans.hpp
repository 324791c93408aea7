#pragma once

#include <cstdint>
#include <vector>

#include "scvi/core/settings.hpp"
#include "scvi/metric/points.hpp"

namespace scvi {

/// How to run k-means; the defaults are those of scikit-learn.
struct KMeansOptions {
  /// Independent starts, of which the one with the least inertia is kept. More find a better optimum, at
  /// proportional cost. scVI's clustering_scores uses 200.
  int n_init = 10;
  /// Most Lloyd iterations of one start.
  int max_iterations = 300;
  /// A start ends when its centres move by less than this, squared and summed, times the mean variance of the
  /// coordinates. 0: only when no label changes any more.
  double tolerance = 1e-4;
  std::uint64_t seed = settings().seed;
};

struct KMeansResult {
  std::vector<std::int64_t> labels;  ///< cluster of each point, 0..n_clusters-1
  std::vector<double> centers;       ///< (n_clusters, dim), row-major
  double inertia = 0;                ///< sum of squared distances to the nearest centre
  int n_iterations = 0;              ///< of the start that was kept
};

/// Lloyd's k-means, started by greedy k-means++ (Arthur and Vassilvitskii 2007, with 2 + log(k) trials a centre). A
/// cluster that runs empty moves to the point farthest from its centre. The result depends on the points and options
/// only, not on the number of threads.
/// @throws InputError unless 1 <= n_clusters <= points.n(), and for options out of range; Interrupted
KMeansResult kmeans(const Points& points, std::int64_t n_clusters, const KMeansOptions& options = {});

}  // namespace scvi
