#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace scvi::io {

namespace hdf5 {
class ChunkReader;
}

/// Owns one HDF5 identifier.
class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  explicit Hdf5Handle(std::int64_t id) : id_(id) {}
  ~Hdf5Handle() { reset(); }
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, -1);
    }
    return *this;
  }

  std::int64_t id() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  /// Gives the identifier up without closing it.
  std::int64_t release() { return std::exchange(id_, -1); }
  void reset();

 private:
  std::int64_t id_ = -1;
};

/// What a path of an HDF5 file leads to.
enum class Hdf5Kind { absent, group, dataset, other };

/// Classes of values that datasets and attributes hold.
enum class Hdf5Class { integer, real, boolean, text, compound, other };

/// A field of a compound type (a column of a record array).
struct Hdf5Field {
  std::string name;
  Hdf5Class value_class = Hdf5Class::other;
  std::string type_name;
  std::int64_t n_values = 1;  ///< more than one where the field is itself an array
};

/// What a file says of one of its datasets, before any value is read.
struct Hdf5Info {
  std::vector<std::int64_t> shape;  ///< empty for a single value
  bool is_null = false;             ///< holds nothing at all (anndata's `null`)
  Hdf5Class value_class = Hdf5Class::other;
  std::string type_name;            ///< "float32", "int64", "uint8", "bool", "text", "compound", ...
  std::vector<Hdf5Field> fields;    ///< of a compound type
  std::vector<std::int64_t> chunk;  ///< shape of its chunks; empty when stored in one piece

  std::int64_t size() const;  ///< number of values: the product of the shape, 0 when null
  bool is_numeric() const {
    return value_class == Hdf5Class::integer || value_class == Hdf5Class::real || value_class == Hdf5Class::boolean;
  }
};

/// Values in row-major order, with their shape.
template <class T>
struct Hdf5Array {
  std::vector<std::int64_t> shape;
  std::vector<T> values;
};

enum class Hdf5Compression { none, gzip, lzf };

/// "gzip", "lzf" or "". @throws InputError for anything else
Hdf5Compression parse_compression(const std::string& name);

/// One dataset kept open, for reading and writing piece by piece. It keeps its file open.
/// T is any of float, double, std::int32_t, std::int64_t, std::uint8_t, std::uint64_t; whatever number type the file
/// holds is converted (out of range: to the nearest value of T).
class Hdf5Dataset {
 public:
  Hdf5Dataset() = default;
  ~Hdf5Dataset();
  Hdf5Dataset(Hdf5Dataset&&) noexcept = default;
  Hdf5Dataset& operator=(Hdf5Dataset&&) noexcept = default;

  const Hdf5Info& info() const { return info_; }
  const std::string& path() const { return path_; }
  std::int64_t id() const { return handle_.id(); }
  /// Bytes that the values occupy in the file, compressed.
  std::int64_t stored_bytes() const;
  /// Bytes of an unpacked chunk; 0 when stored in one piece.
  std::int64_t chunk_bytes() const { return chunk_bytes_; }

  /// @throws FormatError when it claims far more values than the file can hold (before memory for them is taken)
  /// @param value_bytes that a value takes in memory, or in the file
  void require_plausible(std::int64_t value_bytes = 8) const { check_plausible(value_bytes); }
  /// @throws FormatError unless the dataset holds numbers of a known type
  void require_numbers() const;
  /// The values [first, first + count) of a one-dimensional dataset.
  template <class T>
  void read_range(std::int64_t first, std::int64_t count, T* out) const;
  /// Rows [first, first + count) of a dataset with any number of dimensions.
  template <class T>
  void read_rows(std::int64_t first, std::int64_t count, T* out) const;
  template <class T>
  void read_all(T* out) const;
  /// The rectangle of n_rows x n_cols values from (first_row, first_col) on of a two-dimensional dataset.
  template <class T>
  void read_block(std::int64_t first_row, std::int64_t n_rows, std::int64_t first_col, std::int64_t n_cols,
                  T* out) const;
  /// Rows (or the single value) as any HDF5 type in memory, given by its identifier. @pre the rows exist
  void read_raw_rows(std::int64_t first, std::int64_t count, std::int64_t memory_type, void* out) const;
  /// Every value as text in valid UTF-8.
  std::vector<std::string> read_strings() const;

  /// One field of a compound dataset; field.n_values numbers a record.
  template <class T>
  std::vector<T> read_field(std::size_t field) const;
  std::vector<std::string> read_string_field(std::size_t field) const;

  /// Puts rows after the last one of a dataset made by Hdf5File::create_growing.
  template <class T>
  void append(std::span<const T> values);
  /// Fills a rectangle of a dataset made by Hdf5File::create_matrix.
  template <class T>
  void write_block(std::int64_t first_row, std::int64_t n_rows, std::int64_t first_col, std::int64_t n_cols,
                   const T* values);
  /// Hands what was appended or filled in to the operating system. @throws IoError, for instance on a full disk
  void flush();

 private:
  friend class Hdf5File;
  Hdf5Handle handle_;
  std::string file_;
  std::string path_;
  Hdf5Info info_;
  std::int64_t file_bytes_ = 0;
  std::int64_t chunk_bytes_ = 0;
  std::shared_ptr<hdf5::ChunkReader> chunks_;  // where we can unpack them ourselves
  bool written_ = false;

  void check_plausible(std::int64_t value_bytes) const;
  void check_range(std::int64_t first, std::int64_t count) const;
  /// @return whether our own reader did it
  template <class T>
  bool read_chunks(std::span<const std::int64_t> start, std::span<const std::int64_t> extent, T* out) const;
  void verify_chunks(std::int64_t first, std::int64_t count) const;
  void check_rectangle(std::int64_t first_row, std::int64_t n_rows, std::int64_t first_col,
                       std::int64_t n_cols) const;
};

/// An HDF5 file. Paths name elements from the root ("obs/cell type", "/weights/z_encoder.Layer 0.weight"); a slash is
/// always a level. Errors name the file and the element and give HDF5's own innermost message; HDF5 itself prints
/// nothing. Links that lead out of the file are refused, and so are datasets whose values lie in other files.
/// File locks are used where the file system has them. Like the HDF5 library, every function may be called from any
/// thread, one at a time.
class Hdf5File {
 public:
  /// Opens for reading.
  /// @throws IoError when it cannot be opened, FormatError when it is no HDF5 file or is truncated
  static Hdf5File open(const std::string& path);
  /// Opens an existing file for changing. @throws as open
  /// @param shown_as the name that messages use, where `path` is a temporary one; empty: `path`
  static Hdf5File open_for_update(const std::string& path, const std::string& shown_as = "");
  /// Makes an empty file, in place of what may be there. @throws IoError
  static Hdf5File create(const std::string& path, const std::string& shown_as = "");

  Hdf5File() = default;
  ~Hdf5File();
  Hdf5File(Hdf5File&&) noexcept = default;
  Hdf5File& operator=(Hdf5File&&) noexcept = default;

  const std::string& path() const { return path_; }
  std::int64_t id() const { return handle_.id(); }
  /// Bytes of the file when it was opened.
  std::int64_t file_bytes() const { return file_bytes_; }
  /// Puts everything on disk and closes. @throws IoError, for instance on a full disk
  void close();

  // ---- what is there
  Hdf5Kind kind(const std::string& path) const;
  bool exists(const std::string& path) const { return kind(path) != Hdf5Kind::absent; }
  bool is_group(const std::string& path) const { return kind(path) == Hdf5Kind::group; }
  bool is_dataset(const std::string& path) const { return kind(path) == Hdf5Kind::dataset; }
  /// Names in a group, in the order in which they were created where the file keeps it, else in byte order.
  /// Empty when the group is absent. Names that are no valid UTF-8 are left out with a warning.
  std::vector<std::string> children(const std::string& path = "/") const;
  Hdf5Info info(const std::string& path) const;

  // ---- reading
  /// @throws FormatError when there is no such dataset or its values cannot be had
  Hdf5Dataset open_dataset(const std::string& path) const;
  /// A whole dataset of numbers, as T (see Hdf5Dataset). Truth values come as 0 and 1.
  template <class T>
  Hdf5Array<T> read(const std::string& path) const;
  /// The only value of a dataset. @throws FormatError when there are several
  template <class T>
  T read_scalar(const std::string& path) const;
  /// Fixed or variable-length strings, in valid UTF-8: bytes that are none become U+FFFD, with a warning.
  Hdf5Array<std::string> read_strings(const std::string& path) const;
  /// The only string of a dataset. @throws FormatError when there are several
  std::string read_string(const std::string& path) const;

  // ---- attributes of a group or dataset ("/" for the root)
  std::vector<std::string> attribute_names(const std::string& path) const;
  bool has_attribute(const std::string& path, const std::string& name) const;
  Hdf5Info attribute_info(const std::string& path, const std::string& name) const;
  std::string attribute_string(const std::string& path, const std::string& name) const;
  /// The string of that name, or `otherwise` when there is no such attribute or it is no single string.
  std::string attribute_string(const std::string& path, const std::string& name, const std::string& otherwise) const;
  std::vector<std::string> attribute_strings(const std::string& path, const std::string& name) const;
  template <class T>
  std::vector<T> attribute_numbers(const std::string& path, const std::string& name) const;
  template <class T>
  T attribute_number(const std::string& path, const std::string& name) const;
  /// The path of the object that an object reference in an attribute leads to; "" when it is no such thing.
  std::string attribute_reference(const std::string& path, const std::string& name) const;

  // ---- writing; groups on the way to `path` are made when missing; what is there under that name is not replaced
  void create_group(const std::string& path);
  void remove(const std::string& path);
  void rename(const std::string& from, const std::string& to);
  /// Chunked, and compressed as asked for, when there is more than a handful of values. T also std::int8_t and
  /// std::int16_t.
  template <class T>
  void write(const std::string& path, std::span<const T> values, std::span<const std::int64_t> shape,
             Hdf5Compression compression = Hdf5Compression::none);
  template <class T>
  void write(const std::string& path, const std::vector<T>& values,
             Hdf5Compression compression = Hdf5Compression::none) {
    const std::int64_t shape[] = {static_cast<std::int64_t>(values.size())};
    write<T>(path, std::span<const T>(values), shape, compression);
  }
  template <class T>
  void write_scalar(const std::string& path, T value);
  /// Truth values (0 or 1) as the enumeration that numpy's bool is stored as.
  void write_booleans(const std::string& path, std::span<const std::uint8_t> values,
                      Hdf5Compression compression = Hdf5Compression::none);
  /// Variable-length UTF-8.
  void write_strings(const std::string& path, std::span<const std::string> values,
                     Hdf5Compression compression = Hdf5Compression::none);
  void write_string(const std::string& path, const std::string& value);
  /// An empty dataset that grows along its first dimension: shape (0, n_cols), or (0) when n_cols is 0.
  template <class T>
  Hdf5Dataset create_growing(const std::string& path, std::int64_t n_cols, Hdf5Compression compression);
  /// A dataset of n_rows x n_cols zeros in chunks of chunk_rows x chunk_cols, to be filled by write_block. Other
  /// programs may append columns to it.
  template <class T>
  Hdf5Dataset create_matrix(const std::string& path, std::int64_t n_rows, std::int64_t n_cols,
                            std::int64_t chunk_rows, std::int64_t chunk_cols, Hdf5Compression compression);

  /// These replace an attribute of that name. T: float, double, std::int32_t, std::int64_t, std::uint8_t.
  void set_attribute(const std::string& path, const std::string& name, const std::string& value);
  void set_attribute(const std::string& path, const std::string& name, const char* value) {
    set_attribute(path, name, std::string(value));
  }
  void set_attribute(const std::string& path, const std::string& name, bool value);
  void set_attribute(const std::string& path, const std::string& name, std::span<const std::string> values);
  template <class T>
  void set_number_attribute(const std::string& path, const std::string& name, T value);
  template <class T>
  void set_number_attribute(const std::string& path, const std::string& name, std::span<const T> values);
  /// An object reference to `target`, as anndata 0.7 points from codes to categories.
  void set_reference_attribute(const std::string& path, const std::string& name, const std::string& target);
  void remove_attribute(const std::string& path, const std::string& name);

 private:
  Hdf5Handle handle_;
  std::string path_;
  std::int64_t file_bytes_ = 0;
  bool writable_ = false;

  static Hdf5File open_existing(const std::string& path, bool writable);
  Hdf5Handle open_object(const std::string& path) const;
  Hdf5Handle open_attribute(const std::string& path, const std::string& name) const;
};

}  // namespace scvi::io
