#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// Entries of a matrix in the order of their file: three lists of the same length.
struct EntryView {
  std::span<const std::int32_t> cells{};
  std::span<const std::int32_t> genes{};
  std::span<const float> values{};

  std::size_t size() const { return values.size(); }
};

/// What is known of entries before they come: no cell is `n_cells` or beyond and no gene `n_genes`; there are about
/// `n_entries`, or nobody knows how many (0).
struct ExpectedEntries {
  std::int64_t n_cells = 0;
  std::int64_t n_genes = 0;
  std::int64_t n_entries = 0;
};

/// Turns entries in any order into rows of cells. Each batch is sorted into buckets, which are ranges of cells, while
/// it is in the cache; in the end each bucket, which is to fit into the cache too, is scattered into its rows. Both
/// happen on all threads, and nothing depends on their number: within a row the order is that of the file.
class EntryBuckets {
 public:
  virtual ~EntryBuckets() = default;
  virtual void append(std::span<const EntryView> batches) = 0;
  /// The rows, their columns neither sorted nor added up. Empties the buckets.
  virtual CsrBlock take_rows(std::int64_t n_cells) = 0;
};

/// Takes 8 bytes an entry (12 where cells and genes are so many that their numbers do not fit into 42 bits), to which
/// take_rows() adds the 8 of its result.
std::unique_ptr<EntryBuckets> make_entry_buckets(const ExpectedEntries& expected);

}  // namespace scvi::io
