#include "scvi/posterior/scale_samples.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace scvi {
namespace {

TEST(ScaleSamples, LieSideBySideForTheGenesOfATile) {
  const std::int64_t width = ScaleSamples::genes_per_tile();
  ScaleSamples samples(width + 3, 5);
  ASSERT_EQ(samples.n_tiles(), 2);
  for (std::int64_t gene = 0; gene < width + 3; ++gene) {
    for (std::int64_t sample = 0; sample < 5; ++sample) {
      samples.set(gene, sample, static_cast<float>(100 * gene + sample));
    }
  }
  EXPECT_EQ(samples.tile(0)[2 * width + 7], 702);
  EXPECT_EQ(samples.tile(1)[4 * width + 1], static_cast<float>(100 * (width + 1) + 4));
  EXPECT_EQ(samples.tile(1)[4 * width + 3], 1) << "what a tile holds beyond the genes";
  EXPECT_EQ(samples.at(width + 2, 3), static_cast<float>(100 * (width + 2) + 3));
}

TEST(ScaleSamples, TakeRowsOfAllGenesOrOfSome) {
  constexpr std::int64_t kGenes = 40;
  std::vector<float> rows;
  for (int i = 0; i < 3 * kGenes; ++i) rows.push_back(static_cast<float>(i));
  ScaleSamples all(kGenes, 4);
  all.set_rows(1, rows.data(), 3, kGenes);
  ScaleSamples some(21, 3);
  some.set_rows(0, rows.data() + 19, 3, kGenes);
  for (std::int64_t row = 0; row < 3; ++row) {
    for (std::int64_t gene = 0; gene < kGenes; ++gene) {
      EXPECT_EQ(all.at(gene, 1 + row), rows[row * kGenes + gene]);
      if (gene >= 19) {
        EXPECT_EQ(some.at(gene - 19, row), rows[row * kGenes + gene]);
      }
    }
  }
  EXPECT_EQ(some.tile(1)[5], 1);
}

TEST(ScaleSamples, AreCopiedWhole) {
  ScaleSamples samples(20, 2);
  samples.set_rows(0, std::vector<float>(40, 0.5F).data(), 2, 20);
  const ScaleSamples copy = samples;
  samples.set(19, 1, 3);
  EXPECT_EQ(copy.at(19, 1), 0.5F);
  samples = copy;
  EXPECT_EQ(samples.at(19, 1), 0.5F);
  EXPECT_EQ(ScaleSamples().n_tiles(), 0);
  EXPECT_EQ(ScaleSamples::bytes(20, 2), 2 * 2 * ScaleSamples::genes_per_tile() * 4);
}

TEST(ScaleSamples, OfManySamplesAreAskedForInStretches) {
  ScaleSamples samples(33, 70001);
  const std::vector<float> row(33, 2.0F);
  for (std::int64_t sample = 0; sample < samples.n_samples(); ++sample) samples.set_rows(sample, row.data(), 1, 33);
  EXPECT_EQ(samples.at(32, 70000), 2);
  EXPECT_EQ(samples.at(0, 0), 2);
}

}  // namespace
}  // namespace scvi
