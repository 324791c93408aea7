#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "scvi/core/settings.hpp"
#include "scvi/metric/labelled_points.hpp"

namespace scvi {

class DecisionForest;

struct RandomForestParameters {
  std::int64_t max_depth = 0;  ///< splits between the root of a tree and a leaf
  std::int64_t n_trees = 0;
  bool operator==(const RandomForestParameters&) const = default;
};

/// The defaults are what scVI's compute_accuracy_rf tries.
struct RandomForestOptions {
  // Of all pairs of the two lists the one with the largest accuracy in cross-validation is taken: of equals, that
  // with the earlier depth, then with the earlier number of trees. A single pair is taken without.
  std::vector<std::int64_t> max_depths = {3, 4, 5, 6, 7, 8, 9};  ///< each from 1 to 62
  std::vector<std::int64_t> n_trees = {10, 50, 100, 200};
  std::int64_t n_folds = 3;  ///< of the cross-validation; the same share of each class in each, without shuffling
  std::uint64_t seed = settings().seed;
};

/// A random forest (Breiman 2001) with scikit-learn's defaults: each tree on as many points as there are, drawn with
/// replacement; each split the one with the least Gini impurity along sqrt(n_columns) random columns; trees vote with
/// the shares of the classes in their leaves. The result does not depend on the number of threads.
///
/// It is our own because no library at hand fits: mlpack and a classifying dlib are not in Debian 12, and OpenCV's is
/// as good but brings OpenBLAS, OpenGL and X11 into programs that need none of them, lets each tree vote for one
/// class only, and has to grow every forest of the grid anew, on one thread. Here the whole grid costs one forest,
/// its largest.
class RandomForestClassifier {
 public:
  /// @throws InputError without points, when sizes do not fit, for values not finite, for options out of range, and
  ///         when no class has as many points as there are folds; Interrupted
  explicit RandomForestClassifier(const LabelledPoints& train, const RandomForestOptions& options = {});
  ~RandomForestClassifier();
  RandomForestClassifier(RandomForestClassifier&&) noexcept;
  RandomForestClassifier& operator=(RandomForestClassifier&&) noexcept;

  /// The most probable label of each point; of equals, the smallest.
  /// @throws InputError for another number of columns, and for values not finite; Interrupted
  std::vector<std::int64_t> predict(const Points& points) const;
  /// (n, n_classes) mean over trees of the shares of the classes, which are in ascending order. @throws as predict()
  std::vector<double> predict_probabilities(const Points& points) const;

  /// Those it was trained with in the end.
  const RandomForestParameters& parameters() const { return parameters_; }
  /// (n_depths, n_numbers_of_trees) mean accuracy over folds; empty for a single pair.
  const std::vector<double>& grid_scores() const { return grid_scores_; }
  const std::vector<std::int64_t>& classes() const { return classes_; }

 private:
  RandomForestParameters parameters_;
  std::vector<double> grid_scores_;
  std::vector<std::int64_t> classes_;
  std::int64_t dim_ = 0;
  std::unique_ptr<const DecisionForest> forest_;
};

}  // namespace scvi
