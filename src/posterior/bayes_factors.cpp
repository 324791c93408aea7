#include "scvi/posterior/bayes_factors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <numeric>
#include <set>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/text.hpp"
#include "scvi/kernel/log2_values.hpp"

namespace scvi {
namespace {

/// The reference's guard against the logarithm of 0.
constexpr double kEpsilon = 1e-8;
constexpr std::int64_t kGenesPerChunk = 8;
constexpr double kHardlySeen = 0.01;
constexpr double kHardlySeenQuantile = 0.9;
constexpr double kLeastPseudocount = 1e-10;

template <class Enum>
Enum parse_word(std::string_view word, const char* field, const std::vector<std::pair<std::string, Enum>>& known) {
  std::vector<std::string> names;
  for (const auto& [name, value] : known) {
    if (name == word) return value;
    names.push_back(name);
  }
  throw InputError({.problem = "is '" + std::string(word) + "'", .field = field, .remedy = suggest(word, names)});
}

/// How often a change lies in the region as an increase and as a decrease.
struct Votes {
  std::int64_t up = 0;
  std::int64_t down = 0;
};

double log_odds(double proba) {
  return std::log(proba + kEpsilon) - std::log(1.0 - proba + kEpsilon);
}

/// Sums and extremes are taken in so many lanes, which the compiler can keep in registers.
constexpr std::size_t kLanes = 8;

/// The sum of f(0), f(1), ... f(n - 1) in a fixed order.
template <class F>
double sum_of(std::size_t n, F f) {
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += f(i + lane);
  }
  for (; i < n; ++i) sums[i % kLanes] += f(i);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

double mean_of(std::span<const float> scales, std::span<const std::int64_t> samples) {
  return sum_of(samples.size(), [&](std::size_t i) { return static_cast<double>(scales[samples[i]]); }) /
         static_cast<double>(samples.size());
}

/// The least and the largest, in any order of values that are no NaN.
std::pair<float, float> extremes_of(std::span<const float> values) {
  std::array<float, kLanes> least;
  std::array<float, kLanes> largest;
  least.fill(values.front());
  largest.fill(values.front());
  const auto take = [&](std::size_t lane, float value) {
    least[lane] = value < least[lane] ? value : least[lane];
    largest[lane] = value > largest[lane] ? value : largest[lane];
  };
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) take(lane, values[i + lane]);
  }
  for (; i < values.size(); ++i) take(i % kLanes, values[i]);
  return {*std::min_element(least.begin(), least.end()), *std::max_element(largest.begin(), largest.end())};
}

/// The middle value, or the mean of the middle two. Moves the values about.
double median_by_selection(std::vector<float>& values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (static_cast<double>(*std::max_element(values.begin(), middle)) + *middle) / 2;
}

/// The same of values from `least` to `largest`. Most are only counted: equal steps from one to the other hold few
/// values each, and the middle ones are looked for in the one or two steps that they lie in.
class MedianFinder {
 public:
  double median_of(std::vector<float>& values, float least, float largest) {
    const float steps_per_unit = static_cast<float>(kSteps - 1) / (largest - least);
    if (values.size() < kSteps || !std::isnormal(steps_per_unit)) return median_by_selection(values);
    count(values, least, steps_per_unit);
    const std::size_t upper_rank = values.size() / 2;
    const std::size_t lower_rank = values.size() % 2 == 1 ? upper_rank : upper_rank - 1;
    const auto [first, below_first] = step_of_rank(lower_rank);
    const std::size_t last = step_of_rank(upper_rank).first;
    candidates_.clear();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (step_of_value_[i] >= first && step_of_value_[i] <= last) candidates_.push_back(values[i]);
    }
    std::sort(candidates_.begin(), candidates_.end());
    return (static_cast<double>(candidates_[lower_rank - below_first]) + candidates_[upper_rank - below_first]) / 2;
  }

 private:
  static constexpr std::size_t kSteps = 1024;

  void count(std::span<const float> values, float least, float steps_per_unit) {
    counts_.fill(0);
    step_of_value_.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      // Rounding may lead one step too far, but never out of order.
      const auto step = static_cast<std::uint16_t>(static_cast<int>((values[i] - least) * steps_per_unit));
      step_of_value_[i] = step;
      ++counts_[step];
    }
  }

  /// The step that holds the value with so many below it, and how many values lie in the steps before.
  std::pair<std::size_t, std::size_t> step_of_rank(std::size_t rank) const {
    std::size_t below = 0;
    std::size_t step = 0;
    while (below + counts_[step] <= rank) below += counts_[step++];
    return {step, below};
  }

  std::array<std::uint32_t, kSteps + 1> counts_{};
  std::vector<std::uint16_t> step_of_value_;
  std::vector<float> candidates_;
};

/// What is kept from one gene to the next, by each thread.
struct Scratch {
  std::vector<float> change;
  std::vector<float> subtrahend;
  MedianFinder median;
};

/// Computes one gene after the other for one comparison.
class Tester {
 public:
  Tester(const ScaleSamples& scales, const GroupSamples& group1, const GroupSamples& group2, const SamplePairs& pairs,
         const HypothesisOptions& options, BayesFactors& result)
      : scales_(scales), group1_(group1), group2_(group2), pairs_(pairs), options_(options), result_(result) {
    reserve();
  }

  void test(std::int64_t gene, Scratch& scratch) const {
    const std::span<const float> scales = scales_.gene(gene);
    result_.scale1[gene] = mean_of(scales, group1_.samples);
    result_.scale2[gene] = mean_of(scales, group2_.samples);
    double votes = 0;
    if (options_.mode == DifferentialMode::vanilla) {
      votes = static_cast<double>(larger_in_first(scales));
    } else {
      compute_change(scales, scratch);
      const Votes of_change = vote(scratch.change);
      votes = static_cast<double>(options_.test == ChangeTest::two_sided ? of_change.up + of_change.down
                                                                         : std::max(of_change.up, of_change.down));
      describe(gene, scratch);
    }
    result_.proba[gene] = votes / static_cast<double>(n_pairs());
    result_.bayes_factor[gene] = log_odds(result_.proba[gene]);
  }

 private:
  std::int64_t n_pairs() const { return std::ssize(pairs_.first); }

  void reserve() {
    const auto n = static_cast<std::size_t>(scales_.n_genes);
    result_.mode = options_.mode;
    for (auto* column : {&result_.proba, &result_.bayes_factor, &result_.scale1, &result_.scale2}) column->resize(n);
    if (options_.mode == DifferentialMode::vanilla) return;
    ChangeStatistics& change = result_.change;
    for (auto* column : {&change.mean, &change.median, &change.std, &change.min, &change.max}) column->resize(n);
    for (const double level : options_.cred_interval_lvls) {
      change.intervals.push_back({level, std::vector<double>(n), std::vector<double>(n)});
    }
  }

  std::int64_t larger_in_first(std::span<const float> scales) const {
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < n_pairs(); ++i) count += scales[pairs_.first[i]] > scales[pairs_.second[i]];
    return count;
  }

  void compute_change(std::span<const float> scales, Scratch& scratch) const {
    std::vector<float>& change = scratch.change;
    change.resize(static_cast<std::size_t>(n_pairs()));
    if (!options_.change_fn && options_.change == Change::log_fold) return compute_log_fold(scales, scratch);
    const auto pseudocount = static_cast<float>(options_.pseudocount);
    const auto fill = [&](auto of) {
      for (std::int64_t i = 0; i < n_pairs(); ++i) {
        change[i] = of(scales[pairs_.first[i]] + pseudocount, scales[pairs_.second[i]] + pseudocount);
      }
    };
    if (options_.change_fn) {
      fill([&](float x, float y) { return static_cast<float>(options_.change_fn(x, y)); });
    } else {
      fill([](float x, float y) { return x - y; });
    }
  }

  void compute_log_fold(std::span<const float> scales, Scratch& scratch) const {
    std::vector<float>& change = scratch.change;
    std::vector<float>& other = scratch.subtrahend;
    other.resize(change.size());
    const auto pseudocount = static_cast<float>(options_.pseudocount);
    for (std::int64_t i = 0; i < n_pairs(); ++i) {
      change[i] = scales[pairs_.first[i]] + pseudocount;
      other[i] = scales[pairs_.second[i]] + pseudocount;
    }
    kernel::log2_values(change.data(), n_pairs(), change.data());
    kernel::log2_values(other.data(), n_pairs(), other.data());
    for (std::size_t i = 0; i < change.size(); ++i) change[i] -= other[i];
  }

  Votes vote(std::span<const float> change) const {
    if (options_.m1_domain_fn) return vote_by_domain(change);
    const auto delta = static_cast<float>(options_.delta);
    std::uint32_t up = 0;
    std::uint32_t down = 0;
    for (const float value : change) {
      up += static_cast<std::uint32_t>(value >= delta) & static_cast<std::uint32_t>(value > 0);
      down += static_cast<std::uint32_t>(value <= -delta) & static_cast<std::uint32_t>(value <= 0);
    }
    return {up, down};
  }

  Votes vote_by_domain(std::span<const float> change) const {
    Votes votes;
    for (const float value : change) {
      const bool matters = options_.m1_domain_fn(value);
      votes.up += matters && value > 0;
      votes.down += matters && !(value > 0);
    }
    return votes;
  }

  /// Leaves the changes in another order.
  void describe(std::int64_t gene, Scratch& scratch) const {
    std::vector<float>& change = scratch.change;
    ChangeStatistics& to = result_.change;
    const auto n = static_cast<double>(change.size());
    const double mean = sum_of(change.size(), [&](std::size_t i) { return static_cast<double>(change[i]); }) / n;
    to.mean[gene] = mean;
    to.std[gene] =
        std::sqrt(sum_of(change.size(), [&](std::size_t i) { return (change[i] - mean) * (change[i] - mean); }) / n);
    // Not a number is in no order, which sorting relies on.
    if (std::isnan(mean) && std::any_of(change.begin(), change.end(), [](float x) { return std::isnan(x); })) {
      return describe_unordered(gene);
    }
    const auto [least, largest] = extremes_of(change);
    to.min[gene] = least;
    to.max[gene] = largest;
    if (!to.intervals.empty()) std::sort(change.begin(), change.end());
    for (CredibleIntervals& interval : to.intervals) {
      std::tie(interval.lower[gene], interval.upper[gene]) = credible_interval(change, interval.level);
    }
    to.median[gene] = scratch.median.median_of(change, least, largest);
  }

  void describe_unordered(std::int64_t gene) const {
    ChangeStatistics& to = result_.change;
    for (auto* column : {&to.median, &to.min, &to.max}) (*column)[gene] = std::nan("");
    for (CredibleIntervals& interval : to.intervals) interval.lower[gene] = interval.upper[gene] = std::nan("");
  }

  const ScaleSamples& scales_;
  const GroupSamples& group1_;
  const GroupSamples& group2_;
  const SamplePairs& pairs_;
  const HypothesisOptions& options_;
  BayesFactors& result_;
};

/// The samples of a group by the batch that they were decoded for.
std::map<std::int64_t, std::vector<std::int64_t>> by_batch(const GroupSamples& group) {
  std::map<std::int64_t, std::vector<std::int64_t>> samples;
  for (std::size_t i = 0; i < group.samples.size(); ++i) samples[group.batches[i]].push_back(group.samples[i]);
  return samples;
}

bool same_batches(const std::map<std::int64_t, std::vector<std::int64_t>>& samples1,
                  const std::map<std::int64_t, std::vector<std::int64_t>>& samples2) {
  return std::equal(samples1.begin(), samples1.end(), samples2.begin(), samples2.end(),
                    [](const auto& a, const auto& b) { return a.first == b.first; });
}

bool share_a_batch(const std::map<std::int64_t, std::vector<std::int64_t>>& samples1,
                   const std::map<std::int64_t, std::vector<std::int64_t>>& samples2) {
  return std::any_of(samples1.begin(), samples1.end(),
                     [&](const auto& entry) { return entry.first >= 0 && samples2.contains(entry.first); });
}

void append_picked(std::vector<std::int64_t>& to, const std::vector<std::int64_t>& samples,
                   const std::vector<std::int64_t>& picked) {
  for (const std::int64_t at : picked) to.push_back(samples.at(static_cast<std::size_t>(at)));
}

void append_pairs(SamplePairs& pairs, const std::vector<std::int64_t>& samples1,
                  const std::vector<std::int64_t>& samples2, std::int64_t block, std::int64_t n_picks,
                  const PickSamples& pick) {
  if (n_picks > 0) {
    append_picked(pairs.first, samples1, pick(1, block, std::ssize(samples1), n_picks));
    append_picked(pairs.second, samples2, pick(2, block, std::ssize(samples2), n_picks));
    return;
  }
  const auto n = static_cast<std::ptrdiff_t>(std::min(samples1.size(), samples2.size()));
  pairs.first.insert(pairs.first.end(), samples1.begin(), samples1.begin() + n);
  pairs.second.insert(pairs.second.end(), samples2.begin(), samples2.begin() + n);
}

double quantile(std::vector<double> values, double level) {
  std::sort(values.begin(), values.end());
  const double place = level * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

double scale_of_unseen(std::span<const double> mean_count, std::span<const double> mean_scale) {
  std::vector<double> unseen;
  for (std::size_t gene = 0; gene < mean_count.size(); ++gene) {
    if (mean_count[gene] < kHardlySeen) unseen.push_back(mean_scale[gene]);
  }
  return unseen.empty() ? 0.0 : quantile(std::move(unseen), kHardlySeenQuantile);
}

void append(std::vector<double>& whole, const std::vector<double>& part) {
  whole.insert(whole.end(), part.begin(), part.end());
}

}  // namespace

DifferentialMode parse_differential_mode(std::string_view word) {
  return parse_word<DifferentialMode>(word, "mode",
                                      {{"vanilla", DifferentialMode::vanilla}, {"change", DifferentialMode::change}});
}

Change parse_change(std::string_view word) {
  return parse_word<Change>(word, "change_fn", {{"log-fold", Change::log_fold}, {"shift", Change::shift}});
}

ChangeTest parse_change_test(std::string_view word) {
  return parse_word<ChangeTest>(word, "test",
                                {{"two-sided", ChangeTest::two_sided}, {"three-way", ChangeTest::three_way}});
}

void check(const HypothesisOptions& options) {
  const auto refuse_unless = [](bool fine, const char* field, double value, const char* must) {
    if (fine) return;
    throw InputError({.problem = "is " + std::to_string(value) + ", but must be " + must, .field = field});
  };
  refuse_unless(options.delta >= 0 && std::isfinite(options.delta), "delta", options.delta, "a number of at least 0");
  refuse_unless(options.pseudocount >= 0 && std::isfinite(options.pseudocount), "pseudocount", options.pseudocount,
                "a number of at least 0");
  for (const double level : options.cred_interval_lvls) {
    refuse_unless(level > 0 && level < 1, "cred_interval_lvls", level, "between 0 and 1");
  }
}

SamplePairs make_pairs(const GroupSamples& group1, const GroupSamples& group2, const PairOptions& options,
                       const PickSamples& pick) {
  if (group1.samples.empty() || group2.samples.empty()) {
    throw InputError({.problem = "has no samples", .field = "a group to compare"});
  }
  const auto samples1 = by_batch(group1);
  const auto samples2 = by_batch(group2);
  const bool observed = samples1.contains(-1) || samples2.contains(-1);
  const bool within_batches = !observed && same_batches(samples1, samples2);
  const auto n_blocks = within_batches ? std::ssize(samples1) : 1;
  const std::int64_t n_picks = options.use_permutation ? options.M_permutation / n_blocks : 0;
  if (options.use_permutation && n_picks < 1) {
    throw InputError({.problem = "is " + std::to_string(options.M_permutation) + ", but must be at least " +
                                 std::to_string(n_blocks),
                      .field = "M_permutation"});
  }
  SamplePairs pairs;
  if (!within_batches) {
    if (!observed && share_a_batch(samples1, samples2)) {
      log_warning("the groups are decoded for batches that they share only in part: effects of batches remain");
    }
    append_pairs(pairs, group1.samples, group2.samples, 0, n_picks, pick);
    return pairs;
  }
  std::int64_t block = 0;
  for (const auto& [batch, of_batch] : samples1) {
    append_pairs(pairs, of_batch, samples2.at(batch), block++, n_picks, pick);
  }
  return pairs;
}

BayesFactors bayes_factors(const ScaleSamples& scales, const GroupSamples& group1, const GroupSamples& group2,
                           const SamplePairs& pairs, const HypothesisOptions& options) {
  check(options);
  if (pairs.first.empty() || pairs.first.size() != pairs.second.size()) {
    throw InputError({.problem = "must be at least one, each of two samples", .field = "pairs of samples"});
  }
  BayesFactors result;
  const Tester tester(scales, group1, group2, pairs, options, result);
  parallel_for(scales.n_genes, kGenesPerChunk, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    Scratch scratch;
    for (std::int64_t gene = begin; gene < end; ++gene) tester.test(gene, scratch);
  });
  return result;
}

void append_genes(BayesFactors& whole, const BayesFactors& part) {
  if (whole.proba.empty()) {
    whole = part;
    return;
  }
  append(whole.proba, part.proba);
  append(whole.bayes_factor, part.bayes_factor);
  append(whole.scale1, part.scale1);
  append(whole.scale2, part.scale2);
  append(whole.change.mean, part.change.mean);
  append(whole.change.median, part.change.median);
  append(whole.change.std, part.change.std);
  append(whole.change.min, part.change.min);
  append(whole.change.max, part.change.max);
  for (std::size_t i = 0; i < whole.change.intervals.size(); ++i) {
    append(whole.change.intervals[i].lower, part.change.intervals[i].lower);
    append(whole.change.intervals[i].upper, part.change.intervals[i].upper);
  }
}

std::pair<double, double> credible_interval(std::span<const float> sorted, double level) {
  if (!(level >= 0 && level < 1) || sorted.empty()) {
    throw InputError({.problem = "needs samples and a level from 0 to below 1", .field = "a credible interval"});
  }
  const auto width = static_cast<std::size_t>(std::floor(level * static_cast<double>(sorted.size())));
  std::size_t best = 0;
  for (std::size_t first = 1; first + width < sorted.size(); ++first) {
    if (sorted[first + width] - sorted[first] < sorted[best + width] - sorted[best]) best = first;
  }
  return {sorted[best], sorted[best + width]};
}

double suggested_pseudocount(std::span<const double> mean_count1, std::span<const double> mean_scale1,
                             std::span<const double> mean_count2, std::span<const double> mean_scale2) {
  return std::max(
      {scale_of_unseen(mean_count1, mean_scale1), scale_of_unseen(mean_count2, mean_scale2), kLeastPseudocount});
}

std::vector<bool> call_by_expected_fdr(std::span<const double> proba, double target) {
  if (!(target > 0 && target < 1)) {
    throw InputError({.problem = "is " + std::to_string(target) + ", but must be between 0 and 1", .field = "fdr"});
  }
  std::vector<double> sorted(proba.begin(), proba.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double least = 2;
  double expected_false = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    expected_false += 1 - sorted[i];
    const bool last_of_ties = i + 1 == sorted.size() || sorted[i + 1] < sorted[i];
    if (last_of_ties && expected_false <= target * static_cast<double>(i + 1)) least = sorted[i];
  }
  std::vector<bool> called;
  for (const double p : proba) called.push_back(p >= least);
  return called;
}

}  // namespace scvi
