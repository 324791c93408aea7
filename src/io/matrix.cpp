#include "scvi/io/matrix.hpp"

#include <algorithm>
#include <utility>

#include "csr_rows.hpp"
#include "scvi/core/error.hpp"

namespace scvi::io {

void CsrBlock::clear() {
  first_row = 0;
  indptr.assign(1, 0);
  indices.clear();
  values.clear();
}

namespace {

using Entry = std::pair<std::int32_t, float>;

bool is_strictly_increasing(const std::int32_t* first, const std::int32_t* last) {
  return std::adjacent_find(first, last, [](std::int32_t a, std::int32_t b) { return a >= b; }) == last;
}

/// Sorts one row and adds up what belongs to the same column. Returns the number of entries left.
std::int64_t sort_and_merge(std::int32_t* indices, float* values, std::int64_t count, std::vector<Entry>& scratch) {
  scratch.clear();
  for (std::int64_t at = 0; at < count; ++at) scratch.emplace_back(indices[at], values[at]);
  // Stable, so that the order of additions is the order in the file.
  std::stable_sort(scratch.begin(), scratch.end(), [](const Entry& a, const Entry& b) { return a.first < b.first; });
  std::int64_t kept = 0;
  for (std::size_t at = 0; at < scratch.size();) {
    const std::int32_t column = scratch[at].first;
    double sum = 0;
    for (; at < scratch.size() && scratch[at].first == column; ++at) sum += scratch[at].second;
    indices[kept] = column;
    values[kept++] = static_cast<float>(sum);
  }
  return kept;
}

}  // namespace

void normalize_rows(CsrBlock& block) {
  std::vector<Entry> scratch;
  std::int32_t* const indices = block.indices.data();
  float* const values = block.values.data();
  std::int64_t kept = 0;
  std::int64_t begin = 0;
  for (std::int64_t row = 0; row < block.n_rows(); ++row) {
    const std::int64_t end = block.indptr[static_cast<std::size_t>(row) + 1];
    std::int64_t count = end - begin;
    if (!is_strictly_increasing(indices + begin, indices + end))
      count = sort_and_merge(indices + begin, values + begin, count, scratch);
    for (std::int64_t at = begin; at < begin + count; ++at) {
      indices[kept] = indices[at];
      values[kept] = values[at];
      kept += values[at] != 0;
    }
    begin = end;
    block.indptr[static_cast<std::size_t>(row) + 1] = kept;
  }
  block.indices.resize(static_cast<std::size_t>(kept));
  block.values.resize(static_cast<std::size_t>(kept));
}

void check_block(const CsrBlock& block, std::int64_t n_cols, const std::string& where) {
  const auto fault = [&](const std::string& problem) {
    throw InputError({.problem = problem, .field = where + ", rows from " + std::to_string(block.first_row)});
  };
  if (block.indptr.empty() || block.indptr.front() != 0 ||
      block.indptr.back() != static_cast<std::int64_t>(block.indices.size()) ||
      block.indices.size() != block.values.size() || !std::is_sorted(block.indptr.begin(), block.indptr.end()))
    fault("offsets, indices and values do not fit each other");
  for (std::int64_t row = 0; row < block.n_rows(); ++row) {
    std::int64_t last = -1;
    for (auto at = block.indptr[static_cast<std::size_t>(row)]; at < block.indptr[static_cast<std::size_t>(row) + 1];
         ++at) {
      const std::int64_t column = block.indices[static_cast<std::size_t>(at)];
      if (column <= last || column >= n_cols)
        fault("column indices must increase and lie in 0.." + std::to_string(n_cols - 1) + ", but there is " +
              std::to_string(column) + " after " + std::to_string(last));
      last = column;
    }
  }
}

}  // namespace scvi::io
