#include <algorithm>
#include <array>
#include <functional>

#include "hdf5_chunk_reader.hpp"
#include "hdf5_detail.hpp"
#include "scvi/core/text.hpp"

namespace scvi::io {

using hdf5::checked;
using hdf5::native_type;

namespace {

constexpr const char* kUnreadable = "cannot be read";

/// Calls use(first, count) for stretches of rows of at most about `bytes` bytes.
void for_row_stretches(std::int64_t n_rows, std::int64_t row_bytes, std::int64_t bytes,
                       const std::function<void(std::int64_t, std::int64_t)>& use) {
  const std::int64_t step = std::max<std::int64_t>(bytes / std::max<std::int64_t>(row_bytes, 1), 1);
  for (std::int64_t first = 0; first < n_rows; first += step) use(first, std::min(step, n_rows - first));
}

}  // namespace

std::int64_t Hdf5Info::size() const {
  if (is_null) return 0;
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;
  return product;
}

std::int64_t Hdf5Dataset::stored_bytes() const {
  return static_cast<std::int64_t>(hdf5::quietly([&] { return H5Dget_storage_size(id()); }));
}

void Hdf5Dataset::check_plausible(std::int64_t value_bytes) const {
  // Nothing that HDF5 compresses with shrinks more than this; below the floor it does no harm to believe a lie.
  constexpr std::int64_t kLargestRatio = 1100;
  constexpr std::int64_t kFloor = std::int64_t{64} << 20;
  const std::int64_t bytes = info_.size() * value_bytes;
  if (bytes <= kFloor || bytes / kLargestRatio <= std::min(stored_bytes(), file_bytes_)) return;
  throw FormatError({.problem = "claims " + with_thousands(info_.size()) + " values, but the file holds only " +
                                format_bytes(static_cast<double>(stored_bytes())) + " of them",
                     .file = file_,
                     .field = path_,
                     .remedy = "the file is damaged or was not written to its end: get it anew"});
}

void Hdf5Dataset::require_numbers() const {
  if (info_.is_numeric() && !info_.is_null) return;
  throw FormatError(
      {.problem = "holds " + (info_.is_null ? "nothing" : info_.type_name) + " where numbers are expected",
       .file = file_,
       .field = path_});
}

void Hdf5Dataset::check_range(std::int64_t first, std::int64_t count) const {
  const std::int64_t n_rows = info_.shape.empty() ? 0 : info_.shape[0];
  if (first >= 0 && count >= 0 && count <= n_rows && first <= n_rows - count) return;
  throw FormatError({.problem = "has " + std::to_string(n_rows) + " rows, but " + std::to_string(count) +
                                " from row " + std::to_string(first) + " on are needed",
                     .file = file_,
                     .field = path_});
}

template <class T>
bool Hdf5Dataset::read_chunks(std::span<const std::int64_t> start, std::span<const std::int64_t> extent,
                              T* out) const {
  if (!chunks_ || !chunks_->holds_numbers()) return false;
  chunks_->read(start, extent, out);
  return true;
}

/// What HDF5 unpacks itself must be sound.
void Hdf5Dataset::verify_chunks(std::int64_t first, std::int64_t count) const {
  if (!chunks_) return;
  std::vector<std::int64_t> start(info_.shape.size(), 0);
  std::vector<std::int64_t> extent = info_.shape;
  start[0] = first;
  extent[0] = count;
  chunks_->verify(start, extent);
}

void Hdf5Dataset::read_raw_rows(std::int64_t first, std::int64_t count, std::int64_t memory_type, void* out) const {
  std::vector<hsize_t> extent(info_.shape.begin(), info_.shape.end());
  std::vector<hsize_t> start(extent.size(), 0);
  if (!extent.empty()) {
    start[0] = static_cast<hsize_t>(first);
    extent[0] = static_cast<hsize_t>(count);
  }
  if (std::find(extent.begin(), extent.end(), hsize_t{0}) != extent.end()) return;
  verify_chunks(first, count);
  const hdf5::ChunkScope scope(*this);
  checked(file_, path_, kUnreadable, [&]() -> herr_t {
    if (extent.empty()) return H5Dread(id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
    const Hdf5Handle space(H5Dget_space(id()));
    const Hdf5Handle memory(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr));
    if (!space || !memory) return -1;
    if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr) < 0) return -1;
    return H5Dread(id(), memory_type, memory.id(), space.id(), H5P_DEFAULT, out);
  });
}

template <class T>
void Hdf5Dataset::read_rows(std::int64_t first, std::int64_t count, T* out) const {
  require_numbers();
  check_range(first, count);
  std::vector<std::int64_t> start(info_.shape.size(), 0);
  std::vector<std::int64_t> extent = info_.shape;
  start[0] = first;
  extent[0] = count;
  if (!read_chunks(start, extent, out)) read_raw_rows(first, count, native_type<T>(), out);
}

void Hdf5Dataset::check_rectangle(std::int64_t first_row, std::int64_t n_rows, std::int64_t first_col,
                                  std::int64_t n_cols) const {
  if (info_.shape.size() != 2)
    throw FormatError({.problem = "has " + std::to_string(info_.shape.size()) + " dimensions where two are expected",
                       .file = file_,
                       .field = path_});
  check_range(first_row, n_rows);
  if (first_col >= 0 && n_cols >= 0 && n_cols <= info_.shape[1] && first_col <= info_.shape[1] - n_cols) return;
  throw FormatError({.problem = "has " + std::to_string(info_.shape[1]) + " columns, but " + std::to_string(n_cols) +
                                " from column " + std::to_string(first_col) + " on are needed",
                     .file = file_,
                     .field = path_});
}

namespace {

/// Reads or writes a rectangle by `transfer(memory_space, file_space)`.
template <class Transfer>
herr_t transfer_rectangle(hid_t dataset, std::array<std::int64_t, 2> first, std::array<std::int64_t, 2> count,
                          Transfer transfer) {
  const std::array<hsize_t, 2> start{static_cast<hsize_t>(first[0]), static_cast<hsize_t>(first[1])};
  const std::array<hsize_t, 2> extent{static_cast<hsize_t>(count[0]), static_cast<hsize_t>(count[1])};
  const Hdf5Handle space(H5Dget_space(dataset));
  const Hdf5Handle memory(H5Screate_simple(2, extent.data(), nullptr));
  if (!space || !memory) return -1;
  if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr) < 0) return -1;
  return transfer(memory.id(), space.id());
}

}  // namespace

template <class T>
void Hdf5Dataset::read_block(std::int64_t first_row, std::int64_t n_rows, std::int64_t first_col, std::int64_t n_cols,
                             T* out) const {
  require_numbers();
  check_rectangle(first_row, n_rows, first_col, n_cols);
  if (n_rows == 0 || n_cols == 0) return;
  if (read_chunks(std::array{first_row, first_col}, std::array{n_rows, n_cols}, out)) return;
  const hdf5::ChunkScope scope(*this);
  checked(file_, path_, kUnreadable, [&] {
    return transfer_rectangle(id(), {first_row, first_col}, {n_rows, n_cols}, [&](hid_t memory, hid_t space) {
      return H5Dread(id(), native_type<T>(), memory, space, H5P_DEFAULT, out);
    });
  });
}

template <class T>
void Hdf5Dataset::write_block(std::int64_t first_row, std::int64_t n_rows, std::int64_t first_col,
                              std::int64_t n_cols, const T* values) {
  check_rectangle(first_row, n_rows, first_col, n_cols);
  if (n_rows == 0 || n_cols == 0) return;
  const hdf5::ChunkScope scope(*this);
  hdf5::checked_write(id(), file_, path_, "cannot be written", [&] {
    return transfer_rectangle(id(), {first_row, first_col}, {n_rows, n_cols}, [&](hid_t memory, hid_t space) {
      return H5Dwrite(id(), native_type<T>(), memory, space, H5P_DEFAULT, values);
    });
  });
}

template <class T>
void Hdf5Dataset::read_range(std::int64_t first, std::int64_t count, T* out) const {
  if (info_.shape.size() != 1)
    throw FormatError({.problem = "has " + std::to_string(info_.shape.size()) + " dimensions where one is expected",
                       .file = file_,
                       .field = path_});
  read_rows<T>(first, count, out);
}

template <class T>
void Hdf5Dataset::read_all(T* out) const {
  require_numbers();
  if (read_chunks(std::vector<std::int64_t>(info_.shape.size(), 0), info_.shape, out)) return;
  const hdf5::ChunkScope scope(*this);
  checked(file_, path_, kUnreadable,
          [&] { return H5Dread(id(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, out); });
}

std::vector<std::string> Hdf5Dataset::read_strings() const {
  if (info_.value_class != Hdf5Class::text)
    throw FormatError(
        {.problem = "holds " + info_.type_name + " where text is expected", .file = file_, .field = path_});
  const std::int64_t size = info_.size();
  if (size == 0) return {};
  const Hdf5Handle type(checked(file_, path_, kUnreadable, [&] { return H5Dget_type(id()); }));
  hdf5::TextDecoder decoder(id(), type.id(), file_, path_, file_bytes_);
  const std::int64_t item_bytes = static_cast<std::int64_t>(decoder.item_bytes());
  check_plausible(item_bytes);

  const std::int64_t n_rows = info_.shape.empty() ? 1 : info_.shape[0];
  const std::int64_t row_items = size / n_rows;
  std::vector<std::string> texts;
  std::vector<char> raw;
  for_row_stretches(n_rows, row_items * item_bytes, 1 << 20, [&](std::int64_t first, std::int64_t count) {
    raw.assign(static_cast<std::size_t>(count * row_items * item_bytes), 0);
    read_raw_rows(first, count, decoder.memory_type(), raw.data());
    for (std::int64_t item = 0; item < count * row_items; ++item)
      texts.push_back(decoder.decode(raw.data() + item * item_bytes));
  });
  decoder.finish();
  return texts;
}

namespace {

/// Reads one member of every record of a compound dataset; `memory_type` is the member's type in memory.
void read_member(const Hdf5Dataset& dataset, const std::string& file, std::size_t field, hid_t memory_type,
                 void* out) {
  const hdf5::ChunkScope scope(dataset);
  checked(file, dataset.path(), kUnreadable, [&]() -> herr_t {
    const Hdf5Handle file_type(H5Dget_type(dataset.id()));
    if (!file_type) return -1;
    const std::unique_ptr<char, herr_t (*)(void*)> name(
        H5Tget_member_name(file_type.id(), static_cast<unsigned>(field)), H5free_memory);
    const Hdf5Handle record(H5Tcreate(H5T_COMPOUND, H5Tget_size(memory_type)));
    if (!name || !record || H5Tinsert(record.id(), name.get(), 0, memory_type) < 0) return -1;
    return H5Dread(dataset.id(), record.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  });
}

}  // namespace

template <class T>
std::vector<T> Hdf5Dataset::read_field(std::size_t field) const {
  const Hdf5Field& what = info_.fields.at(field);
  if (what.value_class == Hdf5Class::other || what.value_class == Hdf5Class::text ||
      what.value_class == Hdf5Class::compound)
    throw FormatError({.problem = "holds " + what.type_name + " where numbers are expected",
                       .file = file_,
                       .field = path_ + ", column '" + what.name + "'"});
  check_plausible(what.n_values * static_cast<std::int64_t>(sizeof(T)));
  std::vector<T> values(static_cast<std::size_t>(info_.size() * what.n_values));
  if (values.empty()) return values;
  verify_chunks(0, info_.shape.empty() ? 0 : info_.shape[0]);
  const hsize_t extent = static_cast<hsize_t>(what.n_values);
  const Hdf5Handle array(
      hdf5::quietly([&] { return what.n_values > 1 ? H5Tarray_create2(native_type<T>(), 1, &extent) : hid_t{-1}; }));
  read_member(*this, file_, field, array ? array.id() : native_type<T>(), values.data());
  return values;
}

std::vector<std::string> Hdf5Dataset::read_string_field(std::size_t field) const {
  const Hdf5Field& what = info_.fields.at(field);
  if (what.value_class != Hdf5Class::text || what.n_values != 1)
    throw FormatError({.problem = "holds " + what.type_name + " where text is expected",
                       .file = file_,
                       .field = path_ + ", column '" + what.name + "'"});
  const std::int64_t size = info_.size();
  if (size == 0) return {};
  const Hdf5Handle record(checked(file_, path_, kUnreadable, [&] { return H5Dget_type(id()); }));
  const Hdf5Handle type(checked(file_, path_, kUnreadable,
                                [&] { return H5Tget_member_type(record.id(), static_cast<unsigned>(field)); }));
  hdf5::TextDecoder decoder(id(), type.id(), file_, path_ + ", column '" + what.name + "'", file_bytes_);
  check_plausible(static_cast<std::int64_t>(decoder.item_bytes()));
  std::vector<char> raw(static_cast<std::size_t>(size) * decoder.item_bytes());
  verify_chunks(0, info_.shape.empty() ? 0 : info_.shape[0]);
  read_member(*this, file_, field, decoder.memory_type(), raw.data());
  std::vector<std::string> texts;
  texts.reserve(static_cast<std::size_t>(size));
  for (std::int64_t item = 0; item < size; ++item)
    texts.push_back(decoder.decode(raw.data() + static_cast<std::size_t>(item) * decoder.item_bytes()));
  decoder.finish();
  return texts;
}

void Hdf5Dataset::flush() {
  hdf5::checked_write(id(), file_, path_, "cannot be written", [&] { return H5Dflush(id()); });
}

Hdf5Dataset::~Hdf5Dataset() {
  if (!handle_ || !written_) return;
  // A dataset that fails while it is being closed is left half open by HDF5.
  if (hdf5::quietly([&] { return H5Dflush(id()); }) < 0) hdf5::divert_writes(id());
}

template <class T>
void Hdf5Dataset::append(std::span<const T> values) {
  if (values.empty()) return;
  std::int64_t row_items = 1;
  for (std::size_t axis = 1; axis < info_.shape.size(); ++axis) row_items *= info_.shape[axis];
  const std::int64_t n_rows = static_cast<std::int64_t>(values.size()) / row_items;
  std::vector<hsize_t> from(info_.shape.size(), 0);
  std::vector<hsize_t> many(info_.shape.begin(), info_.shape.end());
  from[0] = static_cast<hsize_t>(info_.shape[0]);
  many[0] = static_cast<hsize_t>(n_rows);
  info_.shape[0] += n_rows;
  const std::vector<hsize_t> whole(info_.shape.begin(), info_.shape.end());
  const hdf5::ChunkScope scope(*this);
  hdf5::checked_write(id(), file_, path_, "cannot be written", [&]() -> herr_t {
    if (H5Dset_extent(id(), whole.data()) < 0) return -1;
    const Hdf5Handle space(H5Dget_space(id()));
    const Hdf5Handle memory(H5Screate_simple(static_cast<int>(many.size()), many.data(), nullptr));
    if (!space || !memory) return -1;
    if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, from.data(), nullptr, many.data(), nullptr) < 0) return -1;
    return H5Dwrite(id(), native_type<T>(), memory.id(), space.id(), H5P_DEFAULT, values.data());
  });
}

#define SCVI_INSTANTIATE(T)                                                                                    \
  template void Hdf5Dataset::read_range<T>(std::int64_t, std::int64_t, T*) const;                              \
  template void Hdf5Dataset::read_rows<T>(std::int64_t, std::int64_t, T*) const;                               \
  template void Hdf5Dataset::read_all<T>(T*) const;                                                            \
  template std::vector<T> Hdf5Dataset::read_field<T>(std::size_t) const;                                       \
  template void Hdf5Dataset::read_block<T>(std::int64_t, std::int64_t, std::int64_t, std::int64_t, T*) const;  \
  template void Hdf5Dataset::write_block<T>(std::int64_t, std::int64_t, std::int64_t, std::int64_t, const T*); \
  template void Hdf5Dataset::append<T>(std::span<const T>);
SCVI_INSTANTIATE(float)
SCVI_INSTANTIATE(double)
SCVI_INSTANTIATE(std::int32_t)
SCVI_INSTANTIATE(std::int64_t)
SCVI_INSTANTIATE(std::uint8_t)
SCVI_INSTANTIATE(std::uint64_t)
#undef SCVI_INSTANTIATE

}  // namespace scvi::io
