#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// Entries of a matrix in the order of their file: three lists of the same length.
struct EntryView {
  std::span<const std::int32_t> cells{};
  std::span<const std::int32_t> genes{};
  std::span<const float> values{};

  std::size_t size() const { return values.size(); }
};

/// Turns entries in any order into rows of cells. Each batch is sorted into buckets, which are ranges of cells, while
/// it is in the cache; in the end each bucket, which is to fit into the cache too, is scattered into its rows. Both
/// happen on all threads, and nothing depends on their number: within a row the order is that of the file.
///
/// Takes 12 bytes an entry, to which take_rows() adds the 8 of its result.
class EntryBuckets {
 public:
  /// @param n_cells no cell is this or beyond @param n_entries about so many will come; 0: nobody knows
  EntryBuckets(std::int64_t n_cells, std::int64_t n_entries);
  void append(std::span<const EntryView> batches);
  /// The rows, their columns neither sorted nor added up. Empties the buckets.
  CsrBlock take_rows(std::int64_t n_cells);

 private:
  struct Entry {
    std::int32_t cell;
    std::int32_t gene;
    float value;
  };
  /// A batch, sorted: bucket b is entries [ends[b - 1], ends[b]).
  struct Run {
    Entry* entries = nullptr;
    std::vector<std::size_t> ends{};

    std::span<const Entry> bucket(std::size_t at) const {
      const std::size_t begin = at == 0 ? 0 : ends[at - 1];
      return {entries + begin, ends[at] - begin};
    }
  };
  struct Free {
    void operator()(void* memory) const;
  };

  int shift_ = 0;  ///< cell >> shift_ is the number of its bucket
  std::size_t n_buckets_ = 1;
  std::int64_t n_expected_ = 0;
  std::int64_t n_entries_ = 0;
  std::vector<Run> runs_;
  std::vector<std::unique_ptr<Entry[], Free>> memory_;
  std::size_t room_ = 0;  ///< entries that the last piece of memory still holds
  Entry* next_ = nullptr;

  Entry* take_memory(std::size_t n_entries);
  void sort(const EntryView& batch, Run& run) const;
  void scatter(std::size_t bucket, std::int64_t first_entry, CsrBlock& rows) const;
};

}  // namespace scvi::io
