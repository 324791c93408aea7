#include "sources.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/archive.hpp"
#include "scvi/io/delimited.hpp"
#include "scvi/io/line_reader.hpp"

namespace scvi::builtin {

std::string existing_file(const std::string& folder, const std::string& name) {
  const std::string path = (std::filesystem::path(folder) / name).string();
  if (!std::filesystem::exists(path)) {
    throw IoError({.problem = "does not exist", .file = path, .remedy = "fetch it with 'scvi datasets get'"});
  }
  return path;
}

TextSource open_text(const std::string& path) {
  return {io::open_byte_stream(path), path};
}

TextSource open_packed_text(const std::string& folder, const std::string& archive, const std::string& name) {
  const std::filesystem::path unpacked = std::filesystem::path(folder) / name;
  if (std::filesystem::exists(unpacked)) return open_text(unpacked.string());
  const std::string path = existing_file(folder, archive);
  for (const io::ArchiveMember& member : io::list_archive(path)) {
    if (member.kind != io::ArchiveMember::Kind::file) continue;
    if (std::filesystem::path(member.path).filename() != name) continue;
    return {io::decompressed(io::open_archive_member(path, member.path)), path + ", " + member.path};
  }
  throw FormatError({.problem = "holds no file '" + name + "'", .file = path});
}

namespace {

/// The field at the start of `rest`, which is left after its separator; nothing when `rest` has no further one.
std::string_view next_field(std::string_view& rest, char separator, bool& more) {
  std::size_t end = 0;
  if (!rest.empty() && rest.front() == '"') end = std::min(rest.find('"', 1), rest.size());
  end = std::min(rest.find(separator, end), rest.size());
  std::string_view field = rest.substr(0, end);
  more = end < rest.size();
  rest.remove_prefix(more ? end + 1 : end);
  const bool quoted = field.size() >= 2 && field.front() == '"' && field.back() == '"';
  return quoted ? field.substr(1, field.size() - 2) : field;
}

}  // namespace

void for_each_row(TextSource source, char separator,
                  const std::function<void(std::int64_t line, const Fields& fields)>& use) {
  io::LineReader lines(*source.stream);
  Fields fields;
  for (std::string_view line; lines.next(line);) {
    if (line.empty()) continue;
    throw_if_interrupted();
    fields.clear();
    for (bool more = true; more;) fields.push_back(next_field(line, separator, more));
    use(lines.line_number(), fields);
  }
}

double number_in(std::string_view text, const std::string& source, std::int64_t line, std::size_t field) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end && !text.empty()) return value;
  throw FormatError({.problem = "is '" + std::string(text.substr(0, 40)) + "', but must be a number",
                     .file = source,
                     .field = "line " + std::to_string(line) + ", field " + std::to_string(field + 1)});
}

void require_fields(const Fields& fields, std::size_t wanted, const std::string& source, std::int64_t line) {
  if (fields.size() == wanted) return;
  throw FormatError(
      {.problem = "has " + std::to_string(fields.size()) + " fields, but the header has " + std::to_string(wanted),
       .file = source,
       .field = "line " + std::to_string(line)});
}

io::Column typed_column(std::string name, std::vector<std::string> values) {
  std::vector<double> numbers;
  bool whole = true;
  for (const std::string& text : values) {
    double value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || stop != text.data() + text.size()) return {std::move(name), std::move(values), {}};
    whole = whole && value == std::floor(value) && std::abs(value) < 9e15;
    numbers.push_back(value);
  }
  if (!whole) return {std::move(name), std::move(numbers), {}};
  return {std::move(name), std::vector<std::int64_t>(numbers.begin(), numbers.end()), {}};
}

io::Frame read_annotation(TextSource source) {
  return io::read_table(std::move(source.stream), {.separator = ',', .index_column = -1});
}

std::vector<double> TransposedCounts::variances() const {
  std::vector<double> out;
  out.reserve(ends_.size());
  const auto n_cells = static_cast<double>(n_cells_);
  std::int64_t begin = 0;
  for (const std::int64_t end : ends_) {
    double sum = 0;
    for (std::int64_t entry = begin; entry < end; ++entry) sum += values_[entry];
    const double mean = sum / n_cells;
    double squares = (n_cells - static_cast<double>(end - begin)) * mean * mean;
    for (std::int64_t entry = begin; entry < end; ++entry) {
      squares += (values_[entry] - mean) * (values_[entry] - mean);
    }
    out.push_back(squares / n_cells);
    begin = end;
  }
  return out;
}

CountMatrix TransposedCounts::select(const std::vector<std::int64_t>& genes) const {
  const auto first = [&](std::int64_t gene) { return gene == 0 ? 0 : ends_[gene - 1]; };
  std::vector<std::int64_t> indptr(static_cast<std::size_t>(n_cells_) + 1);
  for (const std::int64_t gene : genes) {
    for (std::int64_t entry = first(gene); entry < ends_[gene]; ++entry) ++indptr[cells_[entry] + 1];
  }
  std::partial_sum(indptr.begin(), indptr.end(), indptr.begin());
  std::vector<std::int64_t> next(indptr.begin(), indptr.end() - 1);
  std::vector<std::int32_t> indices(static_cast<std::size_t>(indptr.back()));
  std::vector<float> values(indices.size());
  for (std::size_t position = 0; position < genes.size(); ++position) {
    for (std::int64_t entry = first(genes[position]); entry < ends_[genes[position]]; ++entry) {
      const std::int64_t at = next[cells_[entry]]++;
      indices[at] = static_cast<std::int32_t>(position);
      values[at] = values_[entry];
    }
  }
  return CountMatrix::from_csr(n_cells_, static_cast<std::int64_t>(genes.size()), std::move(indptr),
                               std::move(indices), std::move(values));
}

std::vector<std::int64_t> largest(const std::vector<double>& values, std::int64_t count) {
  std::vector<std::int64_t> order(values.size());
  std::iota(order.rbegin(), order.rend(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return values[a] > values[b]; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(std::max<std::int64_t>(count, 0))));
  return order;
}

std::vector<std::int64_t> all_positions(std::int64_t count) {
  std::vector<std::int64_t> positions(static_cast<std::size_t>(count));
  std::iota(positions.begin(), positions.end(), 0);
  return positions;
}

void require_positive(std::int64_t value, const std::string& option) {
  if (value > 0) return;
  throw InputError({.problem = "is " + std::to_string(value) + ", but must be at least 1", .field = option});
}

CountMatrix read_counts(io::MatrixReader& counts) {
  const io::MatrixInfo& info = counts.info();
  CountMatrixBuilder builder(info.n_cols);
  counts.for_each_block([&](const io::CsrBlock& block) { builder.append(block); });
  return std::move(builder).finish();
}

const io::Column& required_column(const io::Frame& frame, const std::string& name, const std::string& path) {
  if (const io::Column* column = frame.find(name)) return *column;
  const std::vector<std::string> names = frame.column_names();
  throw FormatError({.problem = "has no column '" + name + "'", .file = path, .remedy = suggest(name, names)});
}

std::vector<std::int64_t> whole_numbers(const io::Column& column, const std::string& path) {
  std::vector<std::int64_t> out;
  out.reserve(static_cast<std::size_t>(column.size()));
  for (const double value : real_numbers(column, path)) {
    const bool missing = column.is_missing(static_cast<std::int64_t>(out.size()));
    if (missing || value != std::floor(value) || std::abs(value) > 9e15) {
      throw FormatError({.problem = "is not a whole number",
                         .file = path,
                         .field = "column '" + column.name + "', row " + std::to_string(out.size() + 1)});
    }
    out.push_back(static_cast<std::int64_t>(value));
  }
  return out;
}

std::vector<double> real_numbers(const io::Column& column, const std::string& path) {
  const auto* truths = std::get_if<io::Boolean>(&column.values);
  if (truths) return {truths->values.begin(), truths->values.end()};
  if (const auto* reals = std::get_if<std::vector<double>>(&column.values)) return *reals;
  if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    return {whole->begin(), whole->end()};
  }
  throw FormatError({.problem = "does not hold numbers", .file = path, .field = "column '" + column.name + "'"});
}

std::vector<std::string> texts(const io::Column& column) {
  std::vector<std::string> out(static_cast<std::size_t>(column.size()));
  for (std::int64_t row = 0; row < column.size(); ++row) out[row] = column.text(row);
  return out;
}

std::pair<std::vector<std::string>, std::vector<std::int64_t>> categories_of(const io::Column& column,
                                                                             const std::string& path) {
  io::Categorical categorical = column.as_categorical();
  const auto none = std::find(categorical.codes.begin(), categorical.codes.end(), -1);
  if (none != categorical.codes.end()) {
    throw FormatError(
        {.problem = "is missing",
         .file = path,
         .field = "column '" + column.name + "', row " + std::to_string(none - categorical.codes.begin() + 1)});
  }
  return {categorical.categories, {categorical.codes.begin(), categorical.codes.end()}};
}

std::vector<io::Column> columns_but(const io::Frame& frame, const std::vector<std::string>& left_out) {
  std::vector<io::Column> columns;
  for (const io::Column& column : frame.columns) {
    if (std::find(left_out.begin(), left_out.end(), column.name) == left_out.end()) columns.push_back(column);
  }
  return columns;
}

CellMeasurement measurement_of(std::string name, std::string columns_attr_name,
                               const std::vector<const io::Column*>& columns, const std::string& path) {
  CellMeasurement out{.name = std::move(name), .columns_attr_name = std::move(columns_attr_name)};
  if (columns.empty()) return out;
  out.data.resize(columns.size() * static_cast<std::size_t>(columns.front()->size()));
  for (std::size_t at = 0; at < columns.size(); ++at) {
    out.columns.push_back(columns[at]->name);
    const std::vector<double> values = real_numbers(*columns[at], path);
    for (std::size_t row = 0; row < values.size(); ++row) {
      out.data[row * columns.size() + at] = static_cast<float>(values[row]);
    }
  }
  return out;
}

CellMeasurement measurement_of(const io::CellTable& table) {
  return {.name = table.name,
          .data = {table.values.values.begin(), table.values.values.end()},
          .columns_attr_name = table.columns_name,
          .columns = table.columns};
}

void drop_empty_cells(GeneExpressionDataset& dataset) {
  const std::vector<double> totals = dataset.X().cell_totals();
  const bool any_empty = std::any_of(totals.begin(), totals.end(), [](double total) { return total < 1; });
  if (any_empty) dataset.filter_cells_by_count(1);
}

}  // namespace scvi::builtin
