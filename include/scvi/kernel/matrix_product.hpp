#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace scvi::kernel {

/// A matrix in somebody else's memory. Any strides do; numbers that lie side by side along one of the sides are read
/// and written faster.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t n_rows = 0;
  std::int64_t n_columns = 0;
  std::int64_t row_stride = 0;     ///< numbers from one row to the next
  std::int64_t column_stride = 1;  ///< numbers from one column to the next

  MatrixView transposed() const { return {data, n_columns, n_rows, column_stride, row_stride}; }
  MatrixView rows(std::int64_t begin, std::int64_t end) const {
    return {data + begin * row_stride, end - begin, n_columns, row_stride, column_stride};
  }
  MatrixView columns(std::int64_t begin, std::int64_t end) const {
    return {data + begin * column_stride, n_rows, end - begin, row_stride, column_stride};
  }
};

/// Writes out = a b + bias, (m, k) times (k, n), every row getting the bias. Sums run along k in float32, cut and
/// grouped by the sizes alone, so the bits do not depend on the number of threads.
/// @param bias (n), or null for none
/// @return whether all results are finite
/// @pre the sizes match, and `out` shares no memory with the others
bool matrix_product(const MatrixView<const float>& a, const MatrixView<const float>& b, const float* bias,
                    const MatrixView<float>& out);

/// What a matrix is multiplied with, and where to.
struct ProductWith {
  MatrixView<const float> b;
  const float* bias = nullptr;  ///< (n), or null for none
  MatrixView<float> out;
  bool finite = false;  ///< an answer: whether all results are
};

struct NonzeroTerms;

/// matrix_product() of one matrix with several others, to the same bits: what it takes to read `a` is done once.
/// @param nonzeros if not null and this was looked at, where the numbers of `a` are that are not zero, which
///   sampled_product() asks for, too
void matrix_products(const MatrixView<const float>& a, std::span<ProductWith> products,
                     std::shared_ptr<const NonzeroTerms>* nonzeros = nullptr);

}  // namespace scvi::kernel
