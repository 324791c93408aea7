#include "scvi/kernel/sampled_product.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "fetcher.hpp"
#include "float_array.hpp"
#include "halves.hpp"
#include "nonzero_terms.hpp"
#include "rows.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/settings.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sampled_product.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "lanes_inl.hpp"
// After lanes_inl.hpp, which they need.
#include "nonzero_terms_inl.hpp"
#include "pack_inl.hpp"

#ifndef SCVI_KERNEL_SAMPLED_HALVES
#define SCVI_KERNEL_SAMPLED_HALVES
namespace scvi::kernel {

/// The terms of all products together are added up in two halves, whatever the number of threads; where there are two
/// products, one each.
inline Range terms_of_half(std::span<const Factors> pairs, std::int64_t half) {
  std::int64_t n_terms = 0;
  for (const Factors& pair : pairs) n_terms += pair.a.n_columns;
  const bool alike = pairs.size() == 2 && pairs[0].a.n_columns == pairs[1].a.n_columns;
  const std::int64_t middle = alike ? n_terms / 2 : middle_of(n_terms);
  return half == 0 ? Range{0, middle} : Range{middle, n_terms};
}

}  // namespace scvi::kernel
#endif

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

/// Sums that are taken together: enough to keep the multipliers busy, few enough to stay in registers.
constexpr std::int64_t kTogether = kTermsTogether;

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void add_sums(const V* vectors, float* out) {
  for (std::int64_t i = 0; i < kTogether; ++i) out[i] += hn::GetLane(vectors[i]);
}
#else
/// The sum of the blocks of 128 bits.
template <class D>
HWY_INLINE auto sum_of_blocks(D /*d*/, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(D()) > 4) {
    const hn::Half<D> half;
    return sum_of_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  } else {
    return v;
  }
}

/// out[i] += the sum of the lanes of vectors[i].
HWY_INLINE void add_sums(const V* vectors, float* out) {
  const hn::Repartition<double, decltype(kTag)> pairs;
  const auto halves_of = [&](V x, V y) HWY_ATTR {
    return hn::BitCast(pairs, hn::Add(hn::InterleaveLower(kTag, x, y), hn::InterleaveUpper(kTag, x, y)));
  };
  const auto first = halves_of(vectors[0], vectors[1]), second = halves_of(vectors[2], vectors[3]);
  const auto blocks = hn::Add(hn::BitCast(kTag, hn::InterleaveLower(pairs, first, second)),
                              hn::BitCast(kTag, hn::InterleaveUpper(pairs, first, second)));
  const hn::Full128<float> block;
  hn::StoreU(hn::Add(hn::LoadU(block, out), sum_of_blocks(kTag, blocks)), block, out);
}
#endif

/// Adds the products of a row with rows of a panel to their sums. @param terms which rows, a multiple of kTogether
template <int kVectors>
HWY_INLINE void add_products(const float* HWY_RESTRICT row, const float* HWY_RESTRICT panel,
                             const std::int32_t* HWY_RESTRICT terms, std::int32_t n, float* HWY_RESTRICT sums) {
  V factor[kVectors];
  for (int v = 0; v < kVectors; ++v) factor[v] = hn::LoadU(kTag, row + v * kN);
  for (std::int32_t i = 0; i < n; i += kTogether) {
    V products[kTogether];
    const float* other[kTogether];
    for (int t = 0; t < kTogether; ++t) {
      other[t] = panel + terms[i + t] * (kVectors * kN);
      products[t] = hn::Mul(factor[0], hn::Load(kTag, other[t]));
    }
    for (int v = 1; v < kVectors; ++v) {
      for (int t = 0; t < kTogether; ++t)
        products[t] = hn::MulAdd(factor[v], hn::Load(kTag, other[t] + v * kN), products[t]);
    }
    add_sums(products, sums + i);
  }
}

/// Some rows of the result on this thread.
class SampledRows {
 public:
  SampledRows(const NonzeroTerms& wanted, Range rows)
      : wanted_(wanted),
        rows_(rows),
        n_rows_(rows.end - rows.begin),
        n_sums_(wanted.n_passes * n_rows_ * kTermsPerPass),
        sums_(float_array(n_sums_)),
        panel_(float_array(kTermsPerPass * kStripVectors * kN)) {
    clear();
  }

  /// What comes now is added up by itself.
  void begin_second_half() {
    first_half_ = std::move(sums_);
    sums_ = float_array(n_sums_);
    clear();
  }

  /// Terms [terms.begin, terms.end) of a product. @param b (n, k)
  void add(const MatrixView<const float>& a, const MatrixView<const float>& b, Range terms) {
    for_strips(terms.begin, terms.end, [&]<int kVectors>(std::int64_t begin, std::int64_t end) HWY_ATTR {
      add_strip<kVectors>(a, b, begin, end);
    });
  }

  void write(const MatrixView<float>& out) {
    for (std::int64_t i = 0; first_half_ != nullptr && i < n_sums_; ++i) sums_[i] += first_half_[i];
    for (std::int64_t row = 0; row < n_rows_; ++row) {
      float* const to = out.data + (rows_.begin + row) * out.row_stride;
      std::fill_n(to, out.n_columns, 0.0F);
      for (std::int64_t pass = 0; pass < wanted_.n_passes; ++pass) {
        const std::int32_t* const terms = terms_of(row, pass);
        const float* const sums = sums_of(row, pass);
        const std::int32_t n = wanted_.count(rows_.begin + row, pass);
        for (std::int32_t i = 0; i < n; ++i) to[pass * kTermsPerPass + terms[i]] = sums[i];
      }
    }
  }

 private:
  void clear() { std::fill_n(sums_.get(), n_sums_, 0.0F); }

  const std::int32_t* terms_of(std::int64_t row, std::int64_t pass) const {
    return wanted_.terms.get() + wanted_.place(rows_.begin + row, pass);
  }

  float* sums_of(std::int64_t row, std::int64_t pass) const {
    return sums_.get() + (pass * n_rows_ + row) * kTermsPerPass;
  }

  template <int kVectors>
  void add_strip(const MatrixView<const float>& a, const MatrixView<const float>& b, std::int64_t begin,
                 std::int64_t end) {
    constexpr std::int64_t kWidth = kVectors * kN;
    const std::int64_t next = std::min(end + kWidth, a.n_columns);
    const std::int64_t n_fetches = wanted_.n_passes * n_rows_;
    Fetcher<0> rows(a.rows(rows_.begin, rows_.end).columns(end, next), n_fetches),
        factor(b.columns(end, next), n_fetches);
    float cut[kWidth] = {};
    for (std::int64_t pass = 0; pass < wanted_.n_passes; ++pass) {
      const std::int64_t term = pass * kTermsPerPass;
      pack_panel(b.rows(term, std::min(term + kTermsPerPass, b.n_rows)).columns(begin, end), kWidth, panel_.get());
      for (std::int64_t row = 0; row < n_rows_; ++row) {
        rows.fetch();
        factor.fetch();
        const float* from = a.data + (rows_.begin + row) * a.row_stride + begin;
        if (end - begin < kWidth) from = std::copy_n(from, end - begin, cut) - (end - begin);
        add_products<kVectors>(from, panel_.get(), terms_of(row, pass), wanted_.filled_up(rows_.begin + row, pass),
                               sums_of(row, pass));
      }
    }
  }

  const NonzeroTerms& wanted_;
  Range rows_;
  std::int64_t n_rows_, n_sums_;
  FloatArray sums_;        ///< (n_passes, n_rows, kTermsPerPass), as the terms
  FloatArray first_half_;  ///< the same, or null
  FloatArray panel_;
};

/// Halves [halves.begin, halves.end) of the sums of some rows.
void sampled_rows(const NonzeroTerms& wanted, std::span<const Factors> pairs, Range rows, Range halves,
                  const MatrixView<float>& out) {
  SampledRows sums(wanted, rows);
  for (std::int64_t half = halves.begin; half < halves.end; ++half) {
    if (half > halves.begin) sums.begin_second_half();
    std::int64_t before = 0;
    for (const Factors& pair : pairs) {
      const Range terms = terms_of_half(pairs, half);
      const std::int64_t n = pair.a.n_columns;
      const std::int64_t begin = std::clamp<std::int64_t>(terms.begin - before, 0, n);
      const std::int64_t end = std::clamp<std::int64_t>(terms.end - before, 0, n);
      if (begin < end) sums.add(pair.a, pair.b.transposed(), {begin, end});
      before += n;
    }
  }
  sums.write(out);
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(sampled_rows);

/// Fewer rows would not be worth a panel.
constexpr std::int64_t kLeastRows = 16;

/// out += other
void add_matrix(const float* other, const MatrixView<float>& out) {
  for (std::int64_t row = 0; row < out.n_rows; ++row, other += out.n_columns) {
    float* const to = out.data + row * out.row_stride;
    for (std::int64_t column = 0; column < out.n_columns; ++column) to[column] += other[column];
  }
}

}  // namespace

void sampled_product(const MatrixView<const float>& mask, std::span<const Factors> pairs,
                     const MatrixView<float>& out, const NonzeroTerms* nonzeros) {
  if (out.n_rows == 0 || out.n_columns == 0) return;
  std::optional<NonzeroTerms> own;
  if (nonzeros == nullptr) nonzeros = &own.emplace(nonzeros_of(mask));
  const auto run = [&](Range rows, Range halves, const MatrixView<float>& to) {
    HWY_DYNAMIC_DISPATCH(sampled_rows)(*nonzeros, pairs, rows, halves, to);
  };
  // One thread needs neither a second matrix nor to read the terms twice.
  if (effective_threads() == 1) return run({0, out.n_rows}, {0, 2}, out);
  const FloatArray memory = float_array(out.n_rows * out.n_columns);
  const std::array halves{out, MatrixView<float>{memory.get(), out.n_rows, out.n_columns, out.n_columns, 1}};
  for_halves(out.n_rows, kLeastRows, out.n_rows, [&](std::int64_t half, std::int64_t begin, std::int64_t end) {
    run({begin, end}, {half, half + 1}, halves[static_cast<std::size_t>(half)]);
  });
  add_matrix(memory.get(), out);
}

}  // namespace scvi::kernel
#endif
