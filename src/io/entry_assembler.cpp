#include "entry_assembler.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "csr_rows.hpp"

namespace scvi::io {

namespace {

/// Whether the first entries of a file look ordered by cell. Those of one gene alone say that genes come in order.
bool looks_ordered_by_cell(const EntryBatch& batch) {
  const bool one_gene = std::ranges::all_of(batch.genes, [&](std::int32_t gene) { return gene == batch.genes[0]; });
  return std::ranges::is_sorted(batch.cells) && (!one_gene || batch.cells.front() == batch.cells.back());
}

}  // namespace

void EntryBatch::clear() {
  cells.clear();
  genes.clear();
  values.clear();
}

void EntryAssembler::reserve(std::int64_t n_entries) {
  indices_.reserve(static_cast<std::size_t>(n_entries));
  values_.reserve(static_cast<std::size_t>(n_entries));
}

void EntryAssembler::append(const EntryBatch& batch) {
  if (batch.size() == 0) return;
  if (order_ == Order::undecided) order_ = looks_ordered_by_cell(batch) ? Order::by_cell : Order::by_gene;
  if (order_ != Order::none) {
    const std::vector<std::int32_t>& outer = order_ == Order::by_cell ? batch.cells : batch.genes;
    const std::vector<std::int32_t>& inner = order_ == Order::by_cell ? batch.genes : batch.cells;
    if (outer.front() >= last_outer_ && std::ranges::is_sorted(outer)) return append_ordered(outer, inner, batch);
    give_up_order();
  }
  outer_.insert(outer_.end(), batch.cells.begin(), batch.cells.end());
  indices_.insert(indices_.end(), batch.genes.begin(), batch.genes.end());
  values_.insert(values_.end(), batch.values.begin(), batch.values.end());
}

void EntryAssembler::append_ordered(const std::vector<std::int32_t>& outer, const std::vector<std::int32_t>& inner,
                                    const EntryBatch& batch) {
  const std::size_t needed = static_cast<std::size_t>(outer.back()) + 1;
  if (counts_.size() < needed) counts_.resize(std::max(needed, std::min(2 * counts_.size(), needed + (1 << 20))));
  bool clean = true;
  for (std::size_t at = 0; at < outer.size(); ++at) {
    clean &= (outer[at] > last_outer_ || inner[at] > last_inner_) && batch.values[at] != 0;
    last_outer_ = outer[at];
    last_inner_ = inner[at];
    ++counts_[static_cast<std::size_t>(outer[at])];
  }
  clean_ &= clean;
  indices_.insert(indices_.end(), inner.begin(), inner.end());
  values_.insert(values_.end(), batch.values.begin(), batch.values.end());
}

/// The cell or gene of every entry so far, as they are ordered by it.
std::vector<std::int32_t> EntryAssembler::expanded_counts() const {
  std::vector<std::int32_t> outer;
  outer.reserve(indices_.capacity());
  for (std::size_t at = 0; at < counts_.size(); ++at)
    outer.insert(outer.end(), static_cast<std::size_t>(counts_[at]), static_cast<std::int32_t>(at));
  return outer;
}

void EntryAssembler::give_up_order() {
  outer_ = expanded_counts();
  if (order_ == Order::by_gene) std::swap(outer_, indices_);
  counts_ = {};
  clean_ = false;
  order_ = Order::none;
}

CsrBlock EntryAssembler::finish(std::int64_t n_cells, std::int64_t n_genes) {
  CsrBlock rows;
  if (order_ == Order::none) {
    rows = scattered(n_cells, outer_, [this](std::size_t at) { return indices_[at]; });
  } else if (order_ == Order::by_gene) {
    counts_.resize(static_cast<std::size_t>(n_genes));
    std::size_t gene = 0;
    std::int64_t left = counts_.empty() ? 0 : counts_[0];
    rows = scattered(n_cells, indices_, [&](std::size_t) {
      while (left == 0) left = counts_[++gene];
      --left;
      return static_cast<std::int32_t>(gene);
    });
  } else {
    rows = rows_as_they_are(n_cells);
  }
  if (!clean_) normalize_rows(rows);
  *this = {};
  return rows;
}

CsrBlock EntryAssembler::rows_as_they_are(std::int64_t n_cells) {
  CsrBlock rows;
  counts_.resize(static_cast<std::size_t>(n_cells));
  rows.indptr.assign(static_cast<std::size_t>(n_cells) + 1, 0);
  std::partial_sum(counts_.begin(), counts_.end(), rows.indptr.begin() + 1);
  rows.indices = std::move(indices_);
  rows.values = std::move(values_);
  return rows;
}

/// A counting sort by cell that keeps the order of the file within each.
template <class NextOuter>
CsrBlock EntryAssembler::scattered(std::int64_t n_cells, const std::vector<std::int32_t>& cells, NextOuter gene_of) {
  CsrBlock rows;
  rows.indptr.assign(static_cast<std::size_t>(n_cells) + 1, 0);
  for (const std::int32_t cell : cells) ++rows.indptr[static_cast<std::size_t>(cell) + 1];
  std::partial_sum(rows.indptr.begin(), rows.indptr.end(), rows.indptr.begin());
  std::vector<std::int64_t> next(rows.indptr.begin(), rows.indptr.end() - 1);
  rows.indices.resize(cells.size());
  rows.values.resize(cells.size());
  for (std::size_t at = 0; at < cells.size(); ++at) {
    const auto slot = static_cast<std::size_t>(next[static_cast<std::size_t>(cells[at])]++);
    rows.indices[slot] = gene_of(at);
    rows.values[slot] = values_[at];
  }
  return rows;
}

}  // namespace scvi::io
