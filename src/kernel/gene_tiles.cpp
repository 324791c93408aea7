#include "scvi/kernel/gene_tiles.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "gene_tiles.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// A tile is worked through in strips of as many genes as a vector holds.
constexpr hn::CappedTag<float, kTileGenes> kStrip{};
constexpr hn::RebindToSigned<decltype(kStrip)> kStripCounts{};
constexpr auto kStripGenes = static_cast<std::int64_t>(hn::MaxLanes(kStrip));
using Strip = hn::Vec<decltype(kStrip)>;

/// Rows that are fetched ahead: the memory cannot guess which come next.
constexpr std::int64_t kAhead = 12;

/// Sums of the genes of a strip in float64, and of squares.
class StripSums {
 public:
  HWY_INLINE StripSums() {
    for (int part = 0; part < kParts; ++part) sums_[part] = squares_[part] = hn::Zero(kDoubles);
  }
  HWY_INLINE void add(const float* values) {
    for (int part = 0; part < kParts; ++part) sums_[part] = hn::Add(sums_[part], load(values, part));
  }
  /// Both of the differences from other numbers.
  HWY_INLINE void add_differences(const float* values, const float* base) {
    for (int part = 0; part < kParts; ++part) {
      const auto difference = hn::Sub(load(values, part), load(base, part));
      sums_[part] = hn::Add(sums_[part], difference);
      squares_[part] = hn::MulAdd(difference, difference, squares_[part]);
    }
  }
  HWY_INLINE void store(double* sums) const {
    for (int part = 0; part < kParts; ++part) hn::StoreU(sums_[part], kDoubles, sums + part * kPartGenes);
  }
  HWY_INLINE void store_squares(double* squares) const {
    for (int part = 0; part < kParts; ++part) hn::StoreU(squares_[part], kDoubles, squares + part * kPartGenes);
  }

 private:
  static constexpr hn::CappedTag<double, kTileGenes> kDoubles{};
  static constexpr hn::Rebind<float, decltype(kDoubles)> kFloats{};
  static constexpr auto kPartGenes = static_cast<std::int64_t>(hn::MaxLanes(kDoubles));
  static constexpr int kParts = static_cast<int>(kStripGenes / kPartGenes);
  using Doubles = hn::Vec<decltype(kDoubles)>;

  static HWY_INLINE Doubles load(const float* values, int part) {
    return hn::PromoteTo(kDoubles, hn::LoadU(kFloats, values + part * kPartGenes));
  }

  Doubles sums_[kParts];
  Doubles squares_[kParts];
};

HWY_INLINE void plain_log2_change(Strip first, Strip second, float* change) {
  HWY_ALIGN float a[kTileGenes];
  HWY_ALIGN float b[kTileGenes];
  hn::Store(first, kStrip, a);
  hn::Store(second, kStrip, b);
  for (std::int64_t gene = 0; gene < kStripGenes; ++gene) change[gene] = std::log2(a[gene]) - std::log2(b[gene]);
}

void changes_of_strip(const RowPairs& pairs, float pseudocount, std::int64_t strip, float* changes) {
  const auto added = hn::Set(kStrip, pseudocount);
  const auto smallest = hn::Set(kStrip, std::numeric_limits<float>::min());
  const auto largest = hn::Set(kStrip, std::numeric_limits<float>::max());
  const float* rows = pairs.rows + strip;
  for (std::int64_t i = 0; i < pairs.n; ++i) {
    const std::int64_t later = std::min(i + kAhead, pairs.n - 1);
    hwy::Prefetch(rows + pairs.first[later] * kTileGenes);
    hwy::Prefetch(rows + pairs.second[later] * kTileGenes);
    const auto first = hn::Add(hn::LoadU(kStrip, rows + pairs.first[i] * kTileGenes), added);
    const auto second = hn::Add(hn::LoadU(kStrip, rows + pairs.second[i] * kTileGenes), added);
    const auto ratio = hn::Div(first, second);
    const auto is_regular = hn::And(hn::Ge(hn::Min(hn::Min(first, second), ratio), smallest), hn::Le(ratio, largest));
    float* change = changes + i * kTileGenes + strip;
    if (hn::AllTrue(kStrip, is_regular)) {
      hn::StoreU(hn::Log2(kStrip, ratio), kStrip, change);
    } else {
      plain_log2_change(first, second, change);
    }
  }
}

void all_changes(const RowPairs& pairs, float pseudocount, float* changes) {
  for (std::int64_t strip = 0; strip < kTileGenes; strip += kStripGenes) {
    changes_of_strip(pairs, pseudocount, strip, changes);
  }
}

void add_rows(const float* rows, const std::int64_t* chosen, std::int64_t n, double* sums) {
  for (std::int64_t strip = 0; strip < kTileGenes; strip += kStripGenes) {
    StripSums sum;
    for (std::int64_t i = 0; i < n; ++i) {
      hwy::Prefetch(rows + strip + chosen[std::min(i + kAhead, n - 1)] * kTileGenes);
      sum.add(rows + strip + chosen[i] * kTileGenes);
    }
    sum.store(sums + strip);
  }
}

/// @param differences sums of those from the first row: so squares do not swallow a small spread
void summary_of_strip(const float* rows, std::int64_t n, float delta, double* differences, double* squares,
                      std::int64_t strip, RowSummary& summary) {
  const auto zero = hn::Zero(kStrip);
  StripSums sums;
  auto least = hn::LoadU(kStrip, rows + strip);
  auto largest = least;
  auto up = hn::Zero(kStripCounts);
  auto down = hn::Zero(kStripCounts);
  for (std::int64_t i = 0; i < n; ++i) {
    const float* row = rows + i * kTileGenes + strip;
    const auto value = hn::LoadU(kStrip, row);
    sums.add_differences(row, rows + strip);
    least = hn::Min(least, value);
    largest = hn::Max(largest, value);
    // The masks of true lanes are -1.
    const auto is_up = hn::And(hn::Ge(value, hn::Set(kStrip, delta)), hn::Gt(value, zero));
    const auto is_down = hn::And(hn::Le(value, hn::Set(kStrip, -delta)), hn::Le(value, zero));
    up = hn::Sub(up, hn::VecFromMask(kStripCounts, hn::RebindMask(kStripCounts, is_up)));
    down = hn::Sub(down, hn::VecFromMask(kStripCounts, hn::RebindMask(kStripCounts, is_down)));
  }
  sums.store(differences + strip);
  sums.store_squares(squares + strip);
  hn::StoreU(least, kStrip, summary.least.data() + strip);
  hn::StoreU(largest, kStrip, summary.largest.data() + strip);
  HWY_ALIGN std::int32_t counts[kTileGenes];
  hn::Store(up, kStripCounts, counts);
  std::copy_n(counts, kStripGenes, summary.up.begin() + strip);
  hn::Store(down, kStripCounts, counts);
  std::copy_n(counts, kStripGenes, summary.down.begin() + strip);
}

void summarize(const float* rows, std::int64_t n, float delta, double* differences, double* squares,
               RowSummary& summary) {
  for (std::int64_t strip = 0; strip < kTileGenes; strip += kStripGenes) {
    summary_of_strip(rows, n, delta, differences, squares, strip, summary);
  }
}

/// How many rows are below one bound and below another.
void count_below(const float* rows, std::int64_t n, const OfTile<float>* bounds, OfTile<std::int32_t>* counts) {
  for (std::int64_t strip = 0; strip < kTileGenes; strip += kStripGenes) {
    const auto bound0 = hn::LoadU(kStrip, bounds[0].data() + strip);
    const auto bound1 = hn::LoadU(kStrip, bounds[1].data() + strip);
    auto count0 = hn::Zero(kStripCounts);
    auto count1 = hn::Zero(kStripCounts);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto value = hn::LoadU(kStrip, rows + i * kTileGenes + strip);
      const auto is_below0 = hn::Lt(value, bound0);
      const auto is_below1 = hn::Lt(value, bound1);
      count0 = hn::Sub(count0, hn::VecFromMask(kStripCounts, hn::RebindMask(kStripCounts, is_below0)));
      count1 = hn::Sub(count1, hn::VecFromMask(kStripCounts, hn::RebindMask(kStripCounts, is_below1)));
    }
    hn::StoreU(count0, kStripCounts, counts[0].data() + strip);
    hn::StoreU(count1, kStripCounts, counts[1].data() + strip);
  }
}

/// Appends the values from `low` to below `high` to those of their genes.
void collect(const float* rows, std::int64_t n, const OfTile<float>& low, const OfTile<float>& high,
             std::vector<float>* values) {
  for (std::int64_t strip = 0; strip < kTileGenes; strip += kStripGenes) {
    const auto from = hn::LoadU(kStrip, low.data() + strip);
    const auto to = hn::LoadU(kStrip, high.data() + strip);
    for (std::int64_t i = 0; i < n; ++i) {
      const float* row = rows + i * kTileGenes + strip;
      const auto value = hn::LoadU(kStrip, row);
      const auto is_inside = hn::And(hn::Ge(value, from), hn::Lt(value, to));
      if (hn::AllFalse(kStrip, is_inside)) continue;
      std::uint8_t bits[8] = {};
      hn::StoreMaskBits(kStrip, is_inside, bits);
      std::uint32_t inside = bits[0] | static_cast<std::uint32_t>(bits[1]) << 8U;
      for (; inside != 0; inside &= inside - 1) {
        const auto gene = static_cast<std::int64_t>(hwy::Num0BitsBelowLS1Bit_Nonzero32(inside));
        values[strip + gene].push_back(row[gene]);
      }
    }
  }
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(all_changes);
HWY_EXPORT(add_rows);
HWY_EXPORT(summarize);
HWY_EXPORT(count_below);
HWY_EXPORT(collect);

/// So few candidates for a median are not narrowed down further; and not more often than this.
constexpr std::int64_t kFewCandidates = 96;
constexpr int kMostNarrowings = 5;
/// Where a median is looked for first: so many standard deviations around the mean. And then so many ranks around
/// where it would lie if values were spread evenly.
constexpr double kFirstReach = 0.25;
constexpr double kRanksAround = 36;

/// Where the middle values of a gene can be: those from `low` to below `high`, of which so many are below either.
struct Bracket {
  float low;
  float high;
  std::int64_t below_low;
  std::int64_t below_high;

  /// @param lower,upper ranks of the middle values; a bound that parts them is of no use
  void narrow(float bound, std::int64_t below, std::int64_t lower, std::int64_t upper) {
    if (below <= lower && bound > low) {
      low = bound;
      below_low = below;
    } else if (below > upper && bound < high) {
      high = bound;
      below_high = below;
    }
  }
  std::int64_t n_candidates() const { return below_high - below_low; }
  /// The value that so many would be below if they were spread evenly.
  float value_at(double rank) const {
    const double part = (rank - static_cast<double>(below_low)) / static_cast<double>(n_candidates());
    return static_cast<float>(low + (static_cast<double>(high) - low) * std::clamp(part, 0.0, 1.0));
  }
};

/// Finds the medians of the genes of a tile: brackets around them are narrowed by counting, and only what is left in
/// them is put in order.
class MedianSearch {
 public:
  MedianSearch(const float* rows, std::int64_t n, const RowSummary& summary)
      : rows_(rows), n_(n), lower_((n - 1) / 2), upper_(n / 2), summary_(summary) {
    for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
      if (!std::isfinite(summary.mean[gene])) continue;
      brackets_[gene] = {summary.least[gene],
                         std::nextafter(summary.largest[gene], std::numeric_limits<float>::infinity()), 0, n};
    }
  }

  OfTile<double> medians() {
    for (int i = 0; i < kMostNarrowings && !few_are_left(); ++i) narrow(i == 0);
    return medians_of_candidates();
  }

 private:
  bool few_are_left() const {
    return std::all_of(brackets_.begin(), brackets_.end(),
                       [](const Bracket& bracket) { return bracket.n_candidates() <= kFewCandidates; });
  }

  void narrow(bool first) {
    std::array<OfTile<float>, 2> bounds;
    for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
      const Bracket& bracket = brackets_[gene];
      const double reach = kFirstReach * summary_.std[gene];
      bounds[0][gene] = first ? static_cast<float>(summary_.mean[gene] - reach)
                              : bracket.value_at(static_cast<double>(lower_) - kRanksAround);
      bounds[1][gene] = first ? static_cast<float>(summary_.mean[gene] + reach)
                              : bracket.value_at(static_cast<double>(upper_) + kRanksAround);
    }
    std::array<OfTile<std::int32_t>, 2> below;
    HWY_DYNAMIC_DISPATCH(count_below)(rows_, n_, bounds.data(), below.data());
    for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
      for (int i = 0; i < 2; ++i) brackets_[gene].narrow(bounds[i][gene], below[i][gene], lower_, upper_);
    }
  }

  OfTile<double> medians_of_candidates() const {
    OfTile<float> low;
    OfTile<float> high;
    std::array<std::vector<float>, kTileGenes> candidates;
    for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
      low[gene] = brackets_[gene].low;
      high[gene] = brackets_[gene].high;
      candidates[gene].reserve(static_cast<std::size_t>(brackets_[gene].n_candidates()));
    }
    HWY_DYNAMIC_DISPATCH(collect)(rows_, n_, low, high, candidates.data());
    OfTile<double> medians{};
    for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
      if (std::isfinite(summary_.mean[gene])) medians[gene] = median_of(candidates[gene], brackets_[gene].below_low);
    }
    return medians;
  }

  double median_of(std::vector<float>& candidates, std::int64_t below) const {
    const auto middle = candidates.begin() + (upper_ - below);
    std::nth_element(candidates.begin(), middle, candidates.end());
    if (lower_ == upper_) return *middle;
    return (static_cast<double>(*std::max_element(candidates.begin(), middle)) + *middle) / 2;
  }

  const float* rows_;
  std::int64_t n_;
  std::int64_t lower_;
  std::int64_t upper_;
  const RowSummary& summary_;
  OfTile<Bracket> brackets_{};
};

}  // namespace

void log2_changes(const RowPairs& pairs, float pseudocount, float* changes) {
  HWY_DYNAMIC_DISPATCH(all_changes)(pairs, pseudocount, changes);
}

OfTile<double> mean_of_rows(const float* rows, const std::int64_t* chosen, std::int64_t n) {
  OfTile<double> mean{};
  HWY_DYNAMIC_DISPATCH(add_rows)(rows, chosen, n, mean.data());
  for (double& value : mean) value /= static_cast<double>(n);
  return mean;
}

RowSummary summary_of_rows(const float* rows, std::int64_t n, float delta) {
  RowSummary summary{};
  OfTile<double> differences{};
  OfTile<double> squares{};
  HWY_DYNAMIC_DISPATCH(summarize)(rows, n, delta, differences.data(), squares.data(), summary);
  const auto count = static_cast<double>(n);
  for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
    const double mean_difference = differences[gene] / count;
    summary.mean[gene] = static_cast<double>(rows[gene]) + mean_difference;
    summary.std[gene] = std::sqrt(std::max(0.0, squares[gene] / count - mean_difference * mean_difference));
  }
  return summary;
}

OfTile<double> median_of_rows(const float* rows, std::int64_t n, const RowSummary& summary) {
  return MedianSearch(rows, n, summary).medians();
}

}  // namespace scvi::kernel
#endif
