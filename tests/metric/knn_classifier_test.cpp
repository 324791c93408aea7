#include "scvi/metric/knn_classifier.hpp"

#include <gtest/gtest.h>

#include "golden_cells.hpp"
#include "scvi/core/error.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using Labels = std::vector<std::int64_t>;
using Values = std::vector<double>;
using testing::golden_test;
using testing::golden_train;

Points line(const Values& values) {
  return {std::span(values), std::ssize(values), 1};
}

TEST(KnnClassify, PredictsAsScikitLearn) {
  EXPECT_EQ(knn_classify(golden_train(), golden_test().points), testing::kNearestUniform);
  EXPECT_EQ(knn_classify(golden_train(), golden_test().points, {.weights = NeighborWeights::distance}),
            testing::kNearestDistance);
}

TEST(KnnClassify, GivesEqualVotesToTheSmallestLabel) {
  const Values places = {-1, 1};
  const Labels labels = {9, -4};
  for (const auto weights : {NeighborWeights::uniform, NeighborWeights::distance})
    EXPECT_EQ(knn_classify({line(places), labels}, line({0}), {.k = 2, .weights = weights}), Labels{-4});
}

TEST(KnnClassify, TakesOfEquallyNearTheFirst) {
  const Values places = {1, -1, 1, -1};
  const Labels labels = {3, 2, 1, 0};
  EXPECT_EQ(knn_classify({line(places), labels}, line({0}), {.k = 1}), Labels{3});
}

TEST(KnnClassify, LetsDistanceDecideWhereItCounts) {
  const Values places = {0.1, 2, 2.5};
  const Labels labels = {1, 0, 0};
  EXPECT_EQ(knn_classify({line(places), labels}, line({0}), {.k = 3}), Labels{0});
  EXPECT_EQ(knn_classify({line(places), labels}, line({0}), {.k = 3, .weights = NeighborWeights::distance}),
            Labels{1});
}

TEST(KnnClassify, LetsEqualPointsVoteAlone) {
  const Values places = {0, 0, 0, 1e-9, 1e-9, 1e-9, 1e-9};
  const Labels labels = {5, 6, 6, 7, 7, 7, 7};
  EXPECT_EQ(knn_classify({line(places), labels}, line({0}), {.k = 7, .weights = NeighborWeights::distance}),
            Labels{6});
}

TEST(KnnVotes, AreSharesOfTheLabelsThatOccur) {
  const Values places = {0, 1, 2, 10};
  const Labels labels = {7, 7, -2, 5};
  const NeighborVotes votes = knn_votes({line(places), labels}, line({0.5, 9}), {.k = 3});
  EXPECT_EQ(votes.classes, (Labels{-2, 5, 7}));
  ASSERT_EQ(votes.shares.size(), 6U);
  const Values expected = {1.0 / 3, 0, 2.0 / 3, 1.0 / 3, 1.0 / 3, 1.0 / 3};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_DOUBLE_EQ(votes.shares[i], expected[i]) << i;
  const NeighborVotes by_distance =
      knn_votes({line(places), labels}, line({0.5, 9}), {.k = 3, .weights = NeighborWeights::distance});
  for (std::size_t i = 0; i < 2; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < 3; ++j) sum += by_distance.shares[3 * i + j];
    EXPECT_DOUBLE_EQ(sum, 1);
  }
}

TEST(KnnClassify, DoesNotDependOnThreads) {
  const auto by = [](int n) {
    const testing::WithThreads threads(n);
    return knn_classify(golden_train(), golden_test().points);
  };
  EXPECT_EQ(by(1), by(3));
}

TEST(KnnClassify, RefusesWhatHasNoVote) {
  const Values places = {0, 1, 2};
  const Labels labels = {0, 1, 1}, few = {0};
  const LabelledPoints train{line(places), labels};
  EXPECT_THROW(knn_classify(train, line({0}), {.k = 4}), InputError);
  EXPECT_THROW(knn_classify(train, line({0}), {.k = 0}), InputError);
  EXPECT_THROW(knn_classify({line(places), few}, line({0}), {.k = 1}), InputError);
  EXPECT_THROW(knn_classify(train, Points(std::span(places).first(2), 1, 2), {.k = 1}), InputError);
  EXPECT_THROW(knn_classify({line({}), {}}, line({0})), InputError);
  EXPECT_TRUE(knn_classify(train, line({}), {.k = 1}).empty());
}

}  // namespace
}  // namespace scvi
