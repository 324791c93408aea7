#pragma once

#include <cstdint>
#include <vector>

#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// Entries of a matrix in the order of their file.
struct EntryBatch {
  std::vector<std::int32_t> cells{};
  std::vector<std::int32_t> genes{};
  std::vector<float> values{};

  std::int64_t size() const { return static_cast<std::int64_t>(values.size()); }
  void clear();
};

/// Makes rows of cells from entries in any order. Where they come ordered by cell, they are stored once (8 bytes an
/// entry); ordered by gene, once and a second time while they are turned; in no order, with 4 bytes more.
class EntryAssembler {
 public:
  /// Takes address space for so many entries, so that growing copies nothing.
  void reserve(std::int64_t n_entries);
  void append(const EntryBatch& batch);
  std::int64_t n_entries() const { return static_cast<std::int64_t>(values_.size()); }
  /// The rows, in the form that CsrBlock promises. @pre all cells and genes are below these
  CsrBlock finish(std::int64_t n_cells, std::int64_t n_genes);

 private:
  enum class Order { undecided, by_cell, by_gene, none };
  Order order_ = Order::undecided;
  bool clean_ = true;  ///< strictly ordered by both, without zeros
  std::int32_t last_outer_ = -1;
  std::int32_t last_inner_ = -1;
  std::vector<std::int64_t> counts_;   ///< entries of each cell or gene, whichever they are ordered by
  std::vector<std::int32_t> outer_;    ///< cells, where there is no order
  std::vector<std::int32_t> indices_;  ///< genes; cells where ordered by gene
  std::vector<float> values_;

  void append_ordered(const std::vector<std::int32_t>& outer, const std::vector<std::int32_t>& inner,
                      const EntryBatch& batch);
  void give_up_order();
  std::vector<std::int32_t> expanded_counts() const;
  CsrBlock rows_as_they_are(std::int64_t n_cells);
  template <class NextOuter>
  CsrBlock scattered(std::int64_t n_cells, const std::vector<std::int32_t>& cells, NextOuter gene_of);
};

}  // namespace scvi::io
