#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "entry_buckets.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// Makes rows of cells from entries in any order, on all threads. Where they come ordered by cell, they are stored
/// once, at 8 bytes an entry. In any other order they wait in EntryBuckets, mostly at 8 bytes an entry too, and are
/// held twice for a while in the end, until their rows stand. Where the order breaks off is found when it happens.
class EntryAssembler {
 public:
  /// Address space is taken for the expected number of entries, so that growing copies nothing.
  explicit EntryAssembler(const ExpectedEntries& expected);
  /// Takes entries that come next in the file.
  void append(std::span<const EntryView> batches);
  /// The rows, in the form that CsrBlock promises. @pre all cells and genes are below these
  CsrBlock finish(std::int64_t n_cells);

 private:
  ExpectedEntries expected_;
  bool clean_ = true;  ///< strictly ordered by both, without zeros
  std::int32_t last_cell_ = -1;
  std::int32_t last_gene_ = -1;
  // While all is ordered by cell:
  std::vector<std::int64_t> counts_;  ///< entries of each cell
  std::vector<std::int32_t> genes_;
  std::vector<float> values_;
  // From the first entry on that is not:
  std::unique_ptr<EntryBuckets> buckets_;

  bool continues_order(std::span<const EntryView> batches);
  void append_ordered(std::span<const EntryView> batches);
  void count_cells(const EntryView& batch);
  void give_up_order();
};

}  // namespace scvi::io
