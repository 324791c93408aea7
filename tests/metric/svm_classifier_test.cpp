#include "scvi/metric/svm_classifier.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "clouds.hpp"
#include "golden_cells.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using Labels = std::vector<std::int64_t>;
using testing::Clouds;
using testing::golden_test;
using testing::golden_train;

const SvmOptions kLinear{.grid = {{.kernel = SvmKernel::linear, .cost = 10}}};

TEST(SvmClassifier, FindsTheParametersOfScikitLearn) {
  const SvmClassifier classifier(golden_train());
  ASSERT_EQ(classifier.grid_scores().size(), testing::kSupportVectorScores.size());
  for (std::size_t i = 0; i < testing::kSupportVectorScores.size(); ++i)
    EXPECT_NEAR(classifier.grid_scores()[i], testing::kSupportVectorScores[i], 1e-12) << i;
  // Two are equally good: the first is taken.
  EXPECT_EQ(classifier.parameters(), (SvmParameters{.kernel = SvmKernel::rbf, .cost = 100, .gamma = 0.001}));
}

TEST(SvmClassifier, PredictsAsScikitLearn) {
  EXPECT_EQ(SvmClassifier(golden_train()).predict(golden_test().points), testing::kSupportVectors);
  const SvmClassifier linear(golden_train(), kLinear);
  EXPECT_EQ(linear.predict(golden_test().points), testing::kSupportVectorsLinear);
  EXPECT_TRUE(linear.grid_scores().empty());
}

TEST(SvmClassifier, DoesNotCareInWhichOrderClassesAreMetNorHowTheyAreNumbered) {
  Labels renamed;
  for (const std::int64_t label : golden_train().labels) renamed.push_back(100 * label - 7);
  Labels expected;
  for (const std::int64_t label : testing::kSupportVectorsLinear) expected.push_back(100 * label - 7);
  const SvmClassifier classifier({golden_train().points, renamed}, kLinear);
  EXPECT_EQ(classifier.predict(golden_test().points), expected);
}

TEST(SvmClassifier, DoesNotDependOnThreads) {
  const auto scores_by = [](int n) {
    const testing::WithThreads threads(n);
    return SvmClassifier(golden_train()).grid_scores();
  };
  EXPECT_EQ(scores_by(1), scores_by(4));
}

TEST(SvmClassifier, SurvivesMovingAndPredictsNothingOfNothing) {
  SvmClassifier first(golden_train(), kLinear);
  const SvmClassifier second = std::move(first);
  EXPECT_EQ(second.predict(golden_test().points), testing::kSupportVectorsLinear);
  EXPECT_TRUE(second.predict(Points(std::span<const double>(), 0, testing::kLatent)).empty());
}

TEST(SvmClassifier, PredictsASingleClass) {
  const Clouds clouds(12, 3, 1, 1);
  const Labels one(12, 4);
  const SvmClassifier classifier({clouds.points(), one});
  EXPECT_EQ(classifier.predict(clouds.points()), one);
  EXPECT_EQ(classifier.grid_scores(), std::vector<double>(12, 1.0));
}

TEST(SvmClassifier, EndsForEqualPointsZerosAndHugeValues) {
  const Labels labels = {0, 1, 0, 1, 0, 1};
  for (const double value : {0.0, 1.0, 1e200}) {
    const std::vector<double> rows(12, value);
    const SvmClassifier classifier({Points(rows, 6, 2), labels});
    EXPECT_EQ(classifier.predict(Points(rows, 6, 2)).size(), 6);
  }
  const std::vector<double> none;
  EXPECT_EQ(SvmClassifier({Points(none, 6, 0), labels}).predict(Points(none, 2, 0)).size(), 2);
}

TEST(SvmClassifier, RefusesWhatItCannotLearnFrom) {
  const Clouds clouds(12, 3, 2, 5);
  const LabelledPoints cells{clouds.points(), clouds.labels};
  const Labels few(11, 1), unlike = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10};
  EXPECT_THROW(SvmClassifier({clouds.points(), few}), InputError);
  EXPECT_THROW(SvmClassifier({clouds.points(), unlike}), InputError);  // no class for three folds
  EXPECT_THROW(SvmClassifier({Points(std::span<const double>(), 0, 3), {}}), InputError);
  EXPECT_THROW(SvmClassifier(cells, {.grid = {}}), InputError);
  EXPECT_THROW(SvmClassifier(cells, {.n_folds = 1}), InputError);
  EXPECT_THROW(SvmClassifier(cells, {.grid = {{.cost = 0}}}), InputError);
  EXPECT_THROW(SvmClassifier(cells, {.grid = {{.kernel = SvmKernel::rbf, .gamma = 0}}}), InputError);
  EXPECT_THROW(SvmClassifier(cells, {.tolerance = 0}), InputError);
  EXPECT_THROW(SvmClassifier(cells, kLinear).predict(Points(std::span(clouds.rows).first(4), 2, 2)), InputError);
  std::vector<double> holes = clouds.rows;
  holes[5] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(SvmClassifier({Points(holes, 12, 3), clouds.labels}), InputError);
}

TEST(SvmClassifier, CanBeInterruptedWithinATraining) {
  const Clouds clouds(400, 3, 1, 0);
  Labels mixed;
  for (std::int64_t i = 0; i < 400; ++i) mixed.push_back(i % 2);
  set_interrupt(true);
  EXPECT_THROW(SvmClassifier({clouds.points(), mixed}, {.grid = {{.cost = 1000}}}), Interrupted);
  set_interrupt(false);
}

}  // namespace
}  // namespace scvi
