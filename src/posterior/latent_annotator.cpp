#include "scvi/posterior/latent_annotator.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include "points_of.hpp"
#include "scvi/core/error.hpp"
#include "scvi/metric/knn_classifier.hpp"
#include "scvi/metric/random_forest.hpp"
#include "scvi/metric/svm_classifier.hpp"

namespace scvi {
namespace {

/// What is learned from: the latent mean, with the library size behind it if wished.
CellArray features_of(const Posterior& cells, bool with_library) {
  const Posterior unlabelled = cells.with_hidden_labels();
  CellArray z = unlabelled.get_latent().z;
  if (!with_library) return z;
  const CellArray library = unlabelled.get_library();
  CellArray joined{.n_cells = z.n_cells, .n_columns = z.n_columns + 1, .values = {}};
  joined.values.reserve(z.values.size() + library.values.size());
  for (std::int64_t cell = 0; cell < z.n_cells; ++cell) {
    const auto first = z.values.begin() + cell * z.n_columns;
    joined.values.insert(joined.values.end(), first, first + z.n_columns);
    joined.values.push_back(library.values[static_cast<std::size_t>(cell)]);
  }
  return joined;
}

std::vector<std::int64_t> labels_of(const Posterior& cells) {
  std::vector<std::int64_t> labels;
  for (const std::int64_t cell : cells.indices()) labels.push_back(cells.gene_dataset().labels()[cell]);
  return labels;
}

/// Cells that teach, with their labels.
struct Lesson {
  CellArray features;
  std::vector<std::int64_t> labels;
  std::int64_t n_labels = 0;
  LabelledPoints points() const { return {points_of(features), labels}; }
};

Lesson lesson_of(const Posterior& train, bool with_library) {
  const Posterior labelled = train.with_known_labels();
  return {.features = features_of(labelled, with_library),
          .labels = labels_of(labelled),
          .n_labels = train.gene_dataset().n_labels()};
}

/// The most probable label of each point, and the shares with a column for each label of the data set.
/// @param shares (n, classes.size())
ToldLabels told_by(const std::vector<double>& shares, const std::vector<std::int64_t>& classes,
                   std::int64_t n_labels) {
  const auto n_classes = std::ssize(classes);
  ToldLabels told;
  told.probabilities = {.n_cells = std::ssize(shares) / n_classes, .n_columns = n_labels, .values = {}};
  told.probabilities.values.resize(static_cast<std::size_t>(told.probabilities.n_cells * n_labels));
  for (std::int64_t i = 0; i < told.probabilities.n_cells; ++i) {
    const auto row = shares.begin() + i * n_classes;
    told.labels.push_back(classes[static_cast<std::size_t>(std::max_element(row, row + n_classes) - row)]);
    for (std::int64_t j = 0; j < n_classes; ++j) {
      told.probabilities.values[static_cast<std::size_t>(i * n_labels + classes[static_cast<std::size_t>(j)])] =
          static_cast<float>(row[j]);
    }
  }
  return told;
}

}  // namespace

const std::vector<BaselineAnnotator>& baseline_annotators() {
  using Kind = BaselineAnnotator::Kind;
  static const std::vector<BaselineAnnotator> annotators = {
      {"knn_accuracy", Kind::nearest_neighbors,
       "share of the labels told by the 5 nearest train cells in the latent space"},
      {"svm_accuracy", Kind::svm, "share told by a support vector machine that learned from the train cells"},
      {"random_forest_accuracy", Kind::random_forest,
       "share told by a random forest that learned from the train cells"}};
  return annotators;
}

std::string LatentAnnotator::why_impossible(BaselineAnnotator::Kind kind, const Posterior& train) {
  if (!train.model().hyperparameters().contains("n_latent")) return "the model has no latent space";
  std::map<std::int64_t, std::int64_t> sizes;
  std::int64_t n_labelled = 0;
  for (const std::int64_t label : labels_of(train)) {
    if (label < 0) continue;
    ++sizes[label];
    ++n_labelled;
  }
  if (sizes.size() < 2)
    return "it learns to tell labels apart, and the train cells have fewer than two (--labels-key)";
  const auto n_votes = KnnClassifierOptions{}.k, n_folds = SvmOptions{}.n_folds;
  if (kind == BaselineAnnotator::Kind::nearest_neighbors)
    return n_labelled < n_votes ? "it needs at least " + std::to_string(n_votes) + " train cells with a label" : "";
  const bool is_enough = std::ranges::any_of(sizes, [&](const auto& size) { return size.second >= n_folds; });
  return is_enough ? "" : "no label has " + std::to_string(n_folds) + " train cells, as cross-validation needs";
}

LatentAnnotator::LatentAnnotator(BaselineAnnotator::Kind kind, const Posterior& train, bool with_library)
    : with_library_(with_library) {
  const std::string problem = why_impossible(kind, train);
  if (!problem.empty()) throw InputError({.problem = "cannot learn: " + problem, .field = "annotator"});
  const auto lesson = std::make_shared<const Lesson>(lesson_of(train, with_library));
  if (kind == BaselineAnnotator::Kind::nearest_neighbors) {
    tell_ = [lesson](const Points& points) {
      const NeighborVotes votes = knn_votes(lesson->points(), points);
      return told_by(votes.shares, votes.classes, lesson->n_labels);
    };
  } else if (kind == BaselineAnnotator::Kind::svm) {
    const auto machine = std::make_shared<const SvmClassifier>(lesson->points());
    tell_ = [machine](const Points& points) { return ToldLabels{machine->predict(points), {}}; };
  } else {
    RandomForestOptions options;
    options.seed = train.options().seed;
    const auto forest = std::make_shared<const RandomForestClassifier>(lesson->points(), options);
    tell_ = [forest, n_labels = lesson->n_labels](const Points& points) {
      return told_by(forest->predict_probabilities(points), forest->classes(), n_labels);
    };
  }
}

ToldLabels LatentAnnotator::tell(const Posterior& cells) const {
  const CellArray features = features_of(cells, with_library_);
  return tell_(points_of(features));
}

Accuracy LatentAnnotator::accuracy(const Posterior& cells) const {
  const Posterior labelled = cells.with_known_labels();
  if (labelled.nb_cells() == 0)
    throw InputError({.problem = "holds no cell whose label is known, so nothing can be compared",
                      .field = "posterior '" + cells.options().name + "'"});
  return accuracy_of(labels_of(labelled), predict(labelled));
}

double nn_latentspace(const Posterior& train, const Posterior& test) {
  const Lesson known = lesson_of(train, /*with_library=*/false), asked = lesson_of(test, /*with_library=*/false);
  return accuracy_of(asked.labels, knn_classify(known.points(), asked.points().points)).unweighted;
}

}  // namespace scvi
