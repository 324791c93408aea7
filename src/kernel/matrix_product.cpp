#include "scvi/kernel/matrix_product.hpp"

#include <algorithm>
#include <atomic>

#include "fetcher.hpp"
#include "finite_numbers.hpp"
#include "float_array.hpp"
#include "product_with_zeros.hpp"
#include "scvi/core/parallel.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "matrix_product.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "lanes_inl.hpp"
// After lanes_inl.hpp, which it needs.
#include "pack_inl.hpp"

#ifndef SCVI_KERNEL_MATRIX_PRODUCT_BLOCKS
#define SCVI_KERNEL_MATRIX_PRODUCT_BLOCKS
namespace scvi::kernel {

// A block's part of either factor fits into the second-level cache, a panel's part of b into the first.
constexpr std::int64_t kBlockRows = 128;
constexpr std::int64_t kBlockColumns = 128;
constexpr std::int64_t kBlockTerms = 128;

}  // namespace scvi::kernel
#endif

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {

namespace {

/// A tile of the result stays in registers: so many rows of two vectors, beside one row of b and a number of a.
constexpr int kTileRows = HWY_MAX_BYTES == 64 || HWY_ARCH_ARM ? 8 : 6;
constexpr std::int64_t kPanel = 2 * kN;

/// Where a tile's sums start from and go to.
struct Tile {
  float* out;
  std::int64_t stride;
  const float* bias;  ///< kPanel numbers that the sums start from; null: from zero, or from `out`
  bool add;           ///< to what is in `out`
  float*
      zeros;  ///< kPanel numbers: zero times the results is added to them, which NaN and infinity do not leave zero
};

/// Adds up a tile of one or two vectors a row. @param a number (m, k) at a[m row_step + k term_step]
/// @param b rows of kPanel numbers
template <int kRows, int kVectors>
HWY_INLINE void add_terms(const float* HWY_RESTRICT a, std::int64_t row_step, std::int64_t term_step,
                          const float* HWY_RESTRICT b, std::int64_t n_terms, const Tile& tile) {
  V sums[kRows][kVectors];
  for (int m = 0; m < kRows; ++m) {
    const float* from = tile.add ? tile.out + m * tile.stride : tile.bias;
    for (int v = 0; v < kVectors; ++v) sums[m][v] = from == nullptr ? hn::Zero(kTag) : hn::LoadU(kTag, from + v * kN);
  }
  for (std::int64_t k = 0; k < n_terms; ++k) {
    V row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = hn::LoadU(kTag, b + v * kN);
    for (int m = 0; m < kRows; ++m) {
      const auto factor = hn::Set(kTag, a[m * row_step]);
      for (int v = 0; v < kVectors; ++v) sums[m][v] = hn::MulAdd(factor, row[v], sums[m][v]);
    }
    a += term_step;
    b += kPanel;
  }
  for (int v = 0; v < kVectors; ++v) {
    auto zeros = hn::LoadU(kTag, tile.zeros + v * kN);
    for (int m = 0; m < kRows; ++m) {
      hn::StoreU(sums[m][v], kTag, tile.out + m * tile.stride + v * kN);
      zeros = hn::MulAdd(sums[m][v], hn::Zero(kTag), zeros);
    }
    hn::StoreU(zeros, kTag, tile.zeros + v * kN);
  }
}

/// The same for any number of rows up to kTileRows.
template <int kVectors, int kRows = kTileRows>
void add_terms(int n_rows, const float* a, std::int64_t row_step, std::int64_t term_step, const float* b,
               std::int64_t n_terms, const Tile& tile) {
  if (n_rows == kRows) return add_terms<kRows, kVectors>(a, row_step, term_step, b, n_terms, tile);
  if constexpr (kRows > 1) add_terms<kVectors, kRows - 1>(n_rows, a, row_step, term_step, b, n_terms, tile);
}

/// b in panels of kPanel columns, each with its rows one after the other.
void pack_panels(const MatrixView<const float>& b, float* out) {
  for (std::int64_t column = 0; column < b.n_columns; column += kPanel, out += b.n_rows * kPanel) {
    pack_panel(b.columns(column, std::min(column + kPanel, b.n_columns)), kPanel, out);
  }
}

/// Numbers of `a` for tiles of kTileRows rows one after the other, each term's together.
void pack_tiles(const MatrixView<const float>& a, float* out) {
  std::int64_t row = 0;
  for (; row + kTileRows <= a.n_rows; row += kTileRows) {
    const float* from = a.data + row * a.row_stride;
    for (std::int64_t k = 0; k < a.n_columns; ++k, from += a.column_stride, out += kTileRows) {
      if (a.row_stride == 1) {
        std::copy_n(from, kTileRows, out);
      } else {
        for (int m = 0; m < kTileRows; ++m) out[m] = from[m * a.row_stride];
      }
    }
  }
  for (std::int64_t k = 0; k < a.n_columns; ++k, out += kTileRows) {
    for (std::int64_t m = 0; row + m < a.n_rows; ++m) {
      out[m] = a.data[(row + m) * a.row_stride + k * a.column_stride];
    }
  }
}

/// One product on this thread.
class Block {
 public:
  Block(const MatrixView<const float>& a, const MatrixView<const float>& b, const float* bias,
        const MatrixView<float>& out)
      : a_(a),
        b_(b),
        bias_(bias),
        out_(out),
        panels_(float_array(kBlockTerms * (kBlockColumns + kPanel))),
        tiles_(a.column_stride == 1 ? nullptr : float_array(kBlockTerms * (kBlockRows + kTileRows))) {}

  /// @return whether all results are finite
  bool run() {
    for (std::int64_t column = 0; column < b_.n_columns; column += kBlockColumns) {
      const std::int64_t end = std::min(column + kBlockColumns, b_.n_columns);
      for (std::int64_t term = 0; term < a_.n_columns; term += kBlockTerms) {
        const std::int64_t last = std::min(term + kBlockTerms, a_.n_columns);
        const std::int64_t next = std::min(last + kBlockTerms, a_.n_columns);
        const std::int64_t n_tiles = chunk_count(a_.n_rows, kTileRows) * chunk_count(end - column, kPanel);
        next_a_ = Fetcher<0>(a_.columns(last, next), n_tiles);
        next_b_ = Fetcher<0>(b_.rows(last, next).columns(column, end), n_tiles);
        pack_panels(b_.rows(term, last).columns(column, end), panels_.get());
        for (std::int64_t row = 0; row < a_.n_rows; row += kBlockRows) {
          const std::int64_t stop = std::min(row + kBlockRows, a_.n_rows);
          multiply(a_.rows(row, stop).columns(term, last), column, out_.rows(row, stop).columns(column, end),
                   term > 0);
        }
      }
    }
    return std::all_of(zeros_, zeros_ + kPanel, [](float zero) { return zero == 0; });
  }

 private:
  void multiply(const MatrixView<const float>& a, std::int64_t column, const MatrixView<float>& out, bool add) {
    const std::int64_t n_terms = a.n_columns;
    const bool packed = tiles_ != nullptr;
    if (packed) pack_tiles(a, tiles_.get());
    const std::int64_t row_step = packed ? 1 : a.row_stride;
    const std::int64_t term_step = packed ? kTileRows : 1;
    const float* panel = panels_.get();
    for (std::int64_t j = 0; j < out.n_columns; j += kPanel, panel += n_terms * kPanel) {
      const std::int64_t n = std::min(kPanel, out.n_columns - j);
      float bias[kPanel] = {};
      if (bias_ != nullptr && !add) std::copy_n(bias_ + column + j, n, bias);
      for (std::int64_t row = 0; row < a.n_rows; row += kTileRows) {
        const auto n_rows = static_cast<int>(std::min<std::int64_t>(kTileRows, a.n_rows - row));
        const float* from = packed ? tiles_.get() + row * n_terms : a.data + row * a.row_stride;
        next_a_.fetch();
        next_b_.fetch();
        const MatrixView<float> to = out.rows(row, row + n_rows).columns(j, j + n);
        const Tile whole{to.data, to.row_stride, bias_ != nullptr ? bias : nullptr, add, zeros_};
        if (n == kPanel && out.column_stride == 1) {
          add_terms<2>(n_rows, from, row_step, term_step, panel, n_terms, whole);
        } else {
          partial_tile(n_rows, from, row_step, term_step, panel, n_terms, to, whole);
        }
      }
    }
  }

  /// A tile that is narrower than its vectors, or whose numbers do not lie side by side.
  static void partial_tile(int n_rows, const float* a, std::int64_t row_step, std::int64_t term_step, const float* b,
                           std::int64_t n_terms, const MatrixView<float>& out, const Tile& how) {
    float sums[kTileRows * kPanel] = {};
    const auto for_numbers = [&](const auto& body) {
      for (std::int64_t m = 0; m < n_rows; ++m) {
        for (std::int64_t j = 0; j < out.n_columns; ++j) {
          body(sums[m * kPanel + j], out.data[m * out.row_stride + j * out.column_stride]);
        }
      }
    };
    if (how.add) for_numbers([](float& sum, float number) { sum = number; });
    const Tile tile{sums, kPanel, how.bias, how.add, how.zeros};
    if (out.n_columns <= kN) {
      add_terms<1>(n_rows, a, row_step, term_step, b, n_terms, tile);
    } else {
      add_terms<2>(n_rows, a, row_step, term_step, b, n_terms, tile);
    }
    for_numbers([](float sum, float& number) { number = sum; });
  }

  const MatrixView<const float>& a_;
  const MatrixView<const float>& b_;
  const float* bias_;
  const MatrixView<float>& out_;
  FloatArray panels_;
  FloatArray tiles_;
  Fetcher<0> next_a_, next_b_;
  float zeros_[kPanel] = {};
};

bool block_product(const MatrixView<const float>& a, const MatrixView<const float>& b, const float* bias,
                   const MatrixView<float>& out) {
  return Block(a, b, bias, out).run();
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(block_product);

using Factor = MatrixView<const float>;
using Result = MatrixView<float>;

/// Multiplications that are worth handing to a thread.
constexpr std::int64_t kWorkPerChunk = 1 << 20;
/// Terms of a sum that one chunk adds up where a product is cut along its sums.
constexpr std::int64_t kTermsPerChunk = 4 * kBlockTerms;
constexpr std::int64_t kTermsTogether = 32;

bool multiply(const Factor& a, const Factor& b, const float* bias, const Result& out) {
  return HWY_DYNAMIC_DISPATCH(block_product)(a, b, bias, out);
}

/// Length of the chunks along a side: whole multiples of `least`.
std::int64_t chunk_length(std::int64_t least, std::int64_t work_each) {
  return least * std::max<std::int64_t>(1, kWorkPerChunk / std::max<std::int64_t>(least * work_each, 1));
}

bool by_rows(const Factor& a, const Factor& b, const float* bias, const Result& out) {
  std::atomic<bool> finite = true;
  parallel_for(out.n_rows, chunk_length(kBlockRows, b.n_rows * b.n_columns),
               [&](std::int64_t begin, std::int64_t end) {
                 if (!multiply(a.rows(begin, end), b, bias, out.rows(begin, end))) finite = false;
               });
  return finite;
}

bool by_columns(const Factor& a, const Factor& b, const float* bias, const Result& out) {
  std::atomic<bool> finite = true;
  parallel_for(out.n_columns, chunk_length(kBlockColumns, a.n_rows * a.n_columns),
               [&](std::int64_t begin, std::int64_t end) {
                 const float* const part = bias == nullptr ? nullptr : bias + begin;
                 if (!multiply(a, b.columns(begin, end), part, out.columns(begin, end))) finite = false;
               });
  return finite;
}

/// Writes the same numbers into every row.
void fill_rows(const float* numbers, const Result& out) {
  for (std::int64_t row = 0; row < out.n_rows; ++row) {
    float* const to = out.data + row * out.row_stride;
    for (std::int64_t column = 0; column < out.n_columns; ++column) {
      to[column * out.column_stride] = numbers == nullptr ? 0.0F : numbers[column];
    }
  }
}

/// Copies rows that lie one after the other.
void copy_rows(const float* from, const Result& out) {
  for (std::int64_t row = 0; row < out.n_rows; ++row, from += out.n_columns) {
    float* const to = out.data + row * out.row_stride;
    if (out.column_stride == 1) {
      std::copy_n(from, out.n_columns, to);
    } else {
      for (std::int64_t column = 0; column < out.n_columns; ++column) to[column * out.column_stride] = from[column];
    }
  }
}

/// Long sums: each chunk adds up its terms, then the chunks are added in their order.
/// @pre more than kTermsPerChunk of them
bool by_terms(const Factor& a, const Factor& b, const float* bias, const Result& out) {
  const std::int64_t size = out.n_rows * out.n_columns;
  const std::int64_t n_chunks = chunk_count(a.n_columns, kTermsPerChunk);
  // As even as whole panels allow.
  const std::int64_t length = kTermsTogether * chunk_count(chunk_count(a.n_columns, n_chunks), kTermsTogether);
  const FloatArray memory = float_array(n_chunks * size);
  float* const sums = memory.get();
  parallel_for(a.n_columns, length, [&](std::int64_t begin, std::int64_t end) {
    multiply(a.columns(begin, end), b.rows(begin, end), begin == 0 ? bias : nullptr,
             {sums + begin / length * size, out.n_rows, out.n_columns, out.n_columns, 1});
  });
  const std::int64_t n_sums = chunk_count(a.n_columns, length);
  for (std::int64_t chunk = 1; chunk < n_sums; ++chunk) {
    const float* const from = sums + chunk * size;
    for (std::int64_t i = 0; i < size; ++i) sums[i] += from[i];
  }
  copy_rows(sums, out);
  return are_finite(sums, size);
}

/// @pre `out` is not empty
bool by_largest_side(const Factor& a, const Factor& b, const float* bias, const Result& out) {
  const std::int64_t n_terms = a.n_columns;
  if (n_terms > kTermsPerChunk && n_terms > 2 * std::max(out.n_rows, out.n_columns)) return by_terms(a, b, bias, out);
  return out.n_columns > out.n_rows ? by_columns(a, b, bias, out) : by_rows(a, b, bias, out);
}

bool one_product(const Factor& a, const Factor& b, const float* bias, const Result& out) {
  if (out.n_rows == 0 || out.n_columns == 0) return true;
  if (a.n_columns == 0) {
    fill_rows(bias, out);
    return bias == nullptr || are_finite(bias, out.n_columns);
  }
  // Results are written along rows.
  if (out.column_stride != 1 && out.row_stride == 1 && bias == nullptr)
    return matrix_product(b.transposed(), a.transposed(), nullptr, out.transposed());
  if (out.n_rows > out.n_columns && bias == nullptr) {
    ProductWith other{.b = a.transposed(), .out = out.transposed()};
    if (products_with_zeros(b.transposed(), {&other, 1})) return other.finite;
  }
  return by_largest_side(a, b, bias, out);
}

}  // namespace

bool matrix_product(const Factor& a, const Factor& b, const float* bias, const Result& out) {
  ProductWith product{.b = b, .bias = bias, .out = out};
  matrix_products(a, {&product, 1});
  return product.finite;
}

void matrix_products(const Factor& a, std::span<ProductWith> products,
                     std::shared_ptr<const NonzeroTerms>* nonzeros) {
  if (products_with_zeros(a, products, nonzeros)) return;
  for (ProductWith& product : products) product.finite = one_product(a, product.b, product.bias, product.out);
}

}  // namespace scvi::kernel
#endif
