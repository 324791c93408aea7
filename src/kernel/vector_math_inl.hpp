// Elementary functions of vectors of float. Included once per instruction set, after <hwy/highway.h>.
#if defined(SCVI_KERNEL_VECTOR_MATH_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef SCVI_KERNEL_VECTOR_MATH_INL_HPP
#undef SCVI_KERNEL_VECTOR_MATH_INL_HPP
#else
#define SCVI_KERNEL_VECTOR_MATH_INL_HPP
#endif

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// e^x within 2 units in the last place for -87.3 <= x <= 88.3; 0 below, about 2e38 above; NaN stays NaN.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V fast_exp(D d, V x) {
  constexpr float kLowest = -87.33f;  // the logarithm of the least normal number
  constexpr float kHighest = 88.3f;
  const hn::RebindToSigned<D> di;
  const auto too_low = hn::Lt(x, hn::Set(d, kLowest));
  const V clamped = hn::IfThenElse(hn::Gt(x, hn::Set(d, kHighest)), hn::Set(d, kHighest), x);
  // x = n log 2 + r with |r| <= log 2 / 2; log 2 in two parts, the first of few digits, so that n times it is exact.
  const V n = hn::Round(hn::Mul(clamped, hn::Set(d, 1.44269504088896341f)));
  const V r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(d, 0.693359375f), clamped));
  // Taylor's series: the first term left out is below 6e-9.
  V p = hn::Set(d, 1.0f / 5040);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::MulAdd(hn::Mul(r, r), p, hn::Add(r, hn::Set(d, 1.0f)));
  const auto power = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)));
  return hn::IfThenZeroElse(too_low, hn::Mul(p, hn::BitCast(d, power)));
}

/// log x within 2 units in the last place for normal positive x; NaN for infinity and NaN.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V fast_log(D d, V x) {
  const hn::RebindToSigned<D> di;
  // x = 2^e m with m in [sqrt(1/2), sqrt 2).
  const auto bits = hn::BitCast(di, x);
  const auto offset = hn::Set(di, 0x3f3504f3);  // sqrt(1/2)
  const auto e = hn::ShiftRight<23>(hn::Sub(bits, offset));
  const V m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(e)));
  const V f = hn::Sub(m, hn::Set(d, 1.0f));
  // log m = 2 artanh(s), s = f / (2 + f), |s| < 0.172: the first term left out is below 1e-9.
  const V s = hn::Div(f, hn::Add(f, hn::Set(d, 2.0f)));
  const V z = hn::Mul(s, s);
  V p = hn::Set(d, 2.0f / 9);
  p = hn::MulAdd(p, z, hn::Set(d, 2.0f / 7));
  p = hn::MulAdd(p, z, hn::Set(d, 2.0f / 5));
  p = hn::MulAdd(p, z, hn::Set(d, 2.0f / 3));
  // 2 s = f - s f exactly, and f is exact.
  const V half_square = hn::Mul(hn::Mul(f, f), hn::Set(d, 0.5f));
  const V small = hn::Mul(s, hn::MulAdd(p, z, half_square));
  const V n = hn::ConvertTo(d, e);
  const V low = hn::MulAdd(n, hn::Set(d, -2.12194440e-4f), small);
  const V result = hn::MulAdd(n, hn::Set(d, 0.693359375f), hn::Add(f, hn::Sub(low, half_square)));
  return hn::Add(result, hn::Sub(x, x));
}

/// log(1 + y) for y >= 0, and 1 / (1 + y), which it needs anyway. What rounding took from 1 + y is put back.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V fast_log1p(D d, V y, V& inverse) {
  const V one = hn::Set(d, 1.0f);
  const V u = hn::Add(one, y);
  inverse = hn::Div(one, u);
  return hn::MulAdd(hn::Sub(y, hn::Sub(u, one)), inverse, fast_log(d, u));
}

}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
