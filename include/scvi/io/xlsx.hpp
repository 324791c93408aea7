#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace scvi::io {

/// What a spreadsheet shows where a formula failed: "#N/A", "#DIV/0!".
struct XlsxError {
  std::string code;
  bool operator==(const XlsxError&) const = default;
};

/// A cell: empty, text, a number (dates and times are numbers of days), a truth value, or an error.
using XlsxCell = std::variant<std::monostate, std::string, double, bool, XlsxError>;

/// One row with its cells from column A on. Cells that the file leaves out are empty; the last cell is not.
struct XlsxRow {
  std::int64_t number = 0;  ///< as the spreadsheet counts, from 1; empty rows may be left out
  std::vector<XlsxCell> cells;
};

/// The cell as a user would read it: "" when empty, "TRUE" and "FALSE", numbers without needless digits.
std::string text_of(const XlsxCell& cell);

/// Bounds of what is read. They are far above any sheet that is not made to do harm.
struct XlsxLimits {
  std::int64_t max_part_bytes = std::int64_t{8} << 30;         ///< of one part of the file, unpacked
  std::int64_t max_shared_text_bytes = std::int64_t{1} << 30;  ///< of the texts that cells share, in memory
  std::int64_t max_cells = 500'000'000;                        ///< of one sheet, gaps between cells included
};

/// An .xlsx workbook (Excel 2007 and later, LibreOffice) open for reading. Sheets are read row by row in the memory
/// of one row and of the texts that cells share. Formulas count as the value that was last computed; nothing is
/// evaluated. Every byte of the file is taken as hostile: entities of XML are refused, sizes are counted, not
/// believed. One thread at a time may read.
class XlsxFile {
 public:
  /// @throws IoError when the file cannot be opened, FormatError when it is no workbook (an .xls of Excel 97 is told
  ///         so), is encrypted or damaged
  explicit XlsxFile(const std::string& path, const XlsxLimits& limits = {});
  ~XlsxFile();
  XlsxFile(XlsxFile&&) noexcept;
  XlsxFile& operator=(XlsxFile&&) noexcept;

  const std::string& path() const;
  /// Names of the sheets in the order of their tabs.
  const std::vector<std::string>& sheets() const;
  /// The rows of a sheet, in order. @param sheet its name; "" for the first
  /// @throws InputError for an unknown sheet, naming the nearest; FormatError for damaged content, naming the cell
  void for_each_row(const std::string& sheet, const std::function<void(const XlsxRow&)>& use) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace scvi::io
