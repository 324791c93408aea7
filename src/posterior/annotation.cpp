#include "scvi/posterior/annotation.hpp"

#include <algorithm>

#include "scvi/core/error.hpp"
#include "scvi/metric/clustering.hpp"
#include "scvi/model/label_model.hpp"

namespace scvi {
namespace {

/// The predictions of cells whose label is known.
Predictions known_predictions(const Posterior& posterior) {
  const Predictions all = compute_predictions(posterior);
  Predictions known;
  for (std::size_t i = 0; i < all.labels.size(); ++i) {
    if (all.labels[i] < 0) continue;
    known.labels.push_back(all.labels[i]);
    known.predicted.push_back(all.predicted[i]);
  }
  if (known.labels.empty()) {
    throw InputError({.problem = "holds no cell whose label is known, so nothing can be compared",
                      .field = "posterior '" + posterior.options().name + "'"});
  }
  return known;
}

}  // namespace

ToldLabels tell_labels(const Posterior& posterior) {
  ToldLabels told{.labels = {}, .probabilities = posterior.get_label_probabilities()};
  const std::int64_t n_labels = told.probabilities.n_columns;
  for (std::int64_t i = 0; i < told.probabilities.n_cells; ++i) {
    const auto first = told.probabilities.values.begin() + i * n_labels;
    told.labels.push_back(std::max_element(first, first + n_labels) - first);
  }
  return told;
}

Predictions compute_predictions(const Posterior& posterior) {
  Predictions predictions{.labels = {}, .predicted = tell_labels(posterior).labels};
  for (const std::int64_t cell : posterior.indices()) {
    predictions.labels.push_back(posterior.gene_dataset().labels()[cell]);
  }
  return predictions;
}

Accuracy annotation_accuracy(const Posterior& posterior) {
  const Predictions known = known_predictions(posterior);
  return accuracy_of(known.labels, known.predicted);
}

double hierarchical_accuracy(const Posterior& posterior) {
  const auto* model = dynamic_cast<const LabelModel*>(&posterior.model());
  const std::vector<std::int64_t> groups = model ? model->labels_groups() : std::vector<std::int64_t>();
  if (groups.empty()) {
    throw InputError({.problem = "knows no groups of labels",
                      .field = "model " + posterior.model().name(),
                      .remedy = "build it with labels_groups"});
  }
  const Predictions known = known_predictions(posterior);
  std::int64_t n_right = 0;
  for (std::size_t i = 0; i < known.labels.size(); ++i) {
    if (known.labels[i] >= std::ssize(groups)) continue;
    if (groups[known.labels[i]] == groups[known.predicted[i]]) ++n_right;
  }
  return static_cast<double>(n_right) / static_cast<double>(known.labels.size());
}

double unsupervised_classification_accuracy(const Posterior& posterior) {
  const Predictions known = known_predictions(posterior);
  return unsupervised_clustering_accuracy(known.labels, known.predicted).accuracy;
}

}  // namespace scvi
