#include "product_with_zeros.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "fetcher.hpp"
#include "float_array.hpp"
#include "scvi/core/parallel.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "product_with_zeros.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "lanes_inl.hpp"
// After lanes_inl.hpp, which they need.
#include "nonzero_terms_inl.hpp"
#include "pack_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

/// A row of a strip: sums start from `from`, or from zero. @param zeros no longer so if a sum is not finite
template <int kVectors>
HWY_INLINE void add_row(const std::int32_t* HWY_RESTRICT terms, const float* HWY_RESTRICT values, std::int32_t n,
                        const float* HWY_RESTRICT panel, const float* from, float* out, V& zeros) {
  V sums[kVectors];
  for (int v = 0; v < kVectors; ++v) sums[v] = from == nullptr ? hn::Zero(kTag) : hn::LoadU(kTag, from + v * kN);
  for (std::int32_t i = 0; i < n; ++i) {
    const float* HWY_RESTRICT row = panel + terms[i] * (kVectors * kN);
    const auto value = hn::Set(kTag, values[i]);
    for (int v = 0; v < kVectors; ++v) sums[v] = hn::MulAdd(value, hn::Load(kTag, row + v * kN), sums[v]);
  }
  for (int v = 0; v < kVectors; ++v) {
    hn::StoreU(sums[v], kTag, out + v * kN);
    zeros = hn::MulAdd(sums[v], hn::Zero(kTag), zeros);
  }
}

/// Columns of a result, strip by strip.
class Strips {
 public:
  Strips(const NonzeroTerms& a, const ProductWith& product)
      : a_(a),
        b_(product.b),
        bias_(product.bias),
        out_(product.out),
        panel_(float_array(kTermsPerPass * kStripVectors * kN)) {}

  /// Columns [begin, end). @return whether all results are finite
  bool run(std::int64_t begin, std::int64_t end) {
    bool finite = true;
    for_strips(begin, end, [&]<int kVectors>(std::int64_t from, std::int64_t to) HWY_ATTR {
      finite &= run_strip<kVectors>(from, to);
    });
    return finite;
  }

 private:
  template <int kVectors>
  bool run_strip(std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t kWidth = kVectors * kN;
    const std::int64_t next = std::min(end + kWidth, out_.n_columns);
    const std::int64_t n_fetches = a_.n_passes * a_.n_rows;
    Fetcher<0> factor(b_.columns(end, next), n_fetches);
    Fetcher<1> result(out_.columns(end, next), n_fetches);
    const bool direct = out_.column_stride == 1 && end - begin == kWidth;
    if (!direct && strip_ == nullptr) strip_ = float_array(a_.n_rows * kStripVectors * kN);
    float* const rows = direct ? out_.data + begin : strip_.get();
    const std::int64_t stride = direct ? out_.row_stride : kWidth;
    float bias[kWidth] = {};
    if (bias_ != nullptr) std::copy(bias_ + begin, bias_ + end, bias);
    auto zeros = hn::Zero(kTag);
    for (std::int64_t pass = 0; pass < a_.n_passes; ++pass) {
      const std::int64_t term = pass * kTermsPerPass;
      pack_panel(b_.rows(term, std::min(term + kTermsPerPass, a_.n_terms)).columns(begin, end), kWidth, panel_.get());
      for (std::int64_t row = 0; row < a_.n_rows; ++row) {
        const std::int64_t place = a_.place(row, pass);
        float* const sums = rows + row * stride;
        factor.fetch();
        result.fetch();
        const float* const from = pass > 0 ? sums : bias_ != nullptr ? bias : nullptr;
        add_row<kVectors>(a_.terms.get() + place, a_.values.get() + place,
                          a_.counts[static_cast<std::size_t>(pass * a_.n_rows + row)], panel_.get(), from, sums,
                          zeros);
      }
    }
    if (!direct) hand_over(out_.columns(begin, end), kWidth);
    return hn::AllTrue(kTag, hn::Eq(zeros, hn::Zero(kTag)));
  }

  void hand_over(const MatrixView<float>& out, std::int64_t width) const {
    if (out.row_stride == 1)
      return transpose(strip_.get(), width, out.n_rows, out.n_columns, out.data, out.column_stride);
    for (std::int64_t row = 0; row < out.n_rows; ++row) {
      for (std::int64_t j = 0; j < out.n_columns; ++j)
        out.data[row * out.row_stride + j * out.column_stride] = strip_[static_cast<std::size_t>(row * width + j)];
    }
  }

  const NonzeroTerms& a_;
  const MatrixView<const float>& b_;
  const float* bias_;
  const MatrixView<float>& out_;
  FloatArray panel_;
  FloatArray strip_;
};

void transpose_factor(const MatrixView<const float>& a, float* out) {
  transpose(a.data, a.column_stride, a.n_columns, a.n_rows, out, a.n_columns);
}

std::int64_t collect_rows(const MatrixView<const float>& a, std::int64_t first, NonzeroTerms& found) {
  return collect_nonzeros(a, first, found);
}

bool run_strips(const NonzeroTerms& a, const ProductWith& product, std::int64_t begin, std::int64_t end) {
  return Strips(a, product).run(begin, end);
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(collect_rows);
HWY_EXPORT(transpose_factor);
HWY_EXPORT(run_strips);

/// Columns of the result that make it worth looking through a factor.
constexpr std::int64_t kLeastColumns = 256;
/// Up to this share of numbers that are not zero it is quicker to skip the others.
constexpr double kLargestShare = 0.65;
/// A multiple of every strip.
constexpr std::int64_t kColumnsPerChunk = 128;

bool side_by_side(const MatrixView<const float>& matrix) {
  return matrix.row_stride == 1 || matrix.column_stride == 1;
}

/// The products strip by strip, all in one loop.
void run_all(const NonzeroTerms& a, std::span<ProductWith> products) {
  std::vector<std::int64_t> ends;  // [p]: chunks of the products up to and with p
  for (ProductWith& product : products) {
    product.finite = true;
    ends.push_back((ends.empty() ? 0 : ends.back()) + chunk_count(product.out.n_columns, kColumnsPerChunk));
  }
  std::vector<char> finite(static_cast<std::size_t>(ends.back()));
  parallel_for(ends.back(), 1, [&](std::int64_t chunk, std::int64_t) {
    const auto p = static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), chunk) - ends.begin());
    const ProductWith& product = products[p];
    const std::int64_t begin = (chunk - (p == 0 ? 0 : ends[p - 1])) * kColumnsPerChunk;
    finite[static_cast<std::size_t>(chunk)] = HWY_DYNAMIC_DISPATCH(run_strips)(
        a, product, begin, std::min(begin + kColumnsPerChunk, product.out.n_columns));
  });
  std::int64_t chunk = 0;
  for (std::size_t p = 0; p < products.size(); ++p) {
    for (; chunk < ends[p]; ++chunk)
      products[p].finite = products[p].finite && finite[static_cast<std::size_t>(chunk)];
  }
}

}  // namespace

NonzeroTerms nonzeros_of(const MatrixView<const float>& a) {
  constexpr std::int64_t kLeastRows = 8;
  NonzeroTerms found(a);
  std::atomic<std::int64_t> n = 0;
  parallel_for(a.n_rows, chunk_of_independent(a.n_rows, kLeastRows), [&](std::int64_t begin, std::int64_t end) {
    MatrixView<const float> rows = a.rows(begin, end);
    FloatArray memory;
    if (a.column_stride != 1) {
      memory = float_array(rows.n_rows * rows.n_columns);
      HWY_DYNAMIC_DISPATCH(transpose_factor)(rows, memory.get());
      rows = {memory.get(), rows.n_rows, rows.n_columns, rows.n_columns, 1};
    }
    n += HWY_DYNAMIC_DISPATCH(collect_rows)(rows, begin, found);
  });
  found.n_in_all = n;
  return found;
}

bool products_with_zeros(const MatrixView<const float>& a, std::span<ProductWith> products,
                         std::shared_ptr<const NonzeroTerms>* nonzeros) {
  const auto is_worth_it = [&](const ProductWith& product) {
    return product.out.n_columns >= std::max(kLeastColumns, product.out.n_rows) && side_by_side(product.b);
  };
  if (products.empty() || a.n_columns == 0 || !std::all_of(products.begin(), products.end(), is_worth_it) ||
      !side_by_side(a))
    return false;
  const auto found = std::make_shared<const NonzeroTerms>(nonzeros_of(a));
  if (nonzeros != nullptr) *nonzeros = found;
  if (static_cast<double>(found->n_in_all) > kLargestShare * static_cast<double>(a.n_rows * a.n_columns))
    return false;
  run_all(*found, products);
  return true;
}

}  // namespace scvi::kernel
#endif
