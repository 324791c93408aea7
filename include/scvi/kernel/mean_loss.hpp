#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// The mean over cells of reconstruction + weight * divergence, differentiable in both: one operation on the fused
/// road.
/// @param reconstruction,divergence (cells)
at::Tensor mean_loss(const at::Tensor& reconstruction, const at::Tensor& divergence, double weight);

/// a + b of losses (cells), differentiable in both: on the fused road for less than LibTorch's own sum.
at::Tensor sum_of_losses(const at::Tensor& a, const at::Tensor& b);

}  // namespace scvi::kernel
