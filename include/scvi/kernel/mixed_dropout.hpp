#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// Dropout logits of cells whose genes are zero-inflated with a probability, as AutoZI has them. With p = minimum +
/// (1 - minimum) sigmoid(logit) and l = log(p / (1 - p + 1e-8)), or l = logit where minimum is 0:
///   l + log_inflated - softplus(l + log_plain)
struct MixedDropout {
  at::Tensor logits;         ///< (cells, genes)
  double minimum = 0;        ///< of the probability of an extra zero, at least 0 and below 1
  at::Tensor log_inflated;   ///< (categories, genes) log probability that a gene is zero-inflated
  at::Tensor log_plain;      ///< (categories, genes) and that it is not
  at::Tensor category = {};  ///< (cells, 1) int64: which row of the two; undefined: they have one
};

/// Whether mixed_dropout() takes this: settings() ask for the fused road, and everything is contiguous float32 on the
/// CPU, in two dimensions.
bool can_fuse(const MixedDropout& what);

/// (cells, genes), differentiable in all three, in one pass. A logit that is not finite gives one that is not.
/// @throws InputError for a category out of range
at::Tensor mixed_dropout(const MixedDropout& what);

}  // namespace scvi::kernel
