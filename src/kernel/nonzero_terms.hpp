#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include <hwy/aligned_allocator.h>

#include "float_array.hpp"
#include "scvi/kernel/matrix_product.hpp"

namespace scvi::kernel {

/// So many rows of the other factor, a strip wide, fit into the first-level cache.
inline constexpr std::int64_t kTermsPerPass = 64;

/// The numbers of a factor that are not zero.
struct NonzeroTerms {
  explicit NonzeroTerms(const MatrixView<const float>& a)
      : n_rows(a.n_rows),
        n_terms(a.n_columns),
        n_passes((a.n_columns + kTermsPerPass - 1) / kTermsPerPass),
        counts(static_cast<std::size_t>(n_rows * n_passes)),
        terms(hwy::AllocateAligned<std::int32_t>(static_cast<std::size_t>(n_rows * n_passes * kTermsPerPass))),
        values(float_array(n_rows * n_passes * kTermsPerPass)) {
    if (terms == nullptr) throw std::bad_alloc();
  }

  /// Where those of a row begin that a pass takes; there is room for all of them.
  std::int64_t place(std::int64_t row, std::int64_t pass) const { return (pass * n_rows + row) * kTermsPerPass; }

  std::int64_t n_rows, n_terms, n_passes;
  std::vector<std::int32_t> counts;                 ///< (n_passes, n_rows)
  hwy::AlignedFreeUniquePtr<std::int32_t[]> terms;  ///< counted from the first of a pass
  FloatArray values;
};

}  // namespace scvi::kernel
