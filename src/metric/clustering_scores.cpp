#include "scvi/metric/clustering_scores.hpp"

#include <set>
#include <string>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/metric/clustering.hpp"
#include "scvi/metric/gaussian_mixture.hpp"
#include "scvi/metric/kmeans.hpp"

namespace scvi {

PredictionAlgorithm parse_prediction_algorithm(std::string_view name) {
  if (name == "knn" || name == "kmeans") return PredictionAlgorithm::kmeans;
  if (name == "gmm") return PredictionAlgorithm::gaussian_mixture;
  const std::vector<std::string> known = {"knn", "kmeans", "gmm"};
  throw InputError({.problem = "'" + std::string(name) + "' is not known",
                    .field = "prediction algorithm",
                    .remedy = suggest(name, known)});
}

std::vector<std::int64_t> find_clusters(const Points& points, std::int64_t n_clusters,
                                        const ClusteringScoresOptions& options) {
  if (options.algorithm == PredictionAlgorithm::gaussian_mixture) {
    GaussianMixtureOptions mixture;
    mixture.seed = options.seed;
    if (options.n_init > 0) mixture.n_init = options.n_init;
    return gaussian_mixture(points, n_clusters, mixture).labels;
  }
  constexpr int kStarts = 200;
  KMeansOptions kmeans_options;
  kmeans_options.seed = options.seed;
  kmeans_options.n_init = options.n_init > 0 ? options.n_init : kStarts;
  return kmeans(points, n_clusters, kmeans_options).labels;
}

ClusteringScores clustering_scores(const Points& points, std::span<const std::int64_t> labels,
                                   const ClusteringScoresOptions& options) {
  if (options.n_clusters < 0 || options.n_init < 0)
    throw InputError({.problem = "are " + std::to_string(options.n_clusters) + " and " +
                                 std::to_string(options.n_init) + ", but must be at least 0",
                      .field = "numbers of clusters and starts"});
  ClusteringScores scores;
  scores.silhouette = silhouette_score(points, labels);
  const auto n_labels = std::ssize(std::set<std::int64_t>(labels.begin(), labels.end()));
  scores.clusters = find_clusters(points, options.n_clusters > 0 ? options.n_clusters : n_labels, options);
  scores.nmi = normalized_mutual_information(labels, scores.clusters);
  scores.ari = adjusted_rand_index(labels, scores.clusters);
  scores.uca = unsupervised_clustering_accuracy(labels, scores.clusters).accuracy;
  return scores;
}

}  // namespace scvi
