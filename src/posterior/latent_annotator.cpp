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

LabelledPoints labelled(const Latent& latent) {
  return {points_of(latent.z), latent.labels};
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
  std::map<std::int64_t, std::int64_t> sizes;
  for (const std::int64_t cell : train.indices()) ++sizes[train.gene_dataset().labels()[cell]];
  if (sizes.size() < 2)
    return "it learns to tell labels apart, and the train cells have fewer than two (--labels-key)";
  const auto n_votes = KnnClassifierOptions{}.k, n_folds = SvmOptions{}.n_folds;
  if (kind == BaselineAnnotator::Kind::nearest_neighbors)
    return train.nb_cells() < n_votes ? "it needs at least " + std::to_string(n_votes) + " train cells" : "";
  const bool is_enough = std::ranges::any_of(sizes, [&](const auto& size) { return size.second >= n_folds; });
  return is_enough ? "" : "no label has " + std::to_string(n_folds) + " train cells, as cross-validation needs";
}

LatentAnnotator::LatentAnnotator(BaselineAnnotator::Kind kind, const Posterior& train) {
  const std::string problem = why_impossible(kind, train);
  if (!problem.empty()) throw InputError({.problem = "cannot learn: " + problem, .field = "annotator"});
  const auto latent = std::make_shared<const Latent>(train.get_latent());
  if (kind == BaselineAnnotator::Kind::nearest_neighbors) {
    predict_ = [latent](const Points& points) { return knn_classify(labelled(*latent), points); };
  } else if (kind == BaselineAnnotator::Kind::svm) {
    const auto machine = std::make_shared<const SvmClassifier>(labelled(*latent));
    predict_ = [machine](const Points& points) { return machine->predict(points); };
  } else {
    RandomForestOptions options;
    options.seed = train.options().seed;
    const auto forest = std::make_shared<const RandomForestClassifier>(labelled(*latent), options);
    predict_ = [forest](const Points& points) { return forest->predict(points); };
  }
}

std::vector<std::int64_t> LatentAnnotator::predict(const Posterior& cells) const {
  return predict_(points_of(cells.get_latent().z));
}

Accuracy LatentAnnotator::accuracy(const Posterior& cells) const {
  const Latent latent = cells.get_latent();
  return accuracy_of(latent.labels, predict_(points_of(latent.z)));
}

double nn_latentspace(const Posterior& train, const Posterior& test) {
  const Latent known = train.get_latent(), asked = test.get_latent();
  return accuracy_of(asked.labels, knn_classify(labelled(known), points_of(asked.z))).unweighted;
}

}  // namespace scvi
