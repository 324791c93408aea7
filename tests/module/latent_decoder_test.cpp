#include "scvi/module/latent_decoder.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace scvi {
namespace {

TEST(Decoder, GivesANormalDistributionThatDependsOnTheCategory) {
  Initializer initializer(3);
  Decoder decoder({.n_input = 4, .n_output = 5, .n_cat_list = {3}, .n_hidden = 8}, initializer);
  decoder.eval();
  torch::manual_seed(1);
  const at::Tensor z = torch::randn({6, 4});
  RandomNoise noise(1, "test");
  const auto first = decoder.forward(z, {at::zeros({6, 1}, at::kLong)}, noise);
  const auto second = decoder.forward(z, {at::ones({6, 1}, at::kLong)}, noise);
  EXPECT_EQ(first.p_m.sizes(), (std::vector<std::int64_t>{6, 5}));
  EXPECT_EQ(first.p_v.sizes(), (std::vector<std::int64_t>{6, 5}));
  EXPECT_GT(first.p_v.min().item<double>(), 0);
  EXPECT_FALSE(at::allclose(first.p_m, second.p_m));
}

TEST(Decoder, HasNoFloorUnderItsVariance) {
  Initializer initializer(3);
  Decoder decoder({.n_input = 2, .n_output = 1, .n_hidden = 4}, initializer);
  decoder.eval();
  at::NoGradGuard no_grad;
  for (const auto& item : decoder.named_parameters()) {
    if (item.key() == "var_decoder.bias") at::Tensor(item.value()).fill_(-30);
    if (item.key() == "var_decoder.weight") at::Tensor(item.value()).zero_();
  }
  RandomNoise noise(1, "test");
  const auto out = decoder.forward(at::ones({1, 2}), {}, noise);
  EXPECT_NEAR(std::log(out.p_v.item<double>()), -30, 1e-4);
}

}  // namespace
}  // namespace scvi
