#include "hdf5_detail.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <mutex>

#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/lzf.hpp"
#include "utf8.hpp"

namespace scvi::io {

void Hdf5Handle::reset() {
  if (id_ < 0) return;
  // A call that failed just before must still be able to say why.
  const hid_t earlier = H5Eget_num(H5E_DEFAULT) > 0 ? H5Eget_current_stack() : -1;
  hdf5::quietly([this] { return H5Idec_ref(id_); });
  if (earlier >= 0)
    H5Eset_current_stack(earlier);
  else
    H5Eclear2(H5E_DEFAULT);
  id_ = -1;
}

namespace hdf5 {
namespace {

constexpr H5Z_filter_t kLzfFilter = 32000;
// A copy of 264 bytes takes 3: no honest chunk grows more.
constexpr std::size_t kLzfLargestGain = 88;

herr_t set_lzf_parameters(hid_t creation, hid_t type, hid_t) {
  std::array<hsize_t, H5S_MAX_RANK> chunk{};
  const int rank = H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
  const std::size_t item = H5Tget_size(type);
  if (rank <= 0 || item == 0) return -1;
  std::uint64_t bytes = item;
  for (int axis = 0; axis < rank; ++axis) bytes *= chunk[static_cast<std::size_t>(axis)];
  if (bytes > std::numeric_limits<std::uint32_t>::max()) return -1;
  // As h5py writes them: revision of the filter, version of LZF, bytes of a chunk.
  const std::array<unsigned, 3> values{4, 0x0105, static_cast<unsigned>(bytes)};
  return H5Pmodify_filter(creation, kLzfFilter, H5Z_FLAG_OPTIONAL, values.size(), values.data());
}

/// Bytes of the chunks that this thread is reading, 0 when that is not known.
thread_local std::int64_t chunk_bytes_in_use = 0;

/// Unpacks to exactly `size` bytes. @returns whether that worked
bool unpack_lzf_to(std::size_t size, std::size_t used, std::size_t* buffer_size, void** buffer) {
  void* plain = H5allocate_memory(size, false);
  if (plain == nullptr) return false;
  const auto got =
      lzf_decompress({static_cast<const std::uint8_t*>(*buffer), used}, {static_cast<std::uint8_t*>(plain), size});
  if (!got || *got != size) {
    H5free_memory(plain);
    return false;
  }
  H5free_memory(*buffer);
  *buffer = plain;
  *buffer_size = size;
  return true;
}

std::size_t run_lzf_decompression(std::size_t used, std::size_t stated_bytes, std::size_t* buffer_size,
                                  void** buffer) {
  // HDF5 takes a shorter chunk for a whole one and reads past its end, so nothing but the full size will do. The size
  // that the file states may be a lie, or missing (h5py leaves it out for text).
  const std::size_t size = chunk_bytes_in_use > 0 ? static_cast<std::size_t>(chunk_bytes_in_use) : stated_bytes;
  if (size == 0 || size / kLzfLargestGain > used) return 0;
  return unpack_lzf_to(size, used, buffer_size, buffer) ? size : 0;
}

std::size_t run_lzf(unsigned flags, std::size_t n_values, const unsigned values[], std::size_t used,
                    std::size_t* buffer_size, void** buffer) {
  // No exception may pass through the C library; 0 means failure there.
  try {
    if (flags & H5Z_FLAG_REVERSE)
      return run_lzf_decompression(used, n_values >= 3 ? values[2] : 0, buffer_size, buffer);
    const auto packed = lzf_compress({static_cast<const std::uint8_t*>(*buffer), used});
    if (!packed) return 0;
    void* copy = H5allocate_memory(packed->size(), false);
    if (copy == nullptr) return 0;
    std::memcpy(copy, packed->data(), packed->size());
    H5free_memory(*buffer);
    *buffer = copy;
    *buffer_size = packed->size();
    return packed->size();
  } catch (...) {
    return 0;
  }
}

herr_t collect_message(unsigned, const H5E_error2_t* error, void* into) {
  try {
    static_cast<Failure*>(into)->messages.emplace_back(error->desc ? error->desc : "");
  } catch (...) {
    return -1;
  }
  return 0;
}

/// The number after "errno = " in one of HDF5's messages, or 0.
int error_number(const std::string& message) {
  constexpr std::string_view kKey = "errno = ";
  const std::size_t at = message.find(kKey);
  if (at == std::string::npos) return 0;
  int number = 0;
  std::from_chars(message.data() + at + kKey.size(), message.data() + message.size(), number);
  return number;
}

/// The other file may be anything that this process can read: a file from elsewhere must not choose it.
herr_t refuse_external_link(const char*, const char*, const char*, const char*, unsigned*, hid_t, void*) {
  return -1;
}

hid_t half_float_type(hid_t like) {
  const hid_t type = H5Tcopy(like);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

struct KnownType {
  hid_t little;
  hid_t big;
  Hdf5Class value_class;
  const char* name;
};

const std::vector<KnownType>& known_types() {
  static const std::vector<KnownType> types{
      {H5T_STD_I8LE, H5T_STD_I8BE, Hdf5Class::integer, "int8"},
      {H5T_STD_I16LE, H5T_STD_I16BE, Hdf5Class::integer, "int16"},
      {H5T_STD_I32LE, H5T_STD_I32BE, Hdf5Class::integer, "int32"},
      {H5T_STD_I64LE, H5T_STD_I64BE, Hdf5Class::integer, "int64"},
      {H5T_STD_U8LE, H5T_STD_U8BE, Hdf5Class::integer, "uint8"},
      {H5T_STD_U16LE, H5T_STD_U16BE, Hdf5Class::integer, "uint16"},
      {H5T_STD_U32LE, H5T_STD_U32BE, Hdf5Class::integer, "uint32"},
      {H5T_STD_U64LE, H5T_STD_U64BE, Hdf5Class::integer, "uint64"},
      {half_float_type(H5T_IEEE_F32LE), half_float_type(H5T_IEEE_F32BE), Hdf5Class::real, "float16"},
      {H5T_IEEE_F32LE, H5T_IEEE_F32BE, Hdf5Class::real, "float32"},
      {H5T_IEEE_F64LE, H5T_IEEE_F64BE, Hdf5Class::real, "float64"},
  };
  return types;
}

TypeName classify_number(hid_t type) {
  for (const KnownType& known : known_types())
    if (H5Tequal(type, known.little) > 0 || H5Tequal(type, known.big) > 0) return {known.value_class, known.name};
  return {Hdf5Class::other, "unknown number type"};
}

TypeName classify_enumeration(hid_t type) {
  const Hdf5Handle base(H5Tget_super(type));
  if (!base || classify_number(base.id()).value_class != Hdf5Class::integer)
    return {Hdf5Class::other, "unknown enumeration"};
  const std::unique_ptr<char, herr_t (*)(void*)> first(H5Tget_member_name(type, 0), H5free_memory);
  const std::unique_ptr<char, herr_t (*)(void*)> second(H5Tget_member_name(type, 1), H5free_memory);
  const bool is_bool = H5Tget_nmembers(type) == 2 && H5Tget_size(type) == 1 && first && second &&
                       std::strcmp(first.get(), "FALSE") == 0 && std::strcmp(second.get(), "TRUE") == 0;
  return is_bool ? TypeName{Hdf5Class::boolean, "bool"} : TypeName{Hdf5Class::integer, "enum"};
}

const char* name_of_other(H5T_class_t type_class) {
  switch (type_class) {
    case H5T_REFERENCE:
      return "reference";
    case H5T_VLEN:
      return "lists of unequal length";
    case H5T_ARRAY:
      return "array";
    case H5T_OPAQUE:
      return "opaque";
    case H5T_BITFIELD:
      return "bit field";
    case H5T_TIME:
      return "time";
    default:
      return "unknown type";
  }
}

/// Whether the members of a compound type lie within it and apart from each other. HDF5 takes that for granted.
bool is_sound_record(hid_t type) {
  const int count = H5Tget_nmembers(type);
  std::vector<std::pair<std::size_t, std::size_t>> stretches;
  for (int index = 0; index < count; ++index) {
    const Hdf5Handle member(H5Tget_member_type(type, static_cast<unsigned>(index)));
    const std::size_t size = member ? H5Tget_size(member.id()) : 0;
    if (size == 0) return false;
    stretches.emplace_back(H5Tget_member_offset(type, static_cast<unsigned>(index)), size);
  }
  std::sort(stretches.begin(), stretches.end());
  std::size_t end = 0;
  for (const auto& [offset, size] : stretches) {
    if (offset < end || offset > H5Tget_size(type) || size > H5Tget_size(type) - offset) return false;
    end = offset + size;
  }
  return count > 0;
}

Hdf5Field field_of(hid_t compound_type, unsigned index) {
  Hdf5Field field;
  const std::unique_ptr<char, herr_t (*)(void*)> name(H5Tget_member_name(compound_type, index), H5free_memory);
  if (name) field.name = valid_utf8(name.get());
  const Hdf5Handle type(H5Tget_member_type(compound_type, index));
  if (!type) return field;
  if (H5Tget_class(type.id()) != H5T_ARRAY) {
    const TypeName known = classify(type.id());
    field.value_class = known.value_class;
    field.type_name = known.name;
    return field;
  }
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const int rank = H5Tget_array_ndims(type.id());
  if (rank != 1 || H5Tget_array_dims2(type.id(), extents.data()) < 0) return field;
  const Hdf5Handle base(H5Tget_super(type.id()));
  if (!base || extents[0] == 0 || extents[0] > H5Tget_size(type.id()) ||
      H5Tget_size(type.id()) != extents[0] * H5Tget_size(base.id()))
    return field;
  field.n_values = static_cast<std::int64_t>(extents[0]);
  const TypeName known = classify(base.id());
  field.value_class = known.value_class;
  field.type_name = known.name;
  return field;
}

/// The operating system's descriptor of an HDF5 file, or nullptr.
int* descriptor_of(hid_t file) {
  void* descriptor = nullptr;
  return H5Fget_vfd_handle(file, H5P_DEFAULT, &descriptor) >= 0 ? static_cast<int*>(descriptor) : nullptr;
}

}  // namespace

void divert_writes(hid_t object) {
  const Quiet quiet;
  const Hdf5Handle file(H5Iget_file_id(object));
  const int* const descriptor = file ? descriptor_of(file.id()) : nullptr;
  if (descriptor == nullptr || is_diverted(file.id())) return;
  const int nowhere = ::memfd_create("scvi-abandoned-hdf5", MFD_CLOEXEC);
  if (nowhere < 0) return;
  ::dup2(nowhere, *descriptor);
  ::close(nowhere);
}

bool is_diverted(hid_t file) {
  const int* const descriptor = quietly([&] { return descriptor_of(file); });
  struct stat status {};
  // A file in memory has no name.
  return descriptor != nullptr && ::fstat(*descriptor, &status) == 0 && status.st_nlink == 0;
}

ChunkScope::ChunkScope(const Hdf5Dataset& dataset) : before_(chunk_bytes_in_use) {
  chunk_bytes_in_use = dataset.chunk_bytes();
}

ChunkScope::~ChunkScope() {
  chunk_bytes_in_use = before_;
}

void prepare_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    static const H5Z_class2_t lzf{H5Z_CLASS_T_VERS, kLzfFilter, 1, 1, "lzf", nullptr, set_lzf_parameters, run_lzf};
    // A file that could not be closed (full disk, damaged structures) makes HDF5 print and crash when it tidies up at
    // the end of the program. Every file is closed before that; where HDF5 runs already, this has no effect.
    H5dont_atexit();
    const Quiet quiet;
    H5Zregister(&lzf);
    text_reference_type();
  });
}

bool Failure::mentions(const char* text) const {
  return std::any_of(messages.begin(), messages.end(),
                     [&](const std::string& message) { return message.find(text) != std::string::npos; });
}

std::string Failure::innermost() const {
  return messages.empty() ? "no reason given" : messages.front();
}

Failure take_failure() {
  Failure failure;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect_message, &failure);
  H5Eclear2(H5E_DEFAULT);
  for (const std::string& message : failure.messages)
    if (failure.system_error == 0) failure.system_error = error_number(message);
  return failure;
}

void throw_failure(const Failure& failure, const std::string& file, const std::string& path,
                   const std::string& problem) {
  if (failure.system_error != 0) {
    const bool full = failure.system_error == ENOSPC || failure.system_error == EDQUOT;
    throw IoError({.problem = problem + ": " + std::strerror(failure.system_error),
                   .file = file,
                   .field = path,
                   .remedy = full ? "make room or write elsewhere" : ""});
  }
  throw FormatError(
      {.problem = problem + " (HDF5: " + valid_utf8(failure.innermost()) + ")",
       .file = file,
       .field = path,
       .remedy = failure.mentions("addr overflow") ? "the file is damaged or truncated: get it anew" : ""});
}

hid_t link_access() {
  static const hid_t list = [] {
    const hid_t made = H5Pcreate(H5P_LINK_ACCESS);
    refuse_external_links(made);
    return made;
  }();
  return list;
}

void refuse_external_links(hid_t access_list) {
  H5Pset_elink_cb(access_list, refuse_external_link, nullptr);
}

TypeName classify(hid_t type) {
  const H5T_class_t type_class = H5Tget_class(type);
  switch (type_class) {
    case H5T_INTEGER:
    case H5T_FLOAT:
      return classify_number(type);
    case H5T_ENUM:
      return classify_enumeration(type);
    case H5T_STRING:
      return {Hdf5Class::text, "text"};
    case H5T_COMPOUND:
      if (!is_sound_record(type)) return {Hdf5Class::other, "records whose fields overlap"};
      return {Hdf5Class::compound, "compound"};
    default:
      return {Hdf5Class::other, name_of_other(type_class)};
  }
}

std::vector<Hdf5Field> fields_of(hid_t compound_type) {
  std::vector<Hdf5Field> fields;
  const int count = H5Tget_nmembers(compound_type);
  for (int index = 0; index < count; ++index) fields.push_back(field_of(compound_type, static_cast<unsigned>(index)));
  return fields;
}

Hdf5Handle make_text_type() {
  Hdf5Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

Hdf5Handle make_boolean_type() {
  Hdf5Handle type(H5Tenum_create(H5T_STD_I8LE));
  const std::int8_t no = 0;
  const std::int8_t yes = 1;
  H5Tenum_insert(type.id(), "FALSE", &no);
  H5Tenum_insert(type.id(), "TRUE", &yes);
  return type;
}

Hdf5Handle make_space(std::span<const std::int64_t> shape) {
  if (shape.empty()) return Hdf5Handle(H5Screate(H5S_SCALAR));
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  return Hdf5Handle(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
}

Hdf5Handle make_dataset_creation() {
  Hdf5Handle list(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_obj_track_times(list.id(), false);
  return list;
}

Hdf5Handle make_creation(std::span<const std::int64_t> shape, std::size_t value_bytes, Hdf5Compression compression) {
  constexpr std::int64_t kChunkBytes = 1 << 18;
  Hdf5Handle list = make_dataset_creation();
  const bool empty = std::any_of(shape.begin(), shape.end(), [](std::int64_t extent) { return extent == 0; });
  if (shape.empty() || empty || compression == Hdf5Compression::none) return list;
  std::int64_t row_bytes = static_cast<std::int64_t>(value_bytes);
  std::vector<hsize_t> chunk(shape.begin(), shape.end());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const std::int64_t fitting = std::max<std::int64_t>(kChunkBytes / row_bytes, 1);
    chunk[axis] = static_cast<hsize_t>(std::min(shape[axis], fitting));
    row_bytes *= static_cast<std::int64_t>(chunk[axis]);
  }
  H5Pset_chunk(list.id(), static_cast<int>(chunk.size()), chunk.data());
  if (compression == Hdf5Compression::gzip) H5Pset_deflate(list.id(), 4);
  if (compression == Hdf5Compression::lzf) H5Pset_filter(list.id(), kLzfFilter, H5Z_FLAG_OPTIONAL, 0, nullptr);
  return list;
}

Hdf5Info describe(hid_t space, hid_t type, const std::string& file, const std::string& path) {
  Hdf5Info info;
  const H5S_class_t space_class = H5Sget_simple_extent_type(space);
  info.is_null = space_class == H5S_NULL;
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  const int rank = space_class == H5S_SIMPLE ? H5Sget_simple_extent_dims(space, extents.data(), nullptr) : 0;
  const std::size_t item_bytes = H5Tget_size(type);
  // Bytes are counted too, so that no later product can overflow.
  std::int64_t bytes = static_cast<std::int64_t>(std::max<std::size_t>(item_bytes, 16));
  for (int axis = 0; axis < rank; ++axis) {
    const hsize_t extent = extents[static_cast<std::size_t>(axis)];
    if (extent > static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max()) ||
        __builtin_mul_overflow(bytes, std::max<std::int64_t>(static_cast<std::int64_t>(extent), 1), &bytes))
      throw FormatError({.problem = "claims a size beyond all bounds (" + std::to_string(extent) + " along axis " +
                                    std::to_string(axis) + ")",
                         .file = file,
                         .field = path,
                         .remedy = "the file is damaged: get it anew"});
    info.shape.push_back(static_cast<std::int64_t>(extent));
  }
  const TypeName known = classify(type);
  info.value_class = known.value_class;
  info.type_name = known.name;
  if (known.value_class == Hdf5Class::compound) info.fields = fields_of(type);
  return info;
}

std::string normalized(const std::string& path) {
  const std::size_t first = path.find_first_not_of('/');
  if (first == std::string::npos) return "";
  return path.substr(first, path.find_last_not_of('/') - first + 1);
}

}  // namespace hdf5
}  // namespace scvi::io
