#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scvi/metric/labelled_points.hpp"

namespace scvi {

/// What a classifier learns from, in the form in which all of them take it.
struct TrainingPoints {
  std::int64_t n = 0;
  std::int64_t dim = 0;
  std::vector<double> rows;           ///< (n, dim), row-major
  std::vector<std::int64_t> classes;  ///< the values among the labels, ascending
  std::vector<std::int64_t> codes;    ///< (n), positions in `classes`

  /// @throws InputError without points, when points and labels differ in number, and for values not finite
  explicit TrainingPoints(const LabelledPoints& cells);

  /// Some of the points, with the same classes, in the order given.
  TrainingPoints subset(std::span<const std::int64_t> members) const;
  const double* row(std::int64_t point) const { return rows.data() + point * dim; }
  std::int64_t n_classes() const { return std::ssize(classes); }

 private:
  TrainingPoints() = default;
};

/// The rows of points to be classified. @throws InputError unless they have `dim` columns, and for values not finite
std::vector<double> rows_to_classify(const Points& points, std::int64_t dim);

/// A part of the training points that is left out in order to be predicted from the others.
struct Fold {
  std::vector<std::int64_t> learned;    ///< ascending
  std::vector<std::int64_t> predicted;  ///< ascending
};

/// Cuts the training points into folds in which each class has the same share: scikit-learn's StratifiedKFold without
/// shuffling, of version 0.22 on.
/// @throws InputError for less than 2 folds, or when no class has as many points as there are folds
std::vector<Fold> stratified_folds(const TrainingPoints& cells, std::int64_t n_folds);

/// @param scores (n_candidates, n_folds), row-major
std::vector<double> mean_over_folds(const std::vector<double>& scores, std::int64_t n_folds);

/// The position of the largest score, the first of equals.
std::int64_t place_of_best(const std::vector<double>& scores);

}  // namespace scvi
