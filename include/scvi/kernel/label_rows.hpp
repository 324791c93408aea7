#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>

namespace scvi::kernel {

/// The rows of the cells of a minibatch under every label that they may have: first one for each cell whose label is
/// known; then, label after label, one for each cell whose label is hidden.
struct LabelRows {
  std::int64_t n_known = 0;   ///< cells whose label is known
  std::int64_t n_hidden = 0;  ///< the others
  std::int64_t n_labels = 0;
  /// (cells) int64, contiguous: the row of a known cell, or that of a hidden one under the first label, which lies at
  /// n_known or beyond; that under label i is i * n_hidden rows further on.
  at::Tensor first;

  std::int64_t n_rows() const { return n_known + n_hidden * n_labels; }
};

/// Whether settings() ask for the fused road and all is contiguous float32 on the CPU, beside `rows`.
/// @param values any tensors of the operations below
bool can_fuse(const LabelRows& rows, std::initializer_list<at::Tensor> values);

// Each is one operation with a gradient. @pre can_fuse()

/// (rows, columns) the numbers of the cell that each row stands for, differentiable.
/// @param of_cells (cells, columns)
at::Tensor rows_of_labels(const at::Tensor& of_cells, const LabelRows& rows);

/// (cells) the value of a known cell's row, and the mean of a hidden one's under the probabilities of its labels;
/// differentiable in both.
/// @param of_rows (rows)
/// @param probabilities (cells, n_labels)
at::Tensor expectation_over_labels(const at::Tensor& of_rows, const at::Tensor& probabilities, const LabelRows& rows);

/// (cells) KL(probabilities || prior), nats, of hidden cells, and 0 for known ones; differentiable in the
/// probabilities. Both are made to add up to 1 first, and their logarithms kept away from those of 0 and 1 by the
/// float32 epsilon.
/// @param probabilities (cells, n_labels)
/// @param prior (1, n_labels), above 0
at::Tensor label_divergence(const at::Tensor& probabilities, const at::Tensor& prior, const LabelRows& rows);

}  // namespace scvi::kernel
