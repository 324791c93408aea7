#include "mixed_dropout_rows.hpp"

#include <algorithm>

#include "rows.hpp"
#include "scvi/core/parallel.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mixed_dropout_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "lanes_inl.hpp"
// After lanes_inl.hpp, which it needs.
#include "count_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

/// sigmoid(x), 1 - sigmoid(x) and softplus(x), none of them a difference of large numbers.
struct Sigmoid {
  HWY_INLINE explicit Sigmoid(V x) {
    const auto one = hn::Set(kTag, 1.0F), zero = hn::Zero(kTag);
    const auto small = exp_lanes(kTag, hn::Or(x, hn::SignBit(kTag)));
    with_one_ = hn::Add(one, small);
    const auto larger = inverse_of(with_one_);
    const auto smaller = hn::Mul(small, larger);
    const auto positive = hn::Ge(x, zero);
    value = hn::IfThenElse(positive, larger, smaller);
    rest = hn::IfThenElse(positive, smaller, larger);
    above_zero_ = hn::Max(x, zero);
  }
  HWY_INLINE V softplus() const { return hn::Add(above_zero_, log_lanes(kTag, with_one_)); }

  V value, rest;

 private:
  V with_one_, above_zero_;
};

struct Mixed {
  V out, by_logit, by_plain;
};

HWY_INLINE Mixed mixed(V logit, float minimum, V log_inflated, V log_plain) {
  constexpr float kEps = 1e-8F;
  auto lifted = logit;
  auto slope = hn::Set(kTag, 1.0F);
  if (minimum > 0) {
    const auto above = hn::Set(kTag, 1.0F - minimum);
    const Sigmoid sigmoid(logit);
    const auto p = hn::MulAdd(above, sigmoid.value, hn::Set(kTag, minimum));
    const auto odds = inverse_of(hn::MulAdd(above, sigmoid.rest, hn::Set(kTag, kEps)));
    // What is not finite becomes NaN here and stays it.
    lifted = hn::MulAdd(logit, hn::Zero(kTag), log_lanes(kTag, hn::Mul(p, odds)));
    slope = hn::Mul(hn::Mul(above, hn::Mul(sigmoid.value, sigmoid.rest)), hn::Mul(odds, inverse_of(p)));
  }
  const Sigmoid plain(hn::Add(lifted, log_plain));
  return {hn::Sub(hn::Add(lifted, log_inflated), plain.softplus()), hn::Mul(slope, plain.rest), plain.value};
}

/// The same for the n numbers from the pointers on, which are fewer than a vector holds.
struct LastGenes {
  float values[kN] = {};
  LastGenes(const float* from, std::int64_t n) { std::copy_n(from, n, values); }
  V load() const { return hn::LoadU(kTag, values); }
};

void store_some(V values, std::int64_t n, float* to) {
  float all[kN];
  hn::StoreU(values, kTag, all);
  std::copy_n(all, n, to);
}

void mix_some_rows(const MixedDropoutRows& rows, Range range) {
  const std::int64_t n = rows.n_genes;
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    const float* const logits = rows.logits + row * n;
    const std::int64_t table = rows.category == nullptr ? 0 : rows.category[row] * n;
    const float* const log_inflated = rows.log_inflated + table;
    const float* const log_plain = rows.log_plain + table;
    const bool gradients = rows.by_logit != nullptr;
    std::int64_t j = 0;
    for (; j + kN <= n; j += kN) {
      const Mixed result = mixed(hn::LoadU(kTag, logits + j), rows.minimum, hn::LoadU(kTag, log_inflated + j),
                                 hn::LoadU(kTag, log_plain + j));
      hn::StoreU(result.out, kTag, rows.out + row * n + j);
      if (!gradients) continue;
      hn::StoreU(result.by_logit, kTag, rows.by_logit + row * n + j);
      hn::StoreU(result.by_plain, kTag, rows.by_plain + row * n + j);
    }
    if (j == n) continue;
    const Mixed result = mixed(LastGenes(logits + j, n - j).load(), rows.minimum,
                               LastGenes(log_inflated + j, n - j).load(), LastGenes(log_plain + j, n - j).load());
    store_some(result.out, n - j, rows.out + row * n + j);
    if (!gradients) continue;
    store_some(result.by_logit, n - j, rows.by_logit + row * n + j);
    store_some(result.by_plain, n - j, rows.by_plain + row * n + j);
  }
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(mix_some_rows);

/// Elements that are worth a chunk of their own.
constexpr std::int64_t kChunk = 16384;

}  // namespace

void mixed_dropout_rows(const MixedDropoutRows& rows) {
  if (rows.n_genes == 0) return;
  const std::int64_t per_chunk = std::max<std::int64_t>(1, kChunk / rows.n_genes);
  parallel_for(rows.n_rows, per_chunk, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(mix_some_rows)(rows, {begin, end});
  });
}

}  // namespace scvi::kernel
#endif
