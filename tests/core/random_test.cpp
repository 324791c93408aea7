#include "scvi/core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include "instruction_sets.hpp"

namespace scvi {
namespace {

// Statistical tests run at fixed seeds, so they either hold for ever or never; bounds are at odds below 1e-6.

TEST(Philox, ReproducesTheKnownAnswersOfRandom123) {
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, SameNameGivesTheSameNumbers) {
  RandomStream a(3, "z", {1, 2}), b(3, "z", {1, 2});
  for (int i = 0; i < 100; ++i) ASSERT_EQ(a.next_uint32(), b.next_uint32());
}

TEST(RandomStream, NumbersStayWhatTheyAre) {
  // Pins the derivation of keys and counters: a change here changes every seeded result of every user.
  RandomStream random(42, "test", {7, 9});
  EXPECT_EQ(random.next_uint64(), 8148361480246199264u);
  EXPECT_EQ(random.next_uint64(), 6533655305982476160u);
  EXPECT_EQ(random.next_uint64(), 16053525639572662778u);
}

TEST(RandomStream, AnyDifferenceInItsNameGivesOtherNumbers) {
  std::set<std::uint64_t> firsts;
  int streams = 0;
  const auto add = [&](RandomStream stream) {
    ++streams;
    firsts.insert(stream.next_uint64());
    firsts.insert(stream.next_uint64());
  };
  for (std::uint64_t seed : {0ull, 1ull, 2ull, 1ull << 32, 1ull << 63})
    for (const char* purpose : {"", "z", "l", "dropout"})
      for (std::uint64_t i : {0ull, 1ull, 2ull, (1ull << 32) - 1, 1ull << 32, 1ull << 40})
        for (std::uint64_t j : {0ull, 1ull, 2ull, (1ull << 32) - 1, 1ull << 32, 1ull << 40})
          add(RandomStream(seed, purpose, {i, j}));
  EXPECT_EQ(firsts.size(), 2u * streams);
}

TEST(RandomStream, UniformFillsTheUnitIntervalEvenly) {
  RandomStream random(1, "uniform");
  constexpr int kBins = 64, kDraws = 64000;
  std::vector<int> counts(kBins);
  for (int i = 0; i < kDraws; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    ++counts[static_cast<int>(u * kBins)];
  }
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - 1000.0) * (count - 1000.0) / 1000;
  EXPECT_LT(chi_square, 63 + 5 * std::sqrt(2 * 63.0));
}

TEST(RandomStream, BelowIsUniformOverItsRange) {
  RandomStream random(1, "below");
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts.at(random.below(7));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(random.below(1), 0u);
}

TEST(RandomStream, BelowIsUnbiasedForAHugeRange) {
  // Two thirds of 2^64: a draw of 64 bits taken modulo the bound would land in the lower half 2/3 of the time.
  RandomStream random(1, "huge");
  const std::uint64_t bound = 12297829382473034411u;
  int lower = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t value = random.below(bound);
    ASSERT_LT(value, bound);
    lower += value < bound / 2;
  }
  EXPECT_NEAR(lower, 10000, 400);
}

/// Largest distance between the empirical and the given distribution function, times sqrt(n) (Kolmogorov).
double kolmogorov(std::vector<double> sample, const std::function<double(double)>& cdf) {
  std::sort(sample.begin(), sample.end());
  const double n = static_cast<double>(sample.size());
  double worst = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double expected = cdf(sample[i]);
    const double below = static_cast<double>(i) / n, above = static_cast<double>(i + 1) / n;
    worst = std::max({worst, expected - below, above - expected});
  }
  return worst * std::sqrt(n);
}

constexpr double kKolmogorovBound = 2.7;  // exceeded once in a million

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x / std::sqrt(2.0));
}

std::vector<double> draws(int n, const std::function<double()>& draw) {
  std::vector<double> sample(n);
  std::generate(sample.begin(), sample.end(), draw);
  return sample;
}

double mean_of(const std::vector<double>& sample) {
  return std::accumulate(sample.begin(), sample.end(), 0.0) / static_cast<double>(sample.size());
}

double variance_of(const std::vector<double>& sample) {
  const double mean = mean_of(sample);
  double sum = 0;
  for (const double x : sample) sum += (x - mean) * (x - mean);
  return sum / static_cast<double>(sample.size());
}

TEST(RandomStream, StandardNormalHasItsDistribution) {
  RandomStream random(1, "normal");
  EXPECT_LT(kolmogorov(draws(100000, [&] { return random.standard_normal(); }), normal_cdf), kKolmogorovBound);
}

TEST(RandomStream, StandardGammaHasItsDistribution) {
  RandomStream random(1, "gamma");
  const auto gamma = [&](double shape) { return draws(50000, [&, shape] { return random.standard_gamma(shape); }); };
  EXPECT_LT(kolmogorov(gamma(0.5), [](double x) { return std::erf(std::sqrt(x)); }), kKolmogorovBound);
  EXPECT_LT(kolmogorov(gamma(1), [](double x) { return -std::expm1(-x); }), kKolmogorovBound);
  EXPECT_LT(kolmogorov(gamma(3), [](double x) { return 1 - std::exp(-x) * (1 + x + x * x / 2); }), kKolmogorovBound);
}

TEST(RandomStream, StandardGammaHasMeanAndVarianceEqualToItsShape) {
  RandomStream random(2, "gamma");
  for (const double shape : {0.05, 0.3, 1.0, 2.5, 40.0, 1e4}) {
    const std::vector<double> sample = draws(100000, [&] { return random.standard_gamma(shape); });
    const double n = 1e5;
    EXPECT_NEAR(mean_of(sample), shape, 5 * std::sqrt(shape / n)) << shape;
    // Variance of the squared deviation: fourth central moment 3a^2 + 6a, less a^2.
    EXPECT_NEAR(variance_of(sample), shape, 6 * std::sqrt((2 * shape * shape + 6 * shape) / n)) << shape;
  }
}

TEST(RandomStream, StandardGammaOfATinyShapeIsFiniteAndNotNegative) {
  RandomStream random(3, "gamma");
  for (int i = 0; i < 1000; ++i) {
    const double x = random.standard_gamma(1e-4);
    ASSERT_TRUE(std::isfinite(x) && x >= 0);
  }
}

/// Chi-square statistic of integer draws against exact log probabilities, in standard deviations above its mean.
/// Values with an expectation below 10 share one bin.
double excess_chi_square(const std::vector<std::int64_t>& sample,
                         const std::function<double(std::int64_t)>& log_pmf) {
  const auto [low, high] = std::minmax_element(sample.begin(), sample.end());
  std::vector<double> counts(*high - *low + 1);
  for (const std::int64_t x : sample) ++counts[x - *low];
  const double n = static_cast<double>(sample.size());
  double statistic = 0, rest_seen = n, rest_expected = n;
  int bins = 0;
  for (std::int64_t x = *low; x <= *high; ++x) {
    const double expected = n * std::exp(log_pmf(x));
    if (expected < 10) continue;
    const double seen = counts[x - *low];
    statistic += (seen - expected) * (seen - expected) / expected;
    rest_seen -= seen;
    rest_expected -= expected;
    ++bins;
  }
  if (rest_expected > 1) statistic += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
  return (statistic - bins) / std::sqrt(2.0 * bins);
}

TEST(RandomStream, PoissonHasItsExactProbabilities) {
  RandomStream random(1, "poisson");
  for (const double mean : {0.01, 0.7, 4.0, 9.99, 10.0, 31.5, 400.0}) {
    std::vector<std::int64_t> sample(200000);
    for (std::int64_t& x : sample) x = random.poisson(mean);
    const auto log_pmf = [=](std::int64_t k) {
      const double x = static_cast<double>(k);
      return x * std::log(mean) - mean - std::lgamma(x + 1);
    };
    EXPECT_LT(excess_chi_square(sample, log_pmf), 6) << mean;
  }
}

TEST(RandomStream, PoissonAtItsLimits) {
  RandomStream random(1, "limits");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.poisson(0), 0);
  for (int i = 0; i < 100; ++i) EXPECT_NEAR(static_cast<double>(random.poisson(1e8)), 1e8, 7e4);
}

TEST(RandomStream, BinomialHasItsExactProbabilities) {
  RandomStream random(1, "binomial");
  struct Case {
    std::int64_t n;
    double p;
  };
  for (const auto [n, p] :
       {Case{1, 0.3}, Case{10, 0.5}, Case{19, 0.5}, Case{20, 0.5}, Case{30, 0.9}, Case{1000, 0.005}, Case{1000, 0.02},
        Case{1000, 0.7}, Case{100000, 0.4}, Case{5000, 0.999}}) {
    std::vector<std::int64_t> sample(200000);
    for (std::int64_t& x : sample) {
      x = random.binomial(n, p);
      ASSERT_TRUE(x >= 0 && x <= n);
    }
    const auto log_pmf = [n = static_cast<double>(n), p = p](std::int64_t count) {
      const double k = static_cast<double>(count);
      return std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) + k * std::log(p) +
             (n - k) * std::log1p(-p);
    };
    EXPECT_LT(excess_chi_square(sample, log_pmf), 6) << n << " " << p;
  }
}

TEST(RandomStream, BinomialAtItsLimits) {
  RandomStream random(1, "limits");
  EXPECT_EQ(random.binomial(0, 0.5), 0);
  EXPECT_EQ(random.binomial(17, 0), 0);
  EXPECT_EQ(random.binomial(17, 1), 17);
  for (int i = 0; i < 100; ++i) EXPECT_NEAR(static_cast<double>(random.binomial(1000000000, 0.5)), 5e8, 1e5);
}

TEST(RandomStream, PermutationHoldsEveryNumberOnceInAnyOrder) {
  RandomStream random(1, "permutation");
  std::vector<std::int64_t> order = random.permutation(1000);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (std::int64_t i = 0; i < 1000; ++i) ASSERT_EQ(order[i], i);
  EXPECT_TRUE(random.permutation(0).empty());
  EXPECT_EQ(random.permutation(1), std::vector<std::int64_t>{0});
}

TEST(RandomStream, PermutationsAreEquallyLikely) {
  RandomStream random(2, "permutation");
  std::vector<int> counts(24);
  for (int i = 0; i < 24000; ++i) {
    const std::vector<std::int64_t> p = random.permutation(4);
    std::vector<std::int64_t> sorted = {0, 1, 2, 3};
    int rank = 0;
    while (sorted != p) {
      std::next_permutation(sorted.begin(), sorted.end());
      ++rank;
    }
    ++counts[rank];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 160);
}

TEST(RandomStream, SampleWithoutReplacementIsDifferentNumbersEquallyLikely) {
  RandomStream random(1, "sample");
  for (const std::int64_t n : {10, 200}) {  // the small and the large road
    std::vector<int> counts(n);
    for (int i = 0; i < 20000; ++i) {
      const std::vector<std::int64_t> sample = random.sample_without_replacement(n, 5);
      ASSERT_EQ(std::set<std::int64_t>(sample.begin(), sample.end()).size(), 5u);
      for (const std::int64_t x : sample) ++counts.at(x);
    }
    const double expected = 20000.0 * 5 / static_cast<double>(n);
    for (const int count : counts) EXPECT_NEAR(count, expected, 6 * std::sqrt(expected));
  }
}

TEST(RandomStream, SampleWithoutReplacementIsTheStartOfThePermutation) {
  for (const std::int64_t count : {0, 3, 61, 62, 63, 500, 1000}) {
    RandomStream a(9, "sample"), b(9, "sample");
    const std::vector<std::int64_t> all = a.permutation(1000);
    const std::vector<std::int64_t> some = b.sample_without_replacement(1000, count);
    EXPECT_EQ(some, std::vector<std::int64_t>(all.begin(), all.begin() + count)) << count;
  }
}

TEST(RandomStream, SampleOfFewFromVeryManyNeedsNoMemoryForAll) {
  RandomStream random(9, "sample");
  const std::vector<std::int64_t> sample = random.sample_without_replacement(std::int64_t{1} << 60, 100);
  EXPECT_EQ(std::set<std::int64_t>(sample.begin(), sample.end()).size(), 100u);
}

TEST(FillUniform, StaysBelowOneAndIsEven) {
  std::vector<float> values(400000);
  RandomStream(1, "fill").fill_uniform(values);
  EXPECT_GE(*std::min_element(values.begin(), values.end()), 0.0f);
  EXPECT_LT(*std::max_element(values.begin(), values.end()), 1.0f);
  EXPECT_LT(kolmogorov({values.begin(), values.end()}, [](double x) { return x; }), kKolmogorovBound);
}

TEST(FillStandardNormal, IsFiniteAndHasItsDistribution) {
  std::vector<float> values(400000);
  RandomStream(1, "fill").fill_standard_normal(values);
  for (const float x : values) ASSERT_TRUE(std::isfinite(x));
  EXPECT_LT(kolmogorov({values.begin(), values.end()}, normal_cdf), kKolmogorovBound);
}

TEST(FillStandardNormal, NeighboursAreUncorrelated) {
  std::vector<float> values(400000);
  RandomStream(2, "fill").fill_standard_normal(values);
  for (const std::size_t lag : {1, 2, 3, 4}) {
    double plain = 0, squared = 0;
    for (std::size_t i = lag; i < values.size(); ++i) {
      const double a = values[i], b = values[i - lag];
      plain += a * b;
      squared += (a * a - 1) * (b * b - 1);
    }
    EXPECT_LT(std::fabs(plain) / std::sqrt(4e5), 5) << lag;
    EXPECT_LT(std::fabs(squared) / (2 * std::sqrt(4e5)), 5) << lag;
  }
}

TEST(Fill, ElementDependsOnItsPositionOnly) {
  const RandomStream random(5, "fill", {3, 4});
  std::vector<float> uniform(1000), normal(1000);
  random.fill_uniform(uniform);
  random.fill_standard_normal(normal);
  for (const std::size_t first : {0, 1, 2, 3, 4, 5, 17, 998}) {
    for (const std::size_t count : {0, 1, 2, 3, 4, 7, 100}) {
      const std::size_t n = std::min<std::size_t>(count, 1000 - first);
      std::vector<float> part(n);
      random.fill_uniform(part, first);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), uniform.begin() + first)) << first << " " << n;
      random.fill_standard_normal(part, first);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), normal.begin() + first)) << first << " " << n;
    }
  }
}

TEST(FillUniform, KeepsItsBitsOnEveryInstructionSet) {
  const RandomStream random(42, "test", {7, 9});
  testing::on_every_instruction_set([&] {
    // Whole blocks beside single elements, which take another road; and bits that users' results rest on.
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{3}, (std::uint64_t{1} << 34) - 17}) {
      std::vector<float> values(517);
      random.fill_uniform(values, first);
      for (std::size_t i = 0; i < values.size(); ++i) {
        float alone = 0;
        random.fill_uniform({&alone, 1}, first + i);
        ASSERT_EQ(values[i], alone) << first << " + " << i;
      }
    }
    std::vector<float> pinned(8);
    random.fill_uniform(pinned);
    EXPECT_EQ(pinned, (std::vector<float>{0x1.b64b7ap-1f, 0x1.354a08p-3f, 0x1.4dd39ep-1f, 0x1.bbc688p-1f,
                                          0x1.9f2b5ap-1f, 0x1.4d217ap-1f, 0x1.ad0144p-1f, 0x1.de7fp-8f}));
  });
}

TEST(Fill, LeavesTheSequenceOfTheStreamAlone) {
  RandomStream a(5, "fill"), b(5, "fill");
  std::vector<float> values(100);
  a.next_uint32();
  b.next_uint32();
  a.fill_uniform(values);
  a.fill_standard_normal(values);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(a.next_uint32(), b.next_uint32());
}

TEST(Fill, SharesNoBitsWithTheSequence) {
  RandomStream random(5, "fill");
  std::vector<float> values(64);
  random.fill_uniform(values);
  const std::set<float> filled(values.begin(), values.end());
  for (int i = 0; i < 64; ++i)
    EXPECT_FALSE(filled.contains(static_cast<float>(random.next_uint32() >> 8) * 0x1p-24f)) << i;
}

TEST(NumpyPermutation, EqualsNumpysRandomState) {
  struct Case {
    std::uint32_t seed;
    std::vector<std::int64_t> order;
  };
  // numpy.random.RandomState(seed).permutation(n)
  const std::vector<Case> cases = {
      {0u, {2, 0, 1, 3, 4}},
      {0u, {11, 20, 24, 17, 2,  25, 26, 16, 10, 32, 29, 23, 15, 8,  13, 30, 5,
            14, 28, 22, 1,  12, 6,  4,  18, 21, 19, 9,  7,  31, 27, 3,  0}},
      {0u, {40, 24,  86,  51,  8,   108, 127, 96,  73, 7,  60,  10,  89,  94,  30, 33,  2,   59,  50,  26, 22,  101,
            48, 68,  121, 122, 91,  16,  90,  118, 13, 99, 76,  43,  15,  93,  95, 45,  3,   100, 6,   92, 52,  97,
            62, 111, 54,  85,  125, 27,  18,  105, 11, 66, 75,  63,  84,  61,  1,  56,  78,  110, 42,  41, 4,   17,
            38, 5,   53,  116, 71,  0,   34,  28,  55, 35, 23,  74,  31,  119, 57, 98,  109, 32,  107, 14, 106, 19,
            29, 49,  104, 82,  124, 126, 79,  69,  80, 20, 120, 72,  77,  25,  37, 81,  112, 46,  115, 39, 102, 65,
            58, 12,  113, 88,  70,  87,  36,  114, 21, 83, 9,   103, 123, 67,  64, 117, 47,  44}},
      {42u, {1, 4, 2, 0, 3}},
      {42u, {31, 15, 26, 17, 8,  9,  19, 21, 12, 0, 4,  16, 5, 13, 11, 24, 1,
             2,  29, 3,  27, 23, 30, 22, 18, 25, 6, 20, 32, 7, 10, 14, 28}},
      {42u, {55,  40,  19,  31,  98, 56,  69,  104, 81,  26,  94,  27,  64,  4,   96,  113, 36, 80, 125, 84, 18,  10,
             118, 11,  105, 45,  70, 78,  47,  0,   12,  42,  126, 24,  67,  111, 89,  15,  77, 22, 44,  65, 95,  30,
             62,  121, 9,   33,  66, 25,  115, 28,  97,  91,  53,  5,   68,  73,  39,  49,  35, 16, 122, 34, 85,  7,
             43,  76,  112, 108, 8,  13,  93,  3,   17,  38,  72,  100, 6,   83,  110, 119, 54, 50, 117, 46, 123, 61,
             124, 79,  101, 41,  58, 90,  48,  88,  109, 57,  75,  32,  120, 59,  63,  107, 37, 29, 114, 1,  52,  21,
             2,   23,  103, 99,  87, 116, 74,  86,  82,  127, 20,  60,  71,  106, 14,  92,  51, 102}},
      {4294967295u, {4, 1, 0, 2, 3}},
      {4294967295u, {24, 15, 19, 3,  21, 2,  28, 30, 1,  6,  8,  31, 27, 4,  32, 16, 17,
                     9,  5,  14, 13, 10, 23, 11, 18, 29, 25, 26, 22, 0,  20, 7,  12}},
      {4294967295u,
       {97, 15,  123, 75, 72,  39, 6,   77,  67,  22, 118, 70, 48,  115, 94,  49,  28,  93, 83, 20,  60,  30,
        21, 57,  103, 33, 110, 29, 105, 68,  5,   31, 58,  36, 113, 98,  50,  90,  117, 63, 59, 124, 99,  116,
        42, 112, 46,  51, 19,  79, 85,  69,  88,  10, 66,  8,  122, 2,   80,  119, 53,  81, 78, 108, 101, 127,
        0,  62,  126, 16, 4,   7,  40,  76,  91,  82, 41,  38, 56,  95,  96,  65,  18,  45, 47, 102, 84,  111,
        1,  61,  106, 23, 25,  3,  92,  43,  104, 26, 125, 17, 109, 24,  100, 44,  120, 9,  73, 37,  14,  121,
        55, 87,  54,  13, 27,  74, 11,  107, 114, 32, 89,  86, 64,  52,  71,  12,  34,  35}},
  };
  for (const Case& c : cases)
    EXPECT_EQ(numpy_permutation(c.seed, static_cast<std::int64_t>(c.order.size())), c.order) << c.seed;
}

TEST(NumpyPermutation, EqualsNumpysForManyCells) {
  const std::vector<std::int64_t> order = numpy_permutation(7, 100000);
  std::int64_t checksum = 0;
  for (std::int64_t i = 0; i < 100000; ++i) checksum += order[i] * (i + 1);
  EXPECT_EQ(order.front(), 33909);
  EXPECT_EQ(order.back(), 61615);
  EXPECT_EQ(checksum, 250321905549413);
}

TEST(NumpyPermutation, HandlesNoneAndOne) {
  EXPECT_TRUE(numpy_permutation(0, 0).empty());
  EXPECT_EQ(numpy_permutation(0, 1), std::vector<std::int64_t>{0});
}

}  // namespace
}  // namespace scvi
