#pragma once

// Small steps that the loaders of several built-in data sets share.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/io/byte_stream.hpp"
#include "scvi/io/count_file.hpp"

namespace scvi::builtin {

/// `folder`/`name`. @throws IoError when there is no such file
std::string existing_file(const std::string& folder, const std::string& name);

/// A text that is read once, unpacked on the way where it is compressed.
struct TextSource {
  std::unique_ptr<io::ByteStream> stream{};
  std::string name{};  ///< as messages name it
};

TextSource open_text(const std::string& path);
/// The file of that name in the archive, in whatever folder there; or, where somebody has unpacked it, in `folder`
/// itself. @throws IoError when there is neither; FormatError when the archive has no such file
TextSource open_packed_text(const std::string& folder, const std::string& archive, const std::string& name);

/// The fields of one line of a text table, without quotes around them; they live until the next line.
using Fields = std::vector<std::string_view>;

/// Calls use(line, fields) for each line of a text table that is not empty; lines count from 1.
void for_each_row(TextSource source, char separator,
                  const std::function<void(std::int64_t line, const Fields& fields)>& use);

/// A count, or any other number, in a text table. @throws FormatError naming the place
double number_in(std::string_view text, const std::string& source, std::int64_t line, std::size_t field);

/// @throws FormatError unless the line has so many fields
void require_fields(const Fields& fields, std::size_t wanted, const std::string& source, std::int64_t line);

inline io::Column column_of(std::string name, io::Column::Values values) {
  return {std::move(name), std::move(values), {}};
}

/// Text as numbers where all of it is; whole ones where all of them are.
io::Column typed_column(std::string name, std::vector<std::string> values);

/// A table of annotation with commas and a header; no column is taken for names.
io::Frame read_annotation(TextSource source);

/// Collects counts gene by gene and gives them cell by cell.
class TransposedCounts {
 public:
  explicit TransposedCounts(std::int64_t n_cells) : n_cells_(n_cells) {}

  /// @pre cells increase from call to call until end_gene()
  void add(std::int64_t cell, float count) {
    cells_.push_back(static_cast<std::int32_t>(cell));
    values_.push_back(count);
  }
  void end_gene() { ends_.push_back(static_cast<std::int64_t>(cells_.size())); }

  std::int64_t n_genes() const { return static_cast<std::int64_t>(ends_.size()); }
  /// Population variance of each gene.
  std::vector<double> variances() const;
  /// These genes in this order.
  CountMatrix select(const std::vector<std::int64_t>& genes) const;

 private:
  std::int64_t n_cells_;
  std::vector<std::int64_t> ends_;  // per gene: where its entries end
  std::vector<std::int32_t> cells_;
  std::vector<float> values_;
};

/// Positions of the `count` largest values, the largest first; of equal ones the last comes first, which is what
/// reversing numpy's argsort gives.
std::vector<std::int64_t> largest(const std::vector<double>& values, std::int64_t count);

/// 0, 1, ..., count - 1.
std::vector<std::int64_t> all_positions(std::int64_t count);

/// @throws InputError, naming the option, unless its value is at least 1
void require_positive(std::int64_t value, const std::string& option);

/// All counts of a file, sparse.
CountMatrix read_counts(io::MatrixReader& counts);

/// The column of that name. @throws FormatError when the file has none, with the nearest name
const io::Column& required_column(const io::Frame& frame, const std::string& name, const std::string& path);
/// A column of whole numbers, however they are stored. @throws FormatError when one is missing or not whole
std::vector<std::int64_t> whole_numbers(const io::Column& column, const std::string& path);
/// @throws FormatError when the column does not hold numbers
std::vector<double> real_numbers(const io::Column& column, const std::string& path);
/// Every value as text, "" where missing.
std::vector<std::string> texts(const io::Column& column);

/// A text column as categories in byte order, and the category of each row.
/// @throws FormatError when a row has none
std::pair<std::vector<std::string>, std::vector<std::int64_t>> categories_of(const io::Column& column,
                                                                             const std::string& path);

/// The columns of a frame, but for those named.
std::vector<io::Column> columns_but(const io::Frame& frame, const std::vector<std::string>& left_out);

/// Columns of numbers side by side as a measurement whose columns have their names.
CellMeasurement measurement_of(std::string name, std::string columns_attr_name,
                               const std::vector<const io::Column*>& columns, const std::string& path);
CellMeasurement measurement_of(const io::CellTable& table);

/// Leaves out cells whose total is 0, where there are any.
void drop_empty_cells(GeneExpressionDataset& dataset);

}  // namespace scvi::builtin
