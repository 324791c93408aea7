// Included once per instruction set, after <hwy/highway.h> and lanes_inl.hpp.
#if defined(SCVI_KERNEL_COUNT_MATH_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef SCVI_KERNEL_COUNT_MATH_INL_HPP
#undef SCVI_KERNEL_COUNT_MATH_INL_HPP
#else
#define SCVI_KERNEL_COUNT_MATH_INL_HPP
#endif

#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {

/// Sums of float vectors, kept in float64.
class DoubleSum {
 public:
  // A constructor of its own: GCC compiles an implied one for the baseline alone.
  HWY_INLINE DoubleSum() : sum_(hn::Zero(kWide)) {}
  HWY_INLINE void add(V values) {
#if HWY_TARGET == HWY_SCALAR
    sum_ = hn::Add(sum_, hn::PromoteTo(kWide, values));
#else
    sum_ = hn::Add(sum_, hn::PromoteTo(kWide, hn::LowerHalf(kHalf, values)));
    sum_ = hn::Add(sum_, hn::PromoteTo(kWide, hn::UpperHalf(kHalf, values)));
#endif
  }
  HWY_INLINE double total() const {
    return hn::GetLane(hn::SumOfLanes(kWide, sum_));
  }

 private:
  static constexpr hn::Half<hn::ScalableTag<float>> kHalf{};
  static constexpr hn::Rebind<double, hn::Half<hn::ScalableTag<float>>> kWide{};
  hn::Vec<hn::Rebind<double, hn::Half<hn::ScalableTag<float>>>> sum_;
};

/// The same with less work: up to eight vectors are added in float32 first.
class PartSum {
 public:
  HWY_INLINE PartSum() : part_(hn::Zero(kTag)) {}
  HWY_INLINE void add(V values) {
    part_ = hn::Add(part_, values);
    if (++n_ % 8 == 0) flush();
  }
  HWY_INLINE double total() {
    flush();
    return sum_.total();
  }

 private:
  HWY_INLINE void flush() {
    sum_.add(part_);
    part_ = hn::Zero(kTag);
  }

  DoubleSum sum_;
  V part_;
  int n_ = 0;
};

/// c[0] + c[1] x + ... + c[4] x^4, in few steps that wait for each other.
template <class D, class V>
HWY_INLINE V polynomial(D d, V x, V x2, const float (&c)[5]) {
  const auto low = hn::MulAdd(x, hn::Set(d, c[1]), hn::Set(d, c[0]));
  const auto high = hn::MulAdd(x, hn::Set(d, c[3]), hn::Set(d, c[2]));
  return hn::MulAdd(hn::MulAdd(x2, hn::Set(d, c[4]), high), x2, low);
}

/// The same to c[8] x^8.
template <class D, class V>
HWY_INLINE V polynomial(D d, V x, V x2, const float (&c)[9]) {
  const auto pair = [&](int i) HWY_ATTR { return hn::MulAdd(x, hn::Set(d, c[i + 1]), hn::Set(d, c[i])); };
  const auto x4 = hn::Mul(x2, x2);
  const auto low = hn::MulAdd(x2, pair(2), pair(0));
  const auto high = hn::MulAdd(x2, pair(6), pair(4));
  return hn::MulAdd(hn::MulAdd(x4, hn::Set(d, c[8]), high), x4, low);
}

/// 1 / x for positive normal x up to 2^125, good to a unit in the last place: by AVX-512's estimate, which has 14
/// bits, and a step of Newton's method, together quicker than a division.
HWY_INLINE V inverse_of(V x) {
#if HWY_MAX_BYTES == 64
  const auto estimate = hn::ApproximateReciprocal(x);
  return hn::Mul(estimate, hn::NegMulAdd(x, estimate, hn::Set(kTag, 2.0F)));
#else
  return hn::Div(hn::Set(kTag, 1.0F), x);
#endif
}

/// (e^x - 1 - x) / x^2 within half of log(2) on both sides: least error of e^x, 3e-9.
inline constexpr float kExpTail[] = {0.4999999403953552F, 0.1666651964187622F, 0.04166839644312859F,
                                     0.008368783630430698F, 0.0013814432313665748F};
/// (f - log(1 + f)) / f^2 from 1/sqrt(2) - 1 to sqrt(2) - 1: least relative error of log(1 + f), 4e-9.
inline constexpr float kLogTail[] = {0.4999998807907104F,   -0.3333332538604736F, 0.25001585483551025F,
                                     -0.20001959800720215F, 0.1660901904106140F,  -0.1418209820985794F,
                                     0.13243749737739563F,  -0.1290290355682373F, 0.07618068158626556F};

/// e^x for finite x up to 88, at least e^-87, so that results are normal numbers.
template <class D, class V>
HWY_INLINE V exp_lanes(D d, V x) {
  x = hn::Max(x, hn::Set(d, -87.0F));
  const auto k = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504F)));
  // The first part of log(2) has zeros at its end, so that k times it is exact.
  auto r = hn::NegMulAdd(k, hn::Set(d, 0.693359375F), x);
  r = hn::MulAdd(k, hn::Set(d, 2.12194440e-4F), r);
  const auto r2 = hn::Mul(r, r);
  const auto tail = hn::MulAdd(r2, polynomial(d, r, r2, kExpTail), r);
#if HWY_MAX_BYTES == 64
  return V{_mm512_scalef_ps(hn::Add(hn::Set(d, 1.0F), tail).raw, k.raw)};
#else
  const hn::RebindToSigned<D> di;
  const auto scale = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, k), hn::Set(di, 127))));
  return hn::MulAdd(tail, scale, scale);
#endif
}

/// A positive normal number as 2^k (1 + f) with 1 + f between 1/sqrt(2) and sqrt(2).
template <class V>
struct Split {
  V k, f;
};

template <class D, class V>
HWY_INLINE Split<V> split_lanes(D d, V u) {
  const hn::RebindToSigned<D> di;
  const auto offset = hn::Set(di, 0x3F3504F3);  // the bits of 1/sqrt(2)
  const auto shifted = hn::Sub(hn::BitCast(di, u), offset);
  const auto m = hn::BitCast(d, hn::Add(hn::And(shifted, hn::Set(di, 0x007FFFFF)), offset));
  return {hn::ConvertTo(d, hn::ShiftRight<23>(shifted)), hn::Sub(m, hn::Set(d, 1.0F))};
}

/// The logarithm of positive normal numbers.
template <class D, class V>
HWY_INLINE V log_lanes(D d, V u) {
  const auto [k, f] = split_lanes(d, u);
  const auto square = hn::Mul(f, f);
  const auto log_m = hn::NegMulAdd(square, polynomial(d, f, square, kLogTail), f);
  return hn::MulAdd(k, hn::Set(d, 0.6931471806F), log_m);
}

/// log(1 + y) and how far it stays below y / (1 + y) and y: all without loss where y is small.
class Log1p {
 public:
  /// @param u 1 + y, computed as well as can be, positive and normal
  HWY_INLINE Log1p(V y, V u) : y_(y) {
    const auto [k, f_of_u] = split_lanes(kTag, u);
    near_ = hn::Eq(k, hn::Zero(kTag));
    const auto f = hn::IfThenElse(near_, y, f_of_u);
    square_ = hn::Mul(f, f);
    tail_ = polynomial(kTag, f, square_, kLogTail);
    log_ = hn::MulAdd(k, hn::Set(kTag, 0.6931471806F), hn::NegMulAdd(square_, tail_, f));
  }

  HWY_INLINE V log() const { return log_; }
  /// log(1 + y) - y / (1 + y), with y / (1 + y) = y - y^2 / (1 + y). @param r 1 / (1 + y)
  HWY_INLINE V over_ratio(V r) const {
    return hn::IfThenElse(near_, hn::Mul(square_, hn::Sub(r, tail_)), hn::NegMulAdd(y_, r, log_));
  }
  /// y - log(1 + y)
  HWY_INLINE V under_y() const { return hn::IfThenElse(near_, hn::Mul(square_, tail_), hn::Sub(y_, log_)); }

 private:
  V y_, log_, square_, tail_;
  hn::Mask<hn::ScalableTag<float>> near_;
};

}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
