#include "scvi/posterior/generation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "posterior/example.hpp"
#include "scvi/core/error.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using testing::example;

double mean_of(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Posterior posterior_with(ReconstructionLoss likelihood, std::int64_t batch_size = 128) {
  return example(LatentDistribution::normal, likelihood).posterior({.batch_size = batch_size});
}

constexpr ReconstructionLoss kLikelihoods[] = {ReconstructionLoss::zinb, ReconstructionLoss::nb,
                                               ReconstructionLoss::poisson};

TEST(Generation, DrawsWholeCountsBesideTheObserved) {
  for (const auto likelihood : kLikelihoods) {
    const Posterior posterior = posterior_with(likelihood);
    const GeneratedCounts counts = posterior.generate({.n_samples = 2});
    EXPECT_EQ(counts.x_new.n_samples, 2);
    EXPECT_EQ(counts.x_new.values.size(), 2 * counts.x_old.values.size());
    for (const float value : counts.x_new.values) ASSERT_TRUE(value >= 0 && value == std::floor(value));
    std::vector<float> x(counts.x_old.values.size());
    posterior.gene_dataset().X().gather_dense(posterior.indices(), x.data());
    EXPECT_EQ(counts.x_old.values, x);
  }
}

TEST(Generation, DrawsCountsWithTheMeanAndTheZerosOfTheParameters) {
  for (const auto likelihood : kLikelihoods) {
    const Posterior posterior = posterior_with(likelihood).with_indices({5, 250});
    constexpr std::int64_t kSamples = 2000;
    const auto counts = posterior.generate({.n_samples = kSamples, .genes = {2}}).x_new;
    const GeneratedParameters parameters = posterior.generate_parameters(kSamples);
    const std::int64_t n_genes = parameters.mean.n_columns;
    double expected = 0, found = 0, expected_zeros = 0, zeros = 0, square = 0;
    for (std::size_t i = 0; i < counts.values.size(); ++i) {
      const std::size_t at = i * static_cast<std::size_t>(n_genes) + 2;
      const double rate = parameters.mean.values[at], theta = parameters.dispersion.values[at];
      const bool poisson = likelihood == ReconstructionLoss::poisson;
      const double extra =
          likelihood == ReconstructionLoss::zinb ? 1 / (1 + std::exp(-parameters.dropout.values[at])) : 0;
      expected += (1 - extra) * rate;
      expected_zeros += extra + (1 - extra) * (poisson ? std::exp(-rate) : std::pow(theta / (theta + rate), theta));
      found += counts.values[i];
      square += counts.values[i] * counts.values[i];
      zeros += counts.values[i] == 0;
    }
    const auto n = static_cast<double>(counts.values.size());
    // Within five standard errors of what was drawn.
    EXPECT_NEAR(found / n, expected / n, 5 * std::sqrt(square / n / n));
    EXPECT_NEAR(zeros / n, expected_zeros / n, 5 * std::sqrt(0.25 / n));
  }
}

TEST(Generation, GivesParametersOfEverySampleOrTheirMean) {
  const Posterior posterior = posterior_with(ReconstructionLoss::zinb);
  const GeneratedParameters each = posterior.generate_parameters(3);
  const GeneratedParameters mean = posterior.generate_parameters(3, /*give_mean=*/true);
  for (const auto member :
       {&GeneratedParameters::mean, &GeneratedParameters::dropout, &GeneratedParameters::dispersion}) {
    const SampleArray& samples = each.*member;
    const SampleArray& one = mean.*member;
    ASSERT_EQ(samples.n_samples, 3);
    ASSERT_EQ(one.n_samples, 1);
    for (std::size_t i = 0; i < one.values.size(); ++i) {
      const float sum =
          samples.values[i] + samples.values[i + one.values.size()] + samples.values[i + 2 * one.values.size()];
      ASSERT_NEAR(one.values[i], sum / 3, 1e-4 * (1 + std::abs(sum)));
    }
  }
  // The dispersion is one a gene.
  for (std::int64_t gene = 0; gene < each.dispersion.n_columns; ++gene) {
    EXPECT_EQ(each.dispersion.values[gene], each.dispersion.values[each.dispersion.n_columns + gene]);
  }
}

TEST(Generation, DenoisesToTheLibrarySizeThatIsAskedFor) {
  for (const auto likelihood : kLikelihoods) {
    const Posterior posterior = posterior_with(likelihood);
    const auto n_genes = static_cast<double>(posterior.gene_dataset().nb_genes());
    const SampleArray samples = posterior.generate_denoised_samples({.n_samples = 20, .rna_size_factor = 500});
    EXPECT_EQ(samples.n_samples, 20);
    EXPECT_NEAR(mean_of(samples.values), 500 / n_genes, 0.05 * 500 / n_genes);
    for (const float value : samples.values) ASSERT_TRUE(std::isfinite(value) && value >= 0);
  }
}

TEST(Generation, HonoursTheBatchThatDenoisedCellsAreDecodedAs) {
  const auto cells = example(LatentDistribution::normal, ReconstructionLoss::poisson);
  const Posterior posterior = cells.posterior();
  const auto denoised = [&](std::optional<std::int64_t> batch) {
    return posterior.generate_denoised_samples({.n_samples = 1, .rna_size_factor = 1, .transform_batch = batch});
  };
  EXPECT_NE(denoised(0).values, denoised(1).values);
  EXPECT_NE(denoised(0).values, denoised({}).values);
}

TEST(Generation, RefusesWhatMakesNoSense) {
  const Posterior posterior = posterior_with(ReconstructionLoss::zinb);
  EXPECT_THROW(posterior.generate({.n_samples = 0}), InputError);
  EXPECT_THROW(posterior.generate({.genes = {-1}}), InputError);
  EXPECT_THROW(posterior.generate_parameters(0), InputError);
  EXPECT_THROW(posterior.generate_denoised_samples({.rna_size_factor = 0}), InputError);
  EXPECT_THROW(posterior.generate_denoised_samples({.rna_size_factor = std::nan("")}), InputError);
  EXPECT_THROW(posterior.generate_denoised_samples({.transform_batch = 2}), InputError);
  EXPECT_THROW(posterior.generate_feature_correlation_matrix({.transform_batch = {0, 9}}), InputError);
  EXPECT_THROW(posterior.generate_feature_correlation_matrix({.n_samples = 0}), InputError);
}

/// Correlation of two lists of numbers.
double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

/// Ranks from 1 on, equal numbers sharing the mean of theirs: counted, one number after the other.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<double> result;
  for (const double value : values) {
    double below = 0, equal = 0;
    for (const double other : values) below += other < value, equal += other == value;
    result.push_back(below + (equal + 1) / 2);
  }
  return result;
}

TEST(Correlation, IsThatOfTheDenoisedSamples) {
  const Posterior posterior = posterior_with(ReconstructionLoss::zinb, 50);
  const std::vector<std::int64_t> genes = {4, 0, 9, 13};
  const SampleArray samples = posterior.generate_denoised_samples({.n_samples = 3, .genes = genes});
  std::vector<std::vector<double>> columns(genes.size());
  for (std::size_t i = 0; i < samples.values.size(); ++i) columns[i % genes.size()].push_back(samples.values[i]);
  for (const auto type : {CorrelationType::pearson, CorrelationType::spearman}) {
    const CellArray found =
        posterior.generate_feature_correlation_matrix({.n_samples = 3, .type = type, .genes = genes});
    ASSERT_EQ(found.n_cells, 4);
    const auto numbers = [&](std::size_t i) {
      return type == CorrelationType::pearson ? columns[i] : ranks(columns[i]);
    };
    for (std::size_t i = 0; i < genes.size(); ++i) {
      for (std::size_t j = 0; j < genes.size(); ++j) {
        EXPECT_NEAR(found.values[i * 4 + j], pearson(numbers(i), numbers(j)), 1e-5) << i << " " << j;
      }
    }
  }
}

TEST(Correlation, OverBatchesIsTheMeanOfTheirMatrices) {
  // Without draws of counts nothing but the draws of the latent space tells the two ways apart.
  const Posterior posterior = posterior_with(ReconstructionLoss::nb);
  const auto of = [&](std::vector<std::int64_t> batches) {
    return posterior
        .generate_feature_correlation_matrix(
            {.n_samples = 30, .transform_batch = std::move(batches), .genes = {1, 6}})
        .values[1];
  };
  EXPECT_NEAR(of({0, 1}), (of({0}) + of({1})) / 2, 0.03);
}

TEST(Correlation, OfAGeneThatDoesNotVaryIsNoNumber) {
  const Posterior one = posterior_with(ReconstructionLoss::poisson).with_indices({0});
  for (const auto type : {CorrelationType::pearson, CorrelationType::spearman}) {
    for (const float value : one.generate_feature_correlation_matrix({.n_samples = 1, .type = type}).values) {
      EXPECT_TRUE(std::isnan(value));
    }
  }
}

TEST(Generation, HasTheSameBitsForAnyNumberOfThreads) {
  const Posterior posterior = posterior_with(ReconstructionLoss::zinb, 16);
  const auto all = [&] {
    std::vector<std::vector<float>> results;
    results.push_back(posterior.generate({.n_samples = 2}).x_new.values);
    results.push_back(posterior.generate_denoised_samples({.n_samples = 3}).values);
    results.push_back(posterior.generate_parameters(2, true).mean.values);
    for (const auto type : {CorrelationType::pearson, CorrelationType::spearman}) {
      results.push_back(posterior.generate_feature_correlation_matrix({.n_samples = 2, .type = type}).values);
    }
    return results;
  };
  const testing::WithThreads one(1);
  const auto expected = all();
  for (const int threads : {2, 7}) {
    const testing::WithThreads several(threads);
    EXPECT_EQ(all(), expected);
  }
}

}  // namespace
}  // namespace scvi
