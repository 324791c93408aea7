#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// a b for 2-d tensors; on the fused road (settings().kernel) float32 on the CPU is cut into fixed pieces for the
/// thread pool. No gradient is recorded.
at::Tensor pooled_matmul(const at::Tensor& a, const at::Tensor& b);

/// x weight^T + bias, differentiable in all three.
/// @param x (rows, in) or (samples, rows, in)
/// @param weight (out, in), any strides
/// @param bias (out), or an undefined tensor for none
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace scvi::kernel
