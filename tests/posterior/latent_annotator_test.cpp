#include "scvi/posterior/latent_annotator.hpp"

#include <gtest/gtest.h>

#include "posterior/example.hpp"
#include "scvi/core/error.hpp"
#include "scvi/metric/baseline_accuracy.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using Indices = std::vector<std::int64_t>;
using Kind = BaselineAnnotator::Kind;
using testing::Example;
using testing::example;

Posterior every_second(const Example& cells, std::int64_t first) {
  Indices indices;
  for (std::int64_t cell = first; cell < cells.dataset->nb_cells(); cell += 2) indices.push_back(cell);
  return cells.posterior({.seed = 5}).with_indices(indices);
}

LabelledPoints labelled(const Latent& latent) {
  return {Points(std::span(latent.z.values), latent.z.n_cells, latent.z.n_columns), latent.labels};
}

TEST(LatentAnnotator, PredictsAsTheClassifiersOfTheLatentSpace) {
  const Example cells = example();
  const Posterior train = every_second(cells, 0), test = every_second(cells, 1);
  const Latent known = train.get_latent(), asked = test.get_latent();
  const Points points = labelled(asked).points;
  EXPECT_EQ(LatentAnnotator(Kind::nearest_neighbors, train).predict(test), knn_classify(labelled(known), points));
  EXPECT_EQ(LatentAnnotator(Kind::svm, train).predict(test), SvmClassifier(labelled(known)).predict(points));
  RandomForestOptions options;
  options.seed = 5;
  EXPECT_EQ(LatentAnnotator(Kind::random_forest, train).predict(test),
            RandomForestClassifier(labelled(known), options).predict(points));
}

TEST(LatentAnnotator, IsJudgedByTheLabelsOfTheDataSet) {
  const Example cells = example();
  const Posterior train = every_second(cells, 0), test = every_second(cells, 1);
  for (const BaselineAnnotator& annotator : baseline_annotators()) {
    const LatentAnnotator learned(annotator.kind, train);
    const Accuracy accuracy = learned.accuracy(test);
    EXPECT_EQ(accuracy.unweighted, accuracy_of(test.get_latent().labels, learned.predict(test)).unweighted);
    EXPECT_GT(accuracy.unweighted, 0.5) << annotator.name;  // even random weights keep kinds apart
  }
}

TEST(LatentAnnotator, NearestNeighborsAreThoseOfNnLatentspace) {
  const Example cells = example();
  const Posterior train = every_second(cells, 0), test = every_second(cells, 1);
  EXPECT_EQ(nn_latentspace(train, test), LatentAnnotator(Kind::nearest_neighbors, train).accuracy(test).unweighted);
}

TEST(LatentAnnotator, DoesNotDependOnThreads) {
  const Example cells = example();
  const auto predicted_by = [&](int n, Kind kind) {
    const testing::WithThreads threads(n);
    return LatentAnnotator(kind, every_second(cells, 0)).predict(every_second(cells, 1));
  };
  for (const BaselineAnnotator& annotator : baseline_annotators())
    EXPECT_EQ(predicted_by(1, annotator.kind), predicted_by(3, annotator.kind)) << annotator.name;
}

TEST(LatentAnnotator, SaysWhyItCannotLearn) {
  const Example cells = example();
  const auto& labels = cells.dataset->labels();
  Indices of_one, one_of_each;
  for (std::int64_t cell = 0; cell < cells.dataset->nb_cells(); ++cell) {
    if (labels[cell] == 0) of_one.push_back(cell);
    if (labels[cell] == std::ssize(one_of_each)) one_of_each.push_back(cell);
  }
  const auto why = [&](Kind kind, const Indices& indices) {
    return LatentAnnotator::why_impossible(kind, cells.posterior().with_indices(indices));
  };
  for (const Kind kind : {Kind::nearest_neighbors, Kind::svm, Kind::random_forest}) {
    EXPECT_NE(why(kind, of_one), "");
    EXPECT_NE(why(kind, one_of_each), "");
    EXPECT_NE(why(kind, {}), "");
    EXPECT_EQ(LatentAnnotator::why_impossible(kind, cells.posterior()), "");
  }
  EXPECT_THROW(LatentAnnotator(Kind::svm, cells.posterior().with_indices(of_one)), InputError);
  EXPECT_THROW(LatentAnnotator(Kind::svm, cells.posterior()).accuracy(cells.posterior().with_indices({})),
               InputError);
}

}  // namespace
}  // namespace scvi
