#pragma once

#include <cstdint>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/metric/points.hpp"

namespace scvi {

/// The defaults are those of scikit-learn 1.2.
struct TsneOptions {
  /// About how many neighbours count. At most (n - 1) / 3 is used.
  double perplexity = 30;
  int n_iterations = 1000;
  /// Iterations at the beginning in which attraction is `exaggeration` times as strong, so that clusters form.
  int n_exaggerated = 250;
  double exaggeration = 12;
  /// Step; 0: n / exaggeration / 4, at least 50.
  double learning_rate = 0;
  /// How coarsely distant points are put together (Barnes and Hut). 0: not at all, exact and O(n^2).
  double theta = 0.5;
  std::uint64_t seed = settings().seed;
};

/// Places points on a map in two dimensions so that neighbours lie near each other: t-SNE (van der Maaten and Hinton
/// 2008) with the 3 * perplexity nearest neighbours and a Barnes-Hut tree (van der Maaten 2014), started from the
/// principal axes. The map does not depend on the number of threads.
/// @returns (n, 2), row-major, centred
/// @throws InputError for options out of range and values not finite; Interrupted
std::vector<float> tsne(const Points& points, const TsneOptions& options = {}, Progress* progress = nullptr);

}  // namespace scvi
