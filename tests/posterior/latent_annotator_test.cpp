#include "scvi/posterior/latent_annotator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "posterior/example.hpp"
#include "scvi/core/error.hpp"
#include "scvi/metric/baseline_accuracy.hpp"
#include "scvi/posterior/metrics.hpp"
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

/// The same cells, with the labels of those at odd positions hidden, or another for all.
Example with_labels(const Example& cells, const std::function<std::int64_t(std::int64_t)>& label_of) {
  auto dataset = std::make_shared<GeneExpressionDataset>(*cells.dataset);
  std::vector<std::int64_t> labels;
  for (std::int64_t cell = 0; cell < dataset->nb_cells(); ++cell) labels.push_back(label_of(cell));
  dataset->initialize_cell_attribute({.name = "labels", .values = std::move(labels), .missing = {}}, true);
  Example result = cells;
  result.dataset = dataset;
  return result;
}

TEST(LatentAnnotator, LeavesCellsWithoutALabelOut) {
  const Example cells = example();
  const auto& labels = cells.dataset->labels();
  const Example partly = with_labels(cells, [&](std::int64_t cell) { return cell % 2 == 0 ? labels[cell] : -1; });
  const Posterior known = every_second(cells, 0), hidden = every_second(cells, 1);
  const Posterior all = partly.posterior({.seed = 5});
  for (const BaselineAnnotator& annotator : baseline_annotators()) {
    const LatentAnnotator learned(annotator.kind, all);
    EXPECT_EQ(learned.predict(hidden), LatentAnnotator(annotator.kind, known).predict(hidden)) << annotator.name;
    EXPECT_EQ(learned.accuracy(all).unweighted, learned.accuracy(known).unweighted);
    EXPECT_THROW(learned.accuracy(all.with_indices({1, 3, 5})), InputError);
  }
  EXPECT_NE(LatentAnnotator::why_impossible(Kind::svm, all.with_indices({1, 3, 5, 7, 9, 11})), "");
  EXPECT_EQ(nn_latentspace(all, all), nn_latentspace(known, known));
}

TEST(LatentAnnotator, TellsSharesOfTheLabels) {
  const Example cells = example();
  const Posterior train = every_second(cells, 0), test = every_second(cells, 1);
  for (const Kind kind : {Kind::nearest_neighbors, Kind::random_forest}) {
    const ToldLabels told = LatentAnnotator(kind, train).tell(test);
    ASSERT_EQ(told.probabilities.n_cells, 150);
    ASSERT_EQ(told.probabilities.n_columns, 3);
    for (std::size_t i = 0; i < 150; ++i) {
      const float* row = &told.probabilities.values[3 * i];
      EXPECT_NEAR(row[0] + row[1] + row[2], 1, 1e-6);
      EXPECT_EQ(*std::max_element(row, row + 3), row[told.labels[i]]);
    }
  }
  EXPECT_TRUE(LatentAnnotator(Kind::svm, train).tell(test).probabilities.values.empty());
}

TEST(LatentAnnotator, ReadsTheLibrarySizeIfAsked) {
  const Example cells = example();
  const Posterior train = every_second(cells, 0), test = every_second(cells, 1);
  const Latent latent = train.get_latent();
  const CellArray library = train.get_library();
  // As one more dimension.
  std::vector<float> joined;
  for (std::int64_t i = 0; i < latent.z.n_cells; ++i) {
    joined.insert(joined.end(), latent.z.values.begin() + 3 * i, latent.z.values.begin() + 3 * (i + 1));
    joined.push_back(library.values[i]);
  }
  const Points points{std::span<const float>(joined), latent.z.n_cells, 4};
  EXPECT_EQ(LatentAnnotator(Kind::nearest_neighbors, train, true).predict(train),
            knn_classify({points, latent.labels}, points));
}

TEST(PosteriorMetrics, LeaveCellsWithoutALabelOut) {
  const Example cells = example();
  const auto& labels = cells.dataset->labels();
  const Example partly = with_labels(cells, [&](std::int64_t cell) { return cell % 2 == 0 ? labels[cell] : -1; });
  const Posterior all = partly.posterior({.seed = 5}), known = every_second(cells, 0);
  for (const std::string name : {"ari", "nmi", "uca", "silhouette", "knn_purity"}) {
    EXPECT_EQ(posterior_metric(name).compute(all), posterior_metric(name).compute(known)) << name;
    EXPECT_NE(posterior_metric(name).why_undefined(all.with_indices({1, 3, 5, 7})), "") << name;
  }
  EXPECT_EQ(clustering_scores(all).ari, clustering_scores(known).ari);
  const Example none = with_labels(cells, [](std::int64_t) { return -1; });
  EXPECT_NE(posterior_metric("ari").why_undefined(none.posterior()), "");
}

}  // namespace
}  // namespace scvi
