#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>

#include "scvi/kernel/label_rows.hpp"
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

  bool all_known() const { return rows_.n_hidden == 0; }
  /// (rows, 1)
  const at::Tensor& labels() const { return labels_; }
  /// The values of the cells (cells, n), for each row. On a GPU, too, gradients are added up in one order.
  at::Tensor rows(const at::Tensor& of_cells) const;
  kernel::LayerInput rows(const kernel::LayerInput& of_cells) const;
  /// (cells) the value of a known cell's row, and the mean of a hidden one's under the probabilities of its labels.
  /// @param of_rows (rows)
  /// @param probabilities (cells, n_labels)
  at::Tensor expectation(const at::Tensor& of_rows, const at::Tensor& probabilities) const;
  /// (cells) KL(probabilities || prior) of hidden cells, nats; 0 for known ones.
  /// @param prior (1, n_labels)
  at::Tensor divergence(const at::Tensor& probabilities, const at::Tensor& prior) const;

 private:
  at::Tensor hidden_cells() const;
  void list_rows(std::span<const std::int64_t> label, at::Device device);

  kernel::LabelRows rows_;  // where all are known, without the rows themselves
  at::Tensor labels_;
  at::Tensor cells_;  // (rows) the cell of each; undefined where all are known
};

/// (cells, 1) the labels with hidden ones replaced by the most probable.
/// @param probabilities gives (cells, n_labels); called only where a label is hidden
at::Tensor with_probable_labels(const at::Tensor& labels, const std::function<at::Tensor()>& probabilities);

}  // namespace scvi
