#include "scvi/metric/baseline_accuracy.hpp"

#include <gtest/gtest.h>

#include "golden_cells.hpp"
#include "scvi/core/error.hpp"

namespace scvi {
namespace {

using testing::golden_test;
using testing::golden_train;

TEST(BaselineAccuracy, IsThatOfScikitLearn) {
  const BaselineAccuracy nearest = compute_accuracy_nn(golden_train(), golden_test());
  EXPECT_EQ(nearest.predicted_test, testing::kNearestDistance);
  EXPECT_EQ(nearest.train.unweighted, 1);  // each cell is at distance 0 from itself
  EXPECT_DOUBLE_EQ(nearest.test.unweighted, 0.625);
  EXPECT_DOUBLE_EQ(nearest.test.worst, 1 / 3.0);
  const BaselineAccuracy machine = compute_accuracy_svc(golden_train(), golden_test());
  EXPECT_EQ(machine.predicted_test, testing::kSupportVectors);
  EXPECT_DOUBLE_EQ(machine.train.unweighted, 0.77);
  EXPECT_DOUBLE_EQ(machine.test.unweighted, 0.75);
}

TEST(BaselineAccuracy, OfAForestIsNearThatOfScikitLearn) {
  // Its forests are right for 0.625 and 0.675 of the cells, with two seeds.
  const BaselineAccuracy forest = compute_accuracy_rf(golden_train(), golden_test());
  EXPECT_NEAR(forest.test.unweighted, 0.65, 0.1);
  EXPECT_GT(forest.train.unweighted, forest.test.unweighted);
  EXPECT_EQ(forest.predicted_test, RandomForestClassifier(golden_train()).predict(golden_test().points));
}

TEST(BaselineAccuracy, TakesItsOptions) {
  EXPECT_EQ(compute_accuracy_nn(golden_train(), golden_test(), 1).predicted_test,
            knn_classify(golden_train(), golden_test().points, {.k = 1}));
  const SvmOptions linear{.grid = {{.kernel = SvmKernel::linear, .cost = 10}}};
  EXPECT_EQ(compute_accuracy_svc(golden_train(), golden_test(), linear).predicted_test,
            testing::kSupportVectorsLinear);
  EXPECT_THROW(compute_accuracy_nn(golden_train(), testing::golden_cells(0, 0)), InputError);
}

}  // namespace
}  // namespace scvi
