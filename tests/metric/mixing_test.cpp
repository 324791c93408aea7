#include "scvi/metric/mixing.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/metric/neighbors.hpp"

namespace scvi {
namespace {

#include "golden_case.inc"

using Labels = std::vector<std::int64_t>;

Points latent() {
  return {std::span<const float>(kLatentValues), kCells, kLatent};
}
Points other() {
  return {std::span<const float>(kOtherValues), kCells, kOther};
}

/// `n` points of one coordinate, the second half far from the first.
std::vector<double> two_clouds(std::int64_t n) {
  RandomStream random(1, "clouds");
  std::vector<double> rows(n);
  for (std::int64_t i = 0; i < n; ++i) rows[i] = random.standard_normal() + (i < n / 2 ? 0 : 1000);
  return rows;
}

Labels halves(std::int64_t n) {
  Labels labels(n);
  for (std::int64_t i = 0; i < n; ++i) labels[i] = i < n / 2 ? 0 : 1;
  return labels;
}

TEST(EntropyBatchMixing, IsThatOfScviOnItsOwnDraws) {
  EXPECT_NEAR(entropy_batch_mixing(latent(), kBatches, {}, kPicks), kEntropyBatchMixingScore, 1e-13);
}

TEST(EntropyBatchMixing, DrawsItsOwnPoolsFromTheSeed) {
  const double first = entropy_batch_mixing(latent(), kBatches, {.seed = 1});
  EXPECT_EQ(first, entropy_batch_mixing(latent(), kBatches, {.seed = 1}));
  EXPECT_NE(first, entropy_batch_mixing(latent(), kBatches, {.seed = 2}));
  EXPECT_NEAR(first, kEntropyBatchMixingScore, 0.005);
}

TEST(EntropyBatchMixing, UsesTheSeedOfTheSettingsByDefault) {
  settings().seed = 1;
  const double with_settings = entropy_batch_mixing(latent(), kBatches);
  settings().seed = 0;
  EXPECT_EQ(with_settings, entropy_batch_mixing(latent(), kBatches, {.seed = 1}));
}

TEST(EntropyBatchMixing, IsZeroForBatchesApartAndNearLogTwoForMixedOnes) {
  const std::vector<double> rows = two_clouds(400);
  Labels alternating(400);
  for (std::int64_t i = 0; i < 400; ++i) alternating[i] = i % 2;
  EXPECT_EQ(entropy_batch_mixing(Points(rows, 400, 1), halves(400)), 0);
  EXPECT_NEAR(entropy_batch_mixing(Points(rows, 400, 1), alternating), std::log(2.0), 0.02);
}

TEST(EntropyBatchMixing, TakesAnyTwoNamesOfBatches) {
  Labels renamed = kBatches;
  for (std::int64_t& batch : renamed) batch = batch == 0 ? 12 : -4;
  EXPECT_NEAR(entropy_batch_mixing(latent(), renamed, {}, kPicks), kEntropyBatchMixingScore, 1e-13);
}

TEST(EntropyBatchMixing, UsesAllOtherCellsWhenFewerThanAskedFor) {
  const std::vector<double> rows = {0, 1, 2};
  const Labels batches = {0, 0, 1}, picks = {0, 2};
  // Cell 0 sees batches {0, 1}, cell 2 sees {0, 0}.
  EXPECT_NEAR(entropy_batch_mixing(Points(rows, 3, 1), batches, {.n_pools = 1, .n_samples_per_pool = 2}, picks),
              std::log(2.0) / 2, 1e-15);
}

TEST(EntropyBatchMixing, CountsTheExactNeighboursOfEachPickAlsoAmongDuplicates) {
  // Points on a grid of 8 places: each has dozens of duplicates.
  constexpr std::int64_t kPoints = 400, kNeighbors = 9;
  RandomStream random(3, "grid");
  std::vector<double> rows(3 * kPoints);
  for (double& value : rows) value = static_cast<double>(random.below(2));
  Labels batches(kPoints), picks;
  for (std::int64_t i = 0; i < kPoints; ++i) batches[i] = static_cast<std::int64_t>(random.below(3)) / 2;
  for (std::int64_t i = 0; i < 60; ++i) picks.push_back(static_cast<std::int64_t>(random.below(kPoints)));
  const Points points(rows, kPoints, 3);
  const Neighbors neighbors = nearest_neighbors(points, kNeighbors);
  double expected = 0;
  for (const std::int64_t pick : picks) {
    double share = 0;
    for (const std::int64_t other : neighbors.of(pick)) share += static_cast<double>(batches[other]) / kNeighbors;
    if (share > 1e-9 && share < 1 - 1e-9) expected -= share * std::log(share) + (1 - share) * std::log(1 - share);
  }
  const EntropyBatchMixingOptions options{.n_neighbors = kNeighbors, .n_pools = 3, .n_samples_per_pool = 20};
  EXPECT_NEAR(entropy_batch_mixing(points, batches, options, picks), expected / 60, 1e-12);
}

TEST(EntropyBatchMixing, RefusesWhatItCannotScore) {
  const std::vector<double> rows = {0, 1, 2};
  const Points points(rows, 3, 1);
  EXPECT_THROW(entropy_batch_mixing(points, Labels{0, 1, 2}), InputError);
  EXPECT_THROW(entropy_batch_mixing(points, Labels{0, 1}), InputError);
  EXPECT_THROW(entropy_batch_mixing(Points(std::vector<double>{1}, 1, 1), Labels{0}), InputError);
  EXPECT_THROW(entropy_batch_mixing(points, Labels{0, 1, 1}, {.n_neighbors = 0}), InputError);
  EXPECT_THROW(entropy_batch_mixing(points, Labels{0, 1, 1}, {.n_pools = 0}), InputError);
  EXPECT_THROW(entropy_batch_mixing(points, Labels{0, 1, 1}, {}, Labels{0, 1}), InputError);
  for (const std::int64_t wrong : {-1, 3})
    EXPECT_THROW(
        entropy_batch_mixing(points, Labels{0, 1, 1}, {.n_pools = 1, .n_samples_per_pool = 2}, Labels{0, wrong}),
        InputError);
}

TEST(KnnPurity, IsThatOfScvi) {
  EXPECT_NEAR(knn_purity(latent(), kLabels), kKnnPurityScore, 1e-14);
  EXPECT_NEAR(knn_purity(latent(), kLabels, 10), kKnnPurityK10Score, 1e-14);
}

TEST(KnnPurity, IsOneForLabelsApart) {
  const std::vector<double> rows = two_clouds(100);
  EXPECT_EQ(knn_purity(Points(rows, 100, 1), halves(100)), 1);
}

TEST(KnnPurity, WeighsLabelsNotCells) {
  // Three cells of label 0 in a cloud, one of label 1 beside them: purity 1, 1, 1 within label 0 and 0 for label 1.
  const std::vector<double> rows = {0, 1, 2, 10};
  EXPECT_DOUBLE_EQ(knn_purity(Points(rows, 4, 1), Labels{0, 0, 0, 1}, 1), 0.5);
}

TEST(KnnPurity, UsesAllOtherCellsWhenFewerThanAskedFor) {
  const std::vector<double> rows = {0, 1, 2};
  EXPECT_DOUBLE_EQ(knn_purity(Points(rows, 3, 1), Labels{0, 0, 0}), 1);
  EXPECT_DOUBLE_EQ(knn_purity(Points(rows, 3, 1), Labels{0, 0, 1}), 0.25);
}

TEST(KnnPurity, RefusesWhatItCannotScore) {
  const std::vector<double> rows = {0, 1, 2};
  EXPECT_THROW(knn_purity(Points(rows, 3, 1), Labels{0, 1}), InputError);
  EXPECT_THROW(knn_purity(Points(rows, 3, 1), Labels{0, 1, 1}, 0), InputError);
  EXPECT_THROW(knn_purity(Points(std::vector<double>{1}, 1, 1), Labels{0}), InputError);
}

TEST(NnOverlap, IsThatOfScvi) {
  const NeighborOverlap few = nn_overlap(latent(), other(), 30);
  EXPECT_NEAR(few.spearman, kNnOverlap[0], 1e-12);
  EXPECT_NEAR(few.fold_enrichment, kNnOverlap[1], 1e-12);
  const NeighborOverlap many = nn_overlap(latent(), other());
  EXPECT_NEAR(many.spearman, kNnOverlapK100[0], 1e-12);
  EXPECT_NEAR(many.fold_enrichment, kNnOverlapK100[1], 1e-12);
}

TEST(NnOverlap, IsPerfectForTheSameCells) {
  const NeighborOverlap same = nn_overlap(latent(), latent(), 28);
  EXPECT_NEAR(same.spearman, 1, 1e-12);
  EXPECT_NEAR(same.fold_enrichment, 140.0 / 28, 1e-12);
}

TEST(NnOverlap, UsesAllOtherCellsWhenFewerThanAskedFor) {
  const std::vector<double> a = {0, 1, 2}, b = {5, 3, 9};
  const NeighborOverlap all = nn_overlap(Points(a, 3, 1), Points(b, 3, 1));
  EXPECT_NEAR(all.spearman, 1, 1e-12);
  EXPECT_NEAR(all.fold_enrichment, 1.5, 1e-12);
}

TEST(NnOverlap, RefusesWhatItCannotScore) {
  const std::vector<double> rows = {0, 1, 2};
  EXPECT_THROW(nn_overlap(Points(rows, 3, 1), Points(std::vector<double>{0, 1}, 2, 1)), InputError);
  EXPECT_THROW(nn_overlap(Points(rows, 3, 1), Points(rows, 3, 1), 0), InputError);
  EXPECT_THROW(nn_overlap(Points(std::vector<double>{1}, 1, 1), Points(std::vector<double>{1}, 1, 1)), InputError);
}

}  // namespace
}  // namespace scvi
