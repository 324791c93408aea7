#include "scvi/io/torch_archive.hpp"

#include <zip.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/pickle.hpp"

static_assert(std::endian::native == std::endian::little, "records are copied as they lie in the file");

namespace scvi::io {

namespace {

using Type = NamedTensor::Type;

constexpr std::string_view kArchiveName = "archive";
constexpr std::string_view kSaveAgain = "save it again in Python with torch.save(model.state_dict(), path)";
constexpr std::string_view kDamaged = "the file is damaged or truncated; fetch or save it again";

/// Product of the sizes, or nothing when one is negative or the sizes other than 0 have a product that does not fit.
std::optional<std::int64_t> checked_product(std::span<const std::int64_t> sizes) {
  std::int64_t product = 1;
  for (const std::int64_t size : sizes) {
    if (size < 0) return std::nullopt;
    if (size == 0) continue;
    if (product > std::numeric_limits<std::int64_t>::max() / size) return std::nullopt;
    product *= size;
  }
  return std::ranges::find(sizes, 0) == sizes.end() ? product : 0;
}

std::string describe_shape(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

/// A name out of a file as a message may show it: on one line and not endless.
std::string quote(std::string_view name) {
  constexpr std::size_t kLongest = 200;
  std::string shown(name.substr(0, kLongest));
  std::ranges::replace_if(
      shown, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return "'" + shown + (name.size() > kLongest ? "..." : "") + "'";
}

std::string describe_tensor(std::string_view name) {
  return "tensor " + quote(name);
}

// How torch names element types, and how each comes out.

using Convert = std::vector<std::byte> (*)(std::vector<std::byte>);

template <class From, class To>
std::vector<std::byte> convert_each(const std::vector<std::byte>& bytes, To (*one)(From)) {
  std::vector<std::byte> out(bytes.size() / sizeof(From) * sizeof(To));
  for (std::size_t i = 0; i < bytes.size() / sizeof(From); ++i) {
    From from;
    std::memcpy(&from, bytes.data() + i * sizeof(From), sizeof(From));
    const To to = one(from);
    std::memcpy(out.data() + i * sizeof(To), &to, sizeof(To));
  }
  return out;
}

std::vector<std::byte> keep(std::vector<std::byte> bytes) {
  return bytes;
}

/// bfloat16 is the upper half of a float32.
std::vector<std::byte> widen_bfloat16(std::vector<std::byte> bytes) {
  return convert_each<std::uint16_t, std::uint32_t>(bytes,
                                                    [](std::uint16_t half) { return std::uint32_t{half} << 16; });
}

std::vector<std::byte> widen_int8(std::vector<std::byte> bytes) {
  return convert_each<std::int8_t, std::int32_t>(bytes, [](std::int8_t value) { return std::int32_t{value}; });
}

std::vector<std::byte> widen_int16(std::vector<std::byte> bytes) {
  return convert_each<std::int16_t, std::int32_t>(bytes, [](std::int16_t value) { return std::int32_t{value}; });
}

/// A bool that is neither 0 nor 1 is undefined behaviour wherever it is read.
std::vector<std::byte> normalise_boolean(std::vector<std::byte> bytes) {
  for (std::byte& value : bytes) value = std::byte{value != std::byte{0}};
  return bytes;
}

struct StorageKind {
  std::string_view name;  ///< class in module torch
  std::size_t stored_size;
  Type type;
  Convert convert;
};

/// The first kind of a type is the one to write.
constexpr std::array kStorageKinds = {
    StorageKind{"FloatStorage", 4, Type::float32, keep},
    StorageKind{"DoubleStorage", 8, Type::float64, keep},
    StorageKind{"HalfStorage", 2, Type::float16, keep},
    StorageKind{"LongStorage", 8, Type::int64, keep},
    StorageKind{"IntStorage", 4, Type::int32, keep},
    StorageKind{"ByteStorage", 1, Type::uint8, keep},
    StorageKind{"BoolStorage", 1, Type::boolean, normalise_boolean},
    StorageKind{"BFloat16Storage", 2, Type::float32, widen_bfloat16},
    StorageKind{"ShortStorage", 2, Type::int32, widen_int16},
    StorageKind{"CharStorage", 1, Type::int32, widen_int8},
};

const StorageKind& storage_kind(Type type) {
  return *std::ranges::find(kStorageKinds, type, &StorageKind::type);
}

// Zip files.

struct DiscardZip {
  void operator()(zip_t* zip) const { zip_discard(zip); }
};
using Zip = std::unique_ptr<zip_t, DiscardZip>;

struct CloseZipFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using ZipFile = std::unique_ptr<zip_file_t, CloseZipFile>;

std::string zip_message(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string message = zip_error_strerror(&error);
  zip_error_fini(&error);
  return message;
}

// Writing.

/// Writes the pickle that Python's pickler makes of an OrderedDict of tensors, instruction for instruction, with one
/// memo slot for each object that it would remember.
class StateDictPickler {
 public:
  std::string run(std::span<const NamedTensor> tensors) {
    out_ = "\x80\x02";
    put_global("collections", "OrderedDict");
    out_ += ")R";
    memoize();
    for (std::size_t first = 0; first < tensors.size(); first += kBatch) {
      put_batch(tensors.subspan(first, std::min(kBatch, tensors.size() - first)), first);
    }
    return std::move(out_) + ".";
  }

 private:
  static constexpr std::size_t kBatch = 1000;

  template <class T>
  void put_raw(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
  }

  void put_with_index(char opcode_of_byte, char opcode_of_word, std::uint32_t index) {
    if (index <= 0xFF) {
      out_ += opcode_of_byte;
      put_raw(static_cast<std::uint8_t>(index));
    } else {
      out_ += opcode_of_word;
      put_raw(index);
    }
  }

  void memoize() { put_with_index('q', 'r', n_memoized_++); }

  /// Puts what is equal to an earlier one as a reference to it. Returns whether it was.
  bool put_known(const std::string& what) {
    const auto known = known_.find(what);
    if (known != known_.end()) {
      put_with_index('h', 'j', known->second);
      return true;
    }
    known_.emplace(what, n_memoized_);
    return false;
  }

  void put_global(std::string_view module, std::string_view name) {
    const std::string instruction = "c" + std::string(module) + "\n" + std::string(name) + "\n";
    if (put_known(instruction)) return;
    out_ += instruction;
    memoize();
  }

  void put_text(std::string_view text) {
    out_ += 'X';
    put_raw(static_cast<std::uint32_t>(text.size()));
    out_ += text;
    memoize();
  }

  void put_shared_text(const std::string& text) {
    if (!put_known("X" + text)) put_text(text);
  }

  void put_integer(std::int64_t value) {
    if (value <= 0xFF) {
      out_ += 'K';
      put_raw(static_cast<std::uint8_t>(value));
    } else if (value <= 0xFFFF) {
      out_ += 'M';
      put_raw(static_cast<std::uint16_t>(value));
    } else if (value <= std::numeric_limits<std::int32_t>::max()) {
      out_ += 'J';
      put_raw(static_cast<std::int32_t>(value));
    } else {
      put_long(value);
    }
  }

  void put_long(std::int64_t value) {
    // The fewest bytes whose top bit is clear, as the top bit is the sign.
    const int n_bytes = (std::bit_width(static_cast<std::uint64_t>(value)) + 8) / 8;
    out_ += '\x8a';
    out_ += static_cast<char>(n_bytes);
    out_.append(reinterpret_cast<const char*>(&value), static_cast<std::size_t>(n_bytes));
  }

  void put_tuple(std::span<const std::int64_t> values) {
    constexpr std::string_view kShort = ")\x85\x86\x87";
    if (values.size() >= kShort.size()) out_ += '(';
    for (const std::int64_t value : values) put_integer(value);
    out_ += values.size() < kShort.size() ? kShort[values.size()] : 't';
    if (!values.empty()) memoize();
  }

  void put_storage(const NamedTensor& tensor, std::size_t index) {
    out_ += '(';
    put_shared_text("storage");
    put_global("torch", storage_kind(tensor.type).name);
    put_text(std::to_string(index));
    put_shared_text("cpu");
    put_integer(tensor.n_elements());
    out_ += 't';
    memoize();
    out_ += 'Q';
  }

  static std::vector<std::int64_t> contiguous_strides(const std::vector<std::int64_t>& shape) {
    std::vector<std::int64_t> strides(shape.size());
    std::int64_t stride = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      strides[i] = stride;
      stride *= std::max<std::int64_t>(shape[i], 1);
    }
    return strides;
  }

  void put_tensor(const NamedTensor& tensor, std::size_t index) {
    put_global("torch._utils", "_rebuild_tensor_v2");
    out_ += '(';
    put_storage(tensor, index);
    put_integer(0);
    put_tuple(tensor.shape);
    put_tuple(contiguous_strides(tensor.shape));
    out_ += '\x89';
    put_global("collections", "OrderedDict");
    out_ += ")R";
    memoize();
    out_ += 't';
    memoize();
    out_ += 'R';
    memoize();
  }

  void put_batch(std::span<const NamedTensor> tensors, std::size_t first) {
    if (tensors.size() > 1) out_ += '(';
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      put_text(tensors[i].name);
      put_tensor(tensors[i], first + i);
    }
    out_ += tensors.size() > 1 ? 'u' : 's';
  }

  std::string out_;
  std::uint32_t n_memoized_ = 0;
  std::unordered_map<std::string, std::uint32_t> known_;
};

void check_writable(std::span<const NamedTensor> tensors) {
  std::unordered_set<std::string_view> names;
  for (const NamedTensor& tensor : tensors) {
    const std::string field = describe_tensor(tensor.name);
    if (!names.insert(tensor.name).second) throw InputError({.problem = "is given twice", .field = field});
    if (!is_valid_utf8(tensor.name)) throw InputError({.problem = "has a name that is not UTF-8", .field = field});
    const auto n_elements = static_cast<std::uint64_t>(tensor.n_elements());
    const std::uint64_t size = element_size(tensor.type);
    if (tensor.bytes.size() % size == 0 && tensor.bytes.size() / size == n_elements) continue;
    throw InputError({.problem = "of shape " + describe_shape(tensor.shape) + " has " +
                                 std::to_string(tensor.bytes.size()) + " bytes instead of " +
                                 std::to_string(n_elements) + " times " + std::to_string(size),
                      .field = field});
  }
}

/// Adds stored records to a new zip file. What the records hold must stay alive until close().
class RecordWriter {
 public:
  explicit RecordWriter(const std::string& path) : path_(path) {
    int code = 0;
    zip_.reset(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
    if (!zip_) fail("cannot be created (" + zip_message(code) + ")");
  }

  void add(std::string_view name, const void* data, std::size_t size) {
    const std::string full_name = std::string(kArchiveName) + "/" + std::string(name);
    zip_source_t* source = zip_source_buffer(zip_.get(), data, size, 0);
    if (source == nullptr) fail_here();
    const zip_int64_t index = zip_file_add(zip_.get(), full_name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      fail_here();
    }
    const auto record = static_cast<zip_uint64_t>(index);
    constexpr zip_uint16_t kMidnight = 0;
    constexpr zip_uint16_t kFirstOfJanuary1980 = (1 << 5) | 1;
    if (zip_set_file_compression(zip_.get(), record, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(zip_.get(), record, kMidnight, kFirstOfJanuary1980, 0) != 0) {
      fail_here();
    }
    align(record, full_name.size(), size);
  }

  void close() {
    if (zip_close(zip_.get()) != 0) fail_here();
    static_cast<void>(zip_.release());
  }

 private:
  /// As torch does, an extra field of padding lets each record begin at a multiple of 64 bytes, so that it can be
  /// mapped into memory.
  void align(zip_uint64_t record, std::size_t name_size, std::size_t size) {
    constexpr std::uint64_t kAlignment = 64;
    constexpr std::uint64_t kLocalHeader = 30;
    constexpr std::uint64_t kExtraHeader = 4;
    constexpr std::uint64_t kZip64Extra = 20;
    constexpr zip_uint16_t kPaddingId = 0x4246;
    const std::uint64_t zip64 = size >= std::numeric_limits<std::uint32_t>::max() ? kZip64Extra : 0;
    const std::uint64_t unpadded = offset_ + kLocalHeader + name_size + zip64 + kExtraHeader;
    const std::uint64_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
    const std::array<zip_uint8_t, kAlignment> zeros{};
    if (zip_file_extra_field_set(zip_.get(), record, kPaddingId, ZIP_EXTRA_FIELD_NEW, zeros.data(),
                                 static_cast<zip_uint16_t>(padding), ZIP_FL_LOCAL) != 0) {
      fail_here();
    }
    offset_ = unpadded + padding + size;
  }

  [[noreturn]] void fail(std::string problem) const {
    throw IoError({.problem = std::move(problem), .file = path_, .remedy = "check the folder and the free space"});
  }
  [[noreturn]] void fail_here() const { fail("cannot be written (" + std::string(zip_strerror(zip_.get())) + ")"); }

  std::string path_;
  Zip zip_;
  std::uint64_t offset_ = 0;
};

// Reading.

[[noreturn]] void fail_format(const std::string& path, std::string field, std::string problem,
                              std::string_view remedy) {
  throw FormatError(
      {.problem = std::move(problem), .file = path, .field = std::move(field), .remedy = std::string(remedy)});
}

/// Tells what lies at `path` when it does not begin as a zip file does.
void check_signature(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw IoError({.problem = "cannot be opened", .file = path, .remedy = "check the name and permissions"});
  std::array<char, 16> head{};
  file.read(head.data(), head.size());
  const std::string_view text(head.data(), static_cast<std::size_t>(file.gcount()));
  if (text.starts_with("PK\x03\x04")) return;
  constexpr std::string_view kLegacyMagicNumber = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  if (text.find(kLegacyMagicNumber) != std::string_view::npos) {
    fail_format(path, "", "is in the format that torch.save wrote before PyTorch 1.6, which is not read",
                "load it in Python and save it again: torch.save(torch.load(path), new_path)");
  }
  if (text.empty()) fail_format(path, "", "is empty", kDamaged);
  fail_format(path, "", "is not a file of torch.save (a zip file)", kSaveAgain);
}

/// The records of a torch archive: stored entries of a zip file below one folder.
class RecordReader {
 public:
  explicit RecordReader(const std::string& path) : path_(path) {
    std::error_code error;
    file_size_ = std::filesystem::file_size(path, error);
    if (error) throw IoError({.problem = "cannot be opened (" + error.message() + ")", .file = path});
    check_signature(path);
    int code = 0;
    zip_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
    if (!zip_) fail_format(path_, "", "is not a whole zip file (" + zip_message(code) + ")", kDamaged);
    list_entries();
    find_folder();
  }

  std::uint64_t file_size() const { return file_size_; }

  bool has(const std::string& name) const { return entries_.contains(folder_ + name); }

  std::uint64_t size(const std::string& name) const {
    const auto found = entries_.find(folder_ + name);
    if (found == entries_.end()) fail(name, "is missing");
    return found->second.size;
  }

  /// @throws FormatError also when the checksum does not match
  std::vector<std::byte> read(const std::string& name) const {
    std::vector<std::byte> bytes(size(name));
    const ZipFile file(zip_fopen_index(zip_.get(), entries_.at(folder_ + name).index, 0));
    if (!file) fail(name, "cannot be read (" + std::string(zip_strerror(zip_.get())) + ")");
    std::size_t done = 0;
    while (done < bytes.size()) {
      const zip_int64_t n_read = zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
      if (n_read <= 0) fail(name, "ends after " + std::to_string(done) + " bytes" + reason(file.get()));
      done += static_cast<std::size_t>(n_read);
    }
    // libzip compares the checksum when it is asked to read on at the end.
    std::byte beyond;
    if (zip_fread(file.get(), &beyond, 1) != 0) fail(name, "is damaged" + reason(file.get()));
    return bytes;
  }

 private:
  struct Entry {
    zip_uint64_t index;
    std::uint64_t size;
  };

  [[noreturn]] void fail(const std::string& name, std::string problem) const {
    fail_format(path_, "record " + quote(name), std::move(problem), kDamaged);
  }

  static std::string reason(zip_file_t* file) { return " (" + std::string(zip_file_strerror(file)) + ")"; }

  /// Stored entries cannot add up to more than the file, so what is allocated later stays in proportion to it.
  void list_entries() {
    std::uint64_t total = 0;
    const zip_int64_t n_entries = zip_get_num_entries(zip_.get(), 0);
    for (zip_int64_t i = 0; i < n_entries; ++i) {
      zip_stat_t stat;
      zip_stat_init(&stat);
      const auto index = static_cast<zip_uint64_t>(i);
      constexpr zip_uint64_t kNeeded =
          ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
      if (zip_stat_index(zip_.get(), index, ZIP_FL_ENC_RAW, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
        fail_format(path_, "", "has a directory that cannot be read", kDamaged);
      }
      if (stat.comp_method != ZIP_CM_STORE || stat.encryption_method != ZIP_EM_NONE) {
        fail(stat.name, "is compressed or encrypted, which torch.save does not do");
      }
      if (stat.size != stat.comp_size || stat.size > file_size_ || (total += stat.size) > file_size_) {
        fail(stat.name, "claims a size of " + std::to_string(stat.size) + " bytes, more than the file holds");
      }
      if (!entries_.emplace(stat.name, Entry{index, stat.size}).second) fail(stat.name, "is there twice");
    }
  }

  void find_folder() {
    constexpr std::string_view kPickle = "/data.pkl";
    for (const auto& [name, entry] : entries_) {
      if (!name.ends_with(kPickle) || name.find('/') != name.size() - kPickle.size()) continue;
      if (!folder_.empty()) fail_format(path_, "", "holds two archives", kDamaged);
      folder_ = name.substr(0, name.size() - kPickle.size() + 1);
    }
    if (folder_.empty()) fail_format(path_, "", "is a zip file, but not one of torch.save: no data.pkl", kSaveAgain);
  }

  std::string path_;
  std::uint64_t file_size_ = 0;
  Zip zip_;
  std::unordered_map<std::string, Entry> entries_;
  std::string folder_;  ///< with a slash at the end
};

/// Classes and functions that files of torch and of scvi-tools mention. None is called; the list says which content
/// is expected, so that anything else is named instead of being passed over.
bool may_construct(std::string_view module, std::string_view name) {
  using Name = std::pair<std::string_view, std::string_view>;
  static constexpr std::array kNames = {
      Name{"collections", "OrderedDict"},
      Name{"collections", "defaultdict"},
      Name{"collections", "Counter"},
      Name{"_codecs", "encode"},
      Name{"copyreg", "_reconstructor"},
      Name{"copy_reg", "_reconstructor"},
      Name{"torch", "Size"},
      Name{"torch", "device"},
      Name{"torch._tensor", "_rebuild_from_type_v2"},
      Name{"torch.serialization", "_get_layout"},
      Name{"numpy", "dtype"},
      Name{"numpy", "ndarray"},
      Name{"numpy.core.multiarray", "_reconstruct"},
      Name{"numpy._core.multiarray", "_reconstruct"},
      Name{"numpy.core.multiarray", "scalar"},
      Name{"numpy._core.multiarray", "scalar"},
      Name{"numpy.core.numeric", "_frombuffer"},
      Name{"numpy._core.numeric", "_frombuffer"},
      Name{"pandas.core.frame", "DataFrame"},
      Name{"pandas.core.series", "Series"},
      Name{"pandas.core.internals.managers", "BlockManager"},
      Name{"pandas.core.internals.managers", "SingleBlockManager"},
      Name{"pandas.core.internals.blocks", "new_block"},
      Name{"pandas._libs.internals", "_unpickle_block"},
      Name{"pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"},
  };
  static constexpr std::array<std::string_view, 8> kBuiltins = {"list",      "dict",  "set",     "frozenset",
                                                                "bytearray", "bytes", "complex", "slice"};
  static constexpr std::array<std::string_view, 4> kPackages = {"pandas.core.indexes.", "pandas.core.arrays.",
                                                                "pandas.core.dtypes.", "numpy.dtypes."};
  if (std::ranges::find(kNames, Name{module, name}) != kNames.end()) return true;
  if (module == "torch._utils") return name.starts_with("_rebuild_");
  if (module == "builtins" || module == "__builtin__") return std::ranges::find(kBuiltins, name) != kBuiltins.end();
  return std::ranges::any_of(
      kPackages, [&](std::string_view package) { return (std::string(module) + ".").starts_with(package); });
}

/// A tensor as the pickle describes it, all numbers checked against its record.
struct TensorPlan {
  std::string name;
  const StorageKind* kind = nullptr;
  std::string record;
  std::int64_t storage_elements = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  std::int64_t n_elements = 0;

  bool is_contiguous() const {
    if (n_elements == 0) return true;
    std::int64_t expected = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      if (shape[i] == 1) continue;
      if (strides[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }
};

/// A call that makes a tensor.
struct Call {
  const pickle::Global* function = nullptr;
  const std::vector<pickle::Ref>* args = nullptr;

  const pickle::Value* arg(std::size_t i) const { return i < args->size() ? (*args)[i] : nullptr; }
  template <class T>
  const T* arg_as(std::size_t i) const {
    return arg(i) == nullptr ? nullptr : arg(i)->as<T>();
  }
};

Call call_of(const pickle::Object& object) {
  return {&object.global(), &object.arguments()};
}

bool makes_tensor(const pickle::Global& function) {
  return (function.module == "torch._utils" && function.name.starts_with("_rebuild_")) ||
         function.is("torch._tensor", "_rebuild_from_type_v2");
}

/// Reads the description of one tensor.
class TensorPlanner {
 public:
  TensorPlanner(const RecordReader& records, const std::string& path, std::string name)
      : records_(records), path_(path) {
    plan_.name = std::move(name);
  }

  TensorPlan run(const pickle::Object& object) {
    const Call call = unwrap(call_of(object));
    if (!call.function->is("torch._utils", "_rebuild_tensor_v2")) {
      fail("is made by " + call.function->qualified() + ", a kind of tensor that is not read",
           "save it as a dense tensor of a common type");
    }
    read_storage(call.arg_as<pickle::PersistentId>(0));
    plan_.offset = integer(call.arg(1), "offset");
    plan_.shape = integers(call.arg_as<pickle::Tuple>(2), "shape");
    plan_.strides = integers(call.arg_as<pickle::Tuple>(3), "strides");
    check_bounds();
    if (const auto* flags = call.arg_as<pickle::Dict>(6); flags != nullptr && !flags->items.empty()) {
      fail("is stored conjugated or negated, which is not read", "save tensor.clone() instead");
    }
    return std::move(plan_);
  }

 private:
  [[noreturn]] void fail(std::string problem, std::string_view remedy = kDamaged) const {
    fail_format(path_, describe_tensor(plan_.name), std::move(problem), remedy);
  }

  /// Parameters and tensors with attributes wrap the making of a plain tensor.
  Call unwrap(Call call) const {
    while (true) {
      if (call.function->is("torch._tensor", "_rebuild_from_type_v2")) {
        const auto* function = call.arg_as<pickle::Global>(0);
        const auto* args = call.arg_as<pickle::Tuple>(2);
        if (function == nullptr || args == nullptr) fail("is not described as torch does");
        call = {function, &args->items};
      } else if (is_parameter(*call.function)) {
        const auto* data = call.arg_as<pickle::Object>(0);
        if (data == nullptr) fail("is a parameter without a tensor");
        call = call_of(*data);
      } else {
        return call;
      }
    }
  }

  static bool is_parameter(const pickle::Global& function) {
    return function.is("torch._utils", "_rebuild_parameter") ||
           function.is("torch._utils", "_rebuild_parameter_with_state");
  }

  std::int64_t integer(const pickle::Value* value, const std::string& what) const {
    const auto* number = value == nullptr ? nullptr : value->as<std::int64_t>();
    if (number == nullptr) fail("has a " + what + " that is not a whole number");
    if (*number < 0) fail("has " + std::to_string(*number) + " in its " + what);
    return *number;
  }

  std::vector<std::int64_t> integers(const pickle::Tuple* tuple, const std::string& what) const {
    constexpr std::size_t kMostDimensions = 64;
    if (tuple == nullptr) fail("has no " + what);
    if (tuple->items.size() > kMostDimensions) fail("has " + std::to_string(tuple->items.size()) + " dimensions");
    std::vector<std::int64_t> numbers;
    for (pickle::Ref item : tuple->items) numbers.push_back(integer(item, what));
    return numbers;
  }

  void read_storage(const pickle::PersistentId* reference) {
    const auto* parts = reference == nullptr ? nullptr : reference->id->as<pickle::Tuple>();
    const auto* tag = parts != nullptr && parts->items.size() == 5 ? parts->items[0]->as<std::string>() : nullptr;
    if (tag == nullptr || *tag != "storage") fail("has no storage");
    const auto* storage_class = parts->items[1]->as<pickle::Global>();
    const auto* key = parts->items[2]->as<std::string>();
    if (storage_class == nullptr || key == nullptr) fail("has a storage without a type or key");
    plan_.kind = known_kind(*storage_class);
    plan_.record = "data/" + *key;
    plan_.storage_elements = integer(parts->items[4], "storage size");
    if (!records_.has(plan_.record))
      fail("refers to the record " + quote(plan_.record) + ", which is not in the file");
    const std::uint64_t n_bytes = records_.size(plan_.record);
    if (n_bytes % plan_.kind->stored_size == 0 &&
        n_bytes / plan_.kind->stored_size == static_cast<std::uint64_t>(plan_.storage_elements)) {
      return;
    }
    fail("refers to the record " + quote(plan_.record) + " as " + std::to_string(plan_.storage_elements) +
         " elements of " + std::to_string(plan_.kind->stored_size) + " bytes, but it has " + std::to_string(n_bytes) +
         " bytes");
  }

  const StorageKind* known_kind(const pickle::Global& storage_class) const {
    const auto kind = std::ranges::find(kStorageKinds, storage_class.name, &StorageKind::name);
    if (storage_class.module != "torch" || kind == kStorageKinds.end()) {
      fail("is stored as " + storage_class.qualified() + ", a type that is not read",
           "convert it to float32 before saving");
    }
    return kind;
  }

  void check_bounds() {
    if (plan_.shape.size() != plan_.strides.size()) {
      fail("has " + std::to_string(plan_.shape.size()) + " dimensions but " + std::to_string(plan_.strides.size()) +
           " strides");
    }
    const auto n_elements = checked_product(plan_.shape);
    if (!n_elements) fail("has a shape of more elements than can be counted: " + describe_shape(plan_.shape));
    plan_.n_elements = *n_elements;
    if (plan_.n_elements == 0) return;
    // No step is ever taken along a dimension of size 1, so its stride may be anything.
    for (std::size_t i = 0; i < plan_.shape.size(); ++i) plan_.strides[i] *= plan_.shape[i] == 1 ? 0 : 1;
    std::int64_t left = plan_.storage_elements - 1 - plan_.offset;
    for (std::size_t i = 0; i < plan_.shape.size() && left >= 0; ++i) {
      const std::int64_t steps = std::max<std::int64_t>(plan_.shape[i] - 1, 1);
      left = plan_.strides[i] > left / steps ? -1 : left - plan_.strides[i] * steps;
    }
    if (left >= 0) return;
    fail("of shape " + describe_shape(plan_.shape) + ", strides " + describe_shape(plan_.strides) + " and offset " +
         std::to_string(plan_.offset) + " reaches beyond its storage of " + std::to_string(plan_.storage_elements) +
         " elements");
  }

  const RecordReader& records_;
  const std::string& path_;
  TensorPlan plan_;
};

/// Finds the tensors in nested dictionaries.
class StateDictWalker {
 public:
  StateDictWalker(const RecordReader& records, const std::string& path) : records_(records), path_(path) {}

  std::vector<TensorPlan> run(const pickle::Value& root) {
    const auto* object = root.as<pickle::Object>();
    if (object != nullptr && makes_tensor(object->global())) {
      fail_format(path_, "", "holds a single tensor, not a dictionary of tensors", kSaveAgain);
    }
    if (!is_dictionary(root)) fail_format(path_, "", "does not hold a dictionary of tensors", kSaveAgain);
    walk(root, "");
    return std::move(plans_);
  }

 private:
  static bool is_dictionary(const pickle::Value& value) {
    if (value.as<pickle::Dict>() != nullptr) return true;
    const auto* object = value.as<pickle::Object>();
    if (object == nullptr) return false;
    const pickle::Global& global = object->global();
    return !object->pairs.empty() || global.module == "collections" || global.name == "dict";
  }

  /// Python 2 hands the items of an OrderedDict to its constructor, as a list of pairs.
  static void append_constructor_items(const pickle::Object& object, pickle::Pairs& pairs) {
    if (!object.global().is("collections", "OrderedDict") || object.arguments().size() != 1) return;
    const auto* list = object.arguments().front()->as<pickle::List>();
    if (list == nullptr) return;
    for (pickle::Ref item : list->items) {
      const auto* as_list = item->as<pickle::List>();
      const auto* as_tuple = item->as<pickle::Tuple>();
      if (as_list != nullptr && as_list->items.size() == 2) pairs.emplace_back(as_list->items[0], as_list->items[1]);
      if (as_tuple != nullptr && as_tuple->items.size() == 2) {
        pairs.emplace_back(as_tuple->items[0], as_tuple->items[1]);
      }
    }
  }

  static pickle::Pairs pairs_of(const pickle::Value& value) {
    if (const auto* dict = value.as<pickle::Dict>()) return dict->items;
    const auto* object = value.as<pickle::Object>();
    pickle::Pairs pairs;
    append_constructor_items(*object, pairs);
    pairs.insert(pairs.end(), object->pairs.begin(), object->pairs.end());
    return pairs;
  }

  static std::string join(const std::string& prefix, const pickle::Value& key) {
    const std::string separator = prefix.empty() ? "" : "/";
    if (const auto* text = key.as<std::string>()) return prefix + separator + *text;
    if (const auto* number = key.as<std::int64_t>()) return prefix + separator + std::to_string(*number);
    return prefix + separator + "?";
  }

  static bool is_nameable(const pickle::Value& key) {
    return key.as<std::string>() != nullptr || key.as<std::int64_t>() != nullptr;
  }

  void walk(const pickle::Value& dictionary, const std::string& prefix, bool nameable = true) {
    for (const auto& [key, value] : pairs_of(dictionary)) {
      count_visit();
      const std::string name = join(prefix, *key);
      const bool named = nameable && is_nameable(*key);
      const auto* object = value->as<pickle::Object>();
      if (object != nullptr && makes_tensor(object->global())) {
        add(*object, name, named);
      } else if (is_dictionary(*value)) {
        walk(*value, name, named);
      }
    }
  }

  /// Dictionaries that share their parts can make a small file endless to walk.
  void count_visit() {
    constexpr std::int64_t kMostVisits = 4'000'000;
    if (++n_visits_ > kMostVisits)
      fail_format(path_, "", "has more than " + with_thousands(kMostVisits) + " entries", kSaveAgain);
  }

  void add(const pickle::Object& object, const std::string& name, bool named) {
    if (!named) {
      fail_format(path_, describe_tensor(name), "is kept under a key that is neither text nor a whole number",
                  kSaveAgain);
    }
    if (!names_.insert(name).second) fail_format(path_, describe_tensor(name), "is there twice", kSaveAgain);
    plans_.push_back(TensorPlanner(records_, path_, name).run(object));
    check_total(plans_.back());
  }

  /// Views of one storage may be many and large, whatever the size of the file.
  void check_total(const TensorPlan& plan) {
    constexpr std::uint64_t kAlwaysAllowed = std::uint64_t{256} << 20;
    constexpr std::uint64_t kMostOfFile = 16;
    const std::uint64_t most = std::max(kAlwaysAllowed, kMostOfFile * records_.file_size());
    const std::uint64_t left = most - total_bytes_;
    if (static_cast<std::uint64_t>(plan.n_elements) > left / element_size(plan.kind->type)) {
      fail_format(path_, describe_tensor(plan.name),
                  "of shape " + describe_shape(plan.shape) + " brings the tensors to more than " +
                      format_bytes(static_cast<double>(most)) + " in a file of " +
                      format_bytes(static_cast<double>(records_.file_size())),
                  "save tensor.clone() instead of expanded views");
    }
    total_bytes_ += static_cast<std::uint64_t>(plan.n_elements) * element_size(plan.kind->type);
  }

  const RecordReader& records_;
  const std::string& path_;
  std::vector<TensorPlan> plans_;
  std::unordered_set<std::string> names_;
  std::int64_t n_visits_ = 0;
  std::uint64_t total_bytes_ = 0;
};

/// The elements of the tensor one after the other. @pre the plan lies within the storage
std::vector<std::byte> gather(const TensorPlan& plan, const std::vector<std::byte>& storage) {
  const std::size_t size = plan.kind->stored_size;
  std::vector<std::byte> out(static_cast<std::size_t>(plan.n_elements) * size);
  if (out.empty()) return out;
  if (plan.is_contiguous()) {
    std::memcpy(out.data(), storage.data() + static_cast<std::size_t>(plan.offset) * size, out.size());
    return out;
  }
  std::vector<std::int64_t> position(plan.shape.size(), 0);
  std::int64_t from = plan.offset;
  for (std::size_t to = 0; to < out.size(); to += size) {
    std::memcpy(out.data() + to, storage.data() + static_cast<std::size_t>(from) * size, size);
    for (std::size_t i = plan.shape.size(); i-- > 0;) {
      from += plan.strides[i];
      if (++position[i] < plan.shape[i]) break;
      from -= plan.strides[i] * plan.shape[i];
      position[i] = 0;
    }
  }
  return out;
}

/// Reads each record once, however many tensors share it, and keeps it no longer than needed.
class TensorReader {
 public:
  TensorReader(const RecordReader& records, std::span<const TensorPlan> plans) : records_(records) {
    for (const TensorPlan& plan : plans) ++uses_[plan.record];
  }

  NamedTensor read(TensorPlan plan) {
    const bool last_use = --uses_[plan.record] == 0;
    std::vector<std::byte>& storage = storages_.try_emplace(plan.record).first->second;
    if (storage.empty()) storage = records_.read(plan.record);
    const bool is_whole = plan.is_contiguous() && plan.offset == 0 && plan.n_elements == plan.storage_elements;
    std::vector<std::byte> bytes = last_use && is_whole ? std::move(storage) : gather(plan, storage);
    if (last_use) storages_.erase(plan.record);
    return {.name = std::move(plan.name),
            .type = plan.kind->type,
            .shape = std::move(plan.shape),
            .bytes = plan.kind->convert(std::move(bytes))};
  }

 private:
  const RecordReader& records_;
  std::unordered_map<std::string, std::int64_t> uses_;
  std::unordered_map<std::string, std::vector<std::byte>> storages_;
};

void check_byte_order(const RecordReader& records, const std::string& path) {
  if (!records.has("byteorder")) return;
  const std::vector<std::byte> order = records.read("byteorder");
  const std::string_view text(reinterpret_cast<const char*>(order.data()), order.size());
  if (text == "little") return;
  fail_format(path, "", "was written on a machine of another byte order", "save it again on a little-endian machine");
}

}  // namespace

std::size_t element_size(NamedTensor::Type type) {
  switch (type) {
    case Type::float64:
    case Type::int64:
      return 8;
    case Type::float32:
    case Type::int32:
      return 4;
    case Type::float16:
      return 2;
    case Type::uint8:
    case Type::boolean:
      return 1;
  }
  return 0;
}

std::int64_t NamedTensor::n_elements() const {
  const auto product = checked_product(shape);
  if (!product) {
    throw InputError(
        {.problem = "has the impossible shape " + describe_shape(shape), .field = describe_tensor(name)});
  }
  return *product;
}

void write_torch_archive(const std::string& path, std::span<const NamedTensor> tensors) {
  check_writable(tensors);
  const std::string description = StateDictPickler().run(tensors);
  constexpr std::string_view kByteOrder = "little";
  constexpr std::string_view kVersion = "3\n";
  RecordWriter writer(path);
  writer.add("data.pkl", description.data(), description.size());
  writer.add("byteorder", kByteOrder.data(), kByteOrder.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    writer.add("data/" + std::to_string(i), tensors[i].bytes.data(), tensors[i].bytes.size());
  }
  writer.add("version", kVersion.data(), kVersion.size());
  writer.close();
}

std::vector<NamedTensor> read_torch_archive(const std::string& path) {
  const RecordReader records(path);
  if (records.has("constants.pkl")) {
    fail_format(path, "", "is a TorchScript program, not a dictionary of tensors", kSaveAgain);
  }
  check_byte_order(records, path);
  const pickle::Document document = pickle::parse(
      records.read("data.pkl"),
      {.may_construct = may_construct, .file = path, .field = "data.pkl", .remedy = std::string(kSaveAgain)});
  const std::vector<TensorPlan> plans = StateDictWalker(records, path).run(document.root());
  TensorReader reader(records, plans);
  std::vector<NamedTensor> tensors;
  tensors.reserve(plans.size());
  for (const TensorPlan& plan : plans) tensors.push_back(reader.read(plan));
  return tensors;
}

}  // namespace scvi::io
