#pragma once

#include <cstdint>

namespace scvi::kernel {

/// mixed_dropout() on raw numbers; matrices are contiguous, of n_genes columns.
struct MixedDropoutRows {
  std::int64_t n_rows = 0;
  std::int64_t n_genes = 0;
  const float* logits = nullptr;  ///< (n_rows, n_genes)
  float minimum = 0;
  const float* log_inflated = nullptr;     ///< (categories, n_genes)
  const float* log_plain = nullptr;        ///< (categories, n_genes)
  const std::int64_t* category = nullptr;  ///< (n_rows), or null: the first row for all
  float* out = nullptr;                    ///< (n_rows, n_genes)
  float* by_logit = nullptr;               ///< (n_rows, n_genes) derivative by the logit, or null
  float* by_plain = nullptr;               ///< (n_rows, n_genes) minus the one by log_plain, or null
};

void mixed_dropout_rows(const MixedDropoutRows& rows);

}  // namespace scvi::kernel
