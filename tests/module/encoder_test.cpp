#include "scvi/module/encoder.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace scvi {
namespace {

Encoder make(LatentDistribution distribution) {
  Initializer initializer(1);
  return Encoder({.n_input = 7,
                  .n_output = 3,
                  .n_cat_list = {},
                  .n_hidden = 8,
                  .distribution = distribution,
                  .noise_name = "z_encoder",
                  .sample_name = "z"},
                 initializer);
}

TEST(Encoder, SamplesMeanPlusRootOfTheVarianceTimesTheDraw) {
  Encoder encoder = make(LatentDistribution::normal);
  encoder.eval();
  RecordedNoise noise({{"z", at::full({5, 3}, 2.0F)}});
  const auto out = encoder.forward(torch::rand({5, 7}), {}, noise);
  EXPECT_TRUE(at::allclose(out.latent, out.q_m + 2 * out.q_v.sqrt()));
  EXPECT_GT(out.q_v.min().item<double>(), 1e-4);
}

TEST(Encoder, PutsALogisticNormalSampleOnTheSimplex) {
  Encoder encoder = make(LatentDistribution::ln);
  encoder.eval();
  RandomNoise noise(1, "test");
  const auto out = encoder.forward(torch::rand({5, 7}), {}, noise);
  EXPECT_TRUE(at::allclose(out.latent.sum(1), at::ones({5})));
}

TEST(Encoder, DrawsNothingWhenOnlyTheDistributionIsWanted) {
  Encoder encoder = make(LatentDistribution::normal);
  encoder.eval();
  RecordedNoise silent({});
  EXPECT_FALSE(encoder.forward(torch::rand({5, 7}), {}, silent, /*draw_sample=*/false).latent.defined());
}

TEST(Encoder, GivesTheMeanAlone) {
  Encoder encoder = make(LatentDistribution::normal);
  encoder.eval();
  RecordedNoise silent({});
  const at::Tensor x = torch::rand({5, 7});
  EXPECT_TRUE(at::equal(encoder.mean(x, {}, silent), encoder.forward(x, {}, silent, /*draw_sample=*/false).q_m));
}

}  // namespace
}  // namespace scvi
