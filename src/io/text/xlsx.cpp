#include "scvi/io/xlsx.hpp"

#include <zip.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/frame.hpp"
#include "xml.hpp"

namespace scvi::io {
namespace {

/// The largest sheet that spreadsheets can hold.
constexpr std::int64_t kMostRows = 1'048'576;
constexpr std::int64_t kMostColumns = 16'384;
/// Of one cell; spreadsheets allow 32,767 characters.
constexpr std::size_t kLongestText = 1 << 20;
constexpr std::size_t kMostSheets = 10'000;
constexpr const char* kDamaged = "the file is damaged: get it anew, or save it again as .xlsx";

struct DiscardZip {
  void operator()(zip_t* zip) const { zip_discard(zip); }
};
struct CloseZipFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

std::string zip_message(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string message = zip_error_strerror(&error);
  zip_error_fini(&error);
  return message;
}

/// Tells what lies at `path` when it does not begin as a zip file does.
void check_signature(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code ignored;
  if (!file || std::filesystem::is_directory(path, ignored))
    throw IoError({.problem = "cannot be opened", .file = path, .remedy = "check the name and permissions"});
  std::array<char, 8> head{};
  file.read(head.data(), head.size());
  const std::string_view text(head.data(), static_cast<std::size_t>(file.gcount()));
  if (text.starts_with("PK\x03\x04")) return;
  if (text.starts_with("\xD0\xCF\x11\xE0"))
    throw FormatError({.problem = "is an .xls of Excel 97 to 2003, or protected by a password",
                       .file = path,
                       .remedy = "open it in a spreadsheet program and save it as .xlsx without a password"});
  throw FormatError({.problem = text.empty() ? "is empty" : "is no .xlsx file (a zip archive)", .file = path});
}

/// The parts of a workbook, unpacked as streams.
class Package {
 public:
  Package(const std::string& path, std::int64_t max_part_bytes) : path_(path), max_part_bytes_(max_part_bytes) {
    check_signature(path);
    int code = 0;
    zip_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
    if (!zip_)
      throw FormatError(
          {.problem = "is no whole zip archive (" + zip_message(code) + ")", .file = path, .remedy = kDamaged});
  }

  const std::string& path() const { return path_; }
  bool has(const std::string& part) const { return locate(part) >= 0; }

  void parse(const std::string& part, XmlHandler& handler) const {
    const zip_int64_t index = locate(part);
    if (index < 0) fail(part, "is missing");
    const std::unique_ptr<zip_file_t, CloseZipFile> file(
        zip_fopen_index(zip_.get(), static_cast<zip_uint64_t>(index), 0));
    if (!file) fail(part, "cannot be read (" + std::string(zip_strerror(zip_.get())) + ")");
    std::int64_t total = 0;
    const auto read = [&](char* into, std::size_t size) {
      const zip_int64_t got = zip_fread(file.get(), into, size);
      if (got < 0) fail(part, "is damaged (" + std::string(zip_file_strerror(file.get())) + ")");
      total += got;
      if (total > max_part_bytes_)
        fail(part, "unpacks to more than " + format_bytes(static_cast<double>(max_part_bytes_)) +
                       ", the most that is read");
      return static_cast<std::size_t>(got);
    };
    parse_xml(read, handler, path_, part);
  }

 private:
  std::string path_;
  std::int64_t max_part_bytes_;
  std::unique_ptr<zip_t, DiscardZip> zip_;

  /// Some programs do not keep to one case of letters.
  zip_int64_t locate(const std::string& part) const {
    const zip_int64_t exact = zip_name_locate(zip_.get(), part.c_str(), 0);
    return exact >= 0 ? exact : zip_name_locate(zip_.get(), part.c_str(), ZIP_FL_NOCASE);
  }

  [[noreturn]] void fail(const std::string& part, std::string problem) const {
    throw FormatError({.problem = std::move(problem), .file = path_, .field = part, .remedy = kDamaged});
  }
};

/// Which part stands behind which identifier: a part's `.rels`.
class Relations final : public XmlHandler {
 public:
  struct Target {
    std::string type;
    std::string part;
  };

  /// @param folder that relative targets start from: "xl/"
  explicit Relations(std::string folder) : folder_(std::move(folder)) {}

  const std::map<std::string, Target>& targets() const { return targets_; }
  /// The first part of a type that ends so; "" when there is none.
  std::string part_of_type(std::string_view ending) const {
    for (const auto& [id, target] : targets_)
      if (std::string_view(target.type).ends_with(ending)) return target.part;
    return "";
  }

  void start(std::string_view name, const XmlAttributes& attributes) override {
    if (name != "Relationship" || targets_.size() > kMostSheets) return;
    const char* const id = attributes.find("Id");
    const char* const type = attributes.find("Type");
    const char* const target = attributes.find("Target");
    const char* const mode = attributes.find("TargetMode");
    const bool outside = mode != nullptr && std::string_view(mode) == "External";
    if (id != nullptr && type != nullptr && target != nullptr && !outside) targets_[id] = {type, resolve(target)};
  }
  void end(std::string_view) override {}
  void text(std::string_view) override {}

 private:
  std::string folder_;
  std::map<std::string, Target> targets_;

  std::string resolve(const std::string& target) const {
    if (target.starts_with("/")) return target.substr(1);
    return std::filesystem::path(folder_ + target).lexically_normal().generic_string();
  }
};

struct Sheet {
  std::string name;
  std::string relation;
};

class Workbook final : public XmlHandler {
 public:
  std::vector<Sheet> take() { return std::move(sheets_); }

  void start(std::string_view name, const XmlAttributes& attributes) override {
    if (name != "sheet" || sheets_.size() >= kMostSheets) return;
    const char* const sheet_name = attributes.find("name");
    const char* const relation = attributes.find("id");
    if (sheet_name != nullptr && relation != nullptr) sheets_.push_back({sheet_name, relation});
  }
  void end(std::string_view) override {}
  void text(std::string_view) override {}

 private:
  std::vector<Sheet> sheets_;
};

/// Text of <t> elements, in plain or formatted pieces; that of phonetic hints is left out.
class RichText {
 public:
  void clear() {
    text_.clear();
    in_text_ = false;
    in_phonetic_ = false;
  }
  const std::string& text() const { return text_; }

  void start(std::string_view name) {
    if (name == "rPh") in_phonetic_ = true;
    if (name == "t") in_text_ = true;
  }
  void end(std::string_view name) {
    if (name == "rPh") in_phonetic_ = false;
    if (name == "t") in_text_ = false;
  }
  /// @returns false when the text becomes longer than any cell's
  bool append(std::string_view piece) {
    if (!in_text_ || in_phonetic_) return true;
    text_ += piece;
    return text_.size() <= kLongestText;
  }

 private:
  std::string text_;
  bool in_text_ = false;
  bool in_phonetic_ = false;
};

/// The texts that cells refer to by number, end to end.
class SharedTexts final : public XmlHandler {
 public:
  SharedTexts(std::string path, std::int64_t max_bytes) : path_(std::move(path)), max_bytes_(max_bytes) {}

  std::int64_t size() const { return static_cast<std::int64_t>(ends_.size()); }
  std::string_view at(std::int64_t index) const {
    const std::size_t i = static_cast<std::size_t>(index);
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(all_).substr(begin, ends_[i] - begin);
  }

  void start(std::string_view name, const XmlAttributes&) override {
    if (name == "si") current_.clear();
    current_.start(name);
  }
  void end(std::string_view name) override {
    current_.end(name);
    if (name != "si") return;
    all_ += current_.text();
    ends_.push_back(all_.size());
    if (static_cast<std::int64_t>(all_.size() + ends_.size() * sizeof(std::size_t)) > max_bytes_)
      fail("take more than " + format_bytes(static_cast<double>(max_bytes_)) + ", the most that is read");
  }
  void text(std::string_view piece) override {
    if (!current_.append(piece)) fail("hold one that is longer than a cell can be");
  }

 private:
  std::string path_;
  std::int64_t max_bytes_;
  std::string all_;
  std::vector<std::size_t> ends_;
  RichText current_;

  [[noreturn]] void fail(std::string problem) const {
    throw FormatError(
        {.problem = std::move(problem), .file = path_, .field = "the shared texts", .remedy = kDamaged});
  }
};

std::string column_name(std::int64_t column) {
  std::string name;
  for (++column; column > 0; column = (column - 1) / 26)
    name.insert(name.begin(), static_cast<char>('A' + (column - 1) % 26));
  return name;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

template <class T>
std::optional<T> number_in(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// One sheet, handed on row by row.
class SheetReader final : public XmlHandler {
 public:
  SheetReader(const std::string& path, const std::string& sheet, const SharedTexts& shared, std::int64_t max_cells,
              const std::function<void(const XlsxRow&)>& use)
      : path_(path), sheet_(sheet), shared_(shared), max_cells_(max_cells), use_(use) {}

  void start(std::string_view name, const XmlAttributes& attributes) override {
    if (name == "row") return start_row(attributes.find("r"));
    if (!in_row_) return;
    if (name == "c") return start_cell(attributes.find("r"), attributes.find("t"));
    if (!in_cell_) return;
    if (name == "v") in_value_ = true;
    if (name == "is") in_inline_ = true;
    if (in_inline_) rich_.start(name);
  }

  void end(std::string_view name) override {
    if (in_inline_) rich_.end(name);
    if (name == "v") in_value_ = false;
    if (name == "is") in_inline_ = false;
    if (name == "c" && in_cell_) end_cell();
    if (name == "row" && in_row_) end_row();
  }

  void text(std::string_view piece) override {
    bool fits = true;
    if (in_value_) {
      value_ += piece;
      fits = value_.size() <= kLongestText;
    } else if (in_inline_) {
      fits = rich_.append(piece);
    }
    if (!fits) fail_here("holds a text that is longer than a cell can be");
  }

 private:
  const std::string& path_;
  const std::string& sheet_;
  const SharedTexts& shared_;
  std::int64_t max_cells_;
  const std::function<void(const XlsxRow&)>& use_;
  XlsxRow row_;
  std::int64_t column_ = -1;
  std::int64_t n_cells_ = 0;
  std::string type_;
  std::string value_;
  RichText rich_;
  bool in_row_ = false;
  bool in_cell_ = false;
  bool in_value_ = false;
  bool in_inline_ = false;

  [[noreturn]] void fail(const std::string& place, std::string problem) const {
    throw FormatError({.problem = std::move(problem),
                       .file = path_,
                       .field = "sheet '" + sheet_ + "', " + place,
                       .remedy = kDamaged});
  }
  [[noreturn]] void fail_here(std::string problem) const {
    fail("cell " + column_name(column_) + std::to_string(row_.number), std::move(problem));
  }

  void start_row(const char* reference) {
    if (in_row_) fail("row " + std::to_string(row_.number), "holds another row");
    std::int64_t number = row_.number + 1;
    if (reference != nullptr) {
      const auto given = number_in<std::int64_t>(reference);
      if (!given || *given < 1 || *given > kMostRows)
        fail("the row after " + std::to_string(row_.number), "is not numbered 1 to " + with_thousands(kMostRows));
      if (*given < number) fail("row " + std::to_string(*given), "comes after row " + std::to_string(row_.number));
      number = *given;
    }
    if (number > kMostRows) fail("row " + std::to_string(number), "is beyond the last that there can be");
    row_.number = number;
    row_.cells.clear();
    column_ = -1;
    in_row_ = true;
  }

  void end_row() {
    in_row_ = false;
    while (!row_.cells.empty() && std::holds_alternative<std::monostate>(row_.cells.back())) row_.cells.pop_back();
    use_(row_);
  }

  /// "BC12" means column 54; the row is known already.
  std::int64_t column_of(std::string_view reference) const {
    std::int64_t column = 0;
    std::size_t at = 0;
    for (; at < reference.size() && at < 4; ++at) {
      const char letter = static_cast<char>(reference[at] & ~0x20);
      if (letter < 'A' || letter > 'Z') break;
      column = column * 26 + (letter - 'A' + 1);
    }
    const auto row = number_in<std::int64_t>(reference.substr(at));
    if (column < 1 || column > kMostColumns || !row || *row != row_.number)
      fail("row " + std::to_string(row_.number),
           "has a cell called '" + std::string(reference.substr(0, 40)) + "', which is none of it");
    return column - 1;
  }

  void start_cell(const char* reference, const char* type) {
    if (in_cell_) fail_here("holds another cell");
    const std::int64_t column = reference == nullptr ? column_ + 1 : column_of(reference);
    if (column <= column_) fail_here("is followed by a cell to its left");
    if (column >= kMostColumns) fail_here("is followed by a cell beyond the last column that there can be");
    column_ = column;
    type_ = type == nullptr ? "n" : type;
    value_.clear();
    rich_.clear();
    in_cell_ = true;
  }

  void end_cell() {
    in_cell_ = false;
    in_value_ = false;
    in_inline_ = false;
    XlsxCell cell = finished_cell();
    n_cells_ += column_ + 1 - static_cast<std::int64_t>(row_.cells.size());
    if (n_cells_ > max_cells_)
      fail_here("is beyond the " + with_thousands(max_cells_) + " cells that are read, gaps included");
    row_.cells.resize(static_cast<std::size_t>(column_));
    row_.cells.push_back(std::move(cell));
  }

  XlsxCell finished_cell() const {
    if (type_ == "inlineStr") return rich_.text();
    if (type_ == "str" || type_ == "d") return value_;
    const std::string_view value = trimmed(value_);
    if (value.empty()) return {};
    if (type_ == "s") return shared_text(value);
    if (type_ == "e") return XlsxError{std::string(value)};
    if (type_ == "b") return truth(value);
    if (type_ != "n") fail_here("is of the unknown kind '" + type_.substr(0, 40) + "'");
    const auto number = number_in<double>(value);
    if (!number) fail_here("holds '" + std::string(value.substr(0, 40)) + "' for a number");
    return *number;
  }

  XlsxCell truth(std::string_view value) const {
    if (value != "0" && value != "1") fail_here("holds '" + std::string(value.substr(0, 40)) + "' for a truth value");
    return value == "1";
  }

  XlsxCell shared_text(std::string_view value) const {
    const auto index = number_in<std::int64_t>(value);
    if (!index || *index < 0 || *index >= shared_.size())
      fail_here("refers to shared text " + std::string(value.substr(0, 40)) + ", but there are " +
                std::to_string(shared_.size()));
    return std::string(shared_.at(*index));
  }
};

}  // namespace

std::string text_of(const XlsxCell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* truth = std::get_if<bool>(&cell)) return *truth ? "TRUE" : "FALSE";
  if (const auto* error = std::get_if<XlsxError>(&cell)) return error->code;
  if (const auto* number = std::get_if<double>(&cell)) {
    const Column one{.name = "", .values = std::vector<double>{*number}, .missing = {}};
    return one.text(0);
  }
  return "";
}

struct XlsxFile::Impl {
  Impl(const std::string& path, const XlsxLimits& limits)
      : package(path, limits.max_part_bytes),
        shared(path, limits.max_shared_text_bytes),
        max_cells(limits.max_cells) {
    const std::string workbook_part = find_workbook();
    const std::size_t slash = workbook_part.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : workbook_part.substr(0, slash + 1);
    Relations relations(folder);
    package.parse(folder + "_rels/" + workbook_part.substr(folder.size()) + ".rels", relations);
    Workbook workbook;
    package.parse(workbook_part, workbook);
    for (const Sheet& sheet : workbook.take()) {
      const auto target = relations.targets().find(sheet.relation);
      // Charts and macros have tabs, too.
      if (target == relations.targets().end() || !target->second.type.ends_with("/worksheet")) continue;
      names.push_back(sheet.name);
      parts.push_back(target->second.part);
    }
    if (names.empty()) throw FormatError({.problem = "has no sheet", .file = path, .remedy = kDamaged});
    shared_part = relations.part_of_type("/sharedStrings");
  }

  Package package;
  std::vector<std::string> names;
  std::vector<std::string> parts;
  std::string shared_part;
  SharedTexts shared;
  std::int64_t max_cells;
  bool has_shared = false;

  std::string find_workbook() const {
    constexpr const char* kUsual = "xl/workbook.xml";
    Relations relations("");
    if (package.has("_rels/.rels")) package.parse("_rels/.rels", relations);
    std::string part = relations.part_of_type("/officeDocument");
    if (part.empty()) part = kUsual;
    if (!package.has(part))
      throw FormatError({.problem = "is a zip archive, but no workbook: it has no " + part, .file = package.path()});
    return part;
  }

  void load_shared() {
    if (has_shared || shared_part.empty()) return;
    SharedTexts fresh = shared;
    if (package.has(shared_part)) package.parse(shared_part, fresh);
    shared = std::move(fresh);
    has_shared = true;
  }
};

XlsxFile::XlsxFile(const std::string& path, const XlsxLimits& limits) : impl_(std::make_unique<Impl>(path, limits)) {}
XlsxFile::~XlsxFile() = default;
XlsxFile::XlsxFile(XlsxFile&&) noexcept = default;
XlsxFile& XlsxFile::operator=(XlsxFile&&) noexcept = default;

const std::string& XlsxFile::path() const {
  return impl_->package.path();
}
const std::vector<std::string>& XlsxFile::sheets() const {
  return impl_->names;
}

void XlsxFile::for_each_row(const std::string& sheet, const std::function<void(const XlsxRow&)>& use) const {
  const std::vector<std::string>& names = impl_->names;
  const auto found = sheet.empty() ? names.begin() : std::find(names.begin(), names.end(), sheet);
  if (found == names.end())
    throw InputError({.problem = "has no sheet '" + sheet + "'", .file = path(), .remedy = suggest(sheet, names)});
  impl_->load_shared();
  SheetReader reader(path(), *found, impl_->shared, impl_->max_cells, use);
  impl_->package.parse(impl_->parts[static_cast<std::size_t>(found - names.begin())], reader);
}

}  // namespace scvi::io
