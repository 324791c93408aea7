#pragma once

#include <functional>
#include <string>
#include <vector>

#include "scvi/posterior/posterior.hpp"

namespace scvi {

/// A number that sums up a posterior, under the name that scVI gives it.
struct PosteriorMetric {
  std::string name;
  bool larger_is_better = false;
  std::string help = {};
  std::function<double(const Posterior&)> compute = {};
  /// Why it has no value for this posterior; "" where it has one.
  std::function<std::string(const Posterior&)> why_undefined = {};
};

/// All metrics: elbo, reconstruction_error, marginal_ll (100 samples), entropy_batch_mixing, knn_purity,
/// silhouette, nmi, ari, uca (the last four: of labels and k-means clusters of the latent mean).
const std::vector<PosteriorMetric>& posterior_metrics();

/// @throws InputError for an unknown name, with the nearest
const PosteriorMetric& posterior_metric(const std::string& name);

}  // namespace scvi
