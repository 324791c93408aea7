#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "scvi/kernel/csr_view.hpp"

namespace scvi::kernel {

/// Sparse rows seen by their columns, in memory of its own: row c of view() holds the entries of column c of x, in
/// the order of their rows.
class CsrTransposed {
 public:
  explicit CsrTransposed(const CsrView& x);
  /// Room for the entries of x, which place() brings in.
  static CsrTransposed room_for(const CsrView& x);
  /// Brings in the entries of columns [begin, end), which other threads may do for other columns at the same time.
  void place(const CsrView& x, std::int64_t begin, std::int64_t end);
  CsrView view() const;

 private:
  CsrTransposed() = default;

  std::int64_t n_rows_ = 0;
  std::int64_t n_columns_ = 0;
  std::vector<std::int64_t> indptr_;
  // Written whole.
  std::unique_ptr<std::int32_t[]> indices_;
  std::unique_ptr<float[]> values_;
};

}  // namespace scvi::kernel
