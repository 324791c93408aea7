#include "scvi/dataset/count_matrix.hpp"

#include <algorithm>
#include <cassert>
#include <functional>
#include <numeric>

#include "count_storage.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/dataset/count_store.hpp"

namespace scvi {

using namespace count_storage;

namespace {

/// Drops what lies behind `size` and gives back memory when less than half of it is still used; the copy that this
/// takes is then small beside what was there.
template <class Items>
void shorten(Items& items, std::int64_t size) {
  items.resize(static_cast<std::size_t>(size));
  if (items.capacity() / 2 > items.size()) items.shrink_to_fit();
}

/// Moves [first, last) up to `to`. @return where the moved items end
template <class Items>
std::int64_t move_up(Items& items, std::int64_t first, std::int64_t last, std::int64_t to) {
  if (to != first) std::move(items.begin() + first, items.begin() + last, items.begin() + to);
  return to + last - first;
}

/// Stores gene indices in 16 bits when the genes that are left allow it.
template <class Indices>
void narrow_indices(Indices& indices, std::int64_t n_genes) {
  if (indices.index() == 0 || n_genes > kMaxGenesIn16Bits) return;
  indices = std::visit([](const auto& wide) -> Indices { return converted<std::uint16_t>(wide); }, indices);
}

/// Turns counts per row, stored at offsets 1.., into offsets.
void accumulate_offsets(std::vector<std::int64_t>& indptr) {
  std::partial_sum(indptr.begin(), indptr.end(), indptr.begin());
}

bool strictly_increasing(std::span<const std::int64_t> numbers) {
  return std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal<>()) == numbers.end();
}

/// Keeps those entries [first, last) of a row whose genes have a new number, in the order of the new numbers, at
/// `to`, which is not behind `first`. @return how many
template <class Index, class Value>
std::int64_t keep_entries(std::vector<Index>& genes, std::vector<Value>& values, std::int64_t first,
                          std::int64_t last, const std::int64_t to, std::span<const std::int32_t> new_gene) {
  std::int64_t next = to;
  for (std::int64_t at = first; at < last; ++at) {
    const std::int32_t gene = new_gene[genes[at]];
    if (gene < 0) continue;
    genes[next] = static_cast<Index>(gene);
    values[next++] = values[at];
  }
  thread_local std::vector<std::pair<Index, Value>> buffer;
  sort_entries(genes.data() + to, values.data() + to, next - to, buffer);
  return next - to;
}

/// The same for a dense row of `width` values that starts at `first`.
template <class Value>
std::int64_t keep_columns(std::vector<Value>& values, std::int64_t first, std::int64_t width, std::int64_t to,
                          std::span<const std::int64_t> columns) {
  thread_local std::vector<Value> row;
  row.assign(values.begin() + first, values.begin() + first + width);
  for (const std::int64_t column : columns) values[to++] = row[column];
  return static_cast<std::int64_t>(columns.size());
}

}  // namespace

CountMatrix CountMatrix::select_cells(std::span<const std::int64_t> cells) && {
  if (store_) return on_disk(store_->select_cells(cells));
  if (!strictly_increasing(cells)) return std::as_const(*this).select_cells(cells);
  const auto move_rows_up = [&](auto& items) {
    std::int64_t to = 0;
    for (const std::int64_t cell : cells) to = move_up(items, first_entry(cell), first_entry(cell + 1), to);
    shorten(items, to);
  };
  std::visit(move_rows_up, values_);
  n_cells_ = static_cast<std::int64_t>(cells.size());
  if (sparse_) {
    std::visit(move_rows_up, indices_);
    // Offsets are read ahead of where they are written, or hold their old value there.
    for (std::size_t i = 0; i < cells.size(); ++i) {
      indptr_[i + 1] = indptr_[i] + (indptr_[cells[i] + 1] - indptr_[cells[i]]);
    }
    shorten(indptr_, n_cells_ + 1);
  }
  narrow(values_);
  return std::move(*this);
}

CountMatrix CountMatrix::select_cells(std::span<const std::int64_t> cells) const& {
  if (store_) return on_disk(store_->select_cells(cells));
  const auto n = static_cast<std::int64_t>(cells.size());
  CountMatrix out;
  out.n_cells_ = n;
  out.n_genes_ = n_genes_;
  out.sparse_ = sparse_;
  if (sparse_) {
    out.indptr_.assign(cells.size() + 1, 0);
    for (std::int64_t i = 0; i < n; ++i) {
      assert(cells[i] >= 0 && cells[i] < n_cells_);
      out.indptr_[i + 1] = out.indptr_[i] + indptr_[cells[i] + 1] - indptr_[cells[i]];
    }
  }
  const auto copy_rows = [&](const auto& from) {
    std::decay_t<decltype(from)> to(sparse_ ? static_cast<std::size_t>(out.indptr_.back())
                                            : cells.size() * static_cast<std::size_t>(n_genes_));
    parallel_for(n, cells_per_chunk(n_genes_), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t first = sparse_ ? indptr_[cells[i]] : cells[i] * n_genes_;
        const std::int64_t last = sparse_ ? indptr_[cells[i] + 1] : first + n_genes_;
        std::copy(from.begin() + first, from.begin() + last, to.begin() + (sparse_ ? out.indptr_[i] : i * n_genes_));
      }
    });
    return to;
  };
  out.values_ = std::visit([&](const auto& values) -> Values { return copy_rows(values); }, values_);
  if (sparse_)
    out.indices_ = std::visit([&](const auto& indices) -> Indices { return copy_rows(indices); }, indices_);
  narrow(out.values_);
  return out;
}

CountMatrix CountMatrix::select_genes(std::span<const std::int64_t> genes) const& {
  if (store_) return store_->select_genes(genes);
  const Part part{this, {genes.begin(), genes.end()}, nullptr};
  if (genes.empty()) return CountMatrix(*this).select_genes(genes);
  return concatenate(std::span(&part, 1));
}

CountMatrix CountMatrix::select_genes(std::span<const std::int64_t> genes) && {
  if (store_) return store_->select_genes(genes);
  const auto n_genes = static_cast<std::int64_t>(genes.size());
  const std::vector<std::int32_t> new_gene = new_positions(genes, n_genes_);
  const std::int64_t chunk = cells_per_chunk(sparse_ ? n_genes_ / 8 : n_genes_);
  std::vector<std::int64_t> kept(static_cast<std::size_t>(n_cells_) + 1, 0);  // entries per cell, at 1..

  // First every chunk closes its own gaps, then the chunks move up one after the other.
  const auto in_chunks = [&](auto&& close_gaps) {
    parallel_for(n_cells_, chunk, [&](std::int64_t begin, std::int64_t end) {
      std::int64_t to = first_entry(begin);
      for (std::int64_t cell = begin; cell < end; ++cell) to += kept[cell + 1] = close_gaps(cell, to);
    });
    accumulate_offsets(kept);
  };
  const auto move_chunks_up = [&](auto& items) {
    for (std::int64_t begin = 0; begin < n_cells_; begin += chunk) {
      const std::int64_t length = kept[std::min(begin + chunk, n_cells_)] - kept[begin];
      move_up(items, first_entry(begin), first_entry(begin) + length, kept[begin]);
    }
    shorten(items, kept.back());
  };

  if (sparse_) {
    std::visit(
        [&](auto& indices, auto& values) {
          in_chunks([&](std::int64_t cell, std::int64_t to) {
            return keep_entries(indices, values, indptr_[cell], indptr_[cell + 1], to, new_gene);
          });
        },
        indices_, values_);
    std::visit(move_chunks_up, indices_);
  } else {
    std::visit(
        [&](auto& values) {
          in_chunks([&](std::int64_t cell, std::int64_t to) {
            return keep_columns(values, cell * n_genes_, n_genes_, to, genes);
          });
        },
        values_);
  }
  std::visit(move_chunks_up, values_);
  if (sparse_) {
    indptr_ = std::move(kept);
    narrow_indices(indices_, n_genes);
  }
  n_genes_ = n_genes;
  narrow(values_);
  return std::move(*this);
}
}  // namespace scvi
