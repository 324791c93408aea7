#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace scvi::io {

/// What a file says of one of its matrices, before any value is read.
struct MatrixInfo {
  enum class Layout { dense, csr, csc };
  Layout layout = Layout::dense;
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  /// Stored entries; n_rows * n_cols when dense.
  std::int64_t n_stored = 0;
  std::string value_type;  ///< "float32", "int64", "bool", ...
  std::string path;        ///< where in the file: "X", "layers/counts", "raw/X"
};

/// Some consecutive rows in compressed form. Within a row the columns increase strictly; zeros are left out.
struct CsrBlock {
  std::int64_t first_row = 0;
  std::vector<std::int64_t> indptr;  ///< n_rows() + 1 offsets into indices and values, the first is 0
  std::vector<std::int32_t> indices;
  std::vector<float> values;

  std::int64_t n_rows() const { return static_cast<std::int64_t>(indptr.size()) - 1; }
  void clear();
};

/// Reads the rows of a matrix on disk. Whatever the layout and value type in the file, rows come out as CSR with
/// float values; entries stored twice are added up, unsorted ones are sorted, stored zeros dropped. 64-bit integers
/// that do not fit a float exactly are rounded; NaN and infinities pass through (whoever wants counts checks them).
/// Every offset and index is checked before it is used.
class MatrixReader {
 public:
  virtual ~MatrixReader() = default;
  virtual const MatrixInfo& info() const = 0;
  /// Whether the values lie on disk and any rows of them can be had cheaply: csr and dense matrices of HDF5, rows
  /// first. Else they are in memory already, or rows cost a pass over much of the matrix.
  virtual bool has_rows_on_disk() const { return false; }
  /// Rows [first, first + count), clipped at the end of the matrix, into `out` (whose memory is reused).
  /// Cheap in any order for dense and csr; for csc each call scans the whole matrix.
  /// @throws FormatError for damaged content, naming file and element
  virtual void read_rows(std::int64_t first, std::int64_t count, CsrBlock& out) = 0;
  /// All rows in order, in blocks of bounded size (about 8 MB; a csc matrix is read in few passes over windows of 64
  /// MB and more).
  virtual void for_each_block(const std::function<void(const CsrBlock&)>& use) = 0;
};

/// A dense array of float64 or integer numbers, row-major, as in obsm.
struct DenseArray {
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  std::vector<double> values;
};

}  // namespace scvi::io
