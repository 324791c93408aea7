#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "scvi/kernel/sparse_rows.hpp"

namespace scvi {

/// The cells of a minibatch under every label that they may have: a row for each cell whose label is known, and one
/// per label for each whose label is hidden. The rows of known cells come first, in their order; then, label after
/// label, those of the hidden cells, in theirs.
class LabelHypotheses {
 public:
  /// @param labels (cells, 1) int64, kHiddenLabel where hidden; undefined: hidden everywhere
  /// @param like a tensor on the device of the cells
  /// @throws InputError for a label that is neither hidden nor below n_labels
  LabelHypotheses(const at::Tensor& labels, std::int64_t n_cells, std::int64_t n_labels, const at::Tensor& like);

  bool all_known() const { return n_known_ == n_cells_; }
  /// (rows, 1)
  const at::Tensor& labels() const { return labels_; }
  /// The values of the cells (cells, n), for each row. On a GPU, too, gradients are added up in one order.
  at::Tensor rows(const at::Tensor& of_cells) const;
  kernel::LayerInput rows(const kernel::LayerInput& of_cells) const;
  /// (cells) the value of a known cell's row, and the mean of a hidden one's under the probabilities of its labels.
  /// @param of_rows (rows)
  /// @param probabilities (cells, n_labels)
  at::Tensor expectation(const at::Tensor& of_rows, const at::Tensor& probabilities) const;
  /// (cells) the values of hidden cells, 0 for known ones.
  at::Tensor where_hidden(const at::Tensor& of_cells) const;

 private:
  std::int64_t n_cells_;
  std::int64_t n_labels_;
  std::int64_t n_known_ = 0;
  at::Tensor labels_;
  at::Tensor cells_;        // (rows) the cell of each; undefined where all are known
  at::Tensor known_;        // (known cells)
  at::Tensor hidden_;       // (hidden cells)
  at::Tensor place_;        // (cells) where each is among known cells and then hidden ones
  at::Tensor hidden_mask_;  // (cells)
};

/// (cells, 1) the labels with hidden ones replaced by the most probable.
/// @param probabilities gives (cells, n_labels); called only where a label is hidden
at::Tensor with_probable_labels(const at::Tensor& labels, const std::function<at::Tensor()>& probabilities);

}  // namespace scvi
