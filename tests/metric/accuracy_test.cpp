#include "scvi/metric/accuracy.hpp"

#include <gtest/gtest.h>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

using Labels = std::vector<std::int64_t>;

TEST(Accuracy, CountsCellsAndClassesApart) {
  const Accuracy accuracy = accuracy_of(Labels{0, 0, 0, 0, 1, 1, 2, 2}, Labels{0, 0, 0, 1, 1, 0, 2, 2});
  EXPECT_EQ(accuracy.classes, (Labels{0, 1, 2}));
  EXPECT_EQ(accuracy.accuracy_classes, (std::vector<double>{0.75, 0.5, 1}));
  EXPECT_EQ(accuracy.unweighted, 0.75);
  EXPECT_EQ(accuracy.weighted, 0.75);
  EXPECT_EQ(accuracy.worst, 0.5);
}

TEST(Accuracy, OfUnequalClassesDiffersFromTheMeanOverClasses) {
  const Accuracy accuracy = accuracy_of(Labels{0, 0, 0, 1}, Labels{0, 0, 0, 0});
  EXPECT_EQ(accuracy.unweighted, 0.75);
  EXPECT_EQ(accuracy.weighted, 0.5);
  EXPECT_EQ(accuracy.worst, 0);
}

TEST(Accuracy, TakesLabelsWithGapsAndPredictionsOutsideOfThem) {
  const Accuracy accuracy = accuracy_of(Labels{-5, 70, 70}, Labels{-5, 3, 70});
  EXPECT_EQ(accuracy.classes, (Labels{-5, 70}));
  EXPECT_EQ(accuracy.accuracy_classes, (std::vector<double>{1, 0.5}));
}

TEST(Accuracy, RefusesNothingAndUnequalNumbers) {
  EXPECT_THROW(accuracy_of(Labels{}, Labels{}), InputError);
  EXPECT_THROW(accuracy_of(Labels{1}, Labels{1, 2}), InputError);
}

}  // namespace
}  // namespace scvi
