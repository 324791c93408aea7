#pragma once

#include <cstdint>
#include <vector>

namespace scvi {

/// What a model makes of the entries that corruption changed. Entries of cell i (in the order of the posterior) stand
/// from indptr[i] to indptr[i + 1]; with several samples, all entries of the first sample come first.
struct ImputationList {
  std::vector<std::int64_t> indptr = {0};  ///< (cells + 1)
  std::vector<float> original;             ///< the count before it was corrupted
  std::vector<float> imputed;              ///< px_rate inferred from the corrupted counts
};

/// Median of |original - imputed| over all entries; 0 where there is none.
double imputation_score(const ImputationList& list);

struct ImputationBenchmark {
  ImputationList list;
  double median_score = 0;  ///< imputation_score()
  double mean_score = 0;    ///< mean over cells of the median of each; 0 for a cell without changed entries
};

}  // namespace scvi
