#include "scvi/io/matrix_market.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "entry_assembler.hpp"
#include "line_blocks.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/text.hpp"
#include "shown_text.hpp"
#include "text_number.hpp"

namespace scvi::io {
namespace {

/// Blocks that are parsed before their entries are put together.
constexpr std::size_t kBlocksAtOnce = 16;

enum class Field { integer, real, pattern };

struct Header {
  Field field = Field::real;
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  std::int64_t n_entries = 0;
};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

const char* skip_blanks(const char* at) {
  while (is_blank(*at)) ++at;
  return at;
}

std::vector<std::string> lower_words(std::string_view line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    if (!is_blank(c))
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// What is wrong with a line of entries, and which line of its block that is.
struct BadLine {
  std::int64_t line = 0;
  std::string problem{};
};

/// Room for entries. It is not cleared, and what has been taken once is used again.
class EntryBuffer {
 public:
  /// Makes room for so many, without keeping any.
  void require(std::size_t count) {
    size_ = 0;
    if (count <= room_) return;
    rows_ = std::make_unique_for_overwrite<std::int32_t[]>(count);
    cols_ = std::make_unique_for_overwrite<std::int32_t[]>(count);
    values_ = std::make_unique_for_overwrite<float[]>(count);
    room_ = count;
  }
  std::int32_t* rows() { return rows_.get(); }
  std::int32_t* cols() { return cols_.get(); }
  float* values() { return values_.get(); }
  void set_size(std::size_t size) { size_ = size; }
  std::size_t size() const { return size_; }
  EntryView view(bool gene_by_cell) const {
    const std::span<const std::int32_t> rows(rows_.get(), size_);
    const std::span<const std::int32_t> cols(cols_.get(), size_);
    return {gene_by_cell ? cols : rows, gene_by_cell ? rows : cols, {values_.get(), size_}};
  }

 private:
  std::unique_ptr<std::int32_t[]> rows_;
  std::unique_ptr<std::int32_t[]> cols_;
  std::unique_ptr<float[]> values_;
  std::size_t room_ = 0;
  std::size_t size_ = 0;
};

/// The entries of one block.
struct ParsedBlock {
  EntryBuffer entries{};
  std::int64_t n_lines = 0;
  std::optional<BadLine> bad{};
};

/// Reads the lines of a block; one parser serves all threads.
class EntryParser {
 public:
  explicit EntryParser(const Header& header) : header_(header) {}

  void parse(std::string_view text, ParsedBlock& out) const {
    out.bad.reset();
    out.n_lines = 0;
    const char* at = text.data();
    const char* const end = at + text.size();
    // For the shortest possible lines, so that nothing is checked or moved within the loop.
    constexpr std::size_t kShortestLine = 4;
    out.entries.require(text.size() / kShortestLine + 1);
    std::int32_t* const rows = out.entries.rows();
    std::int32_t* const cols = out.entries.cols();
    float* const values = out.entries.values();
    std::size_t count = 0;
    while (at < end) {
      ++out.n_lines;
      const char* const next = parse_line(at, rows[count], cols[count], values[count]);
      if (next != nullptr) {
        ++count;
        at = next;
        continue;
      }
      const char* const line_end =
          static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
      const std::string_view line(at, static_cast<std::size_t>(line_end - at));
      if (!std::all_of(line.begin(), line.end(), is_blank)) {
        out.bad = BadLine{out.n_lines, explain(line)};
        break;
      }
      at = line_end + 1;
    }
    out.entries.set_size(count);
  }

 private:
  Header header_;

  /// Where the next line begins, or nullptr when this is no good entry. @pre the text ends with \n
  const char* parse_line(const char* at, std::int32_t& row, std::int32_t& col, float& value) const {
    if (header_.field == Field::pattern) return parse_any_line(at, row, col, value);
    std::array<std::uint64_t, 3> numbers;
    const char* const next = parse_plain_line(at, numbers);
    // As unsigned, one comparison finds zero as well.
    if (next == nullptr || numbers[0] - 1 >= static_cast<std::uint64_t>(header_.n_rows) ||
        numbers[1] - 1 >= static_cast<std::uint64_t>(header_.n_cols))
      return parse_any_line(at, row, col, value);
    row = static_cast<std::int32_t>(numbers[0] - 1);
    col = static_cast<std::int32_t>(numbers[1] - 1);
    value = static_cast<float>(static_cast<std::int32_t>(numbers[2]));
    return next;
  }

  const char* parse_any_line(const char* at, std::int32_t& row, std::int32_t& col, float& value) const {
    std::uint64_t number = 0;
    at = parse_digits(skip_blanks(at), number);
    if (at == nullptr || !is_blank(*at) || number - 1 >= static_cast<std::uint64_t>(header_.n_rows)) return nullptr;
    row = static_cast<std::int32_t>(number - 1);
    at = parse_digits(skip_blanks(at), number);
    if (at == nullptr || number - 1 >= static_cast<std::uint64_t>(header_.n_cols)) return nullptr;
    col = static_cast<std::int32_t>(number - 1);
    if (header_.field == Field::pattern) {
      value = 1;
    } else {
      if (!is_blank(*at)) return nullptr;
      at = parse_value(skip_blanks(at), value);
      if (at == nullptr) return nullptr;
    }
    if (*at == '\n') return at + 1;
    at = skip_blanks(at);
    return *at == '\n' ? at + 1 : nullptr;
  }

  const char* parse_value(const char* at, float& value) const {
    // Nearly all counts have one digit.
    const unsigned digit = static_cast<unsigned char>(at[0]) - unsigned{'0'};
    if (at[1] == '\n' && digit <= 9) {
      value = static_cast<float>(digit);
      return at + 1;
    }
    std::uint64_t number = 0;
    const char* const past = parse_digits(at, number);
    if (past != nullptr && (is_blank(*past) || *past == '\n')) {
      value = static_cast<float>(number);
      return past;
    }
    const char* word_end = at;
    while (!is_blank(*word_end) && *word_end != '\n') ++word_end;
    double real = 0;
    const std::string_view word(at, static_cast<std::size_t>(word_end - at));
    if (!parse_real(word, real)) return nullptr;
    if (header_.field == Field::integer && real != std::trunc(real)) return nullptr;
    value = static_cast<float>(real);
    return word_end;
  }

  /// The same once more, to say what is wrong.
  std::string explain(std::string_view line) const {
    const std::vector<std::string> words = lower_words(line);
    const std::size_t wanted = header_.field == Field::pattern ? 2 : 3;
    if (words.size() != wanted)
      return "holds " + shown_text(line) + ", where " + (wanted == 2 ? "row and column" : "row, column and value") +
             " are expected";
    const std::array<std::int64_t, 2> extent = {header_.n_rows, header_.n_cols};
    for (std::size_t axis = 0; axis < extent.size(); ++axis) {
      const std::string& word = words[axis];
      const bool digits = std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
      const bool good = digits && error == std::errc() && number >= 1 && number <= extent[axis];
      if (!good)
        return std::string("names ") + (axis == 0 ? "row " : "column ") + shown_text(word) + ", but " +
               (axis == 0 ? "rows" : "columns") + " are numbered 1.." + std::to_string(extent[axis]);
    }
    return "has the value " + shown_text(words.back()) +
           (header_.field == Field::integer ? ", which is no whole number" : ", which is no number");
  }
};

/// Reads a file from its header to its last line.
class MatrixMarketFile {
 public:
  MatrixMarketFile(std::unique_ptr<ByteStream> stream, bool gene_by_cell)
      : blocks_(std::move(stream)), gene_by_cell_(gene_by_cell) {}

  std::unique_ptr<MatrixReader> read() {
    read_header();
    read_entries();
    MatrixInfo info{.layout = MatrixInfo::Layout::csr,
                    .n_rows = gene_by_cell_ ? header_.n_cols : header_.n_rows,
                    .n_cols = gene_by_cell_ ? header_.n_rows : header_.n_cols,
                    .value_type = header_.field == Field::real ? "real" : "integer",
                    .path = blocks_.stream().place("matrix")};
    CsrBlock rows = assembler_->finish(info.n_rows);
    info.n_stored = std::ssize(rows.values);
    return memory_matrix(std::move(info), std::move(rows));
  }

 private:
  LineBlocks blocks_;
  bool gene_by_cell_;
  Header header_;
  std::optional<EntryAssembler> assembler_;  ///< once the header is known
  TextBlock block_;
  std::string_view rest_;  ///< what of block_ has not been used
  std::int64_t line_ = 0;
  std::int64_t n_read_ = 0;

  [[noreturn]] void fail(std::int64_t line, std::string problem, std::string remedy = "") const {
    blocks_.stream().fail("line " + std::to_string(line), std::move(problem), std::move(remedy));
  }

  bool next_line(std::string_view& line) {
    if (rest_.empty()) {
      if (!blocks_.next(block_)) return false;
      rest_ = block_.text();
    }
    line = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(line.size() + 1);
    ++line_;
    return true;
  }

  void read_header() {
    std::string_view line;
    if (!next_line(line)) fail(1, "is missing: the file is empty");
    read_banner(line);
    do {
      if (!next_line(line)) fail(line_ + 1, "is missing: the file ends before the size of the matrix");
    } while (line.starts_with('%') || lower_words(line).empty());
    read_size(line);
    check_plausible();
  }

  void read_banner(std::string_view line) {
    const std::vector<std::string> words = lower_words(line);
    if (words.size() != 5 || words[0] != "%%matrixmarket" || words[1] != "matrix")
      fail(1, "is " + shown_text(line) + ", not the header of a Matrix Market file", "give another format or file");
    if (words[2] != "coordinate")
      fail(1, "says format " + shown_text(words[2]) + ", but only coordinate is read", "write it as a sparse matrix");
    if (words[3] == "integer")
      header_.field = Field::integer;
    else if (words[3] == "pattern")
      header_.field = Field::pattern;
    else if (words[3] != "real")
      fail(1, "says values are " + shown_text(words[3]) + ", but only integer, real and pattern are read");
    if (words[4] != "general")
      fail(1,
           "says the matrix is " + shown_text(words[4]) + ", which cells by genes cannot be; only general is read");
  }

  void read_size(std::string_view line) {
    const std::vector<std::string> words = lower_words(line);
    std::array<std::int64_t, 3> sizes{};
    bool good = words.size() == sizes.size();
    for (std::size_t at = 0; good && at < sizes.size(); ++at) {
      const char* const end = words[at].data() + words[at].size();
      const auto [stop, error] = std::from_chars(words[at].data(), end, sizes[at]);
      good = error == std::errc() && stop == end && sizes[at] >= 0;
    }
    if (!good) fail(line_, "is " + shown_text(line) + ", where rows, columns and entries are expected");
    header_.n_rows = sizes[0];
    header_.n_cols = sizes[1];
    header_.n_entries = sizes[2];
  }

  /// Memory is taken for what the file can hold, not for what it says.
  void check_plausible() {
    constexpr std::int64_t kAlwaysAllowed = std::int64_t{1} << 24;
    const std::int64_t stored = blocks_.stream().stored_bytes();
    const std::int64_t most =
        std::min<std::int64_t>(std::max(kAlwaysAllowed, stored), std::numeric_limits<std::int32_t>::max() - 1);
    for (const std::int64_t extent : {header_.n_rows, header_.n_cols})
      if (extent > most)
        fail(line_, "claims a matrix of " + with_thousands(header_.n_rows) + " x " + with_thousands(header_.n_cols) +
                        ", far more than a file of " + format_bytes(static_cast<double>(stored)) + " holds");
    // A packed file takes two bytes an entry or more.
    assembler_.emplace(
        ExpectedEntries{.n_cells = gene_by_cell_ ? header_.n_cols : header_.n_rows,
                        .n_genes = gene_by_cell_ ? header_.n_rows : header_.n_cols,
                        .n_entries = std::min(header_.n_entries, std::max(kAlwaysAllowed / 16, stored))});
  }

  void read_entries() {
    const EntryParser parser(header_);
    std::vector<TextBlock> blocks(kBlocksAtOnce);
    std::vector<ParsedBlock> parsed(kBlocksAtOnce);
    if (!rest_.empty()) {
      parser.parse(rest_, parsed[0]);
      take({parsed.data(), 1});
    }
    while (const std::size_t count = blocks_.next_batch(blocks)) {
      throw_if_interrupted();
      parallel_for(static_cast<std::int64_t>(count), 1, [&](std::int64_t at, std::int64_t) {
        parser.parse(blocks[static_cast<std::size_t>(at)].text(), parsed[static_cast<std::size_t>(at)]);
      });
      take({parsed.data(), count});
    }
    if (n_read_ < header_.n_entries)
      blocks_.stream().fail(
          "",
          "ends after " + with_thousands(n_read_) + " entries, but announces " + with_thousands(header_.n_entries),
          "the file is cut short: get it anew");
  }

  void take(std::span<const ParsedBlock> blocks) {
    std::vector<EntryView> entries;
    for (const ParsedBlock& parsed : blocks) {
      check(parsed);
      line_ += parsed.n_lines;
      entries.push_back(parsed.entries.view(gene_by_cell_));
    }
    assembler_->append(entries);
  }

  void check(const ParsedBlock& parsed) {
    n_read_ += static_cast<std::int64_t>(parsed.entries.size());
    if (n_read_ > header_.n_entries)
      fail(line_ + parsed.n_lines, "comes behind the " + with_thousands(header_.n_entries) + " entries announced",
           "the file is damaged: get it anew");
    if (parsed.bad) fail(line_ + parsed.bad->line, parsed.bad->problem);
  }
};

std::vector<std::string> numbered(std::int64_t count) {
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(count));
  for (std::int64_t at = 0; at < count; ++at) names.push_back(std::to_string(at));
  return names;
}

}  // namespace

std::unique_ptr<MatrixReader> read_matrix_market(std::unique_ptr<ByteStream> stream,
                                                 const MatrixMarketOptions& options) {
  return MatrixMarketFile(decompressed(std::move(stream), options.stream), options.gene_by_cell).read();
}

std::unique_ptr<MatrixReader> read_matrix_market(const std::string& path, const MatrixMarketOptions& options) {
  return MatrixMarketFile(open_byte_stream(path, options.stream), options.gene_by_cell).read();
}

CountFile read_matrix_market_counts(const std::string& path, const MatrixMarketOptions& options) {
  CountFile file;
  file.path = path;
  file.format = "Matrix Market";
  file.counts = read_matrix_market(path, options);
  file.obs.index = numbered(file.counts->info().n_rows);
  file.var.index = numbered(file.counts->info().n_cols);
  return file;
}

}  // namespace scvi::io
