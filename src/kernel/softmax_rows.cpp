#include "scvi/kernel/softmax_rows.hpp"

#include <algorithm>
#include <cmath>

#include "rows.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/kernel/plain_layers.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "softmax_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "lanes_inl.hpp"
// After lanes_inl.hpp, which it needs.
#include "count_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

struct Largest {
  float value;
  bool finite;  ///< whether all numbers are
};

Largest largest_of(const float* x, std::int64_t n) {
  auto most = hn::Set(kTag, -INFINITY);
  auto zeros = hn::Zero(kTag);  // NaN as soon as one number is not finite
  std::int64_t j = 0;
  for (; j + kN <= n; j += kN) {
    const auto values = hn::LoadU(kTag, x + j);
    most = hn::Max(most, values);
    zeros = hn::MulAdd(values, hn::Zero(kTag), zeros);
  }
  Largest result{hn::GetLane(hn::MaxOfLanes(kTag, most)), hn::GetLane(hn::SumOfLanes(kTag, zeros)) == 0};
  for (; j < n; ++j) {
    result.value = std::max(result.value, x[j]);
    result.finite = result.finite && std::isfinite(x[j]);
  }
  return result;
}

/// exp(x - largest) of a whole vector.
HWY_INLINE V exponential(const float* x, float largest) {
  return exp_lanes(kTag, hn::Sub(hn::LoadU(kTag, x), hn::Set(kTag, largest)));
}

/// Writes exp(x - largest) and returns the sum.
double exponentials(const float* x, float* out, std::int64_t n, float largest) {
  PartSum sum;
  std::int64_t j = 0;
  for (; j + kN <= n; j += kN) {
    const auto values = exponential(x + j, largest);
    hn::StoreU(values, kTag, out + j);
    sum.add(values);
  }
  double rest = 0;
  float last[kN];
  std::fill(std::copy(x + j, x + n, last), last + kN, largest);
  hn::StoreU(exponential(last, largest), kTag, last);
  for (std::int64_t i = 0; j + i < n; ++i) rest += out[j + i] = last[i];
  return sum.total() + rest;
}

void multiply(const float* x, float factor, float* out, std::int64_t n) {
  for_lanes<float>(0, n, [&](auto d, std::int64_t j) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + j), hn::Set(d, factor)), d, out + j);
  });
}

void softmax_some_rows(const SoftmaxRows<float>& rows, Range range) {
  const std::int64_t n = rows.n_columns;
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    const float* logits = rows.logits + row * n;
    float* scale = rows.scale + row * n;
    float* rate = rows.rate == nullptr ? nullptr : rows.rate + row * n;
    const Largest largest = largest_of(logits, n);
    if (!largest.finite) {
      const float* log_factor = rate == nullptr ? nullptr : rows.log_factor + row;
      plain::softmax_rows<float>({1, n, logits, scale, log_factor, rate});
      continue;
    }
    const double sum = exponentials(logits, scale, n, largest.value);
    multiply(scale, static_cast<float>(1 / sum), scale, n);
    if (rate != nullptr) multiply(scale, std::exp(rows.log_factor[row]), rate, n);
  }
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(softmax_some_rows);

/// Elements that are worth a chunk of their own.
constexpr std::int64_t kChunk = 32768;

}  // namespace

void softmax_rows(const SoftmaxRows<float>& rows) {
  if (rows.n_columns == 0) return;
  const std::int64_t per_chunk = std::max<std::int64_t>(1, kChunk / rows.n_columns);
  parallel_for(rows.n_rows, per_chunk, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(softmax_some_rows)(rows, {begin, end});
  });
}

}  // namespace scvi::kernel
#endif
