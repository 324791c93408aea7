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

/// Sums of counts over the cells of a group: of each gene, and of the library sizes.
struct GroupSums {
  std::vector<double> counts;
  double library = 0;
  double cells = 0;
};

std::vector<GroupSums> sums_by_group(const GeneExpressionDataset& dataset) {
  std::vector<GroupSums> groups(static_cast<std::size_t>(dataset.n_labels()),
                                {std::vector<double>(static_cast<std::size_t>(dataset.nb_genes())), 0, 0});
  const auto& library = std::get<std::vector<double>>(dataset.cell_attribute("library").values);
  for (std::int64_t cell = 0; cell < dataset.nb_cells(); ++cell) {
    GroupSums& group = groups[dataset.labels()[cell]];
    group.library += library[cell];
    group.cells += 1;
    dataset.X().for_each_nonzero(cell, [&](std::int64_t gene, float count) { group.counts[gene] += count; });
  }
  return groups;
}

TEST(SyntheticZinb, MeansAreLibraryTimesScaleTimesWhatIsKept) {
  const auto data = synthetic_zinb({.n_cells = 4000, .n_genes = 200, .total = 5000, .seed = 3});
  const auto groups = sums_by_group(data.dataset);
  ASSERT_EQ(groups.size(), 3U);
  std::vector<double> deviations;
  for (std::int64_t group = 0; group < 3; ++group) {
    EXPECT_NEAR(groups[group].cells, 4000 / 3.0, 150);
    for (std::int64_t gene = 0; gene < 200; ++gene) {
      const double kept = 1 - data.zero_inflation[gene];
      const double mean = groups[group].library / groups[group].cells * data.scale[group * 200 + gene];
      // Of a count that is lost with probability 1 - kept: kept * (mean + mean^2 (1 / theta + 1 - kept)).
      const double variance = kept * (mean + mean * mean * (1 / data.dispersion[gene] + 1 - kept));
      const double expected = groups[group].library * data.scale[group * 200 + gene] * kept;
      deviations.push_back((groups[group].counts[gene] - expected) / std::sqrt(variance * groups[group].cells));
    }
  }
  const Moments moments = moments_of(deviations);
  EXPECT_NEAR(moments.mean, 0, 0.12);
  EXPECT_NEAR(moments.variance, 1, 0.25) << "library sizes add a little";
}

TEST(SyntheticZinb, FoldChangesOfTheCountsAreThoseStated) {
  const auto data = synthetic_zinb({.n_cells = 4000,
                                    .n_genes = 100,
                                    .n_groups = 2,
                                    .share_differential = 0.3,
                                    .lfc_min = 1,
                                    .lfc_max = 2,
                                    .share_up = 1,
                                    .total = 20000,
                                    .dispersion = 100});
  const auto groups = sums_by_group(data.dataset);
  int differential = 0;
  double shift = 0;
  for (std::int64_t gene = 0; gene < 100; ++gene) {
    const double stated = std::log2(data.scale[gene] / data.scale[100 + gene]);
    const double found =
        std::log2(groups[0].counts[gene] / groups[0].library) - std::log2(groups[1].counts[gene] / groups[1].library);
    EXPECT_NEAR(found, stated, 0.15) << gene;
    const double lfc = data.lfc[gene];
    differential += lfc != 0;
    EXPECT_TRUE(lfc == 0 || (lfc >= 1 && lfc <= 2)) << "all up";
    if (gene == 0) shift = stated - (lfc - data.lfc[100]);
    EXPECT_NEAR(stated, lfc - data.lfc[100 + gene] + shift, 1e-9) << "but for what is common to all genes";
  }
  EXPECT_EQ(differential, 30);
  EXPECT_NEAR(std::accumulate(data.scale.begin(), data.scale.begin() + 100, 0.0), 1, 1e-12);
}

TEST(SyntheticZinb, DispersionInflationAndLibraryAreThoseStated) {
  const auto data = synthetic_zinb({.n_cells = 20000,
                                    .n_genes = 4,
                                    .n_groups = 1,
                                    .share_differential = 0,
                                    .expression_spread = 0,
                                    .total = 40,
                                    .library_spread = 0,
                                    .dispersion = 1.5,
                                    .zero_inflation = 0.2});
  const auto counts = dense_of(data.dataset.X());
  for (std::size_t gene = 0; gene < 4; ++gene) {
    std::vector<float> of_gene;
    for (std::size_t at = gene; at < counts.size(); at += 4) of_gene.push_back(counts[at]);
    const Moments moments = moments_of(of_gene);
    const double lost = data.zero_inflation[gene];
    EXPECT_LT(lost, 0.4);
    EXPECT_NEAR(moments.mean, 10 * (1 - lost), 0.35);
    EXPECT_NEAR(moments.share_of_zeros, lost + (1 - lost) * std::pow(1.5 / 11.5, 1.5), 0.015);
    EXPECT_NEAR(moments.variance, (1 - lost) * (10 + 100 / 1.5 + 100 * lost), 5);
  }
  const auto spread = synthetic_zinb({.n_cells = 3000, .n_genes = 10, .total = 300, .library_spread = 0.5});
  std::vector<double> log_library;
  for (const double library : std::get<std::vector<double>>(spread.dataset.cell_attribute("library").values)) {
    log_library.push_back(std::log(library));
  }
  EXPECT_NEAR(moments_of(log_library).mean, std::log(300), 0.03);
  EXPECT_NEAR(std::sqrt(moments_of(log_library).variance), 0.5, 0.03);
}

TEST(SyntheticZinb, BatchesChangeGenesTheSameWayInAllGroups) {
  const SyntheticZinbOptions options{.n_cells = 6000,
                                     .n_genes = 40,
                                     .n_groups = 2,
                                     .n_batches = 2,
                                     .batch_effect = 0.7,
                                     .total = 20000,
                                     .dispersion = 1000};
  const auto data = synthetic_zinb(options);
  std::vector<GroupSums> sums(4, {std::vector<double>(40), 0, 0});
  for (std::int64_t cell = 0; cell < 6000; ++cell) {
    GroupSums& group = sums[2 * data.dataset.labels()[cell] + data.dataset.batch_indices()[cell]];
    data.dataset.X().for_each_nonzero(cell, [&](std::int64_t gene, float count) { group.counts[gene] += count; });
  }
  const auto effect = [&](std::int64_t group, std::int64_t gene) {
    return std::log(sums[2 * group + 1].counts[gene] / sums[2 * group].counts[gene]);
  };
  std::vector<double> effects;
  std::vector<double> differences;
  for (std::int64_t gene = 0; gene < 40; ++gene) {
    effects.push_back(effect(0, gene));
    differences.push_back(effect(0, gene) - effect(1, gene));
  }
  EXPECT_NEAR(std::sqrt(moments_of(effects).variance), 0.7, 0.2);
  EXPECT_LT(std::sqrt(moments_of(differences).variance), 0.1);
}

TEST(SyntheticZinb, TheTruthIsPartOfTheDataSet) {
  const auto data = synthetic_zinb({.n_cells = 50, .n_genes = 20, .n_groups = 2, .zero_inflation = 0});
  const auto attribute = [&](const char* name) {
    return std::get<std::vector<double>>(data.dataset.gene_attribute(name).values);
  };
  EXPECT_EQ(attribute("lfc_group_1"), std::vector<double>(data.lfc.begin() + 20, data.lfc.end()));
  EXPECT_EQ(attribute("scale_group_0"), std::vector<double>(data.scale.begin(), data.scale.begin() + 20));
  EXPECT_EQ(attribute("dispersion"), data.dispersion);
  EXPECT_EQ(attribute("zero_inflation"), std::vector<double>(20, 0.0));
  EXPECT_EQ(data.dataset.cell_types().at(1), "group_1");
}

TEST(SyntheticZinb, GivesTheSameBitsForAnyNumberOfThreadsAndOthersForAnotherSeed) {
  const SyntheticZinbOptions options{.n_cells = 9000, .n_genes = 30, .n_batches = 2, .seed = 11};
  const int threads_before = settings().n_threads;
  settings().n_threads = 1;
  const auto one = synthetic_zinb(options);
  settings().n_threads = 3;
  const auto three = synthetic_zinb(options);
  settings().n_threads = threads_before;
  EXPECT_EQ(dense_of(one.dataset.X()), dense_of(three.dataset.X()));
  EXPECT_EQ(one.dataset.labels(), three.dataset.labels());
  EXPECT_EQ(one.lfc, three.lfc);
  const auto other = synthetic_zinb({.n_cells = 9000, .n_genes = 30, .n_batches = 2, .seed = 12});
  EXPECT_NE(dense_of(one.dataset.X()), dense_of(other.dataset.X()));
  EXPECT_NE(one.lfc, other.lfc);
}

TEST(SyntheticZinb, RefusesWhatMakesNoSense) {
  EXPECT_THROW(synthetic_zinb({.n_cells = 0}), InputError);
  EXPECT_THROW(synthetic_zinb({.n_groups = 0}), InputError);
  EXPECT_THROW(synthetic_zinb({.share_differential = 1.1}), InputError);
  EXPECT_THROW(synthetic_zinb({.lfc_min = 2, .lfc_max = 1}), InputError);
  EXPECT_THROW(synthetic_zinb({.share_up = -0.1}), InputError);
  EXPECT_THROW(synthetic_zinb({.total = std::nan("")}), InputError);
  EXPECT_THROW(synthetic_zinb({.dispersion = 0}), InputError);
  EXPECT_THROW(synthetic_zinb({.zero_inflation = 0.6}), InputError);
  const auto extreme = synthetic_zinb({.n_cells = 20,
                                       .n_genes = 20,
                                       .share_differential = 1,
                                       .lfc_max = 30,
                                       .expression_spread = 10,
                                       .total = 1e9,
                                       .library_spread = 10,
                                       .dispersion = 1e-3,
                                       .zero_inflation = 0.5});
  for (const float count : dense_of(extreme.dataset.X())) EXPECT_TRUE(count >= 0 && count < 2e7F);
}

}  // namespace
}  // namespace scvi
