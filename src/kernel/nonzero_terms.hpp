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

/// Terms of a row and a pass are filled up to a multiple of so many.
inline constexpr std::int32_t kTermsTogether = 4;

/// The numbers of a factor that are not zero.
struct NonzeroTerms {
  /// Room for them.
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

  std::int32_t count(std::int64_t row, std::int64_t pass) const {
    return counts[static_cast<std::size_t>(pass * n_rows + row)];
  }
  std::int32_t filled_up(std::int64_t row, std::int64_t pass) const {
    return (count(row, pass) + kTermsTogether - 1) / kTermsTogether * kTermsTogether;
  }

  std::int64_t n_rows, n_terms, n_passes;
  std::int64_t n_in_all = 0;
  std::vector<std::int32_t> counts;                 ///< (n_passes, n_rows)
  hwy::AlignedFreeUniquePtr<std::int32_t[]> terms;  ///< counted from the first of a pass; zeros fill up
  FloatArray values;
};

/// Looked for on all threads.
/// @pre the numbers of `a` lie side by side along one of its sides
NonzeroTerms nonzeros_of(const MatrixView<const float>& a);

}  // namespace scvi::kernel
