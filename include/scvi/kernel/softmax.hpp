#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// The softmax of the last dimension and what it is times a factor of each row.
struct ScaleAndRate {
  at::Tensor scale;
  at::Tensor rate;  ///< exp(log_factor) * scale; undefined without log_factor
};

/// Where no gradients are recorded, float32 on the CPU is done by softmax_rows() on the fused road; else by LibTorch.
/// @param logits (..., columns)
/// @param log_factor (..., 1), or undefined
ScaleAndRate softmax(const at::Tensor& logits, const at::Tensor& log_factor);

}  // namespace scvi::kernel
