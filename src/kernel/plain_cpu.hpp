#pragma once

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>

#include "scvi/kernel/matrix_product.hpp"

namespace scvi::kernel {

/// What our kernels can work on by its memory.
inline bool is_plain_cpu_float(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

/// Memory for float32 numbers, without the way through LibTorch's dispatcher, which takes longer than malloc.
inline at::Tensor empty_floats(at::IntArrayRef sizes) {
  return at::Tensor(at::detail::empty_cpu(sizes, at::kFloat));
}

template <class T>
MatrixView<T> view_of(const at::Tensor& matrix) {
  return {matrix.data_ptr<float>(), matrix.size(0), matrix.size(1), matrix.stride(0), matrix.stride(1)};
}

}  // namespace scvi::kernel
