#include "gemm.hpp"

#include <ATen/ATen.h>
#include <cblas.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "scvi/core/parallel.hpp"
#include "scvi/kernel/threads.hpp"

namespace scvi::kernel {
namespace {

/// A matrix in memory; one of the strides is 1.
struct Matrix {
  float* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t row_stride = 1;
  std::int64_t column_stride = 1;

  explicit Matrix(const at::Tensor& tensor)
      : data(tensor.data_ptr<float>()),
        rows(tensor.size(0)),
        columns(tensor.size(1)),
        row_stride(tensor.stride(0)),
        column_stride(tensor.stride(1)) {}
  Matrix(float* memory, std::int64_t n_rows, std::int64_t n_columns)
      : data(memory), rows(n_rows), columns(n_columns), row_stride(n_columns) {}

  Matrix row_range(std::int64_t begin, std::int64_t end) const {
    Matrix part = *this;
    part.data += begin * row_stride;
    part.rows = end - begin;
    return part;
  }
  Matrix column_range(std::int64_t begin, std::int64_t end) const {
    return transposed().row_range(begin, end).transposed();
  }
  Matrix transposed() const {
    Matrix other = *this;
    std::swap(other.rows, other.columns);
    std::swap(other.row_stride, other.column_stride);
    return other;
  }
  /// Whether rows lie along consecutive numbers. A single row or column may claim either.
  bool is_row_major() const { return column_stride == 1 && (row_stride >= columns || rows == 1); }
  std::int64_t leading() const {
    return std::max<std::int64_t>({is_row_major() ? row_stride : column_stride, is_row_major() ? columns : rows, 1});
  }
};

/// One call of BLAS. @param accumulate add to what is in `out`
void multiply(const Matrix& a, const Matrix& b, const Matrix& out, bool accumulate) {
  if (!out.is_row_major()) return multiply(b.transposed(), a.transposed(), out.transposed(), accumulate);
  const auto side = [](std::int64_t size) { return static_cast<blasint>(size); };
  cblas_sgemm(CblasRowMajor, a.is_row_major() ? CblasNoTrans : CblasTrans,
              b.is_row_major() ? CblasNoTrans : CblasTrans, side(out.rows), side(out.columns), side(a.columns), 1.0F,
              a.data, side(a.leading()), b.data, side(b.leading()), accumulate ? 1.0F : 0.0F, out.data,
              side(out.leading()));
}

/// Products of this many rows go fastest through OpenBLAS at the sizes of our layers (its road for small matrices).
constexpr std::int64_t kStrip = 48;
/// Multiplications that are worth handing to a thread.
constexpr std::int64_t kWorkPerChunk = 1 << 20;
/// Terms of a sum that one chunk adds up where a product is cut along its sums.
constexpr std::int64_t kTermsPerChunk = 10 * kStrip;

/// Length of the chunks along a side, in whole strips.
std::int64_t chunk_length(std::int64_t other_sides) {
  const std::int64_t strips = kWorkPerChunk / std::max<std::int64_t>(kStrip * other_sides, 1);
  return kStrip * std::clamp<std::int64_t>(strips, 1, 64);
}

void fill_rows(const Matrix& out, const float* bias) {
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::int64_t column = 0; column < out.columns; ++column) {
      out.data[row * out.row_stride + column * out.column_stride] = bias[column];
    }
  }
}

/// Rows of `out` in chunks of strips.
void by_rows(const Matrix& a, const Matrix& b, const Matrix& out) {
  parallel_for(out.rows, chunk_length(a.columns * b.columns), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; row += kStrip) {
      const std::int64_t last = std::min(row + kStrip, end);
      multiply(a.row_range(row, last), b, out.row_range(row, last), false);
    }
  });
}

void by_columns(const Matrix& a, const Matrix& b, const float* bias, const Matrix& out) {
  // Wide pieces: here `a` is packed anew for each.
  constexpr std::int64_t kLeast = 4 * kStrip;
  parallel_for(out.columns, std::max(kLeast, chunk_length(a.rows * a.columns)),
               [&](std::int64_t begin, std::int64_t end) {
                 const Matrix part = out.column_range(begin, end);
                 if (bias != nullptr) fill_rows(part, bias + begin);
                 multiply(a, b.column_range(begin, end), part, bias != nullptr);
               });
}

/// Long sums: each chunk adds up its terms, then the chunks are added in their order.
void by_terms(const Matrix& a, const Matrix& b, const Matrix& out) {
  const std::int64_t n_chunks = chunk_count(a.columns, kTermsPerChunk);
  const std::int64_t size = out.rows * out.columns;
  std::vector<float> sums(static_cast<std::size_t>(n_chunks * size));
  parallel_for(a.columns, kTermsPerChunk, [&](std::int64_t begin, std::int64_t end) {
    const Matrix sum(sums.data() + begin / kTermsPerChunk * size, out.rows, out.columns);
    for (std::int64_t term = begin; term < end; term += kStrip) {
      const std::int64_t last = std::min(term + kStrip, end);
      multiply(a.column_range(term, last), b.row_range(term, last), sum, term > begin);
    }
  });
  for (std::int64_t chunk = 1; chunk < n_chunks; ++chunk) {
    const float* const from = sums.data() + chunk * size;
    for (std::int64_t i = 0; i < size; ++i) sums[i] += from[i];
  }
  for (std::int64_t row = 0; row < out.rows; ++row) {
    for (std::int64_t column = 0; column < out.columns; ++column) {
      out.data[row * out.row_stride + column * out.column_stride] = sums[row * out.columns + column];
    }
  }
}

}  // namespace

bool fits_gemm(const at::Tensor& matrix) {
  if (!matrix.device().is_cpu() || matrix.scalar_type() != at::kFloat || matrix.dim() != 2) return false;
  const bool rows_along = matrix.stride(1) == 1 && matrix.stride(0) >= matrix.size(1);
  const bool columns_along = matrix.stride(0) == 1 && matrix.stride(1) >= matrix.size(0);
  return rows_along || columns_along;
}

void gemm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias, at::Tensor& out) {
  use_own_threads();
  const Matrix left(a), right(b), result(out);
  if (result.rows == 0 || result.columns == 0) return;
  const float* const added = bias.defined() ? bias.data_ptr<float>() : nullptr;
  const std::int64_t n_terms = left.columns;
  if (n_terms == 0) {
    out.zero_();
    if (bias.defined()) out.add_(bias);
  } else if (bias.defined()) {
    by_columns(left, right, added, result);
  } else if (n_terms >= kTermsPerChunk && n_terms > 2 * std::max(result.rows, result.columns)) {
    by_terms(left, right, result);
  } else if (result.columns > result.rows) {
    by_columns(left, right, nullptr, result);
  } else {
    by_rows(left, right, result);
  }
}

}  // namespace scvi::kernel
