// Included once per instruction set, after <hwy/highway.h> and count_math_inl.hpp: counts above zero.
#if defined(SCVI_KERNEL_COUNT_NONZERO_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef SCVI_KERNEL_COUNT_NONZERO_INL_HPP
#undef SCVI_KERNEL_COUNT_NONZERO_INL_HPP
#else
#define SCVI_KERNEL_COUNT_NONZERO_INL_HPP
#endif

#include <cmath>
#include <cstdint>

#include "count_job.hpp"
#include "count_math_inl.hpp"
#include "count_terms.hpp"

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {

/// The parameters of a row that the counts above zero pick from.
struct NonzeroRow {
  const float* means;  ///< times `scale`: mu
  float scale;
  const float* dropout;  ///< of zinb
  RowDispersion dispersion;
  bool dispersions_are_logs;
  float weight;
};

struct NonzeroSums {
  double log_likelihood = 0;  ///< without the log-factorials
  double by_log_mu = 0;       ///< of the negative log-likelihood
};

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
/// classify_counts() where the instruction set has one to pick numbers out of a vector.
inline void classify_vectors(const CsrView& counts, std::int64_t row, RowScratch& scratch) {
  const hn::RebindToSigned<hn::ScalableTag<float>> di;
  auto& [small_entries, medium_entries, general_entries] = scratch.nonzeros;
  for (NonzeroEntries& of : scratch.nonzeros) of.n = 0;
  const auto append = [&](NonzeroEntries& of, auto columns, V x, auto mask) HWY_ATTR {
    hn::StoreU(hn::Compress(columns, hn::RebindMask(di, mask)), di, of.columns.get() + of.n);
    hn::StoreU(hn::Compress(x, mask), kTag, of.counts.get() + of.n);
    of.n += static_cast<std::int64_t>(hn::CountTrue(kTag, mask));
  };
  const std::int64_t end = counts.indptr[row + 1];
  for (std::int64_t i = counts.indptr[row]; i < end; i += kN) {
    const auto valid = hn::FirstN(kTag, static_cast<std::size_t>(end - i));
    const auto columns = hn::MaskedLoad(hn::RebindMask(di, valid), di, counts.indices + i);
    const auto x = hn::MaskedLoad(valid, kTag, counts.values + i);
    const auto above_zero = hn::Not(hn::Le(x, hn::Set(kTag, kLargestZero)));
    const auto whole = hn::And(above_zero, hn::Eq(x, hn::Round(x)));
    const auto to_4 = hn::And(whole, hn::Le(x, hn::Set(kTag, 4.0F)));
    const auto to_8 = hn::And(whole, hn::Le(x, hn::Set(kTag, 8.0F)));
    append(small_entries, columns, x, to_4);
    append(medium_entries, columns, x, hn::AndNot(to_4, to_8));
    append(general_entries, columns, x, hn::AndNot(to_8, above_zero));
  }
}
#else
inline void classify_vectors(const CsrView& counts, std::int64_t row, RowScratch& scratch) {
  classify_counts(counts, row, scratch);
}
#endif

/// lgamma(x + theta) - lgamma(theta) + x log(m s), and theta (digamma(x + theta) - digamma(theta) - x s).
struct GammaPart {
  V factor;        ///< the logarithm of this one ...
  V log_gamma;     ///< ... added to this is the former
  V by_log_theta;  ///< the latter
};

/// What the formulas of one count have in common.
struct CountValues {
  V x, theta, mu;
  V m;  ///< mu + eps
  V s;  ///< 1 / (theta + eps + mu)
};

/// The factors h + k v of the first part, h = theta v, v = m s, and the sum over (m - k) / (1 + k / theta) of the
/// second, for k = kFirst to kFirst + 3, as far as k < x. Products of four hold for all theta and mu.
template <int kFirst>
struct FourFactors {
  V product;
  V sum;

  HWY_INLINE FourFactors(const CountValues& of, V h, V v, V inverse_theta)
      : product(kFirst == 0 ? h : hn::Set(kTag, 1.0F)) {
    const auto one = hn::Set(kTag, 1.0F);
    auto denominator = one;
    auto numerator = kFirst == 0 ? of.m : hn::Zero(kTag);
    for (int i = kFirst == 0 ? 1 : 0; i < 4; ++i) {
      const auto k = hn::Set(kTag, static_cast<float>(kFirst + i));
      const auto there = hn::Lt(k, of.x);
      product = hn::Mul(product, hn::IfThenElse(there, hn::MulAdd(k, v, h), one));
      const auto next = hn::IfThenElse(there, hn::MulAdd(k, inverse_theta, one), one);
      const auto excess = hn::IfThenElseZero(there, hn::Sub(of.m, k));
      numerator = hn::MulAdd(numerator, next, hn::Mul(excess, denominator));
      denominator = hn::Mul(denominator, next);
    }
    sum = hn::Div(numerator, denominator);
  }
};

/// x a whole number up to 4, or with kMedium to 8.
template <NonzeroKind kKind>
HWY_INLINE GammaPart whole_gamma(const CountValues& of) {
  const auto v = hn::Mul(of.m, of.s);
  const auto h = hn::Mul(of.m, hn::Mul(of.theta, of.s));
  const auto inverse_theta = hn::Div(hn::Set(kTag, 1.0F), of.theta);
  const FourFactors<0> first(of, h, v, inverse_theta);
  if constexpr (kKind == kSmall) return {first.product, hn::Zero(kTag), hn::Mul(first.sum, of.s)};
  const FourFactors<4> second(of, h, v, inverse_theta);
  return {first.product, log_lanes(kTag, second.product), hn::Mul(hn::Add(first.sum, second.sum), of.s)};
}

/// Stirling's series from z + x on less that from z on, z >= 4.
struct StirlingDifference {
  V log_gamma;  ///< of c(z) = 1/(12 z) - 1/(360 z^3) + 1/(1260 z^5)
  V digamma;    ///< of -1/(2 z) - 1/(12 z^2) + 1/(120 z^4) - 1/(252 z^6)

  HWY_INLINE StirlingDifference(V x, V a, V b) {
    const auto number = [](float value) HWY_ATTR { return hn::Set(kTag, value); };
    const auto difference = hn::Mul(x, hn::Mul(a, b));  // a - b for a = 1 / z, b = 1 / (z + x)
    const auto a2 = hn::Mul(a, a), b2 = hn::Mul(b, b), ab = hn::Mul(a, b);
    const auto squares = hn::Add(a2, b2);
    const auto fourths = hn::NegMulAdd(ab, ab, hn::Mul(squares, squares));  // a^4 + a^2 b^2 + b^4
    const auto all_fourths = hn::MulAdd(ab, squares, fourths);              // (a^5 - b^5) / (a - b)
    const auto lg = hn::MulAdd(all_fourths, number(1.0F / 1260),
                               hn::NegMulAdd(hn::Add(squares, ab), number(1.0F / 360), number(1.0F / 12)));
    log_gamma = hn::Neg(hn::Mul(difference, lg));
    const auto di =
        hn::MulAdd(fourths, number(1.0F / 252), hn::NegMulAdd(squares, number(1.0F / 120), number(1.0F / 12)));
    digamma = hn::Mul(difference, hn::MulAdd(hn::Add(a, b), di, number(0.5F)));
  }
};

/// What comes to general_gamma() where theta is below 4 and was shifted by 4, to z.
struct Shift {
  V product;    ///< prod (t + k) / (t + 4) (theta + 4) / (theta + k), k = 0 to 3, t = theta + x: divides the factor
  V log_gamma;  ///< added
  V by_log_theta;  ///< added

  /// @param a, b 1 / z and 1 / (z + x)
  HWY_INLINE Shift(const CountValues& of, V a, V b) {
    const auto one = hn::Set(kTag, 1.0F), four = hn::Set(kTag, 4.0F);
    const auto t = hn::Add(of.theta, of.x), z = hn::Add(of.theta, four);
    const auto four_by_t = hn::Div(four, t);
    const auto log_t = Log1p(four_by_t, hn::Add(one, four_by_t)).log();
    const auto log_shrink = log_lanes(kTag, hn::Mul(of.theta, a));
    // Sums of 1 / (theta + k) and of 1 / (t + k), the latter in units of b, as fractions.
    auto numerator = hn::Zero(kTag), denominator = one, t_numerator = hn::Zero(kTag), t_denominator = one;
    for (int i = 0; i < 4; ++i) {
      const auto k = hn::Set(kTag, static_cast<float>(i));
      const auto theta_k = hn::Add(of.theta, k);
      const auto t_k = hn::Mul(hn::Add(t, k), b);
      numerator = hn::MulAdd(numerator, theta_k, denominator);
      denominator = hn::Mul(denominator, theta_k);
      t_numerator = hn::MulAdd(t_numerator, t_k, t_denominator);
      t_denominator = hn::Mul(t_denominator, t_k);
    }
    const auto inverse = hn::Div(one, denominator);
    const auto z2 = hn::Mul(z, z);
    product = hn::Mul(hn::Mul(t_denominator, inverse), hn::Mul(z2, z2));
    log_gamma = hn::MulAdd(t, log_t, hn::Mul(of.theta, log_shrink));
    const auto t_sum = hn::Mul(b, hn::Div(t_numerator, t_denominator));
    const auto digammas = hn::Sub(hn::Mul(numerator, inverse), t_sum);
    by_log_theta = hn::Mul(of.theta, hn::Add(hn::Add(log_t, log_shrink), digammas));
  }
};

/// Any x: like whole_gamma() less theta log(1 + mu / te) and its derivative, and less x log(x) - x, so that what
/// remains is as small as the likelihood itself where counts or theta are large.
HWY_INLINE GammaPart general_gamma(const CountValues& of) {
  const auto one = hn::Set(kTag, 1.0F), four = hn::Set(kTag, 4.0F);
  const auto shifted = hn::Lt(of.theta, four);
  const auto z = hn::IfThenElse(shifted, hn::Add(of.theta, four), of.theta);
  const auto zx = hn::Add(z, of.x);
  const auto a = hn::Div(one, z), b = hn::Div(one, zx);
  const StirlingDifference tail(of.x, a, b);

  // (theta + x) / (theta + mu) = 1 + delta; (theta + x) m s / x = 1 + rho.
  const auto ts = hn::Mul(hn::Add(of.theta, of.x), of.s);
  const Log1p log_delta(hn::Mul(hn::Sub(of.x, of.mu), of.s), ts);
  const auto rho = hn::Mul(hn::Mul(of.theta, of.s), hn::Div(hn::Sub(of.m, of.x), of.x));
  const Log1p log_rho(rho, hn::Mul(ts, hn::Div(of.m, of.x)));

  const auto by_rho = hn::MulAdd(of.x, log_rho.log(), tail.log_gamma);
  auto log_gamma = hn::MulAdd(of.theta, log_delta.log(), by_rho);
  auto by_log_theta = hn::Mul(of.theta, hn::Sub(tail.digamma, log_delta.under_y()));
  auto divisor = hn::Sqrt(hn::Mul(zx, a));
  if (!hn::AllFalse(kTag, shifted)) {
    const Shift shift(of, a, b);
    divisor = hn::Mul(divisor, hn::IfThenElse(shifted, shift.product, one));
    log_gamma = hn::Add(log_gamma, hn::IfThenElseZero(shifted, shift.log_gamma));
    by_log_theta = hn::Add(by_log_theta, hn::IfThenElseZero(shifted, shift.by_log_theta));
  }
  return {hn::Div(one, divisor), log_gamma, by_log_theta};
}

/// Writes to `of` what the float64 formulas say of entry i, and returns its log-likelihood.
template <bool kZinb, bool kGradients>
double nonzero_entry(const NonzeroRow& row, NonzeroKind kind, NonzeroEntries& of, std::int64_t i) {
  const std::int32_t column = of.columns[i];
  const double value = row.dispersion.values[column];
  const double x = of.counts[i];
  const NonzeroTerm term(x, static_cast<double>(row.means[column]) * static_cast<double>(row.scale),
                         row.dispersions_are_logs ? std::exp(value) : value);
  double log_likelihood = term.log_likelihood - (kind == kGeneral ? bulk_of_factorial(x) : 0.0);
  if constexpr (kZinb) {
    const double p = row.dropout[column];
    log_likelihood -= std::max(p, 0.0) + std::log1p(std::exp(-std::abs(p)));
    if constexpr (kGradients) of.by_dropout[i] = static_cast<float>(row.weight / (1 + std::exp(-p)));
  }
  if constexpr (kGradients) {
    of.by_log_mu[i] = static_cast<float>(-term.by_log_mu);
    of.by_log_theta[i] = static_cast<float>(-row.weight * term.by_log_theta);
  }
  return log_likelihood;
}

/// Does the lanes of a vector over again that float32 cannot hold.
/// @param todo those among the entries from i on
/// @return the sum of their log-likelihoods
template <bool kZinb, bool kGradients, NonzeroKind kKind>
HWY_NOINLINE double redo_entries(const NonzeroRow& row, hn::Mask<hn::ScalableTag<float>> todo, NonzeroEntries& of,
                                 std::int64_t i) {
  alignas(64) float marks[kN];
  hn::Store(hn::IfThenElseZero(todo, hn::Set(kTag, 1.0F)), kTag, marks);
  double sum = 0;
  for (std::int64_t k = 0; k < kN; ++k)
    if (marks[k] != 0) sum += nonzero_entry<kZinb, kGradients>(row, kKind, of, i + k);
  return sum;
}

HWY_INLINE hn::Mask<hn::ScalableTag<float>> fit_for_vectors(const CountValues& of) {
  const auto theta_fits =
      hn::And(hn::Ge(of.theta, hn::Set(kTag, kSmallestTheta)), hn::Lt(of.theta, hn::Set(kTag, kLargestTheta)));
  return hn::And(theta_fits, hn::And(hn::Le(of.mu, hn::Set(kTag, kLargestVectorMean)),
                                     hn::Le(of.x, hn::Set(kTag, kLargestVectorCount))));
}

/// The negative binomial's part of a vector of counts.
template <NonzeroKind kKind>
HWY_INLINE GammaPart nonzero_nb(const CountValues& of, V te) {
  if constexpr (kKind == kGeneral) return general_gamma(of);
  GammaPart part = whole_gamma<kKind>(of);
  const auto y = hn::Div(of.mu, te);
  const Log1p log1p(y, hn::Add(hn::Set(kTag, 1.0F), y));
  part.log_gamma = hn::NegMulAdd(of.theta, log1p.log(), part.log_gamma);
  part.by_log_theta = hn::NegMulAdd(of.theta, log1p.over_ratio(hn::Mul(te, of.s)), part.by_log_theta);
  return part;
}

/// The logarithm of the probability that a count is not a zero of another cause joins `part`.
template <bool kGradients>
HWY_INLINE void inflate_nonzero(const NonzeroRow& row, V p, GammaPart& part, float* by_dropout) {
  const auto one = hn::Set(kTag, 1.0F), zero = hn::Zero(kTag);
  const auto exp_p = exp_lanes(kTag, hn::Or(p, hn::SignBit(kTag)));
  const auto sigmoid = hn::Div(one, hn::Add(one, exp_p));
  part.factor = hn::Mul(part.factor, sigmoid);
  part.log_gamma = hn::Sub(part.log_gamma, hn::Max(p, zero));
  if constexpr (kGradients) {
    const auto absent = hn::IfThenElse(hn::Ge(p, zero), sigmoid, hn::Mul(exp_p, sigmoid));
    hn::Store(hn::Mul(absent, hn::Set(kTag, row.weight)), kTag, by_dropout);
  }
}

template <bool kZinb, bool kGradients, NonzeroKind kKind>
void nonzeros_of_kind(const NonzeroRow& row, NonzeroEntries& of, NonzeroSums& sums) {
  const hn::RebindToSigned<hn::ScalableTag<float>> di;
  const auto eps = hn::Set(kTag, static_cast<float>(kEps));
  DoubleSum log_likelihood, by_log_mu;
  // Lanes beyond the last entry hold a harmless one.
  hn::StoreU(hn::Zero(di), di, of.columns.get() + of.n);
  hn::StoreU(hn::Set(kTag, 1.0F), kTag, of.counts.get() + of.n);
  for (std::int64_t i = 0; i < of.n; i += kN) {
    const auto column = hn::Load(di, of.columns.get() + i);
    const auto valid = hn::FirstN(kTag, static_cast<std::size_t>(of.n - i));
    const auto mean = hn::GatherIndex(kTag, row.means, column);
    const auto theta = hn::GatherIndex(kTag, row.dispersion.theta, column);
    const auto te = hn::Add(theta, eps);
    const auto mu = hn::Mul(mean, hn::Set(kTag, row.scale));
    const auto s = hn::Div(hn::Set(kTag, 1.0F), hn::Add(te, mu));
    const CountValues values{hn::Load(kTag, of.counts.get() + i), theta, mu, hn::Add(mu, eps), s};
    GammaPart part = nonzero_nb<kKind>(values, te);
    if constexpr (kZinb)
      inflate_nonzero<kGradients>(row, hn::GatherIndex(kTag, row.dropout, column), part, of.by_dropout.get() + i);
    hn::Store(mean, kTag, of.mean.get() + i);
    if constexpr (kGradients) {
      const auto pull = hn::Mul(hn::Mul(theta, s), hn::Sub(values.m, values.x));
      hn::Store(hn::Mul(pull, hn::Div(mu, values.m)), kTag, of.by_log_mu.get() + i);
      hn::Store(hn::Mul(part.by_log_theta, hn::Set(kTag, -row.weight)), kTag, of.by_log_theta.get() + i);
    }
    const auto fits = fit_for_vectors(values);
    if (HWY_UNLIKELY(!hn::AllTrue(kTag, hn::Or(fits, hn::Not(valid)))))
      sums.log_likelihood += redo_entries<kZinb, kGradients, kKind>(row, hn::AndNot(fits, valid), of, i);
    const auto vector_log_likelihood = hn::Add(part.log_gamma, log_lanes(kTag, part.factor));
    log_likelihood.add(hn::IfThenElseZero(hn::And(valid, fits), vector_log_likelihood));
    if constexpr (kGradients) by_log_mu.add(hn::IfThenElseZero(valid, hn::Load(kTag, of.by_log_mu.get() + i)));
  }
  sums.log_likelihood += log_likelihood.total();
  sums.by_log_mu += by_log_mu.total();
  if constexpr (kKind == kGeneral) {
    for (std::int64_t i = 0; i < of.n; ++i) sums.log_likelihood += tabulated_bulk(of.counts[i]);
  }
}

template <bool kZinb, bool kGradients>
NonzeroSums nonzero_terms(const NonzeroRow& row, RowScratch& scratch) {
  NonzeroSums sums;
  nonzeros_of_kind<kZinb, kGradients, kSmall>(row, scratch.nonzeros[kSmall], sums);
  nonzeros_of_kind<kZinb, kGradients, kMedium>(row, scratch.nonzeros[kMedium], sums);
  nonzeros_of_kind<kZinb, kGradients, kGeneral>(row, scratch.nonzeros[kGeneral], sums);
  return sums;
}

}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
