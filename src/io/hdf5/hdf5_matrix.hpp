#pragma once

// Matrices stored in HDF5 as three arrays or as one, whatever the format around them: h5ad, loom, 10x.

#include <memory>
#include <string>

#include "scvi/io/hdf5.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// Where the three arrays of a compressed matrix lie.
struct SparseParts {
  std::string values;
  std::string indices;
  std::string indptr;
};

/// A matrix in compressed rows (info.layout csr) or compressed columns (csc). Of `info`, layout, shape and path are
/// given; the rest is filled in. The offsets are read and checked at once, indices and values as rows are asked for.
/// @throws FormatError when the arrays do not fit each other or the shape
std::unique_ptr<MatrixReader> open_sparse_matrix(std::shared_ptr<const Hdf5File> file, const SparseParts& parts,
                                                 MatrixInfo info);

/// A two-dimensional array, rows first. Of `info`, the path is given; the rest is filled in.
std::unique_ptr<MatrixReader> open_dense_matrix(std::shared_ptr<const Hdf5File> file, const std::string& dataset,
                                                MatrixInfo info);

}  // namespace scvi::io
