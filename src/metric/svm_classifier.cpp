#include "scvi/metric/svm_classifier.hpp"

#include <svm.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <span>
#include <string>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "training_points.hpp"

namespace scvi {
namespace {

/// libsvm calls this every thousand steps, so that a training which takes hours can be stopped: what libsvm has
/// allocated is lost then.
void on_libsvm_progress(const char*) {
  throw_if_interrupted();
}

/// libsvm keeps the function that it reports to for the whole program; by default it prints.
void silence_libsvm() {
  static std::once_flag once;
  std::call_once(once, [] { svm_set_print_string_function(on_libsvm_progress); });
}

/// One point as libsvm takes it: its values but zeros, and an end.
void append_nodes(const double* row, std::int64_t dim, std::vector<svm_node>& nodes) {
  constexpr int kEnd = -1;
  for (std::int64_t d = 0; d < dim; ++d)
    if (row[d] != 0) nodes.push_back({.index = static_cast<int>(d + 1), .value = row[d]});
  nodes.push_back({.index = kEnd, .value = 0});
}

void check(const SvmOptions& options) {
  if (options.grid.empty()) throw InputError({.problem = "is empty", .field = "grid of SVM parameters"});
  for (const SvmParameters& parameters : options.grid) {
    const bool gamma_counts = parameters.kernel == SvmKernel::rbf;
    if (!std::isfinite(parameters.cost) || parameters.cost <= 0 ||
        (gamma_counts && (!std::isfinite(parameters.gamma) || parameters.gamma <= 0)))
      throw InputError({.problem = "are " + std::to_string(parameters.cost) + " and " +
                                   std::to_string(parameters.gamma) + ", but must be above 0",
                        .field = "cost and gamma of the SVM"});
  }
  if (!std::isfinite(options.tolerance) || options.tolerance <= 0)
    throw InputError({.problem = "is " + std::to_string(options.tolerance) + ", but must be above 0",
                      .field = "tolerance of the SVM"});
}

/// libsvm counts points and columns in int.
void check_size(const TrainingPoints& cells) {
  constexpr std::int64_t kMost = std::numeric_limits<int>::max() - 1;
  if (cells.n > kMost || cells.dim > kMost)
    throw InputError({.problem = "are " + std::to_string(cells.n) + " cells with " + std::to_string(cells.dim) +
                                 " columns, more than an SVM can take",
                      .field = "cells to learn from"});
}

/// The points in the order of their classes, so that libsvm numbers these as they are: its votes go to the first of
/// equal classes. Each machine of two classes sees the same points in the same order as before.
std::vector<std::int64_t> by_class(const TrainingPoints& cells) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(cells.n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return cells.codes[a] < cells.codes[b]; });
  return order;
}

}  // namespace

/// libsvm's model with the points that it refers to.
class SvmClassifier::Machine {
 public:
  Machine(const TrainingPoints& cells, const SvmParameters& parameters, double tolerance) {
    silence_libsvm();
    std::vector<std::size_t> starts;
    for (const std::int64_t point : by_class(cells)) {
      starts.push_back(nodes_.size());
      append_nodes(cells.row(point), cells.dim, nodes_);
      codes_.push_back(static_cast<double>(cells.codes[point]));
    }
    for (const std::size_t start : starts) rows_.push_back(nodes_.data() + start);
    const svm_problem problem{.l = static_cast<int>(cells.n), .y = codes_.data(), .x = rows_.data()};
    constexpr double kCacheMegabytes = 100;
    svm_parameter wanted{};
    wanted.svm_type = C_SVC;
    wanted.kernel_type = parameters.kernel == SvmKernel::linear ? LINEAR : RBF;
    wanted.gamma = parameters.gamma;
    wanted.C = parameters.cost;
    wanted.eps = tolerance;
    wanted.cache_size = kCacheMegabytes;
    wanted.shrinking = 1;
    model_ = svm_train(&problem, &wanted);
  }
  ~Machine() { svm_free_and_destroy_model(&model_); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// @param scratch overwritten
  std::int64_t code_of(const double* row, std::int64_t dim, std::vector<svm_node>& scratch) const {
    scratch.clear();
    append_nodes(row, dim, scratch);
    return static_cast<std::int64_t>(svm_predict(model_, scratch.data()));
  }

 private:
  std::vector<svm_node> nodes_;
  std::vector<svm_node*> rows_;
  std::vector<double> codes_;
  svm_model* model_ = nullptr;
};

std::vector<SvmParameters> default_svm_grid() {
  std::vector<SvmParameters> grid;
  for (const double cost : {1, 10, 100, 1000}) grid.push_back({.kernel = SvmKernel::linear, .cost = cost});
  for (const double cost : {1, 10, 100, 1000})
    for (const double gamma : {0.001, 0.0001})
      grid.push_back({.kernel = SvmKernel::rbf, .cost = cost, .gamma = gamma});
  return grid;
}

SvmClassifier::SvmClassifier(const LabelledPoints& train, const SvmOptions& options) {
  check(options);
  const TrainingPoints cells(train);
  check_size(cells);
  if (options.grid.size() > 1) {
    const std::vector<Fold> folds = stratified_folds(cells, options.n_folds);
    const std::int64_t n_folds = std::ssize(folds);
    std::vector<double> scores(options.grid.size() * folds.size());
    parallel_for(std::ssize(scores), 1, [&](std::int64_t begin, std::int64_t) {
      throw_if_interrupted();
      const Fold& fold = folds[begin % n_folds];
      const Machine machine(cells.subset(fold.learned), options.grid[begin / n_folds], options.tolerance);
      std::vector<svm_node> scratch;
      double right = 0;
      for (const std::int64_t point : fold.predicted)
        right += machine.code_of(cells.row(point), cells.dim, scratch) == cells.codes[point];
      scores[begin] = right / static_cast<double>(fold.predicted.size());
    });
    grid_scores_ = mean_over_folds(scores, n_folds);
  }
  parameters_ = options.grid[grid_scores_.empty() ? 0 : place_of_best(grid_scores_)];
  machine_ = std::make_unique<Machine>(cells, parameters_, options.tolerance);
  classes_ = cells.classes;
  dim_ = cells.dim;
}

SvmClassifier::~SvmClassifier() = default;
SvmClassifier::SvmClassifier(SvmClassifier&&) noexcept = default;
SvmClassifier& SvmClassifier::operator=(SvmClassifier&&) noexcept = default;

std::vector<std::int64_t> SvmClassifier::predict(const Points& points) const {
  constexpr std::int64_t kPointsAtOnce = 64;
  const std::vector<double> rows = rows_to_classify(points, dim_);
  std::vector<std::int64_t> predicted(static_cast<std::size_t>(points.n()));
  parallel_for(points.n(), kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    std::vector<svm_node> scratch;
    for (std::int64_t i = begin; i < end; ++i)
      predicted[i] = classes_[machine_->code_of(rows.data() + i * dim_, dim_, scratch)];
  });
  return predicted;
}

}  // namespace scvi
