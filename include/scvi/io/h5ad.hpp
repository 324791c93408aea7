#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "scvi/core/atomic_file.hpp"
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
  /// A string array of uns, e.g. protein_names. @throws InputError when there is none of that name
  std::vector<std::string> uns_strings(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// An array to store under obsm, varm or uns: float32, row-major.
struct FloatArray {
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  std::vector<float> values;
};

/// A value for uns: text, number, whole number, list of strings, or a nested dictionary.
struct UnsValue;
using UnsDict = std::vector<std::pair<std::string, UnsValue>>;
struct UnsValue {
  std::variant<std::string, double, std::int64_t, std::vector<std::string>, std::vector<double>, UnsDict> value;
};

/// What to add to a copy of an .h5ad file. A name that is there already is replaced.
struct H5adAdditions {
  std::vector<Column> obs;
  std::vector<Column> var;
  std::vector<std::pair<std::string, FloatArray>> obsm;
  std::vector<std::pair<std::string, FloatArray>> varm;
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
  /// Integer-valued X is written as float32 (what scanpy expects) unless this is set.
  bool dense = false;
  std::vector<std::pair<std::string, FloatArray>> obsm;
  std::vector<std::pair<std::string, FloatArray>> varm;
  UnsDict uns;
};

/// @param compression "gzip", "lzf" or "" for none
void write_h5ad(const std::string& path, const H5adContents& contents, Overwrite overwrite,
                const std::string& compression = "gzip");

}  // namespace scvi::io
