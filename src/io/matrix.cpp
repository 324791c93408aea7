#include "scvi/io/matrix.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <numeric>

#include "csr_rows.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi::io {

void CsrBlock::clear() {
  first_row = 0;
  indptr.assign(1, 0);
  indices.clear();
  values.clear();
}

namespace {

bool is_strictly_increasing(const std::int32_t* first, const std::int32_t* last) {
  return std::adjacent_find(first, last, [](std::int32_t a, std::int32_t b) { return a >= b; }) == last;
}

/// Sorts the entries of a row by column and adds up what belongs to the same one.
class RowSorter {
 public:
  /// Returns the number of entries left.
  std::int64_t sort_and_merge(std::int32_t* indices, float* values, std::int64_t count) {
    entries_.resize(static_cast<std::size_t>(count));
    std::uint32_t all_bits = 0;
    for (std::int64_t at = 0; at < count; ++at) {
      const auto column = static_cast<std::uint32_t>(indices[at]);
      all_bits |= column;
      entries_[static_cast<std::size_t>(at)] =
          std::uint64_t{column} << kColumnShift | std::bit_cast<std::uint32_t>(values[at]);
    }
    // Stable, so that the order of additions is the order in the file.
    if (count < kShortRow)
      sort_by_insertion();
    else
      sort_by_digits(std::bit_width(all_bits));
    return merge(indices, values);
  }

 private:
  static constexpr int kColumnShift = 32;
  static constexpr int kDigitBits = 8;
  static constexpr std::int64_t kShortRow = 64;  ///< shorter ones are not worth the counting of digits
  std::vector<std::uint64_t> entries_;           ///< column and value
  std::vector<std::uint64_t> sorted_;

  static std::uint32_t column_of(std::uint64_t entry) { return static_cast<std::uint32_t>(entry >> kColumnShift); }

  void sort_by_insertion() {
    for (std::size_t at = 1; at < entries_.size(); ++at) {
      const std::uint64_t entry = entries_[at];
      std::size_t to = at;
      for (; to > 0 && column_of(entries_[to - 1]) > column_of(entry); --to) entries_[to] = entries_[to - 1];
      entries_[to] = entry;
    }
  }

  void sort_by_digits(int column_bits) {
    sorted_.resize(entries_.size());
    for (int shift = kColumnShift; shift < kColumnShift + column_bits; shift += kDigitBits) {
      std::array<std::size_t, std::size_t{1} << kDigitBits> next{};
      const auto digit = [shift](std::uint64_t entry) { return (entry >> shift) % (std::uint64_t{1} << kDigitBits); };
      for (const std::uint64_t entry : entries_) ++next[digit(entry)];
      std::exclusive_scan(next.begin(), next.end(), next.begin(), std::size_t{0});
      for (const std::uint64_t entry : entries_) sorted_[next[digit(entry)]++] = entry;
      entries_.swap(sorted_);
    }
  }

  std::int64_t merge(std::int32_t* indices, float* values) const {
    const auto value_of = [](std::uint64_t entry) { return std::bit_cast<float>(static_cast<std::uint32_t>(entry)); };
    std::int64_t kept = 0;
    for (std::size_t at = 0; at < entries_.size();) {
      const std::uint32_t column = column_of(entries_[at]);
      double sum = 0;
      for (; at < entries_.size() && column_of(entries_[at]) == column; ++at) sum += value_of(entries_[at]);
      indices[kept] = static_cast<std::int32_t>(column);
      values[kept++] = static_cast<float>(sum);
    }
    return kept;
  }
};

/// Normalizes rows [first, end) of a block in place, the entries of which begin at `begin`. Their offsets become what
/// is left, counted from there.
void normalize_some_rows(CsrBlock& block, std::int64_t first, std::int64_t end, std::int64_t begin) {
  RowSorter sorter;
  std::int32_t* const indices = block.indices.data();
  float* const values = block.values.data();
  std::int64_t kept = begin;
  for (std::int64_t row = first; row < end; ++row) {
    const std::int64_t past = block.indptr[static_cast<std::size_t>(row) + 1];
    std::int64_t count = past - begin;
    if (!is_strictly_increasing(indices + begin, indices + past))
      count = sorter.sort_and_merge(indices + begin, values + begin, count);
    if (kept == begin && std::find(values + begin, values + begin + count, 0.0F) == values + begin + count) {
      kept += count;
    } else {
      for (std::int64_t at = begin; at < begin + count; ++at) {
        indices[kept] = indices[at];
        values[kept] = values[at];
        kept += values[at] != 0;
      }
    }
    begin = past;
    block.indptr[static_cast<std::size_t>(row) + 1] = kept;
  }
}

/// Moves entries [begin, end) of a block to the left.
void move_entries(CsrBlock& block, std::int64_t begin, std::int64_t end, std::int64_t to) {
  std::copy(block.indices.begin() + begin, block.indices.begin() + end, block.indices.begin() + to);
  std::copy(block.values.begin() + begin, block.values.begin() + end, block.values.begin() + to);
}

}  // namespace

void normalize_rows(CsrBlock& block) {
  constexpr std::int64_t kEntriesAtOnce = std::int64_t{1} << 16;
  const std::int64_t n_rows = block.n_rows();
  const std::int64_t pieces = 1 + std::ssize(block.values) / kEntriesAtOnce;
  const std::int64_t chunk = std::max<std::int64_t>(1, n_rows / pieces);
  // Where the entries of each chunk begin is overwritten by the chunk before it.
  std::vector<std::int64_t> begins;
  for (std::int64_t row = 0; row < n_rows; row += chunk)
    begins.push_back(block.indptr[static_cast<std::size_t>(row)]);
  parallel_for(n_rows, chunk, [&](std::int64_t first, std::int64_t end) {
    normalize_some_rows(block, first, end, begins[static_cast<std::size_t>(first / chunk)]);
  });
  std::int64_t kept = 0;
  for (std::int64_t first = 0; first < n_rows; first += chunk) {
    const std::int64_t end = std::min(n_rows, first + chunk);
    const std::int64_t begin = begins[static_cast<std::size_t>(first / chunk)];
    const std::int64_t past = block.indptr[static_cast<std::size_t>(end)];
    if (kept < begin) {
      move_entries(block, begin, past, kept);
      for (std::int64_t row = first; row < end; ++row)
        block.indptr[static_cast<std::size_t>(row) + 1] -= begin - kept;
    }
    kept += past - begin;
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
