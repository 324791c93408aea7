#include "scvi/io/frame.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace scvi::io {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Column make(Column::Values values, std::vector<std::uint8_t> missing = {}) {
  return {.name = "c", .values = std::move(values), .missing = std::move(missing)};
}

TEST(Column, SizeIsTheNumberOfRowsWhateverTheType) {
  EXPECT_EQ(make(std::vector<std::string>{"a", "b"}).size(), 2);
  EXPECT_EQ(make(std::vector<double>{1}).size(), 1);
  EXPECT_EQ(make(std::vector<std::int64_t>{}).size(), 0);
  EXPECT_EQ(make(Boolean{{1, 0, 1}}).size(), 3);
  EXPECT_EQ(make(Categorical{{0, 0, -1, 0}, {"a"}, false}).size(), 4);
}

TEST(Column, MissingValuesAreFlaggedNanOrCodeMinusOne) {
  EXPECT_TRUE(make(std::vector<double>{kNan}).is_missing(0));
  EXPECT_TRUE(make(Categorical{{-1}, {"a"}, false}).is_missing(0));
  const Column flagged = make(std::vector<std::int64_t>{1, 2}, {0, 1});
  EXPECT_FALSE(flagged.is_missing(0));
  EXPECT_TRUE(flagged.is_missing(1));
  EXPECT_EQ(flagged.text(1), "");
  EXPECT_FALSE(make(std::vector<std::string>{""}).is_missing(0));
}

TEST(Column, TextIsWhatAUserWouldWrite) {
  const Column reals = make(std::vector<double>{3, -0.5, 1e22, 100000, 0.1, static_cast<double>(0.1F), kNan,
                                                std::numeric_limits<double>::infinity()});
  EXPECT_EQ(reals.text(0), "3");
  EXPECT_EQ(reals.text(1), "-0.5");
  EXPECT_EQ(reals.text(2), "1e+22");
  EXPECT_EQ(reals.text(3), "100000");
  EXPECT_EQ(reals.text(4), "0.1");
  EXPECT_EQ(reals.text(5), "0.1");
  EXPECT_EQ(reals.text(6), "");
  EXPECT_EQ(reals.text(7), "inf");
  EXPECT_EQ(make(std::vector<std::int64_t>{-7}).text(0), "-7");
  EXPECT_EQ(make(Boolean{{1, 0}}).text(0), "True");
  EXPECT_EQ(make(Boolean{{1, 0}}).text(1), "False");
  EXPECT_EQ(make(Categorical{{1}, {"a", "b"}, false}).text(0), "b");
}

TEST(Column, CategoriesOfTextAreInByteOrder) {
  const Categorical result = make(std::vector<std::string>{"b", "B", "a10", "a2", "b"}).as_categorical();
  EXPECT_EQ(result.categories, (std::vector<std::string>{"B", "a10", "a2", "b"}));
  EXPECT_EQ(result.codes, (std::vector<std::int32_t>{3, 0, 1, 2, 3}));
}

TEST(Column, CategoriesOfNumbersAreInNumericOrder) {
  const Categorical whole = make(std::vector<std::int64_t>{10, 9, -1, 10}).as_categorical();
  EXPECT_EQ(whole.categories, (std::vector<std::string>{"-1", "9", "10"}));
  EXPECT_EQ(whole.codes, (std::vector<std::int32_t>{2, 1, 0, 2}));
  const Categorical real = make(std::vector<double>{10, kNan, 2.5}).as_categorical();
  EXPECT_EQ(real.categories, (std::vector<std::string>{"2.5", "10"}));
  EXPECT_EQ(real.codes, (std::vector<std::int32_t>{1, -1, 0}));
  const Categorical truth = make(Boolean{{1, 1, 0}}, {0, 1, 0}).as_categorical();
  EXPECT_EQ(truth.categories, (std::vector<std::string>{"False", "True"}));
  EXPECT_EQ(truth.codes, (std::vector<std::int32_t>{1, -1, 0}));
}

TEST(Column, NumbersThatReadTheSameAreOneCategory) {
  const Categorical result = make(std::vector<double>{0.1, static_cast<double>(0.1F), 0.2}).as_categorical();
  EXPECT_EQ(result.categories, (std::vector<std::string>{"0.1", "0.2"}));
  EXPECT_EQ(result.codes, (std::vector<std::int32_t>{0, 0, 1}));
}

TEST(Column, CategoriesThatNoRowUsesAreKept) {
  const Categorical given{{2, -1, 0}, {"x", "unused", "a"}, true};
  const Categorical result = make(given, {0, 0, 1}).as_categorical();
  EXPECT_EQ(result.categories, given.categories);
  EXPECT_EQ(result.codes, (std::vector<std::int32_t>{2, -1, -1}));
  EXPECT_TRUE(result.ordered);
}

TEST(Frame, FindsColumnsByName) {
  Frame frame;
  frame.index = {"r0"};
  frame.columns = {make(std::vector<double>{1})};
  EXPECT_EQ(frame.n_rows(), 1);
  ASSERT_NE(frame.find("c"), nullptr);
  EXPECT_EQ(frame.find("d"), nullptr);
  EXPECT_EQ(frame.column_names(), (std::vector<std::string>{"c"}));
}

}  // namespace
}  // namespace scvi::io
