#include "scvi/posterior/metrics.hpp"

#include <algorithm>
#include <set>

#include "points_of.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/metric/clustering.hpp"
#include "scvi/metric/mixing.hpp"
#include "scvi/model/label_model.hpp"
#include "scvi/posterior/annotation.hpp"

namespace scvi {
namespace {

constexpr int kClusteringStarts = 50;

std::size_t count_distinct(const std::vector<std::int64_t>& values) {
  return std::set<std::int64_t>(values.begin(), values.end()).size();
}

std::vector<std::int64_t> chosen(const std::vector<std::int64_t>& values, const std::vector<std::int64_t>& cells) {
  std::vector<std::int64_t> result;
  for (const std::int64_t cell : cells) result.push_back(values[cell]);
  return result;
}

/// Clusters of the latent mean, as many as there are labels.
std::vector<std::int64_t> latent_clusters(const Latent& latent, const Posterior& posterior,
                                          PredictionAlgorithm algorithm) {
  ClusteringScoresOptions options{.algorithm = algorithm};
  options.seed = posterior.options().seed;
  if (algorithm == PredictionAlgorithm::kmeans) options.n_init = kClusteringStarts;
  return find_clusters(points_of(latent.z), static_cast<std::int64_t>(count_distinct(latent.labels)), options);
}

bool has_latent_space(const Posterior& posterior) {
  return posterior.model().hyperparameters().contains("n_latent");
}

std::string always_defined(const Posterior&) {
  return {};
}

std::string needs_latent(const Posterior& posterior) {
  return has_latent_space(posterior) ? "" : "the model has no latent space";
}

std::string needs_normal_latent(const Posterior& posterior) {
  if (!has_latent_space(posterior)) return needs_latent(posterior);
  const auto found = posterior.model().hyperparameters().find("latent_distribution");
  const bool ln = found != posterior.model().hyperparameters().end() && to_text(found->second) == "ln";
  return ln ? "it has no value for a logistic-normal latent space" : "";
}

std::string needs_two_batches(const Posterior& posterior) {
  if (!has_latent_space(posterior)) return needs_latent(posterior);
  const auto n = count_distinct(chosen(posterior.gene_dataset().batch_indices(), posterior.indices()));
  if (n != 2) return "it compares two batches, and there are " + std::to_string(n);
  return {};
}

std::string needs_two_cells(const Posterior& posterior) {
  if (!has_latent_space(posterior)) return needs_latent(posterior);
  return posterior.with_known_labels().nb_cells() < 2 ? "it needs at least two cells whose label is known" : "";
}

std::string needs_labels(const Posterior& posterior) {
  if (!has_latent_space(posterior)) return needs_latent(posterior);
  const Posterior labelled = posterior.with_known_labels();
  const auto n = count_distinct(chosen(labelled.gene_dataset().labels(), labelled.indices()));
  if (n < 2) return "it needs at least two labels (--labels-key), and there is " + std::to_string(n);
  if (static_cast<std::int64_t>(n) >= labelled.nb_cells()) return "it needs more cells than labels";
  return {};
}

std::string needs_told_labels(const Posterior& posterior) {
  if (!dynamic_cast<const LabelModel*>(&posterior.model())) return "the model tells no labels";
  return posterior.with_known_labels().nb_cells() > 0 ? "" : "it needs cells whose label is known";
}

std::string needs_groups(const Posterior& posterior) {
  const auto* const model = dynamic_cast<const LabelModel*>(&posterior.model());
  if (model && model->labels_groups().empty()) return "the model knows no groups of labels (--labels-groups)";
  return needs_told_labels(posterior);
}

std::string needs_corrupted_counts(const Posterior& posterior) {
  return posterior.gene_dataset().has_corrupted_X() ? "" : "it needs corrupted counts";
}

template <class Score>
auto clustering_score(Score score) {
  return [score](const Posterior& posterior, const MetricOptions& options) {
    const Latent latent = posterior.with_known_labels().get_latent();
    return score(latent.labels, latent_clusters(latent, posterior, options.clustering));
  };
}

std::vector<PosteriorMetric> make_metrics() {
  return {
      {.name = "elbo",
       .help = "negative evidence lower bound, nats per cell",
       .compute_with = [](const Posterior& posterior, const MetricOptions&) { return posterior.elbo(); },
       .why_undefined = always_defined},
      {.name = "reconstruction_error",
       .help = "-log p(x | z, l), nats per cell",
       .compute_with = [](const Posterior& posterior,
                          const MetricOptions&) { return posterior.reconstruction_error(); },
       .why_undefined = needs_latent},
      {.name = "marginal_ll",
       .help = "negative marginal log-likelihood, nats per cell",
       .compute_with = [](const Posterior& posterior,
                          const MetricOptions& options) { return posterior.marginal_ll(options.n_mc_samples); },
       .why_undefined = needs_normal_latent},
      {.name = "entropy_batch_mixing",
       .larger_is_better = true,
       .help = "entropy of the two batches among the neighbours in the latent space, nats",
       .compute_with =
           [](const Posterior& posterior, const MetricOptions&) {
             const Latent latent = posterior.get_latent();
             EntropyBatchMixingOptions options;
             options.seed = posterior.options().seed;
             return entropy_batch_mixing(points_of(latent.z), latent.batch_indices, options);
           },
       .why_undefined = needs_two_batches},
      {.name = "knn_purity",
       .larger_is_better = true,
       .help = "share of the 30 nearest neighbours in the latent space that have the cell's label",
       .compute_with =
           [](const Posterior& posterior, const MetricOptions&) {
             const Latent latent = posterior.with_known_labels().get_latent();
             return knn_purity(points_of(latent.z), latent.labels);
           },
       .why_undefined = needs_two_cells},
      {.name = "silhouette",
       .larger_is_better = true,
       .help = "silhouette of the labels in the latent space",
       .compute_with =
           [](const Posterior& posterior, const MetricOptions&) {
             const Latent latent = posterior.with_known_labels().get_latent();
             return silhouette_score(points_of(latent.z), latent.labels);
           },
       .why_undefined = needs_labels},
      {.name = "nmi",
       .larger_is_better = true,
       .help = "normalised mutual information of labels and clusters of the latent space",
       .compute_with = clustering_score(normalized_mutual_information),
       .why_undefined = needs_labels},
      {.name = "ari",
       .larger_is_better = true,
       .help = "adjusted Rand index of labels and clusters of the latent space",
       .compute_with = clustering_score(adjusted_rand_index),
       .why_undefined = needs_labels},
      {.name = "uca",
       .larger_is_better = true,
       .help = "unsupervised clustering accuracy of clusters of the latent space",
       .compute_with =
           clustering_score([](std::span<const std::int64_t> labels, std::span<const std::int64_t> clusters) {
             return unsupervised_clustering_accuracy(labels, clusters).accuracy;
           }),
       .why_undefined = needs_labels},
      {.name = "accuracy",
       .larger_is_better = true,
       .help = "share of the labels that the model tells rightly",
       .compute_with = [](const Posterior& posterior,
                          const MetricOptions&) { return annotation_accuracy(posterior).unweighted; },
       .why_undefined = needs_told_labels},
      {.name = "hierarchical_accuracy",
       .larger_is_better = true,
       .help = "share of the cells whose label's group the model tells rightly",
       .compute_with = [](const Posterior& posterior,
                          const MetricOptions&) { return hierarchical_accuracy(posterior); },
       .why_undefined = needs_groups},
      {.name = "unsupervised_classification_accuracy",
       .larger_is_better = true,
       .help = "share of the cells that are right under the best matching of told labels with labels",
       .compute_with = [](const Posterior& posterior,
                          const MetricOptions&) { return unsupervised_classification_accuracy(posterior); },
       .why_undefined = needs_told_labels},
      {.name = "imputation_median_score",
       .help = "median error of the means that are put in place of corrupted counts",
       .compute_with =
           [](const Posterior& posterior, const MetricOptions& options) {
             return posterior.imputation_benchmark(options.n_imputation_samples).median_score;
           },
       .why_undefined = needs_corrupted_counts},
      {.name = "imputation_mean_score",
       .help = "the same of each cell, mean over the cells",
       .compute_with =
           [](const Posterior& posterior, const MetricOptions& options) {
             return posterior.imputation_benchmark(options.n_imputation_samples).mean_score;
           },
       .why_undefined = needs_corrupted_counts},
  };
}

}  // namespace

const std::vector<PosteriorMetric>& posterior_metrics() {
  static const std::vector<PosteriorMetric> metrics = make_metrics();
  return metrics;
}

const PosteriorMetric& posterior_metric(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& metric : posterior_metrics()) {
    if (metric.name == name) return metric;
    names.push_back(metric.name);
  }
  throw InputError({.problem = "'" + name + "' is not known", .field = "metric", .remedy = suggest(name, names)});
}

ClusteringScores clustering_scores(const Posterior& posterior, const ClusteringScoresOptions& options) {
  const Latent latent = posterior.with_known_labels().get_latent();
  return clustering_scores(points_of(latent.z), latent.labels, options);
}

}  // namespace scvi
