#include "scvi/dataset/count_matrix.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <tuple>
#include <type_traits>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kEntriesPerChunk = 1 << 16;
constexpr std::int64_t kMaxGenesIn16Bits = 65536;

/// Cells of one parallel chunk, so that a chunk is worth handing to a thread.
std::int64_t cells_per_chunk(std::int64_t entries_per_cell) {
  return std::max<std::int64_t>(1, kEntriesPerChunk / std::max<std::int64_t>(1, entries_per_cell));
}

template <class T>
bool fits(float value) {
  if constexpr (std::is_same_v<T, float>) return true;
  return value >= 0 && value <= static_cast<float>(std::numeric_limits<T>::max()) && value == std::trunc(value);
}

/// Position in the variant of values (0: 8 bits, 1: 16 bits, 2: float32) of the smallest type, from `width` on, that
/// holds all of `values`.
template <class T>
std::size_t width_needed(std::span<const T> values, std::size_t width = 0) {
  for (const T value : values) {
    const auto number = static_cast<float>(value);
    if (width == 0 && !fits<std::uint8_t>(number)) width = 1;
    if (width == 1 && !fits<std::uint16_t>(number)) width = 2;
    if (width == 2) break;
  }
  return width;
}

template <class To, class From>
std::vector<To> converted(const std::vector<From>& from) {
  std::vector<To> to;
  to.reserve(from.capacity());
  for (const From value : from) to.push_back(static_cast<To>(value));
  return to;
}

/// Stores the values in the type at position `width` of their variant; what was reserved stays reserved.
template <class Values>
void set_width(Values& values, std::size_t width) {
  if (values.index() == width) return;
  values = std::visit(
      [&](const auto& old) -> Values {
        if (width == 0) return converted<std::uint8_t>(old);
        if (width == 1) return converted<std::uint16_t>(old);
        return converted<float>(old);
      },
      values);
}

template <class Values>
void narrow(Values& values) {
  constexpr std::uint16_t kLargest8Bit = std::numeric_limits<std::uint8_t>::max();
  if (const auto* wide = std::get_if<std::vector<std::uint16_t>>(&values)) {
    const bool needed = std::any_of(wide->begin(), wide->end(), [](std::uint16_t v) { return v > kLargest8Bit; });
    if (!needed) set_width(values, 0);
  } else if (const auto* wider = std::get_if<std::vector<float>>(&values)) {
    set_width(values, width_needed<float>(*wider));
  }
}

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

/// Gives back reserved memory where it is worth a copy.
template <class Variant>
void trim(Variant& stored) {
  std::visit(
      [](auto& items) {
        if (items.capacity() - items.size() > items.size() / 8) items.shrink_to_fit();
      },
      stored);
}

template <class Indices>
Indices empty_indices(std::int64_t n_genes) {
  if (n_genes <= kMaxGenesIn16Bits) return std::vector<std::uint16_t>{};
  return std::vector<std::int32_t>{};
}

/// Stores gene indices in 16 bits when the genes that are left allow it.
template <class Indices>
void narrow_indices(Indices& indices, std::int64_t n_genes) {
  if (indices.index() == 0 || n_genes > kMaxGenesIn16Bits) return;
  indices = std::visit([](const auto& wide) -> Indices { return converted<std::uint16_t>(wide); }, indices);
}

std::size_t checked_product(std::int64_t n_cells, std::int64_t n_genes) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(n_cells, n_genes, &product)) {
    throw InputError({.problem = "has " + std::to_string(n_cells) + " x " + std::to_string(n_genes) +
                                 " entries, more than a dense matrix can hold",
                      .field = "count matrix"});
  }
  return static_cast<std::size_t>(product);
}

void check_shape(std::int64_t n_cells, std::int64_t n_genes) {
  if (n_cells < 0 || n_genes < 0 || n_genes > std::numeric_limits<std::int32_t>::max()) {
    throw InputError({.problem = "has the impossible shape " + std::to_string(n_cells) + " cells x " +
                                 std::to_string(n_genes) + " genes",
                      .field = "count matrix"});
  }
}

/// Offsets must be `n_rows + 1`, start at 0, never decrease and end at the number of entries.
void check_offsets(std::span<const std::int64_t> indptr, std::int64_t n_rows, std::size_t n_indices,
                   std::size_t n_values) {
  const auto fail = [](std::string problem) {
    throw InputError({.problem = std::move(problem), .field = "count matrix, indptr"});
  };
  if (indptr.size() != static_cast<std::size_t>(n_rows) + 1) {
    fail("has " + std::to_string(indptr.size()) + " entries, expected " + std::to_string(n_rows + 1));
  }
  if (indptr.front() != 0) fail("starts at " + std::to_string(indptr.front()) + " instead of 0");
  const auto drop = std::is_sorted_until(indptr.begin(), indptr.end());
  if (drop != indptr.end()) fail("decreases at cell " + std::to_string(drop - indptr.begin() - 1));
  if (n_indices != n_values || static_cast<std::size_t>(indptr.back()) != n_values) {
    fail("ends at " + std::to_string(indptr.back()) + ", but there are " + std::to_string(n_indices) +
         " indices and " + std::to_string(n_values) + " values");
  }
}

[[noreturn]] void throw_bad_index(std::int64_t cell, std::int64_t gene, std::int64_t n_genes) {
  const std::string which = "is " + std::to_string(gene);
  throw InputError({.problem = gene < 0 || gene >= n_genes
                                   ? which + ", but there are " + std::to_string(n_genes) + " genes"
                                   : which + ", which is out of order or there twice",
                    .field = "count matrix, gene index of cell " + std::to_string(cell)});
}

/// Entries of one row in gene order; unsorted rows are rare and pay for it alone.
void sort_row(std::span<std::int32_t> genes, std::span<float> values) {
  if (std::is_sorted(genes.begin(), genes.end())) return;
  std::vector<std::pair<std::int32_t, float>> entries(genes.size());
  for (std::size_t i = 0; i < entries.size(); ++i) entries[i] = {genes[i], values[i]};
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < entries.size(); ++i) std::tie(genes[i], values[i]) = entries[i];
}

void check_row(std::span<const std::int32_t> genes, std::int64_t cell, std::int64_t n_genes) {
  std::int64_t previous = -1;
  for (const std::int32_t gene : genes) {
    if (gene <= previous || gene >= n_genes) throw_bad_index(cell, gene, n_genes);
    previous = gene;
  }
}

/// Turns counts per row, stored at offsets 1.., into offsets.
void accumulate_offsets(std::vector<std::int64_t>& indptr) {
  std::partial_sum(indptr.begin(), indptr.end(), indptr.begin());
}

bool strictly_increasing(std::span<const std::int64_t> numbers) {
  return std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal<>()) == numbers.end();
}

/// new_gene[old gene], -1 for those left out.
std::vector<std::int32_t> new_positions(std::span<const std::int64_t> genes, std::int64_t n_genes) {
  std::vector<std::int32_t> new_gene(static_cast<std::size_t>(n_genes), -1);
  for (std::size_t i = 0; i < genes.size(); ++i) {
    assert(genes[i] >= 0 && genes[i] < n_genes && new_gene[genes[i]] == -1);
    new_gene[genes[i]] = static_cast<std::int32_t>(i);
  }
  return new_gene;
}

/// Puts the entries of one row into the order of their genes.
template <class Index, class Value>
void sort_entries(Index* genes, Value* values, std::int64_t n, std::vector<std::pair<Index, Value>>& buffer) {
  if (std::is_sorted(genes, genes + n)) return;
  buffer.clear();
  for (std::int64_t i = 0; i < n; ++i) buffer.emplace_back(genes[i], values[i]);
  std::sort(buffer.begin(), buffer.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::int64_t i = 0; i < n; ++i) std::tie(genes[i], values[i]) = buffer[static_cast<std::size_t>(i)];
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

CountMatrix CountMatrix::select_cells(std::span<const std::int64_t> cells) && {
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
  const Part part{this, {genes.begin(), genes.end()}, nullptr};
  if (genes.empty()) return CountMatrix(*this).select_genes(genes);
  return concatenate(std::span(&part, 1));
}

CountMatrix CountMatrix::select_genes(std::span<const std::int64_t> genes) && {
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

CountMatrix CountMatrix::concatenate(std::span<const CountMatrix* const> parts) {
  std::vector<Part> whole;
  for (const CountMatrix* part : parts) whole.push_back({part, {}, nullptr});
  return concatenate(whole);
}

CountMatrix CountMatrix::concatenate(std::span<const Part> parts) {
  if (parts.empty()) return {};
  const auto n_genes_of = [](const Part& part) {
    return part.genes.empty() ? part.counts->n_genes_ : static_cast<std::int64_t>(part.genes.size());
  };
  CountMatrix out;
  out.n_genes_ = n_genes_of(parts.front());
  out.sparse_ = std::any_of(parts.begin(), parts.end(), [](const Part& part) { return part.counts->sparse_; });
  out.indices_ = empty_indices<Indices>(out.n_genes_);
  std::size_t width = 0;
  std::int64_t n_entries = 0;
  std::int64_t n_cells = 0;
  for (const Part& part : parts) {
    if (n_genes_of(part) != out.n_genes_) {
      throw InputError({.problem = "have " + std::to_string(out.n_genes_) + " and " +
                                   std::to_string(n_genes_of(part)) + " genes, but must have the same",
                        .field = "count matrices to put together"});
    }
    width = std::max(width, part.counts->values_.index());
    n_cells += part.counts->n_cells_;
    n_entries += out.sparse_ ? n_nonzero_of(part) : part.counts->n_cells_ * out.n_genes_;
  }
  set_width(out.values_, width);
  std::visit([&](auto& values) { values.reserve(static_cast<std::size_t>(n_entries)); }, out.values_);
  if (out.sparse_) {
    out.indptr_.reserve(static_cast<std::size_t>(n_cells) + 1);
    std::visit([&](auto& indices) { indices.reserve(static_cast<std::size_t>(n_entries)); }, out.indices_);
  }
  for (const Part& part : parts) {
    out.sparse_ ? out.append_sparse(part) : out.append_dense(part);
    out.n_cells_ += part.counts->n_cells_;
    if (part.release != nullptr) *part.release = CountMatrix();
  }
  narrow(out.values_);
  return out;
}

std::int64_t CountMatrix::n_nonzero_of(const Part& part) {
  const CountMatrix& counts = *part.counts;
  if (part.genes.empty()) return counts.n_nonzero();
  const std::vector<std::int32_t> new_gene = new_positions(part.genes, counts.n_genes_);
  const std::int64_t chunk = cells_per_chunk(counts.n_genes_ / 8);
  std::vector<std::int64_t> per_chunk(static_cast<std::size_t>(chunk_count(counts.n_cells_, chunk)));
  parallel_for(counts.n_cells_, chunk, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t n = 0;
    for (std::int64_t cell = begin; cell < end; ++cell) {
      counts.for_each_nonzero(cell, [&](std::int64_t gene, float) { n += new_gene[gene] >= 0; });
    }
    per_chunk[begin / chunk] = n;
  });
  return std::accumulate(per_chunk.begin(), per_chunk.end(), std::int64_t{0});
}

void CountMatrix::append_dense(const Part& part) {
  std::visit(
      [&](auto& to, const auto& from) {
        if (part.genes.empty()) {
          to.insert(to.end(), from.begin(), from.end());
          return;
        }
        using Value = typename std::decay_t<decltype(to)>::value_type;
        for (std::int64_t cell = 0; cell < part.counts->n_cells_; ++cell) {
          const auto* row = from.data() + part.counts->first_entry(cell);
          for (const std::int64_t gene : part.genes) to.push_back(static_cast<Value>(row[gene]));
        }
      },
      values_, part.counts->values_);
}

void CountMatrix::append_sparse(const Part& part) {
  std::vector<std::int32_t> new_gene(static_cast<std::size_t>(part.counts->n_genes_));
  std::iota(new_gene.begin(), new_gene.end(), 0);
  if (!part.genes.empty()) new_gene = new_positions(part.genes, part.counts->n_genes_);
  std::visit(
      [&](auto& indices, auto& values) {
        using Index = typename std::decay_t<decltype(indices)>::value_type;
        using Value = typename std::decay_t<decltype(values)>::value_type;
        std::vector<std::pair<Index, Value>> buffer;
        for (std::int64_t cell = 0; cell < part.counts->n_cells_; ++cell) {
          const std::int64_t first = indptr_.back();
          part.counts->for_each_nonzero(cell, [&](std::int64_t gene, float count) {
            if (new_gene[gene] < 0) return;
            indices.push_back(static_cast<Index>(new_gene[gene]));
            values.push_back(static_cast<Value>(count));
          });
          indptr_.push_back(static_cast<std::int64_t>(values.size()));
          sort_entries(indices.data() + first, values.data() + first, indptr_.back() - first, buffer);
        }
      },
      indices_, values_);
}

CountMatrixBuilder::CountMatrixBuilder(std::int64_t n_genes, std::int64_t expected_cells,
                                       std::int64_t expected_nonzero) {
  check_shape(expected_cells, n_genes);
  matrix_.n_genes_ = n_genes;
  matrix_.indices_ = empty_indices<CountMatrix::Indices>(n_genes);
  matrix_.indptr_.reserve(static_cast<std::size_t>(expected_cells) + 1);
  const auto n_entries = static_cast<std::size_t>(std::max<std::int64_t>(0, expected_nonzero));
  std::visit([&](auto& indices) { indices.reserve(n_entries); }, matrix_.indices_);
  std::visit([&](auto& values) { values.reserve(n_entries); }, matrix_.values_);
}

void CountMatrixBuilder::append(const io::CsrBlock& rows) {
  check_offsets(rows.indptr, std::max<std::int64_t>(0, rows.n_rows()), rows.indices.size(), rows.values.size());
  for (std::int64_t row = 0; row < rows.n_rows(); ++row) {
    const auto first = static_cast<std::size_t>(rows.indptr[row]);
    const auto count = static_cast<std::size_t>(rows.indptr[row + 1]) - first;
    append_cell(std::span(rows.indices).subspan(first, count), std::span(rows.values).subspan(first, count));
  }
}

void CountMatrixBuilder::append_cell(std::span<const std::int32_t> genes, std::span<const float> values) {
  if (genes.size() != values.size()) {
    throw InputError(
        {.problem = "has " + std::to_string(genes.size()) + " genes but " + std::to_string(values.size()) + " values",
         .field = "count matrix, cell " + std::to_string(matrix_.n_cells_)});
  }
  check_row(genes, matrix_.n_cells_, matrix_.n_genes_);
  set_width(matrix_.values_, width_needed<float>(values, matrix_.values_.index()));
  std::visit(
      [&](auto& to_indices, auto& to_values) {
        using Index = typename std::decay_t<decltype(to_indices)>::value_type;
        using Value = typename std::decay_t<decltype(to_values)>::value_type;
        for (std::size_t i = 0; i < genes.size(); ++i) {
          if (values[i] == 0) continue;
          to_indices.push_back(static_cast<Index>(genes[i]));
          to_values.push_back(static_cast<Value>(values[i]));
        }
        matrix_.indptr_.push_back(static_cast<std::int64_t>(to_values.size()));
      },
      matrix_.indices_, matrix_.values_);
  ++matrix_.n_cells_;
}

CountMatrix CountMatrixBuilder::finish() && {
  trim(matrix_.indices_);
  trim(matrix_.values_);
  return std::move(matrix_);
}

}  // namespace scvi
