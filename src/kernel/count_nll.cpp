#include "scvi/kernel/count_nll.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "count_job.hpp"
#include "count_terms.hpp"
#include "rows.hpp"
#include "scvi/core/parallel.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "count_nll.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "lanes_inl.hpp"
// After lanes_inl.hpp, which it needs.
#include "count_math_inl.hpp"
// After the two.
#include "count_nonzero_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

/// Calls body(values, j) for whole vectors of a row of n numbers, the last one filled up with `filler`.
template <class Body>
HWY_INLINE void for_vectors(const float* row, std::int64_t n, float filler, const Body& body) {
  std::int64_t j = 0;
  for (; j + kN <= n; j += kN) body(hn::LoadU(kTag, row + j), j);
  if (j == n) return;
  float last[kN];
  std::fill(std::copy(row + j, row + n, last), last + kN, filler);
  body(hn::LoadU(kTag, last), j);
}

/// Of the counts of a row, by a table while they are whole and small.
double sum_of_log_factorials(const CsrView& counts, std::int64_t row) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const hn::Rebind<std::int32_t, decltype(d)> di;
  const hn::RebindToSigned<decltype(d)> dl;
  const FactorialTable& table = FactorialTable::get();
  const auto size = hn::Set(df, static_cast<float>(FactorialTable::kSize));
  auto sums = hn::Zero(d);
  double others = 0;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t end = counts.indptr[row + 1];
  std::int64_t i = counts.indptr[row];
  for (; i + lanes <= end; i += lanes) {
    const auto x = hn::LoadU(df, counts.values + i);
    const auto whole = hn::ConvertTo(di, x);
    const auto held = hn::And(hn::And(hn::Ge(x, hn::Zero(df)), hn::Lt(x, size)), hn::Eq(hn::ConvertTo(df, whole), x));
    if (hn::AllTrue(df, held)) {
      sums = hn::Add(sums, hn::GatherIndex(d, table.log_factorial.data(), hn::PromoteTo(dl, whole)));
    } else {
      for (std::int64_t k = 0; k < lanes; ++k) others += table.log_factorial_of(counts.values[i + k]);
    }
  }
  for (; i < end; ++i) others += table.log_factorial_of(counts.values[i]);
  return hn::GetLane(hn::SumOfLanes(d, sums)) + others;
}

double log_factorials_of(const CountJob& job, std::int64_t row) {
  return job.log_factorials != nullptr ? job.log_factorials[row] : sum_of_log_factorials(job.counts, row);
}

bool all_finite(const float* row, std::int64_t n) {
  auto zeros = hn::Zero(kTag);
  for_vectors(row, n, 0.0F,
              [&](V values, std::int64_t) HWY_ATTR { zeros = hn::MulAdd(values, hn::Zero(kTag), zeros); });
  return hn::AllTrue(kTag, hn::Eq(zeros, hn::Zero(kTag)));
}

/// theta and 1 / (theta + eps) of n values, which are theta or its logarithm. False if one of them is not finite.
bool prepare_dispersions(const float* values, std::int64_t n, bool are_logs, float* theta, float* inverse) {
  for_vectors(values, n, 0.0F, [&](V value, std::int64_t j) HWY_ATTR {
    if (are_logs) value = exp_lanes(kTag, hn::Min(value, hn::Set(kTag, kLargestLogTheta)));
    value = hn::Min(value, hn::Set(kTag, kLargestTheta));
    const auto te = hn::Add(value, hn::Set(kTag, static_cast<float>(kEps)));
    hn::StoreU(value, kTag, theta + j);
    hn::StoreU(hn::Div(hn::Set(kTag, 1.0F), te), kTag, inverse + j);
  });
  return all_finite(values, n);
}

/// What a row with parameters that are not finite gets.
void write_nan(const CountJob& job, std::int64_t row, float* theta_sums) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::int64_t n = job.counts.n_columns;
  job.write(row, static_cast<double>(kNan));
  if (job.gradients == nullptr) return;
  std::fill_n(job.gradients->scale_logits + row * n, n, kNan);
  if (job.likelihood == CountLikelihood::zinb) std::fill_n(job.gradients->dropout_logits + row * n, n, kNan);
  if (job.gradients->library != nullptr) job.gradients->library[row] = kNan;
  if (theta_sums != nullptr) std::fill_n(theta_sums, n, kNan);
}

/// Brings the means of a row into scratch memory, padded with zeros: e^(logit - largest), or as they are given.
struct RowMeans {
  RowMeans(const CountJob& job, std::int64_t row, RowScratch& scratch) {
    const std::int64_t n = job.counts.n_columns;
    const float* source = (job.mean != nullptr ? job.mean : job.scale_logits) + row * n;
    if (job.mean == nullptr) largest = largest_of(source, n);
    const auto shift = hn::Set(kTag, largest);
    const bool logits = job.mean == nullptr;
    PartSum total;
    for_vectors(source, n, largest, [&](V values, std::int64_t j) HWY_ATTR {
      // What is not finite becomes NaN here and stays it in the sum.
      auto mean = logits ? exp_lanes(kTag, hn::Sub(values, shift)) : values;
      mean = hn::MulAdd(values, hn::Zero(kTag), mean);
      if (j + kN > n) mean = hn::IfThenElseZero(hn::FirstN(kTag, static_cast<std::size_t>(n - j)), mean);
      hn::Store(mean, kTag, scratch.means.get() + j);
      total.add(mean);
    });
    sum = total.total();
    finite = std::isfinite(sum) && (!logits || std::isfinite(job.library[row]));
  }

  bool finite = false;
  float largest = 0;
  double sum = 0;  ///< of the numbers in scratch memory

 private:
  static float largest_of(const float* row, std::int64_t n) {
    auto even = hn::Set(kTag, row[0]);
    auto odd = even;
    for_vectors(row, n, row[0], [&](V values, std::int64_t) HWY_ATTR {
      const auto most = hn::Max(even, values);
      even = odd;
      odd = most;
    });
    return hn::GetLane(hn::MaxOfLanes(kTag, hn::Max(even, odd)));
  }
};

/// What the zeros of a row come to.
struct ZeroSums {
  double nll = 0;
  double by_log_mu = 0;
};

/// One row of parameters after another.
template <bool kZinb, bool kGradients>
class CountRows {
 public:
  CountRows(const CountJob& job, RowScratch& scratch) : job_(job), scratch_(scratch), n_(job.counts.n_columns) {}

  /// @param theta_sums where the row adds its gradients of log theta
  void run(std::int64_t row, const RowDispersion& dispersion, float* theta_sums) {
    row_ = row;
    dispersion_ = dispersion;
    theta_sums_ = theta_sums;
    weight_ = kGradients && job_.gradients->weights != nullptr ? job_.gradients->weights[row] : 1.0F;
    const RowMeans means(job_, row, scratch_);
    inverse_sum_ = 1 / means.sum;
    mean_scale_ = 1;
    if (job_.mean == nullptr)
      mean_scale_ =
          static_cast<float>(std::min(std::exp(static_cast<double>(job_.library[row])) * inverse_sum_, kLargestMean));
    if (!dispersion.regular || !means.finite) return write_nan(job_, row, theta_sums);
    const NonzeroRow nonzero_row{.means = scratch_.means.get(),
                                 .scale = mean_scale_,
                                 .dropout = places().dropout,
                                 .dispersion = dispersion,
                                 .dispersions_are_logs = job_.dispersions_are_logs,
                                 .weight = weight_};
    const std::int64_t count_row = job_.count_row_of(row);
    classify_vectors(job_.counts, count_row, scratch_);
    const NonzeroSums nonzero = nonzero_terms<kZinb, kGradients>(nonzero_row, scratch_);
    // A mean of zero makes a zero worth nothing, so what the vectors below say of these genes is void.
    for_nonzeros([&](const NonzeroEntries& of, std::int64_t i) { scratch_.means[of.columns[i]] = 0; });
    const ZeroSums zeros = zero_terms();
    // Dropout logits that are not finite show here.
    if (std::isnan(zeros.nll)) return write_nan(job_, row, theta_sums);
    const double factorials = log_factorials_of(job_, count_row);
    job_.write(row, zeros.nll - nonzero.log_likelihood + factorials);
    if constexpr (kGradients) write_gradients(zeros.by_log_mu + nonzero.by_log_mu);
  }

 private:
  template <class Body>
  void for_nonzeros(const Body& body) {
    for (const NonzeroEntries& of : scratch_.nonzeros)
      for (std::int64_t i = 0; i < of.n; ++i) body(of, i);
  }

  /// What the negative binomial says of zeros. On its way to the inflation it rests in memory: a vector's road from
  /// one end to the other is so long that the processor could not fill its waiting with the next ones.
  struct ZeroBlock {
    static constexpr std::int64_t kGenes = 32 * kN;  // as many factors between 1/2 and 2 in a product
    alignas(64) float nll[kGenes];
    alignas(64) float by_log_mu[kGenes];
    alignas(64) float by_log_theta[kGenes];
  };

  /// Sums over a few vectors: nll = -log(ratios) - linear.
  struct ZeroParts {
    // A constructor of its own: GCC compiles an implied one for the baseline alone.
    HWY_INLINE ZeroParts() : ratios(hn::Set(kTag, 1.0F)), linear(hn::Zero(kTag)), by_log_mu(hn::Zero(kTag)) {}

    V ratios, linear, by_log_mu;

    HWY_INLINE void add_to(DoubleSum& nll, DoubleSum& gradient) const {
      nll.add(hn::Neg(linear));
      if constexpr (kZinb) nll.add(hn::Neg(log_lanes(kTag, ratios)));
      if constexpr (kGradients) gradient.add(by_log_mu);
    }
  };

  /// Where the caller's numbers of a gene lie; null where the likelihood or the call has none.
  struct Places {
    const float* dropout;
    float* by_dropout;
    float* by_scale;

    Places at(std::int64_t j) const {
      return {.dropout = kZinb ? dropout + j : nullptr,
              .by_dropout = kZinb && kGradients ? by_dropout + j : nullptr,
              .by_scale = kGradients ? by_scale + j : nullptr};
    }
  };

  Places places() const {
    const Places first{.dropout = job_.dropout,
                       .by_dropout = kGradients ? job_.gradients->dropout_logits : nullptr,
                       .by_scale = kGradients ? job_.gradients->scale_logits : nullptr};
    return first.at(row_ * n_);
  }

  /// Every gene as if its count were zero; gradients by log mu go where those of the scale logits will be.
  ZeroSums zero_terms() {
    const Places row = places();
    DoubleSum nll, by_log_mu;
    ZeroBlock block;
    for (std::int64_t begin = 0; begin < n_; begin += ZeroBlock::kGenes) {
      const std::int64_t n = std::min(n_ - begin, ZeroBlock::kGenes);
      for (std::int64_t k = 0; k < n; k += kN) without_inflation(begin, k, block);
      ZeroParts parts;
      std::int64_t k = 0;
      for (; k + kN <= n; k += kN) zero_vector(begin + k, k, block, row.at(begin + k), parts);
      if (k < n) last_zero_vector(begin + k, k, block, row.at(begin + k), parts);
      parts.add_to(nll, by_log_mu);
    }
    return {.nll = nll.total(), .by_log_mu = by_log_mu.total()};
  }

  /// The genes from j on, fewer than a vector holds.
  void last_zero_vector(std::int64_t j, std::int64_t k, const ZeroBlock& block, const Places& to, ZeroParts& parts) {
    float dropout[kN] = {}, by_dropout[kN], by_scale[kN];
    if constexpr (kZinb) std::copy_n(to.dropout, n_ - j, dropout);
    zero_vector(j, k, block, {.dropout = dropout, .by_dropout = by_dropout, .by_scale = by_scale}, parts);
    if constexpr (kGradients) std::copy_n(by_scale, n_ - j, to.by_scale);
    if constexpr (kGradients && kZinb) std::copy_n(by_dropout, n_ - j, to.by_dropout);
  }

  HWY_INLINE void without_inflation(std::int64_t begin, std::int64_t k, ZeroBlock& block) {
    const auto one = hn::Set(kTag, 1.0F);
    const auto theta = hn::LoadU(kTag, dispersion_.theta + begin + k);
    const auto mu = hn::Mul(hn::Load(kTag, scratch_.means.get() + begin + k), hn::Set(kTag, mean_scale_));
    const auto y = hn::Mul(mu, hn::LoadU(kTag, dispersion_.inverse + begin + k));
    const auto u = hn::Add(one, y);
    const Log1p log1p(y, u);
    hn::Store(hn::Mul(theta, log1p.log()), kTag, block.nll + k);
    if constexpr (kGradients) {
      const auto r = inverse_of(u);
      hn::Store(hn::Mul(theta, hn::Mul(y, r)), kTag, block.by_log_mu + k);
      hn::Store(hn::Mul(theta, log1p.over_ratio(r)), kTag, block.by_log_theta + k);
    }
  }

  /// @param j gene
  /// @param k its place in the block
  HWY_INLINE void zero_vector(std::int64_t j, std::int64_t k, const ZeroBlock& block, const Places& to,
                              ZeroParts& parts) {
    const auto nll = hn::Load(kTag, block.nll + k);
    auto share = hn::Set(kTag, 1.0F);
    if constexpr (kZinb)
      share = inflate(nll, to, parts);
    else
      parts.linear = hn::Sub(parts.linear, nll);
    if constexpr (kGradients) {
      const auto by_log_mu = hn::Mul(hn::Load(kTag, block.by_log_mu + k), share);
      parts.by_log_mu = hn::Add(parts.by_log_mu, by_log_mu);
      hn::StoreU(by_log_mu, kTag, to.by_scale);
      const auto by_log_theta = hn::Mul(hn::Load(kTag, block.by_log_theta + k), share);
      const auto sums = hn::LoadU(kTag, theta_sums_ + j);
      hn::StoreU(hn::MulAdd(hn::Set(kTag, weight_), by_log_theta, sums), kTag, theta_sums_ + j);
    }
  }

  /// Adds the zeros that have other causes; the share of a zero that the negative binomial made.
  HWY_INLINE V inflate(V nll, const Places& to, ZeroParts& parts) {
    const auto one = hn::Set(kTag, 1.0F), zero = hn::Zero(kTag);
    const auto p = hn::LoadU(kTag, to.dropout);
    const auto minus_a = hn::Add(nll, p);
    const auto exp_a = exp_lanes(kTag, hn::Or(minus_a, hn::SignBit(kTag)));
    const auto exp_p = exp_lanes(kTag, hn::Or(p, hn::SignBit(kTag)));
    const auto with_a = hn::Add(one, exp_a);
    const auto sigmoid_p = inverse_of(hn::Add(one, exp_p));
    parts.ratios = hn::Mul(parts.ratios, hn::Mul(with_a, sigmoid_p));
    // max(a, 0) + min(p, 0) without the difference of the two where both are large, and NaN if p is not finite.
    parts.linear = hn::Add(parts.linear, hn::Max(hn::Neg(nll), hn::Min(p, zero)));
    parts.linear = hn::MulAdd(p, zero, parts.linear);
    if constexpr (!kGradients) return one;
    const auto sigmoid_a = inverse_of(with_a);
    const auto share = hn::IfThenElse(hn::Le(minus_a, zero), sigmoid_a, hn::Mul(exp_a, sigmoid_a));
    const auto present = hn::IfThenElse(hn::Ge(p, zero), hn::Mul(exp_p, sigmoid_p), sigmoid_p);
    if constexpr (kGradients)
      hn::StoreU(hn::Mul(hn::Set(kTag, weight_), hn::Sub(share, present)), kTag, to.by_dropout);
    return share;
  }

  /// @param total the gradients by log mu summed over the genes
  void write_gradients(double total) {
    float* const by_scale = places().by_scale;
    float* const by_dropout = places().by_dropout;
    for_nonzeros([&](const NonzeroEntries& of, std::int64_t i) {
      const std::int32_t column = of.columns[i];
      scratch_.means[column] = of.mean[i];
      by_scale[column] = of.by_log_mu[i];
      theta_sums_[column] += of.by_log_theta[i];
      if constexpr (kZinb) by_dropout[column] = of.by_dropout[i];
    });
    const auto share = static_cast<float>(total * inverse_sum_);
    const float* means = scratch_.means.get();
    for_lanes<float>(0, n_, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto gradient = hn::LoadU(d, by_scale + j);
      const auto centred = hn::NegMulAdd(hn::LoadU(d, means + j), hn::Set(d, share), gradient);
      hn::StoreU(hn::Mul(centred, hn::Set(d, weight_)), d, by_scale + j);
    });
    if (job_.gradients->library != nullptr)
      job_.gradients->library[row_] = static_cast<float>(total * static_cast<double>(weight_));
  }

  const CountJob& job_;
  RowScratch& scratch_;
  const std::int64_t n_;
  std::int64_t row_ = 0;
  RowDispersion dispersion_{};
  float* theta_sums_ = nullptr;
  float weight_ = 1;
  float mean_scale_ = 1;
  double inverse_sum_ = 1;
};

template <bool kZinb, bool kGradients>
void run_rows(const CountJob& job, Range rows, ThetaSums* sums) {
  const std::int64_t n = job.counts.n_columns;
  RowScratch scratch(n);
  CountRows<kZinb, kGradients> kernel(job, scratch);
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const std::int64_t index = job.dispersion_row(row);
    const float* values = job.dispersion.values + index * n;
    RowDispersion dispersion{.values = values};
    if (job.table != nullptr) {
      dispersion.theta = job.table->theta.get() + index * job.table->stride;
      dispersion.inverse = job.table->inverse.get() + index * job.table->stride;
      dispersion.regular = job.table->regular[static_cast<std::size_t>(index)] != 0;
    } else {
      dispersion.theta = scratch.theta.get();
      dispersion.inverse = scratch.inverse.get();
      dispersion.regular =
          prepare_dispersions(values, n, job.dispersions_are_logs, scratch.theta.get(), scratch.inverse.get());
    }
    if constexpr (kGradients) {
      const bool own = job.dispersion.rows == DispersionRows::per_cell;
      float* theta_sums = own ? scratch.theta_gradient.get() : sums->of(index);
      if (own) std::fill_n(theta_sums, padded(n), 0.0F);
      kernel.run(row, dispersion, theta_sums);
      if (own) std::copy_n(theta_sums, n, job.gradients->log_theta + row * n);
    } else {
      kernel.run(row, dispersion, nullptr);
    }
  }
}

/// The rate of a count is e^(logit - log sum e^logit + library): its logarithm is never infinite.
void poisson_row(const CountJob& job, std::int64_t row, RowScratch& scratch) {
  const std::int64_t n = job.counts.n_columns;
  const RowMeans means(job, row, scratch);
  if (!means.finite) return write_nan(job, row, nullptr);
  const double library = job.library[row];
  const double log_scale = library - means.largest - std::log(means.sum);
  double total = 0, weighted = 0;
  const float* logits = job.scale_logits + row * n;
  for (std::int64_t i = job.counts.indptr[row]; i < job.counts.indptr[row + 1]; ++i) {
    const double x = job.counts.values[i];
    if (x == 0) continue;
    total += x;
    weighted += x * (logits[job.counts.indices[i]] + log_scale);
  }
  const double rate = std::exp(library);
  job.write(row, rate - weighted + log_factorials_of(job, row));
  if (job.gradients == nullptr) return;
  const float weight = job.gradients->weights == nullptr ? 1.0F : job.gradients->weights[row];
  float* by_scale = job.gradients->scale_logits + row * n;
  // mu - x - rho sum(mu - x): the library cancels.
  const auto share = static_cast<float>(total / means.sum);
  for_lanes<float>(0, n, [&](auto d, std::int64_t j) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::Set(d, share * weight), hn::LoadU(d, scratch.means.get() + j)), d, by_scale + j);
  });
  for (std::int64_t i = job.counts.indptr[row]; i < job.counts.indptr[row + 1]; ++i) {
    const std::int32_t column = job.counts.indices[i];
    by_scale[column] = weight * (share * scratch.means[column] - job.counts.values[i]);
  }
  if (job.gradients->library != nullptr)
    job.gradients->library[row] = static_cast<float>((rate - total) * static_cast<double>(weight));
}

/// sum x log(mu) - mu, of means that are given.
void poisson_mean_row(const CountJob& job, std::int64_t row, RowScratch& scratch) {
  const std::int64_t count_row = job.count_row_of(row);
  const RowMeans means(job, row, scratch);
  if (!means.finite) return write_nan(job, row, nullptr);
  double weighted = 0;
  for (std::int64_t i = job.counts.indptr[count_row]; i < job.counts.indptr[count_row + 1]; ++i) {
    const double x = job.counts.values[i];
    if (x != 0) weighted += x * std::log(static_cast<double>(scratch.means[job.counts.indices[i]]));
  }
  job.write(row, means.sum - weighted + log_factorials_of(job, count_row));
}

void run_poisson(const CountJob& job, Range rows) {
  RowScratch scratch(job.counts.n_columns);
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    if (job.mean == nullptr)
      poisson_row(job, row, scratch);
    else
      poisson_mean_row(job, row, scratch);
  }
}

void count_rows(const CountJob& job, Range rows, ThetaSums* sums) {
  if (job.likelihood == CountLikelihood::poisson) return run_poisson(job, rows);
  const bool zinb = job.likelihood == CountLikelihood::zinb;
  if (job.gradients == nullptr)
    return zinb ? run_rows<true, false>(job, rows, sums) : run_rows<false, false>(job, rows, sums);
  return zinb ? run_rows<true, true>(job, rows, sums) : run_rows<false, true>(job, rows, sums);
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(prepare_dispersions);
HWY_EXPORT(count_rows);
HWY_EXPORT(sum_of_log_factorials);

/// Numbers that are worth a chunk of their own.
constexpr std::int64_t kChunk = 16384;
/// Chunks with sums over cells, each of which costs a row of memory at least.
constexpr std::int64_t kMostChunks = 16;

std::int64_t rows_per_chunk(const CountJob& job) {
  const std::int64_t enough = std::max<std::int64_t>(1, kChunk / job.counts.n_columns);
  if (job.gradients == nullptr) return enough;
  return even_chunk(job.n_rows, std::max(enough, chunk_count(job.n_rows, kMostChunks)));
}

/// theta of all rows, unless there are about as many as cells.
std::optional<DispersionTable> make_table(const CountJob& job) {
  const bool shared = job.dispersion.rows == DispersionRows::shared;
  const std::int64_t n_rows = shared ? 1 : job.dispersion.n_categories;
  if (job.dispersion.rows == DispersionRows::per_cell || (!shared && n_rows >= job.n_rows)) return std::nullopt;
  const std::int64_t n = job.counts.n_columns;
  DispersionTable table(n_rows, n);
  parallel_for(n_rows, std::max<std::int64_t>(1, kChunk / n), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      table.regular[static_cast<std::size_t>(i)] = HWY_DYNAMIC_DISPATCH(prepare_dispersions)(
          job.dispersion.values + i * n, n, job.dispersions_are_logs, table.theta.get() + i * table.stride,
          table.inverse.get() + i * table.stride);
  });
  return table;
}

/// Adds what the chunks say of log theta in the order of the chunks.
void add_theta_sums(const CountJob& job, const std::vector<ThetaSums>& sums) {
  constexpr std::int64_t kGenes = 2048;
  const std::int64_t n = job.counts.n_columns;
  const Dispersion<float>& dispersion = job.dispersion;
  if (dispersion.rows == DispersionRows::per_cell) return;
  const std::int64_t n_rows = dispersion.rows == DispersionRows::shared ? 1 : dispersion.n_categories;
  parallel_for(n, kGenes, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < n_rows; ++i)
      std::fill_n(job.gradients->log_theta + i * n + begin, end - begin, 0.0F);
    for (const ThetaSums& chunk : sums) chunk.add_to(job.gradients->log_theta, n, begin, end);
  });
}

void run_without_genes(const CountJob& job) {
  for (std::int64_t row = 0; row < job.n_rows; ++row) {
    job.write(row, 0);
    if (job.gradients != nullptr && job.gradients->library != nullptr) job.gradients->library[row] = 0;
  }
}

void run(CountJob job) {
  if (job.counts.n_columns == 0) return run_without_genes(job);
  const bool poisson = job.likelihood == CountLikelihood::poisson;
  const std::optional<DispersionTable> table = poisson ? std::nullopt : make_table(job);
  job.table = table ? &*table : nullptr;
  const std::int64_t chunk = rows_per_chunk(job);
  const bool with_sums = job.gradients != nullptr && !poisson;
  std::vector<ThetaSums> sums;
  for (std::int64_t i = 0; with_sums && i < chunk_count(job.n_rows, chunk); ++i)
    sums.emplace_back(job.counts.n_columns);
  parallel_for(job.n_rows, chunk, [&](std::int64_t begin, std::int64_t end) {
    ThetaSums* own = with_sums ? &sums[static_cast<std::size_t>(begin / chunk)] : nullptr;
    HWY_DYNAMIC_DISPATCH(count_rows)(job, {begin, end}, own);
  });
  if (with_sums) add_theta_sums(job, sums);
}

CountJob job_of(const CountNll<float>& cells, float* nll, const CountNllGradients<float>* gradients) {
  return {.likelihood = cells.likelihood,
          .counts = cells.counts,
          .log_factorials = cells.log_factorials,
          .n_rows = cells.counts.n_rows,
          .count_row = nullptr,
          .scale_logits = cells.scale_logits,
          .library = cells.library,
          .mean = nullptr,
          .dropout = cells.dropout_logits,
          .dispersion = cells.log_theta,
          .dispersions_are_logs = true,
          .gradients = gradients,
          .nll = nll,
          .log_likelihood = nullptr,
          .table = nullptr};
}

}  // namespace

void count_nll(const CountNll<float>& cells, float* nll) {
  run(job_of(cells, nll, nullptr));
}

void count_nll(const CountNll<float>& cells, float* nll, const CountNllGradients<float>& gradients) {
  run(job_of(cells, nll, &gradients));
}

void count_log_likelihood(const CountMeans<float>& cells, float* log_likelihood) {
  run({.likelihood = cells.likelihood,
       .counts = cells.counts,
       .log_factorials = cells.log_factorials,
       .n_rows = cells.n_rows,
       .count_row = cells.count_row,
       .scale_logits = nullptr,
       .library = nullptr,
       .mean = cells.mean,
       .dropout = cells.dropout_logits,
       .dispersion = cells.theta,
       .dispersions_are_logs = false,
       .gradients = nullptr,
       .nll = nullptr,
       .log_likelihood = log_likelihood,
       .table = nullptr});
}

void log_factorials(const CsrView& counts, double* sums) {
  constexpr std::int64_t kRows = 64;
  parallel_for(counts.n_rows, kRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      sums[row] = HWY_DYNAMIC_DISPATCH(sum_of_log_factorials)(counts, row);
  });
}

}  // namespace scvi::kernel
#endif
