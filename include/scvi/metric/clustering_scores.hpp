#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "scvi/core/settings.hpp"
#include "scvi/metric/points.hpp"

namespace scvi {

/// How clusters are found that are then compared with labels.
enum class PredictionAlgorithm {
  kmeans,           ///< scVI's "knn", which is k-means all the same
  gaussian_mixture  ///< scVI's "gmm"
};

/// "knn" (or "kmeans") and "gmm". @throws InputError for anything else
PredictionAlgorithm parse_prediction_algorithm(std::string_view name);

struct ClusteringScoresOptions {
  PredictionAlgorithm algorithm = PredictionAlgorithm::kmeans;
  /// Clusters to find; 0: as many as there are labels.
  std::int64_t n_clusters = 0;
  /// Independent starts; 0: 200 of k-means, 1 of the Gaussian mixture, as in scVI.
  int n_init = 0;
  std::uint64_t seed = settings().seed;
};

struct ClusteringScores {
  double silhouette = 0;  ///< of the labels, not of the clusters
  double nmi = 0;         ///< normalised mutual information of labels and clusters
  double ari = 0;         ///< adjusted Rand index
  double uca = 0;         ///< unsupervised clustering accuracy
  std::vector<std::int64_t> clusters;
};

/// Clusters of the points, numbered from 0, by the algorithm and with the starts and seed of the options.
/// @param n_clusters how many, whatever the options say. @throws InputError unless 1 <= n_clusters <= points.n()
std::vector<std::int64_t> find_clusters(const Points& points, std::int64_t n_clusters,
                                        const ClusteringScoresOptions& options);

/// How well clusters of the points agree with their labels: scVI's Posterior.clustering_scores.
/// @throws InputError unless there are at least 2 labels and fewer labels than points, or sizes do not fit
ClusteringScores clustering_scores(const Points& points, std::span<const std::int64_t> labels,
                                   const ClusteringScoresOptions& options = {});

}  // namespace scvi
