// Held against the same in LibTorch's operations in float64.
#include "scvi/kernel/label_probabilities.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <utility>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

// Cells and labels; the last ones fill several chunks.
const std::vector<std::pair<std::int64_t, std::int64_t>> kShapes = {{0, 3}, {1, 1}, {1, 5},
                                                                    {9, 1}, {7, 4}, {5000, 6}};

at::Tensor random_logits(std::int64_t n_cells, std::int64_t n_labels) {
  torch::manual_seed(n_cells + n_labels);
  return (3 * torch::randn({n_cells, n_labels})).requires_grad_(true);
}

at::Tensor wide(const at::Tensor& tensor) {
  return tensor.detach().to(at::kDouble).requires_grad_(true);
}

bool is_close(const at::Tensor& ours, const at::Tensor& plain) {
  return at::allclose(ours.to(at::kDouble), plain, 1e-5, 1e-6);
}

TEST(LabelProbabilities, AndTheirGradientsAreThoseOfTheSoftmax) {
  for (const auto& [n_cells, n_labels] : kShapes) {
    const at::Tensor logits = random_logits(n_cells, n_labels), plain = wide(logits);
    const at::Tensor weights = torch::randn({n_labels, n_cells}).t();
    const at::Tensor ours = label_probabilities(logits), theirs = at::softmax(plain, -1);
    EXPECT_TRUE(is_close(ours, theirs)) << n_cells << " x " << n_labels;
    (ours * weights).sum().backward();
    (theirs * weights).sum().backward();
    EXPECT_TRUE(is_close(logits.grad(), plain.grad())) << n_cells << " x " << n_labels;
  }
}

TEST(LabelCrossEntropy, AndItsGradientAreThoseOfTheFormula) {
  for (const auto& [n_cells, n_labels] : kShapes) {
    const at::Tensor logits = random_logits(n_cells, n_labels), plain = wide(logits);
    const at::Tensor labels = torch::randint(n_labels, {n_cells, 1}, at::kLong);
    const at::Tensor ours = label_cross_entropy(logits, labels);
    const at::Tensor theirs = -at::log_softmax(plain, -1).gather(1, labels).mean();
    if (n_cells == 0) {
      EXPECT_TRUE(std::isnan(ours.item<double>()));
      continue;
    }
    EXPECT_NEAR(ours.item<double>(), theirs.item<double>(), 1e-5) << n_cells << " x " << n_labels;
    (50 * ours).backward();
    (50 * theirs).backward();
    EXPECT_TRUE(is_close(logits.grad(), plain.grad())) << n_cells << " x " << n_labels;
  }
}

TEST(LabelCrossEntropy, KeepsLargeLogitsFiniteAndLetsNanThrough) {
  const at::Tensor labels = torch::tensor({{1}, {0}});
  const at::Tensor large = torch::tensor({{500.0F, -500.0F}, {1000.0F, 0.0F}});
  EXPECT_NEAR(label_cross_entropy(large, labels).item<double>(), 500, 1e-3);
  for (const float bad : {std::nanf(""), INFINITY}) {
    const at::Tensor logits = torch::tensor({{0.0F, 1.0F}, {1.0F, bad}});
    EXPECT_TRUE(at::isnan(label_probabilities(logits)[1]).all().item<bool>()) << bad;
    EXPECT_FALSE(std::isfinite(label_cross_entropy(logits, labels).item<double>())) << bad;
  }
}

TEST(LabelCrossEntropy, RefusesALabelThatThereIsNot) {
  const at::Tensor logits = random_logits(2, 3);
  for (const std::int64_t label : {-1, 3}) {
    EXPECT_THROW(label_cross_entropy(logits, torch::tensor({{std::int64_t{0}}, {label}})), InputError) << label;
  }
}

TEST(LabelProbabilities, AreTheSameBitsForAnyNumberOfThreads) {
  const std::int64_t threads = settings().n_threads;
  const at::Tensor labels = torch::randint(6, {5000, 1}, at::kLong);
  std::vector<at::Tensor> probabilities, costs, gradients;
  for (const int n_threads : {1, 3}) {
    settings().n_threads = n_threads;
    const at::Tensor logits = random_logits(5000, 6);
    probabilities.push_back(label_probabilities(logits).detach());
    costs.push_back(label_cross_entropy(logits, labels));
    costs.back().backward();
    gradients.push_back(logits.grad());
  }
  settings().n_threads = static_cast<int>(threads);
  EXPECT_TRUE(at::equal(probabilities[0], probabilities[1]));
  EXPECT_TRUE(at::equal(costs[0], costs[1]));
  EXPECT_TRUE(at::equal(gradients[0], gradients[1]));
}

TEST(LabelProbabilities, AreLeftToLibTorchOnTheOtherRoad) {
  settings().kernel = KernelRoad::aten;
  const at::Tensor logits = random_logits(7, 4), labels = torch::randint(4, {7, 1}, at::kLong);
  EXPECT_TRUE(at::equal(label_probabilities(logits), at::softmax(logits, -1)));
  EXPECT_TRUE(at::equal(label_cross_entropy(logits, labels), -at::log_softmax(logits, -1).gather(1, labels).mean()));
  settings().kernel = KernelRoad::fused;
}

}  // namespace
}  // namespace scvi::kernel
