#include "scvi/metric/random_forest.hpp"

#include <algorithm>
#include <span>
#include <string>

#include "decision_forest.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "training_points.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kPointsAtOnce = 64;

void check(const RandomForestOptions& options) {
  if (options.max_depths.empty() || options.n_trees.empty())
    throw InputError({.problem = "are empty", .field = "depths or numbers of trees"});
  for (const std::int64_t depth : options.max_depths)
    if (depth < 1 || depth > DecisionForest::kMostDepth)
      throw InputError({.problem = "is " + std::to_string(depth) + ", but must be from 1 to " +
                                   std::to_string(DecisionForest::kMostDepth),
                        .field = "depth of the random forest"});
  for (const std::int64_t count : options.n_trees)
    if (count < 1)
      throw InputError(
          {.problem = "is " + std::to_string(count) + ", but must be at least 1", .field = "number of trees"});
}

std::int64_t largest(const std::vector<std::int64_t>& values) {
  return *std::max_element(values.begin(), values.end());
}

/// Adds a tree's shares to the sums of a point.
void add_shares(std::span<const float> shares, std::vector<double>& sums) {
  for (std::size_t c = 0; c < sums.size(); ++c) sums[c] += static_cast<double>(shares[c]);
}

/// Adds 1 to `right` for each depth and number of trees by which the point gets its label.
void judge(const DecisionForest& forest, const double* point, std::int64_t code, std::int64_t n_classes,
           const RandomForestOptions& options, std::span<double> right) {
  const std::size_t n_counts = options.n_trees.size();
  for (std::size_t d = 0; d < options.max_depths.size(); ++d) {
    std::vector<double> sums(static_cast<std::size_t>(n_classes));
    for (std::int64_t tree = 0; tree < forest.n_trees(); ++tree) {
      add_shares(forest.shares(tree, point, options.max_depths[d]), sums);
      for (std::size_t i = 0; i < n_counts; ++i)
        if (options.n_trees[i] == tree + 1)
          right[d * n_counts + i] += std::max_element(sums.begin(), sums.end()) - sums.begin() == code;
    }
  }
}

/// Accuracy on a fold of each entry of the grid.
std::vector<double> fold_scores(const TrainingPoints& cells, const Fold& fold, const RandomForestOptions& options) {
  const DecisionForest forest(cells.subset(fold.learned), largest(options.n_trees), largest(options.max_depths),
                              options.seed);
  const auto n_predicted = std::ssize(fold.predicted);
  const std::size_t n_entries = options.max_depths.size() * options.n_trees.size();
  std::vector<std::vector<double>> parts(static_cast<std::size_t>(chunk_count(n_predicted, kPointsAtOnce)));
  parallel_for(n_predicted, kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    auto& right = parts[begin / kPointsAtOnce];
    right.assign(n_entries, 0);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t point = fold.predicted[i];
      judge(forest, cells.row(point), cells.codes[point], cells.n_classes(), options, right);
    }
  });
  std::vector<double> scores(n_entries);
  for (const auto& part : parts)
    for (std::size_t entry = 0; entry < n_entries; ++entry) scores[entry] += part[entry];
  for (double& score : scores) score /= static_cast<double>(n_predicted);
  return scores;
}

/// Mean over folds of the accuracies of each entry of the grid.
std::vector<double> cross_validated(const TrainingPoints& cells, const RandomForestOptions& options) {
  std::vector<double> means(options.max_depths.size() * options.n_trees.size());
  const std::vector<Fold> folds = stratified_folds(cells, options.n_folds);
  for (const Fold& fold : folds) {
    const std::vector<double> scores = fold_scores(cells, fold, options);
    for (std::size_t entry = 0; entry < means.size(); ++entry) means[entry] += scores[entry];
  }
  for (double& mean : means) mean /= static_cast<double>(folds.size());
  return means;
}

}  // namespace

RandomForestClassifier::RandomForestClassifier(const LabelledPoints& train, const RandomForestOptions& options) {
  check(options);
  const TrainingPoints cells(train);
  if (options.max_depths.size() * options.n_trees.size() > 1) grid_scores_ = cross_validated(cells, options);
  const auto best = grid_scores_.empty() ? 0 : place_of_best(grid_scores_), n_counts = std::ssize(options.n_trees);
  parameters_ = {.max_depth = options.max_depths[best / n_counts], .n_trees = options.n_trees[best % n_counts]};
  forest_ = std::make_unique<DecisionForest>(cells, parameters_.n_trees, parameters_.max_depth, options.seed);
  classes_ = cells.classes;
  dim_ = cells.dim;
}

RandomForestClassifier::~RandomForestClassifier() = default;
RandomForestClassifier::RandomForestClassifier(RandomForestClassifier&&) noexcept = default;
RandomForestClassifier& RandomForestClassifier::operator=(RandomForestClassifier&&) noexcept = default;

std::vector<double> RandomForestClassifier::predict_probabilities(const Points& points) const {
  const std::vector<double> rows = rows_to_classify(points, dim_);
  const std::size_t n_classes = classes_.size();
  std::vector<double> probabilities(static_cast<std::size_t>(points.n()) * n_classes);
  parallel_for(points.n(), kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    for (std::int64_t i = begin; i < end; ++i) {
      std::vector<double> sums(n_classes);
      for (std::int64_t tree = 0; tree < forest_->n_trees(); ++tree)
        add_shares(forest_->shares(tree, rows.data() + i * dim_, parameters_.max_depth), sums);
      for (std::size_t c = 0; c < n_classes; ++c)
        probabilities[i * n_classes + c] = sums[c] / static_cast<double>(forest_->n_trees());
    }
  });
  return probabilities;
}

std::vector<std::int64_t> RandomForestClassifier::predict(const Points& points) const {
  const std::vector<double> probabilities = predict_probabilities(points);
  std::vector<std::int64_t> predicted;
  const auto n_classes = std::ssize(classes_);
  for (auto first = probabilities.begin(); first != probabilities.end(); first += n_classes)
    predicted.push_back(classes_[std::max_element(first, first + n_classes) - first]);
  return predicted;
}

}  // namespace scvi
