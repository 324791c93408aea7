#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "scvi/core/atomic_file.hpp"
#include "scvi/io/count_file.hpp"
#include "scvi/io/element_info.hpp"
#include "scvi/io/frame.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// An .h5ad file open for reading, as anndata 0.5 to 0.12 write them. Nothing but the two frames' sizes is read until
/// it is asked for. Every byte of the file is taken as hostile.
class H5adFile {
 public:
  /// @throws IoError when the file cannot be opened, FormatError when it is not HDF5, is truncated, or lacks what an
  ///         .h5ad must have (the message says what it holds instead)
  explicit H5adFile(const std::string& path);
  ~H5adFile();
  H5adFile(H5adFile&&) noexcept;
  H5adFile& operator=(H5adFile&&) noexcept;

  const std::string& path() const;
  std::int64_t n_obs() const;
  std::int64_t n_vars() const;
  const Frame& obs() const;
  const Frame& var() const;
  /// var of raw, which may hold more genes. @throws InputError when there is no raw
  const Frame& raw_var() const;
  /// The annotation of the columns of matrix(layer): raw_var() for raw, else var().
  const Frame& var_of(const std::string& layer) const;
  /// The same frames, given away: the file would read them anew.
  Frame take_obs();
  Frame take_var_of(const std::string& layer);

  bool has_x() const;
  bool has_raw() const;
  std::vector<std::string> layers() const;
  std::vector<std::string> obsm_keys() const;
  std::vector<std::string> varm_keys() const;
  std::vector<std::string> uns_keys() const;
  /// Everything in the file that this reader understands, and what it passes over, in file order.
  std::vector<ElementInfo> elements() const;

  /// The matrix named by `layer`: "" or "X" for X, "raw" or "raw/X" for raw/X, else a layer.
  /// @throws InputError for an unknown layer, naming the nearest; FormatError when its shape does not fit obs and var
  std::unique_ptr<MatrixReader> matrix(const std::string& layer = "") const;
  /// @throws InputError when there is none of that name
  DenseArray obsm(const std::string& name) const;
  /// Names of the columns of a matrix in obsm that is a data frame; else none.
  std::vector<std::string> obsm_columns(const std::string& name) const;
  /// The matrix with names for its columns: the list of that name in uns, or, where `uns_names` is empty, the columns
  /// of a data frame, the list that uns/cell_measurements_col_mappings names (as write_dataset_h5ad leaves it), the
  /// list "protein_names" for "protein_expression" (and the like), or 0, 1, 2, ...
  /// @throws InputError when there is no such matrix or list, or the list is of another length
  CellTable table(const std::string& name, const std::string& uns_names = "") const;
  /// A string array of uns, e.g. protein_names. @throws InputError when there is none of that name
  std::vector<std::string> uns_strings(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One matrix of obsm to read as a table.
struct H5adTable {
  std::string obsm{};       ///< "protein_expression"
  std::string uns_names{};  ///< the list in uns that names its columns; empty: as H5adFile::table finds them
};

/// What to take out of an .h5ad file as counts.
struct H5adOptions {
  std::string layer{};  ///< the matrix with the counts: "" for X, "raw" for raw/X, else a layer
  /// Read every matrix of obsm that holds numbers; else those that `tables` lists.
  bool all_tables = true;
  std::vector<H5adTable> tables{};
};

/// An .h5ad file as counts with annotation.
/// @throws as H5adFile and its functions
CountFile open_h5ad(const std::string& path, const H5adOptions& options = {});
/// The same of a file that is open; its frames are copied.
CountFile counts_of(const H5adFile& file, const H5adOptions& options = {});

/// An array to store under obsm, varm or uns: float32, row-major.
struct FloatArray {
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  std::vector<float> values;
};

/// A matrix to store under obsp: float32 in compressed rows, the columns of each row ascending.
struct SparseArray {
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  std::vector<std::int64_t> indptr{0};  ///< (n_rows + 1)
  std::vector<std::int64_t> indices;
  std::vector<float> values;  ///< one for each of `indices`
};

/// A value for uns: text, number, whole number, list of strings or numbers, or a nested dictionary.
struct UnsValue;
using UnsDict = std::vector<std::pair<std::string, UnsValue>>;
struct UnsValue {
  UnsValue(std::string text) : value(std::move(text)) {}
  UnsValue(double number) : value(number) {}
  UnsValue(std::int64_t number) : value(number) {}
  UnsValue(std::vector<std::string> texts) : value(std::move(texts)) {}
  UnsValue(std::vector<double> numbers) : value(std::move(numbers)) {}
  UnsValue(const UnsDict& dictionary);

  std::variant<std::string, double, std::int64_t, std::vector<std::string>, std::vector<double>,
               std::shared_ptr<const UnsDict>>
      value;
};

/// Takes whole rows, row-major, behind those that it was given before.
using AppendRows = std::function<void(std::span<const float> rows)>;
/// Hands a dense matrix over, some rows at a time and in order.
using DenseRows = std::function<void(const AppendRows& append)>;

/// A dense float32 matrix over all cells and genes, under layers. It is never in memory as a whole.
struct H5adLayer {
  std::string name;
  DenseRows rows;
};

/// What to add to a copy of an .h5ad file. A name that is there already is replaced.
struct H5adAdditions {
  std::vector<Column> obs;
  std::vector<Column> var;
  std::vector<std::pair<std::string, FloatArray>> obsm;
  std::vector<std::pair<std::string, FloatArray>> varm;
  std::vector<std::pair<std::string, SparseArray>> obsp;  ///< (n_obs, n_obs)
  std::vector<H5adLayer> layers;
  UnsDict uns;
};

/// Copies `input` to `output` and adds to the copy. Whatever else the file holds passes through untouched. The output
/// appears whole or not at all; input and output may be the same path with Overwrite::replace.
/// Older generations of the format: added obs columns are written in the file's own generation.
void copy_h5ad_with(const std::string& input, const std::string& output, const H5adAdditions& additions,
                    Overwrite overwrite);

/// A new .h5ad in the encoding of anndata 0.8 and later.
struct H5adContents {
  Frame obs;
  Frame var;
  /// Fills `block` with the next rows and returns true, or returns false at the end. Rows come as for CsrBlock.
  std::function<bool(CsrBlock& block)> next_rows;
  /// Or a matrix whose rows are copied, in the blocks in which it comes.
  MatrixReader* rows = nullptr;
  /// Or a dense matrix of any numbers. It is written as it is, not compressed.
  DenseRows dense_rows;
  /// Integer-valued X is written as float32 (what scanpy expects) unless this is set.
  bool dense = false;
  std::vector<std::pair<std::string, FloatArray>> obsm;
  std::vector<std::pair<std::string, FloatArray>> varm;
  std::vector<std::pair<std::string, SparseArray>> obsp;  ///< (n_obs, n_obs)
  /// More of obsm, with all their digits (float64); the names of their columns go to uns, where H5adFile::table finds
  /// them.
  std::vector<CellTable> tables;
  std::vector<H5adLayer> layers;
  UnsDict uns;
};

/// @param compression "gzip", "lzf" or "" for none
void write_h5ad(const std::string& path, const H5adContents& contents, Overwrite overwrite,
                const std::string& compression = "gzip");

}  // namespace scvi::io
