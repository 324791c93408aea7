#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// What our kernels can work on by its memory.
inline bool is_plain_cpu_float(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

}  // namespace scvi::kernel
