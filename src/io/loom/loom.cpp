#include "scvi/io/loom.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "h5ad/h5ad_frame.hpp"
#include "loom_matrix.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/hdf5.hpp"
#include "utf8.hpp"

namespace scvi::io {
namespace {

constexpr const char* kVersionName = "LOOM_SPEC_VERSION";
/// Of an attribute in two dimensions.
constexpr std::int64_t kMostColumns = 65536;

const std::vector<std::string> kCellNames{"CellID",     "obs_names", "cell_id", "Cell_ID",
                                          "cell_names", "CellName",  "barcode", "barcodes"};
const std::vector<std::string> kGeneNames{"Gene",      "var_names", "gene_names", "GeneName", "gene_short_name",
                                          "Accession", "gene_ids"};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// What an HDF5 file that is no .loom seems to be.
std::string other_format(const Hdf5File& file) {
  if (file.exists("X") || (file.exists("obs") && file.exists("var"))) return "it looks like an .h5ad file";
  if (file.is_group("matrix")) return "it looks like a 10x Genomics .h5 file";
  return "";
}

void check_is_loom(const Hdf5File& file) {
  const auto refuse = [&](const std::string& lack) {
    const std::vector<std::string> held = file.children("/");
    throw FormatError(
        {.problem = "is no .loom: it has no " + lack + "; it holds " + (held.empty() ? "nothing" : join_some(held)),
         .file = file.path(),
         .remedy = other_format(file)});
  };
  if (!file.is_dataset("matrix")) refuse("dataset 'matrix'");
  for (const char* group : {"row_attrs", "col_attrs"})
    if (!file.is_group(group)) refuse(std::string("group '") + group + "'");
}

/// @throws FormatError when names for so many cells or genes would need far more memory than the file has bytes
void check_extent(const Hdf5File& file, std::int64_t extent, const std::string& what) {
  constexpr std::int64_t kAlwaysAllowed = std::int64_t{2} << 20;
  constexpr std::int64_t kMostPerByte = 32;
  if (extent <= kAlwaysAllowed || extent / kMostPerByte <= file.file_bytes()) return;
  throw FormatError({.problem = "claims " + with_thousands(extent) + " " + what + ", far more than a file of " +
                                format_bytes(static_cast<double>(file.file_bytes())) + " can hold",
                     .file = file.path(),
                     .field = "matrix",
                     .remedy = "the file is damaged or was not written to its end: get it anew"});
}

/// Text as files before 3.0 keep it: beyond ASCII as XML entities.
std::string without_entities(const std::string& text) {
  static const std::map<std::string, std::uint32_t, std::less<>> kNamed{
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  constexpr std::size_t kLongest = 10;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text[at] == '&' ? text.find(';', at) : std::string::npos;
    std::uint32_t code = 0;
    if (end != std::string::npos && end - at <= kLongest) {
      const std::string name = text.substr(at + 1, end - at - 1);
      const auto named = kNamed.find(name);
      if (named != kNamed.end()) code = named->second;
      const bool hexadecimal = name.starts_with("#x");
      if (name.starts_with("#"))
        std::from_chars(name.data() + (hexadecimal ? 2 : 1), name.data() + name.size(), code, hexadecimal ? 16 : 10);
    }
    const bool is_character = code > 0 && code < 0x110000 && (code < 0xD800 || code > 0xDFFF);
    if (!is_character) {
      out += text[at++];
      continue;
    }
    append_utf8(out, code);
    at = end + 1;
  }
  return out;
}

bool is_readable(const Hdf5Info& info) {
  return !info.is_null && (info.is_numeric() || info.value_class == Hdf5Class::text);
}

/// Every step-th of the values, beginning with the first-th.
template <class T>
std::vector<T> every(const std::vector<T>& values, std::size_t first, std::size_t step) {
  if (step == 1) return values;
  std::vector<T> out;
  for (std::size_t at = first; at < values.size(); at += step) out.push_back(values[at]);
  return out;
}

/// One column of values in two dimensions.
Column::Values column_of(const Column::Values& values, std::size_t column, std::size_t n_columns) {
  return std::visit(
      [&](const auto& all) -> Column::Values {
        if constexpr (requires { all.codes; })
          return all;
        else if constexpr (requires { all.values; })
          return Boolean{every(all.values, column, n_columns)};
        else
          return every(all, column, n_columns);
      },
      values);
}

std::string numbered(const std::string& name, std::int64_t column) {
  return name + "_" + std::to_string(column + 1);
}

std::vector<std::string> numbers_as_text(std::int64_t count) {
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(count));
  for (std::int64_t at = 0; at < count; ++at) names.push_back(std::to_string(at));
  return names;
}

}  // namespace

struct LoomFile::Impl {
  std::shared_ptr<const Hdf5File> file;
  std::string version;
  bool has_entities = false;
  std::int64_t n_cells = 0;
  std::int64_t n_genes = 0;

  explicit Impl(const std::string& path) : file(std::make_shared<const Hdf5File>(Hdf5File::open(path))) {
    check_is_loom(*file);
    const Hdf5Info info = file->info("matrix");
    if (info.shape.size() != 2)
      throw FormatError({.problem = "has " + std::to_string(info.shape.size()) + " dimensions where two are expected",
                         .file = path,
                         .field = "matrix"});
    n_genes = info.shape[0];
    n_cells = info.shape[1];
    check_extent(*file, n_cells, "cells");
    check_extent(*file, n_genes, "genes");
    read_version();
  }

  void read_version() {
    const std::string in_group = std::string("attrs/") + kVersionName;
    if (file->is_dataset(in_group) && file->info(in_group).value_class == Hdf5Class::text) {
      const std::vector<std::string> found = file->read_strings(in_group).values;
      if (found.size() == 1) version = found.front();
    } else {
      version = file->attribute_string("/", kVersionName, "");
    }
    has_entities =
        version.empty() || version.starts_with("0") || version.starts_with("1") || version.starts_with("2");
  }

  void decode_entities(std::vector<std::string>& texts) const {
    if (!has_entities) return;
    for (std::string& text : texts)
      if (text.find('&') != std::string::npos) text = without_entities(text);
  }

  /// A dataset of any shape, its values in the order of the file. @pre is_readable
  Column::Values read_values(const std::string& path, const Hdf5Info& info) const {
    switch (info.value_class) {
      case Hdf5Class::text: {
        std::vector<std::string> texts = file->read_strings(path).values;
        decode_entities(texts);
        return texts;
      }
      case Hdf5Class::boolean:
        return Boolean{file->read<std::uint8_t>(path).values};
      case Hdf5Class::integer:
        return file->read<std::int64_t>(path).values;
      default:
        return file->read<double>(path).values;
    }
  }

  /// Shape and type of an attribute; nothing, with a warning, when it is of no kind that is read.
  /// @throws FormatError when it is of another length
  std::optional<Hdf5Info> examine(const std::string& path, std::int64_t length, const char* what) const {
    const bool is_dataset = file->is_dataset(path);
    const Hdf5Info info = is_dataset ? file->info(path) : Hdf5Info{};
    const bool is_wide = info.shape.size() == 2 && info.shape[1] > kMostColumns;
    if (!is_dataset || !is_readable(info) || info.shape.empty() || info.shape.size() > 2 || is_wide) {
      log_warning(file->path() + ": " + path +
                  " is passed over: it is neither text nor numbers in one dimension or " + "in some columns");
      return std::nullopt;
    }
    if (info.shape[0] == length) return info;
    throw FormatError(
        {.problem = "has " + std::to_string(info.shape[0]) + " values for " + std::to_string(length) + " " + what,
         .file = file->path(),
         .field = path,
         .remedy = "the file is damaged: get it anew"});
  }

  static bool is_table(const Hdf5Info& info) { return info.shape.size() == 2 && info.shape[1] != 1; }

  void append_columns(Frame& frame, const std::string& name, const std::string& path, const Hdf5Info& info) const {
    const std::int64_t n_columns = info.shape.size() == 2 ? info.shape[1] : 1;
    const Column::Values values = read_values(path, info);
    for (std::int64_t at = 0; at < n_columns; ++at)
      frame.columns.push_back(
          {.name = n_columns == 1 ? name : numbered(name, at),
           .values = column_of(values, static_cast<std::size_t>(at), static_cast<std::size_t>(n_columns)),
           .missing = {}});
  }

  /// All attributes of one axis; those of two dimensions are left to tables() when `with_tables`.
  Frame read_frame(const std::string& group, std::int64_t length, const char* what, bool with_tables,
                   const std::string& index_name) const {
    Frame frame;
    for (const std::string& name : file->children(group)) {
      const std::string path = group + "/" + name;
      const std::optional<Hdf5Info> info = examine(path, length, what);
      if (!info || (with_tables && is_table(*info) && info->is_numeric())) continue;
      if (name == index_name && is_table(*info))
        throw FormatError({.problem = "has two dimensions, but is to name the " + std::string(what),
                           .file = file->path(),
                           .field = path});
      append_columns(frame, name, path, *info);
    }
    take_index(frame, length, index_name);
    return frame;
  }

  static void take_index(Frame& frame, std::int64_t length, const std::string& name) {
    const auto found = std::find_if(frame.columns.begin(), frame.columns.end(),
                                    [&](const Column& column) { return column.name == name; });
    if (found == frame.columns.end()) {
      frame.index = numbers_as_text(length);
      return;
    }
    frame.index_name = name;
    if (auto* texts = std::get_if<std::vector<std::string>>(&found->values))
      frame.index = std::move(*texts);
    else
      for (std::int64_t row = 0; row < length; ++row) frame.index.push_back(found->text(row));
    frame.columns.erase(found);
  }

  /// The attribute that names the rows: the one asked for, or the first known one; "" when there is none.
  std::string choose_index(const std::string& group, const std::string& wanted, bool is_default,
                           const std::vector<std::string>& usual) const {
    const std::vector<std::string> present = file->children(group);
    if (!wanted.empty() && contains(present, wanted)) return wanted;
    if (!is_default)
      throw InputError({.problem = "has no attribute '" + wanted + "'",
                        .file = file->path(),
                        .field = group,
                        .remedy = suggest(wanted, present)});
    const auto found =
        std::find_if(usual.begin(), usual.end(), [&](const std::string& name) { return contains(present, name); });
    return found == usual.end() ? "" : *found;
  }

  std::optional<Column> root_attribute(const std::string& name) const {
    const Hdf5Info info = file->attribute_info("/", name);
    if (!is_readable(info)) return std::nullopt;
    Column column{.name = name, .values = {}, .missing = {}};
    if (info.value_class == Hdf5Class::text) {
      std::vector<std::string> texts = file->attribute_strings("/", name);
      decode_entities(texts);
      column.values = std::move(texts);
    } else if (info.value_class == Hdf5Class::real) {
      column.values = file->attribute_numbers<double>("/", name);
    } else {
      column.values = file->attribute_numbers<std::int64_t>("/", name);
    }
    return column;
  }

  std::vector<Column> global_attributes() const {
    std::vector<Column> found;
    for (const std::string& name : file->children("attrs")) {
      const std::string path = "attrs/" + name;
      if (!file->is_dataset(path)) continue;
      const Hdf5Info info = file->info(path);
      if (is_readable(info)) found.push_back({.name = name, .values = read_values(path, info), .missing = {}});
    }
    for (const std::string& name : file->attribute_names("/"))
      if (std::optional<Column> column = root_attribute(name)) found.push_back(std::move(*column));
    return found;
  }

  /// The list of texts that a global attribute is; empty when it is no such thing.
  std::vector<std::string> global_texts(const std::string& name) const {
    for (Column& column : global_attributes())
      if (column.name == name)
        if (auto* texts = std::get_if<std::vector<std::string>>(&column.values)) return std::move(*texts);
    return {};
  }

  void add_cell_types(Frame& obs, const LoomOptions& options) const;
};

namespace {

/// Which of the names each label means; nothing when a label means none of them.
std::optional<std::vector<std::int32_t>> codes_of(const Column& labels, const std::vector<std::string>& names) {
  std::map<std::string, std::int32_t> position;
  for (std::size_t at = 0; at < names.size(); ++at) position.emplace(names[at], static_cast<std::int32_t>(at));
  const bool is_text = std::holds_alternative<std::vector<std::string>>(labels.values);
  std::vector<std::int32_t> codes;
  for (std::int64_t row = 0; row < labels.size(); ++row) {
    const std::string text = labels.text(row);
    std::int32_t code = -1;
    if (const auto found = position.find(text); is_text && found != position.end()) code = found->second;
    if (!is_text) std::from_chars(text.data(), text.data() + text.size(), code);
    if (code < 0 || static_cast<std::size_t>(code) >= names.size() || (!is_text && std::to_string(code) != text))
      return std::nullopt;
    codes.push_back(code);
  }
  return codes;
}

}  // namespace

void LoomFile::Impl::add_cell_types(Frame& obs, const LoomOptions& options) const {
  constexpr const char* kColumn = "cell_types";
  const Column* const labels = obs.find(options.labels_attribute);
  if (labels == nullptr || obs.find(kColumn) != nullptr) return;
  std::vector<std::string> names = global_texts(options.cell_types_attribute);
  if (names.empty()) return;
  std::optional<std::vector<std::int32_t>> codes = codes_of(*labels, names);
  if (!codes) {
    log_warning(file->path() + ": " + options.cell_types_attribute + " does not name every value of " +
                options.labels_attribute + "; it is not used");
    return;
  }
  obs.columns.push_back({.name = kColumn, .values = Categorical{std::move(*codes), std::move(names)}, .missing = {}});
}

LoomFile::LoomFile(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
LoomFile::~LoomFile() = default;
LoomFile::LoomFile(LoomFile&&) noexcept = default;
LoomFile& LoomFile::operator=(LoomFile&&) noexcept = default;

const std::string& LoomFile::path() const {
  return impl_->file->path();
}
const std::string& LoomFile::spec_version() const {
  return impl_->version;
}
std::int64_t LoomFile::n_cells() const {
  return impl_->n_cells;
}
std::int64_t LoomFile::n_genes() const {
  return impl_->n_genes;
}
std::vector<std::string> LoomFile::layers() const {
  return impl_->file->children("layers");
}
std::vector<std::string> LoomFile::cell_attributes() const {
  return impl_->file->children("col_attrs");
}
std::vector<std::string> LoomFile::gene_attributes() const {
  return impl_->file->children("row_attrs");
}
std::vector<std::string> LoomFile::cell_graphs() const {
  return impl_->file->children("col_graphs");
}
std::vector<std::string> LoomFile::gene_graphs() const {
  return impl_->file->children("row_graphs");
}
std::vector<Column> LoomFile::global_attributes() const {
  return impl_->global_attributes();
}

namespace {

/// Lists elements; what cannot be read is said, not thrown.
class Listing {
 public:
  Listing(const Hdf5File& file, const std::vector<Column>& global) : file_(file) {
    add("matrix", describe("matrix"));
    for (const char* group : {"layers", "row_attrs", "col_attrs"})
      for (const std::string& name : file_.children(group))
        add(std::string(group) + "/" + name, describe(std::string(group) + "/" + name));
    for (const char* group : {"row_graphs", "col_graphs"})
      for (const std::string& name : file_.children(group))
        add(std::string(group) + "/" + name, describe_graph(std::string(group) + "/" + name));
    for (const Column& column : global) add("attrs/" + column.name, describe_global(column));
  }

  std::vector<ElementInfo> take() { return std::move(found_); }

 private:
  const Hdf5File& file_;
  std::vector<ElementInfo> found_;

  void add(std::string path, std::string description) { found_.push_back({std::move(path), std::move(description)}); }

  std::string describe(const std::string& path) const {
    try {
      return h5ad::describe_element(file_, path);
    } catch (const Error& error) {
      return "cannot be read: " + error.fault().problem;
    }
  }

  std::string describe_graph(const std::string& path) const {
    try {
      if (!file_.is_dataset(path + "/a")) return "passed over";
      return "graph, " + with_thousands(file_.info(path + "/a").size()) + " edges; not read";
    } catch (const Error& error) {
      return "cannot be read: " + error.fault().problem;
    }
  }

  static std::string describe_global(const Column& column) {
    constexpr std::size_t kLongest = 60;
    if (column.size() != 1) return std::to_string(column.size()) + " values";
    std::string text = column.text(0);
    if (text.size() <= kLongest) return text;
    // Not in the middle of a character.
    std::size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return text.substr(0, end) + "...";
  }
};

}  // namespace

std::vector<ElementInfo> LoomFile::elements() const {
  return Listing(*impl_->file, impl_->global_attributes()).take();
}

Frame LoomFile::obs(const LoomOptions& options) const {
  const std::string& wanted = options.cell_names_attribute;
  Frame frame = impl_->read_frame("col_attrs", impl_->n_cells, "cells", true,
                                  impl_->choose_index("col_attrs", wanted, wanted.empty(), kCellNames));
  impl_->add_cell_types(frame, options);
  return frame;
}

Frame LoomFile::var(const LoomOptions& options) const {
  const std::string& wanted = options.gene_names_attribute;
  return impl_->read_frame("row_attrs", impl_->n_genes, "genes", false,
                           impl_->choose_index("row_attrs", wanted, wanted == kGeneNames.front(), kGeneNames));
}

std::vector<CellTable> LoomFile::tables() const {
  std::vector<CellTable> tables;
  for (const std::string& name : cell_attributes()) {
    const std::string path = "col_attrs/" + name;
    if (!impl_->file->is_dataset(path)) continue;
    const Hdf5Info info = impl_->file->info(path);
    if (!info.is_numeric() || !Impl::is_table(info) || !impl_->examine(path, impl_->n_cells, "cells")) continue;
    CellTable table{.name = name, .columns_name = name + "_columns", .columns = {}, .values = {}};
    table.values = {info.shape[0], info.shape[1], impl_->file->read<double>(path).values};
    table.columns = impl_->global_texts(table.columns_name);
    if (static_cast<std::int64_t>(table.columns.size()) != info.shape[1]) {
      table.columns.clear();
      for (std::int64_t at = 0; at < info.shape[1]; ++at) table.columns.push_back(numbered(name, at));
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

std::unique_ptr<MatrixReader> LoomFile::matrix(const std::string& layer) const {
  const Hdf5File& file = *impl_->file;
  if (layer.empty() || layer == "matrix") return loom::open_matrix(impl_->file, "matrix");
  std::vector<std::string> known = layers();
  if (!contains(known, layer)) {
    known.push_back("matrix");
    throw InputError({.problem = "has no '" + layer + "'",
                      .file = file.path(),
                      .field = "layers",
                      .remedy = suggest(layer, known)});
  }
  auto reader = loom::open_matrix(impl_->file, "layers/" + layer);
  const MatrixInfo& info = reader->info();
  if (info.n_rows != n_cells() || info.n_cols != n_genes())
    throw FormatError({.problem = "is of " + std::to_string(info.n_cols) + " genes x " + std::to_string(info.n_rows) +
                                  " cells, but the matrix of " + std::to_string(n_genes()) + " x " +
                                  std::to_string(n_cells()),
                       .file = file.path(),
                       .field = info.path,
                       .remedy = "the file is damaged: get it anew"});
  return reader;
}

CountFile open_loom(const std::string& path, const LoomOptions& options) {
  const LoomFile file(path);
  CountFile counts{.path = path,
                   .format = file.spec_version().empty() ? "loom" : "loom " + file.spec_version(),
                   .obs = file.obs(options),
                   .var = file.var(options),
                   .counts = file.matrix(options.layer),
                   .tables = file.tables()};
  return counts;
}

}  // namespace scvi::io
