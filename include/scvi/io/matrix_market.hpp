#pragma once

#include <memory>
#include <string>

#include "scvi/io/byte_stream.hpp"
#include "scvi/io/count_file.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi::io {

struct MatrixMarketOptions {
  /// Lines of the matrix are genes and its columns cells, as Cell Ranger writes them; else the other way round.
  bool gene_by_cell = true;
  ByteStreamOptions stream{};
};

/// The counts of a Matrix Market file, compressed or not: coordinate format, with integer, real or pattern values
/// (then every entry is 1) and general symmetry. Entries may come in any order; those of the same place add up.
/// The matrix is held in memory, at 8 bytes an entry; rows of it are cells. A file that is not ordered by cell needs
/// twice that while it is read (20 bytes an entry where cells times genes are beyond 2^42).
/// @throws FormatError that names the line: damaged, or of a kind that holds no counts (array, complex, symmetric)
std::unique_ptr<MatrixReader> read_matrix_market(const std::string& path, const MatrixMarketOptions& options = {});

/// The same from a stream (which is unpacked when it is compressed).
std::unique_ptr<MatrixReader> read_matrix_market(std::unique_ptr<ByteStream> stream,
                                                 const MatrixMarketOptions& options = {});

/// With names that count cells and genes from 0: a Matrix Market file has none.
CountFile read_matrix_market_counts(const std::string& path, const MatrixMarketOptions& options = {});

}  // namespace scvi::io
