#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "entry_buckets.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// Makes rows of cells from entries in any order, on all threads. Where they come ordered by cell, they are stored
/// once, at 8 bytes an entry. In any other order they wait at 12 bytes an entry (EntryBuckets) and take 20 for a
/// while in the end, until their rows stand. Where the order breaks off within a file, that is found when it happens.
class EntryAssembler {
 public:
  /// What is known beforehand: no cell is `n_cells` or beyond, and there are about `n_entries`. Address space is
  /// taken for these, so that growing copies nothing.
  void expect(std::int64_t n_cells, std::int64_t n_entries);
  /// Takes entries that come next in the file.
  void append(std::span<const EntryView> batches);
  /// The rows, in the form that CsrBlock promises. @pre all cells and genes are below these
  CsrBlock finish(std::int64_t n_cells);

 private:
  std::int64_t most_cells_ = std::numeric_limits<std::int32_t>::max();
  std::int64_t n_expected_ = 0;
  bool clean_ = true;  ///< strictly ordered by both, without zeros
  std::int32_t last_cell_ = -1;
  std::int32_t last_gene_ = -1;
  // While all is ordered by cell:
  std::vector<std::int64_t> counts_;  ///< entries of each cell
  std::vector<std::int32_t> genes_;
  std::vector<float> values_;
  // From the first entry on that is not:
  std::optional<EntryBuckets> buckets_;

  bool continues_order(std::span<const EntryView> batches);
  void append_ordered(std::span<const EntryView> batches);
  void count_cells(const EntryView& batch);
  void give_up_order();
};

}  // namespace scvi::io
