#pragma once

// Writing the elements of an .h5ad file, in the encoding of the file's own generation.

#include <string>

#include "h5ad_frame.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/hdf5.hpp"

namespace scvi::io::h5ad {

/// The column in a form without nulls beside the values: texts and truth values with missing ones become categorical,
/// whole numbers become reals with NaN. (Only since 0.8 can .h5ad say "missing" otherwise.)
Column without_nulls(const Column& column);

/// @throws InputError when a name cannot be that of an element: empty, ".", or with a slash
void check_name(const std::string& name, const std::string& where);

/// @throws InputError when the column is not of n_rows rows or contradicts itself
void check_column(const Column& column, std::int64_t n_rows, const std::string& where);
void check_array(const std::string& name, const FloatArray& array, std::int64_t n_rows, const std::string& where);
/// @throws InputError when the matrix is not (n, n) or contradicts itself
void check_sparse(const std::string& name, const SparseArray& array, std::int64_t n, const std::string& where);

class ElementWriter {
 public:
  /// @param tagged whether elements say their encoding: files of 0.8 and later do, older readers refuse it
  ElementWriter(Hdf5File& file, bool tagged, Hdf5Compression compression)
      : file_(file), tagged_(tagged), compression_(compression) {}

  void tag(const std::string& path, const std::string& type, const std::string& version);
  void write_frame(const std::string& path, const Frame& frame);
  /// In the encoding of 0.8.
  void write_column(const std::string& frame, const Column& column);
  /// In the encoding of 0.7.
  void write_column_0_7(const std::string& frame, const Column& column);
  void write_array(const std::string& path, const FloatArray& array);
  void write_array(const std::string& path, const DenseArray& array);
  void write_sparse(const std::string& path, const SparseArray& array);
  /// A dense matrix that comes in pieces. Not compressed: real numbers with all their digits hardly become smaller.
  /// @throws InputError when there are more or fewer than n_rows rows
  void write_rows(const std::string& path, std::int64_t n_rows, std::int64_t n_cols, const DenseRows& rows);
  void write_layers(const std::vector<H5adLayer>& layers, std::int64_t n_rows, std::int64_t n_cols);
  void write_value(const std::string& path, const UnsValue& value);
  void make_dictionary(const std::string& path);

 private:
  Hdf5File& file_;
  bool tagged_;
  Hdf5Compression compression_;

  void write_texts(const std::string& path, const std::vector<std::string>& texts);
  void write_codes(const std::string& path, const Categorical& categorical);
  void write_categorical(const std::string& path, const Categorical& categorical);
  void write_nullable(const std::string& path, const Column& column);
  void write_truths(const std::string& path, const std::vector<std::uint8_t>& truths);
  template <class T>
  void write_numbers(const std::string& path, const std::vector<T>& numbers);
};

}  // namespace scvi::io::h5ad
