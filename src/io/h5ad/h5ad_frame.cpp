#include "h5ad_frame.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"

namespace scvi::io::h5ad {
namespace {

[[noreturn]] void damaged(const Hdf5File& file, const std::string& place, const std::string& problem) {
  throw FormatError({.problem = problem, .file = file.path(), .field = place});
}

void check_length(const Hdf5File& file, const std::string& place, std::int64_t found, std::int64_t expected) {
  if (expected < 0 || found == expected) return;
  damaged(file, place, "has " + std::to_string(found) + " values for " + std::to_string(expected) + " rows");
}

std::string encoding_of(const Hdf5File& file, const std::string& path) {
  return file.attribute_string(path, "encoding-type", "");
}

/// Whole numbers as they are; unsigned ones that need 64 bits as reals, rather than wrong.
Column::Values whole_numbers(const Hdf5Dataset& dataset) {
  const std::size_t size = static_cast<std::size_t>(dataset.info().size());
  if (dataset.info().type_name == "uint64") {
    std::vector<std::uint64_t> wide(size);
    dataset.read_all(wide.data());
    const auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (std::any_of(wide.begin(), wide.end(), [&](std::uint64_t value) { return value > limit; }))
      return std::vector<double>(wide.begin(), wide.end());
    return std::vector<std::int64_t>(wide.begin(), wide.end());
  }
  std::vector<std::int64_t> values(size);
  dataset.read_all(values.data());
  return values;
}

template <class T>
std::vector<T> all_values(const Hdf5Dataset& dataset) {
  std::vector<T> values(static_cast<std::size_t>(dataset.info().size()));
  if (!values.empty()) dataset.read_all(values.data());
  return values;
}

void make_truth_values(std::vector<std::uint8_t>& values) {
  for (std::uint8_t& value : values) value = value != 0;
}

/// The values of a dataset of one dimension.
Column::Values plain_values(const Hdf5Dataset& dataset) {
  if (dataset.info().value_class == Hdf5Class::text) return dataset.read_strings();
  dataset.require_numbers();
  dataset.require_plausible();
  if (dataset.info().size() == 0 && dataset.info().value_class != Hdf5Class::boolean) {
    if (dataset.info().value_class == Hdf5Class::real) return std::vector<double>();
    return std::vector<std::int64_t>();
  }
  switch (dataset.info().value_class) {
    case Hdf5Class::boolean: {
      Boolean column{all_values<std::uint8_t>(dataset)};
      make_truth_values(column.values);
      return column;
    }
    case Hdf5Class::real:
      return all_values<double>(dataset);
    default:
      return whole_numbers(dataset);
  }
}

std::vector<std::string> texts_of(const Column& column) {
  std::vector<std::string> texts;
  texts.reserve(static_cast<std::size_t>(column.size()));
  for (std::int64_t row = 0; row < column.size(); ++row) texts.push_back(column.text(row));
  return texts;
}

/// Categories of any type, as text. A single one may be stored as a scalar.
std::vector<std::string> read_categories(const Hdf5File& file, const std::string& path) {
  if (file.is_dataset(path)) {
    const Hdf5Dataset dataset = file.open_dataset(path);
    if (dataset.info().shape.size() <= 1 && !dataset.info().is_null)
      return texts_of({.name = "", .values = plain_values(dataset), .missing = {}});
  }
  auto read = read_array(file, path, -1);
  if (const auto* problem = std::get_if<NotUnderstood>(&read)) damaged(file, path, problem->reason);
  return texts_of(std::get<Column>(read));
}

bool is_ordered(const Hdf5File& file, const std::string& path) {
  if (!file.has_attribute(path, "ordered")) return false;
  const Hdf5Info info = file.attribute_info(path, "ordered");
  return info.is_numeric() && info.size() == 1 && file.attribute_number<std::int64_t>(path, "ordered") != 0;
}

std::vector<std::int32_t> read_codes(const Hdf5File& file, const std::string& path, std::int64_t n_rows,
                                     std::size_t n_categories) {
  const Hdf5Dataset dataset = file.open_dataset(path);
  if (dataset.info().value_class != Hdf5Class::integer || dataset.info().shape.size() != 1)
    damaged(file, path, "is no list of whole numbers, as category codes must be");
  check_length(file, path, dataset.info().size(), n_rows);
  dataset.require_plausible();
  std::vector<std::int32_t> codes = all_values<std::int32_t>(dataset);
  const auto bad = std::find_if(codes.begin(), codes.end(), [&](std::int32_t code) {
    return code < -1 || code >= static_cast<std::int64_t>(n_categories);
  });
  if (bad != codes.end())
    damaged(file, path,
            "holds the code " + std::to_string(*bad) + " in row " + std::to_string(bad - codes.begin()) +
                ", but there are " + std::to_string(n_categories) + " categories");
  return codes;
}

Column read_categorical(const Hdf5File& file, const std::string& codes, const std::string& categories,
                        const std::string& ordered_at, std::int64_t n_rows) {
  Categorical column;
  column.categories = read_categories(file, categories);
  column.codes = read_codes(file, codes, n_rows, column.categories.size());
  column.ordered = is_ordered(file, ordered_at);
  return {.name = "", .values = std::move(column), .missing = {}};
}

/// Where the codes of a 0.7 frame say that their categories are.
std::string categories_of(const Hdf5File& file, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string frame = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const std::string usual = frame + "__categories/" + name;
  if (file.exists(usual)) return usual;
  const std::string given = file.attribute_string(path, "categories", "");
  if (!given.empty()) return frame + given;
  return file.attribute_reference(path, "categories");
}

Column read_nullable(const Hdf5File& file, const std::string& path, std::int64_t n_rows) {
  const Hdf5Dataset values = file.open_dataset(path + "/values");
  const Hdf5Dataset mask = file.open_dataset(path + "/mask");
  if (values.info().shape.size() != 1) damaged(file, values.path(), "is no list");
  check_length(file, values.path(), values.info().size(), n_rows);
  mask.require_numbers();
  mask.require_plausible();
  if (mask.info().shape.size() != 1) damaged(file, mask.path(), "is no list");
  check_length(file, mask.path(), mask.info().size(), values.info().size());
  Column column{.name = "", .values = plain_values(values), .missing = all_values<std::uint8_t>(mask)};
  make_truth_values(column.missing);
  if (std::find(column.missing.begin(), column.missing.end(), 1) == column.missing.end()) column.missing.clear();
  return column;
}

std::variant<Column, NotUnderstood> read_group_array(const Hdf5File& file, const std::string& path,
                                                     std::int64_t n_rows) {
  const std::string encoding = encoding_of(file, path);
  if (encoding == "categorical" || (encoding.empty() && file.exists(path + "/codes")))
    return read_categorical(file, path + "/codes", path + "/categories", path, n_rows);
  if (encoding == "nullable-integer" || encoding == "nullable-boolean" || encoding == "nullable-string-array")
    return read_nullable(file, path, n_rows);
  return NotUnderstood{encoding.empty() ? "is a group without encoding" : "has the encoding '" + encoding + "'"};
}

/// The column of a record whose categories lie elsewhere, when they fit.
void attach_categories(const Hdf5File& file, const std::string& path, Column& column) {
  const auto* numbers = std::get_if<std::vector<std::int64_t>>(&column.values);
  if (numbers == nullptr || !file.is_dataset(path)) return;
  Categorical categorical;
  categorical.categories = read_categories(file, path);
  const auto n_categories = static_cast<std::int64_t>(categorical.categories.size());
  // obs and var share these names, so the categories may belong to the other one.
  if (std::any_of(numbers->begin(), numbers->end(),
                  [&](std::int64_t code) { return code < -1 || code >= n_categories; }))
    return;
  categorical.codes.assign(numbers->begin(), numbers->end());
  column.values = std::move(categorical);
}

std::variant<Column, NotUnderstood> read_record_field(const Hdf5Dataset& dataset, std::size_t field) {
  const Hdf5Field& what = dataset.info().fields[field];
  if (what.n_values != 1) return NotUnderstood{"holds an array in every row"};
  Column column{.name = what.name, .values = {}, .missing = {}};
  switch (what.value_class) {
    case Hdf5Class::text:
      column.values = dataset.read_string_field(field);
      return column;
    case Hdf5Class::real:
      column.values = dataset.read_field<double>(field);
      return column;
    case Hdf5Class::integer:
      column.values = dataset.read_field<std::int64_t>(field);
      return column;
    case Hdf5Class::boolean: {
      Boolean values{dataset.read_field<std::uint8_t>(field)};
      make_truth_values(values.values);
      column.values = std::move(values);
      return column;
    }
    default:
      return NotUnderstood{"holds " + what.type_name};
  }
}

std::size_t index_field(const Hdf5File& file, const std::string& frame, const Hdf5Info& info) {
  if (info.fields.empty()) damaged(file, frame, "is no data frame: it holds " + info.type_name);
  for (std::size_t field = 0; field < info.fields.size(); ++field)
    if (info.fields[field].name == "index") return field;
  return 0;
}

void warn_passed_over(const Hdf5File& file, const std::string& path, const std::string& reason) {
  log_warning(file.path() + ": " + path + " is passed over: it " + reason);
}

Frame read_record_frame(const Hdf5File& file, const std::string& frame, const std::string& categories_at) {
  const Hdf5Dataset dataset = file.open_dataset(frame);
  if (dataset.info().shape.size() != 1) damaged(file, frame, "is no list of rows");
  const std::size_t index = index_field(file, frame, dataset.info());
  Frame result;
  result.index_name = dataset.info().fields[index].name;
  for (std::size_t field = 0; field < dataset.info().fields.size(); ++field) {
    auto read = read_record_field(dataset, field);
    const std::string& name = dataset.info().fields[field].name;
    if (auto* column = std::get_if<Column>(&read)) {
      if (field == index) {
        result.index = texts_of(*column);
        continue;
      }
      if (result.find(name) != nullptr) damaged(file, frame, "has two columns named '" + name + "'");
      attach_categories(file, categories_at + "/" + name + "_categories", *column);
      result.columns.push_back(std::move(*column));
      continue;
    }
    if (field == index) damaged(file, frame, "has no row names: its first column is no text");
    warn_passed_over(file, frame + "/" + name, std::get<NotUnderstood>(read).reason);
  }
  return result;
}

/// Where a group frame without a usable `_index` attribute has its row names.
std::string likely_index(const Hdf5File& file, const std::string& frame) {
  for (const char* name : {"_index", "index"})
    if (file.exists(frame + "/" + name)) return name;
  std::vector<std::string> columns;
  if (file.has_attribute(frame, "column-order") &&
      file.attribute_info(frame, "column-order").value_class == Hdf5Class::text)
    columns = file.attribute_strings(frame, "column-order");
  for (const std::string& name : file.children(frame)) {
    const bool listed = std::find(columns.begin(), columns.end(), name) != columns.end();
    const std::string path = frame + "/" + name;
    if (!listed && file.is_dataset(path) && file.info(path).value_class == Hdf5Class::text) return name;
  }
  return "";
}

}  // namespace

Generation generation_of(const Hdf5File& file, const std::string& frame) {
  if (file.is_dataset(frame)) return Generation::record;
  const std::string version = file.attribute_string(frame, "encoding-version", "");
  if (version == "0.1.0" || file.exists(frame + "/__categories")) return Generation::reference;
  if (!version.empty()) return Generation::element;
  return file.has_attribute("/", "encoding-type") ? Generation::element : Generation::reference;
}

std::string index_name(const Hdf5File& file, const std::string& frame) {
  if (file.is_dataset(frame)) {
    const Hdf5Info info = file.info(frame);
    return info.fields[index_field(file, frame, info)].name;
  }
  const std::string given = file.attribute_string(frame, "_index", "");
  if (!given.empty() && file.exists(frame + "/" + given)) return given;
  if (!given.empty()) damaged(file, frame, "names '" + given + "' as its index, but holds no such element");
  const std::string likely = likely_index(file, frame);
  if (likely.empty())
    damaged(file, frame, "has no index: neither an attribute '_index' nor an element that could be it");
  return likely;
}

std::int64_t count_rows(const Hdf5File& file, const std::string& frame) {
  std::string path = frame;
  if (!file.is_dataset(frame)) {
    path.append("/").append(index_name(file, frame));
    if (file.is_group(path)) path += file.exists(path + "/codes") ? "/codes" : "/values";
  }
  const Hdf5Dataset dataset = file.open_dataset(path);
  if (dataset.info().shape.size() != 1) damaged(file, path, "is no list of rows");
  dataset.require_plausible();
  return dataset.info().size();
}

std::vector<std::string> column_order(const Hdf5File& file, const std::string& frame) {
  std::vector<std::string> names;
  if (file.is_dataset(frame)) {
    for (const Hdf5Field& field : file.info(frame).fields) names.push_back(field.name);
  } else if (!file.has_attribute(frame, "column-order")) {
    names = file.children(frame);
    std::erase(names, "__categories");
  } else if (file.attribute_info(frame, "column-order").size() > 0) {
    // Without columns, anndata writes an empty list of numbers.
    names = file.attribute_strings(frame, "column-order");
  }
  std::erase(names, index_name(file, frame));
  return names;
}

std::variant<Column, NotUnderstood> read_array(const Hdf5File& file, const std::string& path, std::int64_t n_rows) {
  if (file.is_group(path)) return read_group_array(file, path, n_rows);
  const Hdf5Dataset dataset = file.open_dataset(path);
  const Hdf5Info& info = dataset.info();
  if (info.is_null || encoding_of(file, path) == "null") return NotUnderstood{"is null"};
  if (info.value_class != Hdf5Class::text && !info.is_numeric()) return NotUnderstood{"holds " + info.type_name};
  if (info.shape.size() != 1) return NotUnderstood{"has " + std::to_string(info.shape.size()) + " dimensions"};
  check_length(file, path, info.size(), n_rows);
  if (file.has_attribute(path, "categories")) {
    const std::string categories = categories_of(file, path);
    if (categories.empty() || !file.exists(categories))
      damaged(file, path, "refers to categories that are not there");
    return read_categorical(file, path, categories, categories, n_rows);
  }
  return Column{.name = "", .values = plain_values(dataset), .missing = {}};
}

Frame read_frame(const Hdf5File& file, const std::string& frame, const std::string& categories_at) {
  if (file.is_dataset(frame)) return read_record_frame(file, frame, categories_at);
  Frame result;
  result.index_name = index_name(file, frame);
  const std::int64_t n_rows = count_rows(file, frame);
  auto index = read_array(file, frame + "/" + result.index_name, n_rows);
  if (const auto* problem = std::get_if<NotUnderstood>(&index))
    damaged(file, frame + "/" + result.index_name, problem->reason + ", so the rows have no names");
  Column& names = std::get<Column>(index);
  auto* texts = std::get_if<std::vector<std::string>>(&names.values);
  result.index = texts && names.missing.empty() ? std::move(*texts) : texts_of(names);
  std::set<std::string> seen;
  for (const std::string& name : column_order(file, frame)) {
    const std::string path = frame + "/" + name;
    if (!seen.insert(name).second) damaged(file, frame, "lists the column '" + name + "' twice");
    if (!file.exists(path)) damaged(file, frame, "lists the column '" + name + "', but does not hold it");
    auto read = read_array(file, path, n_rows);
    if (const auto* problem = std::get_if<NotUnderstood>(&read)) {
      warn_passed_over(file, path, problem->reason);
      continue;
    }
    result.columns.push_back(std::move(std::get<Column>(read)));
    result.columns.back().name = name;
  }
  return result;
}

namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(shape[axis]);
  }
  text += shape.size() == 1 ? ",)" : ")";
  return text;
}

std::string counted(std::int64_t count, const std::string& one, const std::string& many) {
  return with_thousands(count) + " " + (count == 1 ? one : many);
}

std::string describe_dataset(const Hdf5File& file, const std::string& path) {
  const Hdf5Info info = file.info(path);
  if (info.is_null) return "null";
  if (info.value_class == Hdf5Class::compound)
    return "record array, " + counted(info.size(), "row", "rows") + ", " +
           counted(static_cast<std::int64_t>(info.fields.size()), "field", "fields");
  if (info.value_class == Hdf5Class::other) return info.type_name + ", passed over";
  if (file.has_attribute(path, "categories")) {
    const std::string categories = categories_of(file, path);
    if (file.is_dataset(categories))
      return "categorical, " + counted(file.info(categories).size(), "category", "categories");
  }
  if (info.shape.empty()) return info.value_class == Hdf5Class::text ? "text" : info.type_name + " number";
  if (info.value_class == Hdf5Class::text) return "text " + shape_text(info.shape);
  return (info.shape.size() > 1 ? "dense " : "") + info.type_name + " " + shape_text(info.shape);
}

std::string describe_sparse(const Hdf5File& file, const std::string& path, const std::string& format) {
  const std::string attribute = file.has_attribute(path, "shape") ? "shape" : "h5sparse_shape";
  std::vector<std::int64_t> shape;
  if (file.has_attribute(path, attribute)) shape = file.attribute_numbers<std::int64_t>(path, attribute);
  const Hdf5Info data = file.info(path + "/data");
  return format + " " + data.type_name + " " + shape_text(shape) + ", " + with_thousands(data.size()) + " stored";
}

std::int64_t count_categories(const Hdf5File& file, const std::string& path) {
  const std::string categories = path + "/categories";
  return file.info(file.is_group(categories) ? categories + "/values" : categories).size();
}

std::string describe_group(const Hdf5File& file, const std::string& path) {
  const std::string encoding = encoding_of(file, path);
  const std::string old_format = file.attribute_string(path, "h5sparse_format", "");
  if (encoding == "csr_matrix" || old_format == "csr") return describe_sparse(file, path, "csr");
  if (encoding == "csc_matrix" || old_format == "csc") return describe_sparse(file, path, "csc");
  if (encoding == "categorical")
    return "categorical, " + counted(count_categories(file, path), "category", "categories");
  if (encoding.starts_with("nullable-")) return encoding + " " + shape_text(file.info(path + "/values").shape);
  if (encoding == "dataframe")
    return "data frame, " + counted(count_rows(file, path), "row", "rows") + ", " +
           counted(static_cast<std::int64_t>(column_order(file, path).size()), "column", "columns");
  const auto n_children = static_cast<std::int64_t>(file.children(path).size());
  if (encoding.empty() || encoding == "dict" || encoding == "raw")
    return "dictionary, " + counted(n_children, "entry", "entries");
  return "encoding '" + encoding + "', passed over";
}

}  // namespace

std::string describe_element(const Hdf5File& file, const std::string& path) {
  switch (file.kind(path)) {
    case Hdf5Kind::dataset:
      return describe_dataset(file, path);
    case Hdf5Kind::group:
      return describe_group(file, path);
    default:
      return "passed over";
  }
}

}  // namespace scvi::io::h5ad
