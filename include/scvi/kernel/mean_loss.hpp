#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// The mean over cells of reconstruction + weight * divergence, differentiable in both: one operation on the fused
/// road.
/// @param reconstruction,divergence (cells)
at::Tensor mean_loss(const at::Tensor& reconstruction, const at::Tensor& divergence, double weight);

}  // namespace scvi::kernel
