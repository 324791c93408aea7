#pragma once

#include <cstdint>

namespace scvi::kernel {

/// Rows of a sparse matrix that somebody else holds, as kernels take them: row r has the entries indptr[r] up to
/// indptr[r + 1] - 1 of `indices` (columns, increasing within a row) and `values`. indptr[0] need not be 0.
struct CsrView {
  std::int64_t n_rows = 0;
  std::int64_t n_columns = 0;
  const std::int64_t* indptr = nullptr;   ///< n_rows + 1
  const std::int32_t* indices = nullptr;  ///< each within 0..n_columns - 1
  const float* values = nullptr;
};

}  // namespace scvi::kernel
