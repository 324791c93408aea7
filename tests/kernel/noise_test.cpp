#include "scvi/kernel/noise.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

const at::TensorOptions kFloat = at::TensorOptions().dtype(at::kFloat);

TEST(RandomNoise, DependsOnSeedPurposePositionAndNameAlone) {
  const auto draw = [](std::uint64_t seed, const char* purpose, std::uint64_t epoch, const char* name) {
    return RandomNoise(seed, purpose, {epoch, 3}).standard_normal(name, {40, 10}, kFloat);
  };
  const at::Tensor first = draw(1, "training", 5, "z");
  EXPECT_TRUE(at::equal(first, draw(1, "training", 5, "z")));
  EXPECT_FALSE(at::equal(first, draw(2, "training", 5, "z")));
  EXPECT_FALSE(at::equal(first, draw(1, "elbo", 5, "z")));
  EXPECT_FALSE(at::equal(first, draw(1, "training", 6, "z")));
  EXPECT_FALSE(at::equal(first, draw(1, "training", 5, "l")));
}

TEST(RandomNoise, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = settings().n_threads;
  std::vector<at::Tensor> normal;
  std::vector<at::Tensor> gamma;
  for (const int threads : {1, 2, 7}) {
    settings().n_threads = threads;
    RandomNoise noise(9, "test");
    normal.push_back(noise.standard_normal("z", {300, 200}, kFloat));
    gamma.push_back(noise.standard_gamma("g", at::full({50, 20}, 1.7F)));
  }
  settings().n_threads = before;
  EXPECT_TRUE(at::equal(normal[0], normal[1]) && at::equal(normal[0], normal[2]));
  EXPECT_TRUE(at::equal(gamma[0], gamma[1]) && at::equal(gamma[0], gamma[2]));
}

TEST(RandomNoise, HasTheMomentsOfItsDistributions) {
  RandomNoise noise(3, "moments");
  const at::Tensor normal = noise.standard_normal("z", {500, 400}, kFloat);
  EXPECT_NEAR(normal.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(normal.var().item<double>(), 1, 0.02);
  const at::Tensor uniform = noise.uniform("u", {500, 400}, kFloat);
  EXPECT_NEAR(uniform.mean().item<double>(), 0.5, 0.005);
  EXPECT_GE(uniform.min().item<double>(), 0);
  EXPECT_LT(uniform.max().item<double>(), 1);
  const at::Tensor gamma = noise.standard_gamma("g", at::full({200, 200}, 2.5F));
  EXPECT_NEAR(gamma.mean().item<double>(), 2.5, 0.05);
  EXPECT_NEAR(gamma.var().item<double>(), 2.5, 0.1);
  const at::Tensor counts = noise.poisson("p", at::full({200, 200}, 7.0F));
  EXPECT_NEAR(counts.mean().item<double>(), 7, 0.1);
  EXPECT_NEAR(counts.var().item<double>(), 7, 0.25);
}

TEST(RecordedNoise, GivesBackWhatWasRecordedUnderNameAndSuffix) {
  RecordedNoise noise({{"z/mb0", at::arange(6, kFloat).view({2, 3})}}, "/mb0");
  EXPECT_TRUE(at::equal(noise.standard_normal("z", {2, 3}, kFloat), at::arange(6, kFloat).view({2, 3})));
}

TEST(RecordedNoise, RefusesAnUnknownNameAndAnotherShape) {
  RecordedNoise noise({{"z", at::zeros({2, 3})}});
  EXPECT_THROW(noise.standard_normal("l", {2, 3}, kFloat), InputError);
  EXPECT_THROW(noise.standard_normal("z", {3, 2}, kFloat), InputError);
}

}  // namespace
}  // namespace scvi
