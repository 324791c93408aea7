#include "scvi/kernel/adam.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "scvi/core/settings.hpp"
#include "with_gpu.hpp"

namespace scvi {
namespace {

/// Restores the road that a test leaves.
class AdamStep : public ::testing::Test {
 protected:
  ~AdamStep() override { settings().kernel = KernelRoad::fused; }

  static void step(at::Tensor& p, const at::Tensor& g, at::Tensor& m, at::Tensor& v, std::int64_t number,
                   const kernel::AdamSettings& adam = {}) {
    const kernel::AdamStep one{p, g, m, v, number};
    kernel::adam_steps({&one, 1}, adam);
  }
};

TEST_F(AdamStep, FollowsTheFormulaWithEpsOutsideTheCorrectedRoot) {
  at::Tensor p = at::full({1}, 2.0F);
  at::Tensor m = at::zeros({1});
  at::Tensor v = at::zeros({1});
  const kernel::AdamSettings adam{.lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 0.01, .weight_decay = 0.5};
  step(p, at::full({1}, 3.0F), m, v, 1, adam);
  // g = 3 + 0.5 * 2 = 4; the corrected moments of a first step are g and g^2.
  EXPECT_NEAR(p.item<float>(), 2.0 - 0.1 * 4.0 / (4.0 + 0.01), 1e-6);
  EXPECT_NEAR(m.item<float>(), 0.4, 1e-6);
  EXPECT_NEAR(v.item<float>(), 0.016, 1e-6);
}

TEST_F(AdamStep, GoesTheSameWayOnBothRoadsWhateverTheLayout) {
  torch::manual_seed(4);
  for (const bool transposed : {false, true}) {
    const auto laid_out = [&](const at::Tensor& tensor) { return transposed ? tensor.t().contiguous().t() : tensor; };
    at::Tensor p = laid_out(torch::randn({200, 31}));
    at::Tensor q = p.clone(at::MemoryFormat::Contiguous);
    at::Tensor m1 = at::zeros_like(p), v1 = at::zeros_like(p), m2 = at::zeros_like(q), v2 = at::zeros_like(q);
    for (std::int64_t number = 1; number <= 20; ++number) {
      const at::Tensor g = torch::randn({200, 31});
      settings().kernel = KernelRoad::fused;
      step(p, laid_out(g), m1, v1, number);
      settings().kernel = KernelRoad::aten;
      step(q, g, m2, v2, number);
    }
    EXPECT_TRUE(at::allclose(p, q, 1e-5, 1e-6)) << transposed;
  }
}

TEST_F(AdamStep, TakesAGradientOfAnotherLayout) {
  at::Tensor p = torch::randn({5, 7});
  at::Tensor q = p.clone();
  const at::Tensor g = torch::randn({7, 5}).t();
  at::Tensor m1 = at::zeros_like(p), v1 = at::zeros_like(p), m2 = at::zeros_like(p), v2 = at::zeros_like(p);
  step(p, g, m1, v1, 1);
  step(q, g.contiguous(), m2, v2, 1);
  EXPECT_TRUE(at::allclose(p, q, 1e-6, 1e-7));
}

using AdamStepOnGpu = testing::WithGpu;

TEST_F(AdamStepOnGpu, TakesAllTensorsTogetherToWhereTheCpuTakesThem) {
  torch::manual_seed(5);
  std::vector<at::Tensor> here = {torch::randn({200, 31}), torch::randn({31, 200}).t(), torch::randn({7})};
  std::vector<kernel::AdamStep> on_cpu, on_gpu;
  for (std::size_t i = 0; i < here.size(); ++i) {
    const at::Tensor g = torch::randn(here[i].sizes());
    const at::Tensor there = here[i].to(gpu_);
    // One of them has taken more steps before.
    const std::int64_t number = i == 2 ? 5 : 1;
    on_cpu.push_back({here[i], g, at::zeros_like(here[i]), at::zeros_like(here[i]), number});
    on_gpu.push_back({there, g.to(gpu_), at::zeros_like(there), at::zeros_like(there), number});
  }
  for (const double weight_decay : {0.0, 1e-2}) {
    kernel::adam_steps(on_cpu, {.weight_decay = weight_decay});
    kernel::adam_steps(on_gpu, {.weight_decay = weight_decay});
    for (std::size_t i = 0; i < here.size(); ++i) {
      EXPECT_TRUE(at::allclose(on_gpu[i].parameter.cpu(), here[i], 1e-5, 1e-6)) << i;
      EXPECT_TRUE(at::allclose(on_gpu[i].second_moment.cpu(), on_cpu[i].second_moment, 1e-5, 1e-9)) << i;
    }
  }
}

TEST_F(AdamStep, DoesNothingToAnEmptyParameter) {
  at::Tensor none = at::empty({0});
  step(none, none, none, none, 1);
  EXPECT_EQ(none.numel(), 0);
}

}  // namespace
}  // namespace scvi
