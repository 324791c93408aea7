#include "scvi/kernel/sparse_linear.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <vector>

#include "fetcher.hpp"
#include "float_array.hpp"
#include "halves.hpp"
#include "rows.hpp"
#include "scvi/core/parallel.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sparse_linear.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "lanes_inl.hpp"

#ifndef SCVI_KERNEL_SPARSE_TYPES
#define SCVI_KERNEL_SPARSE_TYPES
namespace scvi::kernel {

/// About so many genes' rows of the weight are used for all rows of a chunk before the next genes' turn comes: 64 KiB
/// with 128 outputs. Meanwhile those of the next ones are fetched.
constexpr std::int64_t kGenesPerPass = 128;
/// Rows of the result that are fetched before it is their turn.
constexpr std::int64_t kRowsAhead = 8;

}  // namespace scvi::kernel
#endif

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

/// Entries of a row of x.
struct Entries {
  const std::int32_t* rows;  ///< of the matrix that they are multiplied with
  const float* values;
  std::int64_t n;
};

/// sum[column, K vectors) = from[column, K vectors) + the entries times their rows of `factor`; the sums stay in
/// registers. @param from null for zeros
/// @return whether the sums are finite
template <int K, class D>
HWY_INLINE bool add_products(D d, const Entries& entries, Rows<const float> factor, std::int64_t column,
                             const float* from, float* sum) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<D> sums[K];
  for (int k = 0; k < K; ++k) sums[k] = from == nullptr ? hn::Zero(d) : hn::LoadU(d, from + column + k * lanes);
  for (std::int64_t i = 0; i < entries.n; ++i) {
    const float* HWY_RESTRICT row = factor[entries.rows[i]] + column;
    const auto value = hn::Set(d, entries.values[i]);
    for (int k = 0; k < K; ++k) sums[k] = hn::MulAdd(value, hn::LoadU(d, row + k * lanes), sums[k]);
  }
  auto zeros = hn::Zero(d);
  for (int k = 0; k < K; ++k) {
    hn::StoreU(sums[k], d, sum + column + k * lanes);
    zeros = hn::MulAdd(sums[k], hn::Zero(d), zeros);
  }
  return hn::AllTrue(d, hn::Eq(zeros, hn::Zero(d)));
}

/// Calls body.operator()<K>(tag, column) over [0, n): eight vectors at a time, then four, two, one, then parts of
/// one.
template <class Body>
HWY_INLINE void for_tiles(std::int64_t n, const Body& body) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t column = 0;
  for (; column + 8 * lanes <= n; column += 8 * lanes) body.template operator()<8>(d, column);
  if (column + 4 * lanes <= n) {
    body.template operator()<4>(d, column);
    column += 4 * lanes;
  }
  if (column + 2 * lanes <= n) {
    body.template operator()<2>(d, column);
    column += 2 * lanes;
  }
  for_lanes<float>(column, n, [&](auto part, std::int64_t at) HWY_ATTR { body.template operator()<1>(part, at); });
}

/// Brings a row into the cache before it is needed: the processor does not foresee which comes next.
/// @tparam kWrite 1 if it will be written
template <int kWrite, class T>
HWY_INLINE void fetch(Rows<T> matrix, std::int64_t row, std::int64_t n_rows, std::int64_t n) {
  if (row >= n_rows) return;
  for (std::int64_t j = 0; j < n; j += kLine) __builtin_prefetch(matrix[row] + j, kWrite);
}

/// The first of the entries [begin, end) whose index is not below `limit`. @pre the indices ascend
HWY_INLINE std::int64_t first_from(const std::int32_t* indices, std::int64_t begin, std::int64_t end,
                                   std::int64_t limit) {
  constexpr std::int64_t kStride = 8;
  while (begin + kStride <= end && indices[begin + kStride - 1] < limit) begin += kStride;
  while (begin < end && indices[begin] < limit) ++begin;
  return begin;
}

/// What the sums of a row start from: its bias and the rows that its categories pick.
void write_start(const SparseLinear<float>& layer, std::int64_t row, float* y) {
  for_lanes<float>(0, layer.n_out, [&](auto d, std::int64_t j) HWY_ATTR {
    auto sum = layer.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, layer.bias + j);
    for (const auto& category : layer.categories)
      sum = hn::Add(sum, hn::LoadU(d, category.weight + category.index[row] * category.weight_stride + j));
    hn::StoreU(sum, d, y + j);
  });
}

/// The sums over some genes, with what they start from where these are the first.
/// @return whether they are finite
bool linear_rows(const SparseLinear<float>& layer, Rows<float> y, Range rows, Range genes) {
  const CsrView& x = layer.x;
  const Rows<const float> weight{layer.weight, layer.weight_stride};
  const bool from_zero = genes.begin > 0 || (layer.bias == nullptr && layer.categories.empty());
  std::vector<std::int64_t> next(x.indptr + rows.begin, x.indptr + rows.end);
  for (std::int64_t r = rows.begin; genes.begin > 0 && r < rows.end; ++r) {
    const std::int32_t *const from = x.indices + x.indptr[r], *const to = x.indices + x.indptr[r + 1];
    next[static_cast<std::size_t>(r - rows.begin)] = std::lower_bound(from, to, genes.begin) - x.indices;
  }
  const std::int64_t n_genes = genes.end - genes.begin;
  const std::int64_t n_passes = std::max<std::int64_t>(1, (n_genes + kGenesPerPass / 2) / kGenesPerPass);
  const std::int64_t per_pass = chunk_count(n_genes, n_passes);
  bool finite = true;
  std::int64_t gene = genes.begin;
  do {
    const bool first = gene == genes.begin;
    for (std::int64_t r = rows.begin; r < rows.end; ++r) {
      fetch<0>(weight, gene + per_pass + (r - rows.begin), genes.end, layer.n_out);
      if (first) fetch<1>(y, r + kRowsAhead, rows.end, layer.n_out);
      if (first && !from_zero) write_start(layer, r, y[r]);
      std::int64_t& begin = next[static_cast<std::size_t>(r - rows.begin)];
      const std::int64_t limit = std::min(gene + per_pass, genes.end);
      const bool last = limit >= x.n_columns;
      const std::int64_t end = last ? x.indptr[r + 1] : first_from(x.indices, begin, x.indptr[r + 1], limit);
      const Entries entries{x.indices + begin, x.values + begin, end - begin};
      begin = end;
      if (entries.n == 0 && !first) continue;
      const float* const from = first && from_zero ? nullptr : y[r];
      for_tiles(layer.n_out, [&]<int K>(auto d, std::int64_t column)
                                 HWY_ATTR { finite &= add_products<K>(d, entries, weight, column, from, y[r]); });
    }
    gene += per_pass;
  } while (gene < genes.end);
  return finite;
}

void add_row(const float* HWY_RESTRICT row, std::int64_t n, float* HWY_RESTRICT sum) {
  for_lanes<float>(0, n, [&](auto d, std::int64_t j) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, sum + j), hn::LoadU(d, row + j)), d, sum + j);
  });
}

/// y += other. @return whether the sums are finite
bool add_rows(Rows<float> other, std::int64_t n, Range rows, Rows<float> y) {
  bool finite = true;
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    for_lanes<float>(0, n, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto sum = hn::Add(hn::LoadU(d, y[r] + j), hn::LoadU(d, other[r] + j));
      hn::StoreU(sum, d, y[r] + j);
      finite &= hn::AllTrue(d, hn::Eq(hn::Mul(sum, hn::Zero(d)), hn::Zero(d)));
    });
  }
  return finite;
}

void sum_columns(Rows<const float> dy, std::int64_t n_rows, Range columns, float* sums) {
  for_lanes<double>(columns.begin, columns.end, [&](auto d, std::int64_t j) HWY_ATTR {
    const hn::Rebind<float, decltype(d)> df;
    auto sum = hn::Zero(d);
    for (std::int64_t r = 0; r < n_rows; ++r) sum = hn::Add(sum, hn::PromoteTo(d, hn::LoadU(df, dy[r] + j)));
    hn::StoreU(hn::DemoteTo(df, sum), df, sums + j);
  });
}

/// log(1 + x). With u = 1 + x rounded and c what the rounding lost, log(1 + x) = log(u) + c / u to first order;
/// u = 2^k m with m in [1/sqrt(2), sqrt(2)), f = m - 1, and log(1 + f) = 2 artanh(s), s = f / (2 + f), by its series.
template <class D, class V>
HWY_INLINE V log1p_lanes(D d, V x) {
  const hn::RebindToSigned<D> di;
  const auto one = hn::Set(d, 1.0f);
  const auto u = hn::Add(one, x);
  const auto lost = hn::Sub(x, hn::Sub(u, one));
  // Exponents count from 1/sqrt(2), so that m lies around 1.
  const auto offset = hn::Set(di, 0x3F3504F3);
  const auto shifted = hn::Sub(hn::BitCast(di, u), offset);
  const auto exponent = hn::ShiftRight<23>(shifted);
  const auto m = hn::BitCast(d, hn::Add(hn::And(shifted, hn::Set(di, 0x007FFFFF)), offset));
  const auto k = hn::ConvertTo(d, exponent);
  const auto f = hn::Sub(m, one);
  const auto s = hn::Div(f, hn::Add(hn::Set(d, 2.0f), f));
  const auto z = hn::Mul(s, s);
  auto series = hn::MulAdd(z, hn::Set(d, 2.0f / 9), hn::Set(d, 2.0f / 7));
  series = hn::MulAdd(z, series, hn::Set(d, 2.0f / 5));
  series = hn::Mul(z, hn::MulAdd(z, series, hn::Set(d, 2.0f / 3)));
  // 2 s = f - s f: the large part of the sum is exact. The first part of log(2) has zeros at its end, so that k times
  // it is exact, too.
  const auto small = hn::MulAdd(k, hn::Set(d, -2.12194440e-4f), hn::Div(lost, u));
  const auto correction = hn::Sub(hn::Mul(s, hn::Sub(f, series)), small);
  const auto log_u = hn::MulAdd(k, hn::Set(d, 0.693359375f), hn::Sub(f, correction));
  const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const auto regular = hn::And(hn::Gt(u, hn::Zero(d)), hn::Lt(u, infinity));
  // -inf at u = 0, x itself where it is infinite or NaN, NaN below -1.
  const auto at_zero = hn::IfThenElse(hn::Eq(u, hn::Zero(d)), hn::Neg(infinity), hn::Add(x, hn::Sqrt(u)));
  return hn::IfThenElse(regular, log_u, at_zero);
}

void log1p_range(const float* values, Range range, float* out) {
  for_lanes<float>(range.begin, range.end, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(log1p_lanes(d, hn::LoadU(d, values + i)), d, out + i);
  });
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(linear_rows);
HWY_EXPORT(add_row);
HWY_EXPORT(add_rows);
HWY_EXPORT(sum_columns);
HWY_EXPORT(log1p_range);

/// Every chunk reads the whole weight or a half of it, but for rows of x that are few enough to do so once.
constexpr std::int64_t kLeastRows = 32;
constexpr std::int64_t kMostRows = 128;
constexpr std::int64_t kColumnsPerChunk = 1024;
constexpr std::int64_t kLeastValues = 4096;

bool sum_of_halves(const SparseLinear<float>& layer, Rows<float> y) {
  const CsrView& x = layer.x;
  const std::int64_t middle = middle_of(x.n_columns);
  const FloatArray memory = float_array(x.n_rows * layer.n_out);
  const std::array sums{y, Rows<float>{memory.get(), layer.n_out}};
  const std::array genes{Range{0, middle}, Range{middle, x.n_columns}};
  for_halves(x.n_rows, kLeastRows, kMostRows, [&](std::int64_t half, std::int64_t begin, std::int64_t end) {
    const auto h = static_cast<std::size_t>(half);
    HWY_DYNAMIC_DISPATCH(linear_rows)(layer, sums[h], {begin, end}, genes[h]);
  });
  std::atomic<bool> finite = true;
  parallel_for(x.n_rows, chunk_of_independent(x.n_rows, kMostRows), [&](std::int64_t begin, std::int64_t end) {
    if (!HWY_DYNAMIC_DISPATCH(add_rows)(sums[1], layer.n_out, {begin, end}, y)) finite = false;
  });
  return finite;
}

}  // namespace

bool sparse_linear(const SparseLinear<float>& layer, float* y, std::int64_t y_stride) {
  const CsrView& x = layer.x;
  if (layer.in_halves && x.n_columns >= 2 * kGenesPerPass) return sum_of_halves(layer, {y, y_stride});
  std::atomic<bool> finite = true;
  parallel_for(x.n_rows, chunk_of_independent(x.n_rows, kLeastRows, kMostRows),
               [&](std::int64_t begin, std::int64_t end) {
                 if (!HWY_DYNAMIC_DISPATCH(linear_rows)(layer, {y, y_stride}, {begin, end}, {0, x.n_columns}))
                   finite = false;
               });
  return finite;
}

void category_rows_gradient(const std::int64_t* index, std::int64_t n_rows, std::int64_t n_categories,
                            const float* dy, std::int64_t dy_stride, std::int64_t n_out, float* dweight,
                            std::int64_t dweight_stride) {
  for (std::int64_t c = 0; c < n_categories; ++c) std::fill_n(dweight + c * dweight_stride, n_out, 0.0f);
  for (std::int64_t r = 0; r < n_rows; ++r)
    HWY_DYNAMIC_DISPATCH(add_row)(dy + r * dy_stride, n_out, dweight + index[r] * dweight_stride);
}

void column_sums(const float* dy, std::int64_t n_rows, std::int64_t dy_stride, std::int64_t n_out, float* sums) {
  parallel_for(n_out, kColumnsPerChunk, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(sum_columns)({dy, dy_stride}, n_rows, {begin, end}, sums);
  });
}

void log1p_values(const float* values, std::int64_t n, float* out) {
  parallel_for(n, chunk_of_independent(n, kLeastValues), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(log1p_range)(values, {begin, end}, out);
  });
}

}  // namespace scvi::kernel
#endif
