#include "scvi/kernel/count_nll.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "count_rows.hpp"
#include "scvi/core/parallel.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "count_nll.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h, which they need.
#include "vector_math_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

HWY_INLINE V number(float value) {
  return hn::Set(d, value);
}

HWY_INLINE double sum_of(V v) {
  return static_cast<double>(hn::GetLane(hn::SumOfLanes(d, v)));
}

/// Inverse dispersions of `n` genes from their logarithms, with what depends on them alone. Beyond the limits the
/// distribution does not change any more in float32.
void fill_theta(const float* log_theta, std::int64_t n, ThetaRow<float> out) {
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  alignas(64) float padded[HWY_MAX_BYTES / sizeof(float)] = {};
  for (std::int64_t i = 0; i < n; i += step) {
    const float* from = log_theta + i;
    if (i + step > n) {
      std::copy(from, log_theta + n, padded);
      from = padded;
    }
    V logarithm = hn::LoadU(d, from);
    logarithm = hn::IfThenElse(hn::Lt(logarithm, number(kLeastLogTheta)), number(kLeastLogTheta), logarithm);
    logarithm = hn::IfThenElse(hn::Gt(logarithm, number(kMostLogTheta)), number(kMostLogTheta), logarithm);
    const V theta = fast_exp(d, logarithm);
    const V te = hn::Add(theta, number(kCountEpsilon));
    hn::StoreU(theta, d, out.theta + i);
    hn::StoreU(hn::Div(number(1), te), d, out.inverse + i);
    hn::StoreU(fast_log(d, te), d, out.log_te + i);
  }
}

/// scores[i] becomes exp(scores[i] - largest) in `out`; returns the largest, and the sum.
float exponentiate(const float* scores, std::int64_t n, float* out, double& sum) {
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  V largest = number(-std::numeric_limits<float>::infinity());
  std::int64_t i = 0;
  for (; i + step <= n; i += step) largest = hn::Max(largest, hn::LoadU(d, scores + i));
  float most = hn::GetLane(hn::MaxOfLanes(d, largest));
  for (; i < n; ++i) most = std::max(most, scores[i]);
  std::copy(scores, scores + n, out);
  // What lies behind the row must not count.
  std::fill(out + n, out + (n + step - 1) / step * step, -std::numeric_limits<float>::infinity());
  const V shift = number(most);
  sum = 0;
  for (std::int64_t begin = 0; begin < n; begin += kGenesPerSum) {
    const std::int64_t end = std::min(begin + kGenesPerSum, n);
    V part = hn::Zero(d);
    for (i = begin; i < end; i += step) {
      const V power = fast_exp(d, hn::Sub(hn::Load(d, out + i), shift));
      hn::Store(power, d, out + i);
      part = hn::Add(part, power);
    }
    sum += sum_of(part);
  }
  return most;
}

/// Sums over genes that are kept in vectors, and now and then put away in float64.
struct ZeroSums {
  V loss;
  V factors;  ///< whose logarithm is to be added; each lies within 1/2 and 2
  V slope;
};

HWY_INLINE ZeroSums no_sums() {
  return {hn::Zero(d), number(1), hn::Zero(d)};
}

/// Genes [i, i + lanes) as if their counts were 0; where the mean is 0 nothing is added to loss and gradients.
/// With a = -theta L - p, L = log(1 + mu / te): log p(0) = max(a, 0) + min(p, 0) + log((1 + e^-|a|) / (1 + e^-|p|)).
template <CountLikelihood kKind, bool kGradients>
HWY_INLINE void zero_counts(V mean, V theta, V inverse_te, float* dropout, float* slope, float* dtheta, V weight,
                            ZeroSums& sums) {
  const V one = number(1);
  if constexpr (kKind == CountLikelihood::poisson) {
    sums.loss = hn::Add(sums.loss, mean);
    if constexpr (kGradients) {
      hn::StoreU(mean, d, slope);
      sums.slope = hn::Add(sums.slope, mean);
    }
    return;
  }
  const V y = hn::Mul(mean, inverse_te);
  V r;
  const V log_ratio = fast_log1p(d, y, r);
  const V yr = hn::Mul(y, r);
  const V scaled = hn::Mul(theta, log_ratio);
  V share = theta;  // of the negative binomial in a zero, times theta
  if constexpr (kKind == CountLikelihood::zinb) {
    const V p = hn::LoadU(d, dropout);
    const V a = hn::Neg(hn::Add(scaled, p));
    const V ea = fast_exp(d, hn::Neg(hn::Abs(a)));
    const V ep = fast_exp(d, hn::Neg(hn::Abs(p)));
    const V one_a = hn::Add(one, ea);
    const V one_p = hn::Add(one, ep);
    const V inverse = hn::Div(one, hn::Mul(one_a, one_p));
    const V inverse_a = hn::Mul(inverse, one_p);
    const V inverse_p = hn::Mul(inverse, one_a);
    sums.loss = hn::Sub(sums.loss, hn::Add(hn::Max(a, hn::Zero(d)), hn::Min(p, hn::Zero(d))));
    sums.factors = hn::Mul(sums.factors, hn::Mul(one_a, inverse_p));
    if constexpr (kGradients) {
      const V sigma_a = hn::IfThenElse(hn::Ge(a, hn::Zero(d)), inverse_a, hn::Mul(ea, inverse_a));
      const V sigma_not_p = hn::IfThenElse(hn::Le(p, hn::Zero(d)), inverse_p, hn::Mul(ep, inverse_p));
      hn::StoreU(hn::Sub(sigma_a, sigma_not_p), d, dropout);
      share = hn::Mul(sigma_a, theta);
    }
  } else {
    sums.loss = hn::Add(sums.loss, scaled);
  }
  if constexpr (kGradients) {
    const V g = hn::Mul(share, yr);
    hn::StoreU(g, d, slope);
    sums.slope = hn::Add(sums.slope, g);
    const V by_theta = hn::Mul(share, hn::NegMulAdd(hn::Mul(theta, inverse_te), yr, log_ratio));
    hn::StoreU(hn::MulAdd(weight, by_theta, hn::LoadU(d, dtheta)), d, dtheta);
  }
}

/// lgamma(x + theta) - lgamma(theta) and theta times its derivative, for whole x from 1 to 8 and theta below 8192, by
/// products: P = theta (theta + 1) ... (theta + x - 1) and its derivative D. The logarithm of P is left to the
/// caller.
HWY_INLINE void small_count_terms(V x, V theta, V& product, V& theta_slope) {
  product = theta;
  V derivative = number(1);
  for (int k = 1; k < kLargestSmallCount; ++k) {
    const auto goes_on = hn::Gt(x, number(static_cast<float>(k)));
    if (hn::AllFalse(d, goes_on)) break;
    const V factor = hn::Add(theta, number(static_cast<float>(k)));
    derivative = hn::IfThenElse(goes_on, hn::MulAdd(derivative, factor, product), derivative);
    product = hn::IfThenElse(goes_on, hn::Mul(product, factor), product);
  }
  theta_slope = hn::Div(hn::Mul(theta, derivative), product);
}

/// Stirling's series: lgamma(z) = (z - 1/2) log z - z + log(2 pi) / 2 + c(z), here c.
HWY_INLINE V stirling(V inverse) {
  const V square = hn::Mul(inverse, inverse);
  V p = hn::MulAdd(square, number(1.0F / 1260), number(-1.0F / 360));
  p = hn::MulAdd(square, p, number(1.0F / 12));
  return hn::Mul(inverse, p);
}

/// digamma(z) - log z.
HWY_INLINE V digamma_rest(V inverse) {
  const V square = hn::Mul(inverse, inverse);
  const V p = hn::MulAdd(square, number(1.0F / 120), number(-1.0F / 12));
  return hn::MulAdd(square, p, hn::Mul(inverse, number(-0.5F)));
}

/// The same for any x > 0. Theta below 8 is raised by 8 first, and x + theta with it; what the two differ by is a
/// quotient of products.
HWY_INLINE void any_count_terms(V x, V theta, V& log_gamma, V& theta_slope) {
  const V one = number(1);
  const auto is_low = hn::Lt(theta, number(8));
  const V z = hn::IfThenElse(is_low, hn::Add(theta, number(8)), theta);
  const V zx = hn::Add(z, x);
  const V inverse_z = hn::Div(one, z);
  const V inverse_zx = hn::Div(one, zx);
  V unused;
  const V log_quotient = fast_log1p(d, hn::Mul(x, inverse_z), unused);
  log_gamma = hn::MulAdd(hn::Sub(z, number(0.5F)), log_quotient, hn::Mul(x, hn::Sub(fast_log(d, zx), one)));
  log_gamma = hn::Add(log_gamma, hn::Sub(stirling(inverse_zx), stirling(inverse_z)));
  const V slope = hn::Add(log_quotient, hn::Sub(digamma_rest(inverse_zx), digamma_rest(inverse_z)));
  theta_slope = hn::Mul(theta, slope);
  if (hn::AllFalse(d, is_low)) return;
  const V low = hn::IfThenElse(is_low, theta, one);
  const V xt = hn::Add(x, low);
  V above = low, below = xt;
  V above_rest = hn::Add(low, number(4)), below_rest = hn::Add(xt, number(4));
  V slopes = hn::Zero(d);
  for (int k = 1; k < 8; ++k) {
    const V shift = number(static_cast<float>(k));
    const V t = hn::Add(low, shift);
    const V s = hn::Add(xt, shift);
    slopes = hn::Add(slopes, hn::Div(x, hn::Mul(t, s)));
    if (k < 4) above = hn::Mul(above, t), below = hn::Mul(below, s);
    if (k > 4) above_rest = hn::Mul(above_rest, t), below_rest = hn::Mul(below_rest, s);
  }
  const V logs =
      hn::Add(hn::Sub(fast_log(d, above), fast_log(d, below)), fast_log(d, hn::Div(above_rest, below_rest)));
  log_gamma = hn::IfThenElse(is_low, hn::Add(log_gamma, logs), log_gamma);
  theta_slope = hn::IfThenElse(is_low, hn::Add(theta_slope, hn::MulAdd(low, slopes, hn::Div(x, xt))), theta_slope);
}

/// A vector of counts above 0, gathered. Writes what each adds to -log p, but for lgamma(x + 1), and the gradients.
template <CountLikelihood kKind, bool kSmall>
HWY_INLINE void positive_counts(const PositiveCounts<float>& at, std::int64_t i) {
  const V x = hn::Load(d, at.count + i);
  const V mean = hn::Load(d, at.mean + i);
  if constexpr (kKind == CountLikelihood::poisson) {
    hn::Store(hn::NegMulAdd(x, hn::Load(d, at.log_mean + i), mean), d, at.loss + i);
    hn::Store(hn::Sub(mean, x), d, at.slope + i);
    return;
  }
  const V one = number(1);
  const V theta = hn::Load(d, at.theta + i);
  const V inverse_te = hn::Load(d, at.inverse + i);
  const V y = hn::Mul(mean, inverse_te);
  V r;
  const V log_ratio = fast_log1p(d, y, r);
  V log_gamma, theta_slope;
  V product = one;
  if constexpr (kSmall) {
    small_count_terms(x, theta, product, theta_slope);
    log_gamma = hn::Zero(d);
  } else {
    any_count_terms(x, theta, log_gamma, theta_slope);
  }
  V logits = hn::Zero(d);
  if constexpr (kKind == CountLikelihood::zinb) {
    const V p = hn::Load(d, at.dropout + i);
    const V ep = fast_exp(d, hn::Neg(hn::Abs(p)));
    const V inverse = hn::Div(one, hn::Add(one, ep));
    product = hn::Mul(product, inverse);  // softplus(p) = max(p, 0) + log(1 + e^-|p|)
    logits = hn::Max(p, hn::Zero(d));
    hn::Store(hn::IfThenElse(hn::Ge(p, hn::Zero(d)), inverse, hn::Mul(ep, inverse)), d, at.dropout + i);
  }
  const V mean_eps = hn::Add(mean, number(kCountEpsilon));
  const V odds = hn::Sub(hn::Sub(fast_log(d, mean_eps), hn::Load(d, at.log_te + i)), log_ratio);
  V log_p = hn::MulAdd(x, odds, hn::Sub(log_gamma, logits));
  log_p = hn::NegMulAdd(theta, log_ratio, log_p);
  if constexpr (kSmall || kKind == CountLikelihood::zinb) log_p = hn::Add(log_p, fast_log(d, product));
  hn::Store(hn::Neg(log_p), d, at.loss + i);
  const V yr = hn::Mul(y, r);
  hn::Store(hn::MulSub(hn::Add(x, theta), yr, hn::Div(hn::Mul(x, mean), mean_eps)), d, at.slope + i);
  const V quotient = hn::Mul(theta, inverse_te);
  const V excess = hn::Mul(hn::MulSub(quotient, mean, x), hn::Mul(r, quotient));
  hn::Store(hn::Sub(hn::Sub(hn::Mul(theta, log_ratio), theta_slope), excess), d, at.dtheta + i);
}

template <CountLikelihood kKind, bool kSmall>
void all_positive_counts(const PositiveCounts<float>& at, std::int64_t begin, std::int64_t end) {
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = begin; i < end; i += step) positive_counts<kKind, kSmall>(at, i);
}

/// All genes of a cell as if their counts were 0.
/// @param mean (padded with zeros) that of a gene is factor times it; 0 for the genes whose counts are not 0
/// @return -log p; adds the slopes up
template <CountLikelihood kKind, bool kGradients>
double zero_row(const float* mean, float factor, std::int64_t n, const ThetaRow<float>& theta, float* dropout,
                float* slope, float* dtheta, float weight, double& slope_sum) {
  constexpr bool kHasTheta = kKind != CountLikelihood::poisson;
  constexpr bool kHasDropout = kKind == CountLikelihood::zinb;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const V scale = number(factor);
  const V weights = number(weight);
  double loss = 0;
  const auto vector_at = [&](std::int64_t i, float* p, float* s, float* t, ZeroSums& sums) HWY_ATTR {
    const V mu = hn::Mul(hn::LoadU(d, mean + i), scale);
    const V th = kHasTheta ? hn::LoadU(d, theta.theta + i) : hn::Zero(d);
    const V inverse = kHasTheta ? hn::LoadU(d, theta.inverse + i) : hn::Zero(d);
    zero_counts<kKind, kGradients>(mu, th, inverse, p, s, t, weights, sums);
  };
  const auto put_away = [&](const ZeroSums& sums) HWY_ATTR {
    loss += sum_of(sums.loss);
    if constexpr (kHasDropout) loss -= sum_of(fast_log(d, sums.factors));
    slope_sum += sum_of(sums.slope);
  };
  std::int64_t i = 0;
  while (i + step <= n) {
    ZeroSums sums = no_sums();
    const std::int64_t end = std::min(n - step, i + kVectorsPerSum * step - step);
    for (; i <= end; i += step) {
      vector_at(i, kHasDropout ? dropout + i : nullptr, kGradients ? slope + i : nullptr,
                kGradients && kHasTheta ? dtheta + i : nullptr, sums);
    }
    put_away(sums);
  }
  if (i == n) return loss;
  // The rest of the row in a vector of its own; behind it the mean is 0.
  const auto rest = static_cast<std::size_t>(n - i);
  alignas(64) float p[HWY_MAX_BYTES / sizeof(float)] = {};
  alignas(64) float s[HWY_MAX_BYTES / sizeof(float)] = {};
  alignas(64) float t[HWY_MAX_BYTES / sizeof(float)] = {};
  if constexpr (kHasDropout) std::copy_n(dropout + i, rest, p);
  if constexpr (kGradients && kHasTheta) std::copy_n(dtheta + i, rest, t);
  ZeroSums sums = no_sums();
  vector_at(i, p, s, t, sums);
  put_away(sums);
  if constexpr (kGradients) {
    if constexpr (kHasDropout) std::copy_n(p, rest, dropout + i);
    if constexpr (kHasTheta) std::copy_n(t, rest, dtheta + i);
    std::copy_n(s, rest, slope + i);
  }
  return loss;
}

/// slopes[i] = weight (slopes[i] - share[i] total), the gradient that passes through the softmax.
void softmax_backward(float* slopes, const float* share, std::int64_t n, float total, float weight) {
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const V sum = number(total);
  const V w = number(weight);
  std::int64_t i = 0;
  for (; i + step <= n; i += step) {
    const V g = hn::NegMulAdd(hn::LoadU(d, share + i), sum, hn::LoadU(d, slopes + i));
    hn::StoreU(hn::Mul(w, g), d, slopes + i);
  }
  for (; i < n; ++i) slopes[i] = weight * (slopes[i] - share[i] * total);
}

/// One cell. The scratch holds its means, up to `factor`, padded with zeros.
/// @return -log p
template <CountLikelihood kKind, bool kGradients>
double one_row(const RowOfCounts& row, RowScratch& scratch) {
  const PositiveCounts<float> at = scratch.positive;
  double loss = zero_row<kKind, kGradients>(scratch.mean(), row.factor, row.n_genes, row.theta, row.dropout,
                                            row.slope, row.dtheta, row.weight, *row.slope_sum);
  all_positive_counts<kKind, true>(at, 0, scratch.n_small);
  all_positive_counts<kKind, false>(at, scratch.first_other, scratch.first_other + scratch.n_other);
  scratch.redo_large_counts(kKind);
  scratch.for_each_positive([&](std::int64_t i, std::int64_t gene) {
    loss += static_cast<double>(at.loss[i]);
    if constexpr (kGradients) {
      row.slope[gene] = at.slope[i];
      *row.slope_sum += static_cast<double>(at.slope[i]);
      if constexpr (kKind != CountLikelihood::poisson) row.dtheta[gene] += row.weight * at.dtheta[i];
      if constexpr (kKind == CountLikelihood::zinb) row.dropout[gene] = at.dropout[i];
    }
  });
  return loss;
}

template <bool kGradients>
double one_row_of(CountLikelihood kind, const RowOfCounts& row, RowScratch& scratch) {
  switch (kind) {
    case CountLikelihood::zinb:
      return one_row<CountLikelihood::zinb, kGradients>(row, scratch);
    case CountLikelihood::nb:
      return one_row<CountLikelihood::nb, kGradients>(row, scratch);
    default:
      return one_row<CountLikelihood::poisson, kGradients>(row, scratch);
  }
}

double row_with_gradients(CountLikelihood kind, const RowOfCounts& row, RowScratch& scratch) {
  return one_row_of<true>(kind, row, scratch);
}

double row_without_gradients(CountLikelihood kind, const RowOfCounts& row, RowScratch& scratch) {
  return one_row_of<false>(kind, row, scratch);
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(fill_theta);
HWY_EXPORT(exponentiate);
HWY_EXPORT(softmax_backward);
HWY_EXPORT(row_with_gradients);
HWY_EXPORT(row_without_gradients);

/// Rows that one chunk of work takes; they share one sum of gradients by theta.
std::int64_t rows_per_chunk(std::int64_t n_genes) {
  return std::clamp<std::int64_t>(65536 / std::max<std::int64_t>(n_genes, 1), 4, 16);
}

/// The cells in the order of their categories, cut where the category changes.
struct RowPlan {
  struct Chunk {
    std::int64_t category = 0;
    std::int64_t begin = 0;  ///< among `rows`
    std::int64_t end = 0;
  };
  std::vector<std::int64_t> rows;
  std::vector<Chunk> chunks;

  template <class T>
  explicit RowPlan(const CountNll<T>& what) : rows(static_cast<std::size_t>(what.n_rows)) {
    std::iota(rows.begin(), rows.end(), 0);
    const std::int64_t* const category = what.dispersion.per_cell ? nullptr : what.dispersion.category;
    const auto category_of = [&](std::int64_t row) { return category == nullptr ? 0 : category[row]; };
    if (category != nullptr) {
      std::stable_sort(rows.begin(), rows.end(),
                       [&](std::int64_t a, std::int64_t b) { return category[a] < category[b]; });
    }
    const std::int64_t most = rows_per_chunk(what.n_genes);
    for (std::int64_t at = 0; at < what.n_rows; ++at) {
      const std::int64_t here = category_of(rows[at]);
      if (chunks.empty() || chunks.back().category != here || at - chunks.back().begin == most) {
        chunks.push_back({here, at, at});
      }
      chunks.back().end = at + 1;
    }
  }
};

/// What the cells of a call share.
class NllCall {
 public:
  NllCall(const CountNll<float>& what, float* nll, const CountNllGradients<float>& gradients, bool with_gradients)
      : what_(what), nll_(nll), gradients_(gradients), with_gradients_(with_gradients), plan_(what) {}

  void run() {
    prepare_theta();
    const bool sums = with_gradients_ && has_theta() && !what_.dispersion.per_cell;
    if (sums) partial_.assign(plan_.chunks.size() * static_cast<std::size_t>(what_.n_genes), 0.0F);
    parallel_for(std::ssize(plan_.chunks), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t chunk = begin; chunk < end; ++chunk) run_chunk(chunk);
    });
    if (sums && gradients_.log_theta != nullptr) add_partial_sums();
  }

 private:
  bool has_theta() const { return what_.likelihood != CountLikelihood::poisson; }

  void prepare_theta() {
    if (!has_theta() || what_.dispersion.per_cell) return;
    theta_.resize(what_.dispersion.n_categories, what_.n_genes);
    std::vector<bool> used(static_cast<std::size_t>(what_.dispersion.n_categories), false);
    for (const auto& chunk : plan_.chunks) {
      if (used[chunk.category]) continue;
      used[chunk.category] = true;
      HWY_DYNAMIC_DISPATCH(fill_theta)
      (what_.dispersion.log_theta + chunk.category * what_.n_genes, what_.n_genes, theta_.row(chunk.category));
    }
  }

  void run_chunk(std::int64_t index) {
    const RowPlan::Chunk& chunk = plan_.chunks[index];
    thread_local RowScratch scratch;
    scratch.prepare(what_.n_genes);
    float* const partial = partial_.empty() ? nullptr : partial_.data() + index * what_.n_genes;
    for (std::int64_t at = chunk.begin; at < chunk.end; ++at)
      run_row(plan_.rows[at], chunk.category, partial, scratch);
  }

  void run_row(std::int64_t row, std::int64_t category, float* partial, RowScratch& scratch) {
    const std::int64_t n = what_.n_genes;
    float* const scores = what_.scale_logits + row * n;
    double sum = 0;
    const float largest = HWY_DYNAMIC_DISPATCH(exponentiate)(scores, n, scratch.mean(), sum);
    double slope_sum = 0;
    RowOfCounts of{.n_genes = n,
                   .factor = static_cast<float>(std::exp(static_cast<double>(what_.library[row])) / sum),
                   .weight = what_.weights == nullptr ? 1.0F : what_.weights[row],
                   .slope = scores,
                   .slope_sum = &slope_sum};
    if (what_.likelihood == CountLikelihood::zinb) of.dropout = what_.dropout_logits + row * n;
    if (has_theta()) {
      of.theta = what_.dispersion.per_cell ? scratch.cell_theta(n) : theta_.row(category);
      of.dtheta = what_.dispersion.per_cell ? per_cell_slopes(row) : partial;
      if (what_.dispersion.per_cell) {
        HWY_DYNAMIC_DISPATCH(fill_theta)(what_.dispersion.log_theta + row * n, n, of.theta);
      }
    }
    const double log_scale = static_cast<double>(what_.library[row]) - largest - std::log(sum);
    const double log_factorials =
        scratch.gather(what_.counts, row, of, [&](std::int64_t gene) { return scores[gene] + log_scale; });
    nll_[row] = static_cast<float>(log_factorials + (with_gradients_ ? HWY_DYNAMIC_DISPATCH(row_with_gradients)
                                                                     : HWY_DYNAMIC_DISPATCH(row_without_gradients))(
                                                        what_.likelihood, of, scratch));
    if (with_gradients_) finish_gradients(row, of, slope_sum, sum, scratch);
  }

  float* per_cell_slopes(std::int64_t row) {
    if (!with_gradients_) return nullptr;
    float* const slopes = gradients_.log_theta + row * what_.n_genes;
    std::fill_n(slopes, what_.n_genes, 0.0F);
    return slopes;
  }

  void finish_gradients(std::int64_t row, const RowOfCounts& of, double slope_sum, double sum, RowScratch& scratch) {
    scratch.restore_means();
    if (gradients_.library != nullptr) gradients_.library[row] = of.weight * static_cast<float>(slope_sum);
    HWY_DYNAMIC_DISPATCH(softmax_backward)
    (of.slope, scratch.mean(), of.n_genes, static_cast<float>(slope_sum / sum), of.weight);
    if (of.weight != 1.0F && of.dropout != nullptr) {
      for (std::int64_t gene = 0; gene < of.n_genes; ++gene) of.dropout[gene] *= of.weight;
    }
  }

  /// Adds the chunks of every category up, in their order.
  void add_partial_sums() {
    const std::int64_t n = what_.n_genes;
    std::fill_n(gradients_.log_theta, what_.dispersion.n_categories * n, 0.0F);
    parallel_for(n, 4096, [&](std::int64_t begin, std::int64_t end) {
      for (std::size_t chunk = 0; chunk < plan_.chunks.size(); ++chunk) {
        const float* const from = partial_.data() + chunk * static_cast<std::size_t>(n);
        float* const to = gradients_.log_theta + plan_.chunks[chunk].category * n;
        for (std::int64_t gene = begin; gene < end; ++gene) to[gene] += from[gene];
      }
    });
  }

  const CountNll<float>& what_;
  float* nll_;
  CountNllGradients<float> gradients_;
  bool with_gradients_;
  RowPlan plan_;
  ThetaTable theta_;
  std::vector<float> partial_;  ///< (chunks, genes) gradients by log theta
};

}  // namespace

void count_nll(const CountNll<float>& what, float* nll, const CountNllGradients<float>& gradients) {
  NllCall(what, nll, gradients, true).run();
}

void count_nll_only(const CountNll<float>& what, float* nll) {
  NllCall(what, nll, {}, false).run();
}

void count_log_likelihood(const CountLogLikelihood<float>& what, float* log_likelihood) {
  const std::int64_t n = what.n_genes;
  const bool has_theta = what.likelihood != CountLikelihood::poisson;
  parallel_for(what.n_rows, rows_per_chunk(n), [&](std::int64_t begin, std::int64_t end) {
    thread_local RowScratch scratch;
    scratch.prepare(n);
    for (std::int64_t row = begin; row < end; ++row) {
      const float* const mean = what.mean + row * n;
      std::copy_n(mean, n, scratch.mean());
      std::fill(scratch.mean() + n, scratch.mean() + scratch.padded_genes(), 0.0F);
      double unused = 0;
      RowOfCounts of{.n_genes = n, .factor = 1, .weight = 1, .slope_sum = &unused};
      // Only read where no gradients are wanted.
      if (what.likelihood == CountLikelihood::zinb) of.dropout = const_cast<float*>(what.dropout_logits + row * n);
      if (has_theta && (row == begin || what.n_theta_rows > 1)) {
        scratch.fill_theta_row(what.theta + row % what.n_theta_rows * n, n);
      }
      if (has_theta) of.theta = scratch.cell_theta(n);
      const double log_factorials = scratch.gather(what.counts, row % what.counts.n_rows, of, [&](std::int64_t gene) {
        return std::log(static_cast<double>(mean[gene]));
      });
      log_likelihood[row] = static_cast<float>(
          -log_factorials - HWY_DYNAMIC_DISPATCH(row_without_gradients)(what.likelihood, of, scratch));
    }
  });
}

}  // namespace scvi::kernel
#endif
