#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "scvi/metric/labelled_points.hpp"

namespace scvi {

enum class SvmKernel {
  linear,  ///< x . y
  rbf      ///< exp(-gamma |x - y|^2)
};

struct SvmParameters {
  SvmKernel kernel = SvmKernel::linear;
  double cost = 1;   ///< C: what a training point on the wrong side costs. Larger: fits these more closely
  double gamma = 0;  ///< of rbf: larger, the nearer the points that count. Ignored by linear
  bool operator==(const SvmParameters&) const = default;
};

/// What scVI's compute_accuracy_svc tries, in its order: linear with C 1, 10, 100, 1000; rbf with each of these C and
/// gamma 0.001 and 0.0001.
std::vector<SvmParameters> default_svm_grid();

struct SvmOptions {
  /// Of these the one with the largest accuracy in cross-validation is taken (the first of equals). A single one is
  /// taken without.
  std::vector<SvmParameters> grid = default_svm_grid();
  std::int64_t n_folds = 3;  ///< of the cross-validation; the same share of each class in each, without shuffling
  double tolerance = 1e-3;   ///< at which the optimisation ends
};

/// A support vector machine (libsvm), one against one where there are more than two classes; as scikit-learn's
/// GridSearchCV(SVC(), ...), which is libsvm, too. Where there is one class only, it is always predicted. The result
/// does not depend on the number of threads.
///
/// Training takes time between n^2 and n^3, longest with a large cost and classes that overlap: a machine that is not
/// done after ten million steps is taken as it is, and libsvm says so on standard error. Each thread keeps up to 100
/// MB of products of points.
class SvmClassifier {
 public:
  /// @throws InputError without points, when sizes do not fit, for values not finite, for options out of range, and
  ///         when no class has as many points as there are folds; Interrupted
  explicit SvmClassifier(const LabelledPoints& train, const SvmOptions& options = {});
  ~SvmClassifier();
  SvmClassifier(SvmClassifier&&) noexcept;
  SvmClassifier& operator=(SvmClassifier&&) noexcept;

  /// The label of each point. @throws InputError for another number of columns, and for values not finite;
  /// Interrupted
  std::vector<std::int64_t> predict(const Points& points) const;

  /// Those it was trained with in the end.
  const SvmParameters& parameters() const { return parameters_; }
  /// Mean accuracy over folds of each entry of the grid; empty for a single one.
  const std::vector<double>& grid_scores() const { return grid_scores_; }

 private:
  class Machine;

  SvmParameters parameters_;
  std::vector<double> grid_scores_;
  std::vector<std::int64_t> classes_;
  std::int64_t dim_ = 0;
  std::unique_ptr<Machine> machine_;
};

}  // namespace scvi
