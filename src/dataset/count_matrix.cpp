#include "scvi/dataset/count_matrix.hpp"

#include <algorithm>
#include <cassert>

#include "count_storage.hpp"
#include "scvi/core/parallel.hpp"

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

std::int64_t CountMatrix::n_nonzero() const {
  return std::visit(
      [&](const auto& values) -> std::int64_t {
        if (sparse_) return static_cast<std::int64_t>(values.size());
        return static_cast<std::int64_t>(values.size()) - std::count(values.begin(), values.end(), 0);
      },
      values_);
}

std::size_t CountMatrix::memory_bytes() const {
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
    if (sparse_) {
      count = indptr_[cells[i] + 1] - indptr_[cells[i]];
    } else {
      for_each_nonzero(cells[i], [&count](std::int64_t, float) { ++count; });
    }
    out.indptr[i + 1] = out.indptr[i] + count;
  }
  out.indices.resize(static_cast<std::size_t>(out.indptr.back()));
  out.values.resize(static_cast<std::size_t>(out.indptr.back()));
  const std::int64_t entries_per_cell = out.indptr.back() / std::max<std::int64_t>(1, n);
  parallel_for(n, cells_per_chunk(entries_per_cell), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t at = out.indptr[i];
      for_each_nonzero(cells[i], [&](std::int64_t gene, float count) {
        out.indices[at] = static_cast<std::int32_t>(gene);
        out.values[at++] = count;
      });
    }
  });
}

std::vector<double> CountMatrix::cell_totals() const {
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
