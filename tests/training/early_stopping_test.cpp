#include "scvi/training/early_stopping.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

EarlyStoppingOptions patient(std::int64_t patience, double threshold) {
  EarlyStoppingOptions options;
  options.early_stopping_metric = "elbo";
  options.patience = patience;
  options.threshold = threshold;
  return options;
}

TEST(EarlyStopping, StopsAtTheFirstUpdateThatFindsThePatienceUsedUp) {
  EarlyStopping stopping(patient(2, 3), false, false);
  EXPECT_TRUE(stopping.update(100).continue_training);
  EXPECT_TRUE(stopping.update(99).continue_training);  // better, but by less than the threshold: waits 1
  EXPECT_TRUE(stopping.update(98).continue_training);  // waits 2
  EXPECT_FALSE(stopping.update(50).continue_training);
}

TEST(EarlyStopping, MeasuresImprovementFromTheBestHoweverSmallItsSteps) {
  EarlyStopping stopping(patient(5, 3), false, false);
  stopping.update(100);
  stopping.update(98);
  EXPECT_EQ(stopping.state().best_performance, 98);
  stopping.update(96);  // 2 below the best: no improvement that counts
  EXPECT_EQ(stopping.state().wait, 2);
  stopping.update(90);
  EXPECT_EQ(stopping.state().wait, 0);
}

TEST(EarlyStopping, ReducesTheLearningRateOnAPlateauAndCountsAnew) {
  auto options = patient(100, 1);
  options.reduce_lr_on_plateau = true;
  options.lr_patience = 2;
  EarlyStopping stopping(options, false, false);
  std::vector<bool> reduced;
  for (int i = 0; i < 7; ++i) reduced.push_back(stopping.update(10).reduce_lr);
  EXPECT_EQ(reduced, (std::vector<bool>{false, false, false, true, false, true, false}));
}

TEST(EarlyStopping, LooksForLargeValuesWhereLargerIsBetter) {
  EarlyStopping stopping(patient(1, 0.1), true, true);
  EXPECT_TRUE(stopping.update(0.2).continue_training);
  EXPECT_TRUE(stopping.update(0.5).continue_training);
  EXPECT_EQ(stopping.state().wait, 0);
  EXPECT_TRUE(stopping.update_state(0.2));
  EXPECT_TRUE(stopping.update_state(0.5));
  EXPECT_FALSE(stopping.update_state(0.5));
}

TEST(EarlyStopping, TakesANaNForNoImprovement) {
  EarlyStopping stopping(patient(2, 1), false, false);
  stopping.update(std::nan(""));
  EXPECT_EQ(stopping.state().wait, 1);
  EXPECT_FALSE(stopping.update_state(std::nan("")));
}

TEST(EarlyStopping, RefusesOptionsThatMakeNoSense) {
  EXPECT_THROW(EarlyStopping(patient(-1, 1), false, false), InputError);
  auto options = patient(1, 1);
  options.lr_factor = 1;
  EXPECT_THROW(EarlyStopping(options, false, false), InputError);
}

}  // namespace
}  // namespace scvi
