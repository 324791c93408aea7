#include "scvi/metric/random_forest.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "clouds.hpp"
#include "golden_cells.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/metric/accuracy.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using Labels = std::vector<std::int64_t>;
using testing::Clouds;
using testing::golden_test;
using testing::golden_train;

RandomForestOptions single(std::int64_t max_depth, std::int64_t n_trees, std::uint64_t seed = 0) {
  return {.max_depths = {max_depth}, .n_trees = {n_trees}, .seed = seed};
}

TEST(RandomForest, TendsToTheProbabilitiesOfScikitLearn) {
  // Two forests of scikit-learn, of 2,000 and 20,000 trees, are up to 0.021 apart here; of another depth, 0.18.
  const RandomForestClassifier forest(golden_train(), single(4, 3000));
  const std::vector<double> found = forest.predict_probabilities(testing::golden_cells(testing::kLearned, 15).points);
  ASSERT_EQ(found.size(), testing::kForestProbabilities.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], testing::kForestProbabilities[i], 0.025) << i;
}

TEST(RandomForest, SeparatesCloudsWellApart) {
  const Clouds clouds(300, 6, 4, 10);
  const LabelledPoints cells{clouds.points(), clouds.labels};
  EXPECT_EQ(RandomForestClassifier(cells).predict(clouds.points()), clouds.labels);
}

TEST(RandomForest, PredictsTheMostProbableLabel) {
  const RandomForestClassifier forest(golden_train(), single(5, 20));
  const auto probabilities = forest.predict_probabilities(golden_test().points);
  const auto labels = forest.predict(golden_test().points);
  const std::int64_t n_classes = std::ssize(forest.classes());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto first = probabilities.begin() + static_cast<std::int64_t>(i) * n_classes;
    EXPECT_NEAR(std::accumulate(first, first + n_classes, 0.0), 1, 1e-6);
    EXPECT_EQ(labels[i], forest.classes()[std::max_element(first, first + n_classes) - first]);
  }
}

TEST(RandomForest, OneForestAnswersForTheWholeGrid) {
  const RandomForestOptions grid{.max_depths = {2, 7, 4}, .n_trees = {5, 30, 12}};
  const RandomForestClassifier whole(golden_train(), grid);
  for (std::size_t d = 0; d < 3; ++d) {
    for (std::size_t t = 0; t < 3; ++t) {
      // This forest is no deeper than its depth; the other depth is there so that there is something to choose from.
      const RandomForestClassifier pair(golden_train(),
                                        {.max_depths = {grid.max_depths[d], 1}, .n_trees = {grid.n_trees[t]}});
      EXPECT_EQ(whole.grid_scores()[3 * d + t], pair.grid_scores()[0]) << d << ", " << t;
    }
  }
}

TEST(RandomForest, TakesTheBestOfTheGridAndTrainsWithIt) {
  const RandomForestClassifier found(golden_train());
  const auto& scores = found.grid_scores();
  ASSERT_EQ(scores.size(), 28);
  const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
  EXPECT_EQ(found.parameters().max_depth, 3 + best / 4);
  EXPECT_EQ(found.parameters().n_trees, (Labels{10, 50, 100, 200})[best % 4]);
  const RandomForestClassifier again(golden_train(),
                                     single(found.parameters().max_depth, found.parameters().n_trees));
  EXPECT_TRUE(again.grid_scores().empty());
  EXPECT_EQ(found.predict_probabilities(golden_test().points), again.predict_probabilities(golden_test().points));
}

TEST(RandomForest, DependsOnTheSeedAndNotOnThreads) {
  const auto by = [](int n, std::uint64_t seed) {
    const testing::WithThreads threads(n);
    return RandomForestClassifier(golden_train(), single(6, 40, seed)).predict_probabilities(golden_test().points);
  };
  EXPECT_EQ(by(1, 3), by(4, 3));
  EXPECT_NE(by(1, 3), by(1, 4));
}

TEST(RandomForest, DoesNotCareForTheScaleOfColumns) {
  std::vector<double> scaled(testing::kLatentValues.begin(), testing::kLatentValues.end());
  for (double& value : scaled) value = 3 * value - 2;
  const Points points(scaled, testing::kCells, testing::kLatent);
  const RandomForestClassifier plain({testing::golden_cells(0, testing::kCells)}, single(6, 30)),
      other({points, testing::kLabels}, single(6, 30));
  EXPECT_EQ(plain.predict(testing::golden_cells(0, testing::kCells).points), other.predict(points));
}

TEST(RandomForest, TellsClassesByTheOnlyColumnThatVaries) {
  // sqrt(9) columns are looked at, and more of them until one varies.
  constexpr std::int64_t kPoints = 40, kColumns = 9;
  std::vector<double> rows(kPoints * kColumns, 1.0);
  Labels labels;
  for (std::int64_t i = 0; i < kPoints; ++i) {
    rows[i * kColumns + 5] = static_cast<double>(i);
    labels.push_back(i < kPoints / 2 ? 8 : 3);
  }
  const Points points(rows, kPoints, kColumns);
  EXPECT_EQ(RandomForestClassifier({points, labels}, single(1, 25)).predict(points), labels);
}

TEST(RandomForest, GivesTheSharesOfTheClassesWhereNothingVaries) {
  const std::vector<double> rows(30, 2.0);
  const Labels labels = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 5, 5};
  const RandomForestClassifier forest({Points(rows, 15, 2), labels}, single(9, 500));
  const auto shares = forest.predict_probabilities(Points(std::span(rows).first(2), 1, 2));
  EXPECT_NEAR(shares[0], 8 / 15.0, 0.03);
  EXPECT_NEAR(shares[1], 5 / 15.0, 0.03);
  EXPECT_NEAR(shares[2], 2 / 15.0, 0.03);
  EXPECT_EQ(RandomForestClassifier({Points(std::span(rows).first(0), 15, 0), labels}, single(9, 50))
                .predict(Points(std::span(rows).first(0), 1, 0)),
            Labels{0});
}

TEST(RandomForest, SplitsBetweenTheLargestAndTheNearestNumbers) {
  constexpr double kHuge = std::numeric_limits<double>::max();
  const Labels labels = {0, 0, 1, 1};
  for (const auto& [low, high] : {std::pair{-kHuge, kHuge}, std::pair{1.0, std::nextafter(1.0, 2.0)}}) {
    const std::vector<double> rows = {low, low, high, high};
    const Points points(rows, 4, 1);
    EXPECT_EQ(RandomForestClassifier({points, labels}, single(3, 50)).predict(points), labels);
  }
}

TEST(RandomForest, PredictsASingleClassAndASinglePoint) {
  const std::vector<double> rows = {1, 2, 3};
  const Labels one(3, 7);
  EXPECT_EQ(RandomForestClassifier({Points(rows, 3, 1), one}).predict(Points(rows, 3, 1)), one);
  EXPECT_EQ(RandomForestClassifier({Points(std::span(rows).first(1), 1, 1), std::span(one).first(1)}, single(4, 3))
                .predict(Points(rows, 3, 1)),
            one);
}

TEST(RandomForest, RefusesWhatItCannotLearnFrom) {
  const Clouds clouds(12, 3, 2, 5);
  const LabelledPoints cells{clouds.points(), clouds.labels};
  const Labels few(11, 1), unlike = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10};
  EXPECT_THROW(RandomForestClassifier({clouds.points(), few}), InputError);
  EXPECT_THROW(RandomForestClassifier({clouds.points(), unlike}), InputError);
  EXPECT_THROW(RandomForestClassifier({Points(std::span<const double>(), 0, 3), {}}, single(3, 3)), InputError);
  EXPECT_THROW(RandomForestClassifier(cells, single(0, 3)), InputError);
  EXPECT_THROW(RandomForestClassifier(cells, single(63, 3)), InputError);
  EXPECT_THROW(RandomForestClassifier(cells, single(3, 0)), InputError);
  EXPECT_THROW(RandomForestClassifier(cells, {.max_depths = {}}), InputError);
  EXPECT_THROW(RandomForestClassifier(cells, {.n_folds = 0}), InputError);
  EXPECT_THROW(RandomForestClassifier(cells, single(3, 3)).predict(Points(std::span(clouds.rows).first(4), 2, 2)),
               InputError);
}

TEST(RandomForest, CanBeInterrupted) {
  set_interrupt(true);
  EXPECT_THROW(RandomForestClassifier(golden_train(), single(3, 3)), Interrupted);
  set_interrupt(false);
}

}  // namespace
}  // namespace scvi
