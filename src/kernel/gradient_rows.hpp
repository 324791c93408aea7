#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "scvi/core/error.hpp"

// What the operations that end in count_nll() share.
namespace scvi::kernel {

inline float* data_of(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

/// out = rows of n numbers times their weights. @param out may be `rows`
inline void scale_rows(const at::Tensor& rows, std::int64_t n, const at::Tensor& weights, const at::Tensor& out) {
  const float* from = rows.data_ptr<float>();
  const float* const weight = weights.data_ptr<float>();
  float* to = out.data_ptr<float>();
  for (std::int64_t row = 0; row < weights.numel(); ++row, from += n, to += n) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = from[i] * weight[row];
  }
}

inline bool all_same(const at::Tensor& weights) {
  const float* const weight = weights.data_ptr<float>();
  return std::all_of(weight, weight + weights.numel(), [&](float w) { return w == weight[0]; });
}

/// An index that picks one of the rows of log_theta for each cell: what our kernels can read.
inline bool is_plain_index(const at::Tensor& category, std::int64_t n_cells) {
  return !category.defined() || (category.device().is_cpu() && category.is_contiguous() &&
                                 category.scalar_type() == at::kLong && category.numel() == n_cells);
}

/// @throws InputError for a category out of range
inline void check_category(const at::Tensor& category, const at::Tensor& log_theta) {
  if (!category.defined()) return;
  const std::int64_t n = log_theta.size(0);
  const std::int64_t* const index = category.data_ptr<std::int64_t>();
  for (std::int64_t cell = 0; cell < category.numel(); ++cell) {
    if (index[cell] >= 0 && index[cell] < n) continue;
    throw InputError(
        {.problem = "is " + std::to_string(index[cell]) + ", but there are " + std::to_string(n) + " of them",
         .field = "the batch or label index"});
  }
}

}  // namespace scvi::kernel
