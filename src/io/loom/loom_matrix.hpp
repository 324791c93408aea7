#pragma once

// The matrix of a .loom file: genes in rows, cells in columns.

#include <memory>
#include <string>

#include "scvi/io/hdf5.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi::io::loom {

/// A two-dimensional dataset of numbers, genes first, read as cells x genes.
/// @throws FormatError when it is something else, or claims more than the file can hold
std::unique_ptr<MatrixReader> open_matrix(std::shared_ptr<const Hdf5File> file, const std::string& dataset);

}  // namespace scvi::io::loom
