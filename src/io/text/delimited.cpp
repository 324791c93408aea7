#include "scvi/io/delimited.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "clean_names.hpp"
#include "column_inference.hpp"
#include "delimited_line.hpp"
#include "entry_assembler.hpp"
#include "line_blocks.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/text.hpp"
#include "shown_text.hpp"
#include "text_number.hpp"

namespace scvi::io {
namespace {

/// Blocks that are parsed before their rows are put together.
constexpr std::size_t kBlocksAtOnce = 8;
/// Names take 32 bytes and more: beyond this many lines a small file could fill the memory.
constexpr std::int64_t kMaxRows = std::int64_t{1} << 26;

/// What the fields of each line are.
struct RowLayout {
  char separator = ',';
  bool row_names = true;
  std::size_t n_annotations = 0;
  std::size_t n_counts = 0;

  std::size_t n_fields() const { return (row_names ? 1 : 0) + n_annotations + n_counts; }
};

/// What is wrong with a line, and where.
struct BadField {
  std::int64_t line = 0;  ///< within the block, from 1
  std::string row_name{};
  std::optional<std::size_t> column{};  ///< of the counts
  std::string problem{};
};

/// The lines of one block.
struct ParsedRows {
  std::vector<std::string> names{};
  std::vector<std::vector<std::string>> annotations{};  ///< one list a column
  std::vector<std::int32_t> lines{};                    ///< of the entries, from 0
  std::vector<std::int32_t> counts{};                   ///< of the entries: which of the counts of their line
  std::vector<float> values{};
  std::int64_t n_rows = 0;
  std::int64_t n_lines = 0;
  std::optional<BadField> bad{};
};

/// Reads the lines of a block. @pre text as LineBlocks gives it
class RowParser {
 public:
  RowParser(const RowLayout& layout, std::string_view text, ParsedRows& out) : layout_(layout), out_(out) {
    out_ = {};
    out_.annotations.resize(layout.n_annotations);
    while (!text.empty() && !out_.bad) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(line.size() + 1);
      ++out_.n_lines;
      if (!is_blank_line(line)) parse_line(line);
    }
  }

 private:
  const RowLayout& layout_;
  ParsedRows& out_;
  std::string field_;

  void fail(std::string problem, std::optional<std::size_t> column = {}) {
    out_.bad = BadField{out_.n_lines, out_.names.empty() || !layout_.row_names ? "" : out_.names.back(), column,
                        std::move(problem)};
  }

  void parse_line(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    std::string_view rest = line;
    bool last = false;
    if (layout_.row_names) {
      out_.names.emplace_back();
      if (!take_field(rest, layout_.separator, out_.names.back(), last))
        return fail("opens a quote that is not closed");
    }
    for (std::vector<std::string>& column : out_.annotations) {
      if (last) return fail_size(line);
      if (!take_field(rest, layout_.separator, column.emplace_back(), last))
        return fail("opens a quote that is not closed");
    }
    if (last) return fail_size(line);
    if (parse_counts(rest))
      ++out_.n_rows;
    else if (!out_.bad)
      fail_size(line);
  }

  void fail_size(std::string_view line) {
    std::vector<std::string> fields;
    split_line(line, layout_.separator, fields);
    fail("has " + std::to_string(fields.size()) + " fields, but the table has " + std::to_string(layout_.n_fields()) +
         " columns");
  }

  /// Returns false when something is wrong: said in `bad`, or else the number of fields.
  bool parse_counts(std::string_view rest) {
    const char* at = rest.data();
    const char* const end = at + rest.size();
    const char separator = layout_.separator;
    const std::size_t n_counts = layout_.n_counts;
    for (std::size_t column = 0; column < n_counts; ++column) {
      // Most fields are zeros. What lies at the end of the line is no separator and may be looked at.
      if (at[0] == '0' && at[1] == separator && column + 1 < n_counts && separator != ' ') {
        at += 2;
        continue;
      }
      std::uint64_t number = 0;
      const char* past = at < end ? parse_digits(at, number) : nullptr;
      float value = static_cast<float>(number);
      if (past == nullptr || (past < end && *past != separator)) {
        past = parse_field(at, end, column, value);
        if (past == nullptr) return false;
      }
      if (value != 0) add(column, value);
      if (past == end) return column + 1 == n_counts;
      at = past + 1;
      if (separator == ' ') at += std::strspn(at, " \t");
      if (separator == ' ' && at == end) return column + 1 == n_counts;
    }
    return false;
  }

  void add(std::size_t column, float value) {
    out_.lines.push_back(static_cast<std::int32_t>(out_.n_rows));
    out_.counts.push_back(static_cast<std::int32_t>(column));
    out_.values.push_back(value);
  }

  /// A count that is not mere digits. Returns where the field ends, or nullptr when it is none.
  const char* parse_field(const char* at, const char* end, std::size_t column, float& value) {
    std::string_view rest(at, static_cast<std::size_t>(end - at));
    bool last = false;
    const bool closed = take_field(rest, layout_.separator, field_, last);
    std::string_view text = field_;
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    double real = 0;
    if (!closed || !parse_real(text, real) || !std::isfinite(real)) {
      fail(text.empty() ? "is empty, where a count is expected"
                        : "is " + shown_text(text) + ", where a count is expected",
           column);
      return nullptr;
    }
    value = static_cast<float>(real);
    return last ? end : rest.data() - 1;
  }
};

/// Reads a table from its first line to its last.
class DelimitedFile {
 public:
  DelimitedFile(const std::string& path, const DelimitedOptions& options)
      : options_(options), blocks_(open_byte_stream(path, options.stream)) {
    if (options_.separator != 0) check_separator(options_.separator, path);
  }

  CountFile read() {
    skip_lines();
    read_layout();
    read_rows();
    return finish();
  }

 private:
  DelimitedOptions options_;
  LineBlocks blocks_;
  RowLayout layout_;
  TextBlock block_;
  std::string_view rest_;  ///< what of block_ has not been used
  std::int64_t line_ = 0;
  std::vector<std::string> annotation_names_;  ///< and the annotation
  std::vector<std::string> columns_;
  std::vector<std::string> rows_;
  std::vector<std::vector<std::string>> annotations_;
  std::int64_t n_rows_ = 0;
  std::optional<EntryAssembler> assembler_;  ///< once the columns are known

  [[noreturn]] void fail(std::int64_t line, std::string problem, std::string remedy = "") const {
    blocks_.stream().fail("line " + std::to_string(line), std::move(problem), std::move(remedy));
  }
  const char* row_word() const { return options_.gene_by_cell ? "gene" : "cell"; }
  const char* column_word() const { return options_.gene_by_cell ? "cell" : "gene"; }

  /// The line that comes next, without taking it. Blank ones before it are passed over.
  bool peek_line(std::string_view& line) {
    while (true) {
      if (rest_.empty()) {
        if (!blocks_.next(block_)) return false;
        rest_ = block_.text();
      }
      line = rest_.substr(0, rest_.find('\n'));
      if (!is_blank_line(line)) break;
      take_line(line);
    }
    if (line.ends_with('\r')) line.remove_suffix(1);
    return true;
  }

  void take_line(std::string_view line) {
    rest_.remove_prefix(rest_.find('\n', line.size()) + 1);
    ++line_;
  }

  void skip_lines() {
    for (std::int64_t skipped = 0; skipped < options_.skip_lines; ++skipped) {
      if (rest_.empty() && !blocks_.next(block_)) return;
      if (rest_.empty()) rest_ = block_.text();
      take_line("");
    }
  }

  std::vector<std::string> split(std::string_view line) const {
    std::vector<std::string> fields;
    if (!split_line(line, layout_.separator, fields)) fail(line_ + 1, "opens a quote that is not closed");
    if (fields.size() > kMaxFields)
      fail(line_ + 1, "has more than " + with_thousands(static_cast<long long>(kMaxFields)) + " fields",
           "check the separator");
    return fields;
  }

  /// Finds separator and columns from the header and the first line behind it.
  void read_layout() {
    std::string_view line;
    if (!peek_line(line)) fail(line_ + 1, "is missing: the table is empty");
    layout_.separator = options_.separator != 0 ? options_.separator : detect_separator(line);
    layout_.row_names = options_.row_names;
    layout_.n_annotations = static_cast<std::size_t>(std::max<std::int64_t>(options_.annotation_columns, 0));
    const std::size_t before_counts = (layout_.row_names ? 1 : 0) + layout_.n_annotations;
    std::vector<std::string> names;
    if (options_.header) {
      names = split(line);
      take_line(line);
      if (!peek_line(line)) {
        if (names.size() > before_counts) return use_names(std::move(names), before_counts);
        fail(line_ + 1, "is missing: the table has no lines of counts");
      }
    }
    const std::size_t n_fields = split(line).size();
    if (n_fields <= before_counts)
      fail(line_ + 1,
           "has " + std::to_string(n_fields) + (n_fields == 1 ? " field" : " fields") + ", too few to hold counts",
           "check the separator");
    if (!options_.header) names = numbered_header(n_fields);
    if (layout_.row_names && names.size() + 1 == n_fields) names.insert(names.begin(), "");
    if (names.size() != n_fields)
      fail(line_ + 1,
           "has " + std::to_string(n_fields) + " fields, but the header has " + std::to_string(names.size()) +
               " names",
           "check the separator");
    use_names(std::move(names), before_counts);
  }

  std::vector<std::string> numbered_header(std::size_t n_fields) const {
    const std::size_t before_counts = (layout_.row_names ? 1 : 0) + layout_.n_annotations;
    std::vector<std::string> names = numbered_names(n_fields - before_counts);
    names.insert(names.begin(), before_counts, "");
    for (std::size_t at = 0; at < layout_.n_annotations; ++at)
      names[before_counts - layout_.n_annotations + at] = "annotation_" + std::to_string(at + 1);
    return names;
  }

  void use_names(std::vector<std::string> names, std::size_t before_counts) {
    const auto counts_begin = names.begin() + static_cast<std::ptrdiff_t>(before_counts);
    annotation_names_.assign(counts_begin - static_cast<std::ptrdiff_t>(layout_.n_annotations), counts_begin);
    columns_.assign(std::make_move_iterator(counts_begin), std::make_move_iterator(names.end()));
    layout_.n_counts = columns_.size();
    annotations_.resize(layout_.n_annotations);
  }

  void read_rows() {
    std::vector<TextBlock> blocks(kBlocksAtOnce);
    std::vector<ParsedRows> parsed(kBlocksAtOnce);
    const auto n_counts = static_cast<std::int64_t>(layout_.n_counts);
    assembler_.emplace(ExpectedEntries{.n_cells = options_.gene_by_cell ? n_counts : kMaxRows,
                                       .n_genes = options_.gene_by_cell ? kMaxRows : n_counts});
    if (!rest_.empty()) {
      const RowParser first(layout_, rest_, parsed[0]);
      take({parsed.data(), 1});
    }
    while (const std::size_t count = blocks_.next_batch(blocks)) {
      throw_if_interrupted();
      parallel_for(static_cast<std::int64_t>(count), 1, [&](std::int64_t at, std::int64_t) {
        const RowParser parser(layout_, blocks[static_cast<std::size_t>(at)].text(),
                               parsed[static_cast<std::size_t>(at)]);
      });
      take({parsed.data(), count});
    }
  }

  void take(std::span<ParsedRows> blocks) {
    std::vector<EntryView> entries;
    for (ParsedRows& parsed : blocks) {
      take_rows(parsed);
      if (options_.gene_by_cell)
        entries.push_back({parsed.counts, parsed.lines, parsed.values});
      else
        entries.push_back({parsed.lines, parsed.counts, parsed.values});
    }
    assembler_->append(entries);
  }

  void take_rows(ParsedRows& parsed) {
    if (parsed.bad) fail_at(*parsed.bad);
    if (n_rows_ + parsed.n_rows > kMaxRows)
      fail(line_ + parsed.n_lines, "is beyond the " + with_thousands(kMaxRows) + " lines that are supported");
    for (std::int32_t& line : parsed.lines) line += static_cast<std::int32_t>(n_rows_);
    std::move(parsed.names.begin(), parsed.names.end(), std::back_inserter(rows_));
    for (std::size_t at = 0; at < annotations_.size(); ++at)
      std::move(parsed.annotations[at].begin(), parsed.annotations[at].end(), std::back_inserter(annotations_[at]));
    n_rows_ += parsed.n_rows;
    line_ += parsed.n_lines;
  }

  [[noreturn]] void fail_at(const BadField& bad) const {
    std::string place = "line " + std::to_string(line_ + bad.line);
    if (!bad.row_name.empty()) place += ", " + std::string(row_word()) + " " + shown_text(bad.row_name);
    if (bad.column) place += ", " + std::string(column_word()) + " " + shown_text(columns_[*bad.column]);
    blocks_.stream().fail(place, bad.problem, bad.column ? "a table of counts holds numbers only" : "");
  }

  CountFile finish() {
    if (!layout_.row_names) rows_ = numbered_names(static_cast<std::size_t>(n_rows_));
    CountFile file;
    file.path = blocks_.stream().file();
    file.format = "text table";
    Frame& lines = options_.gene_by_cell ? file.var : file.obs;
    Frame& columns = options_.gene_by_cell ? file.obs : file.var;
    lines.index = finished_names(std::move(rows_), row_word());
    columns.index = finished_names(std::move(columns_), column_word());
    clean_names(annotation_names_, blocks_.stream(), "names of columns");
    for (std::size_t at = 0; at < annotations_.size(); ++at) {
      clean_names(annotations_[at], blocks_.stream(), "column " + shown_text(annotation_names_[at]));
      lines.columns.push_back(infer_column(std::move(annotation_names_[at]), std::move(annotations_[at])));
    }
    MatrixInfo info{.layout = MatrixInfo::Layout::csr,
                    .n_rows = file.obs.n_rows(),
                    .n_cols = file.var.n_rows(),
                    .value_type = "text",
                    .path = "table"};
    CsrBlock rows = assembler_->finish(info.n_rows);
    info.n_stored = std::ssize(rows.values);
    file.counts = memory_matrix(std::move(info), std::move(rows));
    return file;
  }

  std::vector<std::string> finished_names(std::vector<std::string> names, const std::string& word) const {
    clean_names(names, blocks_.stream(), "names of " + word + "s");
    if (!options_.allow_duplicate_names) refuse_duplicates(names, blocks_.stream(), word);
    return names;
  }
};

}  // namespace

CountFile read_delimited_counts(const std::string& path, const DelimitedOptions& options) {
  return DelimitedFile(path, options).read();
}

}  // namespace scvi::io
