#include "scvi/loader/split.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

SplitOptions sizes(SplitSize train, std::optional<SplitSize> test = {}) {
  return {.train_size = train, .test_size = test, .seed = 0};
}

TEST(Split, RoundsAsTheReferenceDoes) {
  // floor for the training share, ceiling for the test share, the rest validates.
  const Split split = train_test_validation_split(128, sizes(0.75, SplitSize(0.1)));
  EXPECT_EQ(split.train.size(), 96U);
  EXPECT_EQ(split.test.size(), 13U);
  EXPECT_EQ(split.validation.size(), 19U);
}

TEST(Split, TakesNumbersOfCells) {
  const Split split = train_test_validation_split(60, sizes(std::int64_t{30}, SplitSize(std::int64_t{12})));
  EXPECT_EQ(split.train.size(), 30U);
  EXPECT_EQ(split.test.size(), 12U);
  EXPECT_EQ(split.validation.size(), 18U);
}

TEST(Split, GivesEveryCellToExactlyOneSet) {
  const Split split = train_test_validation_split(101, sizes(0.6, SplitSize(0.2)));
  std::set<std::int64_t> cells(split.train.begin(), split.train.end());
  cells.insert(split.test.begin(), split.test.end());
  cells.insert(split.validation.begin(), split.validation.end());
  EXPECT_EQ(cells.size(), 101U);
  EXPECT_EQ(*cells.begin(), 0);
  EXPECT_EQ(*cells.rbegin(), 100);
  EXPECT_EQ(split.train.size() + split.test.size() + split.validation.size(), 101U);
}

TEST(Split, WithTrainSizeOneTrainsOnEveryCell) {
  const Split split = train_test_validation_split(33, sizes(1.0));
  EXPECT_EQ(split.train.size(), 33U);
  EXPECT_TRUE(split.test.empty());
}

TEST(Split, RefusesSizesThatCannotBeMet) {
  EXPECT_THROW(train_test_validation_split(10, sizes(0.0)), InputError);
  EXPECT_THROW(train_test_validation_split(10, sizes(1.5)), InputError);
  EXPECT_THROW(train_test_validation_split(10, sizes(std::int64_t{11})), InputError);
  EXPECT_THROW(train_test_validation_split(10, sizes(0.8, SplitSize(0.5))), InputError);
  EXPECT_THROW(train_test_validation_split(1, sizes(0.5)), InputError);
}

TEST(Split, FollowsAColumnAndNamesWhatItDoesNotKnow) {
  const std::vector<std::string> labels = {"train", "test", "train", "validation"};
  const Split split = split_from_labels(labels, "split");
  EXPECT_EQ(split.train, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(split.test, (std::vector<std::int64_t>{1}));
  EXPECT_EQ(split.validation, (std::vector<std::int64_t>{3}));
  try {
    split_from_labels(std::vector<std::string>{"train", "tset"}, "split");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("'tset'"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("split"), std::string::npos);
  }
  EXPECT_THROW(split_from_labels(std::vector<std::string>{"test"}, "split"), InputError);
}

TEST(SplitSize, IsAShareOrANumber) {
  EXPECT_EQ(std::get<double>(parse_split_size("0.9", "--train-size")), 0.9);
  EXPECT_EQ(std::get<double>(parse_split_size("1.0", "--train-size")), 1.0);
  EXPECT_EQ(std::get<std::int64_t>(parse_split_size("400", "--train-size")), 400);
  EXPECT_THROW(parse_split_size("most", "--train-size"), InputError);
  EXPECT_THROW(parse_split_size("", "--train-size"), InputError);
}

std::map<std::int64_t, std::int64_t> count_labels(const std::vector<std::int64_t>& cells,
                                                  const std::vector<std::int64_t>& labels) {
  std::map<std::int64_t, std::int64_t> counts;
  for (const std::int64_t cell : cells) ++counts[labels[cell]];
  return counts;
}

TEST(SplitByLabel, HoldsTheSameShareOfEachLabelOutAndLeavesHiddenOnesAlone) {
  std::vector<std::int64_t> labels;
  for (int i = 0; i < 100; ++i) labels.push_back(0);
  for (int i = 0; i < 10; ++i) labels.push_back(1);
  for (int i = 0; i < 50; ++i) labels.push_back(-1);
  const Split split = split_by_label(labels, sizes(0.8));
  EXPECT_EQ(count_labels(split.train, labels), (std::map<std::int64_t, std::int64_t>{{0, 80}, {1, 8}}));
  EXPECT_EQ(count_labels(split.test, labels), (std::map<std::int64_t, std::int64_t>{{0, 20}, {1, 2}}));
  EXPECT_TRUE(split.validation.empty());
  std::set<std::int64_t> cells(split.train.begin(), split.train.end());
  cells.insert(split.test.begin(), split.test.end());
  EXPECT_EQ(cells.size(), 110U);
  const Split three = split_by_label(labels, sizes(0.6, SplitSize(0.2)));
  EXPECT_EQ(count_labels(three.validation, labels), (std::map<std::int64_t, std::int64_t>{{0, 20}, {1, 2}}));
  EXPECT_EQ(split_by_label(labels, sizes(std::int64_t{55})).train.size(), 55U);
}

TEST(SplitByLabel, LetsALabelWithOneCellTrain) {
  std::vector<std::int64_t> labels(20, 0);
  labels[3] = 1;
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    const Split split = split_by_label(labels, {.train_size = 0.5, .test_size = {}, .seed = seed});
    EXPECT_EQ(count_labels(split.train, labels)[1], 1);
    EXPECT_EQ(count_labels(split.test, labels)[1], 0);
  }
}

TEST(SplitByLabel, NeedsALabel) {
  EXPECT_THROW(split_by_label(std::vector<std::int64_t>{-1, -1}, {}), InputError);
}

}  // namespace
}  // namespace scvi
