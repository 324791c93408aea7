#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "h5ad_encoding.hpp"
#include "hdf5/hdf5_record.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/h5ad.hpp"

namespace scvi::io {
namespace {

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void throw_system(const std::string& path, const std::string& what, int error) {
  throw IoError({.problem = what + ": " + std::strerror(error),
                 .file = path,
                 .remedy = error == ENOSPC || error == EDQUOT ? "make room or write elsewhere" : ""});
}

void write_all(int fd, const char* data, std::size_t size, const std::string& output) {
  while (size > 0) {
    const ssize_t written = ::write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_system(output, "cannot be written", errno);
    data += written;
    size -= static_cast<std::size_t>(written);
  }
}

void copy_by_hand(int from, int to, const std::string& input, const std::string& output) {
  std::vector<char> buffer(4 << 20);
  while (true) {
    throw_if_interrupted();
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_system(input, "cannot be read", errno);
    if (got == 0) return;
    write_all(to, buffer.data(), static_cast<std::size_t>(got), output);
  }
}

/// Copies bytes, within the file system where it can do that by itself.
void copy_bytes(const std::string& input, const std::string& temporary, const std::string& output) {
  const Descriptor from(input, O_RDONLY);
  if (from.fd() < 0) throw_system(input, "cannot be opened", errno);
  const Descriptor to(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (to.fd() < 0) throw_system(output, "cannot be written", errno);
  bool copied_some = false;
  while (true) {
    throw_if_interrupted();
    const ssize_t got = ::copy_file_range(from.fd(), nullptr, to.fd(), nullptr, 64 << 20, 0);
    if (got == 0 && copied_some) return;
    if (got > 0) {
      copied_some = true;
      continue;
    }
    if (got < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
      throw_system(output, "cannot be written", errno);
    return copy_by_hand(from.fd(), to.fd(), input, output);
  }
}

std::int64_t bytes_of(const std::vector<Column>& columns) {
  std::int64_t bytes = 0;
  for (const Column& column : columns) {
    bytes += 16 * column.size();
    if (const auto* texts = std::get_if<std::vector<std::string>>(&column.values))
      for (const std::string& text : *texts) bytes += 16 + static_cast<std::int64_t>(text.size());
  }
  return bytes;
}

std::int64_t bytes_of(const std::vector<std::pair<std::string, FloatArray>>& arrays) {
  std::int64_t bytes = 0;
  for (const auto& [name, array] : arrays) bytes += static_cast<std::int64_t>(array.values.size() * sizeof(float));
  return bytes;
}

std::int64_t bytes_of(const std::vector<std::pair<std::string, SparseArray>>& arrays) {
  std::int64_t bytes = 0;
  for (const auto& [name, array] : arrays)
    bytes += static_cast<std::int64_t>(array.values.size() * (sizeof(float) + sizeof(std::int32_t)));
  return bytes;
}

/// What the layers will take.
std::int64_t layer_bytes(const std::string& input, const H5adAdditions& additions) {
  if (additions.layers.empty()) return 0;
  const H5adFile file(input);
  return std::ssize(additions.layers) * file.n_obs() * file.n_vars() * static_cast<std::int64_t>(sizeof(float));
}

void check_room(const std::string& input, const std::string& output, const H5adAdditions& additions) {
  std::error_code error;
  const auto input_bytes = static_cast<double>(std::filesystem::file_size(input, error));
  if (error) throw_system(input, "cannot be opened", error.value());
  const std::string folder = std::filesystem::path(output).parent_path().string();
  struct statvfs room {};
  if (::statvfs(folder.empty() ? "." : folder.c_str(), &room) != 0) return;
  const double needed = input_bytes + static_cast<double>(bytes_of(additions.obs) + bytes_of(additions.var) +
                                                          bytes_of(additions.obsm) + bytes_of(additions.varm) +
                                                          bytes_of(additions.obsp) + layer_bytes(input, additions));
  const double available = static_cast<double>(room.f_bavail) * static_cast<double>(room.f_frsize);
  if (needed <= available) return;
  throw IoError({.problem = "needs " + format_bytes(needed) + ", but only " + format_bytes(available) +
                            " are free in its folder",
                 .file = output,
                 .remedy = "make room or write elsewhere"});
}

void check_columns(const std::vector<Column>& columns, std::int64_t n_rows, const std::string& where,
                   const std::string& index) {
  std::set<std::string> seen;
  for (const Column& column : columns) {
    h5ad::check_column(column, n_rows, where);
    if (column.name == index)
      throw InputError({.problem = "is the name of the index, which cannot be replaced",
                        .field = where + "/" + column.name,
                        .remedy = "choose another name"});
    if (!seen.insert(column.name).second)
      throw InputError({.problem = "is to be added twice", .field = where + "/" + column.name});
  }
}

void check_additions(const std::string& input, const H5adAdditions& additions) {
  const H5adFile opened(input);
  const Hdf5File file = Hdf5File::open(input);
  check_columns(additions.obs, opened.n_obs(), "obs", h5ad::index_name(file, "obs"));
  check_columns(additions.var, opened.n_vars(), "var", h5ad::index_name(file, "var"));
  for (const auto& [name, array] : additions.obsm) h5ad::check_array(name, array, opened.n_obs(), "obsm");
  for (const auto& [name, array] : additions.varm) h5ad::check_array(name, array, opened.n_vars(), "varm");
  for (const auto& [name, array] : additions.obsp) h5ad::check_sparse(name, array, opened.n_obs(), "obsp");
  for (const H5adLayer& layer : additions.layers) h5ad::check_name(layer.name, "layers");
  for (const auto& [name, value] : additions.uns) h5ad::check_name(name, "uns");
}

/// Changes an open copy.
class Editor {
 public:
  explicit Editor(Hdf5File& file)
      : file_(file), writer_(file, file.has_attribute("/", "encoding-type"), Hdf5Compression::gzip) {}

  void add_columns(const std::string& frame, const std::vector<Column>& columns) {
    if (columns.empty()) return;
    const h5ad::Generation generation = h5ad::generation_of(file_, frame);
    if (generation == h5ad::Generation::record) return add_record_fields(file_, frame, record_columns(columns));
    std::vector<std::string> order = listed_columns(frame);
    for (const Column& column : columns) {
      replace(frame + "/" + column.name);
      replace(frame + "/__categories/" + column.name);
      if (generation == h5ad::Generation::element)
        writer_.write_column(frame, column);
      else
        writer_.write_column_0_7(frame, column);
      if (std::find(order.begin(), order.end(), column.name) == order.end()) order.push_back(column.name);
    }
    file_.set_attribute(frame, "column-order", order);
  }

  void add_arrays(const std::string& group, const std::vector<std::pair<std::string, FloatArray>>& arrays) {
    if (arrays.empty()) return;
    if (file_.is_dataset(group)) split_record(group);
    if (!file_.exists(group)) writer_.make_dictionary(group);
    for (const auto& [name, array] : arrays) {
      replace(group + "/" + name);
      writer_.write_array(group + "/" + name, array);
    }
  }

  void add_sparse(const std::string& group, const std::vector<std::pair<std::string, SparseArray>>& arrays) {
    if (arrays.empty()) return;
    if (!file_.exists(group)) writer_.make_dictionary(group);
    for (const auto& [name, array] : arrays) {
      throw_if_interrupted();
      replace(group + "/" + name);
      writer_.write_sparse(group + "/" + name, array);
    }
  }

  void add_layers(const std::vector<H5adLayer>& layers, std::int64_t n_rows, std::int64_t n_cols) {
    writer_.write_layers(layers, n_rows, n_cols);
  }

  void add_values(const UnsDict& values) {
    if (values.empty()) return;
    if (!file_.exists("uns")) writer_.make_dictionary("uns");
    for (const auto& [name, value] : values) {
      replace("uns/" + name);
      writer_.write_value("uns/" + name, value);
    }
  }

 private:
  Hdf5File& file_;
  h5ad::ElementWriter writer_;

  void replace(const std::string& path) {
    if (file_.exists(path)) file_.remove(path);
  }

  /// Column names as the frame lists them, whatever they are.
  std::vector<std::string> listed_columns(const std::string& frame) const {
    const bool as_text = file_.has_attribute(frame, "column-order") &&
                         file_.attribute_info(frame, "column-order").value_class == Hdf5Class::text;
    return as_text ? file_.attribute_strings(frame, "column-order") : h5ad::column_order(file_, frame);
  }

  /// Records know neither nulls nor categories of their own: those become text, "" where missing.
  static std::vector<Column> record_columns(const std::vector<Column>& columns) {
    std::vector<Column> plain;
    for (const Column& column : columns) {
      plain.push_back(h5ad::without_nulls(column));
      if (!std::holds_alternative<Categorical>(plain.back().values)) continue;
      std::vector<std::string> texts;
      for (std::int64_t row = 0; row < column.size(); ++row) texts.push_back(column.text(row));
      plain.back().values = std::move(texts);
    }
    return plain;
  }

  /// Up to 0.6 obsm and varm were one record array each; 0.7 and later read a group as well, and only that can grow.
  void split_record(const std::string& path) {
    const std::string old = path + ".record";
    file_.rename(path, old);
    writer_.make_dictionary(path);
    {
      const Hdf5Dataset dataset = file_.open_dataset(old);
      for (std::size_t field = 0; field < dataset.info().fields.size(); ++field) write_field(dataset, field, path);
    }
    file_.remove(old);
  }

  void write_field(const Hdf5Dataset& dataset, std::size_t field, const std::string& group) {
    const Hdf5Field& what = dataset.info().fields[field];
    const std::string path = group + "/" + what.name;
    const std::int64_t shape[] = {dataset.info().size(), what.n_values};
    if (what.value_class == Hdf5Class::text)
      file_.write_strings(path, dataset.read_string_field(field));
    else if (what.type_name == "float32")
      file_.write<float>(path, dataset.read_field<float>(field), shape, Hdf5Compression::gzip);
    else if (what.value_class == Hdf5Class::integer)
      file_.write<std::int64_t>(path, dataset.read_field<std::int64_t>(field), shape, Hdf5Compression::gzip);
    else
      file_.write<double>(path, dataset.read_field<double>(field), shape, Hdf5Compression::gzip);
  }
};

}  // namespace

void copy_h5ad_with(const std::string& input, const std::string& output, const H5adAdditions& additions,
                    Overwrite overwrite) {
  check_additions(input, additions);
  AtomicFile target(output, overwrite);
  check_room(input, output, additions);
  copy_bytes(input, target.temporary_path(), output);
  Hdf5File file = Hdf5File::open_for_update(target.temporary_path(), output);
  Editor editor(file);
  editor.add_columns("obs", additions.obs);
  editor.add_columns("var", additions.var);
  editor.add_arrays("obsm", additions.obsm);
  editor.add_arrays("varm", additions.varm);
  editor.add_sparse("obsp", additions.obsp);
  if (!additions.layers.empty()) {
    const H5adFile opened(input);
    editor.add_layers(additions.layers, opened.n_obs(), opened.n_vars());
  }
  editor.add_values(additions.uns);
  file.close();
  target.commit();
}

}  // namespace scvi::io
