#include "scvi/kernel/csr_transposed.hpp"

#include <algorithm>
#include <numeric>

#include "scvi/core/parallel.hpp"

namespace scvi::kernel {
namespace {

constexpr std::int64_t kLeastColumns = 256;

/// Calls body(row, i) for the entries i of x in columns [begin, end), row by row.
template <class Body>
void for_entries(const CsrView& x, std::int64_t begin, std::int64_t end, const Body& body) {
  for (std::int64_t row = 0; row < x.n_rows; ++row) {
    const std::int32_t* const stop = x.indices + x.indptr[row + 1];
    std::int64_t i = x.indptr[row];
    if (begin > 0) i = std::lower_bound(x.indices + i, stop, begin) - x.indices;
    for (; i < x.indptr[row + 1] && x.indices[i] < end; ++i) body(row, i);
  }
}

}  // namespace

CsrTransposed::CsrTransposed(const CsrView& x)
    : n_rows_(x.n_rows), n_columns_(x.n_columns), indptr_(static_cast<std::size_t>(x.n_columns) + 2) {
  const std::int64_t n_entries = x.n_rows == 0 ? 0 : x.indptr[x.n_rows] - x.indptr[0];
  indices_ = std::make_unique_for_overwrite<std::int32_t[]>(static_cast<std::size_t>(n_entries));
  values_ = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(n_entries));
  // indptr_[c + 2] counts column c, then indptr_[c + 1] is where its next entry goes: its end when all are placed.
  const auto for_columns = [&](auto method) {
    parallel_for(n_columns_, chunk_of_independent(n_columns_, kLeastColumns),
                 [&](std::int64_t begin, std::int64_t end) { (this->*method)(x, begin, end); });
  };
  for_columns(&CsrTransposed::count);
  std::partial_sum(indptr_.begin(), indptr_.end(), indptr_.begin());
  for_columns(&CsrTransposed::place);
}

void CsrTransposed::count(const CsrView& x, std::int64_t begin, std::int64_t end) {
  std::int64_t* const counts = indptr_.data() + 2;
  for_entries(x, begin, end, [&](std::int64_t, std::int64_t i) { ++counts[x.indices[i]]; });
}

void CsrTransposed::place(const CsrView& x, std::int64_t begin, std::int64_t end) {
  std::int64_t* const next = indptr_.data() + 1;
  for_entries(x, begin, end, [&](std::int64_t row, std::int64_t i) {
    const auto place = static_cast<std::size_t>(next[x.indices[i]]++);
    indices_[place] = static_cast<std::int32_t>(row);
    values_[place] = x.values[i];
  });
}

CsrView CsrTransposed::view() const {
  return {n_columns_, n_rows_, indptr_.data(), indices_.get(), values_.get()};
}

}  // namespace scvi::kernel
