#pragma once

#include <ATen/core/Tensor.h>

#include "scvi/kernel/count_nll.hpp"
#include "scvi/kernel/sparse_rows.hpp"

namespace scvi::kernel {

/// The heads of a decoder of counts and the likelihood that they feed, as one operation.
struct CountHeads {
  CountLikelihood likelihood = CountLikelihood::zinb;
  at::Tensor scale_weight = {}, scale_bias = {};      ///< (genes, hidden), (genes)
  at::Tensor dropout_weight = {}, dropout_bias = {};  ///< the same, zinb only; else undefined
  at::Tensor r_weight = {}, r_bias = {};  ///< the same where every cell has dispersions of its own; else undefined
  at::Tensor log_theta = {};              ///< else (genes), or (categories, genes); undefined for poisson
  at::Tensor category = {};               ///< (cells, 1) int64: which row of log_theta; undefined: it has one
  /// That what the heads read comes out of a ReLU: its gradient is not computed where it is zero.
  bool hidden_is_rectified = false;
};

/// Whether count_heads_nll() takes this: settings() ask for the fused road, everything is contiguous float32 on the
/// CPU, `hidden` in two dimensions.
bool can_fuse(const at::Tensor& hidden, const at::Tensor& library, const CountHeads& heads);

/// (cells) -log p(counts), in nats, differentiable in hidden, library, log_theta and the weights and biases of the
/// heads in use. The gradients are computed on the way forward, where any is wanted.
/// @param hidden (cells, hidden)
/// @param library (cells, 1) natural logarithms
/// @throws InputError for a category out of range
at::Tensor count_heads_nll(const at::Tensor& hidden, const at::Tensor& library, const CountHeads& heads,
                           const SparseRows& counts);

/// A distribution of counts by its means, without gradients.
struct CountMeansTensors {
  CountLikelihood likelihood = CountLikelihood::zinb;
  at::Tensor mean;                 ///< (..., cells, genes)
  at::Tensor theta = {};           ///< (genes) or (cells, genes); undefined for poisson
  at::Tensor dropout_logits = {};  ///< shaped as the mean, zinb only
};

/// Whether count_means_nll() takes this: as can_fuse(), and no gradient is wanted.
bool can_fuse(const CountMeansTensors& means, const SparseRows* counts);

/// (..., cells) -log p(counts), in nats. @pre can_fuse(means, &counts)
at::Tensor count_means_nll(const CountMeansTensors& means, const SparseRows& counts);

}  // namespace scvi::kernel
