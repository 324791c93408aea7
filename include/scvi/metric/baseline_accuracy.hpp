#pragma once

#include <cstdint>
#include <vector>

#include "scvi/metric/accuracy.hpp"
#include "scvi/metric/knn_classifier.hpp"
#include "scvi/metric/random_forest.hpp"
#include "scvi/metric/svm_classifier.hpp"

namespace scvi {

/// How well a plain classifier tells the labels of cells.
struct BaselineAccuracy {
  Accuracy train;                            ///< of the cells that it learned from
  Accuracy test;                             ///< of the others
  std::vector<std::int64_t> predicted_test;  ///< the label it gives each of the others
};

// Learn from some cells and predict them and others: the baseline annotators of scVI, under its names.
// @throws InputError without cells, when sizes do not fit, for values not finite, and as the classifiers; Interrupted

/// The vote of the k nearest neighbours, weighted by 1 / distance.
BaselineAccuracy compute_accuracy_nn(const LabelledPoints& train, const LabelledPoints& test, std::int64_t k = 5);

/// A support vector machine, its parameters found by cross-validation.
BaselineAccuracy compute_accuracy_svc(const LabelledPoints& train, const LabelledPoints& test,
                                      const SvmOptions& options = {});

/// A random forest, its parameters found by cross-validation.
BaselineAccuracy compute_accuracy_rf(const LabelledPoints& train, const LabelledPoints& test,
                                     const RandomForestOptions& options = {});

}  // namespace scvi
