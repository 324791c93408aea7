#pragma once

#include <ATen/core/Tensor.h>

#include "scvi/kernel/count_nll.hpp"
#include "scvi/kernel/sparse_rows.hpp"

namespace scvi::kernel {

/// A distribution of counts as a decoder's last layers give it.
struct CountLogits {
  CountLikelihood likelihood = CountLikelihood::zinb;
  at::Tensor scale;           ///< (cells, genes): the mean is exp(library) softmax(scale)
  at::Tensor dropout = {};    ///< (cells, genes) logits of an extra zero, zinb only; else undefined
  at::Tensor log_theta = {};  ///< (genes), (categories, genes) with `category`, or (cells, genes); none for poisson
  at::Tensor category = {};   ///< (cells, 1) int64: which row of log_theta; undefined: it has one, or one a cell
};

/// Whether count_logits_nll() takes this: settings() ask for the fused road, and everything is contiguous float32 on
/// the CPU, `scale` in two dimensions.
bool can_fuse(const CountLogits& logits, const at::Tensor& library);

/// (cells) -log p(counts), in nats, differentiable in the logits, library and log_theta. The gradients are computed
/// on the way forward, where any is wanted.
/// @param library (cells, 1) natural logarithms
/// @throws InputError for a category out of range
at::Tensor count_logits_nll(const CountLogits& logits, const at::Tensor& library, const SparseRows& counts);

}  // namespace scvi::kernel
