#pragma once

#include <cstdint>

namespace scvi::kernel {

/// The rows of a softmax, and each times a factor of its own. Matrices are contiguous, (n_rows, n_columns).
template <class T>
struct SoftmaxRows {
  std::int64_t n_rows = 0;
  std::int64_t n_columns = 0;
  const T* logits = nullptr;
  T* scale = nullptr;  ///< exp(logit) / sum over the row of exp(logit); may be `logits`

  const T* log_factor = nullptr;  ///< (n_rows), natural logarithms; read where `rate` is not null
  T* rate = nullptr;              ///< exp(log_factor) * scale, or null where it is not wanted
};

/// Writes `scale` and `rate`. Where a logit stays more than 87 below the largest of its row, the softmax counts it as
/// if it were 87 below. A row with a NaN or an infinity gives what plain arithmetic gives.
void softmax_rows(const SoftmaxRows<float>& rows);

}  // namespace scvi::kernel
