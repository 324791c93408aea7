#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "scvi/io/frame.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// Several numbers per cell beside the counts: proteins, or spatial coordinates.
struct CellTable {
  std::string name{};                  ///< "protein_expression"
  std::string columns_name{};          ///< what its columns are called: "protein_names"
  std::vector<std::string> columns{};  ///< one name a column
  DenseArray values{};                 ///< (n_cells, columns.size())
};

/// Counts with their annotation, as a file of any format gives them. Whatever lies in rows and columns there, here
/// rows are cells and columns genes.
struct CountFile {
  std::string path{};
  std::string format{};                    ///< in words: "loom 3.0", "10x folder of Cell Ranger 2"
  Frame obs{};                             ///< one row a cell
  Frame var{};                             ///< one row a gene
  std::unique_ptr<MatrixReader> counts{};  ///< (obs.n_rows(), var.n_rows())
  std::vector<CellTable> tables{};
};

/// A matrix that is in memory already. `rows` holds all rows, with first_row 0, in the form that CsrBlock promises.
/// @pre rows.n_rows() == info.n_rows and every index is below info.n_cols
std::unique_ptr<MatrixReader> memory_matrix(MatrixInfo info, CsrBlock rows);

}  // namespace scvi::io
