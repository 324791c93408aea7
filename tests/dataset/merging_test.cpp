#include "scvi/dataset/merging.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "fixtures.hpp"

namespace scvi {
namespace {

using testing::dataset_of;
using testing::Dense;
using testing::dense_of;
using testing::message_of;
using testing::Names;
using testing::numbered;
using testing::Numbers;
using testing::random_counts;

GeneExpressionDataset with_genes(std::int64_t n_cells, const Names& genes, PopulateOptions options = {}) {
  options.gene_names = genes;
  return dataset_of(random_counts(n_cells, static_cast<std::int64_t>(genes.size())), std::move(options));
}

GeneExpressionDataset merged_of(const std::vector<const GeneExpressionDataset*>& parts,
                                const PopulateFromDatasetsOptions& options = {}) {
  GeneExpressionDataset merged;
  merged.populate_from_datasets(parts, options);
  return merged;
}

/// 7 cells with labels 0, 1 and 2 cells with labels 0, 2; two batches each.
struct TwoLabelled {
  GeneExpressionDataset first;
  GeneExpressionDataset second;
  TwoLabelled() {
    PopulateOptions options;
    options.labels = options.batch_indices = {0, 0, 0, 1, 1, 1, 1};
    options.cell_types = {"0", "1"};
    options.batch_names = {"fish_2", "scrna_2"};
    first = with_genes(7, numbered("gene_", 3), options);
    options.labels = options.batch_indices = {0, 1};
    options.cell_types = {"0", "2"};
    options.batch_names = {"fish_3", "scrna_3"};
    second = with_genes(2, numbered("gene_", 5), options);
  }
};

TEST(Merging, KeepsTheGenesThatAllHaveInTheOrderOfTheFirst) {
  const auto first = with_genes(5, {"a", "b", "c", "d"});
  const auto second = with_genes(2, {"d", "x", "b", "a"});
  const auto third = with_genes(3, {"b", "d", "y"});
  const auto merged = merged_of({&first, &second, &third});
  EXPECT_EQ(merged.gene_names(), (Names{"b", "d"}));
  EXPECT_EQ(merged.nb_cells(), 10);
  EXPECT_EQ(merged.original_genes(), (Numbers{1, 3}));
  Dense expected;
  for (const auto& [part, columns] : {std::pair{&first, Numbers{1, 3}}, {&second, {2, 0}}, {&third, {0, 1}}}) {
    const Dense counts = dense_of(part->X().select_genes(columns));
    expected.insert(expected.end(), counts.begin(), counts.end());
  }
  EXPECT_EQ(dense_of(merged.X()), expected);
}

TEST(Merging, LeavesItsInputsAsTheyWereAndEqualsTheMergeOfThoseGivenUp) {
  TwoLabelled parts;
  const Dense before = dense_of(parts.second.X());
  const auto merged = merged_of({&parts.first, &parts.second});
  EXPECT_EQ(parts.second.nb_genes(), 5);
  EXPECT_EQ(dense_of(parts.second.X()), before);
  EXPECT_EQ(parts.second.cell_types(), (Names{"0", "2"}));
  std::vector<GeneExpressionDataset> given_up;
  given_up.push_back(std::move(parts.first));
  given_up.push_back(std::move(parts.second));
  GeneExpressionDataset other;
  const MergeReport report = other.populate_from_moved_datasets(std::move(given_up));
  EXPECT_EQ(dense_of(other.X()), dense_of(merged.X()));
  EXPECT_EQ(other.labels(), merged.labels());
  EXPECT_EQ(report.n_cells, 9);
}

TEST(Merging, SharesLabelsThroughCellTypesOrKeepsThemApart) {
  const TwoLabelled parts;
  const auto shared = merged_of({&parts.first, &parts.second});
  EXPECT_EQ(shared.labels(), (Numbers{0, 0, 0, 1, 1, 1, 1, 0, 2}));
  EXPECT_EQ(shared.cell_types(), (Names{"0", "1", "2"}));
  const auto apart = merged_of({&parts.first, &parts.second}, {.shared_labels = false});
  EXPECT_EQ(apart.labels(), (Numbers{0, 0, 0, 1, 1, 1, 1, 2, 3}));
  EXPECT_EQ(apart.cell_types(), (Names{"0", "1", "0", "2"}));
}

TEST(Merging, BatchesFollowEachOther) {
  TwoLabelled parts;
  parts.first.initialize_mapped_attribute("batch_indices", "site", {"x", "y"});
  parts.second.initialize_mapped_attribute("batch_indices", "site", {"z", "x"});
  const auto merged = merged_of({&parts.first, &parts.second});
  EXPECT_EQ(merged.batch_indices(), (Numbers{0, 0, 0, 1, 1, 1, 1, 2, 3}));
  EXPECT_EQ(merged.batch_names(), (Names{"fish_2", "scrna_2", "fish_3", "scrna_3"}));
  EXPECT_EQ(merged.mapped_attribute("site"), (Names{"x", "y", "z", "x"}));
  const float first_batch = merged.local_means()[0];
  EXPECT_EQ(merged.local_means()[2], first_batch);
  EXPECT_NE(merged.local_means()[3], first_batch) << "library sizes are those of the merged batches";
}

TEST(Merging, BatchesOfTheSameNameAreToldApart) {
  const auto a = with_genes(2, {"g"});
  const auto b = with_genes(1, {"g"});
  EXPECT_EQ(merged_of({&a, &b}).batch_names(), (Names{"0", "1"})) << "numbers stay numbers";
  EXPECT_EQ(merged_of({&a, &b}, {.dataset_names = {"day1", "day2"}}).batch_names(), (Names{"day1", "day2"}));
  const TwoLabelled parts;
  EXPECT_EQ(merged_of({&parts.first, &parts.second, &parts.second}).batch_names(),
            (Names{"fish_2", "scrna_2", "fish_3 (data set 1)", "scrna_3 (data set 1)", "fish_3 (data set 2)",
                   "scrna_3 (data set 2)"}));
}

TEST(Merging, AnyCategoricalAttributeCanBeSharedByAMapping) {
  TwoLabelled parts;
  const auto annotate = [](GeneExpressionDataset& dataset, Numbers donors, Names names, Names sexes) {
    dataset.initialize_cell_attribute({"donor", std::move(donors), {}}, true);
    dataset.initialize_mapped_attribute("donor", "donor_names", std::move(names));
    dataset.initialize_mapped_attribute("donor", "sex", std::move(sexes));
  };
  annotate(parts.first, {5, 5, 5, 5, 5, 5, 2}, {"", "", "anna", "", "", "bert"}, {"", "", "f", "", "", "m"});
  annotate(parts.second, {0, 1}, {"carl", "anna"}, {"m", "f"});
  const auto shared =
      merged_of({&parts.first, &parts.second}, {.mapping_reference_for_sharing = {{"donor", "donor_names"}}});
  EXPECT_EQ(std::get<Numbers>(shared.cell_attribute("donor").values), (Numbers{1, 1, 1, 1, 1, 1, 0, 2, 0}));
  EXPECT_EQ(shared.mapped_attribute("donor_names"), (Names{"anna", "bert", "carl"}));
  EXPECT_EQ(shared.mapped_attribute("sex"), (Names{"f", "m", "m"})) << "other mappings stay beside their categories";
  EXPECT_EQ(shared.cell_categorical_attribute_names(), (Names{"batch_indices", "labels", "donor"}));
  const auto apart = merged_of({&parts.first, &parts.second});
  EXPECT_EQ(std::get<Numbers>(apart.cell_attribute("donor").values), (Numbers{1, 1, 1, 1, 1, 1, 0, 2, 3}));
  EXPECT_EQ(apart.mapped_attribute("donor_names"), (Names{"anna", "bert", "carl", "anna"}));
}

TEST(Merging, CellAttributesThatAllHaveAreConcatenatedWhateverTheirTypes) {
  PopulateOptions options;
  using Column = io::Column;
  options.cell_attributes = {Column{"text", Names{"1", "1"}, {}}, Column{"number", Numbers{1, 2}, {}},
                             Column{"kind", io::Categorical{{1, -1}, {"u", "v"}, false}, {}},
                             Column{"mixed", std::vector<double>{0.5, std::nan("")}, {}},
                             Column{"only_first", Numbers{1, 2}, {}}};
  const auto first = with_genes(2, {"g"}, options);
  options.cell_attributes = {Column{"text", Names{"2"}, {}}, Column{"number", std::vector<double>{1.5}, {}},
                             Column{"kind", io::Categorical{{0}, {"w"}, false}, {}}, Column{"mixed", Names{"x"}, {}}};
  const auto second = with_genes(1, {"g"}, options);
  GeneExpressionDataset merged;
  const MergeReport report = merged.populate_from_datasets({&first, &second});
  EXPECT_EQ(std::get<Names>(merged.cell_attribute("text").values), (Names{"1", "1", "2"}));
  EXPECT_EQ(std::get<std::vector<double>>(merged.cell_attribute("number").values), (std::vector<double>{1, 2, 1.5}));
  const auto& kind = std::get<io::Categorical>(merged.cell_attribute("kind").values);
  EXPECT_EQ(kind.categories, (Names{"u", "v", "w"}));
  EXPECT_EQ(kind.codes, (std::vector<std::int32_t>{1, -1, 2}));
  EXPECT_EQ(std::get<Names>(merged.cell_attribute("mixed").values), (Names{"0.5", "", "x"}));
  EXPECT_TRUE(merged.cell_attribute("mixed").is_missing(1));
  EXPECT_THROW(merged.cell_attribute("only_first"), InputError);
  EXPECT_EQ(report.inputs[0].dropped_cell_attributes, Names{"only_first"});
  EXPECT_TRUE(report.inputs[1].dropped_cell_attributes.empty());
}

TEST(Merging, GeneAttributesComeFromTheFirstThatHasThem) {
  PopulateOptions options;
  options.gene_attributes = {{"id", Names{"A", "B"}, {}}};
  const auto first = with_genes(2, {"a", "b"}, options);
  options.gene_attributes = {{"id", Names{"B2", "A2"}, {}}, {"length", Numbers{20, 10}, {}}};
  auto second = with_genes(2, {"b", "a"}, options);
  second.initialize_mapped_attribute("length", "length_names", numbered("", 21));
  const auto merged = merged_of({&first, &second});
  EXPECT_EQ(std::get<Names>(merged.gene_attribute("id").values), (Names{"A", "B"}));
  EXPECT_EQ(std::get<Numbers>(merged.gene_attribute("length").values), (Numbers{10, 20}));
  EXPECT_EQ(merged.mapped_attribute("length_names").size(), 21U);
}

TEST(Merging, MeasurementsAreAlignedBySortedColumns) {
  PopulateOptions options;
  options.measurements = {{"dev", {0, 1, 2, 3, 4, 0, 1, 2, 3, 4}, "dev_names", {"e", "a", "d", "c", "b"}}};
  const auto first = with_genes(2, {"g"}, options);
  options.measurements = {{"dev", {5, 6, 7, 8}, "other", {"e", "c", "a", "d"}}, {"more", {1}, "names", {"q"}}};
  const auto second = with_genes(1, {"g"}, options);
  GeneExpressionDataset merged;
  const MergeReport report = merged.populate_from_datasets({&first, &second});
  EXPECT_EQ(merged.cell_measurement("dev").columns, (Names{"a", "c", "d", "e"}));
  EXPECT_EQ(merged.cell_measurement("dev").columns_attr_name, "dev_names");
  EXPECT_EQ(merged.cell_measurement("dev").data, (Dense{1, 3, 2, 0, 1, 3, 2, 0, 7, 6, 8, 5}));
  EXPECT_EQ(report.inputs[1].dropped_cell_attributes, Names{"more"});
  merged = merged_of({&first, &second}, {.cell_measurement_intersection = {{"dev", false}}});
  EXPECT_EQ(merged.cell_measurement("dev").columns, (Names{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(merged.cell_measurement("dev").data, (Dense{1, 4, 3, 2, 0, 1, 4, 3, 2, 0, 7, 0, 6, 8, 5}));
  const auto mask = merged.get_batch_mask_cell_measurement("dev");
  EXPECT_EQ(mask[1], (std::vector<bool>{true, false, true, true, true}));
  EXPECT_TRUE(mask[0][1]);
}

TEST(Merging, CellNamesAreKeptWhenAllHaveThem) {
  PopulateOptions options;
  options.cell_names = {"x", "y"};
  const auto named = with_genes(2, {"g"}, options);
  const auto nameless = with_genes(1, {"g"});
  EXPECT_EQ(merged_of({&named, &named}).cell_names(), (Names{"x", "y", "x", "y"}));
  EXPECT_TRUE(merged_of({&named, &nameless}).cell_names().empty());
  EXPECT_EQ(merged_of({&named, &nameless}).original_cells(), (Numbers{0, 1, 2}));
}

TEST(Merging, ReportsWhatWasKeptAndDropped) {
  PopulateOptions options;
  options.gene_names = {"a", "b"};
  const auto first = dataset_of(CountMatrix::from_dense(3, 2, Dense{1, 0, 0, 5, 2, 2}), options);
  const auto second = with_genes(2, {"c", "a", "d"});
  GeneExpressionDataset merged;
  MergeReport report = merged.populate_from_datasets({&first, &second}, {.dataset_names = {"one", "two"}});
  EXPECT_EQ(report.n_cells, 5);
  EXPECT_EQ(report.n_genes, 1);
  EXPECT_EQ(report.inputs[0].dropped_genes, Names{"b"});
  EXPECT_EQ(report.inputs[1].dropped_genes, (Names{"c", "d"}));
  EXPECT_EQ(report.inputs[0].n_empty_cells, 1);
  EXPECT_EQ(report.inputs[0].n_cells_kept, 3);
  report =
      merged.populate_from_datasets({&first, &second}, {.dataset_names = {"one", "two"}, .drop_empty_cells = true});
  EXPECT_EQ(report.inputs[0].n_cells_kept, 2);
  EXPECT_EQ(merged.original_cells(), (Numbers{0, 2, 3, 4}));
  EXPECT_EQ(report.text(),
            "merged 2 data sets: 4 cells x 1 genes\n"
            "    one: kept 1 of 2 genes and 2 of 3 cells\n"
            "        genes dropped: b\n"
            "    two: kept 1 of 3 genes and 2 of 2 cells\n"
            "        genes dropped: c, d");
}

TEST(Merging, RefusesWhatCannotBeMergedAndChangesNothing) {
  const TwoLabelled parts;
  const auto nameless = dataset_of(random_counts(2, 3));
  const auto others = with_genes(2, {"GENE_0"});
  GeneExpressionDataset target = with_genes(1, {"kept"});
  const auto refuses = [&](const std::vector<const GeneExpressionDataset*>& inputs, const std::string& part,
                           const PopulateFromDatasetsOptions& options = {}) {
    const std::string message = message_of([&] { target.populate_from_datasets(inputs, options); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  refuses({}, "there are none");
  refuses({&parts.first, &nameless}, "data set 1 has no gene names");
  refuses({&parts.first, &others}, "no gene in common");
  refuses({&parts.first, &parts.second}, "'donor'", {.mapping_reference_for_sharing = {{"donor", "donor_names"}}});
  refuses({&parts.first, &parts.second}, "'sites'", {.mapping_reference_for_sharing = {{"batch_indices", "sites"}}});
  refuses({&parts.first, &parts.second}, "'proteins'", {.cell_measurement_intersection = {{"proteins", true}}});
  refuses({&parts.first, &parts.second}, "1 values for 2 data sets", {.dataset_names = {"one"}});
  EXPECT_EQ(target.gene_names(), Names{"kept"});
}

TEST(Merging, ADataSetMayBeMergedWithItself) {
  auto dataset = with_genes(2, {"a", "b"});
  const Dense counts = dense_of(dataset.X());
  dataset.populate_from_datasets({&dataset, &dataset});
  EXPECT_EQ(dataset.nb_cells(), 4);
  EXPECT_EQ(dataset.n_batches(), 2);
  Dense twice = counts;
  twice.insert(twice.end(), counts.begin(), counts.end());
  EXPECT_EQ(dense_of(dataset.X()), twice);
}

}  // namespace
}  // namespace scvi
