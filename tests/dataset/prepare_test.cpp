#include "scvi/dataset/prepare.hpp"

#include <gtest/gtest.h>

#include "scvi/core/error.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using Names = std::vector<std::string>;
using Numbers = std::vector<std::int64_t>;
using Dense = std::vector<float>;

/// Four cells of two types in two batches, three genes.
GeneExpressionDataset small(const Names& genes = {"G1", "G2", "G3"}, const std::string& prefix = "c") {
  PopulateOptions options;
  options.gene_names = genes;
  options.cell_names = {prefix + "1", prefix + "2", prefix + "3", prefix + "4"};
  options.batch_indices = {0, 0, 1, 1};
  options.batch_names = {"one", "two"};
  options.labels = {0, 1, 0, 1};
  options.cell_types = {"B", "T"};
  options.measurements = {{"protein_expression", {1, 2, 3, 4}, "protein_names", {"CD" + prefix}}};
  GeneExpressionDataset dataset;
  dataset.populate_from_data(CountMatrix::from_dense(4, 3, Dense{1, 0, 5, 2, 2, 2, 3, 0, 0, 9, 0, 1}), options);
  return dataset;
}

GeneExpressionDataset prepared(const PrepareOptions& options, PrepareReport& report) {
  std::vector<GeneExpressionDataset> inputs;
  inputs.push_back(small());
  return prepare(std::move(inputs), options, report);
}

TEST(Prepare, NothingAskedForChangesNothing) {
  PrepareReport report;
  const auto dataset = prepared({}, report);
  EXPECT_EQ(dataset.nb_cells(), 4);
  EXPECT_EQ(dataset.nb_genes(), 3);
  EXPECT_TRUE(report.steps.empty());
  EXPECT_TRUE(report.merge.inputs.empty());
}

TEST(Prepare, CellsWithFewCountsOrGenesGo) {
  PrepareReport report;
  EXPECT_EQ(prepared({.min_counts_per_cell = 6}, report).cell_names(), (Names{"c1", "c2", "c4"}));
  ASSERT_EQ(report.steps.size(), 1U);
  EXPECT_EQ(report.steps[0].what, "cells with fewer than 6 counts");
  EXPECT_EQ(report.steps[0].dropped_cells, Names{"c3"});
  EXPECT_TRUE(report.steps[0].dropped_genes.empty());
  EXPECT_EQ(prepared({.min_genes_per_cell = 3}, report).cell_names(), Names{"c2"});
}

TEST(Prepare, GenesInFewCellsGoInAllOrInAnyBatch) {
  PrepareReport report;
  EXPECT_EQ(prepared({.min_cells_per_gene = 2}, report).gene_names(), (Names{"G1", "G3"}));
  EXPECT_EQ(report.steps[0].dropped_genes, Names{"G2"});
  EXPECT_EQ(prepared({.min_cells_per_gene = 2, .per_batch = true}, report).gene_names(), Names{"G1"})
      << "G3 is in one cell of batch two";
  EXPECT_EQ(prepared({.min_counts_per_gene = 3}, report).gene_names(), (Names{"G1", "G3"}));
}

TEST(Prepare, CellTypesAreKeptOrRemovedAndRenumbered) {
  PrepareReport report;
  const auto kept = prepared({.keep_cell_types = {"T"}}, report);
  EXPECT_EQ(kept.cell_types(), Names{"T"});
  EXPECT_EQ(kept.labels(), (Numbers{0, 0}));
  EXPECT_EQ(prepared({.remove_cell_types = {"T"}}, report).cell_names(), (Names{"c1", "c3"}));
  EXPECT_THROW(prepared({.keep_cell_types = {"NK"}}, report), InputError);
}

TEST(Prepare, CellsByNumberAreThoseWithMostCounts) {
  PrepareReport report;
  EXPECT_EQ(prepared({.subsample_cells = 1}, report).cell_names(), Names{"c4"});
  EXPECT_EQ(report.n_cells, 1);
  EXPECT_EQ(prepared({.subsample_cells = 40}, report).nb_cells(), 4);
}

TEST(Prepare, ListedGenesComeInTheirOrder) {
  PrepareReport report;
  EXPECT_EQ(prepared({.keep_genes = {"G3", "G1"}}, report).gene_names(), (Names{"G3", "G1"}));
  EXPECT_THROW(prepared({.keep_genes = {"G4"}}, report), InputError);
}

TEST(Prepare, TheMostVariableGenesStay) {
  PrepareReport report;
  const auto dataset = prepared({.n_top_genes = 1, .gene_selection = GeneSelectionMode::variance}, report);
  EXPECT_EQ(dataset.gene_names(), Names{"G1"});
  EXPECT_EQ(report.n_genes, 1);
}

TEST(Prepare, SeveralDataSetsKeepTheirCommonGenesAndTheirBatches) {
  std::vector<GeneExpressionDataset> inputs;
  inputs.push_back(small({"G1", "G2", "G3"}));
  inputs.push_back(small({"g3", "g4", "g1"}, "d"));
  PrepareReport report;
  const auto dataset = prepare(std::move(inputs), {.lower_gene_names = true, .dataset_names = {"x", "y"}}, report);
  EXPECT_EQ(dataset.gene_names(), (Names{"g1", "g3"}));
  EXPECT_EQ(dataset.nb_cells(), 8);
  EXPECT_EQ(dataset.batch_names(), (Names{"one (x)", "two (x)", "one (y)", "two (y)"}));
  EXPECT_EQ(dataset.cell_types(), (Names{"B", "T"}));
  ASSERT_EQ(report.merge.inputs.size(), 2U);
  EXPECT_EQ(report.merge.inputs[1].name, "y");
  EXPECT_EQ(report.merge.inputs[1].dropped_genes, Names{"g4"});
}

TEST(Prepare, MeasurementsOfSeveralDataSetsAreCutOrFilled) {
  for (const bool all : {false, true}) {
    std::vector<GeneExpressionDataset> inputs;
    inputs.push_back(small());
    inputs.push_back(small({"G1", "G2", "G3"}, "d"));
    PrepareReport report;
    const auto dataset = prepare(std::move(inputs), {.measurement_union = all}, report);
    EXPECT_EQ(dataset.cell_measurement("protein_expression").columns, all ? (Names{"CDc", "CDd"}) : Names{});
  }
}

TEST(Prepare, WithoutDataSetsIsAnError) {
  PrepareReport report;
  EXPECT_THROW(prepare({}, {}, report), InputError);
}

}  // namespace
}  // namespace scvi
