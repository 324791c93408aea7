#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// The probabilities of labels: the softmax of each row, differentiable. One operation on the fused road.
/// @param logits (cells, n_labels)
at::Tensor label_probabilities(const at::Tensor& logits);

/// The mean over cells of -log(softmax(logits)[label]), nats, differentiable in the logits; NaN for no cells. One
/// operation on the fused road.
/// @param logits (cells, n_labels)
/// @param labels (cells, 1) int64
/// @throws InputError for a label that is not among 0..n_labels - 1
at::Tensor label_cross_entropy(const at::Tensor& logits, const at::Tensor& labels);

}  // namespace scvi::kernel
