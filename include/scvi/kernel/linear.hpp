#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

namespace scvi::kernel {

/// a b for 2-d tensors; on the fused road (settings().kernel) float32 on the CPU is cut into fixed pieces for the
/// thread pool. No gradient is recorded.
at::Tensor pooled_matmul(const at::Tensor& a, const at::Tensor& b);
/// The same into `out`, a tensor of the right shape.
void pooled_matmul_out(at::Tensor& out, const at::Tensor& a, const at::Tensor& b);

/// x weight^T + bias into `out` (rows, out), without gradients. @param bias (out), or undefined for none
void pooled_linear_out(at::Tensor& out, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// out = a b + bias, of some matrix a.
struct PooledProduct {
  at::Tensor out;
  at::Tensor b;
  at::Tensor bias;  ///< undefined for none
};

/// Several products of one matrix, as pooled_matmul() makes them, with less to do than one by one.
void pooled_products(const at::Tensor& a, std::vector<PooledProduct> products);

/// The sum of a b over all pairs (a, b) where `mask` (rows, columns) is not zero, elsewhere zero: the gradient of a
/// ReLU's output, which is the mask. No gradient is recorded. @pre float32 on the CPU; mask and a contiguous
at::Tensor pooled_sampled_product(const at::Tensor& mask,
                                  const std::vector<std::pair<at::Tensor, at::Tensor>>& pairs);

/// x weight^T + bias, differentiable in all three.
/// @param x (rows, in) or (samples, rows, in)
/// @param weight (out, in), any strides
/// @param bias (out), or an undefined tensor for none
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace scvi::kernel
