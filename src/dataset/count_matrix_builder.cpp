#include "scvi/dataset/count_matrix.hpp"

#include <algorithm>

#include "count_storage.hpp"

namespace scvi {

using namespace count_storage;

namespace {

/// Gives back reserved memory where it is worth a copy.
template <class Variant>
void trim(Variant& stored) {
  std::visit(
      [](auto& items) {
        if (items.capacity() - items.size() > items.size() / 8) items.shrink_to_fit();
      },
      stored);
}

[[noreturn]] void throw_bad_index(std::int64_t cell, std::int64_t gene, std::int64_t n_genes) {
  const std::string which = "is " + std::to_string(gene);
  throw InputError({.problem = gene < 0 || gene >= n_genes
                                   ? which + ", but there are " + std::to_string(n_genes) + " genes"
                                   : which + ", which is out of order or there twice",
                    .field = "count matrix, gene index of cell " + std::to_string(cell)});
}

void check_row(std::span<const std::int32_t> genes, std::int64_t cell, std::int64_t n_genes) {
  std::int64_t previous = -1;
  for (const std::int32_t gene : genes) {
    if (gene <= previous || gene >= n_genes) throw_bad_index(cell, gene, n_genes);
    previous = gene;
  }
}

}  // namespace

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
