#pragma once

// What the HDF5 layer shares between its sources. The only place, with hdf5*.cpp, that includes the C library.

#include <hdf5.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/io/hdf5.hpp"

namespace scvi::io::hdf5 {

static_assert(std::is_same_v<hid_t, std::int64_t>, "Hdf5Handle holds HDF5 identifiers as 64-bit integers");

/// Registers the built-in LZF filter, once.
void prepare_library();

/// While alive, HDF5 prints nothing on this thread.
class Quiet {
 public:
  Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &print_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, print_, data_); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  H5E_auto2_t print_ = nullptr;
  void* data_ = nullptr;
};

/// What HDF5 said about the call that has just failed.
struct Failure {
  std::vector<std::string> messages;  ///< innermost first
  int system_error = 0;               ///< errno where the operating system refused
  bool mentions(const char* text) const;
  std::string innermost() const;
};
Failure take_failure();

/// Throws an IoError where the operating system refused, a FormatError otherwise.
[[noreturn]] void throw_failure(const Failure& failure, const std::string& file, const std::string& path,
                                const std::string& problem);

/// The result of an HDF5 call, made quietly.
template <class Call>
auto quietly(Call&& call) {
  const Quiet quiet;
  return call();
}

/// The result of an HDF5 call; a negative one is thrown.
template <class Call>
auto checked(const std::string& file, const std::string& path, const char* problem, Call&& call) {
  const Quiet quiet;
  const auto result = call();
  if (result < 0) throw_failure(take_failure(), file, path, problem);
  return result;
}

/// From now on, what the file of this object has yet to write goes to memory and is lost. After a write has failed
/// (full disk), HDF5 could otherwise not even close the file: it keeps it, tries again at the end of the program, and
/// crashes.
void divert_writes(hid_t object);
bool is_diverted(hid_t file);

/// As `checked`, for what changes the file that `object` belongs to.
template <class Call>
auto checked_write(hid_t object, const std::string& file, const std::string& path, const char* problem, Call&& call) {
  const Quiet quiet;
  const auto result = call();
  if (result >= 0) return result;
  const Failure failure = take_failure();
  if (failure.system_error != 0) divert_writes(object);
  throw_failure(failure, file, path, problem);
}

/// While alive, this thread reads or writes this dataset: its filters know what size a chunk must have.
class ChunkScope {
 public:
  explicit ChunkScope(const Hdf5Dataset& dataset);
  ~ChunkScope();
  ChunkScope(const ChunkScope&) = delete;
  ChunkScope& operator=(const ChunkScope&) = delete;

 private:
  std::int64_t before_;
};

/// Property list for everything that walks links: links to other files are refused.
hid_t link_access();
void refuse_external_links(hid_t access_list);

struct TypeName {
  Hdf5Class value_class = Hdf5Class::other;
  std::string name;
};
/// Only number types that the library is known to convert safely count as numbers: 8 to 64-bit integers, 16 to 64-bit
/// IEEE reals, and enumerations of the former.
TypeName classify(hid_t type);
std::vector<Hdf5Field> fields_of(hid_t compound_type);

template <class T>
hid_t native_type() {
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, std::int8_t>) return H5T_NATIVE_INT8;
  if constexpr (std::is_same_v<T, std::int16_t>) return H5T_NATIVE_INT16;
  if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
  if constexpr (std::is_same_v<T, std::uint64_t>) return H5T_NATIVE_UINT64;
}

/// Variable-length UTF-8 text.
Hdf5Handle make_text_type();
/// The enumeration that numpy's bool is stored as.
Hdf5Handle make_boolean_type();
/// A simple dataspace; a single value when the shape is empty.
Hdf5Handle make_space(std::span<const std::int64_t> shape);
/// How datasets are made here: without the time of writing, so that equal content gives equal bytes.
Hdf5Handle make_dataset_creation();

/// Layout and filters for a new dataset of this shape.
Hdf5Handle make_creation(std::span<const std::int64_t> shape, std::size_t value_bytes, Hdf5Compression compression);

/// Shape and value type. @throws FormatError for sizes that overflow
Hdf5Info describe(hid_t space, hid_t type, const std::string& file, const std::string& path);

/// Where a file keeps variable-length text: collections of texts ("global heaps") that values refer to by address and
/// number. HDF5 1.10 believes every such reference and every length, and a damaged one makes it read or write
/// anywhere; so the references are read as they are, and followed here, with every bound checked.
class TextHeap {
 public:
  /// Bytes of a reference: length, address of the collection, number in it.
  static constexpr std::size_t kReferenceBytes = 16;

  /// @param object anything in the file, whose descriptor is used: it must stay open
  /// @param budget bytes that all texts together may have
  TextHeap(hid_t object, std::string file, std::string path, std::int64_t budget);
  std::string text(const char* reference);

 private:
  struct Slot {
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  struct Collection {
    std::uint64_t address = 0;
    std::vector<char> bytes;
    std::vector<Slot> slots;
  };

  std::string file_;
  std::string path_;
  std::int64_t budget_;
  int descriptor_ = -1;
  std::uint64_t base_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::vector<Collection> recent_;  ///< a few, in the order of their last use

  [[noreturn]] void damaged(const std::string& problem) const;
  const Collection& collection_at(std::uint64_t address);
  Collection load(std::uint64_t address) const;
  void index_slots(Collection& collection) const;
  void read_bytes(std::uint64_t address, char* into, std::size_t size) const;
};

/// The type in memory that variable-length text is read as: references for a TextHeap.
hid_t text_reference_type();

/// Turns bytes as HDF5 hands them over into strings: variable-length (references) or fixed (padded).
class TextDecoder {
 public:
  /// @param object the dataset or attribute, or its file
  TextDecoder(hid_t object, hid_t type, const std::string& file, const std::string& path, std::int64_t file_bytes);
  /// The type to read as, of item_bytes() each.
  hid_t memory_type() const { return memory_type_; }
  std::size_t item_bytes() const { return item_bytes_; }
  /// `item` points at one value of memory_type().
  std::string decode(const char* item);
  /// Warns when something had to be replaced.
  void finish() const;

 private:
  std::string file_;
  std::string path_;
  std::optional<TextHeap> heap_;
  hid_t memory_type_;
  bool space_padded_ = false;
  std::size_t item_bytes_ = 0;
  std::int64_t n_replaced_ = 0;
};

/// "" and "/" are the root; everything else without slashes at either end.
std::string normalized(const std::string& path);

}  // namespace scvi::io::hdf5
