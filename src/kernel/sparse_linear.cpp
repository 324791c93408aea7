#include "scvi/kernel/sparse_linear.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

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

/// Genes whose rows of the weight are used for all rows of a chunk before the next genes' turn comes: 512 KiB with
/// 128 outputs, which the second-level cache holds.
constexpr std::int64_t kGenesPerPass = 1024;

}  // namespace scvi::kernel
#endif

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

/// Entries of a row of x and their genes, or of a gene and their rows.
struct Entries {
  const std::int32_t* rows;  ///< of the matrix that they are multiplied with
  const float* values;
  std::int64_t n;
};

/// sum[column, K vectors) += the entries times their rows of `factor`; the sums stay in registers.
template <int K, class D>
HWY_INLINE void add_products(D d, const Entries& entries, Rows<const float> factor, std::int64_t column, float* sum) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<D> sums[K];
  for (int k = 0; k < K; ++k) sums[k] = hn::LoadU(d, sum + column + k * lanes);
  for (std::int64_t i = 0; i < entries.n; ++i) {
    const float* HWY_RESTRICT row = factor[entries.rows[i]] + column;
    const auto value = hn::Set(d, entries.values[i]);
    for (int k = 0; k < K; ++k) sums[k] = hn::MulAdd(value, hn::LoadU(d, row + k * lanes), sums[k]);
  }
  for (int k = 0; k < K; ++k) hn::StoreU(sums[k], d, sum + column + k * lanes);
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

void linear_rows(const SparseLinear<float>& layer, Rows<float> y, Range rows) {
  const CsrView& x = layer.x;
  std::vector<std::int64_t> next(x.indptr + rows.begin, x.indptr + rows.end);
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    for_lanes<float>(0, layer.n_out, [&](auto d, std::int64_t j) HWY_ATTR {
      auto sum = layer.bias == nullptr ? hn::Zero(d) : hn::LoadU(d, layer.bias + j);
      for (const auto& category : layer.categories)
        sum = hn::Add(sum, hn::LoadU(d, category.weight + category.index[r] * category.weight_stride + j));
      hn::StoreU(sum, d, y[r] + j);
    });
  }
  const Rows<const float> weight{layer.weight, layer.weight_stride};
  for (std::int64_t gene = 0; gene < x.n_columns; gene += kGenesPerPass) {
    for (std::int64_t r = rows.begin; r < rows.end; ++r) {
      std::int64_t& begin = next[static_cast<std::size_t>(r - rows.begin)];
      const std::int32_t* stop =
          std::lower_bound(x.indices + begin, x.indices + x.indptr[r + 1], gene + kGenesPerPass);
      const Entries entries{x.indices + begin, x.values + begin, stop - (x.indices + begin)};
      begin += entries.n;
      if (entries.n == 0) continue;
      for_tiles(layer.n_out, [&]<int K>(auto d, std::int64_t column)
                                 HWY_ATTR { add_products<K>(d, entries, weight, column, y[r]); });
    }
  }
}

/// The entries of some genes of x, gene by gene, each in the order of its rows.
class EntriesByGene {
 public:
  EntriesByGene(const CsrView& x, Range genes) : ends_(static_cast<std::size_t>(genes.end - genes.begin) + 1) {
    std::vector<Range> parts(static_cast<std::size_t>(x.n_rows));
    for (std::int64_t r = 0; r < x.n_rows; ++r) {
      const std::int32_t* stop = x.indices + x.indptr[r + 1];
      const std::int32_t* entry = std::lower_bound(x.indices + x.indptr[r], stop, genes.begin);
      parts[static_cast<std::size_t>(r)].begin = entry - x.indices;
      for (; entry != stop && *entry < genes.end; ++entry)
        ++ends_[static_cast<std::size_t>(*entry - genes.begin) + 1];
      parts[static_cast<std::size_t>(r)].end = entry - x.indices;
    }
    std::partial_sum(ends_.begin(), ends_.end(), ends_.begin());
    rows_.resize(static_cast<std::size_t>(ends_.back()));
    values_.resize(rows_.size());
    // ends_[g] starts as the beginning of gene g and is its end when all entries have been placed.
    for (std::int64_t r = 0; r < x.n_rows; ++r) {
      const auto [begin, end] = parts[static_cast<std::size_t>(r)];
      for (std::int64_t i = begin; i < end; ++i) {
        const auto place = static_cast<std::size_t>(ends_[static_cast<std::size_t>(x.indices[i] - genes.begin)]++);
        rows_[place] = static_cast<std::int32_t>(r);
        values_[place] = x.values[i];
      }
    }
  }

  /// @param gene counted from the first one
  Entries operator[](std::int64_t gene) const {
    const std::int64_t begin = gene == 0 ? 0 : ends_[static_cast<std::size_t>(gene) - 1];
    return {rows_.data() + begin, values_.data() + begin, ends_[static_cast<std::size_t>(gene)] - begin};
  }

 private:
  std::vector<std::int64_t> ends_;
  std::vector<std::int32_t> rows_;
  std::vector<float> values_;
};

void weight_gradient_genes(const CsrView& x, Rows<const float> dy, std::int64_t n_out, Rows<float> dweight,
                           Range genes) {
  const EntriesByGene by_gene(x, genes);
  for (std::int64_t gene = genes.begin; gene < genes.end; ++gene) std::fill_n(dweight[gene], n_out, 0.0f);
  // Tiles outside, so that the part of dy that all genes read stays in the first-level cache.
  for_tiles(n_out, [&]<int K>(auto d, std::int64_t column) HWY_ATTR {
    for (std::int64_t gene = genes.begin; gene < genes.end; ++gene)
      add_products<K>(d, by_gene[gene - genes.begin], dy, column, dweight[gene]);
  });
}

void add_row(const float* HWY_RESTRICT row, std::int64_t n, float* HWY_RESTRICT sum) {
  for_lanes<float>(0, n, [&](auto d, std::int64_t j) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, sum + j), hn::LoadU(d, row + j)), d, sum + j);
  });
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
HWY_EXPORT(weight_gradient_genes);
HWY_EXPORT(add_row);
HWY_EXPORT(sum_columns);
HWY_EXPORT(log1p_range);

constexpr std::int64_t kRowsPerChunk = 32;
constexpr std::int64_t kGenesPerChunk = 512;
constexpr std::int64_t kColumnsPerChunk = 1024;
constexpr std::int64_t kValuesPerChunk = 16384;

}  // namespace

void sparse_linear(const SparseLinear<float>& layer, float* y, std::int64_t y_stride) {
  parallel_for(layer.x.n_rows, kRowsPerChunk, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(linear_rows)(layer, {y, y_stride}, {begin, end});
  });
}

void sparse_linear_weight_gradient(const CsrView& x, const float* dy, std::int64_t dy_stride, std::int64_t n_out,
                                   float* dweight, std::int64_t dweight_stride) {
  parallel_for(x.n_columns, kGenesPerChunk, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(weight_gradient_genes)(x, {dy, dy_stride}, n_out, {dweight, dweight_stride}, {begin, end});
  });
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
  parallel_for(n, kValuesPerChunk, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(log1p_range)(values, {begin, end}, out);
  });
}

}  // namespace scvi::kernel
#endif
