// Held against the same in LibTorch's operations in float64.
#include "scvi/kernel/label_rows.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <limits>
#include <tuple>
#include <vector>

#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

/// Cells, how many of them have a hidden label, and labels.
struct Shape {
  std::int64_t n_cells, n_hidden, n_labels;
};

// None, one row, one label, all hidden, all known, and more than a chunk.
const std::vector<Shape> kShapes = {{0, 0, 3}, {1, 1, 1}, {1, 1, 4}, {1, 0, 4},
                                    {9, 9, 3}, {9, 0, 3}, {9, 4, 1}, {4000, 1900, 5}};

/// Rows and the cell and label of each.
struct Layout {
  LabelRows rows;
  at::Tensor cell, label;
};

Layout layout(const Shape& shape) {
  torch::manual_seed(shape.n_cells + shape.n_hidden + shape.n_labels);
  const at::Tensor order = torch::randperm(shape.n_cells, at::kLong);
  const at::Tensor hidden = std::get<0>(order.narrow(0, 0, shape.n_hidden).sort());
  const at::Tensor known = std::get<0>(order.narrow(0, shape.n_hidden, shape.n_cells - shape.n_hidden).sort());
  return {{.n_known = known.size(0),
           .n_hidden = shape.n_hidden,
           .n_labels = shape.n_labels,
           .first = at::cat({known, hidden}).argsort()},
          at::cat({known, hidden.repeat({shape.n_labels})}),
          at::cat({at::zeros_like(known), at::arange(shape.n_labels, at::kLong).repeat_interleave(hidden.size(0))})};
}

/// 1 for rows of hidden cells, 0 for the others.
at::Tensor is_hidden(const Layout& layout) {
  return (at::arange(layout.rows.n_rows()) >= layout.rows.n_known).to(at::kDouble);
}

at::Tensor wide(const at::Tensor& tensor) {
  return tensor.detach().to(at::kDouble).requires_grad_(true);
}

void expect_close(const at::Tensor& ours, const at::Tensor& plain, const Shape& shape) {
  EXPECT_TRUE(at::allclose(ours.to(at::kDouble), plain, 1e-5, 1e-5))
      << shape.n_cells << " cells, " << shape.n_hidden << " hidden, " << shape.n_labels << " labels";
}

at::Tensor random_probabilities(const Shape& shape) {
  return at::softmax(4 * torch::randn({shape.n_cells, shape.n_labels}), -1).requires_grad_(true);
}

TEST(LabelRows, RepeatCellsAndAddUpTheirGradients) {
  for (const Shape& shape : kShapes) {
    const Layout at = layout(shape);
    const at::Tensor x = torch::randn({shape.n_cells, 3}).requires_grad_(true), plain = wide(x);
    ASSERT_TRUE(can_fuse(at.rows, {x}));
    const at::Tensor ours = rows_of_labels(x, at.rows), theirs = plain.index_select(0, at.cell);
    expect_close(ours, theirs, shape);
    const at::Tensor weights = torch::randn({3, ours.size(0)}).t();
    (ours * weights).sum().backward();
    (theirs * weights).sum().backward();
    expect_close(x.grad(), plain.grad(), shape);
  }
}

TEST(LabelRows, TakeTheMeanOfHiddenCellsOverTheirLabels) {
  for (const Shape& shape : kShapes) {
    const Layout at = layout(shape);
    const at::Tensor values = torch::randn({at.rows.n_rows()}).requires_grad_(true), plain_values = wide(values);
    const at::Tensor p = random_probabilities(shape), plain_p = wide(p);
    const at::Tensor ours = expectation_over_labels(values, p, at.rows);
    const at::Tensor hidden = is_hidden(at);
    const at::Tensor of_rows = plain_p.index({at.cell, at.label}) * hidden + (1 - hidden);
    const at::Tensor theirs = at::zeros({shape.n_cells}, at::kDouble).index_add(0, at.cell, plain_values * of_rows);
    expect_close(ours, theirs, shape);
    const at::Tensor weights = torch::randn({shape.n_cells});
    (ours * weights).sum().backward();
    (theirs * weights).sum().backward();
    expect_close(values.grad(), plain_values.grad(), shape);
    expect_close(p.grad(), plain_p.grad(), shape);
  }
}

/// The divergence as the header has it.
at::Tensor plain_divergence(const at::Tensor& weights, const at::Tensor& prior, const at::Tensor& hidden) {
  const double eps = std::numeric_limits<float>::epsilon();
  const at::Tensor q = weights / weights.sum(-1, true), p = prior / prior.sum();
  const at::Tensor terms = q * (at::log(q.clamp(eps, 1 - eps)) - at::log(p.clamp(eps, 1 - eps)));
  return at::where(q == 0, at::zeros_like(terms), terms).sum(-1) * hidden;
}

TEST(LabelRows, MeasureTheDivergenceOfHiddenCellsFromThePrior) {
  for (const Shape& shape : kShapes) {
    const Layout at = layout(shape);
    at::Tensor p = random_probabilities(shape).detach();
    // Certain about a label, and not adding up to 1.
    if (shape.n_cells > 1) p[1] = at::one_hot(torch::tensor(0), shape.n_labels).to(at::kFloat);
    if (shape.n_cells > 2) p[2] *= 3;
    p.requires_grad_(true);
    const at::Tensor plain = wide(p);
    const at::Tensor prior = torch::rand({1, shape.n_labels}) + 0.1;
    const at::Tensor hidden = (at.rows.first >= at.rows.n_known).to(at::kDouble);
    const at::Tensor ours = label_divergence(p, prior, at.rows);
    const at::Tensor theirs = plain_divergence(plain, prior.to(at::kDouble), hidden);
    expect_close(ours, theirs, shape);
    const at::Tensor weights = torch::randn({shape.n_cells});
    (ours * weights).sum().backward();
    (theirs * weights).sum().backward();
    expect_close(p.grad(), plain.grad(), shape);
  }
}

TEST(LabelRows, GiveTheSameBitsForAnyNumberOfThreads) {
  const auto threads = settings().n_threads;
  const Shape shape = kShapes.back();
  const Layout at = layout(shape);
  const at::Tensor values = torch::randn({at.rows.n_rows()}), x = torch::randn({shape.n_cells, 3});
  const at::Tensor p = random_probabilities(shape), prior = at::ones({1, shape.n_labels});
  std::vector<std::vector<at::Tensor>> results;
  for (const int n_threads : {1, 3}) {
    settings().n_threads = n_threads;
    const at::Tensor x_here = x.clone().requires_grad_(true), p_here = p.detach().clone().requires_grad_(true);
    const at::Tensor of_rows = rows_of_labels(x_here, at.rows).sum(1) + values;
    const at::Tensor result =
        expectation_over_labels(of_rows, p_here, at.rows) + label_divergence(p_here, prior, at.rows);
    result.sum().backward();
    results.push_back({result.detach(), x_here.grad(), p_here.grad()});
  }
  settings().n_threads = threads;
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << i;
}

TEST(LabelRows, AreNotReadOnTheOtherRoad) {
  const Layout at = layout({5, 2, 3});
  settings().kernel = KernelRoad::aten;
  EXPECT_FALSE(can_fuse(at.rows, {}));
  settings().kernel = KernelRoad::fused;
  EXPECT_FALSE(can_fuse(at.rows, {torch::randn({2, 2}, at::kDouble)}));
  EXPECT_FALSE(can_fuse(at.rows, {torch::randn({2, 3}).t()}));
}

}  // namespace
}  // namespace scvi::kernel
