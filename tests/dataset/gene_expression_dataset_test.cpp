#include "scvi/dataset/gene_expression_dataset.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "fixtures.hpp"
#include "scvi/core/error.hpp"

namespace scvi {
namespace {

using testing::constant_counts;
using testing::dataset_of;
using testing::Dense;
using testing::dense_of;
using testing::message_of;
using testing::Names;
using testing::numbered;
using testing::Numbers;
using testing::random_counts;
using testing::small_dataset;
using testing::Warnings;

TEST(GeneExpressionDataset, UnpopulatedIsEmptyAndSaysSo) {
  const GeneExpressionDataset dataset;
  EXPECT_EQ(dataset.nb_cells(), 0);
  EXPECT_EQ(dataset.nb_genes(), 0);
  EXPECT_EQ(dataset.n_batches(), 0);
  EXPECT_TRUE(dataset.labels().empty());
  EXPECT_FALSE(dataset.has_corrupted_X());
  EXPECT_EQ(dataset.description(), "GeneExpressionDataset object (unpopulated)");
}

TEST(GeneExpressionDataset, DefaultsAreOneBatchAndOneUndefinedLabel) {
  const auto dataset = dataset_of(constant_counts(25, 10, 100));
  EXPECT_EQ(dataset.nb_cells(), 25);
  EXPECT_EQ(dataset.nb_genes(), 10);
  EXPECT_EQ(dataset.batch_indices(), Numbers(25, 0));
  EXPECT_EQ(dataset.labels(), Numbers(25, 0));
  EXPECT_EQ(dataset.cell_types(), Names{"undefined"});
  EXPECT_EQ(dataset.batch_names(), Names{"0"});
  EXPECT_TRUE(dataset.gene_names().empty());
  EXPECT_EQ(dataset.original_cells().back(), 24);
}

TEST(GeneExpressionDataset, CategoriesAreRenumberedInIncreasingOrderAndNamesFollow) {
  PopulateOptions options;
  options.labels = {7, 2, 2, 7, 4};
  options.batch_indices = {3, 3, 1, 1, 3};
  options.cell_types = numbered("type_", 9);
  const auto dataset = dataset_of(random_counts(5, 3), options);
  EXPECT_EQ(dataset.labels(), (Numbers{2, 0, 0, 2, 1}));
  EXPECT_EQ(dataset.cell_types(), (Names{"type_2", "type_4", "type_7"}));
  EXPECT_EQ(dataset.batch_indices(), (Numbers{1, 1, 0, 0, 1}));
  EXPECT_EQ(dataset.batch_names(), (Names{"1", "3"}));
  EXPECT_EQ(dataset.n_labels(), 3);
  EXPECT_EQ(dataset.n_batches(), 2);
}

TEST(GeneExpressionDataset, WithoutRemappingCategoriesKeepTheirNumbers) {
  PopulateOptions options;
  options.labels = {2, 2, 0};
  options.remap_attributes = false;
  const auto dataset = dataset_of(random_counts(3, 3), options);
  EXPECT_EQ(dataset.labels(), (Numbers{2, 2, 0}));
  EXPECT_EQ(dataset.cell_types(), (Names{"0", "1", "2"}));
  options.labels = {2, 2, kMaxCategories};
  EXPECT_THROW(dataset_of(random_counts(3, 3), options), InputError);
  options.labels = {2, 2, -2};
  EXPECT_THROW(dataset_of(random_counts(3, 3), options), InputError);
  options.labels = {2, 2, -1};
  EXPECT_EQ(dataset_of(random_counts(3, 3), options).labels(), (Numbers{2, 2, -1}));
}

TEST(GeneExpressionDataset, RemapCategoriesReturnsOldValues) {
  const auto remapped = remap_categories(Numbers{0, 0, 0, 2, 2, 3});
  EXPECT_EQ(remapped.codes, (Numbers{0, 0, 0, 1, 1, 2}));
  EXPECT_EQ(remapped.old_values, (Numbers{0, 2, 3}));
}

TEST(GeneExpressionDataset, PopulateRefusesWhatDoesNotFit) {
  const auto populate = [](const PopulateOptions& options) {
    return message_of([&] { dataset_of(random_counts(3, 2), options); });
  };
  PopulateOptions options;
  options.batch_indices = {0, 1};
  EXPECT_NE(populate(options).find("batch_indices has 2 values for 3 cells"), std::string::npos) << populate(options);
  options = {};
  options.labels = {0, 1, 2};
  options.cell_types = {"only", "two"};
  EXPECT_NE(populate(options).find("category 2"), std::string::npos) << populate(options);
  options = {};
  options.gene_names = {"a"};
  EXPECT_NE(populate(options).find("1 values for 2 genes"), std::string::npos) << populate(options);
  options = {};
  options.cell_attributes = {{"depth", Numbers{1}, {}}};
  EXPECT_NE(populate(options).find("'depth'"), std::string::npos) << populate(options);
  options = {};
  options.measurements = {{"protein", {1, 2}, "names", {"p"}}};
  EXPECT_NE(populate(options).find("'protein'"), std::string::npos) << populate(options);
}

TEST(GeneExpressionDataset, AFailedPopulateLeavesTheDataSetAsItWas) {
  auto dataset = small_dataset();
  PopulateOptions options;
  options.labels = {0};
  EXPECT_THROW(dataset.populate_from_data(random_counts(3, 2), options), InputError);
  EXPECT_EQ(dataset.nb_cells(), 4);
  EXPECT_EQ(dataset.cell_types(), (Names{"T", "B"}));
}

TEST(GeneExpressionDataset, CountsMustBeFiniteAndNotNegative) {
  PopulateOptions options;
  options.gene_names = {"a", "b"};
  options.cell_names = {"w", "x"};
  const auto with = [&](float value) {
    return message_of([&] { dataset_of(CountMatrix::from_dense(2, 2, Dense{1, 2, 3, value}), options); });
  };
  EXPECT_NE(with(-3).find("cell 'x', gene 'b' is -3, but counts cannot be negative"), std::string::npos) << with(-3);
  EXPECT_NE(with(std::nanf("")).find("NaN"), std::string::npos);
  EXPECT_NE(with(std::numeric_limits<float>::infinity()).find("infinite"), std::string::npos);
}

TEST(GeneExpressionDataset, FractionsWarnOnceWithTheirShareAndTheFirst) {
  const Warnings warnings;
  dataset_of(CountMatrix::from_dense(2, 2, Dense{1, 0, 0.25F, 2.5F}));
  ASSERT_EQ(warnings.messages().size(), 1U);
  EXPECT_NE(warnings.messages()[0].find("66.6667 % of the non-zero values"), std::string::npos);
  EXPECT_NE(warnings.messages()[0].find("0.25 in cell number 1, gene number 0"), std::string::npos);
}

TEST(GeneExpressionDataset, DuplicateGeneNamesAndEmptyCellsWarn) {
  const Warnings warnings;
  PopulateOptions options;
  options.gene_names = {"a", "a"};
  dataset_of(CountMatrix::from_dense(3, 2, Dense{1, 0, 0, 0, 2, 5}), options);
  ASSERT_EQ(warnings.messages().size(), 2U);
  EXPECT_NE(warnings.messages()[0].find("'a' is there more than once"), std::string::npos);
  EXPECT_NE(warnings.messages()[1].find("1 of 3 cells have no counts"), std::string::npos);
}

TEST(GeneExpressionDataset, PerBatchListStacksBatchesWithTheirLabels) {
  PopulatePerBatchOptions options;
  options.labels_per_batch = {Numbers(7, 1), Numbers(5, 0), {1, 0, 1}};
  options.batch_names = {"x", "y", "z"};
  GeneExpressionDataset dataset;
  dataset.populate_from_per_batch_list({random_counts(7, 10), random_counts(5, 10), random_counts(3, 10)}, options);
  EXPECT_EQ(dataset.nb_cells(), 15);
  EXPECT_EQ(dataset.nb_genes(), 10);
  Numbers batches(7, 0);
  batches.insert(batches.end(), 5, 1);
  batches.insert(batches.end(), 3, 2);
  EXPECT_EQ(dataset.batch_indices(), batches);
  EXPECT_EQ(dataset.labels()[0], 1);
  EXPECT_EQ(dataset.labels()[7], 0);
  EXPECT_EQ(dataset.labels()[13], 0);
  EXPECT_EQ(dataset.batch_names(), (Names{"x", "y", "z"}));
  EXPECT_THROW(dataset.populate_from_per_batch_list({random_counts(7, 10), random_counts(5, 9)}), InputError);
  options.labels_per_batch = {{0}, {0}};
  EXPECT_THROW(dataset.populate_from_per_batch_list({random_counts(1, 2), random_counts(2, 2)}, options), InputError);
}

TEST(GeneExpressionDataset, PerLabelListStacksLabelsWithTheirBatches) {
  PopulatePerLabelOptions options;
  options.batch_indices_per_label = {Numbers(7, 1), Numbers(5, 0), {1, 0, 1}};
  options.cell_types = {"x", "y", "z"};
  GeneExpressionDataset dataset;
  dataset.populate_from_per_label_list({random_counts(7, 10), random_counts(5, 10), random_counts(3, 10)}, options);
  EXPECT_EQ(dataset.nb_cells(), 15);
  Numbers labels(7, 0);
  labels.insert(labels.end(), 5, 1);
  labels.insert(labels.end(), 3, 2);
  EXPECT_EQ(dataset.labels(), labels);
  EXPECT_EQ(dataset.cell_types(), (Names{"x", "y", "z"}));
  EXPECT_EQ(dataset.batch_indices()[0], 1);
  EXPECT_EQ(dataset.batch_indices()[13], 0);
  dataset.populate_from_per_label_list({random_counts(2, 3), random_counts(1, 3)});
  EXPECT_EQ(dataset.labels(), (Numbers{0, 0, 1}));
  EXPECT_EQ(dataset.n_batches(), 1);
  options.batch_indices_per_label = {{0}, {0}};
  const std::string message = message_of([&] {
    dataset.populate_from_per_label_list({random_counts(1, 2), random_counts(2, 2), random_counts(1, 2)}, options);
  });
  EXPECT_NE(message.find("batch indices per label has 2 values for 3 matrices"), std::string::npos) << message;
}

TEST(GeneExpressionDataset, LibrarySizeIsMeanAndPopulationVariancePerBatchWithEmptyCellsAsZero) {
  const auto dataset = small_dataset();
  const double log8 = std::log(8.0);
  const double log10 = std::log(10.0);
  EXPECT_FLOAT_EQ(dataset.local_means()[0], static_cast<float>(log8 / 2));
  EXPECT_FLOAT_EQ(dataset.local_vars()[1], static_cast<float>(log8 * log8 / 4));
  EXPECT_FLOAT_EQ(dataset.local_means()[2], static_cast<float>((log10 + log8) / 2));
  EXPECT_FLOAT_EQ(dataset.local_vars()[3], static_cast<float>(std::pow((log10 - log8) / 2, 2)));
}

TEST(GeneExpressionDataset, ABatchOfOneCellGetsAUsableVarianceAndAWarningThatNamesIt) {
  PopulateOptions options;
  options.batch_indices = {0, 0, 1};
  options.batch_names = {"large", "lonely"};
  const Warnings warnings;
  auto dataset = dataset_of(CountMatrix::from_dense(3, 2, Dense{1, 2, 30, 4, 5, 5}), options);
  EXPECT_EQ(dataset.local_vars()[2], kFallbackLibraryVariance);
  EXPECT_FLOAT_EQ(dataset.local_means()[2], static_cast<float>(std::log(10.0)));
  EXPECT_GT(dataset.local_vars()[0], 0.1F);
  ASSERT_EQ(warnings.messages().size(), 1U);
  EXPECT_NE(warnings.messages()[0].find("'lonely'"), std::string::npos);
  dataset.compute_library_size_batch();
  EXPECT_EQ(warnings.messages().size(), 1U) << "a batch is named once";
  options.reference_0_6_3 = true;
  EXPECT_EQ(dataset_of(CountMatrix::from_dense(3, 2, Dense{1, 2, 30, 4, 5, 5}), options).local_vars()[2], 0.0F);
}

TEST(GeneExpressionDataset, SmallButRealVariancesAreKept) {
  const auto dataset = dataset_of(CountMatrix::from_dense(2, 1, Dense{10000, 10100}));
  const double spread = (std::log(10100.0) - std::log(10000.0)) / 2;
  EXPECT_FLOAT_EQ(dataset.local_vars()[0], static_cast<float>(spread * spread));
  EXPECT_LT(dataset.local_vars()[0], kFallbackLibraryVariance);
}

TEST(GeneExpressionDataset, UpdateCellsReachesEverythingRegistered) {
  auto dataset = small_dataset();
  dataset.corrupt({.rate = 1.0, .seed = 3});
  dataset.update_cells(Numbers{3, 0});
  EXPECT_EQ(dense_of(dataset.X()), (Dense{4, 4, 0, 0, 0, 3, 0, 5}));
  EXPECT_EQ(dataset.corrupted_X().n_cells(), 2);
  EXPECT_EQ(dataset.cell_names(), (Names{"z", "w"}));
  EXPECT_EQ(dataset.batch_indices(), (Numbers{1, 0}));
  EXPECT_EQ(dataset.labels(), (Numbers{1, 1}));
  EXPECT_EQ(dataset.original_cells(), (Numbers{3, 0}));
  EXPECT_EQ(std::get<std::vector<double>>(dataset.cell_attribute("depth").values), (std::vector<double>{3.5, 0.5}));
  EXPECT_EQ(dataset.cell_measurement("protein").data, (Dense{7, 8, 1, 2}));
  EXPECT_FLOAT_EQ(dataset.local_means()[1], static_cast<float>(std::log(8.0)));
}

TEST(GeneExpressionDataset, ALabelWithoutCellsStaysUntilRemapped) {
  auto dataset = small_dataset();
  dataset.update_cells(Numbers{2, 3});
  EXPECT_EQ(dataset.n_labels(), 2);
  EXPECT_EQ(dataset.batch_indices(), (Numbers{1, 1}));
  EXPECT_GT(dataset.local_means()[0], 2.0F) << "the only batch left has number 1";
  dataset.remap_categorical_attributes({"labels"});
  EXPECT_EQ(dataset.cell_types(), Names{"B"});
  EXPECT_EQ(dataset.labels(), (Numbers{0, 0}));
  EXPECT_EQ(dataset.n_batches(), 2);
  dataset.remap_categorical_attributes();
  EXPECT_EQ(dataset.batch_names(), Names{"second"});
  EXPECT_EQ(dataset.batch_indices(), (Numbers{0, 0}));
}

TEST(GeneExpressionDataset, CellSelectionsThatMakeNoSenseChangeNothing) {
  auto dataset = small_dataset();
  EXPECT_THROW(dataset.update_cells(Numbers{4}), InputError);
  EXPECT_THROW(dataset.update_cells(Numbers{-1}), InputError);
  EXPECT_THROW(dataset.update_cells(Numbers{}), InputError);
  EXPECT_THROW(dataset.subsample_cells(0), InputError);
  EXPECT_THROW(dataset.subsample_cells_ratio(1.5), InputError);
  EXPECT_THROW(dataset.subsample_cells_ratio(std::nan("")), InputError);
  const std::string message = message_of([&] { dataset.filter_cells_by_count(11); });
  EXPECT_NE(message.find("11 or more (the largest is 10)"), std::string::npos) << message;
  EXPECT_EQ(dataset.nb_cells(), 4);
}

TEST(GeneExpressionDataset, UpdateGenesReachesEverythingAndDropsEmptiedCells) {
  auto dataset = small_dataset();
  dataset.corrupt({.rate = 0.0});
  dataset.update_genes(Numbers{3, 2});
  EXPECT_EQ(dense_of(dataset.X()), (Dense{5, 0, 2, 1}));
  EXPECT_EQ(dense_of(dataset.corrupted_X()), (Dense{5, 0, 2, 1}));
  EXPECT_EQ(dataset.gene_names(), (Names{"d", "c"}));
  EXPECT_EQ(dataset.original_genes(), (Numbers{3, 2}));
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 2}));
  EXPECT_EQ(dataset.cell_names(), (Names{"w", "y"}));
  EXPECT_EQ(std::get<Numbers>(dataset.gene_attribute("length").values), (Numbers{40, 30}));
  EXPECT_FLOAT_EQ(dataset.local_means()[0], static_cast<float>(std::log(5.0)));
  EXPECT_FLOAT_EQ(dataset.local_means()[1], static_cast<float>(std::log(3.0)));
}

TEST(GeneExpressionDataset, MasksSelectLikePositions) {
  auto dataset = small_dataset();
  dataset.update_cells(std::vector<bool>{true, false, true, true});
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 2, 3}));
  dataset.update_genes(std::vector<bool>{false, true, false, true});
  EXPECT_EQ(dataset.gene_names(), (Names{"b", "d"}));
  EXPECT_THROW(dataset.update_cells(std::vector<bool>{true}), InputError);
  EXPECT_THROW(dataset.update_genes(std::vector<bool>(4, true)), InputError);
  EXPECT_THROW(dataset.update_genes(std::vector<bool>(2, false)), InputError);
  EXPECT_EQ(dataset.nb_genes(), 2);
}

TEST(GeneExpressionDataset, ASelectionOfGenesThatWouldEmptyEveryCellChangesNothing) {
  auto dataset = dataset_of(CountMatrix::from_dense(2, 3, Dense{1, 0, 2, 0, 0, 3}));
  EXPECT_THROW(dataset.update_genes(Numbers{1}), InputError);
  EXPECT_EQ(dense_of(dataset.X()), (Dense{1, 0, 2, 0, 0, 3}));
}

TEST(GeneExpressionDataset, OriginalPositionsAreKeptThroughSeveralSelections) {
  PopulateOptions options;
  options.original_cells = {10, 20, 30, 40, 50};
  auto dataset = dataset_of(random_counts(5, 6), options);
  dataset.update_cells(Numbers{4, 3, 1});
  dataset.update_genes(Numbers{5, 1, 2});
  dataset.update_cells(Numbers{2, 0});
  dataset.update_genes(Numbers{2, 0});
  EXPECT_EQ(dataset.original_cells(), (Numbers{20, 50}));
  EXPECT_EQ(dataset.original_genes(), (Numbers{2, 5}));
}

TEST(GeneExpressionDataset, GeneSelectionsThatMakeNoSenseChangeNothing) {
  auto dataset = small_dataset();
  EXPECT_THROW(dataset.update_genes(Numbers{0, 0}), InputError);
  EXPECT_THROW(dataset.update_genes(Numbers{4}), InputError);
  EXPECT_THROW(dataset.update_genes(Numbers{}), InputError);
  EXPECT_THROW(dataset.filter_genes_by_count(100), InputError);
  EXPECT_THROW(dataset.reorder_genes({}, true), InputError);
  EXPECT_THROW(dataset.reorder_genes({"a", "a"}), InputError);
  EXPECT_EQ(dataset.nb_genes(), 4);
  EXPECT_EQ(dataset.nb_cells(), 4);
}

TEST(GeneExpressionDataset, FilterGenesByCountOverAllCellsAndPerBatch) {
  auto dataset = small_dataset();
  dataset.filter_genes_by_count(3);
  EXPECT_EQ(dataset.gene_names(), (Names{"a", "b", "d"}));
  dataset.filter_genes_by_count(1, true);
  EXPECT_EQ(dataset.gene_names(), (Names{"b", "d"}));
}

TEST(GeneExpressionDataset, GenesAreFilteredByAnyAttributeAndUnknownValuesAreNamed) {
  auto dataset = small_dataset();
  const Warnings warnings;
  dataset.filter_genes_by_attribute({"d", "b", "nowhere"});
  EXPECT_EQ(dataset.gene_names(), (Names{"b", "d"})) << "the old order stays";
  ASSERT_FALSE(warnings.messages().empty());
  EXPECT_EQ(warnings.messages()[0], "not found in 'gene_names': nowhere");
  dataset.filter_genes_by_attribute({"40"}, "length");
  EXPECT_EQ(dataset.gene_names(), Names{"d"});
  EXPECT_THROW(dataset.filter_genes_by_attribute({"x"}), InputError);
  EXPECT_THROW(dataset.filter_genes_by_attribute({"x"}, "lenght"), InputError);
}

TEST(GeneExpressionDataset, CellsAreFilteredByAnyAttribute) {
  auto dataset = small_dataset();
  dataset.filter_cells_by_attribute({"1"});
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 2, 3})) << "labels are the default";
  dataset.filter_cells_by_attribute({"3.5", "0.5"}, "depth");
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 3}));
  EXPECT_EQ(dataset.cell_measurement("protein").data, (Dense{1, 2, 7, 8}));
  EXPECT_THROW(dataset.filter_cells_by_attribute({"7"}, "batch_indices"), InputError);
  EXPECT_THROW(dataset.filter_cells_by_attribute({"7"}, "protein"), InputError);
  EXPECT_EQ(dataset.nb_cells(), 2);
}

TEST(GeneExpressionDataset, GeneNamesInSmallLetters) {
  PopulateOptions options;
  options.gene_names = {"CD3E", "mt-Co1", "\xc3\x84rger"};
  auto dataset = dataset_of(random_counts(2, 3), options);
  dataset.make_gene_names_lower();
  EXPECT_EQ(dataset.gene_names(), (Names{"cd3e", "mt-co1", "\xc3\x84rger"})) << "only A to Z";
  auto nameless = dataset_of(random_counts(2, 3));
  EXPECT_THROW(nameless.make_gene_names_lower(), InputError);
}

TEST(GeneExpressionDataset, ReorderGenesPutsSomeFirstOrDropsTheRest) {
  PopulateOptions options;
  options.gene_names = numbered("gene_", 100);
  auto dataset = dataset_of(random_counts(25, 100), options);
  const Dense before = dense_of(dataset.X());
  dataset.reorder_genes({"gene_47", "gene_2", "gene_3", "gene_12"});
  const Names first(dataset.gene_names().begin(), dataset.gene_names().begin() + 6);
  EXPECT_EQ(first, (Names{"gene_47", "gene_2", "gene_3", "gene_12", "gene_0", "gene_1"}));
  EXPECT_EQ(dense_of(dataset.X())[100], before[147]);
  EXPECT_EQ(dataset.original_genes()[0], 47);
  dataset.reorder_genes({"gene_5", "gene_47"}, true);
  EXPECT_EQ(dataset.gene_names(), (Names{"gene_5", "gene_47"}));
  EXPECT_EQ(dense_of(dataset.X())[1], before[47]);
}

TEST(GeneExpressionDataset, GenesToIndexSuggestsTheNearestName) {
  PopulateOptions options;
  options.gene_names = {"CD3E", "CD19", "MS4A1"};
  options.gene_attributes = {{"id", Names{"e1", "e2", "e3"}, {}}};
  const auto dataset = dataset_of(random_counts(2, 3), options);
  EXPECT_EQ(dataset.genes_to_index({"MS4A1", "CD3E"}), (Numbers{2, 0}));
  EXPECT_EQ(dataset.genes_to_index({"e2"}, "id"), Numbers{1});
  const std::string message = message_of([&] { dataset.genes_to_index({"CD3E", "MS4A2", "XYZZY"}); });
  EXPECT_NE(message.find("gene 'MS4A2' is not in the data set (and 1 more"), std::string::npos) << message;
  EXPECT_NE(message.find("did you mean 'MS4A1'?"), std::string::npos) << message;
  EXPECT_THROW(dataset.genes_to_index({"e2"}, "symbol"), InputError);
  EXPECT_THROW(dataset_of(random_counts(2, 3)).genes_to_index({"a"}), InputError);
}

TEST(GeneExpressionDataset, SubsampleGenesByVarianceGivesTheMostVariableFirst) {
  Dense values;
  for (int cell = 0; cell < 25; ++cell) {
    for (int gene = 0; gene < 100; ++gene) values.push_back(static_cast<float>((cell == 0 ? 2 : 100) * gene));
  }
  PopulateOptions options;
  options.gene_names = numbered("gene_", 100);
  auto dataset = dataset_of(CountMatrix::from_dense(25, 100, values).to_sparse(), options);
  dataset.subsample_genes({.new_ratio_genes = 0.4, .mode = GeneSelectionMode::variance});
  EXPECT_EQ(dataset.nb_genes(), 40);
  dataset.subsample_genes({.new_n_genes = 25, .mode = GeneSelectionMode::variance});
  EXPECT_EQ(dataset.nb_genes(), 25);
  EXPECT_EQ(dataset.gene_names().front(), "gene_99");
  EXPECT_EQ(dataset.gene_names().back(), "gene_75");
  dataset.subsample_genes({.subset_genes = Numbers{1, 6, 7}});
  EXPECT_EQ(dataset.gene_names(), (Names{"gene_98", "gene_93", "gene_92"}));
  dataset.subsample_genes({.subset_gene_names = Names{"gene_92", "gene_98"}});
  EXPECT_EQ(dataset.gene_names(), (Names{"gene_92", "gene_98"}));
}

TEST(GeneExpressionDataset, GenesOfEqualVarianceComeInReversedOrderLikeNumpysArgsort) {
  PopulateOptions options;
  options.gene_names = numbered("g", 5);
  auto dataset = dataset_of(CountMatrix::from_dense(2, 5, Dense{1, 5, 1, 3, 1, 3, 9, 3, 5, 3}), options);
  dataset.subsample_genes({.new_n_genes = 4, .mode = GeneSelectionMode::variance});
  EXPECT_EQ(dataset.gene_names(), (Names{"g1", "g4", "g3", "g2"}));
}

TEST(GeneExpressionDataset, SubsampleGenesKeepsWhatHighlyVariableGenesFinds) {
  PopulateOptions options;
  options.batch_indices = Numbers(60, 0);
  for (std::size_t cell = 30; cell < 60; ++cell) options.batch_indices[cell] = 1;
  for (const auto mode :
       {GeneSelectionMode::seurat_v2, GeneSelectionMode::cell_ranger, GeneSelectionMode::seurat_v3}) {
    auto dataset = dataset_of(random_counts(60, 80).to_sparse(), options);
    const auto found = dataset.highly_variable_genes({.n_top_genes = 40, .flavor = mode});
    dataset.subsample_genes({.new_ratio_genes = 0.5, .mode = mode});
    EXPECT_EQ(dataset.original_genes(), found.genes) << gene_selection_mode_name(mode);
    EXPECT_EQ(dataset.nb_genes(), 40);
    EXPECT_TRUE(dataset.X().is_sparse());
  }
  auto dataset = dataset_of(random_counts(60, 80), options);
  dataset.subsample_genes({.mode = GeneSelectionMode::seurat_v2, .tuning = {.max_mean = 100, .min_disp = 1}});
  EXPECT_GT(dataset.nb_genes(), 0);
  EXPECT_LT(dataset.nb_genes(), 40) << "the bounds choose when no number is given";
  EXPECT_THROW(dataset.subsample_genes({.mode = GeneSelectionMode::seurat_v2, .tuning = {.min_disp = 1e9}}),
               InputError);
}

TEST(GeneExpressionDataset, SubsampleGenesChecksItsNumbers) {
  auto dataset = small_dataset();
  const auto mode = GeneSelectionMode::variance;
  EXPECT_THROW(dataset.subsample_genes({.mode = mode}), InputError);
  EXPECT_THROW(dataset.subsample_genes({.new_n_genes = 0, .mode = mode}), InputError);
  EXPECT_THROW(dataset.subsample_genes({.new_ratio_genes = 0.0, .mode = mode}), InputError);
  EXPECT_THROW(dataset.subsample_genes({.new_ratio_genes = 1.1, .mode = mode}), InputError);
  EXPECT_THROW(dataset.subsample_genes({.new_ratio_genes = 0.1, .mode = mode}), InputError) << "0.4 genes";
  dataset.subsample_genes({.new_n_genes = 4, .mode = mode});
  dataset.subsample_genes({.new_n_genes = 100, .mode = mode});
  EXPECT_EQ(dataset.gene_names(), (Names{"a", "b", "c", "d"})) << "asking for all genes does nothing";
}

TEST(GeneExpressionDataset, SubsampleCellsKeepsTheLargest) {
  Dense values;
  for (int cell = 1; cell <= 5; ++cell) values.insert(values.end(), 7, static_cast<float>(cell));
  auto dataset = dataset_of(CountMatrix::from_dense(5, 7, values));
  dataset.subsample_cells_ratio(0.8);
  EXPECT_EQ(dataset.original_cells(), (Numbers{4, 3, 2, 1}));
  dataset.subsample_cells(2);
  EXPECT_EQ(dataset.original_cells(), (Numbers{4, 3}));
  dataset.subsample_cells(100);
  EXPECT_EQ(dataset.nb_cells(), 2);
}

TEST(GeneExpressionDataset, FilterCellsByCountDropsEmptyCells) {
  auto dataset = small_dataset();
  dataset.filter_cells_by_count();
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 2, 3}));
  dataset.filter_cells_by_count(9);
  EXPECT_EQ(dataset.original_cells(), Numbers{2});
}

TEST(GeneExpressionDataset, UniformCorruptionRemovesAboutATenthOfTheChosenNonzeros) {
  auto dataset = dataset_of(random_counts(200, 100).to_sparse());
  dataset.corrupt({.rate = 0.5, .corruption = Corruption::uniform, .seed = 7});
  const Dense before = dense_of(dataset.X());
  const Dense after = dense_of(dataset.corrupted_X());
  std::int64_t n_changed = 0;
  for (std::size_t at = 0; at < before.size(); ++at) {
    if (after[at] == before[at]) continue;
    EXPECT_EQ(after[at], 0);
    ++n_changed;
  }
  EXPECT_NEAR(static_cast<double>(n_changed), 0.05 * 20000, 100);
  EXPECT_TRUE(dataset.corrupted_X().is_sparse());
  EXPECT_EQ(dataset.dataset_versions(), Names{"corrupted_X"});
}

TEST(GeneExpressionDataset, BinomialCorruptionThinsTheChosenEntries) {
  auto dataset = dataset_of(random_counts(200, 100, 20));
  dataset.corrupt({.rate = 1.0, .corruption = Corruption::binomial, .seed = 7});
  const auto before = dataset.X().cell_totals();
  const auto after = dataset.corrupted_X().cell_totals();
  const double total = std::accumulate(before.begin(), before.end(), 0.0);
  EXPECT_NEAR(std::accumulate(after.begin(), after.end(), 0.0) / total, 0.2, 0.005);
  EXPECT_FALSE(dataset.corrupted_X().is_sparse());
}

TEST(GeneExpressionDataset, CorruptionIsReproducibleAndDependsOnTheSeed) {
  auto dataset = dataset_of(random_counts(20, 30));
  const auto with_seed = [&](std::uint64_t seed) {
    dataset.corrupt({.rate = 0.5, .corruption = Corruption::binomial, .seed = seed});
    return dense_of(dataset.corrupted_X());
  };
  EXPECT_EQ(with_seed(1), with_seed(1));
  EXPECT_NE(with_seed(1), with_seed(2));
  EXPECT_THROW(dataset.corrupt({.rate = 1.5}), InputError);
  EXPECT_THROW(dataset.corrupt({.rate = std::nan("")}), InputError);
}

TEST(GeneExpressionDataset, CorruptionDrawsThatDoNotFitAreRefused) {
  auto dataset = small_dataset();
  EXPECT_THROW(dataset.corrupt(Corruption::uniform, {{0, 1}, {1}}), InputError);
  EXPECT_THROW(dataset.corrupt(Corruption::uniform, {{7}, {1}}), InputError) << "there are 7 non-zero entries";
  EXPECT_THROW(dataset.corrupt(Corruption::binomial, {{16}, {1}}), InputError);
  EXPECT_THROW(dataset.corrupt(Corruption::uniform, {{-1}, {1}}), InputError);
  EXPECT_THROW(dataset.corrupt(Corruption::uniform, {{0, 0}, {1, 1}}), InputError);
  EXPECT_THROW(dataset.corrupt(Corruption::uniform, {{0}, {2}}), InputError);
  EXPECT_FALSE(dataset.has_corrupted_X());
  EXPECT_THROW(dataset.corrupted_X(), InputError);
  EXPECT_EQ(parse_corruption("binomial"), Corruption::binomial);
  EXPECT_THROW(parse_corruption("normal"), InputError);
}

TEST(GeneExpressionDataset, VersionsMustHaveTheShapeOfX) {
  auto dataset = small_dataset();
  EXPECT_THROW(dataset.register_dataset_version("norm_X", random_counts(3, 4)), InputError);
  dataset.register_dataset_version("norm_X", random_counts(4, 4));
  dataset.register_dataset_version("norm_X", constant_counts(4, 4, 2));
  EXPECT_EQ(dataset.dataset_versions(), Names{"norm_X"});
  EXPECT_EQ(dense_of(dataset.dataset_version("norm_X")), Dense(16, 2));
  EXPECT_THROW(dataset.dataset_version("norm_x"), InputError);
}

TEST(GeneExpressionDataset, OtherCountsOfTheSameShapeTakeThePlaceOfX) {
  auto dataset = small_dataset();
  dataset.set_X(constant_counts(4, 4, 10));
  EXPECT_EQ(dense_of(dataset.X()), Dense(16, 10));
  EXPECT_FLOAT_EQ(dataset.local_means()[0], static_cast<float>(std::log(40.0)));
  EXPECT_THROW(dataset.set_X(constant_counts(3, 4, 10)), InputError);
  EXPECT_THROW(dataset.set_X(constant_counts(4, 4, -1)), InputError);
  EXPECT_EQ(dense_of(dataset.X()), Dense(16, 10));
}

TEST(GeneExpressionDataset, NormalisedCountsHaveTheMeanOneInEveryCell) {
  for (const bool sparse : {false, true}) {
    auto dataset = small_dataset();
    if (sparse) dataset.set_X(dataset.X().to_sparse());
    EXPECT_THROW(dataset.norm_X(), InputError);
    dataset.normalize();
    EXPECT_EQ(dense_of(dataset.norm_X()), (Dense{0, 1.5F, 0, 2.5F, 0, 0, 0, 0, 2.8F, 0, 0.4F, 0.8F, 2, 2, 0, 0}));
    EXPECT_EQ(dataset.norm_X().is_sparse(), sparse);
    EXPECT_EQ(dataset.dataset_versions(), Names{"norm_X"});
    dataset.update_cells(Numbers{2});
    EXPECT_EQ(dense_of(dataset.norm_X()), (Dense{2.8F, 0, 0.4F, 0.8F})) << "it follows the cells";
  }
}

TEST(GeneExpressionDataset, RawCountsPropertiesDescribeTwoGroupsOfCells) {
  auto dataset = small_dataset();
  const Numbers first = {0, 2};
  const Numbers second = {3};
  using Values = std::vector<double>;
  for (const bool normalised : {false, true}) {
    if (normalised) dataset.normalize();
    const auto found = dataset.raw_counts_properties(first, second);
    EXPECT_EQ(found.mean1, (Values{3.5, 1.5, 0.5, 3.5}));
    EXPECT_EQ(found.mean2, (Values{4, 4, 0, 0}));
    EXPECT_EQ(found.nonz1, (Values{0.5, 0.5, 0.5, 1}));
    EXPECT_EQ(found.nonz2, (Values{1, 1, 0, 0}));
    EXPECT_NEAR(found.norm_mean1[0], 1.4, 1e-6);
    EXPECT_NEAR(found.norm_mean1[3], (2.5 + 0.8) / 2, 1e-6);
    EXPECT_EQ(found.norm_mean2, (Values{2, 2, 0, 0}));
  }
  EXPECT_EQ(dataset.raw_counts_properties(Numbers{3, 3, 1}, second).mean1[0], 8.0 / 3);
  EXPECT_THROW(dataset.raw_counts_properties(Numbers{}, second), InputError);
  EXPECT_THROW(dataset.raw_counts_properties(first, Numbers{4}), InputError);
}

TEST(GeneExpressionDataset, TheMaskOfAMeasurementMarksColumnsThatABatchHas) {
  PopulateOptions options;
  options.batch_indices = {0, 0, 1};
  options.measurements = {{"protein", {0, 1, 2, 0, 5, 0}, "protein_names", {"p", "q"}}};
  const auto dataset = dataset_of(random_counts(3, 2), options);
  const auto mask = dataset.get_batch_mask_cell_measurement("protein");
  EXPECT_EQ(mask, (std::vector<std::vector<bool>>{{true, true}, {true, false}}));
  EXPECT_THROW(dataset.get_batch_mask_cell_measurement("proteins"), InputError);
}

TEST(GeneExpressionDataset, CategoriesAreMappedOneByOne) {
  EXPECT_EQ(remap_categories(Numbers{4, 0, 4}, Numbers{0, 4}, Numbers{7, 1}), (Numbers{1, 7, 1}));
  EXPECT_THROW(remap_categories(Numbers{4, 2}, Numbers{0, 4}, Numbers{7, 1}), InputError);
  EXPECT_THROW(remap_categories(Numbers{4}, Numbers{4}, Numbers{7, 1}), InputError);
}

TEST(GeneExpressionDataset, ProtectedNamesAreRenamedWithAWarning) {
  auto dataset = small_dataset();
  const Warnings warnings;
  dataset.initialize_cell_attribute({"X", std::vector<double>{1, 2, 3, 4}, {}});
  dataset.initialize_gene_attribute({"X", std::vector<double>{1, 2, 3, 4}, {}});
  EXPECT_EQ(warnings.messages().size(), 2U);
  EXPECT_EQ(dataset.cell_attribute("X_cell").size(), 4);
  EXPECT_EQ(dataset.gene_attribute("X_gene").size(), 4);
}

TEST(GeneExpressionDataset, CategoricalAttributesAndTheirMappingsAreRemapped) {
  auto dataset = small_dataset();
  dataset.initialize_cell_attribute({"donor", Numbers{5, 2, 5, 2}, {}}, true);
  dataset.initialize_mapped_attribute("donor", "donor_names", numbered("donor_", 6));
  dataset.remap_categorical_attributes({"donor"});
  EXPECT_EQ(std::get<Numbers>(dataset.cell_attribute("donor").values), (Numbers{1, 0, 1, 0}));
  EXPECT_EQ(dataset.mapped_attribute("donor_names"), (Names{"donor_2", "donor_5"}));
  EXPECT_EQ(dataset.cell_categorical_attribute_names(), (Names{"batch_indices", "labels", "donor"}));
  EXPECT_THROW(dataset.initialize_mapped_attribute("donor", "donor_names", {"one"}), InputError);
  EXPECT_THROW(dataset.initialize_mapped_attribute("labels", "donor_names", {"one", "two"}), InputError);
  EXPECT_THROW(dataset.initialize_mapped_attribute("depth", "depth_names", {"one"}), InputError);
  EXPECT_THROW(dataset.initialize_mapped_attribute("doner", "x", {"one"}), InputError);
  EXPECT_THROW(dataset.remap_categorical_attributes({"depth"}), InputError);
  EXPECT_THROW(dataset.initialize_cell_attribute({"text", Names(4, "a"), {}}, true), InputError);
}

TEST(GeneExpressionDataset, ReplacingLabelsKeepsNamesThatCoverThem) {
  auto dataset = small_dataset();
  dataset.initialize_cell_attribute({"labels", Numbers{0, 0, 1, 1}, {}}, true);
  EXPECT_EQ(dataset.cell_types(), (Names{"T", "B"}));
  dataset.initialize_cell_attribute({"labels", Numbers{0, 0, 1, 2}, {}}, true);
  EXPECT_EQ(dataset.cell_types(), (Names{"0", "1", "2"}));
  dataset.initialize_cell_attribute({"batch_indices", Numbers{0, 1, 0, 0}, {}}, true);
  EXPECT_EQ(dataset.local_vars()[1], kFallbackLibraryVariance) << "library sizes follow the batches";
}

TEST(GeneExpressionDataset, UnknownAttributesSuggestTheNearest) {
  const auto dataset = small_dataset();
  EXPECT_NE(message_of([&] { dataset.cell_attribute("dept"); }).find("did you mean 'depth'?"), std::string::npos);
  EXPECT_NE(message_of([&] { dataset.gene_attribute("lenght"); }).find("did you mean 'length'?"), std::string::npos);
  EXPECT_NE(message_of([&] { dataset.mapped_attribute("cell_type"); }).find("'cell_types'"), std::string::npos);
  EXPECT_NE(message_of([&] { dataset.cell_measurement("protien"); }).find("'protein'"), std::string::npos);
}

TEST(GeneExpressionDataset, DescriptionTellsShapeDensityTotalsAndWhatIsRegistered) {
  const std::string text = small_dataset().description();
  for (const char* part : {"n_cells x nb_genes = 4 x 4", "43.75 % non-zero", "dense", "0 to 10",
                           "batches (2): first, second", "labels (2): T, B", "gene_names, length", "depth",
                           "local_means, local_vars", "cell_categorical_attribute_names: batch_indices, labels",
                           "protein -> protein_names (2 columns)", "labels -> cell_types (2)"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

}  // namespace
}  // namespace scvi
