#include "h5ad_encoding.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "utf8.hpp"

namespace scvi::io::h5ad {
namespace {

std::vector<double> reals_with_nan(const Column& column) {
  std::vector<double> values;
  for (std::int64_t row = 0; row < column.size(); ++row) {
    const auto at = static_cast<std::size_t>(row);
    if (column.is_missing(row))
      values.push_back(std::numeric_limits<double>::quiet_NaN());
    else if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values))
      values.push_back(static_cast<double>((*whole)[at]));
    else
      values.push_back(std::get<std::vector<double>>(column.values)[at]);
  }
  return values;
}

bool has_missing(const Column& column) {
  return std::any_of(column.missing.begin(), column.missing.end(), [](std::uint8_t flag) { return flag != 0; });
}

template <class T>
bool holds(const Column& column) {
  return std::holds_alternative<T>(column.values);
}

template <class Code>
std::vector<Code> narrow_codes(const Categorical& categorical) {
  std::vector<Code> codes;
  codes.reserve(categorical.codes.size());
  for (const std::int32_t code : categorical.codes) codes.push_back(static_cast<Code>(code));
  return codes;
}

void check_categories(const Categorical& categorical, const std::string& place) {
  const auto n_categories = static_cast<std::int64_t>(categorical.categories.size());
  for (const std::int32_t code : categorical.codes)
    if (code < -1 || code >= n_categories)
      throw InputError({.problem = "holds the code " + std::to_string(code) + ", but there are " +
                                   std::to_string(n_categories) + " categories",
                        .field = place});
  std::set<std::string> seen;
  for (const std::string& category : categorical.categories)
    if (!seen.insert(category).second)
      throw InputError({.problem = "lists the category '" + category + "' twice", .field = place});
}

}  // namespace

Column without_nulls(const Column& column) {
  if (holds<Categorical>(column) ||
      (!column.missing.empty() && has_missing(column) && !holds<std::vector<double>>(column) &&
       !holds<std::vector<std::int64_t>>(column)))
    return {.name = column.name, .values = column.as_categorical(), .missing = {}};
  if (!has_missing(column)) return {.name = column.name, .values = column.values, .missing = {}};
  return {.name = column.name, .values = reals_with_nan(column), .missing = {}};
}

void check_name(const std::string& name, const std::string& where) {
  if (!name.empty() && name != "." && name.find('/') == std::string::npos) return;
  throw InputError({.problem = "'" + name + "' cannot be the name of an element",
                    .field = where,
                    .remedy = "choose a name without slashes"});
}

void check_column(const Column& column, std::int64_t n_rows, const std::string& where) {
  const std::string place = where + "/" + column.name;
  check_name(column.name, where);
  if (column.name == "_index" || column.name == "__categories")
    throw InputError({.problem = "is a name that .h5ad keeps for itself", .field = place});
  const auto n_flags = static_cast<std::int64_t>(column.missing.size());
  if (column.size() != n_rows || (n_flags != 0 && n_flags != n_rows))
    throw InputError(
        {.problem = "has " + std::to_string(column.size()) + " values for " + std::to_string(n_rows) + " rows",
         .field = place});
  if (const auto* categorical = std::get_if<Categorical>(&column.values)) check_categories(*categorical, place);
}

void check_array(const std::string& name, const FloatArray& array, std::int64_t n_rows, const std::string& where) {
  check_name(name, where);
  const bool whole =
      array.n_cols >= 0 && static_cast<std::int64_t>(array.values.size()) == array.n_rows * array.n_cols;
  if (array.n_rows == n_rows && whole) return;
  throw InputError({.problem = "is (" + std::to_string(array.n_rows) + ", " + std::to_string(array.n_cols) +
                               ") with " + std::to_string(array.values.size()) + " values, but must have " +
                               std::to_string(n_rows) + " rows",
                    .field = where + "/" + name});
}

void check_sparse(const std::string& name, const SparseArray& array, std::int64_t n, const std::string& where) {
  check_name(name, where);
  const auto refuse = [&](const std::string& problem) {
    throw InputError({.problem = problem, .field = where + "/" + name});
  };
  if (array.n_rows != n || array.n_cols != n)
    refuse("is (" + std::to_string(array.n_rows) + ", " + std::to_string(array.n_cols) + "), but must be (" +
           std::to_string(n) + ", " + std::to_string(n) + ")");
  if (std::ssize(array.indptr) != n + 1 || array.indptr.front() != 0 || !std::ranges::is_sorted(array.indptr) ||
      array.indptr.back() != std::ssize(array.indices) || array.indices.size() != array.values.size())
    refuse("has rows that do not fit its " + std::to_string(array.values.size()) + " values");
  for (const std::int64_t index : array.indices)
    if (index < 0 || index >= n) refuse("holds the column " + std::to_string(index));
}

void ElementWriter::tag(const std::string& path, const std::string& type, const std::string& version) {
  if (!tagged_) return;
  file_.set_attribute(path, "encoding-type", type);
  file_.set_attribute(path, "encoding-version", version);
}

void ElementWriter::make_dictionary(const std::string& path) {
  file_.create_group(path);
  tag(path, "dict", "0.1.0");
}

void ElementWriter::write_texts(const std::string& path, const std::vector<std::string>& texts) {
  std::vector<std::string> valid;
  valid.reserve(texts.size());
  for (const std::string& text : texts) valid.push_back(valid_utf8(text));
  file_.write_strings(path, valid, compression_);
  tag(path, "string-array", "0.2.0");
}

template <class T>
void ElementWriter::write_numbers(const std::string& path, const std::vector<T>& numbers) {
  file_.write(path, numbers, compression_);
  tag(path, "array", "0.2.0");
}

void ElementWriter::write_truths(const std::string& path, const std::vector<std::uint8_t>& truths) {
  file_.write_booleans(path, truths, compression_);
  tag(path, "array", "0.2.0");
}

void ElementWriter::write_codes(const std::string& path, const Categorical& categorical) {
  // The widths that pandas chooses.
  const std::size_t n_categories = categorical.categories.size();
  if (n_categories <= 127) return write_numbers(path, narrow_codes<std::int8_t>(categorical));
  if (n_categories <= 32767) return write_numbers(path, narrow_codes<std::int16_t>(categorical));
  write_numbers(path, categorical.codes);
}

void ElementWriter::write_categorical(const std::string& path, const Categorical& categorical) {
  file_.create_group(path);
  tag(path, "categorical", "0.2.0");
  file_.set_attribute(path, "ordered", categorical.ordered);
  write_codes(path + "/codes", categorical);
  write_texts(path + "/categories", categorical.categories);
}

void ElementWriter::write_nullable(const std::string& path, const Column& column) {
  file_.create_group(path);
  if (const auto* truths = std::get_if<Boolean>(&column.values)) {
    tag(path, "nullable-boolean", "0.1.0");
    write_truths(path + "/values", truths->values);
  } else {
    tag(path, "nullable-integer", "0.1.0");
    write_numbers(path + "/values", std::get<std::vector<std::int64_t>>(column.values));
  }
  write_truths(path + "/mask", column.missing);
}

void ElementWriter::write_column(const std::string& frame, const Column& column) {
  const std::string path = frame + "/" + column.name;
  if (has_missing(column) && (holds<Boolean>(column) || holds<std::vector<std::int64_t>>(column)))
    return write_nullable(path, column);
  // Nullable text is unknown before anndata 0.11; a categorical with missing values every reader takes.
  const Column plain = without_nulls(column);
  if (const auto* categorical = std::get_if<Categorical>(&plain.values)) return write_categorical(path, *categorical);
  if (const auto* texts = std::get_if<std::vector<std::string>>(&plain.values)) return write_texts(path, *texts);
  if (const auto* reals = std::get_if<std::vector<double>>(&plain.values)) return write_numbers(path, *reals);
  if (const auto* truths = std::get_if<Boolean>(&plain.values)) return write_truths(path, truths->values);
  write_numbers(path, std::get<std::vector<std::int64_t>>(plain.values));
}

void ElementWriter::write_column_0_7(const std::string& frame, const Column& column) {
  const Column plain = without_nulls(column);
  const auto* categorical = std::get_if<Categorical>(&plain.values);
  if (categorical == nullptr) return write_column(frame, plain);
  const std::string codes = frame + "/" + column.name;
  const std::string categories = frame + "/__categories/" + column.name;
  write_texts(categories, categorical->categories);
  file_.set_attribute(categories, "ordered", categorical->ordered);
  write_codes(codes, *categorical);
  file_.set_reference_attribute(codes, "categories", categories);
}

void ElementWriter::write_frame(const std::string& path, const Frame& frame) {
  file_.create_group(path);
  tag(path, "dataframe", "0.2.0");
  check_name(frame.index_name, path);
  if (frame.find(frame.index_name) != nullptr)
    throw InputError({.problem = "has a column and an index of the name '" + frame.index_name + "'", .field = path});
  const std::vector<std::string> names = frame.column_names();
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size())
    throw InputError({.problem = "has two columns of the same name", .field = path});
  file_.set_attribute(path, "_index", frame.index_name);
  file_.set_attribute(path, "column-order", names);
  write_texts(path + "/" + frame.index_name, frame.index);
  for (const Column& column : frame.columns) {
    check_column(column, frame.n_rows(), path);
    write_column(path, column);
  }
}

void ElementWriter::write_array(const std::string& path, const FloatArray& array) {
  const std::int64_t shape[] = {array.n_rows, array.n_cols};
  file_.write<float>(path, array.values, shape, compression_);
  tag(path, "array", "0.2.0");
}

void ElementWriter::write_array(const std::string& path, const DenseArray& array) {
  const std::int64_t shape[] = {array.n_rows, array.n_cols};
  file_.write<double>(path, array.values, shape, compression_);
  tag(path, "array", "0.2.0");
}

void ElementWriter::write_sparse(const std::string& path, const SparseArray& array) {
  file_.create_group(path);
  // Sparse matrices say what they are since 0.7, before other elements did.
  file_.set_attribute(path, "encoding-type", std::string("csr_matrix"));
  file_.set_attribute(path, "encoding-version", std::string("0.1.0"));
  const std::int64_t shape[] = {array.n_rows, array.n_cols};
  file_.set_number_attribute<std::int64_t>(path, "shape", std::span<const std::int64_t>(shape));
  write_numbers(path + "/data", array.values);
  // scipy wants one type for offsets and columns.
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const bool narrow = array.n_cols <= kMost && array.indptr.back() <= kMost;
  for (const auto& [name, numbers] : {std::pair{"/indices", &array.indices}, std::pair{"/indptr", &array.indptr}}) {
    if (narrow)
      write_numbers(path + name, std::vector<std::int32_t>(numbers->begin(), numbers->end()));
    else
      write_numbers(path + name, *numbers);
  }
}

void ElementWriter::write_rows(const std::string& path, std::int64_t n_rows, std::int64_t n_cols,
                               const DenseRows& rows) {
  if (n_cols == 0) throw InputError({.problem = "has no genes", .field = path});
  const auto refuse = [&](const std::string& got) {
    throw InputError(
        {.problem = "got " + got + " rows for the " + std::to_string(n_rows) + " of obs", .field = path});
  };
  Hdf5Dataset dataset = file_.create_growing<float>(path, n_cols, Hdf5Compression::none);
  std::int64_t written = 0;
  rows([&](std::span<const float> values) {
    throw_if_interrupted();
    if (std::ssize(values) % n_cols != 0) refuse("parts of");
    written += std::ssize(values) / n_cols;
    if (written > n_rows) refuse("more");
    dataset.append<float>(values);
  });
  if (written != n_rows) refuse("only " + std::to_string(written));
  dataset.flush();
  tag(path, "array", "0.2.0");
}

void ElementWriter::write_layers(const std::vector<H5adLayer>& layers, std::int64_t n_rows, std::int64_t n_cols) {
  if (layers.empty()) return;
  if (!file_.exists("layers")) make_dictionary("layers");
  for (const H5adLayer& layer : layers) {
    check_name(layer.name, "layers");
    const std::string path = "layers/" + layer.name;
    if (file_.exists(path)) file_.remove(path);
    write_rows(path, n_rows, n_cols, layer.rows);
  }
}

void ElementWriter::write_value(const std::string& path, const UnsValue& value) {
  if (const auto* text = std::get_if<std::string>(&value.value)) {
    file_.write_string(path, valid_utf8(*text));
    return tag(path, "string", "0.2.0");
  }
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value.value)) return write_texts(path, *texts);
  if (const auto* reals = std::get_if<std::vector<double>>(&value.value)) return write_numbers(path, *reals);
  if (const auto* dictionary = std::get_if<std::shared_ptr<const UnsDict>>(&value.value)) {
    make_dictionary(path);
    for (const auto& [name, inner] : **dictionary) {
      check_name(name, path);
      write_value(path + "/" + name, inner);
    }
    return;
  }
  if (const auto* real = std::get_if<double>(&value.value))
    file_.write_scalar(path, *real);
  else
    file_.write_scalar(path, std::get<std::int64_t>(value.value));
  tag(path, "numeric-scalar", "0.2.0");
}

}  // namespace scvi::io::h5ad
