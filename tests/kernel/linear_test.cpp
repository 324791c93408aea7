#include "scvi/kernel/linear.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

/// Shapes on both sides of every border: one row, odd sizes, wide, tall, large enough to be shared out.
const std::vector<std::array<std::int64_t, 3>> kShapes = {{1, 1, 1},        {3, 7, 5},      {128, 128, 2000},
                                                          {128, 2000, 128}, {33, 129, 515}, {700, 64, 40}};

at::Tensor numbers(at::IntArrayRef shape) {
  return torch::randn(shape);
}

TEST(Linear, EqualsThePlainProductAndItsGradients) {
  torch::manual_seed(1);
  for (const auto& [rows, in, out] : kShapes) {
    const at::Tensor x = numbers({rows, in}).requires_grad_(true);
    const at::Tensor weight = numbers({out, in}).requires_grad_(true);
    const at::Tensor bias = numbers({out}).requires_grad_(true);
    const at::Tensor direction = numbers({rows, out});
    const at::Tensor ours = kernel::linear(x, weight, bias);
    (ours * direction).sum().backward();
    const auto gradients = std::array{x.grad().clone(), weight.grad().clone(), bias.grad().clone()};
    for (const auto& tensor : {x, weight, bias}) tensor.mutable_grad().reset();
    const at::Tensor plain = at::linear(x, weight, bias);
    (plain * direction).sum().backward();
    EXPECT_TRUE(at::allclose(ours, plain, 1e-4, 1e-4)) << rows << "x" << in << "x" << out;
    EXPECT_TRUE(at::allclose(gradients[0], x.grad(), 1e-3, 1e-3));
    EXPECT_TRUE(at::allclose(gradients[1], weight.grad(), 1e-3, 1e-3));
    EXPECT_TRUE(at::allclose(gradients[2], bias.grad(), 1e-3, 1e-3));
  }
}

TEST(Linear, TakesSamplesAsALeadingDimensionAndAViewAsWeight) {
  torch::manual_seed(2);
  const at::Tensor x = numbers({3, 5, 4});
  const at::Tensor wide = numbers({6, 9});
  const at::Tensor weight = wide.narrow(1, 2, 4);
  EXPECT_TRUE(at::allclose(kernel::linear(x, weight, at::Tensor()), at::linear(x, weight.contiguous()), 1e-5, 1e-6));
}

TEST(Linear, GivesTheSameBitsForAnyNumberOfThreads) {
  torch::manual_seed(3);
  const at::Tensor x = numbers({128, 128});
  const at::Tensor weight = numbers({2003, 128});
  const int before = settings().n_threads;
  std::vector<at::Tensor> results;
  for (const int threads : {1, 2, 7}) {
    settings().n_threads = threads;
    results.push_back(kernel::linear(x, weight, at::Tensor()));
  }
  settings().n_threads = before;
  EXPECT_TRUE(at::equal(results[0], results[1]));
  EXPECT_TRUE(at::equal(results[0], results[2]));
}

}  // namespace
}  // namespace scvi
