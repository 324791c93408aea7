#include "scvi/distribution/divergence.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

namespace scvi {
namespace {

at::Tensor d(std::initializer_list<double> values) {
  return at::tensor(std::vector<double>(values), at::kDouble);
}

TEST(KlNormal, IsZeroForEqualDistributionsAndKnownOtherwise) {
  EXPECT_NEAR(kl_normal(d({2}), d({3}), d({2}), d({3})).item<double>(), 0, 1e-12);
  // 0.5 (4/1 + 9/1 - 1 - log 4)
  EXPECT_NEAR(kl_normal(d({3}), d({4}), d({0}), d({1})).item<double>(), 0.5 * (12 - std::log(4.0)), 1e-12);
  EXPECT_NEAR(kl_standard_normal(d({3}), d({4})).item<double>(), 0.5 * (12 - std::log(4.0)), 1e-12);
}

TEST(KlCategorical, CountsAnImpossibleOutcomeAsNothingAndAForbiddenOneAsInfinite) {
  EXPECT_NEAR(kl_categorical(d({0, 1}), d({0.5, 0.5})).item<double>(), std::log(2.0), 1e-9);
  EXPECT_TRUE(std::isinf(kl_categorical(d({0.5, 0.5}), d({0, 1})).item<double>()));
  EXPECT_NEAR(kl_categorical(d({1, 1}), d({3, 3})).item<double>(), 0, 1e-12);
}

TEST(KlBeta, IsZeroForEqualDistributionsAndPositiveOtherwise) {
  EXPECT_NEAR(kl_beta(d({2}), d({3}), d({2}), d({3})).item<double>(), 0, 1e-12);
  EXPECT_GT(kl_beta(d({2}), d({3}), d({3}), d({2})).item<double>(), 0.1);
}

TEST(NormalLogProb, IsTheDensity) {
  EXPECT_NEAR(normal_log_prob(d({1}), d({0}), d({1})).item<double>(), -0.5 - 0.5 * std::log(2 * M_PI), 1e-12);
}

TEST(GammaSample, CarriesTheImplicitGradientOfItsConcentration) {
  at::Tensor concentration = at::full({20000}, 2.0F).requires_grad_(true);
  RandomNoise noise(3, "test");
  const at::Tensor sample = gamma_sample(concentration, "g", noise);
  sample.sum().backward();
  // E[sample] = concentration, so the mean of the derivative is 1.
  EXPECT_NEAR(concentration.grad().mean().item<double>(), 1, 0.02);
  EXPECT_GT(sample.min().item<float>(), 0);
}

}  // namespace
}  // namespace scvi
