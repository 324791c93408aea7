#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "scvi/posterior/cell_array.hpp"

namespace scvi {

struct GenerateOptions {
  std::int64_t n_samples = 100;          ///< of each cell
  std::vector<std::int64_t> genes = {};  ///< as in ExpressionOptions; only these are drawn
};

/// Counts of the posterior predictive distribution beside those that were observed.
struct GeneratedCounts {
  SampleArray x_new;  ///< drawn
  CellArray x_old;    ///< observed
};

/// Parameters of the count distribution, each (n_samples, cells, genes); n_samples is 1 for means.
struct GeneratedParameters {
  SampleArray dropout;     ///< logits of an extra zero
  SampleArray mean;        ///< px_rate, counts
  SampleArray dispersion;  ///< px_r: inverse dispersions; the same for every cell unless the model has more
};

struct DenoisedOptions {
  std::int64_t n_samples = 25;
  double rna_size_factor = 1000;                     ///< library size that all cells get
  std::optional<std::int64_t> transform_batch = {};  ///< decode every cell as if it came from this batch
  std::vector<std::int64_t> genes = {};              ///< as in GenerateOptions
};

enum class CorrelationType { pearson, spearman };

struct CorrelationOptions {
  std::int64_t n_samples = 10;
  double rna_size_factor = 1000;
  /// Batches to decode as in ExpressionOptions: one matrix is made for each, and their mean is returned.
  std::vector<std::int64_t> transform_batch = {};
  CorrelationType type = CorrelationType::spearman;
  std::vector<std::int64_t> genes = {};  ///< as in GenerateOptions
};

}  // namespace scvi
