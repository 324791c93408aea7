#include <algorithm>
#include <utility>

#include "clean_names.hpp"
#include "column_inference.hpp"
#include "delimited_line.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/delimited.hpp"
#include "scvi/io/line_reader.hpp"
#include "shown_text.hpp"

namespace scvi::io {
namespace {

using Fields = std::vector<std::string>;

/// Each is a string of its own: this many take 4 GB.
constexpr std::int64_t kMaxValues = std::int64_t{1} << 27;

/// Reads a table row by row into columns of text.
class TableReader {
 public:
  TableReader(std::unique_ptr<ByteStream> stream, const TableOptions& options)
      : options_(options), stream_(std::move(stream)), lines_(*stream_) {
    if (options_.separator != 0) check_separator(options_.separator, stream_->file());
    read();
  }

  const ByteStream& stream() const { return *stream_; }
  std::size_t n_columns() const { return columns_.size(); }

  /// @param index the column that names the rows, or -1
  Frame frame(std::int64_t index) && {
    Frame frame;
    if (implicit_index_) index = 0;
    if (index >= std::ssize(columns_))
      stream_->fail("", "has " + std::to_string(columns_.size()) + " columns, so none is number " +
                            std::to_string(index) + " (from 0)");
    for (std::size_t at = 0; at < columns_.size(); ++at) {
      if (std::cmp_equal(at, index)) {
        if (!names_[at].empty()) frame.index_name = names_[at];
        frame.index = std::move(columns_[at]);
      } else {
        frame.columns.push_back(infer_column(std::move(names_[at]), std::move(columns_[at])));
      }
    }
    if (index < 0) frame.index = numbered_names(static_cast<std::size_t>(n_rows_));
    return frame;
  }

 private:
  TableOptions options_;
  std::unique_ptr<ByteStream> stream_;
  LineReader lines_;
  std::vector<Fields> columns_;
  Fields names_;
  bool implicit_index_ = false;
  std::int64_t n_rows_ = 0;
  std::string joined_;

  [[noreturn]] void fail(std::int64_t line, std::string problem) const {
    stream_->fail("line " + std::to_string(line), std::move(problem));
  }

  void read() {
    std::string_view line;
    for (std::int64_t skipped = 0; skipped < options_.skip_lines; ++skipped)
      if (!lines_.next(line)) break;
    Fields fields;
    if (options_.header && !next_row(names_)) fail(lines_.line_number() + 1, "is missing: the table is empty");
    while (next_row(fields)) {
      throw_if_interrupted();
      if (n_rows_++ == 0) set_up(fields.size());
      if (fields.size() != columns_.size())
        fail(lines_.line_number(), "has " + std::to_string(fields.size()) + " fields, but the table has " +
                                       std::to_string(columns_.size()) + " columns");
      if (n_rows_ * std::ssize(fields) > kMaxValues)
        fail(lines_.line_number(), "is beyond the " + with_thousands(kMaxValues) + " values that a table may have");
      for (std::size_t at = 0; at < fields.size(); ++at) columns_[at].push_back(std::move(fields[at]));
    }
    if (n_rows_ == 0) set_up(names_.size());
    clean_names(names_, *stream_, "names of columns");
    for (std::size_t at = 0; at < columns_.size(); ++at)
      clean_names(columns_[at], *stream_, "column " + shown_text(names_[at]));
  }

  /// The next row that is not blank. A quote that is not closed goes on in the next line.
  bool next_row(Fields& fields) {
    std::string_view line;
    do {
      if (!lines_.next(line)) return false;
    } while (is_blank_line(line));
    const std::int64_t first_line = lines_.line_number();
    if (options_.separator == 0) options_.separator = detect_separator(line);
    if (split_line(line, options_.separator, fields)) return check_size(fields);
    return join_lines(line, first_line, fields);
  }

  bool join_lines(std::string_view line, std::int64_t first_line, Fields& fields) {
    // Each line splits the row anew, so that long ones would take for ever.
    constexpr std::int64_t kMostLines = 1000;
    constexpr std::size_t kMostBytes = std::size_t{1} << 20;
    joined_ = line;
    do {
      if (lines_.line_number() - first_line > kMostLines || joined_.size() > kMostBytes || !lines_.next(line))
        fail(first_line, "opens a quote that is not closed");
      joined_ += '\n';
      joined_ += line;
    } while (!split_line(joined_, options_.separator, fields));
    return check_size(fields);
  }

  bool check_size(const Fields& fields) const {
    if (fields.size() > kMaxFields)
      fail(lines_.line_number(), "has more than " + with_thousands(static_cast<long long>(kMaxFields)) + " fields");
    return true;
  }

  void set_up(std::size_t n_fields) {
    columns_.resize(n_fields);
    implicit_index_ = options_.header && names_.size() + 1 == n_fields;
    if (implicit_index_) names_.insert(names_.begin(), "");
    if (!options_.header) names_ = numbered_names(n_fields);
    if (names_.size() != n_fields)
      fail(lines_.line_number(), "has " + std::to_string(n_fields) + " fields, but the header has " +
                                     std::to_string(names_.size()) + " names");
  }
};

}  // namespace

Frame read_table(std::unique_ptr<ByteStream> stream, const TableOptions& options) {
  return TableReader(decompressed(std::move(stream), options.stream), options).frame(options.index_column);
}

Frame read_table(const std::string& path, const TableOptions& options) {
  return TableReader(open_byte_stream(path, options.stream), options).frame(options.index_column);
}

CellValues read_cell_values(const std::string& path, const TableOptions& options) {
  TableReader reader(open_byte_stream(path, options.stream), options);
  if (reader.n_columns() != 1 && reader.n_columns() != 2)
    reader.stream().fail("", "has " + std::to_string(reader.n_columns()) + " columns",
                         "give one value a line, or the name of a cell and its value");
  const bool named = reader.n_columns() == 2;
  Frame frame = std::move(reader).frame(named ? 0 : -1);
  CellValues result{.cells = {}, .values = std::move(frame.columns.front())};
  if (named) result.cells = std::move(frame.index);
  for (std::int64_t row = 0; row < result.values.size(); ++row)
    if (result.values.is_missing(row))
      throw FormatError({.problem = "has no value", .file = path, .field = "cell " + std::to_string(row + 1)});
  return result;
}

}  // namespace scvi::io
