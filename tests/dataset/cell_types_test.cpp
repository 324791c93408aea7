// The operations of GeneExpressionDataset on cell types.

#include <gtest/gtest.h>

#include "fixtures.hpp"

namespace scvi {
namespace {

using testing::dataset_of;
using testing::message_of;
using testing::Names;
using testing::Numbers;
using testing::random_counts;

GeneExpressionDataset typed(const Numbers& labels, const Names& cell_types, bool remap = true) {
  PopulateOptions options;
  options.labels = labels;
  options.cell_types = cell_types;
  options.remap_attributes = remap;
  return dataset_of(random_counts(static_cast<std::int64_t>(labels.size()), 10), options);
}

TEST(CellTypes, FilterKeepsTheCellsOfTheTypesNamed) {
  auto dataset = typed({0, 0, 1, 2, 1}, {"T", "B", "NK"});
  dataset.filter_cell_types({"NK", "T"});
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 1, 3}));
  EXPECT_EQ(dataset.labels(), (Numbers{0, 0, 2})) << "labels keep their numbers";
  dataset.filter_labels(Numbers{2});
  EXPECT_EQ(dataset.original_cells(), Numbers{3});
}

TEST(CellTypes, RemoveKeepsTheOthers) {
  auto dataset = typed({0, 0, 1, 2, 1}, {"T", "B", "NK"});
  dataset.remove_cell_types({"B"});
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 1, 3}));
  dataset.remove_labels(Numbers{0});
  EXPECT_EQ(dataset.original_cells(), Numbers{3});
  EXPECT_THROW(dataset.remove_cell_types({"NK"}), InputError) << "no cell would be left";
  EXPECT_EQ(dataset.nb_cells(), 1);
}

TEST(CellTypes, UnknownOnesAreRefusedWithTheNearest) {
  auto dataset = typed({0, 1}, {"monocyte", "B"});
  const std::string message = message_of([&] { dataset.filter_cell_types({"monocytes"}); });
  EXPECT_NE(message.find("cell type 'monocytes'"), std::string::npos) << message;
  EXPECT_NE(message.find("did you mean 'monocyte'?"), std::string::npos) << message;
  EXPECT_THROW(dataset.filter_labels(Numbers{2}), InputError);
  EXPECT_THROW(dataset.remove_labels(Numbers{-1}), InputError);
  EXPECT_THROW(dataset.cell_types_to_labels({"C"}), InputError);
  EXPECT_THROW(dataset.merge_cell_types({}, "x"), InputError);
  EXPECT_THROW(dataset.merge_cell_types({"B", "C"}, "x"), InputError);
  EXPECT_EQ(dataset.cell_types(), (Names{"monocyte", "B"}));
}

TEST(CellTypes, LabelsOfNamesInTheirOrder) {
  const auto dataset = typed({0, 1, 2}, {"T", "B", "NK"});
  EXPECT_EQ(dataset.cell_types_to_labels({"NK", "T", "NK"}), (Numbers{2, 0, 2}));
}

TEST(CellTypes, ANameOfSeveralLabelsMeansAllOfThem) {
  auto dataset = typed({0, 1, 2, 1}, {"T", "B", "T"});
  EXPECT_EQ(dataset.cell_types_to_labels({"T"}), Numbers{0});
  dataset.filter_cell_types({"T"});
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 2}));
}

TEST(CellTypes, MergingAddsATypeAndMarksTheOldOnes) {
  auto dataset = typed({0, 0, 1, 2, 2, 1, 0, 1}, {"0", "1", "2"});
  dataset.initialize_mapped_attribute("labels", "colours", {"red", "green", "blue"});
  dataset.merge_cell_types({"0", "1"}, "0 and 1");
  EXPECT_EQ(dataset.labels(), (Numbers{3, 3, 3, 2, 2, 3, 3, 3}));
  EXPECT_EQ(dataset.cell_types(), (Names{"0#merged", "1#merged", "2", "0 and 1"}));
  dataset.remap_categorical_attributes();
  EXPECT_EQ(dataset.labels(), (Numbers{1, 1, 1, 0, 0, 1, 1, 1}));
  EXPECT_EQ(dataset.cell_types(), (Names{"2", "0 and 1"}));
  EXPECT_EQ(dataset.mapped_attribute("colours"), (Names{"blue", "red"})) << "of the first that was merged";
  dataset.merge_labels(Numbers{0, 1}, "all");
  EXPECT_EQ(dataset.labels(), Numbers(8, 2));
}

TEST(CellTypes, MappingMergesSeveralTimes) {
  auto dataset = typed({0, 0, 4, 4, 2, 3, 5}, {"0", "1", "2", "3", "4", "5"}, false);
  dataset.map_cell_types({{{"0", "2"}, "6"}, {{"3", "4"}, "7"}});
  dataset.remap_categorical_attributes();
  EXPECT_EQ(dataset.cell_types(), (Names{"5", "6", "7"}));
  EXPECT_EQ(dataset.labels(), (Numbers{1, 1, 2, 2, 1, 2, 0}));
  EXPECT_THROW(dataset.map_cell_types({{{"5", "6"}, "8"}, {{"9"}, "10"}}), InputError);
  EXPECT_EQ(dataset.cell_types(), (Names{"5", "6", "7"})) << "one merger that fails undoes all";
  dataset.map_cell_types({{{"5", "6"}, "8"}, {{"8", "7"}, "9"}});
  EXPECT_EQ(dataset.labels(), Numbers(7, 4));
}

TEST(CellTypes, ReorderingPutsSomeFirstAndDropsThoseWithoutCells) {
  auto dataset = typed({0, 1, 3, 1}, {"a", "b", "c", "d"}, false);
  dataset.initialize_mapped_attribute("labels", "colours", {"1", "2", "3", "4"});
  dataset.reorder_cell_types({"d", "b"});
  EXPECT_EQ(dataset.cell_types(), (Names{"d", "b", "a"}));
  EXPECT_EQ(dataset.labels(), (Numbers{2, 1, 0, 1}));
  EXPECT_EQ(dataset.mapped_attribute("colours"), (Names{"4", "2", "1"}));
  EXPECT_THROW(dataset.reorder_cell_types({"d", "d"}), InputError);
  EXPECT_THROW(dataset.reorder_cell_types({"e"}), InputError);
}

TEST(CellTypes, AHiddenLabelIsNoTypeAndStaysHidden) {
  auto dataset = typed({2, -1, 0, -1, 2}, {"T", "B", "NK"});
  EXPECT_EQ(dataset.labels(), (Numbers{1, -1, 0, -1, 1}));
  EXPECT_EQ(dataset.cell_types(), (Names{"T", "NK"}));
  dataset.remap_categorical_attributes();
  EXPECT_EQ(dataset.labels(), (Numbers{1, -1, 0, -1, 1}));
  dataset.filter_cell_types({"NK"});
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 4}));
  EXPECT_THROW(typed({0, -2}, {"T"}), InputError);
  PopulateOptions batches;
  batches.batch_indices = {0, -1};
  batches.batch_names = {"a"};
  EXPECT_THROW(dataset_of(random_counts(2, 10), batches), InputError) << "batches are never hidden";
}

}  // namespace
}  // namespace scvi
