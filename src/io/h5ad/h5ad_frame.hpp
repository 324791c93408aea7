#pragma once

// obs and var as the three generations of .h5ad store them.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "scvi/io/frame.hpp"
#include "scvi/io/hdf5.hpp"

namespace scvi::io::h5ad {

/// How a data frame is stored.
enum class Generation {
  record,     ///< anndata up to 0.6: one compound dataset, categories in uns/<column>_categories
  reference,  ///< 0.7: a group, codes that refer to __categories/<column>
  element     ///< 0.8 and later: a group whose columns carry their own encoding
};

Generation generation_of(const Hdf5File& file, const std::string& frame);

/// Name of the dataset (or of the record's field) that holds the names of the rows.
/// @throws FormatError when there is none
std::string index_name(const Hdf5File& file, const std::string& frame);

/// Number of rows, without reading any.
std::int64_t count_rows(const Hdf5File& file, const std::string& frame);

/// Names of the columns in their order, without the index.
std::vector<std::string> column_order(const Hdf5File& file, const std::string& frame);

/// Why something cannot be made a column.
struct NotUnderstood {
  std::string reason;
};

/// An array in any encoding that a column of a group frame may have: plain numbers, truth values or text, categorical
/// (of 0.7 or later), nullable. @throws FormatError when it is damaged
/// @param n_rows length that it must have; negative when any will do
std::variant<Column, NotUnderstood> read_array(const Hdf5File& file, const std::string& path, std::int64_t n_rows);

/// The whole frame. Columns that are not understood are passed over with a warning.
/// @param categories_at group that holds <column>_categories for the record generation
Frame read_frame(const Hdf5File& file, const std::string& frame, const std::string& categories_at);

/// Short description of one element, for listings.
std::string describe_element(const Hdf5File& file, const std::string& path);

}  // namespace scvi::io::h5ad
