#include "entry_assembler.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "csr_rows.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi::io {

namespace {

/// How the entries of a batch follow each other.
struct BatchOrder {
  bool by_cell = true;
  bool clean = true;  ///< strictly ordered by both, without zeros
};

BatchOrder order_of(const EntryView& batch) {
  const std::int32_t* const cells = batch.cells.data();
  const std::int32_t* const genes = batch.genes.data();
  const float* const values = batch.values.data();
  // Without branches, for the compiler to make vectors of it.
  std::int32_t disorder = 0;
  std::int32_t unclean = batch.size() > 0 && values[0] == 0 ? 1 : 0;
  for (std::size_t at = 1; at < batch.size(); ++at) {
    disorder |= cells[at] < cells[at - 1] ? 1 : 0;
    unclean |= (cells[at] == cells[at - 1] ? 1 : 0) & (genes[at] <= genes[at - 1] ? 1 : 0);
    unclean |= values[at] == 0 ? 1 : 0;
  }
  return {disorder == 0, unclean == 0};
}

}  // namespace

EntryAssembler::EntryAssembler(const ExpectedEntries& expected) : expected_(expected) {
  genes_.reserve(static_cast<std::size_t>(expected.n_entries));
  values_.reserve(static_cast<std::size_t>(expected.n_entries));
}

void EntryAssembler::append(std::span<const EntryView> batches) {
  if (!buckets_ && !continues_order(batches)) give_up_order();
  if (buckets_)
    buckets_->append(batches);
  else
    append_ordered(batches);
}

bool EntryAssembler::continues_order(std::span<const EntryView> batches) {
  std::vector<BatchOrder> orders(batches.size());
  parallel_for(std::ssize(batches), 1, [&](std::int64_t at, std::int64_t) {
    orders[static_cast<std::size_t>(at)] = order_of(batches[static_cast<std::size_t>(at)]);
  });
  for (std::size_t at = 0; at < batches.size(); ++at) {
    const EntryView& batch = batches[at];
    if (batch.size() == 0) continue;
    if (!orders[at].by_cell || batch.cells.front() < last_cell_) return false;
    clean_ &= orders[at].clean && (batch.cells.front() > last_cell_ || batch.genes.front() > last_gene_);
    last_cell_ = batch.cells.back();
    last_gene_ = batch.genes.back();
  }
  return true;
}

void EntryAssembler::append_ordered(std::span<const EntryView> batches) {
  const std::array<void (*)(EntryAssembler&, const EntryView&), 3> parts = {
      [](EntryAssembler& to, const EntryView& batch) {
        to.genes_.insert(to.genes_.end(), batch.genes.begin(), batch.genes.end());
      },
      [](EntryAssembler& to, const EntryView& batch) {
        to.values_.insert(to.values_.end(), batch.values.begin(), batch.values.end());
      },
      [](EntryAssembler& to, const EntryView& batch) { to.count_cells(batch); }};
  parallel_for(std::ssize(parts), 1, [&](std::int64_t part, std::int64_t) {
    for (const EntryView& batch : batches) parts[static_cast<std::size_t>(part)](*this, batch);
  });
}

void EntryAssembler::count_cells(const EntryView& batch) {
  if (batch.size() == 0) return;
  const std::size_t needed = static_cast<std::size_t>(batch.cells.back()) + 1;
  if (counts_.size() < needed) counts_.resize(std::max(needed, std::min(2 * counts_.size(), needed + (1 << 20))));
  for (std::size_t begin = 0, end = 0; begin < batch.size(); begin = end) {
    const std::int32_t cell = batch.cells[begin];
    while (end < batch.size() && batch.cells[end] == cell) ++end;
    counts_[static_cast<std::size_t>(cell)] += static_cast<std::int64_t>(end - begin);
  }
}

/// Moves what has come so far into buckets.
void EntryAssembler::give_up_order() {
  buckets_ = make_entry_buckets(expected_);
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  std::vector<std::int32_t> cells;
  std::size_t cell = 0;
  for (std::size_t begin = 0; begin < genes_.size(); begin += cells.size()) {
    cells.clear();
    const std::size_t size = std::min(kPiece, genes_.size() - begin);
    while (cells.size() < size) {
      while (counts_[cell] == 0) ++cell;
      const auto run = std::min(static_cast<std::size_t>(counts_[cell]), size - cells.size());
      cells.insert(cells.end(), run, static_cast<std::int32_t>(cell));
      counts_[cell] -= static_cast<std::int64_t>(run);
    }
    const EntryView piece{cells, {genes_.data() + begin, size}, {values_.data() + begin, size}};
    buckets_->append({&piece, 1});
  }
  counts_ = {};
  genes_ = {};
  values_ = {};
}

CsrBlock EntryAssembler::finish(std::int64_t n_cells) {
  CsrBlock rows;
  if (buckets_) {
    rows = buckets_->take_rows(n_cells);
    clean_ = false;
  } else {
    counts_.resize(static_cast<std::size_t>(n_cells));
    rows.indptr.assign(static_cast<std::size_t>(n_cells) + 1, 0);
    std::partial_sum(counts_.begin(), counts_.end(), rows.indptr.begin() + 1);
    rows.indices = std::move(genes_);
    rows.values = std::move(values_);
  }
  if (!clean_) normalize_rows(rows);
  buckets_.reset();
  return rows;
}

}  // namespace scvi::io
