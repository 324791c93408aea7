#pragma once

#include <cstdint>
#include <vector>

namespace scvi {

/// What is said of a gene in a cell.
enum class Expression {
  scale,  ///< px_scale: expected frequency; those of a cell sum to 1
  rate,   ///< px_rate: expected count, the frequency times the cell's own library size
};

struct ExpressionOptions {
  /// Draws of the latent variables for each cell, and for each batch of `transform_batch`.
  std::int64_t n_samples = 1;
  /// Decode every cell as if it came from each of these batches, and average over them. Empty: from its own.
  std::vector<std::int64_t> transform_batch = {};
  std::vector<std::int64_t> genes = {};  ///< positions, in the order of the columns of the result; empty: all
};

}  // namespace scvi
