#include "scvi/io/write_table.hpp"

#include <xlsxwriter.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <fstream>
#include <memory>
#include <set>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"

namespace scvi::io {
namespace {

constexpr int kSignificantDigits = 9;
/// Without the row of names.
constexpr std::int64_t kMostRows = 1'048'575;
constexpr std::int64_t kMostColumns = 16'384;
constexpr std::size_t kLongestSheetName = 31;
/// 2000-01-01, in place of the time of writing.
constexpr std::time_t kCreated = 946'684'800;

std::string index_name(const Frame& table) {
  return table.index_name.empty() || table.index_name == "_index" ? "index" : table.index_name;
}

std::string number_text(double value) {
  std::array<char, 40> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, kSignificantDigits);
  return {text.data(), end.ptr};
}

void append_field(std::string& line, const std::string& field) {
  if (field.find_first_of("\t\"\n\r") == std::string::npos) {
    line += field;
    return;
  }
  line += '"';
  for (const char c : field) line += c == '"' ? std::string("\"\"") : std::string(1, c);
  line += '"';
}

std::string field_text(const Column& column, std::int64_t row) {
  const auto* numbers = std::get_if<std::vector<double>>(&column.values);
  return numbers && !column.is_missing(row) ? number_text((*numbers)[row]) : column.text(row);
}

void check_same_columns(const std::string& path, std::span<const NamedTable> tables) {
  for (const NamedTable& table : tables) {
    if (table.table.column_names() == tables.front().table.column_names()) continue;
    throw InputError({.problem = "has other columns than '" + tables.front().name + "'",
                      .file = path,
                      .field = "table '" + table.name + "'"});
  }
}

[[noreturn]] void refuse_to_write(const std::string& path, const std::string& reason) {
  throw IoError({.problem = "cannot be written (" + reason + ")", .file = path, .remedy = "check the disk"});
}

void check_size(const std::string& path, const NamedTable& table) {
  const std::int64_t rows = table.table.n_rows();
  const std::int64_t columns = std::ssize(table.table.columns) + 1;
  if (rows <= kMostRows && columns <= kMostColumns) return;
  throw InputError({.problem = "has " + std::to_string(rows) + " rows and " + std::to_string(columns) +
                               " columns, but a sheet holds at most " + std::to_string(kMostRows) + " and " +
                               std::to_string(kMostColumns),
                    .file = path,
                    .field = "table '" + table.name + "'",
                    .remedy = "write a .tsv"});
}

/// A character of UTF-8 begins here.
bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
}

/// How long a text is as spreadsheets count: a character beyond the basic plane (four bytes) counts twice.
std::size_t length_of(const std::string& text) {
  std::size_t length = 0;
  for (const char c : text) length += begins_character(c) + (static_cast<unsigned char>(c) >= 0xF0U);
  return length;
}

/// The beginning of a text, cut between characters.
std::string shortened(std::string text, std::size_t most) {
  while (length_of(text) > most) {
    while (!begins_character(text.back())) text.pop_back();
    text.pop_back();
  }
  return text;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string allowed_sheet_name(std::string name) {
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || std::string_view("[]:*?/\\").find(c) != std::string_view::npos)
      c = '_';
  }
  name = shortened(std::move(name), kLongestSheetName);
  if (name.empty()) return "_";
  if (name.front() == '\'') name.front() = '_';
  if (name.back() == '\'') name.back() = '_';
  return lower(name) == "history" ? name + "_" : name;
}

/// A workbook that is being written. Rows are in memory one at a time.
class Workbook {
 public:
  Workbook(std::string shown_path, const std::string& path) : path_(std::move(shown_path)) {
    lxw_workbook_options options{};
    options.constant_memory = LXW_TRUE;
    workbook_ = workbook_new_opt(path.c_str(), &options);
    if (!workbook_) refuse_to_write(path_, "out of memory");
    lxw_doc_properties properties{};
    properties.created = kCreated;
    workbook_set_properties(workbook_, &properties);
    bold_ = workbook_add_format(workbook_);
    format_set_bold(bold_);
  }
  ~Workbook() {
    if (workbook_) lxw_workbook_free(workbook_);
  }
  Workbook(const Workbook&) = delete;
  Workbook& operator=(const Workbook&) = delete;

  void add(const std::string& sheet_name, const Frame& table) {
    lxw_worksheet* sheet = workbook_add_worksheet(workbook_, sheet_name.c_str());
    if (!sheet) refuse_to_write(path_, "sheet '" + sheet_name + "'");
    worksheet_freeze_panes(sheet, 1, 1);
    const auto n_columns = static_cast<lxw_col_t>(table.columns.size());
    worksheet_autofilter(sheet, 0, 0, static_cast<lxw_row_t>(table.n_rows()), n_columns);
    write_text(sheet, 0, 0, index_name(table), bold_);
    for (lxw_col_t i = 0; i < n_columns; ++i) {
      write_text(sheet, 0, static_cast<lxw_col_t>(i + 1), table.columns[i].name, bold_);
    }
    for (std::int64_t row = 0; row < table.n_rows(); ++row) {
      const auto at = static_cast<lxw_row_t>(row + 1);
      write_text(sheet, at, 0, table.index[row], nullptr);
      for (lxw_col_t i = 0; i < n_columns; ++i) {
        write_value(sheet, at, static_cast<lxw_col_t>(i + 1), table.columns[i], row);
      }
    }
  }

  void close() {
    const lxw_error error = workbook_close(std::exchange(workbook_, nullptr));
    if (error != LXW_NO_ERROR) refuse_to_write(path_, lxw_strerror(error));
  }

 private:
  void check(lxw_error error, const char* what) const {
    if (error == LXW_NO_ERROR) return;
    throw InputError({.problem = std::string("holds ") + what + " that a sheet cannot (" + lxw_strerror(error) + ")",
                      .file = path_,
                      .remedy = "write a .tsv"});
  }

  void write_text(lxw_worksheet* sheet, lxw_row_t row, lxw_col_t column, const std::string& text,
                  lxw_format* format) const {
    check(worksheet_write_string(sheet, row, column, text.c_str(), format), "a text");
  }

  void write_value(lxw_worksheet* sheet, lxw_row_t row, lxw_col_t column, const Column& values,
                   std::int64_t at) const {
    if (values.is_missing(at)) return;
    if (const auto* numbers = std::get_if<std::vector<double>>(&values.values)) {
      const double number = (*numbers)[at];
      if (!std::isfinite(number)) return write_text(sheet, row, column, number_text(number), nullptr);
      return check(worksheet_write_number(sheet, row, column, number, nullptr), "a number");
    }
    if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&values.values)) {
      return check(worksheet_write_number(sheet, row, column, static_cast<double>((*whole)[at]), nullptr),
                   "a number");
    }
    if (const auto* truth = std::get_if<Boolean>(&values.values)) {
      return check(worksheet_write_boolean(sheet, row, column, truth->values[at], nullptr), "a truth value");
    }
    write_text(sheet, row, column, values.text(at), nullptr);
  }

  std::string path_;
  lxw_workbook* workbook_ = nullptr;
  lxw_format* bold_ = nullptr;
};

}  // namespace

void write_tsv(const std::string& path, std::span<const NamedTable> tables, Overwrite overwrite) {
  check_same_columns(path, tables);
  AtomicFile file(path, overwrite);
  std::ofstream out(file.temporary_path(), std::ios::binary | std::ios::trunc);
  std::string line;
  for (const NamedTable& table : tables) {
    if (&table == &tables.front()) {
      append_field(line, index_name(table.table));
      for (const Column& column : table.table.columns) append_field(line += '\t', column.name);
      out << line << '\n';
    }
    for (std::int64_t row = 0; row < table.table.n_rows(); ++row) {
      line.clear();
      append_field(line, table.table.index[row]);
      for (const Column& column : table.table.columns) append_field(line += '\t', field_text(column, row));
      out << line << '\n';
    }
    throw_if_interrupted();
  }
  out.close();
  if (!out) refuse_to_write(path, "no space, or no permission");
  file.commit();
}

std::vector<std::string> sheet_names(std::span<const NamedTable> tables) {
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (const NamedTable& table : tables) {
    const std::string wanted = allowed_sheet_name(table.name);
    std::string name = wanted;
    for (int number = 2; !taken.insert(lower(name)).second; ++number) {
      const std::string suffix = "~" + std::to_string(number);
      name = shortened(wanted, kLongestSheetName - suffix.size()) + suffix;
    }
    names.push_back(std::move(name));
  }
  return names;
}

void write_xlsx(const std::string& path, std::span<const NamedTable> tables, Overwrite overwrite) {
  if (tables.empty()) throw InputError({.problem = "has no table to hold", .file = path});
  for (const NamedTable& table : tables) check_size(path, table);
  AtomicFile file(path, overwrite);
  Workbook workbook(path, file.temporary_path());
  const std::vector<std::string> names = sheet_names(tables);
  for (std::size_t i = 0; i < tables.size(); ++i) {
    workbook.add(names[i], tables[i].table);
    throw_if_interrupted();
  }
  workbook.close();
  file.commit();
}

}  // namespace scvi::io
