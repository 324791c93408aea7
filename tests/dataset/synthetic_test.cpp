#include "scvi/dataset/synthetic.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

using Numbers = std::vector<std::int64_t>;

std::vector<float> dense_of(const CountMatrix& matrix) {
  Numbers cells(static_cast<std::size_t>(matrix.n_cells()));
  std::iota(cells.begin(), cells.end(), 0);
  std::vector<float> out(static_cast<std::size_t>(matrix.n_cells() * matrix.n_genes()));
  matrix.gather_dense(cells, out.data());
  return out;
}

struct Moments {
  double mean = 0;
  double variance = 0;
  double share_of_zeros = 0;
};

template <class Values>
Moments moments_of(const Values& values) {
  Moments moments;
  const auto n = static_cast<double>(values.size());
  for (const auto value : values) {
    moments.mean += value / n;
    moments.share_of_zeros += (value == 0) / n;
  }
  for (const auto value : values) moments.variance += std::pow(value - moments.mean, 2) / n;
  return moments;
}

TEST(SyntheticDataset, HasTheShapesOfTheReference) {
  const auto dataset = synthetic_dataset();
  EXPECT_EQ(dataset.nb_cells(), 400);
  EXPECT_EQ(dataset.nb_genes(), 100);
  EXPECT_EQ(dataset.n_batches(), 2);
  EXPECT_EQ(dataset.n_labels(), 3);
  EXPECT_EQ(dataset.batch_indices()[199], 0);
  EXPECT_EQ(dataset.batch_indices()[200], 1);
  EXPECT_EQ(dataset.cell_types()[2], "undefined_2");
  EXPECT_EQ(dataset.gene_names()[99], "99");
  EXPECT_EQ(dataset.cell_measurement("protein_expression").columns.size(), 100U);
}

TEST(SyntheticDataset, CountsAreZeroInflatedNegativeBinomial) {
  const auto dataset = synthetic_dataset({.batch_size = 1000});
  // Negative binomial (5, 0.3): mean 5 * 0.7 / 0.3, variance that over 0.3, zero with probability 0.3^5.
  const double mean = 5 * 0.7 / 0.3;
  const Moments proteins = moments_of(dataset.cell_measurement("protein_expression").data);
  EXPECT_NEAR(proteins.mean, mean, 0.06);
  EXPECT_NEAR(proteins.variance, mean / 0.3, 0.6);
  EXPECT_NEAR(proteins.share_of_zeros, std::pow(0.3, 5), 0.001);
  const Moments counts = moments_of(dense_of(dataset.X()));
  EXPECT_NEAR(counts.mean, 0.7 * mean, 0.06);
  EXPECT_NEAR(counts.share_of_zeros, 0.3 + 0.7 * std::pow(0.3, 5), 0.005);
}

TEST(SyntheticDataset, LabelsWithoutCellsAreDroppedAndSeedsMatter) {
  const auto tiny =
      synthetic_dataset({.batch_size = 2, .nb_genes = 5, .n_proteins = 0, .n_batches = 1, .n_labels = 50});
  EXPECT_LE(tiny.n_labels(), 2);
  EXPECT_TRUE(tiny.cell_measurements().empty());
  const auto counts = [](std::uint64_t seed) {
    return dense_of(synthetic_dataset({.batch_size = 5, .seed = seed}).X());
  };
  EXPECT_EQ(counts(1), counts(1));
  EXPECT_NE(counts(1), counts(2));
  EXPECT_THROW(synthetic_dataset({.batch_size = 0}), InputError);
  EXPECT_THROW(synthetic_dataset({.n_labels = 0}), InputError);
}

TEST(SyntheticDatasetCorr, EachClusterExpressesItsOwnBlockOfGenes) {
  const auto data = synthetic_dataset_corr();
  const auto& dataset = data.dataset;
  EXPECT_EQ(dataset.nb_cells(), 600);
  EXPECT_EQ(dataset.nb_genes(), 75);
  EXPECT_EQ(dataset.n_labels(), 3);
  EXPECT_EQ(dataset.n_batches(), 1);
  EXPECT_EQ(dataset.labels()[200], 1);
  const double weight_sum = 25 * 4e-2 + 50 * 1e-2;
  for (const std::int64_t cell : {0, 250, 599}) {
    const std::int64_t cluster = cell / 200;
    for (std::int64_t gene = 0; gene < 75; ++gene) {
      const bool high = gene / 25 == cluster;
      EXPECT_EQ(data.is_highly_exp[cell * 75 + gene] != 0, high);
      EXPECT_FLOAT_EQ(data.exprs_param[cell * 75 + gene], static_cast<float>(50 * (high ? 4e-2 : 1e-2) / weight_sum));
    }
  }
  const auto totals = dataset.X().cell_totals();
  EXPECT_NEAR(moments_of(totals).mean, 50, 1);
  EXPECT_NEAR(moments_of(totals).variance, 50, 10) << "Poisson";
}

TEST(SyntheticDatasetCorr, OverlapSharesGenesBetweenNeighbours) {
  const auto data = synthetic_dataset_corr({.n_cells_cluster = 2, .n_genes_high = 10, .n_overlap = 4});
  const std::int64_t n_genes = data.dataset.nb_genes();
  EXPECT_EQ(n_genes, 3 * 6 + 4);
  for (const std::int64_t cluster : {0, 1, 2}) {
    const auto* high = data.is_highly_exp.data() + 2 * cluster * n_genes;
    EXPECT_EQ(std::accumulate(high, high + n_genes, 0), 10);
    EXPECT_EQ(high[6 * cluster], 1);
    EXPECT_EQ(high[6 * cluster + 9], 1);
  }
  EXPECT_THROW(synthetic_dataset_corr({.n_genes_high = 10, .n_overlap = 10}), InputError);
  EXPECT_THROW(synthetic_dataset_corr({.n_clusters = 0}), InputError);
  EXPECT_THROW(synthetic_dataset_corr({.lam_0 = -1}), InputError);
}

TEST(SyntheticDatasetCorr, BatchEffectAndLibrarySpreadMultiplyTheExpectations) {
  const auto plain = synthetic_dataset_corr({.n_cells_cluster = 40, .n_batches = 2});
  EXPECT_EQ(plain.dataset.nb_cells(), 240);
  EXPECT_EQ(plain.dataset.n_batches(), 2);
  EXPECT_EQ(plain.exprs_param[0], plain.exprs_param[120 * 75]) << "both off by default";

  const auto shifted = synthetic_dataset_corr({.n_cells_cluster = 40, .n_batches = 2, .batch_effect = 0.5});
  std::vector<double> log_factors;
  for (std::int64_t gene = 0; gene < 75; ++gene) {
    EXPECT_EQ(shifted.exprs_param[gene], plain.exprs_param[gene]) << "the first batch is the reference";
    const float factor = shifted.exprs_param[120 * 75 + gene] / shifted.exprs_param[gene];
    EXPECT_FLOAT_EQ(factor, shifted.exprs_param[239 * 75 + gene] / shifted.exprs_param[119 * 75 + gene]);
    log_factors.push_back(std::log(factor));
  }
  EXPECT_NEAR(std::sqrt(moments_of(log_factors).variance), 0.5, 0.15);

  const auto spread = synthetic_dataset_corr({.n_cells_cluster = 400, .lam_0 = 500, .library_spread = 0.3});
  EXPECT_NEAR(std::sqrt(spread.dataset.local_vars()[0]), 0.3, 0.03);
  EXPECT_LT(std::sqrt(synthetic_dataset_corr({.n_cells_cluster = 400, .lam_0 = 500}).dataset.local_vars()[0]), 0.06);
}

TEST(ZISyntheticDatasetCorr, AddsTechnicalZerosToTheSameCounts) {
  const auto poisson = synthetic_dataset_corr();
  const auto inflated = zi_synthetic_dataset_corr();
  const auto before = dense_of(poisson.dataset.X());
  const auto after = dense_of(inflated.dataset.X());
  ASSERT_EQ(inflated.is_technical.size(), before.size());
  for (std::size_t at = 0; at < before.size(); ++at) {
    EXPECT_EQ(after[at], inflated.is_technical[at] != 0 ? 0 : before[at]);
  }
  EXPECT_LT(moments_of(before).share_of_zeros, moments_of(after).share_of_zeros);
  EXPECT_GE(moments_of(after).share_of_zeros, 0.2);
  EXPECT_NEAR(moments_of(inflated.is_technical).mean, (0.05 + 2 * 0.08) / 3, 0.005);
}

TEST(ZISyntheticDatasetCorr, ZeroProbabilitiesAreThoseOfTheModel) {
  const auto data = zi_synthetic_dataset_corr();
  const double poisson_high = std::exp(-50 * 4e-2 / 1.5);
  EXPECT_NEAR(data.probas_zero_bio_tech_high[0][0], (1 - poisson_high) * 0.95, 1e-6);
  EXPECT_NEAR(data.probas_zero_bio_tech_high[0][1], (1 - poisson_high) * 0.05, 1e-6);
  EXPECT_NEAR(data.probas_zero_bio_tech_high[1][0], poisson_high * 0.95, 1e-6);
  double sum = 0;
  for (const auto& row : data.probas_zero_bio_tech_low) sum += row[0] + row[1];
  EXPECT_NEAR(sum, 1, 1e-6);
}

TEST(ZISyntheticDatasetCorr, DropoutDecaysWithTheSquareOfTheExpectation) {
  ZISyntheticDatasetCorrOptions options;
  options.corr.n_cells_cluster = 2;
  options.dropout_coef_high = 0.9;
  options.lam_dropout_high = 0.5;
  const auto data = zi_synthetic_dataset_corr(options);
  const double expected = 50 * 4e-2 / 1.5;
  EXPECT_NEAR(data.p_dropout[0], 0.9 * std::exp(-0.5 * expected * expected), 1e-6);
  EXPECT_NEAR(data.p_dropout[74], 0.08, 1e-6);
  options.dropout_coef_high = 1.0;
  EXPECT_THROW(zi_synthetic_dataset_corr(options), InputError);
}

TEST(SyntheticCountsLike, MeetsShapeDensityAndCategories) {
  const SyntheticCountsOptions options{.n_cells = 4000, .n_genes = 720, .density = 0.11};
  const auto dataset = synthetic_counts_like(options);
  EXPECT_EQ(dataset.nb_cells(), 4000);
  EXPECT_EQ(dataset.nb_genes(), 720);
  EXPECT_EQ(dataset.n_labels(), 10);
  EXPECT_EQ(dataset.n_batches(), 2);
  EXPECT_TRUE(dataset.X().is_sparse());
  const double density = static_cast<double>(dataset.X().n_nonzero()) / (4000.0 * 720.0);
  EXPECT_NEAR(density, 0.11, 0.006);
  EXPECT_GT(dataset.local_vars()[0], 0.05F) << "library sizes spread";
}

TEST(SyntheticCountsLike, ClustersAndBatchesHaveTheirOwnProfiles) {
  const auto dataset = synthetic_counts_like({.n_cells = 3000, .n_genes = 50, .density = 0.5, .n_clusters = 2});
  std::vector<double> sums(4 * 50);
  std::vector<double> totals(4);
  for (std::int64_t cell = 0; cell < 3000; ++cell) {
    const std::int64_t group = 2 * dataset.labels()[cell] + dataset.batch_indices()[cell];
    dataset.X().for_each_nonzero(cell, [&](std::int64_t gene, float count) {
      sums[group * 50 + gene] += count;
      totals[group] += count;
    });
  }
  const auto distance = [&](std::int64_t a, std::int64_t b) {
    double sum = 0;
    for (std::int64_t gene = 0; gene < 50; ++gene) {
      sum += std::abs(sums[a * 50 + gene] / totals[a] - sums[b * 50 + gene] / totals[b]);
    }
    return sum;
  };
  EXPECT_GT(distance(0, 2), 0.1) << "clusters";
  EXPECT_GT(distance(0, 1), 0.1) << "batches";
}

TEST(SyntheticCountsLike, GivesTheSameBitsForAnyNumberOfThreads) {
  const SyntheticCountsOptions options{.n_cells = 9000, .n_genes = 60, .density = 0.2, .seed = 11};
  const int threads_before = settings().n_threads;
  settings().n_threads = 1;
  const auto one = synthetic_counts_like(options);
  settings().n_threads = 3;
  const auto three = synthetic_counts_like(options);
  settings().n_threads = threads_before;
  EXPECT_EQ(dense_of(one.X()), dense_of(three.X()));
  EXPECT_EQ(one.labels(), three.labels());
  EXPECT_THROW(synthetic_counts_like({.density = 1.0}), InputError);
  EXPECT_THROW(synthetic_counts_like({.density = 0.0}), InputError);
  EXPECT_THROW(synthetic_counts_like({.n_cells = 0}), InputError);
}

}  // namespace
}  // namespace scvi
