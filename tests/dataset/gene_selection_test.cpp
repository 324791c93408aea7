#include "scvi/dataset/gene_selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "fixtures.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/dataset/anndata.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using testing::Dense;
using testing::message_of;
using testing::Names;
using testing::Numbers;

/// Two protocols, three cell lines, 450 cells x 15,073 genes of known identity (Tian et al. 2019).
class MixologySelection : public ::testing::Test {
 protected:
  void SetUp() override {
    SCVI_REQUIRE_TEST_DATA();
    const io::H5adFile file(testing::test_data_dir() + "/mixology/mixology_3cl.h5ad");
    AnnDataOptions options;
    options.batch_key = "batch";
    dataset_ = load_anndata(file, options);
  }

  HighlyVariableGenes select(GeneSelectionMode flavor, std::optional<std::int64_t> n, bool batch_correction) const {
    return dataset_.highly_variable_genes({.n_top_genes = n, .flavor = flavor, .batch_correction = batch_correction});
  }

  /// The genes found, and for each what `numbers` holds, equal what is expected.
  void expect_genes(const HighlyVariableGenes& found, const std::vector<double>& numbers,
                    const std::map<std::string, double>& expected, double tolerance) const {
    ASSERT_EQ(found.genes.size(), expected.size());
    EXPECT_TRUE(std::is_sorted(found.genes.begin(), found.genes.end()));
    for (const std::int64_t gene : found.genes) {
      const std::string& name = dataset_.gene_names()[static_cast<std::size_t>(gene)];
      EXPECT_TRUE(found.highly_variable[static_cast<std::size_t>(gene)]);
      ASSERT_TRUE(expected.contains(name)) << name;
      EXPECT_NEAR(numbers[static_cast<std::size_t>(gene)], expected.at(name), tolerance) << name;
    }
  }

  GeneExpressionDataset dataset_;
};

// Expected values: scanpy 1.11, highly_variable_genes of counts scaled to 10,000 and log1p-transformed.
TEST_F(MixologySelection, SeuratV2StandardisesDispersionsAsScanpyDoes) {
  const auto together = select(GeneSelectionMode::seurat_v2, 8, false);
  expect_genes(together, together.dispersions_norm,
               {{"ENSG00000073756", 9.3791580},
                {"ENSG00000136244", 8.6635532},
                {"ENSG00000064205", 8.2536898},
                {"ENSG00000212724", 9.3294973},
                {"ENSG00000137745", 12.3331537},
                {"ENSG00000164692", 9.2344456},
                {"ENSG00000211448", 8.2985458},
                {"ENSG00000163220", 8.8503876}},
               1e-6);
  expect_genes(together, together.means,
               {{"ENSG00000073756", 0.2510723},
                {"ENSG00000136244", 0.1754474},
                {"ENSG00000064205", 0.3824577},
                {"ENSG00000212724", 0.5284287},
                {"ENSG00000137745", 0.1049741},
                {"ENSG00000164692", 0.1903907},
                {"ENSG00000211448", 0.2766116},
                {"ENSG00000163220", 0.6568928}},
               1e-6);
  const auto per_batch = select(GeneSelectionMode::seurat_v2, 8, true);
  expect_genes(per_batch, per_batch.dispersions_norm,
               {{"ENSG00000073756", 6.7544627},
                {"ENSG00000064205", 7.9460759},
                {"ENSG00000212724", 7.5014009},
                {"ENSG00000164692", 8.1661949},
                {"ENSG00000163735", 7.1785297},
                {"ENSG00000211448", 6.5436025},
                {"ENSG00000163220", 8.3233709},
                {"ENSG00000196754", 7.6928458}},
               1e-6);
  EXPECT_EQ(select(GeneSelectionMode::seurat_v2, {}, false).genes.size(), 3416U);
  EXPECT_EQ(select(GeneSelectionMode::seurat_v2, {}, true).genes.size(), 3204U);
}

TEST_F(MixologySelection, CellRangerStandardisesDispersionsAsScanpyDoes) {
  const auto together = select(GeneSelectionMode::cell_ranger, 8, false);
  expect_genes(together, together.dispersions_norm,
               {{"ENSG00000163739", 21.5849724},
                {"ENSG00000169429", 25.8169765},
                {"ENSG00000137673", 20.0018044},
                {"ENSG00000212724", 20.1203957},
                {"ENSG00000151632", 21.5030289},
                {"ENSG00000124875", 24.2131939},
                {"ENSG00000163220", 25.6467285},
                {"ENSG00000196126", 19.1620445}},
               2e-6);
  const auto per_batch = select(GeneSelectionMode::cell_ranger, 8, true);
  expect_genes(per_batch, per_batch.dispersions_norm,
               {{"ENSG00000163739", 24.2640896},
                {"ENSG00000169429", 23.4410267},
                {"ENSG00000204287", 19.1054382},
                {"ENSG00000151632", 19.6114578},
                {"ENSG00000108602", 20.3438282},
                {"ENSG00000124875", 22.4741154},
                {"ENSG00000163220", 22.2344341},
                {"ENSG00000196126", 19.8823566}},
               2e-6);
  EXPECT_EQ(select(GeneSelectionMode::cell_ranger, {}, false).genes.size(), 4649U);
  EXPECT_EQ(select(GeneSelectionMode::cell_ranger, {}, true).genes.size(), 4308U);
}

// Expected values: scanpy 1.11 with scikit-misc, flavors seurat_v3 (one batch) and seurat_v3_paper (two). Where genes
// share their mean the grid of the fit may be cut a little differently: hence the tolerance.
TEST_F(MixologySelection, SeuratV3StandardisesVariancesAsScanpyDoes) {
  const auto together = select(GeneSelectionMode::seurat_v3, 10, false);
  const std::map<std::string, double> variances = {{"ENSG00000163739", 8.4045380}, {"ENSG00000169429", 9.3467941},
                                                   {"ENSG00000106366", 6.8223377}, {"ENSG00000212724", 7.7522369},
                                                   {"ENSG00000104368", 6.8936183}, {"ENSG00000163735", 8.2348427},
                                                   {"ENSG00000108602", 6.5212978}, {"ENSG00000124875", 8.9705041},
                                                   {"ENSG00000149591", 6.7495923}, {"ENSG00000163220", 9.0075467}};
  expect_genes(together, together.variances, variances, 1e-3);
  const std::map<std::string, double> ranks = {{"ENSG00000163739", 3}, {"ENSG00000169429", 0}, {"ENSG00000106366", 7},
                                               {"ENSG00000212724", 5}, {"ENSG00000104368", 6}, {"ENSG00000163735", 4},
                                               {"ENSG00000108602", 9}, {"ENSG00000124875", 2}, {"ENSG00000149591", 8},
                                               {"ENSG00000163220", 1}};
  expect_genes(together, together.median_rank, ranks, 0);

  const auto per_batch = select(GeneSelectionMode::seurat_v3, 10, true);
  const std::map<std::string, double> batch_ranks = {
      {"ENSG00000163739", 0.5}, {"ENSG00000169429", 4}, {"ENSG00000137673", 2}, {"ENSG00000106366", 3.5},
      {"ENSG00000104368", 4},   {"ENSG00000100867", 4}, {"ENSG00000163735", 5}, {"ENSG00000108602", 6.5},
      {"ENSG00000124875", 1.5}, {"ENSG00000163220", 2}};
  expect_genes(per_batch, per_batch.median_rank, batch_ranks, 0);
  std::int64_t in_both = 0;
  for (const std::int64_t gene : per_batch.genes) in_both += per_batch.n_batches[static_cast<std::size_t>(gene)] == 2;
  EXPECT_EQ(in_both, 5);
}

TEST_F(MixologySelection, TheReferenceLosesItsFitAndChoosesOtherGenes) {
  const auto right = select(GeneSelectionMode::seurat_v3, 200, true);
  const auto reference = dataset_.highly_variable_genes({.n_top_genes = 200, .reference_0_6_3 = true});
  EXPECT_EQ(reference.genes.size(), 200U);
  Numbers common;
  std::set_intersection(right.genes.begin(), right.genes.end(), reference.genes.begin(), reference.genes.end(),
                        std::back_inserter(common));
  EXPECT_LT(common.size(), 150U) << "it takes the genes with the largest counts instead";
}

constexpr std::int64_t kGenes = 400;

/// Poisson counts of kGenes genes with means between 4 and 13. Markers have the same means, but almost all of their
/// counts in every other cell.
CountMatrix counts_with_marker_genes(const Numbers& markers, std::int64_t n_cells, bool sparse) {
  RandomStream stream(11, "gene_selection_test");
  Dense values;
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    for (std::int64_t gene = 0; gene < kGenes; ++gene) {
      const bool is_marker = std::find(markers.begin(), markers.end(), gene) != markers.end();
      const double factor = !is_marker ? 1 : cell % 2 == 1 ? 1.9 : 0.1;
      values.push_back(static_cast<float>(stream.poisson(factor * static_cast<double>(4 + gene % 10))));
    }
  }
  CountMatrix counts = CountMatrix::from_dense(n_cells, kGenes, values);
  return sparse ? counts.to_sparse() : std::move(counts);
}

TEST(GeneSelection, EveryModeFindsTheGenesThatDifferBetweenCellTypes) {
  const Numbers markers = {3, 17, 31, 32};
  const Numbers one_batch(200, 0);
  for (const bool sparse : {false, true}) {
    const CountMatrix counts = counts_with_marker_genes(markers, 200, sparse);
    for (const std::string& mode : available_gene_selection_modes()) {
      const auto found = find_highly_variable_genes(
          counts, one_batch, 1,
          {.n_top_genes = 4, .flavor = parse_gene_selection_mode(mode), .tuning = {.n_bins = 3}});
      Numbers genes = found.genes;
      std::sort(genes.begin(), genes.end());
      EXPECT_EQ(genes, markers) << mode;
      EXPECT_EQ(std::count(found.highly_variable.begin(), found.highly_variable.end(), true), 4) << mode;
    }
  }
}

TEST(GeneSelection, WhatDiffersBetweenBatchesOnlyCountsWithoutBatchCorrection) {
  const CountMatrix counts = counts_with_marker_genes({5, 6}, 200, true);
  Numbers batch_of_cell;  // the raised cells are a batch of their own
  for (std::int64_t cell = 0; cell < 200; ++cell) batch_of_cell.push_back(cell % 2);
  for (const auto mode : {GeneSelectionMode::seurat_v3, GeneSelectionMode::seurat_v2}) {
    const auto select = [&](bool correct) {
      return find_highly_variable_genes(
                 counts, batch_of_cell, 2,
                 {.n_top_genes = 2, .flavor = mode, .batch_correction = correct, .tuning = {.n_bins = 3}})
          .genes;
    };
    EXPECT_EQ(select(false), (Numbers{5, 6})) << gene_selection_mode_name(mode);
    EXPECT_NE(select(true), (Numbers{5, 6})) << gene_selection_mode_name(mode);
  }
}

TEST(GeneSelection, ConstantGenesComeLastAndHaveNoVariance) {
  Dense values;
  RandomStream stream(4, "constant genes");
  for (int cell = 0; cell < 50; ++cell) {
    for (int gene = 0; gene < 20; ++gene) {
      values.push_back(gene == 7 ? 0.0F : gene == 8 ? 4.0F : static_cast<float>(stream.poisson(1.0 + gene)));
    }
  }
  const CountMatrix counts = CountMatrix::from_dense(50, 20, values).to_sparse();
  const Numbers one_batch(50, 0);
  for (const bool reference : {false, true}) {
    const auto v3 =
        find_highly_variable_genes(counts, one_batch, 1, {.n_top_genes = 18, .reference_0_6_3 = reference});
    EXPECT_EQ(v3.variances[7], 0);
    EXPECT_EQ(v3.variances[8], 0);
    EXPECT_FALSE(v3.highly_variable[7] || v3.highly_variable[8]);
  }
  const auto v2 =
      find_highly_variable_genes(counts, one_batch, 1, {.n_top_genes = 20, .flavor = GeneSelectionMode::seurat_v2});
  EXPECT_TRUE(std::isnan(v2.dispersions[7]));
  EXPECT_FALSE(v2.highly_variable[7]) << "a gene without dispersion is never chosen";
  EXPECT_EQ(v2.genes.size(), 19U);
}

TEST(GeneSelection, SmallAndEmptyBatchesHaveNoSay) {
  const CountMatrix counts = counts_with_marker_genes({3}, 41, true);
  Numbers batch_of_cell(41, 2);
  batch_of_cell[40] = 0;  // one cell; batch 1 has none
  const auto found = find_highly_variable_genes(counts, batch_of_cell, 3, {.n_top_genes = 1});
  EXPECT_EQ(found.genes, Numbers{3});
  EXPECT_EQ(found.n_batches[3], 1);
  Numbers singles;
  for (std::int64_t cell = 0; cell < 41; ++cell) singles.push_back(cell);
  const std::string message =
      message_of([&] { find_highly_variable_genes(counts, singles, 41, {.n_top_genes = 1}); });
  EXPECT_NE(message.find("a batch of at least two cells"), std::string::npos) << message;
}

TEST(GeneSelection, MoreGenesThanThereAreMeansAll) {
  const CountMatrix counts = counts_with_marker_genes({3}, 30, false);
  const Numbers one_batch(30, 0);
  for (const std::string& mode : available_gene_selection_modes()) {
    const auto found = find_highly_variable_genes(counts, one_batch, 1,
                                                  {.n_top_genes = 1000, .flavor = parse_gene_selection_mode(mode)});
    EXPECT_EQ(found.genes.size(), static_cast<std::size_t>(kGenes)) << mode;
  }
}

TEST(GeneSelection, ResultsDoNotDependOnThreads) {
  const CountMatrix counts = counts_with_marker_genes({3, 9}, 3000, true);
  Numbers batch_of_cell;
  for (std::int64_t cell = 0; cell < 3000; ++cell) batch_of_cell.push_back(cell % 3);
  const int threads_before = settings().n_threads;
  for (const std::string& mode : available_gene_selection_modes()) {
    std::vector<HighlyVariableGenes> found;
    for (const int threads : {1, 3}) {
      settings().n_threads = threads;
      found.push_back(find_highly_variable_genes(counts, batch_of_cell, 3,
                                                 {.n_top_genes = 7, .flavor = parse_gene_selection_mode(mode)}));
    }
    EXPECT_EQ(found[0].genes, found[1].genes) << mode;
    EXPECT_EQ(found[0].variances, found[1].variances) << mode;
    EXPECT_EQ(found[0].dispersions_norm, found[1].dispersions_norm) << mode;
  }
  settings().n_threads = threads_before;
}

TEST(GeneSelection, RefusesWhatMakesNoSense) {
  const CountMatrix counts = counts_with_marker_genes({3}, 10, false);
  const Numbers one_batch(10, 0);
  const auto refuses = [&](const HighlyVariableGenesOptions& options) {
    return message_of([&] { find_highly_variable_genes(counts, one_batch, 1, options); }) != "no InputError";
  };
  EXPECT_TRUE(refuses({}));
  EXPECT_TRUE(refuses({.flavor = GeneSelectionMode::variance}));
  EXPECT_TRUE(refuses({.n_top_genes = 0}));
  EXPECT_TRUE(refuses({.n_top_genes = 5, .tuning = {.span = 0}}));
  EXPECT_TRUE(refuses({.n_top_genes = 5, .tuning = {.span = std::nan("")}}));
  EXPECT_TRUE(refuses({.n_top_genes = 5, .flavor = GeneSelectionMode::seurat_v2, .tuning = {.n_bins = 0}}));
  EXPECT_TRUE(refuses({.flavor = GeneSelectionMode::seurat_v2, .tuning = {.min_mean = 4}}));
  EXPECT_FALSE(refuses({.flavor = GeneSelectionMode::cell_ranger}));
}

TEST(GeneSelection, ModesHaveTheirNames) {
  EXPECT_EQ(available_gene_selection_modes(), (Names{"variance", "seurat_v2", "cell_ranger", "seurat_v3"}));
  EXPECT_EQ(parse_gene_selection_mode("cell_ranger"), GeneSelectionMode::cell_ranger);
  EXPECT_EQ(gene_selection_mode_name(GeneSelectionMode::seurat_v2), "seurat_v2");
  const std::string message = message_of([] { parse_gene_selection_mode("varience"); });
  EXPECT_NE(message.find("did you mean 'variance'?"), std::string::npos) << message;
}

}  // namespace
}  // namespace scvi
