#include "scvi/kernel/gene_tiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "scvi/core/random.hpp"

namespace scvi::kernel {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Rows of a tile whose genes are made by of(gene, z) from normal draws.
template <class Of>
std::vector<float> rows_of(std::int64_t n, Of of) {
  RandomStream random(1, "rows");
  std::vector<float> rows(static_cast<std::size_t>(n * kTileGenes));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
      rows[i * kTileGenes + gene] = of(gene, static_cast<float>(random.standard_normal()));
    }
  }
  return rows;
}

std::vector<float> gene_of(const std::vector<float>& rows, std::int64_t gene) {
  std::vector<float> values;
  for (std::size_t i = static_cast<std::size_t>(gene); i < rows.size(); i += kTileGenes) values.push_back(rows[i]);
  return values;
}

std::vector<std::int64_t> some_rows(std::int64_t n, std::int64_t count, const char* name) {
  RandomStream random(2, name);
  std::vector<std::int64_t> chosen(static_cast<std::size_t>(count));
  for (std::int64_t& row : chosen) row = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n)));
  return chosen;
}

TEST(GeneTiles, ChangesAreThoseOfDoublePrecision) {
  const auto rows = rows_of(50, [](std::int64_t, float z) { return std::exp2(12 * z); });
  const auto first = some_rows(50, 301, "first");
  const auto second = some_rows(50, 301, "second");
  std::vector<float> changes(301 * kTileGenes);
  for (const float pseudocount : {0.0F, 1e-3F}) {
    log2_changes({rows.data(), first.data(), second.data(), 301}, pseudocount, changes.data());
    for (std::int64_t i = 0; i < 301; ++i) {
      for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
        const double a = rows[first[i] * kTileGenes + gene] + pseudocount;
        const double b = rows[second[i] * kTileGenes + gene] + pseudocount;
        const double expected = std::log2(a) - std::log2(b);
        EXPECT_NEAR(changes[i * kTileGenes + gene], expected, 3e-7 * std::abs(expected) + 3e-7);
      }
    }
  }
}

TEST(GeneTiles, ChangesWithoutLogarithmsAreInfiniteOrNaN) {
  for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
    const auto change = [&](float a, float b) {
      std::vector<float> rows(2 * kTileGenes, 4.0F);
      rows[gene] = a;
      rows[kTileGenes + gene] = b;
      const std::int64_t first = 0;
      const std::int64_t second = 1;
      std::vector<float> changes(kTileGenes);
      log2_changes({rows.data(), &first, &second, 1}, 0, changes.data());
      EXPECT_EQ(changes[(gene + 1) % kTileGenes], 0);
      return changes[gene];
    };
    EXPECT_EQ(change(0, 1), -kInfinity);
    EXPECT_EQ(change(1, 0), kInfinity);
    EXPECT_EQ(change(1, kInfinity), -kInfinity);
    EXPECT_EQ(change(kInfinity, 1), kInfinity);
    EXPECT_TRUE(std::isnan(change(0, 0)));
    EXPECT_TRUE(std::isnan(change(kInfinity, kInfinity)));
    EXPECT_TRUE(std::isnan(change(-1, 1)));
    EXPECT_NEAR(change(1e-40F, 1), std::log2(1e-40F), 1e-4);
    // A quotient that overflows, and one that underflows.
    EXPECT_NEAR(change(3e38F, 1e-37F), std::log2(3e38) - std::log2(1e-37), 1e-4);
    EXPECT_NEAR(change(2e-38F, 1e38F), std::log2(2e-38) - std::log2(1e38), 1e-4);
  }
}

TEST(GeneTiles, MeansAreThoseOfTheChosenRows) {
  const auto rows = rows_of(40, [](std::int64_t gene, float z) { return static_cast<float>(gene) + z; });
  const auto chosen = some_rows(40, 77, "chosen");
  const OfTile<double> mean = mean_of_rows(rows.data(), chosen.data(), 77);
  for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
    double expected = 0;
    for (const std::int64_t row : chosen) expected += rows[row * kTileGenes + gene] / 77.0;
    EXPECT_NEAR(mean[gene], expected, 1e-12);
  }
}

/// Genes of many kinds.
float value_of(std::int64_t gene, float z) {
  switch (gene) {
    case 0:
      return z;
    case 1:
      return std::round(z);
    case 2:
      return z > 3 ? 1e6F : z;
    case 3:
      return z > 0 ? 1.0F : -1.0F;
    case 4:
      return 2.5F;
    case 5:
      return std::exp(10 * z);
    case 6:
      return 1000 + 1e-3F * z;
    case 7:
      return z > 0.2F ? 0.0F : z;
    default:
      return static_cast<float>(gene) * z;
  }
}

TEST(GeneTiles, SummariesAndMediansAreThoseOfTheSortedValues) {
  for (const std::int64_t n : {1, 2, 3, 40, 999, 5000}) {
    const auto rows = rows_of(n, value_of);
    const RowSummary summary = summary_of_rows(rows.data(), n, 0.5F);
    const OfTile<double> median = median_of_rows(rows.data(), n, summary);
    for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
      std::vector<float> values = gene_of(rows, gene);
      std::sort(values.begin(), values.end());
      double mean = 0;
      for (const float value : values) mean += value / static_cast<double>(n);
      double variance = 0;
      for (const float value : values) variance += (value - mean) * (value - mean) / static_cast<double>(n);
      EXPECT_NEAR(summary.mean[gene], mean, 1e-9 * std::max(1.0, std::abs(mean))) << gene;
      EXPECT_NEAR(summary.std[gene], std::sqrt(variance), 1e-6 * std::sqrt(variance) + 1e-12) << gene;
      EXPECT_EQ(summary.least[gene], values.front());
      EXPECT_EQ(summary.largest[gene], values.back());
      EXPECT_EQ(summary.up[gene], std::count_if(values.begin(), values.end(), [](float x) { return x >= 0.5F; }));
      EXPECT_EQ(summary.down[gene], std::count_if(values.begin(), values.end(), [](float x) { return x <= -0.5F; }));
      const double middle = (static_cast<double>(values[(n - 1) / 2]) + values[n / 2]) / 2;
      EXPECT_EQ(median[gene], middle) << "gene " << gene << " of " << n << " rows";
    }
  }
}

TEST(GeneTiles, OneGeneThatIsNotFiniteLeavesTheOthersAlone) {
  for (const float odd : {kInfinity, -kInfinity, std::nanf("")}) {
    auto rows = rows_of(2001, value_of);
    const RowSummary plain = summary_of_rows(rows.data(), 2001, 0.5F);
    const OfTile<double> medians = median_of_rows(rows.data(), 2001, plain);
    rows[700 * kTileGenes + 9] = odd;
    const RowSummary summary = summary_of_rows(rows.data(), 2001, 0.5F);
    const OfTile<double> found = median_of_rows(rows.data(), 2001, summary);
    EXPECT_FALSE(std::isfinite(summary.mean[9]));
    for (std::int64_t gene = 0; gene < kTileGenes; ++gene) {
      if (gene == 9) continue;
      EXPECT_EQ(summary.mean[gene], plain.mean[gene]);
      EXPECT_EQ(found[gene], medians[gene]);
    }
  }
}

TEST(GeneTiles, ADeltaOfZeroCountsNoChangeOnce) {
  const std::vector<float> changes = {0, 1, -1, -0.0F};
  std::vector<float> rows;
  for (const float change : changes) rows.insert(rows.end(), kTileGenes, change);
  const RowSummary summary = summary_of_rows(rows.data(), 4, 0);
  EXPECT_EQ(summary.up[3], 1);
  EXPECT_EQ(summary.down[3], 3);
}

}  // namespace
}  // namespace scvi::kernel
