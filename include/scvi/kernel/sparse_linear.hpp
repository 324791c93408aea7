#pragma once

#include <cstdint>
#include <span>

#include "scvi/kernel/csr_view.hpp"

namespace scvi::kernel {

/// A category whose one-hot columns a layer appends to its input: every row of the input picks one row of the weight.
template <class T>
struct CategoryRows {
  const std::int64_t* index = nullptr;  ///< (rows of x), each within the rows of `weight`: the caller has checked
  const T* weight = nullptr;            ///< (n_categories, n_out), the weight transposed
  std::int64_t weight_stride = 0;       ///< numbers from one row to the next
};

/// A linear layer on sparse rows, y = x W^T + bias + the picked rows of every category. The weight is held
/// transposed, one contiguous row per gene, so that a count touches consecutive numbers only.
template <class T>
struct SparseLinear {
  CsrView x;                       ///< (rows, n_in)
  const T* weight = nullptr;       ///< (n_in, n_out)
  std::int64_t weight_stride = 0;  ///< numbers from one gene to the next, at least n_out
  std::int64_t n_out = 0;
  const T* bias = nullptr;  ///< (n_out), or null for none
  std::span<const CategoryRows<T>> categories = {};
  /// Where there are many genes, adds up each half of them by itself: two threads then share the weight, not the
  /// rows.
  bool in_halves = false;
};

/// Writes y (rows, n_out). The gradient of the transposed weight, dW = x^T dy, is such a layer, too: of the rows of
/// CsrTransposed(x) on the "weight" dy. Each element is one sum in the order bias, categories, genes, in float32, or
/// two of them, so the bits do not depend on the number of threads, nor on which other rows are there.
/// @param y_stride numbers from one row of y to the next, at least n_out
/// @return whether all of y is finite
bool sparse_linear(const SparseLinear<float>& layer, float* y, std::int64_t y_stride);

/// Writes the gradient of a category's rows, (n_categories, n_out): row c is the sum of the rows of dy whose index is
/// c, in their order.
/// @param index (n_rows), each within 0..n_categories - 1
void category_rows_gradient(const std::int64_t* index, std::int64_t n_rows, std::int64_t n_categories,
                            const float* dy, std::int64_t dy_stride, std::int64_t n_out, float* dweight,
                            std::int64_t dweight_stride);

/// Writes the column sums of dy (n_rows, n_out), the gradient of a bias, added in float64.
void column_sums(const float* dy, std::int64_t n_rows, std::int64_t dy_stride, std::int64_t n_out, float* sums);

/// out[i] = log(1 + values[i]), within one unit in the last place; -inf at -1, NaN
/// below. `out` may be `values`.
void log1p_values(const float* values, std::int64_t n, float* out);

}  // namespace scvi::kernel
