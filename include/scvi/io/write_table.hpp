#pragma once

#include <span>
#include <string>
#include <vector>

#include "scvi/core/atomic_file.hpp"
#include "scvi/io/frame.hpp"

namespace scvi::io {

/// A table with a name: a sheet of a workbook.
struct NamedTable {
  std::string name;
  Frame table;
};

/// Writes tables as text, fields separated by tabs, below each other under one line of names (the index first; a
/// nameless index is called "index"). Numbers have up to nine significant digits; what is missing or NaN is empty,
/// what is infinite reads inf or -inf; truth values read True and False. Fields with tabs, quotes or line breaks are
/// quoted. The file appears whole or not at all.
/// @throws InputError when tables differ in the names of their columns, or the file exists and must not be replaced;
///         IoError
void write_tsv(const std::string& path, std::span<const NamedTable> tables, Overwrite overwrite);

/// Writes an .xlsx workbook with one sheet a table, the first row and column frozen and every column with a filter.
/// Numbers keep 16 digits; what is missing or NaN is empty, what is infinite is text. Memory: that of a row. Sheets
/// are named as sheet_names() says. The same tables give the same bytes. The file appears whole or not at all.
/// @throws InputError when there is no table, one has more rows or columns than a sheet can hold (1,048,575 and
///         16,384), a text is longer than 32,767 characters, or the file exists and must not be replaced; IoError
void write_xlsx(const std::string& path, std::span<const NamedTable> tables, Overwrite overwrite);

/// Names as spreadsheets allow them: at most 31 characters, none of []:*?/\, no apostrophe at either end, no two
/// equal but for the case of letters, not "History". What is not allowed becomes "_"; equal names get "~2" and so on.
std::vector<std::string> sheet_names(std::span<const NamedTable> tables);

}  // namespace scvi::io
