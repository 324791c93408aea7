#include "scvi/dataset/analysis_defaults.hpp"

#include <gtest/gtest.h>

namespace scvi {
namespace {

using Names = std::vector<std::string>;

TEST(AnalysisDefaults, FilterWholeTranscriptomesAlone) {
  EXPECT_EQ(filter_defaults(33).min_genes_per_cell, 0);
  EXPECT_EQ(filter_defaults(5000).min_cells_per_gene, 0);
  EXPECT_EQ(filter_defaults(20000).min_genes_per_cell, 200);
  EXPECT_EQ(filter_defaults(20000).min_cells_per_gene, 3);
}

TEST(AnalysisDefaults, KeepTheNumberOfMinibatchesWithinBounds) {
  EXPECT_EQ(training_defaults(450, 15000).n_epochs, 1500);
  EXPECT_EQ(training_defaults(1800, 15000).n_epochs, 400);
  EXPECT_EQ(training_defaults(1000, 15000).n_epochs, 750);
  EXPECT_EQ(training_defaults(19999, 15000).n_epochs, 400);
  EXPECT_EQ(training_defaults(20000, 15000).n_epochs, 400);
  EXPECT_EQ(training_defaults(40000, 15000).n_epochs, 200);
  EXPECT_EQ(training_defaults(10'000'000, 15000).n_epochs, 8);
  EXPECT_EQ(training_defaults(0, 0).n_epochs, 2000);
}

TEST(AnalysisDefaults, LetTheKlDivergenceComeIntoForceBeforeTrainingStops) {
  for (const std::int64_t n_cells : {100, 20000, 50000, 300000, 2000000}) {
    const TrainingDefaults defaults = training_defaults(n_cells, 2000);
    EXPECT_GE(defaults.kl_warmup_epochs, 1) << n_cells;
    EXPECT_LT(defaults.kl_warmup_epochs, defaults.n_epochs) << n_cells;
    EXPECT_GE(defaults.frequency, 1) << n_cells;
  }
}

TEST(AnalysisDefaults, ChooseGenesWhereThereAreMany) {
  EXPECT_EQ(training_defaults(1000, 3000).n_top_genes, 0);
  EXPECT_EQ(training_defaults(1000, 3001).n_top_genes, 2000);
}

TEST(AnalysisDefaults, KnowTheUsualNamesOfColumns) {
  EXPECT_EQ(likely_batch_column(Names{"n_counts", "BatchID"}), "BatchID");
  EXPECT_EQ(likely_batch_column(Names{"batch_indices", "Batch"}), "Batch");
  EXPECT_EQ(likely_batch_column(Names{"batches of cells", "donor"}), "");
  EXPECT_EQ(likely_labels_column(Names{"leiden", "CellType"}), "CellType");
  EXPECT_EQ(likely_labels_column(Names{}), "");
}

}  // namespace
}  // namespace scvi
