#include "scvi/kernel/mean_loss.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

TEST(MeanLoss, AndItsGradientsAreThoseOfTheFormulaOnBothRoads) {
  for (const KernelRoad road : {KernelRoad::fused, KernelRoad::aten}) {
    settings().kernel = road;
    const at::Tensor reconstruction = torch::tensor({1.0F, 3.0F, 5.0F}).requires_grad_(true);
    const at::Tensor divergence = torch::tensor({2.0F, 0.0F, 4.0F}).requires_grad_(true);
    const at::Tensor loss = kernel::mean_loss(reconstruction, divergence, 0.5);
    EXPECT_FLOAT_EQ(loss.item<float>(), 4);
    (6 * loss).backward();
    EXPECT_TRUE(at::allclose(reconstruction.grad(), at::full({3}, 2.0F)));
    EXPECT_TRUE(at::allclose(divergence.grad(), at::full({3}, 1.0F)));
  }
  settings().kernel = KernelRoad::fused;
}

TEST(SumOfLosses, AndItsGradientsAreThoseOfTheFormulaOnBothRoads) {
  for (const KernelRoad road : {KernelRoad::fused, KernelRoad::aten}) {
    settings().kernel = road;
    const at::Tensor a = torch::tensor({1.0F, 3.0F, 5.0F}).requires_grad_(true);
    const at::Tensor b = torch::tensor({2.0F, 0.0F, 4.0F}).requires_grad_(true);
    const at::Tensor sum = kernel::sum_of_losses(a, 2 * b);
    EXPECT_TRUE(at::equal(sum, torch::tensor({5.0F, 3.0F, 13.0F})));
    // Twice, into what is there already, and one input in two places.
    (sum * torch::tensor({1.0F, 2.0F, 3.0F})).sum().backward();
    kernel::sum_of_losses(a, a).sum().backward();
    EXPECT_TRUE(at::equal(a.grad(), torch::tensor({3.0F, 4.0F, 5.0F})));
    EXPECT_TRUE(at::equal(b.grad(), torch::tensor({2.0F, 4.0F, 6.0F})));
  }
  settings().kernel = KernelRoad::fused;
}

}  // namespace
}  // namespace scvi
