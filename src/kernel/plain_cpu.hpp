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

/// The same for a matrix (out, in) whose memory is (in, out).
inline at::Tensor empty_input_major(std::int64_t n_out, std::int64_t n_in) {
  return at::Tensor(at::detail::empty_strided_cpu({n_out, n_in}, {1, n_out}, at::kFloat));
}

/// Numbers of a tensor's memory from `offset` on, as a tensor that does not know of the other.
inline at::Tensor part_of(const at::Tensor& tensor, std::int64_t offset, at::IntArrayRef sizes) {
  at::Tensor part =
      at::detail::make_tensor<c10::TensorImpl>(c10::Storage(tensor.storage()), tensor.key_set(), tensor.dtype());
  part.unsafeGetTensorImpl()->set_storage_offset(offset);
  part.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return part;
}

template <class T>
MatrixView<T> view_of(const at::Tensor& matrix) {
  return {matrix.data_ptr<float>(), matrix.size(0), matrix.size(1), matrix.stride(0), matrix.stride(1)};
}

}  // namespace scvi::kernel
