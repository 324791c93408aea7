#include "scvi/module/layers.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

FCLayersOptions small_block() {
  return {.n_in = 4, .n_out = 3, .n_cat_list = {2, 3}, .n_layers = 2, .n_hidden = 5};
}

std::vector<std::string> parameter_names(const torch::nn::Module& module) {
  std::vector<std::string> names;
  for (const auto& item : module.named_parameters()) names.push_back(item.key());
  return names;
}

TEST(LinearLayer, StartsUniformWithinTheInverseRootOfItsInputs) {
  Initializer initializer(1);
  const LinearLayer layer(100, 400, true, initializer);
  EXPECT_LE(layer.weight.abs().max().item<double>(), 0.1);
  EXPECT_GT(layer.weight.abs().max().item<double>(), 0.099);
  EXPECT_NEAR(layer.weight.mean().item<double>(), 0, 1e-3);
  EXPECT_LE(layer.bias.abs().max().item<double>(), 0.1);
}

TEST(FCLayers, NamesItsParametersAsTheReferenceDoes) {
  Initializer initializer(1);
  const FCLayers block(small_block(), initializer);
  EXPECT_EQ(parameter_names(block),
            (std::vector<std::string>{"fc_layers.Layer 0.0.weight", "fc_layers.Layer 0.0.bias",
                                      "fc_layers.Layer 0.1.weight", "fc_layers.Layer 0.1.bias",
                                      "fc_layers.Layer 1.0.weight", "fc_layers.Layer 1.0.bias",
                                      "fc_layers.Layer 1.1.weight", "fc_layers.Layer 1.1.bias"}));
}

TEST(FCLayers, AppendsCategoriesToTheInputOfEveryLayer) {
  Initializer initializer(1);
  const FCLayers block(small_block(), initializer);
  EXPECT_EQ(block.named_parameters()["fc_layers.Layer 0.0.weight"].sizes(), (std::vector<std::int64_t>{5, 9}));
  EXPECT_EQ(block.named_parameters()["fc_layers.Layer 1.0.weight"].sizes(), (std::vector<std::int64_t>{3, 10}));
}

TEST(FCLayers, TakesACategoryAsIndicesOrAsOneHotRows) {
  Initializer initializer(2);
  FCLayers block(small_block(), initializer);
  block.eval();
  RandomNoise noise(0, "test");
  const at::Tensor x = torch::rand({6, 4});
  const at::Tensor first = at::tensor({0, 1, 1, 0, 1, 0}, at::kLong).view({6, 1});
  const at::Tensor second = at::tensor({2, 1, 0, 0, 2, 1}, at::kLong).view({6, 1});
  const at::Tensor by_index = block.forward(x, {first, second}, noise);
  const at::Tensor by_rows = block.forward(x, {scvi::one_hot(first, 2), scvi::one_hot(second, 3)}, noise);
  EXPECT_TRUE(at::allclose(by_index, by_rows, 1e-6, 1e-6));
  EXPECT_FALSE(at::allclose(by_index, block.forward(x, {1 - first, second}, noise)));
}

TEST(FCLayers, GivesACategoryWithFewerThanTwoValuesNoColumns) {
  Initializer initializer(2);
  FCLayers block({.n_in = 4, .n_out = 3, .n_cat_list = {1, 0}}, initializer);
  block.eval();
  RandomNoise noise(0, "test");
  EXPECT_EQ(block.named_parameters()["fc_layers.Layer 0.0.weight"].size(1), 4);
  EXPECT_EQ(block.forward(torch::rand({2, 4}), {at::Tensor(), at::Tensor()}, noise).size(1), 3);
}

TEST(FCLayers, NeedsTheCategoriesItWasBuiltFor) {
  Initializer initializer(2);
  FCLayers block(small_block(), initializer);
  RandomNoise noise(0, "test");
  EXPECT_THROW(block.forward(torch::rand({3, 4}), {}, noise), InputError);
  EXPECT_THROW(block.forward(torch::rand({3, 4}), {at::Tensor(), at::Tensor()}, noise), InputError);
}

TEST(FCLayers, DropsUnitsInTrainModeOnlyAndScalesTheRest) {
  Initializer initializer(3);
  FCLayers block({.n_in = 4,
                  .n_out = 200,
                  .n_cat_list = {},
                  .dropout_rate = 0.25,
                  .use_batch_norm = false,
                  .use_relu = false,
                  .noise_name = "block"},
                 initializer);
  const at::Tensor x = torch::rand({50, 4});
  RandomNoise noise(0, "test");
  block.eval();
  const at::Tensor kept = block.forward(x, {}, noise);
  block.train();
  const at::Tensor dropped = block.forward(x, {}, noise);
  const at::Tensor zero = dropped == 0;
  EXPECT_NEAR(zero.to(at::kFloat).mean().item<double>(), 0.25, 0.02);
  EXPECT_TRUE(at::allclose(dropped.masked_select(zero.logical_not()), kept.masked_select(zero.logical_not()) / 0.75));
}

TEST(BatchNormLayer, NormalisesEverySampleByItself) {
  BatchNormLayer layer(3, 0.01, 1e-3);
  const at::Tensor x = torch::randn({2, 40, 3}) * at::tensor({1.0F, 50.0F}).view({2, 1, 1});
  const at::Tensor y = layer.forward(x);
  EXPECT_TRUE(at::allclose(y.mean(1), at::zeros({2, 3}), 1e-4, 1e-4));
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 2);
}

TEST(BatchNormLayer, MovesItsRunningStatisticsByTheUnbiasedVariance) {
  BatchNormLayer layer(1, 0.01, 1e-3);
  layer.forward(at::tensor({1.0F, 3.0F}).view({2, 1}));
  EXPECT_NEAR(layer.running_mean.item<double>(), 0.02, 1e-6);
  EXPECT_NEAR(layer.running_var.item<double>(), 0.99 + 0.01 * 2, 1e-6);
}

TEST(OneHot, RefusesAnIndexOutOfRange) {
  EXPECT_THROW(scvi::one_hot(at::tensor({0, 3}, at::kLong), 3), InputError);
  EXPECT_THROW(scvi::one_hot(at::tensor({-1}, at::kLong), 3), InputError);
}

}  // namespace
}  // namespace scvi
