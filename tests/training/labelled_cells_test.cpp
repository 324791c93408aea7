#include "scvi/training/labelled_cells.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

TEST(LabelledCells, TakesSoManyOfEachLabelInTheOrderOfThePermutation) {
  std::vector<std::int64_t> labels;
  for (std::int64_t cell = 0; cell < 60; ++cell) labels.push_back(cell % 3);
  const LabelledCells cells = choose_labelled_cells(labels, 4, 0);
  ASSERT_EQ(cells.labelled.size(), 12U);
  EXPECT_EQ(cells.labelled.size() + cells.unlabelled.size(), labels.size());
  for (std::int64_t label = 0; label < 3; ++label) {
    EXPECT_EQ(std::count_if(cells.labelled.begin(), cells.labelled.end(), [&](auto c) { return labels[c] == label; }),
              4);
  }
  const auto order = numpy_permutation(0, 60);
  EXPECT_EQ(cells.labelled.back(), order.front());
  const auto place = [&](std::int64_t cell) { return std::find(order.begin(), order.end(), cell) - order.begin(); };
  EXPECT_TRUE(std::is_sorted(cells.unlabelled.begin(), cells.unlabelled.end(),
                             [&](auto a, auto b) { return place(a) < place(b); }));
}

TEST(LabelledCells, NeverTakesACellWithoutALabelNorFillsUpWithOthers) {
  const std::vector<std::int64_t> labels = {0, -1, 0, 0, 0, 1, -1, 0};
  const LabelledCells cells = choose_labelled_cells(labels, 2, 3);
  EXPECT_EQ(cells.labelled.size(), 3U);
  for (const auto cell : cells.labelled) EXPECT_GE(labels[cell], 0);
  EXPECT_NE(std::find(cells.labelled.begin(), cells.labelled.end(), 5), cells.labelled.end());
}

TEST(LabelledCells, RefusesToTakeNone) {
  EXPECT_THROW(choose_labelled_cells(std::vector<std::int64_t>{0, 1}, 0, 0), InputError);
}

}  // namespace
}  // namespace scvi
