#pragma once

#include <cstdint>
#include <vector>

#include "scvi/core/settings.hpp"
#include "scvi/metric/points.hpp"

namespace scvi {

/// How to fit a Gaussian mixture; the defaults are those of scikit-learn.
struct GaussianMixtureOptions {
  /// Independent starts, of which the one with the largest likelihood is kept.
  int n_init = 1;
  /// Most rounds of expectation and maximisation of one start.
  int max_iterations = 100;
  /// A start ends when the mean log-likelihood of a point (nats) grows by less than this in a round.
  double tolerance = 1e-3;
  /// Added to every variance, so that no component collapses onto a point.
  double regularisation = 1e-6;
  std::uint64_t seed = settings().seed;
};

struct GaussianMixtureResult {
  std::vector<std::int64_t> labels;  ///< the most probable component of each point
  std::vector<double> weights;       ///< (n_components), summing to 1
  std::vector<double> means;         ///< (n_components, dim), row-major
  std::vector<double> covariances;   ///< (n_components, dim, dim), row-major
  double log_likelihood = 0;         ///< mean over points, nats
  int n_iterations = 0;              ///< of the start that was kept
  bool converged = false;            ///< whether it ended before max_iterations
};

/// A mixture of Gaussians with full covariances, fitted by expectation and maximisation from the clusters of k-means:
/// scVI's clustering_scores(prediction_algorithm="gmm"). The result depends on the points and options only, not on
/// the number of threads.
/// @throws InputError unless 1 <= n_components <= points.n(), and for options out of range; NumericError where a
///         covariance cannot be inverted; Interrupted
GaussianMixtureResult gaussian_mixture(const Points& points, std::int64_t n_components,
                                       const GaussianMixtureOptions& options = {});

}  // namespace scvi
