#include "scvi/metric/clustering.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"
#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

#include "golden_case.inc"

using Labels = std::vector<std::int64_t>;

const Labels kA = {0, 0, 1, 2, 2, 2, 5, 5, -3, -3};
const Labels kB = {1, 1, 1, 2, 2, 7, 7, 7, 0, 0};

Labels remainders(std::int64_t n, std::int64_t divisor, std::int64_t modulus) {
  Labels labels(n);
  for (std::int64_t i = 0; i < n; ++i) labels[i] = i / divisor % modulus;
  return labels;
}

Points latent() {
  return {std::span<const float>(kLatentValues), kCells, kLatent};
}

// Expected values without another source are those of scikit-learn 1.9.

TEST(AdjustedRandIndex, IsThatOfTheReference) {
  EXPECT_NEAR(adjusted_rand_index(kLabels, kPredicted), kAriScore, 1e-14);
  EXPECT_NEAR(adjusted_rand_index(kA, kB), 0.4943820224719101, 1e-14);
  EXPECT_NEAR(adjusted_rand_index(kLabels, kBatches), -0.0029159812162524454, 1e-14);
  EXPECT_NEAR(adjusted_rand_index(remainders(100, 1, 5), remainders(100, 10, 2)), -0.01642710472279261, 1e-14);
  EXPECT_NEAR(adjusted_rand_index(remainders(100, 1, 3), remainders(100, 1, 7)), -0.02948074910691733, 1e-14);
}

TEST(AdjustedRandIndex, IsOneForEqualPartitionsWhateverTheNames) {
  EXPECT_EQ(adjusted_rand_index(Labels{0, 0, 1, 2}, Labels{7, 7, -1, 3}), 1);
  EXPECT_EQ(adjusted_rand_index(Labels{4, 4, 4}, Labels{1, 1, 1}), 1);
  EXPECT_EQ(adjusted_rand_index(Labels{4, 5, 6}, Labels{1, 2, 3}), 1);
  EXPECT_EQ(adjusted_rand_index(Labels{4}, Labels{1}), 1);
}

TEST(AdjustedRandIndex, IsZeroWhenOnePartitionSaysNothing) {
  EXPECT_EQ(adjusted_rand_index(Labels{0, 1, 2, 3}, Labels{0, 0, 0, 0}), 0);
}

TEST(AdjustedRandIndex, DoesNotOverflowForManyPoints) {
  const Labels labels = remainders(400000, 1, 2);
  EXPECT_NEAR(adjusted_rand_index(labels, labels), 1, 1e-12);
  EXPECT_NEAR(adjusted_rand_index(labels, remainders(400000, 2, 2)), 0, 1e-5);
}

TEST(NormalizedMutualInformation, IsThatOfTheReference) {
  EXPECT_NEAR(normalized_mutual_information(kLabels, kPredicted), kNmiScore, 1e-14);
  EXPECT_NEAR(normalized_mutual_information(kA, kB), 0.8040337121825692, 1e-14);
  EXPECT_NEAR(normalized_mutual_information(kLabels, kBatches), 0.007744053551672789, 1e-14);
  EXPECT_NEAR(normalized_mutual_information(remainders(100, 1, 3), remainders(100, 1, 7)), 0.0023434382254034604,
              1e-14);
}

TEST(NormalizedMutualInformation, ReachesItsLimits) {
  EXPECT_DOUBLE_EQ(normalized_mutual_information(Labels{0, 0, 1, 2}, Labels{7, 7, -1, 3}), 1);
  EXPECT_EQ(normalized_mutual_information(Labels{4, 4, 4}, Labels{1, 1, 1}), 1);
  EXPECT_EQ(normalized_mutual_information(Labels{0, 1, 2, 3}, Labels{0, 0, 0, 0}), 0);
  EXPECT_EQ(normalized_mutual_information(remainders(100, 1, 5), remainders(100, 10, 2)), 0);
}

TEST(UnsupervisedClusteringAccuracy, IsThatOfScvi) {
  const ClusteringAccuracy result = unsupervised_clustering_accuracy(kLabels, kPredicted);
  EXPECT_DOUBLE_EQ(result.accuracy, kUcaScore);
  EXPECT_EQ(result.assignment, kUcaAssignment);
  EXPECT_EQ(result.classes, (Labels{0, 1, 2, 3}));
}

TEST(UnsupervisedClusteringAccuracy, MatchesClassesOfDifferentNamesAndNumbers) {
  const ClusteringAccuracy result =
      unsupervised_clustering_accuracy(Labels{5, 5, 5, 9, 9, 9}, Labels{2, 2, 1, 1, 1, 0});
  EXPECT_EQ(result.classes, (Labels{0, 1, 2, 5, 9}));
  EXPECT_DOUBLE_EQ(result.accuracy, 4.0 / 6);
  EXPECT_EQ(result.assignment[2], 3) << "predicted 2 stands for label 5";
  EXPECT_EQ(result.assignment[1], 4) << "predicted 1 stands for label 9";
}

TEST(UnsupervisedClusteringAccuracy, GivesUpABetterPairForABetterWhole) {
  // Predicted 0 meets label 0 three times and label 1 twice; predicted 1 meets only label 0, twice.
  const Labels labels = {0, 0, 0, 1, 1, 0, 0}, predicted = {0, 0, 0, 0, 0, 1, 1};
  EXPECT_DOUBLE_EQ(unsupervised_clustering_accuracy(labels, predicted).accuracy, 4.0 / 7);
}

TEST(SilhouetteScore, IsThatOfTheReference) {
  EXPECT_NEAR(silhouette_score(latent(), kLabels), kSilhouetteScore, 1e-7) << "the reference is float32";
  EXPECT_NEAR(silhouette_score(latent(), kLabels), 0.09268362660722256, 1e-12);
  EXPECT_NEAR(silhouette_score(latent(), kPredicted), 0.002586785668490694, 1e-12);
  EXPECT_NEAR(silhouette_score(latent(), kBatches), -0.0015279520446836391, 1e-12);
}

TEST(SilhouetteScore, CountsPointsAloneInTheirClassAsZero) {
  Labels labels = kLabels;
  labels[0] = 77;
  EXPECT_NEAR(silhouette_score(latent(), labels), 0.03173934472629064, 1e-12);
}

TEST(SilhouetteScore, IsZeroForPointsAllEqual) {
  const std::vector<double> rows(8, 1.25);
  EXPECT_EQ(silhouette_score(Points(rows, 4, 2), Labels{0, 0, 1, 1}), 0);
}

TEST(SilhouetteScore, IsRightAcrossBlocksAndForAnyThreadCount) {
  constexpr std::int64_t kN = 700, kDim = 2;
  RandomStream random(1, "silhouette");
  std::vector<double> rows(kN * kDim);
  Labels labels(kN);
  for (double& value : rows) value = random.standard_normal();
  for (std::int64_t& label : labels) label = static_cast<std::int64_t>(random.below(5)) * 3;
  double expected = 0;
  for (std::int64_t i = 0; i < kN; ++i) {
    std::vector<double> sums(13), counts(13);
    for (std::int64_t j = 0; j < kN; ++j) {
      sums[labels[j]] += std::hypot(rows[2 * i] - rows[2 * j], rows[2 * i + 1] - rows[2 * j + 1]);
      counts[labels[j]] += j != i;
    }
    const double a = sums[labels[i]] / counts[labels[i]];
    double b = 1e300;
    for (std::int64_t c = 0; c < 13; c += 3)
      if (c != labels[i]) b = std::min(b, sums[c] / counts[c]);
    expected += (b - a) / std::max(a, b) / kN;
  }
  settings().n_threads = 1;
  const double one = silhouette_score(Points(rows, kN, kDim), labels);
  settings().n_threads = 5;
  const double five = silhouette_score(Points(rows, kN, kDim), labels);
  settings().n_threads = 0;
  EXPECT_NEAR(one, expected, 1e-12);
  EXPECT_EQ(one, five);
}

TEST(SilhouetteScore, RefusesOneClassAndAllClassesDifferent) {
  const std::vector<double> rows = {0, 1, 2};
  EXPECT_THROW(silhouette_score(Points(rows, 3, 1), Labels{0, 0, 0}), InputError);
  EXPECT_THROW(silhouette_score(Points(rows, 3, 1), Labels{0, 1, 2}), InputError);
  EXPECT_NO_THROW(silhouette_score(Points(rows, 3, 1), Labels{0, 1, 1}));
}

TEST(ClusteringScores, RefuseNoLabelsAndLengthsThatDiffer) {
  for (const auto& [labels, predicted] : {std::pair<Labels, Labels>{{}, {}}, {{1, 2}, {1}}, {{1}, {1, 2}}}) {
    EXPECT_THROW(adjusted_rand_index(labels, predicted), InputError);
    EXPECT_THROW(normalized_mutual_information(labels, predicted), InputError);
    EXPECT_THROW(unsupervised_clustering_accuracy(labels, predicted), InputError);
  }
  EXPECT_THROW(silhouette_score(latent(), Labels{0, 1}), InputError);
}

}  // namespace
}  // namespace scvi
