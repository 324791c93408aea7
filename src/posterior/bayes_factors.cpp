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
#include "scvi/kernel/gene_tiles.hpp"
#include "scvi/kernel/log2_values.hpp"

namespace scvi {
namespace {

using kernel::kTileGenes;

/// The reference's guard against the logarithm of 0.
constexpr double kEpsilon = 1e-8;
/// Changes of more pairs are computed gene by gene, so that they take little memory.
constexpr std::int64_t kMostPairsOfTile = std::int64_t{1} << 20;
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

double log_odds(double proba) {
  return std::log(proba + kEpsilon) - std::log(1.0 - proba + kEpsilon);
}

/// The middle value, or the mean of the middle two. Moves the values about.
double median_by_selection(std::vector<float>& values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (static_cast<double>(*std::max_element(values.begin(), middle)) + *middle) / 2;
}

/// What is kept from one tile to the next, by each thread.
struct Scratch {
  std::vector<float> tile;  ///< changes, as kernel::log2_changes() writes them
  std::vector<float> change;
  std::vector<float> subtrahend;
};

/// How often a change lies in the region as an increase and as a decrease.
struct Votes {
  std::int64_t up = 0;
  std::int64_t down = 0;
};

/// Computes one gene after the other for one comparison.
class Tester {
 public:
  Tester(const ScaleSamples& scales, const GroupComparison& comparison, BayesFactors& result)
      : scales_(scales), comparison_(comparison), options_(comparison.options), result_(result) {
    check(options_);
    if (pairs().first.empty() || pairs().first.size() != pairs().second.size()) {
      throw InputError({.problem = "must be at least one, each of two samples", .field = "pairs of samples"});
    }
    reserve();
  }

  void test(std::int64_t tile, Scratch& scratch) const {
    const Genes genes{.rows = scales_.tile(tile),
                      .first = tile * kTileGenes,
                      .n = std::min(kTileGenes, scales_.n_genes() - tile * kTileGenes)};
    write_means(genes, comparison_.group1.samples, result_.scale1);
    write_means(genes, comparison_.group2.samples, result_.scale2);
    if (options_.mode == DifferentialMode::vanilla) {
      test_order(genes);
    } else if (n_pairs() <= kMostPairsOfTile) {
      test_changes(genes, scratch);
    } else {
      test_changes_by_gene(genes, scratch.change, scratch.subtrahend);
    }
  }

 private:
  /// The genes of a tile.
  struct Genes {
    const float* rows;
    std::int64_t first;
    std::int64_t n;
  };

  const SamplePairs& pairs() const { return comparison_.pairs; }
  std::int64_t n_pairs() const { return std::ssize(pairs().first); }

  void reserve() {
    const auto n = static_cast<std::size_t>(scales_.n_genes());
    result_.mode = options_.mode;
    for (auto* column : {&result_.proba, &result_.bayes_factor, &result_.scale1, &result_.scale2}) column->resize(n);
    if (options_.mode == DifferentialMode::vanilla) return;
    ChangeStatistics& change = result_.change;
    for (auto* column : {&change.mean, &change.median, &change.std, &change.min, &change.max}) column->resize(n);
    for (const double level : options_.cred_interval_lvls) {
      change.intervals.push_back({level, std::vector<double>(n), std::vector<double>(n)});
    }
  }

  void write_means(const Genes& genes, const std::vector<std::int64_t>& samples, std::vector<double>& to) const {
    const auto mean = kernel::mean_of_rows(genes.rows, samples.data(), std::ssize(samples));
    std::copy_n(mean.begin(), genes.n, to.begin() + genes.first);
  }

  void write_probability(std::int64_t gene, std::int64_t votes) const {
    result_.proba[gene] = static_cast<double>(votes) / static_cast<double>(n_pairs());
    result_.bayes_factor[gene] = log_odds(result_.proba[gene]);
  }

  void write_probability(std::int64_t gene, const Votes& votes) const {
    const bool two_sided = options_.test == ChangeTest::two_sided;
    write_probability(gene, two_sided ? votes.up + votes.down : std::max(votes.up, votes.down));
  }

  void test_order(const Genes& genes) const {
    kernel::OfTile<std::int64_t> larger_in_first{};
    for (std::int64_t i = 0; i < n_pairs(); ++i) {
      const float* first = genes.rows + pairs().first[i] * kTileGenes;
      const float* second = genes.rows + pairs().second[i] * kTileGenes;
      for (std::int64_t j = 0; j < kTileGenes; ++j) larger_in_first[j] += first[j] > second[j];
    }
    for (std::int64_t j = 0; j < genes.n; ++j) write_probability(genes.first + j, larger_in_first[j]);
  }

  void test_changes(const Genes& genes, Scratch& scratch) const {
    compute_changes(genes, scratch.tile);
    const float* changes = scratch.tile.data();
    const kernel::RowSummary summary =
        kernel::summary_of_rows(changes, n_pairs(), static_cast<float>(options_.delta));
    const auto median = kernel::median_of_rows(changes, n_pairs(), summary);
    ChangeStatistics& to = result_.change;
    for (std::int64_t j = 0; j < genes.n; ++j) {
      const std::int64_t gene = genes.first + j;
      const bool is_finite = std::isfinite(summary.mean[j]);
      if (!is_finite || !to.intervals.empty() || options_.m1_domain_fn) copy_gene(scratch.tile, j, scratch.change);
      write_probability(gene, options_.m1_domain_fn ? vote(scratch.change) : Votes{summary.up[j], summary.down[j]});
      if (!is_finite) {
        describe(gene, scratch.change);
        continue;
      }
      to.mean[gene] = summary.mean[j];
      to.std[gene] = summary.std[j];
      to.min[gene] = summary.least[j];
      to.max[gene] = summary.largest[j];
      to.median[gene] = median[j];
      write_intervals(gene, scratch.change);
    }
  }

  void test_changes_by_gene(const Genes& genes, std::vector<float>& change, std::vector<float>& subtrahend) const {
    for (std::int64_t j = 0; j < genes.n; ++j) {
      compute_change(genes.rows + j, change, subtrahend);
      write_probability(genes.first + j, vote(change));
      describe(genes.first + j, change);
    }
  }

  bool takes_logarithms() const { return !options_.change_fn && options_.change == Change::log_fold; }

  float plain_change(float x, float y) const {
    return options_.change_fn ? static_cast<float>(options_.change_fn(x, y)) : x - y;
  }

  void compute_changes(const Genes& genes, std::vector<float>& changes) const {
    changes.resize(static_cast<std::size_t>(n_pairs() * kTileGenes));
    const auto pseudocount = static_cast<float>(options_.pseudocount);
    if (takes_logarithms()) {
      return kernel::log2_changes({genes.rows, pairs().first.data(), pairs().second.data(), n_pairs()}, pseudocount,
                                  changes.data());
    }
    for (std::int64_t i = 0; i < n_pairs(); ++i) {
      const float* first = genes.rows + pairs().first[i] * kTileGenes;
      const float* second = genes.rows + pairs().second[i] * kTileGenes;
      float* change = changes.data() + i * kTileGenes;
      for (std::int64_t j = 0; j < genes.n; ++j) {
        change[j] = plain_change(first[j] + pseudocount, second[j] + pseudocount);
      }
    }
  }

  /// @param scales of one gene, those of the samples kTileGenes apart
  void compute_change(const float* scales, std::vector<float>& change, std::vector<float>& subtrahend) const {
    const auto pseudocount = static_cast<float>(options_.pseudocount);
    change.resize(static_cast<std::size_t>(n_pairs()));
    subtrahend.resize(change.size());
    for (std::int64_t i = 0; i < n_pairs(); ++i) {
      change[i] = scales[pairs().first[i] * kTileGenes] + pseudocount;
      subtrahend[i] = scales[pairs().second[i] * kTileGenes] + pseudocount;
    }
    if (takes_logarithms()) {
      kernel::log2_values(change.data(), n_pairs(), change.data());
      kernel::log2_values(subtrahend.data(), n_pairs(), subtrahend.data());
      for (std::size_t i = 0; i < change.size(); ++i) change[i] -= subtrahend[i];
    } else {
      for (std::size_t i = 0; i < change.size(); ++i) change[i] = plain_change(change[i], subtrahend[i]);
    }
  }

  void copy_gene(const std::vector<float>& changes, std::int64_t j, std::vector<float>& to) const {
    to.resize(static_cast<std::size_t>(n_pairs()));
    for (std::int64_t i = 0; i < n_pairs(); ++i) to[i] = changes[i * kTileGenes + j];
  }

  Votes vote(std::span<const float> change) const {
    const auto delta = static_cast<float>(options_.delta);
    Votes votes;
    for (const float value : change) {
      const bool up = value > 0;
      const bool matters = options_.m1_domain_fn ? options_.m1_domain_fn(value)
                           : up                  ? value >= delta
                                                 : value <= -delta;
      votes.up += matters && up;
      votes.down += matters && !up;
    }
    return votes;
  }

  /// Leaves the changes in another order.
  void describe(std::int64_t gene, std::vector<float>& change) const {
    ChangeStatistics& to = result_.change;
    const auto n = static_cast<double>(change.size());
    const double mean = std::accumulate(change.begin(), change.end(), 0.0) / n;
    double squares = 0;
    for (const float value : change) squares += (value - mean) * (value - mean);
    to.mean[gene] = mean;
    to.std[gene] = std::sqrt(squares / n);
    // Not a number is in no order, which sorting relies on.
    if (std::isnan(mean) && std::any_of(change.begin(), change.end(), [](float x) { return std::isnan(x); })) {
      return describe_unordered(gene);
    }
    const auto [least, largest] = std::minmax_element(change.begin(), change.end());
    to.min[gene] = *least;
    to.max[gene] = *largest;
    write_intervals(gene, change);
    to.median[gene] = median_by_selection(change);
  }

  void write_intervals(std::int64_t gene, std::vector<float>& change) const {
    std::vector<CredibleIntervals>& intervals = result_.change.intervals;
    if (intervals.empty()) return;
    std::sort(change.begin(), change.end());
    for (CredibleIntervals& interval : intervals) {
      std::tie(interval.lower[gene], interval.upper[gene]) = credible_interval(change, interval.level);
    }
  }

  void describe_unordered(std::int64_t gene) const {
    ChangeStatistics& to = result_.change;
    for (auto* column : {&to.median, &to.min, &to.max}) (*column)[gene] = std::nan("");
    for (CredibleIntervals& interval : to.intervals) interval.lower[gene] = interval.upper[gene] = std::nan("");
  }

  const ScaleSamples& scales_;
  const GroupComparison& comparison_;
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

/// Of the genes that keep the expected part of false ones at or below the target; above 1 where none do.
double least_probability(std::span<const double> proba, double target) {
  std::vector<double> sorted(proba.begin(), proba.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double least = 2;
  double expected_false = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    expected_false += 1 - sorted[i];
    const bool last_of_ties = i + 1 == sorted.size() || sorted[i + 1] < sorted[i];
    if (last_of_ties && expected_false <= target * static_cast<double>(i + 1)) least = sorted[i];
  }
  return least;
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

CallRule parse_call_rule(std::string_view word) {
  return parse_word<CallRule>(word, "call_rule", {{"expected", CallRule::expected_fdr}, {"each", CallRule::each}});
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

std::vector<BayesFactors> bayes_factors(const ScaleSamples& scales, std::span<const GroupComparison> comparisons) {
  std::vector<BayesFactors> results(comparisons.size());
  std::vector<Tester> testers;
  for (std::size_t i = 0; i < comparisons.size(); ++i) testers.emplace_back(scales, comparisons[i], results[i]);
  parallel_for(scales.n_tiles(), 1, [&](std::int64_t begin, std::int64_t end) {
    Scratch scratch;
    for (std::int64_t tile = begin; tile < end; ++tile) {
      throw_if_interrupted();
      for (const Tester& tester : testers) tester.test(tile, scratch);
    }
  });
  return results;
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

std::vector<bool> call_genes(std::span<const double> proba, double target, CallRule rule) {
  if (!(target > 0 && target < 1)) {
    throw InputError({.problem = "is " + std::to_string(target) + ", but must be between 0 and 1", .field = "fdr"});
  }
  const double least = rule == CallRule::each ? 1 - target : least_probability(proba, target);
  std::vector<bool> called;
  for (const double p : proba) called.push_back(p >= least);
  return called;
}

}  // namespace scvi
