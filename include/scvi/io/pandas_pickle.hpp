#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "scvi/io/frame.hpp"

namespace scvi::io {

/// Numbers, truth values or text of any shape.
struct PickledArray {
  std::vector<std::int64_t> shape;  ///< empty for a single value
  Column column;                    ///< the values in row-major order; named where the pickle names them
};

/// Data that Python has pickled: one pandas or numpy object, or a dictionary of them (entries of dictionaries in it
/// are "outer/inner"). Nothing is executed: a pickle that would call anything but the constructors of plain data is
/// refused. Understood are DataFrame, Series and Index of pandas 0.14 to 3 (with numbers, truth values, text,
/// categories and their nullable kinds), arrays and scalars of numpy, lists and tuples of plain values; protocols 0
/// to 5. Objects are decoded when they are asked for, so that one of another kind does not stand in the way of the
/// others.
class PandasPickle {
 public:
  /// @throws IoError when the file cannot be read, FormatError when it is no pickle, is damaged, or would call what
  ///         plain data does not need (the message names it)
  explicit PandasPickle(const std::string& path);
  /// The same from memory. @param name for messages
  PandasPickle(const std::string& name, const std::string& bytes);
  ~PandasPickle();
  PandasPickle(PandasPickle&&) noexcept;
  PandasPickle& operator=(PandasPickle&&) noexcept;

  /// Keys of the dictionary in the order of the file; one empty key when the pickle is no dictionary.
  const std::vector<std::string>& keys() const;
  /// Whether the entry is a DataFrame or a Series. @throws InputError when there is none of that key
  bool is_frame(const std::string& key = "") const;
  /// A DataFrame, or a Series as one column. Names of rows and columns that are numbers become text.
  /// @throws InputError when there is none of that key or it is something else, FormatError when it is damaged or
  ///         of a kind that is not understood
  Frame frame(const std::string& key = "") const;
  /// An array, Index, list, tuple or single value. @throws as frame()
  PickledArray array(const std::string& key = "") const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace scvi::io
