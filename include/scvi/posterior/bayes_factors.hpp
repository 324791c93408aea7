#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scvi/posterior/scale_samples.hpp"

namespace scvi {

// The statistics of differential expression, on plain arrays of samples: what a model says of two groups of cells,
// once samples of the expected frequencies (scales) of their genes have been drawn. scvi/posterior/
// differential_expression.hpp draws them.

/// What is asked of a gene.
enum class DifferentialMode {
  /// Lopez et al. 2018: is its scale larger in the first group than in the second? p(h1 > h2), strictly.
  vanilla,
  /// Boyeau et al. 2019: is the change between the groups large enough to matter? p(change in a region).
  change,
};

/// What is compared with the region of change mode.
enum class Change {
  log_fold,  ///< log2(scale1) - log2(scale2)
  shift,     ///< scale1 - scale2
};

/// How the probability of a change is counted.
enum class ChangeTest {
  /// The change lies in the region, whatever its sign: scVI 0.6.3. A posterior that is wide and centred on no change
  /// gives a high probability, too.
  two_sided,
  /// The more probable of an increase and a decrease in the region. Never above that of two_sided.
  three_way,
};

/// @throws InputError for any other word than "vanilla" and "change"; "log-fold" and "shift"; "two-sided" and
/// "three-way"
DifferentialMode parse_differential_mode(std::string_view word);
Change parse_change(std::string_view word);
ChangeTest parse_change_test(std::string_view word);

struct HypothesisOptions {
  DifferentialMode mode = DifferentialMode::vanilla;

  // Change mode alone reads the rest.
  Change change = Change::log_fold;
  /// The change from scale1 and scale2 (the pseudocount added), in place of `change`. Called from several threads.
  std::function<double(double, double)> change_fn = {};
  /// The change matters when it is at least so large in either direction. At least 0.
  double delta = 0.5;
  /// Whether a change matters, in place of `delta`. Called from several threads.
  std::function<bool(double)> m1_domain_fn = {};
  ChangeTest test = ChangeTest::two_sided;
  /// Added to every scale before the change is computed. With 0, scVI's way, a scale that has underflowed to 0 makes
  /// changes infinite or NaN; anything larger keeps them finite and draws those of genes with scales far below it
  /// towards 0. In units of the scale: parts of all counts of a cell.
  double pseudocount = 0;
  /// Levels of credible intervals of the change, each in (0, 1): the narrowest interval that holds such a part.
  std::vector<double> cred_interval_lvls = {};
};

/// @throws InputError naming the option that makes no sense
void check(const HypothesisOptions& options);

/// Which samples belong to a group and which batch each was decoded for; -1: the one that its cell was observed in.
struct GroupSamples {
  std::vector<std::int64_t> samples;  ///< positions among the samples
  std::vector<std::int64_t> batches;  ///< one for each
};

/// Pairs of samples, one of each group, whose scales are compared.
struct SamplePairs {
  std::vector<std::int64_t> first;
  std::vector<std::int64_t> second;
};

struct PairOptions {
  /// False: the first sample of one group with the first of the other, and so on. True: M_permutation random pairs,
  /// so that few samples make many pairs.
  bool use_permutation = false;
  std::int64_t M_permutation = 10000;
};

/// Random positions: `count` numbers below `n`, repeats allowed. @param group 1 or 2 @param block which of the
/// batches that both groups share, in increasing order; 0 where batches are not told apart
using PickSamples =
    std::function<std::vector<std::int64_t>(int group, std::int64_t block, std::int64_t n, std::int64_t count)>;

/// Where both groups were decoded for the same batches, pairs are made within each batch (M_permutation shared out
/// evenly, rounded down). Where the batches were observed, or differ, samples are paired without regard to them;
/// batches that the groups share only in part get a warning, since effects of batches then remain.
/// Groups with different numbers of samples are paired up to the smaller number.
/// @throws InputError when M_permutation is below the number of batches, or a group has no sample
SamplePairs make_pairs(const GroupSamples& group1, const GroupSamples& group2, const PairOptions& options,
                       const PickSamples& pick);

/// An interval of the change for each gene.
struct CredibleIntervals {
  double level = 0;
  std::vector<double> lower;
  std::vector<double> upper;
};

/// What is known of the change of each gene. One number per gene; `std` is that of the population.
struct ChangeStatistics {
  std::vector<double> mean;
  std::vector<double> median;
  std::vector<double> std;
  std::vector<double> min;
  std::vector<double> max;
  std::vector<CredibleIntervals> intervals;  ///< one for each level
};

/// The answer for each gene.
struct BayesFactors {
  DifferentialMode mode = DifferentialMode::vanilla;
  /// Of M1: p(h1 > h2) (vanilla), or of differential expression (change). The reference's proba_m1 and proba_de.
  std::vector<double> proba;
  /// log((p + 1e-8) / (1 - p + 1e-8)), natural: about 18.4 in size where all samples agree.
  std::vector<double> bayes_factor;
  std::vector<double> scale1;  ///< mean scale over the samples (not the pairs) of the first group
  std::vector<double> scale2;
  ChangeStatistics change;  ///< empty in vanilla mode
};

/// Two groups of samples, and what is asked of them.
struct GroupComparison {
  GroupSamples group1;
  GroupSamples group2;
  SamplePairs pairs;
  HypothesisOptions options;
};

/// Genes are computed in parallel; the bits do not depend on the number of threads. Several comparisons share the
/// time that it takes to read the samples.
/// @throws InputError as check(options), or when there is no pair
std::vector<BayesFactors> bayes_factors(const ScaleSamples& scales, std::span<const GroupComparison> comparisons);

/// Puts the genes of `part` behind those of `whole`.
void append_genes(BayesFactors& whole, const BayesFactors& part);

/// The narrowest interval between two samples that are floor(level * n) apart, the lowest of several: arviz' highest
/// posterior density interval. @param sorted samples in increasing order
/// @throws InputError unless level is in [0, 1) and there are samples
std::pair<double, double> credible_interval(std::span<const float> sorted, double level);

/// A pseudocount for change mode, by what the model says of genes that are not there: the 0.9 quantile of the mean
/// scales of the genes whose mean count in the group is below 0.01; the larger of both groups, and at least 1e-10. So
/// genes that are hardly ever seen do not change. (scvi-tools 1.x goes by the largest sample of each gene, which
/// grows with the number of samples.)
/// @param mean_count,mean_scale one number per gene, for each group
double suggested_pseudocount(std::span<const double> mean_count1, std::span<const double> mean_scale1,
                             std::span<const double> mean_count2, std::span<const double> mean_scale2);

/// How genes are called at a stated rate of false ones.
enum class CallRule {
  /// As many as keep the mean of 1 - p over those that are called at or below the rate: posterior expected FDR.
  expected_fdr,
  /// Those whose own 1 - p is at or below the rate. They are fewer.
  each,
};

/// @throws InputError for any other word than "expected" and "each"
CallRule parse_call_rule(std::string_view word);

/// Which genes to call differential so that at most a part `target` of them is expected not to be: those with the
/// largest probabilities, as many as the rule allows. Genes with equal probabilities are all called, or none. The
/// statement is as good as the model is (docs/fidelity.md has what it was worth on simulated counts).
/// @throws InputError unless target is in (0, 1)
std::vector<bool> call_genes(std::span<const double> proba, double target, CallRule rule = CallRule::expected_fdr);

}  // namespace scvi
