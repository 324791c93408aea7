#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// Whether gemm() takes it: float32 in main memory, two dimensions, consecutive numbers along one of them.
bool fits_gemm(const at::Tensor& matrix);

/// out = a b + bias, by BLAS on fixed pieces that the pool shares: how they are cut, and how sums are grouped,
/// depends on the sizes alone.
/// @param bias (columns of out), or undefined for none
/// @pre fits_gemm() of all three matrices, whose sizes match
void gemm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias, at::Tensor& out);

}  // namespace scvi::kernel
