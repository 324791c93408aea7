#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "scvi/io/matrix.hpp"

namespace scvi {

class CountStore;

/// Counts of genes per cell, (n_cells, n_genes), held once: sparse rows (CSR) or dense, with values in the smallest
/// type that holds all of them exactly (8 or 16 bits unsigned, else float32) and gene indices in 16 bits where they
/// fit. Values handed out are float32. All sizes are 64-bit.
///
/// Or the counts stay on disk, in a CountStore that reads them in blocks when they are asked for. Everything that
/// reads cells then works, fast where cells are close to each other; copies share the store. Genes can be selected,
/// and cells left out; what would need the counts in memory throws an InputError. Reading may throw what
/// CountStore::block() throws.
class CountMatrix {
 public:
  CountMatrix() = default;

  /// @throws InputError when the parts do not fit each other: indptr not increasing, an index out of range or twice
  ///         in a row (rows need not be sorted; they will be)
  static CountMatrix from_csr(std::int64_t n_cells, std::int64_t n_genes, std::vector<std::int64_t> indptr,
                              std::vector<std::int32_t> indices, std::vector<float> values);
  /// Row-major values, n_cells * n_genes of them.
  static CountMatrix from_dense(std::int64_t n_cells, std::int64_t n_genes, std::span<const float> values);

  /// Sparse counts that stay on disk.
  static CountMatrix on_disk(std::shared_ptr<const CountStore> store);
  /// Where the counts are, or nullptr when they are in memory.
  const std::shared_ptr<const CountStore>& store() const { return store_; }

  /// @throws InputError when the counts are on disk. @param what cannot be done with them then: "made dense"
  void require_memory(const char* what) const;

  std::int64_t n_cells() const { return n_cells_; }
  std::int64_t n_genes() const { return n_genes_; }
  bool is_sparse() const { return sparse_; }
  /// Stored non-zero entries when sparse; non-zero entries (counted) when dense.
  std::int64_t n_nonzero() const;
  /// Bytes that the matrix occupies.
  std::size_t memory_bytes() const;
  /// Bytes of the same matrix as CSR with 64-bit offsets, 32-bit indices and float32 values.
  std::size_t csr_bytes() const;

  /// Calls f(gene, value) for the non-zero entries of one cell, in gene order. On disk, cells should be asked for in
  /// order.
  template <class F>
  void for_each_nonzero(std::int64_t cell, F&& f) const;

  /// Rows of `cells` (any order, repeats allowed) as dense float32 into out, which holds cells.size() * n_genes().
  void gather_dense(std::span<const std::int64_t> cells, float* out) const;
  /// The same rows in compressed form; out.first_row is 0.
  void gather_csr(std::span<const std::int64_t> cells, io::CsrBlock& out) const;

  /// Total count per cell.
  std::vector<double> cell_totals() const;

  /// Total count per cell over these genes (each at most once).
  std::vector<double> cell_totals(std::span<const std::int64_t> genes) const;

  /// These cells, in this order (repeats allowed), as a new matrix.
  CountMatrix select_cells(std::span<const std::int64_t> cells) const&;
  /// The same for a matrix that is given up. Where the cells keep their order the entries move up within the memory
  /// that holds them, so that no second copy ever exists; memory goes back when less than half of it is still used.
  CountMatrix select_cells(std::span<const std::int64_t> cells) &&;
  /// Genes in the given order (each at most once), as a new matrix.
  CountMatrix select_genes(std::span<const std::int64_t> genes) const&;
  /// The same within the memory of a matrix that is given up, whatever the order.
  CountMatrix select_genes(std::span<const std::int64_t> genes) &&;
  CountMatrix to_sparse() const;
  CountMatrix to_dense() const;

  /// Cells to put below those of other matrices.
  struct Part {
    const CountMatrix* counts = nullptr;
    std::vector<std::int64_t> genes{};  ///< which genes, in which order (each at most once); empty: all
    CountMatrix* release = nullptr;     ///< emptied once the part is copied, so that memory is never held twice
  };
  /// Cells of all parts one after the other; sparse when any part is. @throws InputError unless all have equally many
  /// genes
  static CountMatrix concatenate(std::span<const CountMatrix* const> parts);
  static CountMatrix concatenate(std::span<const Part> parts);

 private:
  friend class CountMatrixBuilder;
  using Indices = std::variant<std::vector<std::uint16_t>, std::vector<std::int32_t>>;
  using Values = std::variant<std::vector<std::uint8_t>, std::vector<std::uint16_t>, std::vector<float>>;

  /// Where the entries of a cell begin among the stored values.
  std::int64_t first_entry(std::int64_t cell) const { return sparse_ ? indptr_[cell] : cell * n_genes_; }
  static std::int64_t n_nonzero_of(const Part& part);
  void append_dense(const Part& part);
  void append_sparse(const Part& part);
  /// The block in memory that holds a cell on disk, and the number of the cell there.
  std::pair<std::shared_ptr<const CountMatrix>, std::int64_t> block_of(std::int64_t cell) const;
  template <class UseCell>
  void for_each_stored(std::span<const std::int64_t> cells, UseCell&& use) const;

  std::int64_t n_cells_ = 0;
  std::int64_t n_genes_ = 0;
  bool sparse_ = true;
  std::vector<std::int64_t> indptr_{0};  // sparse only
  Indices indices_;                      // sparse only
  Values values_;
  std::shared_ptr<const CountStore> store_;  // then the four above are empty
};

/// Builds a sparse CountMatrix row by row without ever holding it twice (but for the moment a wider value type is
/// needed).
class CountMatrixBuilder {
 public:
  /// @param expected_cells,expected_nonzero sizes to reserve; 0 when unknown
  explicit CountMatrixBuilder(std::int64_t n_genes, std::int64_t expected_cells = 0,
                              std::int64_t expected_nonzero = 0);
  void append(const io::CsrBlock& rows);
  /// One cell; genes strictly increasing.
  void append_cell(std::span<const std::int32_t> genes, std::span<const float> values);
  /// Bytes of the matrix so far.
  std::size_t memory_bytes() const { return matrix_.memory_bytes(); }
  CountMatrix finish() &&;

 private:
  CountMatrix matrix_;
};

template <class F>
void CountMatrix::for_each_nonzero(std::int64_t cell, F&& f) const {
  if (store_) {
    const auto [block, number] = block_of(cell);
    return block->for_each_nonzero(number, f);
  }
  std::visit(
      [&](const auto& values) {
        if (!sparse_) {
          const auto* row = values.data() + cell * n_genes_;
          for (std::int64_t gene = 0; gene < n_genes_; ++gene) {
            if (row[gene] != 0) f(gene, static_cast<float>(row[gene]));
          }
          return;
        }
        std::visit(
            [&](const auto& indices) {
              for (std::int64_t at = indptr_[cell]; at < indptr_[cell + 1]; ++at) {
                f(static_cast<std::int64_t>(indices[at]), static_cast<float>(values[at]));
              }
            },
            indices_);
      },
      values_);
}

}  // namespace scvi
