#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "scvi/io/byte_stream.hpp"
#include "scvi/io/count_file.hpp"
#include "scvi/io/frame.hpp"

namespace scvi::io {

/// How a table of counts in text (.csv, .tsv, .txt, compressed or not) is laid out.
struct DelimitedOptions {
  /// ',', '\t', ';', ' ' (any run of blanks and tabs), or 0: whichever the first lines show.
  char separator = 0;
  /// Lines are genes and columns cells; else the other way round.
  bool gene_by_cell = true;
  /// The first line names the columns. It may have one name less than there are fields, as R writes it. Without it,
  /// columns are numbered from 0.
  bool header = true;
  /// The first field of a line is its name. Without it, lines are numbered from 0.
  bool row_names = true;
  /// Lines to pass over before the header.
  std::int64_t skip_lines = 0;
  /// Fields behind the name of a line that are no counts: they become columns of var (of obs when lines are cells).
  std::int64_t annotation_columns = 0;
  /// Whether two genes, or two cells, may have the same name. Else that is an error.
  bool allow_duplicate_names = false;
  ByteStreamOptions stream{};
};

/// A table of counts, held sparse. Fields may be in quotes.
/// @throws FormatError for lines with too few or too many fields, and for fields that are empty, nan or no numbers,
///         naming line, gene and cell; for duplicate names
CountFile read_delimited_counts(const std::string& path, const DelimitedOptions& options = {});

/// How a table of annotation is laid out.
struct TableOptions {
  /// As in DelimitedOptions.
  char separator = 0;
  bool header = true;
  std::int64_t skip_lines = 0;
  /// Which column names the rows; -1: none, rows are numbered from 0. Where the header has one name less than there
  /// are fields, the first column names the rows whatever this says.
  std::int64_t index_column = 0;
  ByteStreamOptions stream{};
};

/// A table of annotation. Types of columns are found as pandas finds them: whole numbers, reals (whole numbers with
/// missing ones, too), truth values (true, True, TRUE, ...), else text; "", NA, NaN, null and the like are missing.
/// Fields in quotes may run over several lines. Whole numbers beyond 64 bits stay text.
/// @throws FormatError for lines with too few or too many fields
Frame read_table(const std::string& path, const TableOptions& options = {});
Frame read_table(std::unique_ptr<ByteStream> stream, const TableOptions& options = {});

/// One value a cell, such as its label or batch.
struct CellValues {
  std::vector<std::string> cells{};  ///< names of the cells; empty when the file has values alone
  Column values{};
};

/// A file of labels or of batch numbers: one line a cell, with the value alone or behind the name of the cell.
/// @throws FormatError when lines have other than one or two fields, or a value is missing
CellValues read_cell_values(const std::string& path, const TableOptions& options = {});

}  // namespace scvi::io
