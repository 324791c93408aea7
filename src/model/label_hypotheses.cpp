#include "label_hypotheses.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "scvi/core/error.hpp"
#include "scvi/distribution/divergence.hpp"
#include "scvi/model/label_model.hpp"

namespace scvi {
namespace {

void check(std::span<const std::int64_t> labels, std::int64_t n_labels) {
  for (const std::int64_t label : labels) {
    if (label >= kHiddenLabel && label < n_labels) continue;
    throw InputError({.problem = "is " + std::to_string(label) + ", but the model knows labels 0.." +
                                 std::to_string(n_labels - 1) + " (and " + std::to_string(kHiddenLabel) +
                                 " for a hidden one)",
                      .field = "the label of a cell"});
  }
}

}  // namespace

LabelHypotheses::LabelHypotheses(const at::Tensor& labels, std::int64_t n_cells, std::int64_t n_labels,
                                 const at::Tensor& like) {
  const at::Tensor given =
      labels.defined() ? labels.reshape({-1, 1}) : at::full({n_cells, 1}, kHiddenLabel, at::kLong);
  const at::Tensor readable = given.cpu().contiguous();
  const std::span<const std::int64_t> label(readable.data_ptr<std::int64_t>(), readable.numel());
  check(label, n_labels);
  rows_.n_labels = n_labels;
  rows_.n_hidden = std::ranges::count(label, kHiddenLabel);
  rows_.n_known = std::ssize(label) - rows_.n_hidden;
  labels_ = given;
  if (!all_known()) list_rows(label, like.device());
}

void LabelHypotheses::list_rows(std::span<const std::int64_t> label, at::Device device) {
  const at::Tensor first = at::empty({std::ssize(label)}, at::kLong);
  const at::Tensor cells = at::empty({rows_.n_rows()}, at::kLong);
  const at::Tensor labels = at::empty({rows_.n_rows(), 1}, at::kLong);
  const auto numbers = [](const at::Tensor& tensor) { return tensor.data_ptr<std::int64_t>(); };
  std::int64_t known = 0, hidden = rows_.n_known;
  for (std::int64_t cell = 0; cell < std::ssize(label); ++cell) {
    const bool is_hidden = label[cell] == kHiddenLabel;
    std::int64_t row = is_hidden ? hidden++ : known++;
    numbers(first)[cell] = row;
    for (std::int64_t i = 0; i < (is_hidden ? rows_.n_labels : 1); ++i, row += rows_.n_hidden) {
      numbers(cells)[row] = cell;
      numbers(labels)[row] = is_hidden ? i : label[cell];
    }
  }
  rows_.first = first.to(device);
  cells_ = cells.to(device);
  labels_ = labels.to(device);
}

at::Tensor LabelHypotheses::rows(const at::Tensor& of_cells) const {
  if (all_known()) return of_cells;
  if (of_cells.dim() == 2 && kernel::can_fuse(rows_, {of_cells})) return kernel::rows_of_labels(of_cells, rows_);
  // Not all at once by cells_: the gradients of a cell that is named several times would be added up in any order on
  // a GPU.
  const at::Tensor known = cells_.narrow(0, 0, rows_.n_known);
  return at::cat(
      {of_cells.index_select(0, known), of_cells.index_select(0, hidden_cells()).repeat({rows_.n_labels, 1})});
}

at::Tensor LabelHypotheses::hidden_cells() const {
  return cells_.narrow(0, rows_.n_known, rows_.n_hidden);
}

kernel::LayerInput LabelHypotheses::rows(const kernel::LayerInput& of_cells) const {
  if (all_known()) return of_cells;
  if (of_cells.sparse() == nullptr) return rows(of_cells.dense());
  const kernel::SparseRows rows = kernel::select_rows(*of_cells.sparse(), cells_);
  return {rows, [rows] { return kernel::to_dense(rows); }};
}

at::Tensor LabelHypotheses::expectation(const at::Tensor& of_rows, const at::Tensor& probabilities) const {
  if (all_known()) return of_rows;
  if (kernel::can_fuse(rows_, {of_rows, probabilities})) {
    return kernel::expectation_over_labels(of_rows, probabilities, rows_);
  }
  const auto& [n_known, n_hidden, n_labels, first] = rows_;
  const at::Tensor of_hidden = of_rows.narrow(0, n_known, n_labels * n_hidden).view({n_labels, n_hidden}).t();
  const at::Tensor means = (of_hidden * probabilities.index_select(0, hidden_cells())).sum(1);
  if (n_known == 0) return means;
  return at::cat({of_rows.narrow(0, 0, n_known), means}).index_select(0, first);
}

at::Tensor LabelHypotheses::divergence(const at::Tensor& probabilities, const at::Tensor& prior) const {
  if (!all_known() && kernel::can_fuse(rows_, {probabilities, prior})) {
    return kernel::label_divergence(probabilities, prior, rows_);
  }
  const at::Tensor of_cells = kl_categorical(probabilities, prior);
  if (all_known()) return at::zeros_like(of_cells);
  return at::where(rows_.first >= rows_.n_known, of_cells, at::zeros_like(of_cells));
}

at::Tensor with_probable_labels(const at::Tensor& labels, const std::function<at::Tensor()>& probabilities) {
  const bool given = labels.defined();
  if (given && (labels != kHiddenLabel).all().item<bool>()) return labels;
  const at::Tensor probable = probabilities().argmax(-1, /*keepdim=*/true);
  return given ? at::where(labels == kHiddenLabel, probable, labels) : probable;
}

}  // namespace scvi
