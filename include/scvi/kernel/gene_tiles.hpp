#pragma once

#include <array>
#include <cstdint>

namespace scvi::kernel {

// Arithmetic on samples of a few genes that lie side by side: rows[sample * kTileGenes + gene], a cache line a
// sample, so that samples may be read in any order. Everything runs on the calling thread, gene by gene the same
// whatever the other genes are.

inline constexpr std::int64_t kTileGenes = 16;

template <class T>
using OfTile = std::array<T, kTileGenes>;  ///< one for each gene

/// Pairs of rows.
struct RowPairs {
  const float* rows = nullptr;
  const std::int64_t* first = nullptr;   ///< numbers of rows, (n)
  const std::int64_t* second = nullptr;  ///< the same
  std::int64_t n = 0;
};

/// changes[pair * kTileGenes + gene] = log2((first + pseudocount) / (second + pseudocount)) to a few units in the
/// last place; infinite or NaN where the logarithms or their difference are.
void log2_changes(const RowPairs& pairs, float pseudocount, float* changes);

/// The mean of some rows. @pre n > 0
OfTile<double> mean_of_rows(const float* rows, const std::int64_t* chosen, std::int64_t n);

/// What is known of all rows.
struct RowSummary {
  OfTile<double> mean;
  OfTile<double> std;  ///< of the population
  OfTile<float> least;
  OfTile<float> largest;
  OfTile<std::int64_t> up;    ///< how many are at least `delta`, and not 0
  OfTile<std::int64_t> down;  ///< how many are at most -`delta`
};

/// Of a gene with infinite or NaN values, the mean is not finite, and only `up` and `down` are right otherwise.
/// @param delta at least 0 @pre n > 0
RowSummary summary_of_rows(const float* rows, std::int64_t n, float delta);

/// The middle values, or the means of the middle two, exactly. @param summary of the same rows; what is returned for
/// genes whose mean is not finite means nothing
OfTile<double> median_of_rows(const float* rows, std::int64_t n, const RowSummary& summary);

}  // namespace scvi::kernel
