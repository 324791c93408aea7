#include "scvi/kernel/csr_transposed.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "scvi/core/parallel.hpp"

namespace scvi::kernel {
namespace {

constexpr std::int64_t kLeastColumns = 16;
/// Columns whose entries are written to together: the places of all of them stay in the first-level cache.
constexpr std::int64_t kColumnsTogether = 192;

}  // namespace

CsrTransposed CsrTransposed::room_for(const CsrView& x) {
  const std::int64_t n_entries = x.n_rows == 0 ? 0 : x.indptr[x.n_rows] - x.indptr[0];
  CsrTransposed room;
  room.n_rows_ = x.n_rows;
  room.n_columns_ = x.n_columns;
  room.indptr_.resize(static_cast<std::size_t>(x.n_columns) + 1);
  room.indptr_.back() = n_entries;
  room.indices_ = std::make_unique_for_overwrite<std::int32_t[]>(static_cast<std::size_t>(n_entries));
  room.values_ = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(n_entries));
  return room;
}

CsrTransposed::CsrTransposed(const CsrView& x) : CsrTransposed(room_for(x)) {
  parallel_for(n_columns_, chunk_of_independent(n_columns_, kLeastColumns),
               [&](std::int64_t begin, std::int64_t end) { place(x, begin, end); });
}

void CsrTransposed::place(const CsrView& x, std::int64_t begin, std::int64_t end) {
  // Some columns at a time: counted, then written.
  // [row]: its first entry that is not placed, and its first one beyond the columns at hand.
  std::vector<std::int64_t> next(static_cast<std::size_t>(x.n_rows)), stop(next.size());
  std::int64_t n_placed = 0;
  for (std::int64_t row = 0; row < x.n_rows; ++row) {
    const std::int64_t first = x.indptr[row];
    next[row] =
        begin == 0 ? first : std::lower_bound(x.indices + first, x.indices + x.indptr[row + 1], begin) - x.indices;
    n_placed += next[row] - first;
  }
  for (std::int64_t column = begin; column < end; column += kColumnsTogether) {
    const std::int64_t last = std::min(column + kColumnsTogether, end);
    std::array<std::int64_t, kColumnsTogether> places{};  // how many a column has, then where its next one goes
    for (std::int64_t row = 0; row < x.n_rows; ++row) {
      std::int64_t i = next[row];
      for (; i < x.indptr[row + 1] && x.indices[i] < last; ++i) ++places[x.indices[i] - column];
      stop[row] = i;
    }
    for (std::int64_t c = column; c < last; ++c) {
      indptr_[c] = n_placed;
      n_placed += std::exchange(places[c - column], n_placed);
    }
    for (std::int64_t row = 0; row < x.n_rows; ++row) {
      for (std::int64_t i = next[row]; i < stop[row]; ++i) {
        const std::int64_t to = places[x.indices[i] - column]++;
        indices_[to] = static_cast<std::int32_t>(row);
        values_[to] = x.values[i];
      }
    }
    next.swap(stop);
  }
}

CsrView CsrTransposed::view() const {
  return {n_columns_, n_rows_, indptr_.data(), indices_.get(), values_.get()};
}

}  // namespace scvi::kernel
