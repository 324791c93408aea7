#include "scvi/io/h5ad.hpp"

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>

#include "h5ad_frame.hpp"
#include "hdf5/hdf5_matrix.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/hdf5.hpp"

namespace scvi::io {
namespace {

using Shape = std::pair<std::int64_t, std::int64_t>;

std::string dimensions(Shape shape) {
  return std::to_string(shape.first) + " x " + std::to_string(shape.second);
}

/// What an HDF5 file without obs and var seems to be.
std::string other_format(const Hdf5File& file) {
  if (file.exists("matrix") && file.exists("row_attrs")) return "it looks like a .loom file";
  if (file.exists("matrix/barcodes")) return "it looks like a 10x Genomics .h5 file";
  if (file.exists("mod")) return "it looks like a .h5mu file of several modalities: write one of them as .h5ad";
  return "";
}

void check_is_h5ad(const Hdf5File& file) {
  for (const char* part : {"obs", "var"}) {
    if (file.exists(part)) continue;
    const std::vector<std::string> held = file.children("/");
    throw FormatError({.problem = std::string("is no .h5ad: it has no ") + part + "; it holds " +
                                  (held.empty() ? "nothing" : join_some(held)),
                       .file = file.path(),
                       .remedy = other_format(file)});
  }
}

/// One of the two axes' annotation, read when it is first asked for.
class LazyFrame {
 public:
  const Frame& get(const Hdf5File& file, const std::string& path, const std::string& categories_at) {
    const std::lock_guard lock(mutex_);
    if (!frame_) frame_ = h5ad::read_frame(file, path, categories_at);
    return *frame_;
  }

  Frame take(const Hdf5File& file, const std::string& path, const std::string& categories_at) {
    get(file, path, categories_at);
    const std::lock_guard lock(mutex_);
    Frame frame = std::move(*frame_);
    frame_.reset();
    return frame;
  }

 private:
  std::mutex mutex_;
  std::optional<Frame> frame_;
};

std::string sparse_format(const Hdf5File& file, const std::string& path) {
  const std::string encoding = file.attribute_string(path, "encoding-type", "");
  if (encoding == "csr_matrix") return "csr";
  if (encoding == "csc_matrix") return "csc";
  return file.attribute_string(path, "h5sparse_format", "");
}

/// The shape a sparse matrix gives itself; nothing when it gives none.
std::optional<Shape> stated_shape(const Hdf5File& file, const std::string& path) {
  for (const char* name : {"shape", "h5sparse_shape"}) {
    if (!file.has_attribute(path, name)) continue;
    const std::vector<std::int64_t> shape = file.attribute_numbers<std::int64_t>(path, name);
    if (shape.size() == 2) return Shape{shape[0], shape[1]};
    throw FormatError({.problem = "has " + std::to_string(shape.size()) + " numbers where a matrix has two",
                       .file = file.path(),
                       .field = path + ", attribute '" + name + "'"});
  }
  return std::nullopt;
}

void check_shape(const Hdf5File& file, const std::string& path, Shape found, Shape expected) {
  if (found == expected) return;
  throw FormatError({.problem = "is " + dimensions(found) + ", but obs and var describe " + dimensions(expected),
                     .file = file.path(),
                     .field = path,
                     .remedy = "the file is damaged: get it anew"});
}

std::unique_ptr<MatrixReader> open_matrix(const std::shared_ptr<const Hdf5File>& file, const std::string& path,
                                          Shape expected) {
  MatrixInfo info;
  info.path = path == "raw.X" ? "raw/X" : path;
  if (file->is_dataset(path)) {
    auto reader = open_dense_matrix(file, path, info);
    check_shape(*file, path, {reader->info().n_rows, reader->info().n_cols}, expected);
    return reader;
  }
  const std::string format = sparse_format(*file, path);
  if (format != "csr" && format != "csc")
    throw FormatError({.problem = "is no matrix: a group that is marked as neither csr nor csc",
                       .file = file->path(),
                       .field = path});
  check_shape(*file, path, stated_shape(*file, path).value_or(expected), expected);
  info.layout = format == "csr" ? MatrixInfo::Layout::csr : MatrixInfo::Layout::csc;
  info.n_rows = expected.first;
  info.n_cols = expected.second;
  return open_sparse_matrix(file, {path + "/data", path + "/indices", path + "/indptr"}, info);
}

[[noreturn]] void throw_unknown(const Hdf5File& file, const std::string& where, const std::string& name,
                                const std::vector<std::string>& known) {
  throw InputError(
      {.problem = "has no '" + name + "'", .file = file.path(), .field = where, .remedy = suggest(name, known)});
}

/// Names in a dictionary of arrays, which up to 0.6 was one record array.
std::vector<std::string> keys_of(const Hdf5File& file, const std::string& path) {
  if (!file.is_dataset(path)) return file.children(path);
  std::vector<std::string> names;
  for (const Hdf5Field& field : file.info(path).fields) names.push_back(field.name);
  return names;
}

DenseArray make_array(std::int64_t n_rows, std::int64_t n_cols) {
  return {n_rows, n_cols, std::vector<double>(static_cast<std::size_t>(n_rows * n_cols))};
}

DenseArray array_of_dataset(const Hdf5File& file, const std::string& path) {
  Hdf5Array<double> read = file.read<double>(path);
  if (read.shape.empty() || read.shape.size() > 2)
    throw FormatError({.problem = "has " + std::to_string(read.shape.size()) + " dimensions where two are expected",
                       .file = file.path(),
                       .field = path});
  return {read.shape[0], read.shape.size() == 2 ? read.shape[1] : 1, std::move(read.values)};
}

DenseArray array_of_field(const Hdf5File& file, const std::string& path, std::size_t index) {
  const Hdf5Dataset dataset = file.open_dataset(path);
  DenseArray array;
  array.n_rows = dataset.info().size();
  array.n_cols = dataset.info().fields[index].n_values;
  array.values = dataset.read_field<double>(index);
  return array;
}

double as_number(const Column& column, std::int64_t row, const Hdf5File& file, const std::string& path) {
  if (column.is_missing(row)) return std::numeric_limits<double>::quiet_NaN();
  const auto at = static_cast<std::size_t>(row);
  if (const auto* reals = std::get_if<std::vector<double>>(&column.values)) return (*reals)[at];
  if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values))
    return static_cast<double>((*whole)[at]);
  if (const auto* truths = std::get_if<Boolean>(&column.values)) return truths->values[at];
  throw FormatError(
      {.problem = "holds text where numbers are expected", .file = file.path(), .field = path + "/" + column.name});
}

DenseArray array_of_frame(const Hdf5File& file, const std::string& path) {
  const Frame frame = h5ad::read_frame(file, path, "");
  DenseArray array = make_array(frame.n_rows(), static_cast<std::int64_t>(frame.columns.size()));
  std::size_t at = 0;
  for (std::int64_t row = 0; row < array.n_rows; ++row)
    for (const Column& column : frame.columns) array.values[at++] = as_number(column, row, file, path);
  return array;
}

DenseArray array_of_sparse(const std::shared_ptr<const Hdf5File>& file, const std::string& path,
                           std::int64_t n_rows) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 28;
  const std::optional<Shape> shape = stated_shape(*file, path);
  if (!shape || shape->first != n_rows || shape->second < 0)
    throw FormatError({.problem = "has a shape that does not fit", .file = file->path(), .field = path});
  if (shape->second > kLargest / std::max<std::int64_t>(n_rows, 1))
    throw InputError({.problem = "is sparse, " + dimensions(*shape) + ": too large to be read as a dense array",
                      .file = file->path(),
                      .field = path});
  DenseArray array = make_array(shape->first, shape->second);
  open_matrix(file, path, *shape)->for_each_block([&](const CsrBlock& block) {
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      double* const out = array.values.data() + (block.first_row + row) * array.n_cols;
      for (auto at = block.indptr[static_cast<std::size_t>(row)];
           at < block.indptr[static_cast<std::size_t>(row) + 1]; ++at)
        out[block.indices[static_cast<std::size_t>(at)]] = block.values[static_cast<std::size_t>(at)];
    }
  });
  return array;
}

/// Lists elements; what cannot be read is said, not thrown.
class Listing {
 public:
  explicit Listing(const Hdf5File& file) : file_(file) {}

  std::vector<ElementInfo> run() {
    for (const std::string& name : file_.children("/")) guarded(name, [&] { list_top(name); });
    return std::move(found_);
  }

 private:
  const Hdf5File& file_;
  std::vector<ElementInfo> found_;

  template <class Action>
  void guarded(const std::string& path, Action action) {
    try {
      action();
    } catch (const Error& error) {
      found_.push_back({path, "unreadable: " + error.fault().problem});
    }
  }

  void add(const std::string& path) {
    guarded(path, [&] { found_.push_back({path, h5ad::describe_element(file_, path)}); });
  }

  void list_top(const std::string& name) {
    static const std::vector<std::string> kDictionaries{"layers", "obsm", "varm", "obsp", "varp", "uns", "raw.varm"};
    if (name == "obs" || name == "var" || name == "raw.var") return list_frame(name);
    if (name == "raw" && file_.is_group(name)) return list_raw();
    if (std::find(kDictionaries.begin(), kDictionaries.end(), name) == kDictionaries.end()) return add(name);
    if (file_.is_dataset(name)) return list_record(name, "");
    for (const std::string& child : file_.children(name)) add(name + "/" + child);
  }

  void list_raw() {
    for (const std::string& child : file_.children("raw")) {
      if (child == "var")
        guarded("raw/var", [&] { list_frame("raw/var"); });
      else if (child == "varm")
        for (const std::string& key : file_.children("raw/varm")) add("raw/varm/" + key);
      else
        add("raw/" + child);
    }
  }

  void list_frame(const std::string& path) {
    if (file_.is_dataset(path)) return list_record(path, path == "raw.var" ? "raw.cat" : "uns");
    const std::vector<std::string> columns = h5ad::column_order(file_, path);
    found_.push_back({path, "data frame, " + with_thousands(h5ad::count_rows(file_, path)) + " rows, " +
                                std::to_string(columns.size()) + (columns.size() == 1 ? " column" : " columns")});
    for (const std::string& column : columns) add(path + "/" + column);
  }

  void list_record(const std::string& path, const std::string& categories_at) {
    const Hdf5Info info = file_.info(path);
    found_.push_back({path, h5ad::describe_element(file_, path)});
    for (const Hdf5Field& field : info.fields) {
      const std::string categories = categories_at + "/" + field.name + "_categories";
      std::string description = field.type_name;
      if (field.n_values > 1)
        description = "dense " + field.type_name + " (" + std::to_string(info.size()) + ", " +
                      std::to_string(field.n_values) + ")";
      else if (!categories_at.empty() && field.value_class == Hdf5Class::integer && file_.is_dataset(categories))
        description = "categorical, " + std::to_string(file_.info(categories).size()) + " categories";
      found_.push_back({path + "/" + field.name, description});
    }
  }
};

}  // namespace

struct H5adFile::Impl {
  explicit Impl(const std::string& path) : file(std::make_shared<const Hdf5File>(Hdf5File::open(path))) {
    check_is_h5ad(*file);
    n_obs = h5ad::count_rows(*file, "obs");
    n_vars = h5ad::count_rows(*file, "var");
  }

  std::shared_ptr<const Hdf5File> file;
  std::int64_t n_obs = 0;
  std::int64_t n_vars = 0;
  LazyFrame obs;
  LazyFrame var;
  LazyFrame raw_var;

  /// "raw/" from 0.7 on, "raw." before; "" when there is no raw.
  std::string raw_prefix() const {
    if (file->exists("raw/X")) return "raw/";
    return file->exists("raw.X") ? "raw." : "";
  }

  bool is_layer(const std::string& name) const {
    const std::vector<std::string> known = file->children("layers");
    return std::find(known.begin(), known.end(), name) != known.end();
  }

  /// A layer may be called "raw", too, and goes before it.
  bool is_raw(const std::string& layer) const { return (layer == "raw" || layer == "raw/X") && !is_layer(layer); }

  std::vector<std::string> matrices() const {
    std::vector<std::string> names = file->children("layers");
    if (file->exists("X")) names.push_back("X");
    if (!raw_prefix().empty()) names.push_back("raw");
    return names;
  }
};

H5adFile::H5adFile(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
H5adFile::~H5adFile() = default;
H5adFile::H5adFile(H5adFile&&) noexcept = default;
H5adFile& H5adFile::operator=(H5adFile&&) noexcept = default;

const std::string& H5adFile::path() const {
  return impl_->file->path();
}
std::int64_t H5adFile::n_obs() const {
  return impl_->n_obs;
}
std::int64_t H5adFile::n_vars() const {
  return impl_->n_vars;
}
const Frame& H5adFile::obs() const {
  return impl_->obs.get(*impl_->file, "obs", "uns");
}
const Frame& H5adFile::var() const {
  return impl_->var.get(*impl_->file, "var", "uns");
}

const Frame& H5adFile::raw_var() const {
  const std::string prefix = impl_->raw_prefix();
  if (prefix.empty()) throw_unknown(*impl_->file, "the file", "raw", impl_->matrices());
  return impl_->raw_var.get(*impl_->file, prefix + "var", "raw.cat");
}

const Frame& H5adFile::var_of(const std::string& layer) const {
  return impl_->is_raw(layer) ? raw_var() : var();
}

Frame H5adFile::take_obs() {
  return impl_->obs.take(*impl_->file, "obs", "uns");
}

Frame H5adFile::take_var_of(const std::string& layer) {
  if (!impl_->is_raw(layer)) return impl_->var.take(*impl_->file, "var", "uns");
  raw_var();
  return impl_->raw_var.take(*impl_->file, impl_->raw_prefix() + "var", "raw.cat");
}

bool H5adFile::has_x() const {
  return impl_->file->exists("X");
}
bool H5adFile::has_raw() const {
  return !impl_->raw_prefix().empty();
}
std::vector<std::string> H5adFile::layers() const {
  return impl_->file->children("layers");
}
std::vector<std::string> H5adFile::obsm_keys() const {
  return keys_of(*impl_->file, "obsm");
}
std::vector<std::string> H5adFile::varm_keys() const {
  return keys_of(*impl_->file, "varm");
}
std::vector<std::string> H5adFile::uns_keys() const {
  return impl_->file->children("uns");
}
std::vector<ElementInfo> H5adFile::elements() const {
  return Listing(*impl_->file).run();
}

std::unique_ptr<MatrixReader> H5adFile::matrix(const std::string& layer) const {
  const Shape shape{impl_->n_obs, impl_->n_vars};
  if (layer.empty() || layer == "X") {
    if (!has_x()) throw_unknown(*impl_->file, "the file", "X", impl_->matrices());
    return open_matrix(impl_->file, "X", shape);
  }
  if (impl_->is_layer(layer)) return open_matrix(impl_->file, "layers/" + layer, shape);
  if (impl_->is_raw(layer) && has_raw()) {
    const std::string prefix = impl_->raw_prefix();
    return open_matrix(impl_->file, prefix + "X", {impl_->n_obs, h5ad::count_rows(*impl_->file, prefix + "var")});
  }
  throw_unknown(*impl_->file, "layers", layer, impl_->matrices());
}

DenseArray H5adFile::obsm(const std::string& name) const {
  const Hdf5File& file = *impl_->file;
  const std::vector<std::string> known = obsm_keys();
  const auto found = std::find(known.begin(), known.end(), name);
  if (found == known.end()) throw_unknown(file, "obsm", name, known);
  const std::string path = "obsm/" + name;
  DenseArray array;
  if (file.is_dataset("obsm"))
    array = array_of_field(file, "obsm", static_cast<std::size_t>(found - known.begin()));
  else if (file.is_dataset(path))
    array = array_of_dataset(file, path);
  else if (!sparse_format(file, path).empty())
    array = array_of_sparse(impl_->file, path, impl_->n_obs);
  else if (file.attribute_string(path, "encoding-type", "") == "dataframe")
    array = array_of_frame(file, path);
  else
    throw FormatError({.problem = "is no array of numbers", .file = file.path(), .field = path});
  if (array.n_rows != impl_->n_obs)
    throw FormatError(
        {.problem = "has " + std::to_string(array.n_rows) + " rows for " + std::to_string(impl_->n_obs) + " cells",
         .file = file.path(),
         .field = path});
  return array;
}

std::vector<std::string> H5adFile::obsm_columns(const std::string& name) const {
  const std::string path = "obsm/" + name;
  const Hdf5File& file = *impl_->file;
  if (file.attribute_string(path, "encoding-type", "") != "dataframe") return {};
  return h5ad::column_order(file, path);
}

std::vector<std::string> H5adFile::uns_strings(const std::string& name) const {
  const Hdf5File& file = *impl_->file;
  const std::string path = "uns/" + name;
  if (name.empty() || !file.exists(path)) throw_unknown(file, "uns", name, uns_keys());
  if (file.is_dataset(path) && file.info(path).value_class == Hdf5Class::text) return file.read_strings(path).values;
  auto read = h5ad::read_array(file, path, -1);
  if (const auto* problem = std::get_if<h5ad::NotUnderstood>(&read))
    throw InputError({.problem = "is no list of text: it " + problem->reason, .file = file.path(), .field = path});
  const Column& column = std::get<Column>(read);
  std::vector<std::string> texts;
  for (std::int64_t row = 0; row < column.size(); ++row) texts.push_back(column.text(row));
  return texts;
}

}  // namespace scvi::io
