#include <algorithm>

#include "hdf5_detail.hpp"

namespace scvi::io {

using hdf5::checked;
using hdf5::checked_write;
using hdf5::native_type;
using hdf5::normalized;

namespace {

constexpr const char* kUnwritable = "cannot be written";

Hdf5Handle make_link_creation() {
  Hdf5Handle list(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_char_encoding(list.id(), H5T_CSET_UTF8);
  return list;
}

hid_t make_group(hid_t file, const std::string& path) {
  const Hdf5Handle links = make_link_creation();
  Hdf5Handle creation(H5Pcreate(H5P_GROUP_CREATE));
  H5Pset_obj_track_times(creation.id(), false);
  return H5Gcreate2(file, path.c_str(), links.id(), creation.id(), H5P_DEFAULT);
}

/// Makes the groups on the way to a new element. (HDF5 would do so itself, but its groups keep the time.)
bool make_parents(hid_t file, const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (parent.empty() || H5Lexists(file, parent.c_str(), hdf5::link_access()) > 0) continue;
    if (!Hdf5Handle(make_group(file, parent))) return false;
  }
  return true;
}

Hdf5Handle make_dataset(const Hdf5File& file, const std::string& path, hid_t type, hid_t space, hid_t creation) {
  return Hdf5Handle(checked_write(file.id(), file.path(), path, kUnwritable, [&] {
    if (!make_parents(file.id(), path)) return hid_t{-1};
    const Hdf5Handle links = make_link_creation();
    return H5Dcreate2(file.id(), path.c_str(), type, space, links.id(), creation, H5P_DEFAULT);
  }));
}

/// Makes a dataset and fills it. Flushed at once: closing it must not be what fails.
void write_values(const Hdf5File& file, const std::string& path, hid_t file_type, hid_t memory_type,
                  std::span<const std::int64_t> shape, Hdf5Compression compression, const void* values) {
  const Hdf5Handle space = hdf5::make_space(shape);
  const Hdf5Handle creation = hdf5::make_creation(shape, H5Tget_size(file_type), compression);
  const Hdf5Handle dataset = make_dataset(file, path, file_type, space.id(), creation.id());
  const bool empty = std::any_of(shape.begin(), shape.end(), [](std::int64_t extent) { return extent == 0; });
  if (empty) return;
  checked_write(file.id(), file.path(), path, kUnwritable, [&]() -> herr_t {
    if (H5Dwrite(dataset.id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) return -1;
    return H5Dflush(dataset.id());
  });
}

std::vector<const char*> pointers_to(std::span<const std::string> texts) {
  std::vector<const char*> pointers;
  pointers.reserve(texts.size());
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  return pointers;
}

void write_attribute(const Hdf5File& file, hid_t object, const std::string& path, const std::string& name, hid_t type,
                     hid_t memory_type, hid_t space, const void* values) {
  const std::string place = path + ", attribute '" + name + "'";
  checked_write(file.id(), file.path(), place, kUnwritable, [&]() -> herr_t {
    if (H5Aexists(object, name.c_str()) > 0 && H5Adelete(object, name.c_str()) < 0) return -1;
    const Hdf5Handle attribute(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT));
    if (!attribute) return -1;
    return values == nullptr ? 0 : H5Awrite(attribute.id(), memory_type, values);
  });
}

}  // namespace

void Hdf5File::create_group(const std::string& path) {
  const std::string inside = normalized(path);
  const Hdf5Handle group(checked_write(handle_.id(), path_, inside, kUnwritable, [&] {
    return make_parents(handle_.id(), inside) ? make_group(handle_.id(), inside) : hid_t{-1};
  }));
}

void Hdf5File::remove(const std::string& path) {
  const std::string inside = normalized(path);
  checked_write(handle_.id(), path_, inside, "cannot be removed",
                [&] { return H5Ldelete(handle_.id(), inside.c_str(), hdf5::link_access()); });
}

void Hdf5File::rename(const std::string& from, const std::string& to) {
  const std::string old_name = normalized(from);
  const std::string new_name = normalized(to);
  checked_write(handle_.id(), path_, old_name, "cannot be renamed", [&]() -> herr_t {
    if (!make_parents(handle_.id(), new_name)) return -1;
    const Hdf5Handle links = make_link_creation();
    return H5Lmove(handle_.id(), old_name.c_str(), handle_.id(), new_name.c_str(), links.id(), hdf5::link_access());
  });
}

template <class T>
void Hdf5File::write(const std::string& path, std::span<const T> values, std::span<const std::int64_t> shape,
                     Hdf5Compression compression) {
  write_values(*this, normalized(path), native_type<T>(), native_type<T>(), shape, compression, values.data());
}

template <class T>
void Hdf5File::write_scalar(const std::string& path, T value) {
  write_values(*this, normalized(path), native_type<T>(), native_type<T>(), {}, Hdf5Compression::none, &value);
}

void Hdf5File::write_booleans(const std::string& path, std::span<const std::uint8_t> values,
                              Hdf5Compression compression) {
  const Hdf5Handle type = hdf5::make_boolean_type();
  const std::int64_t shape[] = {static_cast<std::int64_t>(values.size())};
  write_values(*this, normalized(path), type.id(), type.id(), shape, compression, values.data());
}

void Hdf5File::write_strings(const std::string& path, std::span<const std::string> values,
                             Hdf5Compression compression) {
  const Hdf5Handle type = hdf5::make_text_type();
  const std::int64_t shape[] = {static_cast<std::int64_t>(values.size())};
  write_values(*this, normalized(path), type.id(), type.id(), shape, compression, pointers_to(values).data());
}

void Hdf5File::write_string(const std::string& path, const std::string& value) {
  const Hdf5Handle type = hdf5::make_text_type();
  const char* const pointer = value.c_str();
  write_values(*this, normalized(path), type.id(), type.id(), {}, Hdf5Compression::none, &pointer);
}

template <class T>
Hdf5Dataset Hdf5File::create_growing(const std::string& path, std::int64_t n_cols, Hdf5Compression compression) {
  constexpr std::int64_t kChunkBytes = 1 << 18;
  const std::string inside = normalized(path);
  const std::int64_t chunk_cols = std::min<std::int64_t>(std::max<std::int64_t>(n_cols, 1), kChunkBytes / 8);
  const std::int64_t chunk_rows =
      std::max<std::int64_t>(kChunkBytes / (chunk_cols * static_cast<std::int64_t>(sizeof(T))), 1);
  std::vector<std::int64_t> chunk{chunk_rows};
  if (n_cols > 0) chunk.push_back(chunk_cols);
  Hdf5Dataset dataset;
  dataset.file_ = path_;
  dataset.path_ = inside;
  dataset.written_ = true;
  dataset.info_.shape.assign(chunk.size(), n_cols);
  dataset.info_.shape[0] = 0;
  dataset.chunk_bytes_ = static_cast<std::int64_t>(sizeof(T));
  for (const std::int64_t extent : chunk) dataset.chunk_bytes_ *= extent;
  const Hdf5Handle creation = hdf5::make_creation(chunk, sizeof(T), compression);
  const std::vector<hsize_t> chunk_extents(chunk.begin(), chunk.end());
  const std::vector<hsize_t> extents(dataset.info_.shape.begin(), dataset.info_.shape.end());
  std::vector<hsize_t> largest = extents;
  largest[0] = H5S_UNLIMITED;
  H5Pset_chunk(creation.id(), static_cast<int>(chunk_extents.size()), chunk_extents.data());
  const Hdf5Handle space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), largest.data()));
  dataset.handle_ = make_dataset(*this, inside, native_type<T>(), space.id(), creation.id());
  return dataset;
}

template <class T>
Hdf5Dataset Hdf5File::create_matrix(const std::string& path, std::int64_t n_rows, std::int64_t n_cols,
                                    std::int64_t chunk_rows, std::int64_t chunk_cols, Hdf5Compression compression) {
  const std::string inside = normalized(path);
  const std::int64_t chunk[] = {std::clamp<std::int64_t>(n_rows, 1, chunk_rows),
                                std::clamp<std::int64_t>(n_cols, 1, chunk_cols)};
  Hdf5Dataset dataset;
  dataset.file_ = path_;
  dataset.path_ = inside;
  dataset.written_ = true;
  dataset.info_.shape = {n_rows, n_cols};
  dataset.chunk_bytes_ = chunk[0] * chunk[1] * static_cast<std::int64_t>(sizeof(T));
  const Hdf5Handle creation = hdf5::make_creation(chunk, sizeof(T), compression);
  const hsize_t chunk_extents[] = {static_cast<hsize_t>(chunk[0]), static_cast<hsize_t>(chunk[1])};
  const hsize_t extents[] = {static_cast<hsize_t>(n_rows), static_cast<hsize_t>(n_cols)};
  const hsize_t largest[] = {extents[0], H5S_UNLIMITED};
  H5Pset_chunk(creation.id(), 2, chunk_extents);
  const Hdf5Handle space(H5Screate_simple(2, extents, largest));
  dataset.handle_ = make_dataset(*this, inside, native_type<T>(), space.id(), creation.id());
  return dataset;
}

void Hdf5File::set_attribute(const std::string& path, const std::string& name, const std::string& value) {
  const Hdf5Handle object = open_object(path);
  const Hdf5Handle type = hdf5::make_text_type();
  const Hdf5Handle space = hdf5::make_space({});
  const char* const pointer = value.c_str();
  write_attribute(*this, object.id(), path, name, type.id(), type.id(), space.id(), &pointer);
}

void Hdf5File::set_attribute(const std::string& path, const std::string& name, bool value) {
  const Hdf5Handle object = open_object(path);
  const Hdf5Handle type = hdf5::make_boolean_type();
  const Hdf5Handle space = hdf5::make_space({});
  const std::int8_t byte = value ? 1 : 0;
  write_attribute(*this, object.id(), path, name, type.id(), type.id(), space.id(), &byte);
}

void Hdf5File::set_attribute(const std::string& path, const std::string& name, std::span<const std::string> values) {
  const Hdf5Handle object = open_object(path);
  const Hdf5Handle type = hdf5::make_text_type();
  const std::int64_t shape[] = {static_cast<std::int64_t>(values.size())};
  const Hdf5Handle space = hdf5::make_space(shape);
  const std::vector<const char*> pointers = pointers_to(values);
  write_attribute(*this, object.id(), path, name, type.id(), type.id(), space.id(),
                  values.empty() ? nullptr : pointers.data());
}

template <class T>
void Hdf5File::set_number_attribute(const std::string& path, const std::string& name, T value) {
  const Hdf5Handle object = open_object(path);
  const Hdf5Handle space = hdf5::make_space({});
  write_attribute(*this, object.id(), path, name, native_type<T>(), native_type<T>(), space.id(), &value);
}

template <class T>
void Hdf5File::set_number_attribute(const std::string& path, const std::string& name, std::span<const T> values) {
  const Hdf5Handle object = open_object(path);
  const std::int64_t shape[] = {static_cast<std::int64_t>(values.size())};
  const Hdf5Handle space = hdf5::make_space(shape);
  write_attribute(*this, object.id(), path, name, native_type<T>(), native_type<T>(), space.id(),
                  values.empty() ? nullptr : values.data());
}

void Hdf5File::set_reference_attribute(const std::string& path, const std::string& name, const std::string& target) {
  const Hdf5Handle object = open_object(path);
  const Hdf5Handle space = hdf5::make_space({});
  hobj_ref_t reference{};
  checked(path_, target, "cannot be referred to",
          [&] { return H5Rcreate(&reference, handle_.id(), normalized(target).c_str(), H5R_OBJECT, -1); });
  write_attribute(*this, object.id(), path, name, H5T_STD_REF_OBJ, H5T_STD_REF_OBJ, space.id(), &reference);
}

void Hdf5File::remove_attribute(const std::string& path, const std::string& name) {
  const Hdf5Handle object = open_object(path);
  checked(path_, normalized(path) + ", attribute '" + name + "'", "cannot be removed",
          [&] { return H5Adelete(object.id(), name.c_str()); });
}

#define SCVI_INSTANTIATE(T)                                                                               \
  template void Hdf5File::write<T>(const std::string&, std::span<const T>, std::span<const std::int64_t>, \
                                   Hdf5Compression);                                                      \
  template void Hdf5File::write_scalar<T>(const std::string&, T);
#define SCVI_INSTANTIATE_MORE(T)                                                                                \
  SCVI_INSTANTIATE(T)                                                                                           \
  template Hdf5Dataset Hdf5File::create_growing<T>(const std::string&, std::int64_t, Hdf5Compression);          \
  template Hdf5Dataset Hdf5File::create_matrix<T>(const std::string&, std::int64_t, std::int64_t, std::int64_t, \
                                                  std::int64_t, Hdf5Compression);                               \
  template void Hdf5File::set_number_attribute<T>(const std::string&, const std::string&, T);                   \
  template void Hdf5File::set_number_attribute<T>(const std::string&, const std::string&, std::span<const T>);
SCVI_INSTANTIATE(std::int8_t)
SCVI_INSTANTIATE(std::int16_t)
SCVI_INSTANTIATE(std::uint64_t)
SCVI_INSTANTIATE_MORE(float)
SCVI_INSTANTIATE_MORE(double)
SCVI_INSTANTIATE_MORE(std::int32_t)
SCVI_INSTANTIATE_MORE(std::int64_t)
SCVI_INSTANTIATE_MORE(std::uint8_t)
#undef SCVI_INSTANTIATE_MORE
#undef SCVI_INSTANTIATE

}  // namespace scvi::io
