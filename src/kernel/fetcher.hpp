#pragma once

#include <cstdint>

#include "scvi/kernel/matrix_product.hpp"

namespace scvi::kernel {

/// Numbers of a line of the cache.
inline constexpr std::int64_t kLine = 16;

/// Brings a part of a matrix into the cache bit by bit, before it is needed: the processor does not foresee
/// blocks. @tparam kWrite 1 for a part that will be written
template <int kWrite>
class Fetcher {
 public:
  Fetcher() = default;
  /// @param n_calls of fetch() that will be made before the part is needed
  template <class T>
  Fetcher(const MatrixView<T>& part, std::int64_t n_calls) {
    const MatrixView<T> rows = part.column_stride == 1 ? part : part.transposed();
    if (rows.column_stride != 1) return;
    row_ = rows.data;
    stride_ = rows.row_stride;
    length_ = rows.n_columns;
    rows_left_ = length_ > 0 ? rows.n_rows : 0;
    rows_each_ = (rows.n_rows + n_calls - 1) / n_calls;
  }

  void fetch() {
    const std::int64_t n = rows_each_ < rows_left_ ? rows_each_ : rows_left_;
    rows_left_ -= n;
    for (const float* const end = row_ + n * stride_; row_ != end; row_ += stride_) {
      for (std::int64_t at = 0; at < length_; at += kLine) __builtin_prefetch(row_ + at, kWrite);
    }
  }

 private:
  const float* row_ = nullptr;
  std::int64_t stride_ = 0, rows_left_ = 0, length_ = 0, rows_each_ = 0;
};

}  // namespace scvi::kernel
