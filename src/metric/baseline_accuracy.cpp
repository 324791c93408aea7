#include "scvi/metric/baseline_accuracy.hpp"

#include <utility>

namespace scvi {
namespace {

/// @param predict gives the labels of points
template <class Predict>
BaselineAccuracy accuracy_by(Predict predict, const LabelledPoints& train, const LabelledPoints& test) {
  BaselineAccuracy result{
      .train = accuracy_of(train.labels, predict(train.points)), .test = {}, .predicted_test = {}};
  result.predicted_test = predict(test.points);
  result.test = accuracy_of(test.labels, result.predicted_test);
  return result;
}

}  // namespace

BaselineAccuracy compute_accuracy_nn(const LabelledPoints& train, const LabelledPoints& test, std::int64_t k) {
  const KnnClassifierOptions options{.k = k, .weights = NeighborWeights::distance};
  return accuracy_by([&](const Points& points) { return knn_classify(train, points, options); }, train, test);
}

BaselineAccuracy compute_accuracy_svc(const LabelledPoints& train, const LabelledPoints& test,
                                      const SvmOptions& options) {
  const SvmClassifier classifier(train, options);
  return accuracy_by([&](const Points& points) { return classifier.predict(points); }, train, test);
}

BaselineAccuracy compute_accuracy_rf(const LabelledPoints& train, const LabelledPoints& test,
                                     const RandomForestOptions& options) {
  const RandomForestClassifier classifier(train, options);
  return accuracy_by([&](const Points& points) { return classifier.predict(points); }, train, test);
}

}  // namespace scvi
