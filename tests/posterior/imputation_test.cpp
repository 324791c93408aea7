#include "scvi/posterior/imputation.hpp"

#include <gtest/gtest.h>

#include "posterior/example.hpp"
#include "scvi/core/error.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using testing::example;

TEST(Imputation, ListsEveryEntryThatWasCorrupted) {
  const auto cells = example();
  const Posterior posterior = cells.posterior({.batch_size = 64}).with_indices({290, 3, 77, 100, 5});
  const auto n_genes = static_cast<std::size_t>(cells.dataset->nb_genes());
  std::vector<float> x(n_genes), damaged(n_genes);
  const ImputationList list = posterior.imputation_list();
  const SampleArray rate = posterior.corrupted().imputation();
  ASSERT_EQ(list.indptr.size(), 6U);
  std::size_t next = 0;
  for (std::size_t row = 0; row < 5; ++row) {
    const std::vector<std::int64_t> cell = {posterior.indices()[row]};
    cells.dataset->X().gather_dense(cell, x.data());
    cells.dataset->corrupted_X().gather_dense(cell, damaged.data());
    EXPECT_EQ(list.indptr[row], static_cast<std::int64_t>(next));
    for (std::size_t gene = 0; gene < n_genes; ++gene) {
      if (x[gene] == damaged[gene]) continue;
      ASSERT_EQ(list.original.at(next), x[gene]);
      EXPECT_GT(list.imputed.at(next), 0);
      ++next;
    }
  }
  EXPECT_EQ(next, list.original.size());
  EXPECT_GT(next, 5U);
  EXPECT_EQ(rate.n_cells, 5);
}

TEST(Imputation, PutsTheSamplesOfACellOneAfterTheOther) {
  const Posterior posterior = example().posterior({.batch_size = 50});
  const ImputationList one = posterior.imputation_list(1);
  const ImputationList three = posterior.imputation_list(3);
  ASSERT_EQ(three.original.size(), 3 * one.original.size());
  for (std::size_t cell = 0; cell < 300; ++cell) {
    const std::int64_t n = one.indptr[cell + 1] - one.indptr[cell];
    ASSERT_EQ(three.indptr[cell], 3 * one.indptr[cell]);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t from = one.indptr[cell] + i;
      for (const int sample : {0, 1, 2}) {
        ASSERT_EQ(three.original[three.indptr[cell] + sample * n + i], one.original[from]);
      }
      // The first sample is the one that is drawn when there is only one.
      ASSERT_NEAR(three.imputed[three.indptr[cell] + i], one.imputed[from], 1e-4F * one.imputed[from]);
    }
  }
}

TEST(Imputation, IsScoredByItsMedianError) {
  EXPECT_EQ(imputation_score(ImputationList{}), 0);
  EXPECT_EQ(imputation_score({.indptr = {0, 3}, .original = {1, 5, 2}, .imputed = {2, 1, 2}}), 1);
  EXPECT_EQ(imputation_score({.indptr = {0, 4}, .original = {1, 5, 2, 0}, .imputed = {2, 1, 2, 2}}), 1.5);
}

TEST(Imputation, IsBenchmarkedOverAllEntriesAndOverCells) {
  const Posterior posterior = example().posterior();
  const ImputationBenchmark benchmark = posterior.imputation_benchmark(2);
  EXPECT_EQ(benchmark.median_score, imputation_score(benchmark.list));
  EXPECT_EQ(benchmark.median_score, posterior.imputation_score(2));
  double sum = 0;
  for (std::size_t cell = 0; cell < 300; ++cell) {
    const auto begin = benchmark.list.indptr[cell], end = benchmark.list.indptr[cell + 1];
    const auto part = [&](const std::vector<float>& all) {
      return std::vector<float>(all.begin() + begin, all.begin() + end);
    };
    sum += imputation_score({.indptr = {0, end - begin},
                             .original = part(benchmark.list.original),
                             .imputed = part(benchmark.list.imputed)});
  }
  EXPECT_NEAR(benchmark.mean_score, sum / 300, 1e-9);
}

TEST(Imputation, HasNothingToRestoreWhereNothingWasCorrupted) {
  const auto cells = example();
  auto clean = std::make_shared<GeneExpressionDataset>(*cells.dataset);
  clean->register_dataset_version(kCorruptedVersion, clean->X());
  const Posterior posterior = Posterior::of_all_cells(cells.model, clean);
  const ImputationBenchmark benchmark = posterior.imputation_benchmark(2);
  EXPECT_TRUE(benchmark.list.original.empty());
  EXPECT_EQ(benchmark.list.indptr, std::vector<std::int64_t>(301));
  EXPECT_EQ(benchmark.median_score, 0);
  EXPECT_EQ(benchmark.mean_score, 0);
}

TEST(Imputation, NeedsCorruptedCounts) {
  const auto cells = example();
  auto plain = std::make_shared<GeneExpressionDataset>();
  plain->populate_from_data(cells.dataset->X());
  const auto model = std::make_shared<VAE>(VaeOptions{.n_input = plain->nb_genes()});
  const Posterior posterior = Posterior::of_all_cells(model, plain);
  EXPECT_THROW(posterior.imputation_list(), InputError);
  EXPECT_THROW(posterior.corrupted(), InputError);
  EXPECT_THROW(cells.posterior().imputation_list(0), InputError);
}

TEST(Imputation, HasTheSameBitsForAnyNumberOfThreads) {
  const Posterior posterior = example().posterior({.batch_size = 16});
  const testing::WithThreads one(1);
  const auto imputed = posterior.imputation_list(3).imputed;
  const testing::WithThreads several(7);
  EXPECT_EQ(posterior.imputation_list(3).imputed, imputed);
}

}  // namespace
}  // namespace scvi
