#include "scvi/dataset/count_matrix.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "count_storage.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/dataset/count_store.hpp"

namespace scvi {

using namespace count_storage;

namespace {

/// Entries of one row in gene order; unsorted rows are rare and pay for it alone.
void sort_row(std::span<std::int32_t> genes, std::span<float> values) {
  if (std::is_sorted(genes.begin(), genes.end())) return;
  std::vector<std::pair<std::int32_t, float>> entries(genes.size());
  for (std::size_t i = 0; i < entries.size(); ++i) entries[i] = {genes[i], values[i]};
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < entries.size(); ++i) std::tie(genes[i], values[i]) = entries[i];
}

}  // namespace

CountMatrix CountMatrix::from_csr(std::int64_t n_cells, std::int64_t n_genes, std::vector<std::int64_t> indptr,
                                  std::vector<std::int32_t> indices, std::vector<float> values) {
  check_shape(n_cells, n_genes);
  check_offsets(indptr, n_cells, indices.size(), values.size());
  CountMatrixBuilder builder(n_genes, n_cells, static_cast<std::int64_t>(values.size()));
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    const auto first = static_cast<std::size_t>(indptr[cell]);
    const auto count = static_cast<std::size_t>(indptr[cell + 1]) - first;
    const std::span<std::int32_t> genes = std::span(indices).subspan(first, count);
    const std::span<float> counts = std::span(values).subspan(first, count);
    sort_row(genes, counts);
    builder.append_cell(genes, counts);
  }
  return std::move(builder).finish();
}

CountMatrix CountMatrix::from_dense(std::int64_t n_cells, std::int64_t n_genes, std::span<const float> values) {
  check_shape(n_cells, n_genes);
  if (values.size() != checked_product(n_cells, n_genes)) {
    throw InputError({.problem = "has " + std::to_string(values.size()) + " values, expected " +
                                 std::to_string(n_cells) + " x " + std::to_string(n_genes),
                      .field = "dense count matrix"});
  }
  CountMatrix matrix;
  matrix.n_cells_ = n_cells;
  matrix.n_genes_ = n_genes;
  matrix.sparse_ = false;
  const std::size_t width = width_needed<float>(values);
  if (width == 0) {
    matrix.values_ = std::vector<std::uint8_t>(values.begin(), values.end());
  } else if (width == 1) {
    matrix.values_ = std::vector<std::uint16_t>(values.begin(), values.end());
  } else {
    matrix.values_ = std::vector<float>(values.begin(), values.end());
  }
  return matrix;
}

CountMatrix CountMatrix::on_disk(std::shared_ptr<const CountStore> store) {
  CountMatrix matrix;
  matrix.n_cells_ = store->n_cells();
  matrix.n_genes_ = store->n_genes();
  matrix.store_ = std::move(store);
  return matrix;
}

void CountMatrix::require_memory(const char* what) const {
  if (!store_) return;
  throw InputError({.problem = std::string("are on disk, where they cannot be ") + what,
                    .file = store_->file(),
                    .field = "the counts",
                    .remedy = "give more --memory, or none to hold all counts in memory"});
}

std::pair<std::shared_ptr<const CountMatrix>, std::int64_t> CountMatrix::block_of(std::int64_t cell) const {
  const std::int64_t size = store_->block_cells();
  return {store_->block(cell / size), cell % size};
}

/// Calls use(place in `cells`, block in memory, number of the cell in the block) for all cells, block by block.
template <class UseCell>
void CountMatrix::for_each_stored(std::span<const std::int64_t> cells, UseCell&& use) const {
  std::vector<std::int64_t> places(cells.size());
  std::iota(places.begin(), places.end(), 0);
  std::sort(places.begin(), places.end(),
            [&](std::int64_t a, std::int64_t b) { return std::pair(cells[a], a) < std::pair(cells[b], b); });
  const std::int64_t size = store_->block_cells();
  for (auto first = places.begin(); first != places.end();) {
    const std::int64_t index = cells[*first] / size;
    const auto last = std::find_if(first, places.end(), [&](std::int64_t at) { return cells[at] / size != index; });
    const std::shared_ptr<const CountMatrix> block = store_->block(index, last - first);
    for (; first != last; ++first) use(*first, *block, cells[*first] % size);
  }
}

std::int64_t CountMatrix::n_nonzero() const {
  if (store_) return store_->n_nonzero();
  return std::visit(
      [&](const auto& values) -> std::int64_t {
        if (sparse_) return static_cast<std::int64_t>(values.size());
        return static_cast<std::int64_t>(values.size()) - std::count(values.begin(), values.end(), 0);
      },
      values_);
}

std::size_t CountMatrix::memory_bytes() const {
  if (store_) return store_->memory_bytes();
  const auto bytes = [](const auto& items) { return items.size() * sizeof(items[0]); };
  std::size_t total = std::visit(bytes, values_);
  if (sparse_) total += std::visit(bytes, indices_) + bytes(indptr_);
  return total;
}

std::size_t CountMatrix::csr_bytes() const {
  return (static_cast<std::size_t>(n_cells_) + 1) * sizeof(std::int64_t) +
         static_cast<std::size_t>(n_nonzero()) * (sizeof(std::int32_t) + sizeof(float));
}

void CountMatrix::gather_dense(std::span<const std::int64_t> cells, float* out) const {
  const auto n = static_cast<std::int64_t>(cells.size());
  if (store_) {
    return for_each_stored(cells, [&](std::int64_t place, const CountMatrix& block, std::int64_t cell) {
      block.gather_dense(std::span(&cell, 1), out + place * n_genes_);
    });
  }
  const auto gather = [&](std::int64_t begin, std::int64_t end) {
    if (sparse_) std::fill(out + begin * n_genes_, out + end * n_genes_, 0.0F);
    for (std::int64_t i = begin; i < end; ++i) {
      assert(cells[i] >= 0 && cells[i] < n_cells_);
      float* row = out + i * n_genes_;
      if (sparse_) {
        for_each_nonzero(cells[i], [row](std::int64_t gene, float count) { row[gene] = count; });
        continue;
      }
      std::visit(
          [&](const auto& values) {
            const auto* from = values.data() + cells[i] * n_genes_;
            std::copy(from, from + n_genes_, row);
          },
          values_);
    }
  };
  parallel_for(n, cells_per_chunk(n_genes_), gather);
}

void CountMatrix::gather_csr(std::span<const std::int64_t> cells, io::CsrBlock& out) const {
  const auto n = static_cast<std::int64_t>(cells.size());
  out.first_row = 0;
  out.indptr.assign(cells.size() + 1, 0);
  for (std::int64_t i = 0; i < n; ++i) {
    assert(cells[i] >= 0 && cells[i] < n_cells_);
    std::int64_t count = 0;
    if (store_) {
      count = store_->n_nonzero(cells[i]);
    } else if (sparse_) {
      count = indptr_[cells[i] + 1] - indptr_[cells[i]];
    } else {
      for_each_nonzero(cells[i], [&count](std::int64_t, float) { ++count; });
    }
    out.indptr[i + 1] = out.indptr[i] + count;
  }
  out.indices.resize(static_cast<std::size_t>(out.indptr.back()));
  out.values.resize(static_cast<std::size_t>(out.indptr.back()));
  const auto copy = [&](std::int64_t place, const CountMatrix& from, std::int64_t cell) {
    std::int64_t at = out.indptr[place];
    from.for_each_nonzero(cell, [&](std::int64_t gene, float count) {
      out.indices[at] = static_cast<std::int32_t>(gene);
      out.values[at++] = count;
    });
  };
  if (store_) return for_each_stored(cells, copy);
  constexpr std::int64_t kLeastEntries = 4096;
  const std::int64_t entries_per_cell = out.indptr.back() / std::max<std::int64_t>(1, n);
  const std::int64_t least = chunk_count(kLeastEntries, std::max<std::int64_t>(1, entries_per_cell));
  parallel_for(n, chunk_of_independent(n, least), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) copy(i, *this, cells[i]);
  });
}

std::vector<double> CountMatrix::cell_totals() const {
  if (store_) return store_->cell_totals();
  std::vector<double> totals(static_cast<std::size_t>(n_cells_));
  parallel_for(n_cells_, cells_per_chunk(n_genes_), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t cell = begin; cell < end; ++cell) {
      double total = 0;
      for_each_nonzero(cell, [&total](std::int64_t, float count) { total += count; });
      totals[cell] = total;
    }
  });
  return totals;
}

std::vector<double> CountMatrix::cell_totals(std::span<const std::int64_t> genes) const {
  const std::vector<std::int32_t> new_gene = new_positions(genes, n_genes_);
  std::vector<double> totals(static_cast<std::size_t>(n_cells_));
  if (store_) {
    store_->for_each_cell(
        [&](std::int64_t cell, std::span<const std::int32_t> of_cell, std::span<const float> counts) {
          for (std::size_t at = 0; at < of_cell.size(); ++at)
            totals[cell] += new_gene[of_cell[at]] >= 0 ? counts[at] : 0.0F;
        });
    return totals;
  }
  parallel_for(n_cells_, cells_per_chunk(n_genes_), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t cell = begin; cell < end; ++cell) {
      double total = 0;
      for_each_nonzero(cell, [&](std::int64_t gene, float count) { total += new_gene[gene] >= 0 ? count : 0.0F; });
      totals[cell] = total;
    }
  });
  return totals;
}

CountMatrix CountMatrix::to_sparse() const {
  if (sparse_) return *this;
  CountMatrix out;
  out.n_cells_ = n_cells_;
  out.n_genes_ = n_genes_;
  out.indices_ = empty_indices<Indices>(n_genes_);
  const std::int64_t n_entries = n_nonzero();
  out.indptr_.reserve(static_cast<std::size_t>(n_cells_) + 1);
  std::visit(
      [&](const auto& from, auto& to_indices) {
        using Index = typename std::decay_t<decltype(to_indices)>::value_type;
        std::decay_t<decltype(from)> to_values;
        to_indices.reserve(static_cast<std::size_t>(n_entries));
        to_values.reserve(static_cast<std::size_t>(n_entries));
        for (std::int64_t cell = 0; cell < n_cells_; ++cell) {
          const auto* row = from.data() + cell * n_genes_;
          for (std::int64_t gene = 0; gene < n_genes_; ++gene) {
            if (row[gene] == 0) continue;
            to_indices.push_back(static_cast<Index>(gene));
            to_values.push_back(row[gene]);
          }
          out.indptr_.push_back(static_cast<std::int64_t>(to_values.size()));
        }
        out.values_ = std::move(to_values);
      },
      values_, out.indices_);
  return out;
}

CountMatrix CountMatrix::to_dense() const {
  if (!sparse_) return *this;
  require_memory("made dense");
  CountMatrix out;
  out.n_cells_ = n_cells_;
  out.n_genes_ = n_genes_;
  out.sparse_ = false;
  const std::size_t n_entries = checked_product(n_cells_, n_genes_);
  out.values_ = std::visit(
      [&](const auto& from) -> Values {
        std::decay_t<decltype(from)> to(n_entries);
        using Value = typename decltype(to)::value_type;
        parallel_for(n_cells_, cells_per_chunk(n_genes_), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t cell = begin; cell < end; ++cell) {
            for_each_nonzero(cell, [&](std::int64_t gene, float count) {
              to[cell * n_genes_ + gene] = static_cast<Value>(count);
            });
          }
        });
        return to;
      },
      values_);
  return out;
}

}  // namespace scvi
