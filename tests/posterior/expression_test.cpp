#include "scvi/posterior/expression.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "posterior/example.hpp"
#include "scvi/core/error.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using testing::example;

void expect_near(const std::vector<float>& found, const std::vector<float>& expected, double relative) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], relative * expected[i]) << i;
}

TEST(Expression, OfACellSumsToOne) {
  const auto cells = example();
  for (const auto& options : std::vector<ExpressionOptions>{{}, {.n_samples = 3}, {.transform_batch = {1, 0}}}) {
    const CellArray scale = cells.posterior().get_sample_scale(options);
    ASSERT_EQ(scale.n_cells, 300);
    ASSERT_EQ(scale.n_columns, cells.dataset->nb_genes());
    for (std::int64_t cell = 0; cell < scale.n_cells; ++cell) {
      double sum = 0;
      for (std::int64_t gene = 0; gene < scale.n_columns; ++gene) sum += scale.values[cell * scale.n_columns + gene];
      ASSERT_NEAR(sum, 1, 1e-4);
    }
  }
}

TEST(Expression, AsCountsIsTheFrequencyTimesTheLibrarySize) {
  const Posterior posterior = example().posterior();
  const CellArray scale = posterior.get_sample_scale();
  const CellArray rate = posterior.get_sample_rate();
  for (std::int64_t cell = 0; cell < 300; ++cell) {
    const std::int64_t first = cell * rate.n_columns;
    const float size = rate.values[first] / scale.values[first];
    for (std::int64_t i = first; i < first + rate.n_columns; ++i) {
      ASSERT_NEAR(rate.values[i], size * scale.values[i], 1e-5F * rate.values[i]);
    }
  }
}

TEST(Expression, OfSeveralSamplesIsTheirMean) {
  const Posterior posterior = example().posterior();
  const SampleArray samples = posterior.imputation({.n_samples = 5});
  ASSERT_EQ(samples.n_samples, 5);
  const std::size_t size = samples.values.size() / 5;
  std::vector<float> mean(size);
  for (std::size_t i = 0; i < samples.values.size(); ++i) mean[i % size] += samples.values[i] / 5;
  expect_near(posterior.get_sample_rate({.n_samples = 5}).values, mean, 1e-5);
  // Asking for more samples does not change the first ones.
  const SampleArray fewer = posterior.imputation({.n_samples = 2});
  expect_near(fewer.values, {samples.values.begin(), samples.values.begin() + 2 * size}, 1e-5);
}

TEST(Expression, DecodedAsOneBatchForgetsTheOwn) {
  const auto cells = example();
  const Posterior posterior = cells.posterior();
  const auto own = posterior.get_sample_scale().values;
  const auto first = posterior.get_sample_scale({.transform_batch = {0}}).values;
  const auto n_genes = static_cast<std::size_t>(cells.dataset->nb_genes());
  for (std::size_t cell = 0; cell < 300; ++cell) {
    const bool from_first = cells.dataset->batch_indices()[cell] == 0;
    double difference = 0;
    for (std::size_t gene = 0; gene < n_genes; ++gene) {
      difference += std::abs(own[cell * n_genes + gene] - first[cell * n_genes + gene]);
    }
    EXPECT_EQ(difference < 1e-6, from_first) << cell;
  }
}

TEST(Expression, OverBatchesIsTheMeanOverDrawsOfTheirOwn) {
  const Posterior posterior = example().posterior();
  const auto both = posterior.get_sample_rate({.n_samples = 40, .transform_batch = {0, 1}}).values;
  const auto first = posterior.get_sample_rate({.n_samples = 40, .transform_batch = {0}}).values;
  // The second batch has the draws that follow those of the first.
  const auto second = posterior.get_sample_rate({.n_samples = 40, .transform_batch = {1}}).values;
  const auto second_twice = posterior.get_sample_rate({.n_samples = 80, .transform_batch = {1}}).values;
  std::vector<float> expected;
  for (std::size_t i = 0; i < both.size(); ++i) expected.push_back((first[i] + 2 * second_twice[i] - second[i]) / 2);
  expect_near(both, expected, 1e-5);
  const SampleArray samples = posterior.imputation({.n_samples = 40, .transform_batch = {0, 1}});
  const std::size_t size = both.size();
  std::vector<float> mean(size);
  for (std::size_t i = 0; i < samples.values.size(); ++i) mean[i % size] += samples.values[i] / 40;
  expect_near(mean, both, 1e-5);
}

TEST(Expression, OfSomeGenesIsThoseColumns) {
  const Posterior posterior = example().posterior();
  const CellArray all = posterior.get_sample_scale({.n_samples = 2});
  const CellArray some = posterior.get_sample_scale({.n_samples = 2, .genes = {11, 0}});
  ASSERT_EQ(some.n_columns, 2);
  for (std::int64_t cell = 0; cell < 300; ++cell) {
    ASSERT_EQ(some.values[cell * 2], all.values[cell * all.n_columns + 11]);
    ASSERT_EQ(some.values[cell * 2 + 1], all.values[cell * all.n_columns]);
  }
  EXPECT_EQ(posterior.imputation({.genes = {4}}).n_columns, 1);
}

TEST(Expression, ComesInBlocksOfTheSameValuesInOrder) {
  const Posterior posterior = example().posterior({.batch_size = 32});
  for (const auto what : {Expression::scale, Expression::rate}) {
    const ExpressionOptions options{.n_samples = 2, .transform_batch = {1}, .genes = {3, 5, 7}};
    const auto whole =
        what == Expression::scale ? posterior.get_sample_scale(options) : posterior.get_sample_rate(options);
    for (const std::int64_t cells_per_block : {1, 33, 100, 1000000}) {
      std::vector<float> joined;
      posterior.for_each_expression_block(what, options, cells_per_block,
                                          [&](std::int64_t first, const CellArray& block) {
                                            EXPECT_EQ(first * 3, std::ssize(joined));
                                            EXPECT_EQ(std::ssize(block.values), block.n_cells * 3);
                                            joined.insert(joined.end(), block.values.begin(), block.values.end());
                                          });
      EXPECT_EQ(joined, whole.values) << cells_per_block;
    }
  }
}

TEST(Expression, CanBeDecodedApartFromItsDraws) {
  const auto cells = example();
  const Posterior posterior = cells.posterior({.batch_size = 64}).with_indices({5, 290, 5, 17, 103});
  for (const bool as_one : {false, true}) {
    Latent latent = posterior.draw_latent();
    if (as_one) std::fill(latent.batch_indices.begin(), latent.batch_indices.end(), 1);
    std::vector<float> found(5 * static_cast<std::size_t>(cells.dataset->nb_genes()));
    posterior.for_each_scale(latent, [&](std::int64_t first, const float* rows, std::int64_t n) {
      std::copy_n(rows, n * cells.dataset->nb_genes(), found.begin() + first * cells.dataset->nb_genes());
    });
    ExpressionOptions options;
    if (as_one) options.transform_batch = {1};
    EXPECT_EQ(found, posterior.get_sample_scale(options).values);
  }
}

TEST(Expression, HasTheSameBitsForAnyNumberOfThreads) {
  const Posterior posterior = example().posterior({.batch_size = 16});
  const ExpressionOptions options{.n_samples = 3, .transform_batch = {0, 1}};
  const testing::WithThreads one(1);
  const auto scale = posterior.get_sample_scale(options).values;
  const auto samples = posterior.imputation(options).values;
  for (const int threads : {2, 7}) {
    const testing::WithThreads several(threads);
    EXPECT_EQ(posterior.get_sample_scale(options).values, scale);
    EXPECT_EQ(posterior.imputation(options).values, samples);
  }
}

TEST(Expression, IsRefusedForWhatTheModelDoesNotKnow) {
  const Posterior posterior = example().posterior();
  const std::int64_t n_genes = posterior.gene_dataset().nb_genes();
  for (const auto& options : std::vector<ExpressionOptions>{
           {.n_samples = 0}, {.transform_batch = {2}}, {.transform_batch = {0, -1}}, {.genes = {n_genes}}}) {
    EXPECT_THROW(posterior.get_sample_scale(options), InputError);
    EXPECT_THROW(posterior.get_sample_rate(options), InputError);
    EXPECT_THROW(posterior.imputation(options), InputError);
    EXPECT_THROW(posterior.for_each_expression_block(Expression::scale, options, 10, {}), InputError);
  }
  EXPECT_THROW(posterior.imputation({.n_samples = std::int64_t{1} << 58}), InputError);
}

}  // namespace
}  // namespace scvi
