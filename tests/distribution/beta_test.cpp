#include "scvi/distribution/beta.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace scvi {
namespace {

TEST(BetaCdf, IsTheArcsineLawForOneHalf) {
  for (const double x : {0.001, 0.2, 0.5, 0.77, 0.999}) {
    EXPECT_NEAR(beta_cdf(x, 0.5, 0.5), 2 / std::numbers::pi * std::asin(std::sqrt(x)), 1e-12) << x;
  }
}

TEST(BetaCdf, HasClosedFormsWhereOneParameterIsOne) {
  for (const double x : {0.01, 0.5, 0.9}) {
    for (const double shape : {0.01, 0.3, 1.0, 7.5}) {
      EXPECT_NEAR(beta_cdf(x, shape, 1), std::pow(x, shape), 1e-12);
      EXPECT_NEAR(beta_cdf(x, 1, shape), 1 - std::pow(1 - x, shape), 1e-12);
    }
  }
}

TEST(BetaCdf, IsOneHalfInTheMiddleOfWhatIsSymmetric) {
  for (const double shape : {1e-3, 0.2, 0.99, 40.0}) EXPECT_NEAR(beta_cdf(0.5, shape, shape), 0.5, 1e-12) << shape;
}

TEST(BetaCdf, EndsAtZeroAndOneAndGrowsBetween) {
  EXPECT_EQ(beta_cdf(-1, 0.4, 0.7), 0);
  EXPECT_EQ(beta_cdf(0, 0.4, 0.7), 0);
  EXPECT_EQ(beta_cdf(1, 0.4, 0.7), 1);
  double before = 0;
  for (int i = 1; i < 100; ++i) {
    const double p = beta_cdf(i / 100.0, 0.4, 0.7);
    EXPECT_GT(p, before);
    before = p;
  }
}

}  // namespace
}  // namespace scvi
