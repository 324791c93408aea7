#include "scvi/module/decoder.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace scvi {
namespace {

TEST(DecoderSCVI, GivesFrequenciesThatSumToOneAndMeansThatSumToTheLibrary) {
  Initializer initializer(1);
  DecoderSCVI decoder({.n_input = 3, .n_output = 20, .n_cat_list = {2}, .n_hidden = 8}, initializer);
  decoder.eval();
  RandomNoise noise(0, "test");
  const at::Tensor library = at::full({4, 1}, 5.0F);
  const at::Tensor batch = at::tensor({0, 1, 1, 0}, at::kLong).view({4, 1});
  const auto out = decoder.forward(torch::randn({4, 3}), library, {batch}, {.px_r = true, .px_dropout = true}, noise);
  EXPECT_TRUE(at::allclose(out.px_scale.sum(1), at::ones({4})));
  EXPECT_TRUE(at::allclose(out.px_rate.sum(1), library.exp().squeeze(1)));
  EXPECT_EQ(out.px_r.sizes(), (std::vector<std::int64_t>{4, 20}));
}

TEST(DecoderSCVI, LeavesHeadsOutThatNobodyWants) {
  Initializer initializer(1);
  DecoderSCVI decoder({.n_input = 3, .n_output = 20, .n_cat_list = {}, .n_hidden = 8}, initializer);
  RandomNoise noise(0, "test");
  const auto out =
      decoder.forward(torch::randn({4, 3}), at::zeros({4, 1}), {}, {.px_r = false, .px_dropout = false}, noise);
  EXPECT_FALSE(out.px_r.defined());
  EXPECT_FALSE(out.px_dropout.defined());
}

}  // namespace
}  // namespace scvi
