#pragma once

#include <cstdint>
#include <vector>

#include "scvi/metric/accuracy.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi {

// What scVI's AnnotationPosterior says of the labels that a model tells (VAEC, SCANVI, CellClassifier). All throw
// InputError for a model that tells no labels, as Posterior::get_label_probabilities() does.

/// What is told of the labels of cells, in the order of the posterior's indices.
struct ToldLabels {
  std::vector<std::int64_t> labels;  ///< the most probable of each cell; the first of several
  CellArray probabilities;           ///< (cells, n_labels) of each label; empty where none are told
};

/// What the model tells.
ToldLabels tell_labels(const Posterior& posterior);

/// The labels of cells and what the model takes them for, in the order of the posterior's indices.
struct Predictions {
  std::vector<std::int64_t> labels;     ///< those of the data set; negative where hidden
  std::vector<std::int64_t> predicted;  ///< the most probable ones; the first of several
};

/// scVI's compute_predictions(); its soft=True is Posterior::get_label_probabilities().
Predictions compute_predictions(const Posterior& posterior);

/// How often the model is right about the cells whose label is known.
/// @throws InputError when none is known, as the two below
Accuracy annotation_accuracy(const Posterior& posterior);

/// Share of the cells whose label's group is that of the predicted label. (scVI 0.6.3 computes this, and returns the
/// plain accuracy.)
/// @throws InputError when the model knows no labels_groups
double hierarchical_accuracy(const Posterior& posterior);

/// Share of the cells that are right under the best matching of predicted labels with labels.
double unsupervised_classification_accuracy(const Posterior& posterior);

}  // namespace scvi
