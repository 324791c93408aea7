#include "scvi/kernel/adam.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

namespace scvi {
namespace {

TEST(AdamStep, FollowsTheFormulaWithEpsOutsideTheCorrectedRoot) {
  at::Tensor p = at::full({1}, 2.0F);
  at::Tensor m = at::zeros({1});
  at::Tensor v = at::zeros({1});
  const kernel::AdamSettings settings{.lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 0.01, .weight_decay = 0.5};
  kernel::adam_step(p, at::full({1}, 3.0F), m, v, 1, settings);
  // g = 3 + 0.5 * 2 = 4; the corrected moments of a first step are g and g^2.
  EXPECT_NEAR(p.item<float>(), 2.0 - 0.1 * 4.0 / (4.0 + 0.01), 1e-6);
  EXPECT_NEAR(m.item<float>(), 0.4, 1e-6);
  EXPECT_NEAR(v.item<float>(), 0.016, 1e-6);
}

TEST(AdamStep, EqualsItsPlainTwinOverManySteps) {
  torch::manual_seed(4);
  for (const std::int64_t size : {1, 31, 40000}) {
    at::Tensor p = torch::randn({size});
    at::Tensor q = p.clone();
    at::Tensor m1 = at::zeros({size});
    at::Tensor v1 = at::zeros({size});
    at::Tensor m2 = at::zeros({size});
    at::Tensor v2 = at::zeros({size});
    for (std::int64_t step = 1; step <= 20; ++step) {
      const at::Tensor g = torch::randn({size});
      kernel::adam_step(p, g, m1, v1, step, {});
      kernel::adam_step_aten(q, g, m2, v2, step, {});
    }
    EXPECT_TRUE(at::allclose(p, q, 1e-5, 1e-6)) << size;
  }
}

TEST(AdamStep, DoesNothingToAnEmptyParameter) {
  at::Tensor none = at::empty({0});
  kernel::adam_step(none, none, none, none, 1, {});
  EXPECT_EQ(none.numel(), 0);
}

}  // namespace
}  // namespace scvi
