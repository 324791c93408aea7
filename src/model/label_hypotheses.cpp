#include "label_hypotheses.hpp"

#include <ATen/ATen.h>

#include <string>

#include "scvi/core/error.hpp"
#include "scvi/model/label_model.hpp"

namespace scvi {
namespace {

void check(const at::Tensor& labels, std::int64_t n_labels) {
  if (labels.numel() == 0) return;
  const auto smallest = labels.min().item<std::int64_t>();
  const auto largest = labels.max().item<std::int64_t>();
  if (smallest >= kHiddenLabel && largest < n_labels) return;
  throw InputError({.problem = "is " + std::to_string(smallest < kHiddenLabel ? smallest : largest) +
                               ", but the model knows labels 0.." + std::to_string(n_labels - 1) + " (and " +
                               std::to_string(kHiddenLabel) + " for a hidden one)",
                    .field = "the label of a cell"});
}

}  // namespace

LabelHypotheses::LabelHypotheses(const at::Tensor& labels, std::int64_t n_cells, std::int64_t n_labels,
                                 const at::Tensor& like)
    : n_cells_(n_cells), n_labels_(n_labels) {
  const auto whole = like.options().dtype(at::kLong).requires_grad(false);
  const at::Tensor flat = labels.defined() ? labels.reshape(-1) : at::full({n_cells}, kHiddenLabel, whole);
  check(flat, n_labels);
  hidden_mask_ = flat == kHiddenLabel;
  known_ = at::logical_not(hidden_mask_).nonzero().reshape(-1);
  n_known_ = known_.size(0);
  if (all_known()) {
    labels_ = flat.unsqueeze(1);
    return;
  }
  hidden_ = hidden_mask_.nonzero().reshape(-1);
  cells_ = at::cat({known_, hidden_.repeat({n_labels})});
  const at::Tensor enumerated = at::arange(n_labels, whole).repeat_interleave(hidden_.size(0));
  labels_ = at::cat({flat.index_select(0, known_), enumerated}).unsqueeze(1);
  place_ = at::cat({known_, hidden_}).argsort();
}

at::Tensor LabelHypotheses::rows(const at::Tensor& of_cells) const {
  if (all_known()) return of_cells;
  // Not all at once by cells_: the gradients of a cell that is named several times would be added up in any order on
  // a GPU.
  return at::cat({of_cells.index_select(0, known_), of_cells.index_select(0, hidden_).repeat({n_labels_, 1})});
}

kernel::LayerInput LabelHypotheses::rows(const kernel::LayerInput& of_cells) const {
  if (all_known()) return of_cells;
  if (of_cells.sparse() == nullptr) return of_cells.dense().index_select(0, cells_);
  const kernel::SparseRows rows = kernel::select_rows(*of_cells.sparse(), cells_);
  return {rows, [rows] { return kernel::to_dense(rows); }};
}

at::Tensor LabelHypotheses::expectation(const at::Tensor& of_rows, const at::Tensor& probabilities) const {
  if (all_known()) return of_rows;
  const std::int64_t n_hidden = n_cells_ - n_known_;
  const at::Tensor of_hidden = of_rows.narrow(0, n_known_, n_labels_ * n_hidden).view({n_labels_, n_hidden}).t();
  const at::Tensor means = (of_hidden * probabilities.index_select(0, hidden_)).sum(1);
  if (n_known_ == 0) return means;
  return at::cat({of_rows.narrow(0, 0, n_known_), means}).index_select(0, place_);
}

at::Tensor LabelHypotheses::where_hidden(const at::Tensor& of_cells) const {
  return at::where(hidden_mask_, of_cells, at::zeros_like(of_cells));
}

at::Tensor with_probable_labels(const at::Tensor& labels, const std::function<at::Tensor()>& probabilities) {
  const bool given = labels.defined();
  if (given && (labels != kHiddenLabel).all().item<bool>()) return labels;
  const at::Tensor probable = probabilities().argmax(-1, /*keepdim=*/true);
  return given ? at::where(labels == kHiddenLabel, probable, labels) : probable;
}

}  // namespace scvi
