#include "scvi/io/hdf5.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "hdf5_chunk_reader.hpp"
#include "hdf5_detail.hpp"
#include "hdf5_superblock.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "utf8.hpp"

namespace scvi::io {

using hdf5::checked;
using hdf5::native_type;
using hdf5::normalized;
using hdf5::quietly;

namespace {

/// How a path is shown in messages.
std::string shown(const std::string& path) {
  return path.empty() ? "/" : path;
}

std::string attribute_place(const std::string& path, const std::string& name) {
  return shown(normalized(path)) + ", attribute '" + name + "'";
}

/// The path as HDF5 takes it from the root group.
const char* from_root(const std::string& path) {
  return path.empty() ? "." : path.c_str();
}

/// What a file that is no HDF5 seems to be, by its first bytes.
std::string likely_kind(const std::string& path) {
  std::array<unsigned char, 8> head{};
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file || std::fread(head.data(), 1, head.size(), file.get()) < 4) return "";
  if (head[0] == 0x1f && head[1] == 0x8b) return "it is gzip-compressed: unpack it first";
  if (head[0] == 'P' && head[1] == 'K') return "it is a zip archive: unpack it first";
  const bool text = std::all_of(head.begin(), head.end(), [](unsigned char byte) { return byte >= 9 && byte < 127; });
  return text ? "it looks like a text file" : "";
}

/// Refuses, with the reason, whatever cannot be an HDF5 file. Returns the number of bytes.
std::int64_t check_is_hdf5(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || ::access(path.c_str(), R_OK) != 0)
    throw IoError({.problem = std::string("cannot be opened: ") + std::strerror(errno), .file = path});
  if (S_ISDIR(status.st_mode)) throw IoError({.problem = "is a folder, not a file", .file = path});
  if (!S_ISREG(status.st_mode)) throw IoError({.problem = "is not a regular file", .file = path});
  if (status.st_size == 0) throw FormatError({.problem = "is empty (0 bytes)", .file = path});
  const htri_t is_hdf5 = quietly([&] { return H5Fis_hdf5(path.c_str()); });
  quietly([] { return H5Eclear2(H5E_DEFAULT); });
  if (is_hdf5 <= 0) throw FormatError({.problem = "is not an HDF5 file", .file = path, .remedy = likely_kind(path)});
  hdf5::check_superblock(path, status.st_size);
  return status.st_size;
}

[[noreturn]] void throw_open_failure(const hdf5::Failure& failure, const std::string& path, bool writable) {
  if (failure.mentions("truncated file"))
    throw FormatError(
        {.problem = "is shorter than it says: truncated", .file = path, .remedy = "copy or download it anew"});
  if (failure.mentions("unable to lock file"))
    throw IoError({.problem = "is in use by another program that writes to it",
                   .file = path,
                   .remedy = "close it there first"});
  if (failure.mentions("already open for"))
    throw FormatError({.problem = "was not closed by the program that wrote it",
                       .file = path,
                       .remedy = "if no program has it open, repair it with: h5clear -s FILE"});
  if (writable && failure.system_error == 0)
    throw FormatError({.problem = "cannot be opened for changing (HDF5: " + valid_utf8(failure.innermost()) + ")",
                       .file = path,
                       .remedy = "write it anew with anndata, or with h5repack, and try again"});
  hdf5::throw_failure(failure, path, "", "cannot be opened");
}

Hdf5Handle make_file_access(bool with_locks) {
  Hdf5Handle list(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_file_locking(list.id(), with_locks, true);
  // Objects of HDF5 1.8 and later: attributes above 64 kB (long column lists) need them. Every reader of today can.
  H5Pset_libver_bounds(list.id(), H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  return list;
}

/// Some network file systems have no locks and say so with an error; a lock held by another is EAGAIN.
bool locks_are_missing(const hdf5::Failure& failure) {
  return failure.mentions("unable to lock file") && failure.system_error != EAGAIN;
}

hid_t open_file(const std::string& path, bool writable, bool with_locks) {
  const Hdf5Handle access = make_file_access(with_locks);
  return H5Fopen(path.c_str(), writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, access.id());
}

/// Closes a file that cannot be written to its end, with everything in it that is still open.
void abandon(hid_t file) {
  const hdf5::Quiet quiet;
  hdf5::divert_writes(file);
  std::array<hid_t, 256> open{};
  const unsigned kinds = H5F_OBJ_DATASET | H5F_OBJ_GROUP | H5F_OBJ_DATATYPE | H5F_OBJ_ATTR;
  const ssize_t count = H5Fget_obj_ids(file, kinds, open.size(), open.data());
  for (ssize_t index = 0; index < count; ++index) H5Idec_ref(open[static_cast<std::size_t>(index)]);
  H5Fclose(file);
  H5Eclear2(H5E_DEFAULT);
}

herr_t collect_link(hid_t, const char* name, const H5L_info_t*, void* names) {
  try {
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  } catch (...) {
    return -1;
  }
  return 0;
}

herr_t collect_attribute(hid_t, const char* name, const H5A_info_t*, void* names) {
  try {
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  } catch (...) {
    return -1;
  }
  return 0;
}

const char* name_of_filter(H5Z_filter_t filter) {
  switch (filter) {
    case H5Z_FILTER_SZIP:
      return "szip";
    case 305:
      return "lzo";
    case 307:
      return "bzip2";
    case 32001:
      return "blosc";
    case 32004:
      return "lz4";
    case 32008:
      return "bitshuffle";
    case 32013:
      return "zfp";
    case 32015:
      return "zstd";
    case 32026:
      return "blosc2";
    default:
      return nullptr;
  }
}

/// Bytes of a value in the file. Variable-length values are references there: length, address and index.
std::int64_t bytes_on_disk(hid_t type) {
  constexpr std::int64_t kReference = 4 + 8 + 4;
  const auto size = static_cast<std::int64_t>(H5Tget_size(type));
  switch (H5Tget_class(type)) {
    case H5T_STRING:
      return H5Tis_variable_str(type) > 0 ? kReference : size;
    case H5T_VLEN:
      return kReference;
    case H5T_ARRAY: {
      const Hdf5Handle base(H5Tget_super(type));
      const auto base_size = static_cast<std::int64_t>(H5Tget_size(base.id()));
      return base_size > 0 ? size / base_size * bytes_on_disk(base.id()) : size;
    }
    case H5T_COMPOUND: {
      std::int64_t total = size;
      for (int index = 0; index < H5Tget_nmembers(type); ++index) {
        const Hdf5Handle member(H5Tget_member_type(type, static_cast<unsigned>(index)));
        total += bytes_on_disk(member.id()) - static_cast<std::int64_t>(H5Tget_size(member.id()));
      }
      return total;
    }
    default:
      return size;
  }
}

/// Whether the values can be had: with filters that are there, and from this file.
class StorageCheck {
 public:
  StorageCheck(hid_t dataset, const std::string& file, const std::string& path)
      : file_(file),
        path_(path),
        creation_(checked(file, path, "cannot be opened", [&] { return H5Dget_create_plist(dataset); })),
        type_(checked(file, path, "cannot be opened", [&] { return H5Dget_type(dataset); })) {}

  struct Chunk {
    std::vector<std::int64_t> shape;
    std::int64_t bytes = 0;
    std::vector<hdf5::StoredFilter> filters;
  };

  Chunk run(std::size_t rank) {
    const hdf5::Quiet quiet;
    check_fill_value();
    const H5D_layout_t layout = H5Pget_layout(creation_.id());
    if (layout == H5D_VIRTUAL || H5Pget_external_count(creation_.id()) > 0)
      throw FormatError({.problem = "keeps its values in other files, which is not supported",
                         .file = file_,
                         .field = path_,
                         .remedy = "copy it into one file (h5repack)"});
    if (layout != H5D_CHUNKED) return {};
    std::array<hsize_t, H5S_MAX_RANK> extents{};
    const int chunk_rank = H5Pget_chunk(creation_.id(), static_cast<int>(extents.size()), extents.data());
    const std::vector<std::int64_t> chunk(extents.begin(), extents.begin() + std::max(chunk_rank, 0));
    if (chunk.size() != rank)
      refuse_as_damaged("has " + std::to_string(rank) + " dimensions, but its chunks have " +
                        std::to_string(chunk.size()));
    return {chunk, check_chunk(chunk), check_filters()};
  }

 private:
  const std::string& file_;
  const std::string& path_;
  Hdf5Handle creation_;
  Hdf5Handle type_;

  [[noreturn]] void refuse_as_damaged(std::string problem) const {
    throw FormatError(
        {.problem = std::move(problem), .file = file_, .field = path_, .remedy = "the file is damaged: get it anew"});
  }

  /// HDF5 takes the fill value to be as long as a value, whatever the file says, and tells its length in the encoded
  /// list alone: behind the name come the times of allocation and filling, a byte each, and eight bytes of length.
  void check_fill_value() const {
    std::size_t size = 0;
    if (H5Pencode(creation_.id(), nullptr, &size) < 0) refuse_as_damaged("has a fill value that cannot be read");
    std::vector<std::uint8_t> list(size);
    if (H5Pencode(creation_.id(), list.data(), &size) < 0) refuse_as_damaged("has a fill value that cannot be read");
    constexpr std::string_view kName{"fill_value\0", 11};
    const auto name = std::search(list.begin(), list.end(), kName.begin(), kName.end());
    if (list.end() - name < std::ssize(kName) + 10) return;
    std::int64_t stated = 0;
    for (int byte = 7; byte >= 0; --byte) stated = stated << 8 | name[std::ssize(kName) + 2 + byte];
    if (stated > 0 && stated < bytes_on_disk(type_.id()))
      refuse_as_damaged("has a fill value of " + std::to_string(stated) + " bytes where a value has " +
                        std::to_string(bytes_on_disk(type_.id())));
  }

  std::int64_t check_chunk(const std::vector<std::int64_t>& chunk) const {
    constexpr std::int64_t kLargestChunk = std::int64_t{1} << 31;
    std::int64_t bytes = bytes_on_disk(type_.id());
    for (const std::int64_t extent : chunk)
      if (extent <= 0 || __builtin_mul_overflow(bytes, extent, &bytes) || bytes > kLargestChunk)
        throw FormatError({.problem = "is stored in chunks of more than 2 GB, which no sound file has",
                           .file = file_,
                           .field = path_});
    return bytes;
  }

  std::vector<hdf5::StoredFilter> check_filters() const {
    const int n_filters = H5Pget_nfilters(creation_.id());
    for (int index = 0; index < n_filters; ++index) check_filter(static_cast<unsigned>(index));
    std::vector<hdf5::StoredFilter> filters = hdf5::filters_of(creation_.id());
    if (hdf5::packs_repeatedly(filters))
      throw FormatError({.problem = "is compressed more than once, which is not supported",
                         .file = file_,
                         .field = path_,
                         .remedy = "write the file anew with compression=\"gzip\" or \"lzf\" alone"});
    return filters;
  }

  void check_filter(unsigned index) const {
    unsigned flags = 0;
    unsigned config = 0;
    std::size_t n_values = 0;
    std::array<char, 64> given_name{};
    const H5Z_filter_t filter = H5Pget_filter2(creation_.id(), index, &flags, &n_values, nullptr,
                                               given_name.size() - 1, given_name.data(), &config);
    constexpr H5Z_filter_t kLzf = 32000;
    // HDF5 has these, too, but trusts what they unpack; no program of the field writes them.
    const bool trusting = filter == H5Z_FILTER_SZIP || filter == H5Z_FILTER_NBIT || filter == H5Z_FILTER_SCALEOFFSET;
    if (filter == kLzf || (H5Zfilter_avail(filter) > 0 && !trusting)) return;
    const char* known = name_of_filter(filter);
    const std::string name = known ? known : valid_utf8(given_name.data());
    throw FormatError({.problem = "is compressed with the HDF5 filter '" + name + "' (" + std::to_string(filter) +
                                  "), which is not available",
                       .file = file_,
                       .field = path_,
                       .remedy = "write the file anew with compression=\"gzip\" or \"lzf\", or install the filter's "
                                 "plugin and set HDF5_PLUGIN_PATH"});
  }
};

/// A chunk is unpacked anew at every access unless there is room to keep it. Room for one row of chunks, within
/// reason.
std::size_t cache_bytes(const Hdf5Info& info, std::size_t value_bytes) {
  constexpr std::int64_t kDefault = 1 << 20;
  constexpr std::int64_t kLargestBand = 128 << 20;
  if (info.chunk.empty()) return kDefault;
  std::int64_t chunk = static_cast<std::int64_t>(value_bytes);
  for (const std::int64_t extent : info.chunk) chunk *= extent;
  std::int64_t band = chunk;
  for (std::size_t axis = 1; axis < info.chunk.size() && axis < info.shape.size(); ++axis) {
    const std::int64_t across = (info.shape[axis] + info.chunk[axis] - 1) / info.chunk[axis];
    if (__builtin_mul_overflow(band, across, &band)) band = kLargestBand;
  }
  return static_cast<std::size_t>(std::max({kDefault, chunk, std::min(band, kLargestBand)}));
}

}  // namespace

Hdf5Compression parse_compression(const std::string& name) {
  if (name.empty()) return Hdf5Compression::none;
  if (name == "gzip") return Hdf5Compression::gzip;
  if (name == "lzf") return Hdf5Compression::lzf;
  throw InputError({.problem = "'" + name + "' is no compression that can be written",
                    .field = "compression",
                    .remedy = "choose gzip, lzf or none"});
}

Hdf5File Hdf5File::open_existing(const std::string& path, bool writable) {
  hdf5::prepare_library();
  Hdf5File file;
  file.path_ = path;
  file.writable_ = writable;
  file.file_bytes_ = check_is_hdf5(path);
  const hdf5::Quiet quiet;
  hid_t id = open_file(path, writable, true);
  if (id < 0) {
    const hdf5::Failure failure = hdf5::take_failure();
    if (locks_are_missing(failure)) id = open_file(path, writable, false);
    if (id < 0) throw_open_failure(failure, path, writable);
  }
  file.handle_ = Hdf5Handle(id);
  return file;
}

Hdf5File Hdf5File::open(const std::string& path) {
  return open_existing(path, false);
}

Hdf5File Hdf5File::open_for_update(const std::string& path, const std::string& shown_as) {
  Hdf5File file = open_existing(path, true);
  if (!shown_as.empty()) file.path_ = shown_as;
  return file;
}

Hdf5File Hdf5File::create(const std::string& path, const std::string& shown_as) {
  hdf5::prepare_library();
  Hdf5File file;
  file.path_ = shown_as.empty() ? path : shown_as;
  file.writable_ = true;
  const hdf5::Quiet quiet;
  const Hdf5Handle creation(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_obj_track_times(creation.id(), false);
  for (const bool with_locks : {true, false}) {
    const Hdf5Handle access = make_file_access(with_locks);
    file.handle_ = Hdf5Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()));
    if (file.handle_) return file;
    const hdf5::Failure failure = hdf5::take_failure();
    if (!with_locks || !locks_are_missing(failure)) hdf5::throw_failure(failure, file.path_, "", "cannot be created");
  }
  return file;
}

Hdf5File::~Hdf5File() {
  if (!handle_ || !writable_) return;
  const hid_t id = handle_.release();
  const hdf5::Quiet quiet;
  if (H5Fflush(id, H5F_SCOPE_GLOBAL) < 0)
    abandon(id);
  else
    H5Fclose(id);
}

void Hdf5File::close() {
  if (!handle_) return;
  if (!writable_) return handle_.reset();
  const hid_t id = handle_.release();
  const hdf5::Quiet quiet;
  if (hdf5::is_diverted(id)) {
    abandon(id);
    throw IoError(
        {.problem = "could not be written to its end", .file = path_, .remedy = "make room or write elsewhere"});
  }
  if (H5Fflush(id, H5F_SCOPE_GLOBAL) < 0) {
    const hdf5::Failure failure = hdf5::take_failure();
    abandon(id);
    hdf5::throw_failure(failure, path_, "", "cannot be written");
  }
  if (H5Fclose(id) < 0) hdf5::throw_failure(hdf5::take_failure(), path_, "", "cannot be closed");
}

Hdf5Handle Hdf5File::open_object(const std::string& path) const {
  const std::string inside = normalized(path);
  return Hdf5Handle(checked(path_, shown(inside), "cannot be opened",
                            [&] { return H5Oopen(handle_.id(), from_root(inside), hdf5::link_access()); }));
}

Hdf5Kind Hdf5File::kind(const std::string& path) const {
  const std::string inside = normalized(path);
  const hdf5::Quiet quiet;
  // Level by level: HDF5 takes a missing group on the way for an error.
  for (std::size_t end = 0; end != std::string::npos && !inside.empty();) {
    end = inside.find('/', end + 1);
    const std::string part = inside.substr(0, end);
    const htri_t exists = H5Lexists(handle_.id(), part.c_str(), hdf5::link_access());
    if (exists < 0) hdf5::throw_failure(hdf5::take_failure(), path_, part, "cannot be opened");
    if (exists == 0) return Hdf5Kind::absent;
    if (end == std::string::npos) break;
    const Hdf5Handle group = open_object(part);
    if (H5Iget_type(group.id()) != H5I_GROUP) return Hdf5Kind::absent;
  }
  H5L_info_t link{};
  const bool external = !inside.empty() &&
                        H5Lget_info(handle_.id(), inside.c_str(), &link, hdf5::link_access()) >= 0 &&
                        link.type != H5L_TYPE_HARD && link.type != H5L_TYPE_SOFT;
  if (external)
    throw FormatError({.problem = "is a link to another file, which is refused",
                       .file = path_,
                       .field = inside,
                       .remedy = "copy it into this file"});
  const Hdf5Handle object = open_object(inside);
  const H5I_type_t type = H5Iget_type(object.id());
  if (type == H5I_GROUP) return Hdf5Kind::group;
  return type == H5I_DATASET ? Hdf5Kind::dataset : Hdf5Kind::other;
}

std::vector<std::string> Hdf5File::children(const std::string& path) const {
  const std::string inside = normalized(path);
  if (kind(inside) != Hdf5Kind::group) return {};
  const Hdf5Handle group = open_object(inside);
  std::vector<std::string> names;
  checked(path_, shown(inside), "cannot be listed", [&]() -> herr_t {
    hsize_t next = 0;
    if (H5Literate(group.id(), H5_INDEX_CRT_ORDER, H5_ITER_INC, &next, collect_link, &names) >= 0) return 0;
    H5Eclear2(H5E_DEFAULT);
    names.clear();
    next = 0;
    return H5Literate(group.id(), H5_INDEX_NAME, H5_ITER_INC, &next, collect_link, &names);
  });
  const auto invalid = [&](const std::string& name) {
    if (is_valid_utf8(name)) return false;
    log_warning(path_ + ": " + shown(inside) +
                ": an element whose name is not valid UTF-8 is passed over: " + valid_utf8(name));
    return true;
  };
  std::erase_if(names, invalid);
  return names;
}

Hdf5Info Hdf5File::info(const std::string& path) const {
  return open_dataset(path).info();
}

Hdf5Dataset Hdf5File::open_dataset(const std::string& path) const {
  const std::string inside = normalized(path);
  const Hdf5Kind what = kind(inside);
  if (what != Hdf5Kind::dataset)
    throw FormatError({.problem = what == Hdf5Kind::absent  ? "is missing"
                                  : what == Hdf5Kind::group ? "is a group where an array is expected"
                                                            : "is no array",
                       .file = path_,
                       .field = shown(inside)});
  const hdf5::Quiet quiet;
  Hdf5Dataset dataset;
  dataset.file_ = path_;
  dataset.path_ = inside;
  dataset.file_bytes_ = file_bytes_;
  hsize_t bytes_now = 0;
  if (writable_ && H5Fget_filesize(handle_.id(), &bytes_now) >= 0)
    dataset.file_bytes_ = std::max(file_bytes_, static_cast<std::int64_t>(bytes_now));
  dataset.handle_ = open_object(inside);
  const auto have = [&](hid_t id) {
    if (id < 0) hdf5::throw_failure(hdf5::take_failure(), path_, inside, "cannot be opened");
    return Hdf5Handle(id);
  };
  const Hdf5Handle space = have(H5Dget_space(dataset.id()));
  const Hdf5Handle type = have(H5Dget_type(dataset.id()));
  dataset.info_ = hdf5::describe(space.id(), type.id(), path_, inside);
  const StorageCheck::Chunk chunk = StorageCheck(dataset.id(), path_, inside).run(dataset.info_.shape.size());
  dataset.info_.chunk = chunk.shape;
  dataset.chunk_bytes_ = chunk.bytes;
  if (chunk.shape.empty()) return dataset;
  // Without filters HDF5 takes the length of a chunk from the file's index, and reads past the chunk when that is a
  // lie; without a cache it goes by the layout.
  const std::size_t cache = chunk.filters.empty() ? 0 : cache_bytes(dataset.info_, H5Tget_size(type.id()));
  const Hdf5Handle access(H5Pcreate(H5P_DATASET_ACCESS));
  constexpr std::size_t kSlots = 12421;
  H5Pset_chunk_cache(access.id(), kSlots, cache, 1.0);
  hdf5::refuse_external_links(access.id());
  dataset.handle_ = Hdf5Handle();
  dataset.handle_ = have(H5Dopen2(handle_.id(), inside.c_str(), access.id()));
  if (chunk.filters.empty() || !hdf5::can_unpack(chunk.filters)) return dataset;
  dataset.chunks_ = std::make_shared<hdf5::ChunkReader>(
      dataset.id(),
      hdf5::ChunkedLayout{.shape = dataset.info_.shape,
                          .chunk = chunk.shape,
                          .chunk_bytes = chunk.bytes,
                          .file_bytes = dataset.file_bytes_,
                          .kept_bytes = std::max<std::int64_t>(static_cast<std::int64_t>(cache), 16 << 20),
                          .filters = chunk.filters},
      path_, inside);
  return dataset;
}

template <class T>
Hdf5Array<T> Hdf5File::read(const std::string& path) const {
  const Hdf5Dataset dataset = open_dataset(path);
  dataset.require_numbers();
  dataset.check_plausible(static_cast<std::int64_t>(sizeof(T)));
  Hdf5Array<T> array{dataset.info().shape, std::vector<T>(static_cast<std::size_t>(dataset.info().size()))};
  if (!array.values.empty()) dataset.read_all(array.values.data());
  return array;
}

namespace {

template <class T>
T only_value(const std::vector<T>& values, const std::string& file, const std::string& place) {
  if (values.size() == 1) return values.front();
  throw FormatError({.problem = "holds " + std::to_string(values.size()) + " values where one is expected",
                     .file = file,
                     .field = place});
}

}  // namespace

template <class T>
T Hdf5File::read_scalar(const std::string& path) const {
  return only_value(read<T>(path).values, path_, normalized(path));
}

Hdf5Array<std::string> Hdf5File::read_strings(const std::string& path) const {
  const Hdf5Dataset dataset = open_dataset(path);
  return {dataset.info().shape, dataset.read_strings()};
}

std::string Hdf5File::read_string(const std::string& path) const {
  return only_value(read_strings(path).values, path_, normalized(path));
}

std::vector<std::string> Hdf5File::attribute_names(const std::string& path) const {
  const Hdf5Handle object = open_object(path);
  std::vector<std::string> names;
  checked(path_, shown(normalized(path)), "has attributes that cannot be listed", [&] {
    hsize_t next = 0;
    return H5Aiterate2(object.id(), H5_INDEX_NAME, H5_ITER_INC, &next, collect_attribute, &names);
  });
  std::erase_if(names, [](const std::string& name) { return !is_valid_utf8(name); });
  return names;
}

bool Hdf5File::has_attribute(const std::string& path, const std::string& name) const {
  const Hdf5Handle object = open_object(path);
  return checked(path_, attribute_place(path, name), "cannot be looked for",
                 [&] { return H5Aexists(object.id(), name.c_str()); }) > 0;
}

Hdf5Handle Hdf5File::open_attribute(const std::string& path, const std::string& name) const {
  if (!has_attribute(path, name))
    throw FormatError({.problem = "is missing", .file = path_, .field = attribute_place(path, name)});
  const Hdf5Handle object = open_object(path);
  return Hdf5Handle(checked(path_, attribute_place(path, name), "cannot be opened",
                            [&] { return H5Aopen(object.id(), name.c_str(), H5P_DEFAULT); }));
}

namespace {

/// An attribute's type, shape and bytes; HDF5 holds every attribute within the file's metadata.
struct OpenAttribute {
  Hdf5Handle type;
  Hdf5Info info;
  std::size_t item_bytes = 0;
};

OpenAttribute examine(hid_t attribute, std::int64_t file_bytes, const std::string& file, const std::string& place) {
  OpenAttribute open;
  open.type = Hdf5Handle(checked(file, place, "cannot be read", [&] { return H5Aget_type(attribute); }));
  const Hdf5Handle space(checked(file, place, "cannot be read", [&] { return H5Aget_space(attribute); }));
  const hdf5::Quiet quiet;
  open.info = hdf5::describe(space.id(), open.type.id(), file, place);
  open.item_bytes = H5Tget_size(open.type.id());
  // The file's own bytes when it is being read; one that is being written is ours.
  const std::int64_t limit = std::max<std::int64_t>(file_bytes, std::int64_t{1} << 24);
  if (open.info.size() * static_cast<std::int64_t>(std::max<std::size_t>(open.item_bytes, 1)) > limit)
    throw FormatError({.problem = "claims more values than the file has bytes", .file = file, .field = place});
  return open;
}

}  // namespace

Hdf5Info Hdf5File::attribute_info(const std::string& path, const std::string& name) const {
  const Hdf5Handle attribute = open_attribute(path, name);
  return examine(attribute.id(), file_bytes_, path_, attribute_place(path, name)).info;
}

std::vector<std::string> Hdf5File::attribute_strings(const std::string& path, const std::string& name) const {
  const std::string place = attribute_place(path, name);
  const Hdf5Handle attribute = open_attribute(path, name);
  const OpenAttribute open = examine(attribute.id(), file_bytes_, path_, place);
  if (open.info.value_class != Hdf5Class::text)
    throw FormatError(
        {.problem = "holds " + open.info.type_name + " where text is expected", .file = path_, .field = place});
  const std::size_t size = static_cast<std::size_t>(open.info.size());
  if (size == 0) return {};
  hdf5::TextDecoder decoder(attribute.id(), open.type.id(), path_, place, file_bytes_);
  std::vector<char> raw(size * decoder.item_bytes(), 0);
  checked(path_, place, "cannot be read", [&] { return H5Aread(attribute.id(), decoder.memory_type(), raw.data()); });
  std::vector<std::string> texts;
  for (std::size_t item = 0; item < size; ++item)
    texts.push_back(decoder.decode(raw.data() + item * decoder.item_bytes()));
  decoder.finish();
  return texts;
}

std::string Hdf5File::attribute_string(const std::string& path, const std::string& name) const {
  return only_value(attribute_strings(path, name), path_, attribute_place(path, name));
}

std::string Hdf5File::attribute_string(const std::string& path, const std::string& name,
                                       const std::string& otherwise) const {
  if (!has_attribute(path, name)) return otherwise;
  const Hdf5Info info = attribute_info(path, name);
  return info.value_class == Hdf5Class::text && info.size() == 1 ? attribute_string(path, name) : otherwise;
}

template <class T>
std::vector<T> Hdf5File::attribute_numbers(const std::string& path, const std::string& name) const {
  const std::string place = attribute_place(path, name);
  const Hdf5Handle attribute = open_attribute(path, name);
  const OpenAttribute open = examine(attribute.id(), file_bytes_, path_, place);
  if (!open.info.is_numeric())
    throw FormatError(
        {.problem = "holds " + open.info.type_name + " where numbers are expected", .file = path_, .field = place});
  std::vector<T> values(static_cast<std::size_t>(open.info.size()));
  if (values.empty()) return values;
  checked(path_, place, "cannot be read", [&] { return H5Aread(attribute.id(), native_type<T>(), values.data()); });
  return values;
}

template <class T>
T Hdf5File::attribute_number(const std::string& path, const std::string& name) const {
  return only_value(attribute_numbers<T>(path, name), path_, attribute_place(path, name));
}

std::string Hdf5File::attribute_reference(const std::string& path, const std::string& name) const {
  const Hdf5Handle attribute = open_attribute(path, name);
  const Hdf5Handle type(
      checked(path_, attribute_place(path, name), "cannot be read", [&] { return H5Aget_type(attribute.id()); }));
  const hdf5::Quiet quiet;
  const Hdf5Handle space(H5Aget_space(attribute.id()));
  if (H5Tequal(type.id(), H5T_STD_REF_OBJ) <= 0 || H5Sget_simple_extent_npoints(space.id()) != 1) return "";
  hobj_ref_t reference{};
  std::array<char, 4096> target{};
  const bool found = H5Aread(attribute.id(), H5T_STD_REF_OBJ, &reference) >= 0 &&
                     H5Rget_name(attribute.id(), H5R_OBJECT, &reference, target.data(), target.size() - 1) > 0;
  H5Eclear2(H5E_DEFAULT);
  return found ? normalized(target.data()) : "";
}

#define SCVI_INSTANTIATE(T)                                                                             \
  template Hdf5Array<T> Hdf5File::read<T>(const std::string&) const;                                    \
  template T Hdf5File::read_scalar<T>(const std::string&) const;                                        \
  template std::vector<T> Hdf5File::attribute_numbers<T>(const std::string&, const std::string&) const; \
  template T Hdf5File::attribute_number<T>(const std::string&, const std::string&) const;
SCVI_INSTANTIATE(float)
SCVI_INSTANTIATE(double)
SCVI_INSTANTIATE(std::int32_t)
SCVI_INSTANTIATE(std::int64_t)
SCVI_INSTANTIATE(std::uint8_t)
SCVI_INSTANTIATE(std::uint64_t)
#undef SCVI_INSTANTIATE

}  // namespace scvi::io
