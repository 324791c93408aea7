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
  template <class T>
  explicit Fetcher(const MatrixView<T>& part) {
    const MatrixView<T> rows = part.column_stride == 1 ? part : part.transposed();
    if (rows.column_stride != 1) return;
    row_ = rows.data;
    stride_ = rows.row_stride;
    rows_left_ = rows.n_rows;
    length_ = rows.n_columns;
  }

  void fetch(std::int64_t n_lines) {
    for (; n_lines > 0 && rows_left_ > 0; --n_lines) {
      __builtin_prefetch(row_ + at_, kWrite);
      at_ += kLine;
      if (at_ < length_) continue;
      at_ = 0;
      row_ += stride_;
      --rows_left_;
    }
  }

 private:
  const float* row_ = nullptr;
  std::int64_t stride_ = 0, rows_left_ = 0, length_ = 0, at_ = 0;
};

}  // namespace scvi::kernel
