#pragma once

#include <functional>
#include <string>
#include <vector>

#include "scvi/metric/clustering_scores.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi {

/// What metrics are computed with.
struct MetricOptions {
  std::int64_t n_mc_samples = 100;                               ///< of marginal_ll
  PredictionAlgorithm clustering = PredictionAlgorithm::kmeans;  ///< finds the clusters of nmi, ari and uca
  std::int64_t n_imputation_samples = 8;                         ///< of what is put in place of corrupted counts
};

/// A number that sums up a posterior, under the name that scVI gives it.
struct PosteriorMetric {
  std::string name;
  bool larger_is_better = false;
  std::string help = {};
  std::function<double(const Posterior&, const MetricOptions&)> compute_with = {};
  /// Why it has no value for this posterior; "" where it has one.
  std::function<std::string(const Posterior&)> why_undefined = {};

  double compute(const Posterior& posterior, const MetricOptions& options = {}) const {
    return compute_with(posterior, options);
  }
};

/// All metrics: elbo, reconstruction_error, marginal_ll, entropy_batch_mixing, knn_purity, silhouette (of the
/// labels), nmi, ari, uca (the last three: of labels and as many clusters; all of the latent mean), accuracy,
/// hierarchical_accuracy, unsupervised_classification_accuracy, imputation_median_score and imputation_mean_score (of
/// ImputationBenchmark; the data set must have corrupted counts). Scores of labels leave out the cells whose label is
/// hidden.
const std::vector<PosteriorMetric>& posterior_metrics();

/// @throws InputError for an unknown name, with the nearest
const PosteriorMetric& posterior_metric(const std::string& name);

/// The four scores at once and the clusters, of the latent mean of the cells that have a label: scVI's
/// Posterior.clustering_scores.
/// @throws InputError unless there are at least 2 labels and fewer labels than cells
ClusteringScores clustering_scores(const Posterior& posterior, const ClusteringScoresOptions& options = {});

}  // namespace scvi
