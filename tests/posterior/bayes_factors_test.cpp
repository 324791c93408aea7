#include "scvi/posterior/bayes_factors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

const PickSamples kNoPicks;

/// Samples of both groups, one list a gene; the first half belongs to group 1.
struct TwoGroups {
  ScaleSamples scales;
  GroupSamples group1;
  GroupSamples group2;

  BayesFactors factors(const HypothesisOptions& options) const {
    const GroupComparison comparison{
        .group1 = group1, .group2 = group2, .pairs = make_pairs(group1, group2, {}, kNoPicks), .options = options};
    return bayes_factors(scales, {&comparison, 1}).front();
  }
  TwoGroups swapped() const { return {scales, group2, group1}; }
};

TwoGroups two_groups(const std::vector<std::vector<float>>& genes) {
  TwoGroups result;
  const std::int64_t n_samples = std::ssize(genes.front());
  result.scales = ScaleSamples(std::ssize(genes), n_samples);
  for (std::int64_t gene = 0; gene < std::ssize(genes); ++gene) {
    for (std::int64_t i = 0; i < n_samples; ++i) result.scales.set(gene, i, genes[gene][i]);
  }
  for (std::int64_t i = 0; i < n_samples; ++i) {
    GroupSamples& group = i < n_samples / 2 ? result.group1 : result.group2;
    group.samples.push_back(i);
    group.batches.push_back(0);
  }
  return result;
}

TwoGroups random_groups(std::int64_t n_genes, std::int64_t n_samples) {
  RandomStream random(3, "scales");
  std::vector<std::vector<float>> genes;
  for (std::int64_t gene = 0; gene < n_genes; ++gene) {
    std::vector<float>& scales = genes.emplace_back();
    for (std::int64_t i = 0; i < n_samples; ++i) {
      const double shift = i < n_samples / 2 ? 0.02 * static_cast<double>(gene) : 0;
      scales.push_back(static_cast<float>(std::exp(shift + 0.5 * random.standard_normal())));
    }
  }
  return two_groups(genes);
}

HypothesisOptions change_mode() {
  HypothesisOptions options;
  options.mode = DifferentialMode::change;
  return options;
}

TEST(BayesFactors, OfVanillaModeCountStrictlyLargerScales) {
  const TwoGroups groups = two_groups({{4, 2, 1, 5, /**/ 1, 2, 3, 4}, {1, 1, 1, 1, /**/ 2, 2, 2, 2}});
  const BayesFactors factors = groups.factors({});
  EXPECT_DOUBLE_EQ(factors.proba[0], 0.5);  // 4 > 1 and 5 > 4; 2 = 2 does not count
  EXPECT_DOUBLE_EQ(factors.proba[1], 0);
  EXPECT_NEAR(factors.bayes_factor[0], 0, 1e-12);
  EXPECT_NEAR(factors.bayes_factor[1], std::log(1e-8) - std::log(1 + 1e-8), 1e-9);
  EXPECT_DOUBLE_EQ(factors.scale1[0], 3);
  EXPECT_DOUBLE_EQ(factors.scale2[0], 2.5);
  EXPECT_TRUE(factors.change.mean.empty());
}

TEST(BayesFactors, OfChangeModeDescribeTheLogFoldChange) {
  // log2 fold changes 2, 1, -1, 0.25.
  const float quarter = std::exp2(0.25F);
  const TwoGroups groups = two_groups({{4, 2, 1, quarter, /**/ 1, 1, 2, 1}});
  HypothesisOptions options = change_mode();
  options.cred_interval_lvls = {0.5};
  const BayesFactors factors = groups.factors(options);
  EXPECT_DOUBLE_EQ(factors.proba[0], 0.75);
  EXPECT_NEAR(factors.bayes_factor[0], std::log(3.0), 1e-6);
  EXPECT_NEAR(factors.change.mean[0], 0.5625, 1e-6);
  EXPECT_NEAR(factors.change.median[0], 0.625, 1e-6);
  EXPECT_NEAR(factors.change.std[0], std::sqrt((4 + 1 + 1 + 0.0625) / 4 - 0.5625 * 0.5625), 1e-6);
  EXPECT_NEAR(factors.change.min[0], -1, 1e-6);
  EXPECT_NEAR(factors.change.max[0], 2, 1e-6);
  // Two apart in -1, 0.25, 1, 2: from 0.25 to 2 is narrower than from -1 to 1.
  EXPECT_NEAR(factors.change.intervals[0].lower[0], 0.25, 1e-6);
  EXPECT_NEAR(factors.change.intervals[0].upper[0], 2, 1e-6);
}

TEST(BayesFactors, OfTheThreeWayTestDoNotAddUpOppositeChanges) {
  // Changes 2, 2, -2, 0: wide and almost centred.
  const TwoGroups groups = two_groups({{4, 4, 1, 1, /**/ 1, 1, 4, 1}});
  HypothesisOptions options = change_mode();
  EXPECT_DOUBLE_EQ(groups.factors(options).proba[0], 0.75);
  options.test = ChangeTest::three_way;
  EXPECT_DOUBLE_EQ(groups.factors(options).proba[0], 0.5);
  EXPECT_DOUBLE_EQ(groups.swapped().factors(options).proba[0], 0.5);
}

TEST(BayesFactors, AChangeOfExactlyDeltaMatters) {
  const TwoGroups groups = two_groups({{2, 1, /**/ 1, 1}});
  HypothesisOptions options = change_mode();
  options.delta = 1;
  EXPECT_DOUBLE_EQ(groups.factors(options).proba[0], 0.5);
  options.delta = 1.001;
  EXPECT_DOUBLE_EQ(groups.factors(options).proba[0], 0);
}

TEST(BayesFactors, TakeTheUsersFunctions) {
  const TwoGroups groups = two_groups({{4, 2, /**/ 1, 1}});
  HypothesisOptions options = change_mode();
  options.change = Change::shift;
  EXPECT_NEAR(groups.factors(options).change.mean[0], 2, 1e-6);
  options.change_fn = [](double x, double y) { return x * y + 10; };
  options.m1_domain_fn = [](double change) { return change < 13; };
  const BayesFactors factors = groups.factors(options);
  EXPECT_NEAR(factors.change.mean[0], 13, 1e-6);
  EXPECT_DOUBLE_EQ(factors.proba[0], 0.5);
}

/// The change of each gene is the list given.
TwoGroups groups_with_changes(const std::vector<std::vector<float>>& changes) {
  std::vector<std::vector<float>> genes = changes;
  for (std::vector<float>& gene : genes) gene.resize(2 * gene.size(), 0.0F);
  return two_groups(genes);
}

TEST(BayesFactors, DescribeManySamplesExactly) {
  RandomStream random(5, "changes");
  for (const std::size_t n : {1024U, 1999U, 5000U}) {
    std::vector<std::vector<float>> changes(6, std::vector<float>(n));
    for (std::size_t i = 0; i < n; ++i) {
      const auto z = static_cast<float>(random.standard_normal());
      changes[0][i] = z;
      changes[1][i] = std::round(z);                         // many are equal
      changes[2][i] = i == 7 ? 1e6F : z;                     // nearly all in one step
      changes[3][i] = i % 2 == 0 ? -1.0F : 1.0F;             // the middle two far apart
      changes[4][i] = 2.5F;                                  // all equal
      changes[5][i] = static_cast<float>(std::exp(20 * z));  // over many orders of magnitude
    }
    HypothesisOptions options = change_mode();
    options.change = Change::shift;
    const ChangeStatistics found = groups_with_changes(changes).factors(options).change;
    for (std::size_t gene = 0; gene < changes.size(); ++gene) {
      std::vector<float> sorted = changes[gene];
      std::sort(sorted.begin(), sorted.end());
      const double median = (static_cast<double>(sorted[(n - 1) / 2]) + sorted[n / 2]) / 2;
      EXPECT_EQ(found.median[gene], median) << n << " samples, gene " << gene;
      EXPECT_EQ(found.min[gene], sorted.front());
      EXPECT_EQ(found.max[gene], sorted.back());
      double mean = 0;
      for (const float value : sorted) mean += value / static_cast<double>(n);
      EXPECT_NEAR(found.mean[gene], mean, 1e-9 * std::max(1.0, std::abs(mean)));
    }
  }
}

TEST(BayesFactors, OfInfiniteChangesKeepTheirOrder) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> changes(3000, 1.0F);
  std::fill_n(changes.begin(), 1000, kInfinity);
  std::fill_n(changes.begin() + 1000, 500, 2.0F);
  HypothesisOptions options = change_mode();
  options.change = Change::shift;
  const ChangeStatistics found = groups_with_changes({changes}).factors(options).change;
  EXPECT_EQ(found.median[0], 1.5);
  EXPECT_EQ(found.min[0], 1);
  EXPECT_EQ(found.max[0], kInfinity);
  changes.front() = 3e38F;
  std::replace(changes.begin(), changes.end(), kInfinity, -3e38F);
  EXPECT_EQ(groups_with_changes({changes}).factors(options).change.median[0], 1.0) << "a range that overflows";
}

TEST(BayesFactors, OfADeltaOfZeroCountNoChangeOnce) {
  HypothesisOptions options = change_mode();
  options.change = Change::shift;
  options.delta = 0;
  EXPECT_EQ(groups_with_changes({{0, 0, 1, -1}}).factors(options).proba[0], 1);
}

TEST(BayesFactors, OfSwappedGroupsAreMirrored) {
  const TwoGroups groups = random_groups(40, 500);
  HypothesisOptions options = change_mode();
  const BayesFactors there = groups.factors(options);
  const BayesFactors back = groups.swapped().factors(options);
  const BayesFactors vanilla_there = groups.factors({});
  const BayesFactors vanilla_back = groups.swapped().factors({});
  for (std::size_t gene = 0; gene < 40; ++gene) {
    EXPECT_DOUBLE_EQ(there.proba[gene], back.proba[gene]);
    EXPECT_NEAR(there.change.mean[gene], -back.change.mean[gene], 1e-6);
    EXPECT_NEAR(there.change.median[gene], -back.change.median[gene], 1e-6);
    EXPECT_NEAR(there.change.max[gene], -back.change.min[gene], 1e-6);
    EXPECT_DOUBLE_EQ(there.scale1[gene], back.scale2[gene]);
    EXPECT_NEAR(vanilla_there.bayes_factor[gene], -vanilla_back.bayes_factor[gene], 1e-6);
  }
}

TEST(BayesFactors, OfAGroupWithItselfFindNothing) {
  TwoGroups groups = two_groups({{1, 2, 3, /**/ 1, 2, 3}});
  const BayesFactors factors = groups.factors(change_mode());
  EXPECT_EQ(factors.proba[0], 0);
  EXPECT_EQ(factors.change.mean[0], 0);
}

TEST(BayesFactors, StayFiniteWithAPseudocount) {
  const TwoGroups groups = two_groups({{0, 0, 1e-6F, /**/ 0, 1e-6F, 0}});
  HypothesisOptions options = change_mode();
  EXPECT_FALSE(std::isfinite(groups.factors(options).change.mean[0]));
  EXPECT_TRUE(std::isnan(groups.factors(options).change.median[0]));
  options.pseudocount = 1e-10;
  options.cred_interval_lvls = {0.9};
  const BayesFactors factors = groups.factors(options);
  for (const double value : {factors.change.mean[0], factors.change.std[0], factors.change.min[0],
                             factors.change.max[0], factors.change.intervals[0].upper[0]}) {
    EXPECT_TRUE(std::isfinite(value));
  }
  // One that is large beside the scales leaves no change.
  options.pseudocount = 1;
  EXPECT_EQ(groups.factors(options).proba[0], 0);
}

TEST(BayesFactors, AreTheSameBitsForAnyNumberOfThreads) {
  const TwoGroups groups = random_groups(67, 400);
  HypothesisOptions options = change_mode();
  options.cred_interval_lvls = {0.5, 0.94};
  std::vector<BayesFactors> results;
  for (const int threads : {1, 2, 7}) {
    const testing::WithThreads with(threads);
    results.push_back(groups.factors(options));
  }
  for (const BayesFactors& other : results) {
    EXPECT_EQ(other.proba, results[0].proba);
    EXPECT_EQ(other.change.median, results[0].change.median);
    EXPECT_EQ(other.change.std, results[0].change.std);
    EXPECT_EQ(other.change.intervals[1].lower, results[0].change.intervals[1].lower);
  }
}

TEST(BayesFactors, OfPartsOfTheGenesFitTogether) {
  const TwoGroups groups = random_groups(20, 100);
  HypothesisOptions options = change_mode();
  options.cred_interval_lvls = {0.8};
  const BayesFactors whole = groups.factors(options);
  BayesFactors joined;
  for (const std::int64_t first : {0, 7}) {
    TwoGroups part = groups;
    part.scales = ScaleSamples(first == 0 ? 7 : 13, 100);
    for (std::int64_t gene = 0; gene < part.scales.n_genes(); ++gene) {
      for (std::int64_t i = 0; i < 100; ++i) part.scales.set(gene, i, groups.scales.at(first + gene, i));
    }
    append_genes(joined, part.factors(options));
  }
  EXPECT_EQ(joined.proba, whole.proba);
  EXPECT_EQ(joined.change.mean, whole.change.mean);
  EXPECT_EQ(joined.change.intervals[0].upper, whole.change.intervals[0].upper);
}

TEST(BayesFactors, RefuseOptionsThatMakeNoSense) {
  const TwoGroups groups = random_groups(2, 8);
  HypothesisOptions options = change_mode();
  options.delta = -1;
  EXPECT_THROW(groups.factors(options), InputError);
  options = change_mode();
  options.pseudocount = std::nan("");
  EXPECT_THROW(groups.factors(options), InputError);
  options = change_mode();
  options.cred_interval_lvls = {1};
  EXPECT_THROW(groups.factors(options), InputError);
  const GroupComparison without_pairs{.group1 = groups.group1, .group2 = groups.group2, .pairs = {}, .options = {}};
  EXPECT_THROW(bayes_factors(groups.scales, {&without_pairs, 1}), InputError);
  EXPECT_THROW(parse_differential_mode("chnge"), InputError);
  EXPECT_EQ(parse_change("shift"), Change::shift);
  EXPECT_EQ(parse_change_test("three-way"), ChangeTest::three_way);
}

GroupSamples of_batches(std::vector<std::int64_t> batches, std::int64_t first) {
  GroupSamples group;
  for (std::size_t i = 0; i < batches.size(); ++i) group.samples.push_back(first + static_cast<std::int64_t>(i));
  group.batches = std::move(batches);
  return group;
}

/// Always the last one.
std::vector<std::int64_t> last_one(int, std::int64_t, std::int64_t n, std::int64_t count) {
  return std::vector<std::int64_t>(static_cast<std::size_t>(count), n - 1);
}

TEST(SamplePairs, StayWithinTheBatchesThatBothGroupsHave) {
  const GroupSamples group1 = of_batches({1, 1, 0, 0}, 0);
  const GroupSamples group2 = of_batches({0, 0, 1, 1}, 10);
  const SamplePairs pairs = make_pairs(group1, group2, {}, kNoPicks);
  EXPECT_EQ(pairs.first, (std::vector<std::int64_t>{2, 3, 0, 1}));
  EXPECT_EQ(pairs.second, (std::vector<std::int64_t>{10, 11, 12, 13}));
  const SamplePairs picked = make_pairs(group1, group2, {.use_permutation = true, .M_permutation = 3}, last_one);
  EXPECT_EQ(picked.first, (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(picked.second, (std::vector<std::int64_t>{11, 13}));
}

TEST(SamplePairs, DisregardBatchesThatDifferOrWereObserved) {
  const GroupSamples group1 = of_batches({0, 0, 0}, 0);
  for (const std::int64_t batch : {1, -1}) {
    const SamplePairs pairs = make_pairs(group1, of_batches({batch, batch}, 10), {}, kNoPicks);
    EXPECT_EQ(pairs.first, (std::vector<std::int64_t>{0, 1}));
    EXPECT_EQ(pairs.second, (std::vector<std::int64_t>{10, 11}));
  }
}

TEST(SamplePairs, NeedSamplesAndEnoughPermutations) {
  const GroupSamples group = of_batches({0, 1}, 0);
  EXPECT_THROW(make_pairs(group, {}, {}, kNoPicks), InputError);
  EXPECT_THROW(make_pairs(group, group, {.use_permutation = true, .M_permutation = 1}, last_one), InputError);
}

TEST(CredibleInterval, IsTheNarrowestAndTheLowestOfSeveral) {
  const std::vector<float> samples = {0, 1, 2, 3, 10};
  EXPECT_EQ(credible_interval(samples, 0.4), std::pair(0.0, 2.0));
  EXPECT_EQ(credible_interval(std::vector<float>{0, 5, 6, 7, 20}, 0.4), std::pair(5.0, 7.0));
  EXPECT_EQ(credible_interval(std::vector<float>{3}, 0.5), std::pair(3.0, 3.0));
  EXPECT_THROW(credible_interval(samples, 1), InputError);
  EXPECT_THROW(credible_interval({}, 0.5), InputError);
}

TEST(SuggestedPseudocount, ComesFromGenesThatAreHardlySeen) {
  const std::vector<double> counts1 = {5, 0, 0.001, 0};
  const std::vector<double> scale1 = {0.5, 1e-5, 2e-5, 3e-5};
  const std::vector<double> seen = {1, 1, 1, 1};
  // 0.9 of the way through 1, 2, 3.
  EXPECT_NEAR(suggested_pseudocount(counts1, scale1, seen, scale1), 2.8e-5, 1e-10);
  EXPECT_NEAR(suggested_pseudocount(seen, scale1, counts1, scale1), 2.8e-5, 1e-10);
  EXPECT_EQ(suggested_pseudocount(seen, scale1, seen, scale1), 1e-10);
}

TEST(ExpectedFdr, CallsAsManyAsKeepItBelowTheTarget) {
  // Expected parts of false calls in order: 0.01, 0.03, 0.0867.
  const std::vector<double> proba = {0.8, 0.99, 0.1, 0.95};
  EXPECT_EQ(call_genes(proba, 0.05), (std::vector<bool>{false, true, false, true}));
  EXPECT_EQ(call_genes(proba, 0.1), (std::vector<bool>{true, true, false, true}));
  EXPECT_EQ(call_genes(proba, 0.001), (std::vector<bool>{false, false, false, false}));
  EXPECT_THROW(call_genes(proba, 0), InputError);
}

TEST(ExpectedFdr, OfEachGeneIsItsOwn) {
  const std::vector<double> proba = {0.8, 0.99, 0.1, 0.95};
  EXPECT_EQ(call_genes(proba, 0.05, CallRule::each), (std::vector<bool>{false, true, false, true}));
  EXPECT_EQ(call_genes(proba, 0.1, CallRule::each), (std::vector<bool>{false, true, false, true}));
  EXPECT_EQ(call_genes(proba, 0.2, CallRule::each), (std::vector<bool>{true, true, false, true}));
  EXPECT_EQ(call_genes(proba, 0.001, CallRule::each), (std::vector<bool>{false, false, false, false}));
  EXPECT_EQ(parse_call_rule("each"), CallRule::each);
  EXPECT_THROW(parse_call_rule("all"), InputError);
}

TEST(ExpectedFdr, CallsAllOfEqualProbabilitiesOrNone) {
  // Two of the three with 0.9 would still fit.
  const std::vector<double> proba = {0.9, 1, 0.9, 0.9};
  EXPECT_EQ(call_genes(proba, 0.07), (std::vector<bool>{false, true, false, false}));
  EXPECT_EQ(call_genes(proba, 0.08), (std::vector<bool>{true, true, true, true}));
}

}  // namespace
}  // namespace scvi
