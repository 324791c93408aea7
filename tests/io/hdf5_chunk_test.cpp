// Chunks that we unpack ourselves: equal to what HDF5 makes of sound ones, and errors for the others. Run under ASan.

#include <gtest/gtest.h>
#include <hdf5.h>

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <random>
#include <type_traits>

#include "h5ad_fixture.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/io/lzf.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::message_of;
using Extents = std::vector<hsize_t>;
using Bytes = std::vector<std::uint8_t>;

constexpr H5Z_filter_t kLzf = 32000;

hid_t half_type(hid_t like) {
  const hid_t type = H5Tcopy(like);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

hid_t bool_type() {
  const hid_t type = H5Tenum_create(H5T_STD_I8LE);
  const std::int8_t no = 0;
  const std::int8_t yes = 1;
  H5Tenum_insert(type, "FALSE", &no);
  H5Tenum_insert(type, "TRUE", &yes);
  return type;
}

struct NamedType {
  std::string name;
  hid_t id;
};

const std::vector<NamedType>& number_types() {
  static const std::vector<NamedType> types{
      {"i8", H5T_STD_I8LE},      {"i16le", H5T_STD_I16LE},  {"i16be", H5T_STD_I16BE},
      {"i32le", H5T_STD_I32LE},  {"i32be", H5T_STD_I32BE},  {"i64le", H5T_STD_I64LE},
      {"i64be", H5T_STD_I64BE},  {"u8", H5T_STD_U8LE},      {"u16le", H5T_STD_U16LE},
      {"u16be", H5T_STD_U16BE},  {"u32le", H5T_STD_U32LE},  {"u32be", H5T_STD_U32BE},
      {"u64le", H5T_STD_U64LE},  {"u64be", H5T_STD_U64BE},  {"f16le", half_type(H5T_IEEE_F32LE)},
      {"f32le", H5T_IEEE_F32LE}, {"f32be", H5T_IEEE_F32BE}, {"f16be", half_type(H5T_IEEE_F32BE)},
      {"f64le", H5T_IEEE_F64LE}, {"f64be", H5T_IEEE_F64BE}, {"bool", bool_type()},
  };
  return types;
}

struct NamedFilters {
  std::string name;
  std::function<void(hid_t)> set;
};

void set_lzf(hid_t creation) {
  H5Pset_filter(creation, kLzf, H5Z_FLAG_OPTIONAL, 0, nullptr);
}

const std::vector<NamedFilters>& filter_sets() {
  static const std::vector<NamedFilters> sets{
      {"none", [](hid_t) {}},
      {"gzip", [](hid_t c) { H5Pset_deflate(c, 4); }},
      {"shuffle", [](hid_t c) { H5Pset_shuffle(c); }},
      {"shuffle_gzip", [](hid_t c) { H5Pset_shuffle(c), H5Pset_deflate(c, 4); }},
      {"gzip_fletcher32", [](hid_t c) { H5Pset_deflate(c, 4), H5Pset_fletcher32(c); }},
      {"fletcher32_gzip", [](hid_t c) { H5Pset_fletcher32(c), H5Pset_deflate(c, 4); }},
      {"shuffle_gzip_fletcher32", [](hid_t c) { H5Pset_shuffle(c), H5Pset_deflate(c, 4), H5Pset_fletcher32(c); }},
      {"fletcher32", [](hid_t c) { H5Pset_fletcher32(c); }},
      {"lzf", set_lzf},
      {"shuffle_lzf", [](hid_t c) { H5Pset_shuffle(c), set_lzf(c); }},
  };
  return sets;
}

std::function<void(hid_t)> filters_named(const std::string& name) {
  const auto found = std::find_if(filter_sets().begin(), filter_sets().end(),
                                  [&](const NamedFilters& each) { return each.name == name; });
  return found->set;
}

template <class T>
hid_t native() {
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
  return H5T_NATIVE_UINT64;
}

std::size_t size_of(const Extents& shape) {
  std::size_t product = 1;
  for (const hsize_t extent : shape) product *= extent;
  return product;
}

/// Whole numbers and truth values with any bits; reals small, large, fractional and without bounds.
void write_values(hid_t dataset, hid_t type, std::size_t count) {
  std::mt19937_64 random(count);
  if (H5Tget_class(type) != H5T_FLOAT) {
    Bytes raw(count * H5Tget_size(type));
    const bool is_bool = H5Tget_class(type) == H5T_ENUM;
    // Half of them small, so that there is something to compress.
    for (std::uint8_t& byte : raw) byte = static_cast<std::uint8_t>(is_bool ? random() % 2 : random() % 2 * random());
    ASSERT_GE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw.data()), 0);
    return;
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::array<double, 16> some{0,   -0.0, 1.5,  -2.75,   300,        -7e4,      6e-8,      65504,
                                    3e9, -3e9, 1e19, 3.39e38, -kInfinity, kInfinity, -1.99e-39, 1e300};
  std::vector<double> values(count);
  for (double& value : values)
    value = random() % 4 ? static_cast<double>(random() % 9) : some[random() % some.size()];
  ASSERT_GE(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
}

class Hdf5Chunks : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("file.h5");

  // Has our LZF filter registered with HDF5.
  Hdf5Chunks() { Hdf5File::create(folder_.path("other.h5")).close(); }

  struct Spec {
    std::string name = "x";
    hid_t type = H5T_STD_I32LE;
    Extents shape{64};
    Extents chunk{16};
    std::function<void(hid_t)> set = [](hid_t) {};  ///< filters and other properties
    Extents largest{};                              ///< of the shape; the shape itself when empty
  };

  template <class Action>
  void with_file(Action action, H5F_libver_t version = H5F_LIBVER_EARLIEST) const {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, version, H5F_LIBVER_LATEST);
    const bool is_there = std::filesystem::exists(path_);
    const hid_t file = is_there ? H5Fopen(path_.c_str(), H5F_ACC_RDWR, access)
                                : H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    ASSERT_GE(file, 0);
    action(file);
    EXPECT_GE(H5Fclose(file), 0);
  }

  static void make(hid_t file, const Spec& spec, const std::function<void(hid_t)>& fill) {
    const int rank = static_cast<int>(spec.shape.size());
    const hid_t space =
        H5Screate_simple(rank, spec.shape.data(), spec.largest.empty() ? nullptr : spec.largest.data());
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, rank, spec.chunk.data());
    spec.set(creation);
    const hid_t dataset = H5Dcreate2(file, spec.name.c_str(), spec.type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    ASSERT_GE(dataset, 0) << spec.name;
    fill(dataset);
    H5Dclose(dataset);
    H5Pclose(creation);
    H5Sclose(space);
  }

  void write(const Spec& spec, H5F_libver_t version = H5F_LIBVER_EARLIEST) const {
    with_file(
        [&](hid_t file) {
          make(file, spec, [&](hid_t dataset) { write_values(dataset, spec.type, size_of(spec.shape)); });
        },
        version);
  }

  /// What HDF5 reads.
  template <class T>
  std::vector<T> expected(const std::string& name) const {
    const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t dataset = H5Dopen2(file, name.c_str(), H5P_DEFAULT);
    const hid_t space = H5Dget_space(dataset);
    std::vector<T> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
    EXPECT_GE(H5Dread(dataset, native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << name;
    H5Sclose(space);
    H5Dclose(dataset);
    H5Fclose(file);
    return values;
  }

  template <class T, class From>
  std::vector<T> nearest_from(const std::string& name) const {
    std::vector<T> values;
    for (const From value : expected<From>(name)) {
      // 64 bits of fraction: every whole number that is met here.
      const auto wide = static_cast<long double>(value);
      const auto low = static_cast<long double>(std::numeric_limits<T>::lowest());
      const auto high = static_cast<long double>(std::numeric_limits<T>::max());
      values.push_back(wide <= low    ? std::numeric_limits<T>::lowest()
                       : wide >= high ? std::numeric_limits<T>::max()
                                      : static_cast<T>(value));
    }
    return values;
  }

  /// As HDF5 reads them; where HDF5 1.10 errs (it only swaps the bytes of big-endian numbers of the same width,
  /// however they count their sign, and gives nonsense for negative half floats as 64 bits), by way of a type that
  /// holds all.
  template <class T>
  std::vector<T> nearest_values(const std::string& name) const {
    if (name.starts_with("none-")) return expected<T>(name);  // read by HDF5 itself
    if (name.ends_with("i64be") && std::is_same_v<T, std::uint64_t>) return nearest_from<T, std::int64_t>(name);
    if (name.ends_with("u64be") && std::is_same_v<T, std::int64_t>) return nearest_from<T, std::uint64_t>(name);
    if (name.ends_with("u32be") && std::is_same_v<T, std::int32_t>) return nearest_from<T, std::int64_t>(name);
    if (name.find("f16") != std::string::npos && std::is_same_v<T, std::int64_t>)
      return nearest_from<T, double>(name);
    return expected<T>(name);
  }

  template <class T>
  void expect_equal_as(const Hdf5File& file, const std::string& name) const {
    const std::vector<T> found = file.read<T>(name).values;
    const std::vector<T> right = nearest_values<T>(name);
    ASSERT_EQ(found.size(), right.size());
    for (std::size_t at = 0; at < found.size(); ++at)
      ASSERT_EQ(found[at], right[at]) << name << " as " << typeid(T).name() << ", value " << at;
  }

  void expect_equal(const Hdf5File& file, const std::string& name) const {
    expect_equal_as<float>(file, name);
    expect_equal_as<double>(file, name);
    expect_equal_as<std::int32_t>(file, name);
    expect_equal_as<std::int64_t>(file, name);
    expect_equal_as<std::uint8_t>(file, name);
    expect_equal_as<std::uint64_t>(file, name);
  }

  /// The stored bytes of the first chunk of a dataset like `spec` with chunks of so many values.
  Bytes packed(Spec spec, hsize_t values_in_chunk) const {
    Bytes raw;
    with_file([&](hid_t file) {
      spec.name = "of_" + std::to_string(values_in_chunk);
      spec.shape = spec.chunk = {values_in_chunk};
      make(file, spec, [&](hid_t dataset) {
        std::vector<std::int32_t> values(values_in_chunk, 7);
        ASSERT_GE(H5Dwrite(dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
        H5Dflush(dataset);
        const hsize_t at = 0;
        hsize_t size = 0;
        unsigned mask = 0;
        H5Dget_chunk_storage_size(dataset, &at, &size);
        raw.resize(size);
        ASSERT_GE(H5Dread_chunk(dataset, H5P_DEFAULT, &at, &mask, raw.data()), 0);
        ASSERT_EQ(mask, 0U) << "a filter that was left out";
      });
      H5Ldelete(file, spec.name.c_str(), H5P_DEFAULT);
    });
    return raw;
  }

  /// Puts bytes in the place of the second chunk of four.
  void replace_chunk(const Spec& spec, const Bytes& bytes, unsigned mask = 0) const {
    with_file([&](hid_t file) {
      if (H5Lexists(file, "x", H5P_DEFAULT) > 0) H5Ldelete(file, "x", H5P_DEFAULT);
      make(file, spec, [&](hid_t dataset) {
        if (H5Tget_class(spec.type) == H5T_INTEGER) write_values(dataset, spec.type, size_of(spec.shape));
        const hsize_t at = spec.chunk[0];
        ASSERT_GE(H5Dwrite_chunk(dataset, H5P_DEFAULT, mask, &at, bytes.size(), bytes.data()), 0);
      });
    });
  }

  void expect_refused(const std::string& what, const std::string& part = "x has a chunk") const {
    const Hdf5File file = Hdf5File::open(path_);
    const std::string message = message_of<FormatError>([&] { (void)file.read<float>("x"); });
    EXPECT_MENTIONS(message, part) << what;
    EXPECT_MENTIONS(message, path_) << what;
    const Hdf5Dataset dataset = file.open_dataset("x");
    std::vector<std::int32_t> values(64);
    dataset.read_range(0, 16, values.data());
    EXPECT_THROW(dataset.read_range(17, 3, values.data()), FormatError) << what;
    EXPECT_THROW(dataset.read_range(17, 3, values.data()), FormatError) << what << ", a second time";
    dataset.read_range(32, 32, values.data());
  }

  void change_bytes(const std::function<void(std::string&)>& change) const {
    std::ifstream in(path_, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    in.close();
    change(bytes);
    std::ofstream(path_, std::ios::binary) << bytes;
  }
};

TEST_F(Hdf5Chunks, EveryTypeThroughEveryFilterIsWhatHdf5Reads) {
  for (const NamedFilters& filters : filter_sets())
    for (const NamedType& type : number_types())
      write({.name = filters.name + "-" + type.name, .type = type.id, .shape = {150}, .set = filters.set});
  const Hdf5File file = Hdf5File::open(path_);
  for (const NamedFilters& filters : filter_sets())
    for (const NamedType& type : number_types()) expect_equal(file, filters.name + "-" + type.name);
}

TEST_F(Hdf5Chunks, WhatIsNoNumberStaysNoneAsARealAndIsZeroAsAWholeNumber) {
  const std::vector<double> values{std::numeric_limits<double>::quiet_NaN(), 2, -std::nan("")};
  for (const char* name : {"f16le", "f32be", "f64le"}) {
    const auto type = std::find_if(number_types().begin(), number_types().end(),
                                   [&](const NamedType& each) { return each.name == name; });
    with_file([&](hid_t file) {
      make(
          file,
          {.name = name, .type = type->id, .shape = {3}, .chunk = {2}, .set = [](hid_t c) { H5Pset_deflate(c, 1); }},
          [&](hid_t dataset) { H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()); });
    });
    const Hdf5File file = Hdf5File::open(path_);
    const std::vector<float> reals = file.read<float>(name).values;
    EXPECT_TRUE(std::isnan(reals[0]) && reals[1] == 2 && std::isnan(reals[2])) << name;
    EXPECT_EQ(file.read<std::int64_t>(name).values, (std::vector<std::int64_t>{0, 2, 0})) << name;
    EXPECT_EQ(file.read<std::uint8_t>(name).values, (std::vector<std::uint8_t>{0, 2, 0})) << name;
  }
}

TEST_F(Hdf5Chunks, WindowsOfAListAreItsPieces) {
  for (const NamedFilters& filters : filter_sets())
    write({.name = filters.name, .shape = {1003}, .chunk = {64}, .set = filters.set});
  const Hdf5File file = Hdf5File::open(path_);
  for (const NamedFilters& filters : filter_sets()) {
    const std::vector<std::int32_t> whole = expected<std::int32_t>(filters.name);
    const Hdf5Dataset dataset = file.open_dataset(filters.name);
    for (std::int64_t first = 0; first < 1003; first += 37) {
      for (const std::int64_t count : {0, 1, 37, 64, 500}) {
        if (first + count > 1003) continue;
        std::vector<std::int32_t> window(static_cast<std::size_t>(count));
        dataset.read_range(first, count, window.data());
        EXPECT_TRUE(std::equal(window.begin(), window.end(), whole.begin() + first))
            << filters.name << " " << first << " + " << count;
      }
    }
  }
}

TEST_F(Hdf5Chunks, WindowsOfAMatrixAreItsPieces) {
  constexpr std::int64_t kRows = 37;
  constexpr std::int64_t kColumns = 23;
  for (const NamedFilters& filters : filter_sets())
    write({.name = filters.name,
           .type = H5T_IEEE_F32BE,
           .shape = {kRows, kColumns},
           .chunk = {8, 5},
           .set = filters.set});
  const Hdf5File file = Hdf5File::open(path_);
  std::mt19937 random(1);
  for (const NamedFilters& filters : filter_sets()) {
    const std::vector<float> whole = expected<float>(filters.name);
    EXPECT_EQ(file.read<float>(filters.name).values, whole) << filters.name;
    const Hdf5Dataset dataset = file.open_dataset(filters.name);
    for (int draw = 0; draw < 60; ++draw) {
      const std::int64_t row = random() % kRows;
      const std::int64_t column = random() % kColumns;
      const std::int64_t rows = random() % (kRows - row + 1);
      const std::int64_t columns = random() % (kColumns - column + 1);
      std::vector<float> block(static_cast<std::size_t>(rows * columns));
      dataset.read_block(row, rows, column, columns, block.data());
      std::vector<float> cut;
      for (std::int64_t r = row; r < row + rows; ++r)
        for (std::int64_t c = column; c < column + columns; ++c)
          cut.push_back(whole[static_cast<std::size_t>(r * kColumns + c)]);
      EXPECT_EQ(block, cut) << filters.name << " " << row << "+" << rows << ", " << column << "+" << columns;
    }
  }
}

TEST_F(Hdf5Chunks, RowsOfACubeAreItsPieces) {
  for (const NamedFilters& filters : filter_sets())
    write({.name = filters.name, .type = H5T_STD_U16BE, .shape = {7, 5, 4}, .chunk = {3, 2, 3}, .set = filters.set});
  const Hdf5File file = Hdf5File::open(path_);
  for (const NamedFilters& filters : filter_sets()) {
    const std::vector<double> whole = expected<double>(filters.name);
    const Hdf5Dataset dataset = file.open_dataset(filters.name);
    for (std::int64_t first = 0; first <= 7; ++first) {
      for (std::int64_t count = 0; first + count <= 7; ++count) {
        std::vector<double> rows(static_cast<std::size_t>(count * 20));
        dataset.read_rows(first, count, rows.data());
        EXPECT_TRUE(std::equal(rows.begin(), rows.end(), whole.begin() + first * 20)) << filters.name << first;
      }
    }
  }
}

TEST_F(Hdf5Chunks, EveryIndexOfTheNewFormatIsRead) {
  // One chunk, a fixed array, an extensible array, a B-tree, and chunks that lie one behind another.
  const Extents free_one{H5S_UNLIMITED, 20};
  const Extents free_two{H5S_UNLIMITED, H5S_UNLIMITED};
  for (const NamedFilters& filters : {filter_sets()[0], filter_sets()[3], filter_sets()[7]}) {
    const auto spec = [&](const std::string& name, const Extents& chunk, const Extents& largest) {
      return Spec{
          .name = filters.name + name, .shape = {30, 20}, .chunk = chunk, .set = filters.set, .largest = largest};
    };
    write(spec("single", {30, 20}, {}), H5F_LIBVER_LATEST);
    write(spec("fixed", {7, 6}, {}), H5F_LIBVER_LATEST);
    write(spec("extensible", {7, 6}, free_one), H5F_LIBVER_LATEST);
    write(spec("tree", {7, 6}, free_two), H5F_LIBVER_LATEST);
    Spec early = spec("early", {7, 6}, {});
    early.set = [&](hid_t c) { filters.set(c), H5Pset_alloc_time(c, H5D_ALLOC_TIME_EARLY); };
    write(early, H5F_LIBVER_LATEST);
  }
  const Hdf5File file = Hdf5File::open(path_);
  for (const std::string& name : file.children()) expect_equal(file, name);
  EXPECT_EQ(file.children().size(), 15U);
}

TEST_F(Hdf5Chunks, EdgesThatAreStoredUnpackedAreRead) {
  for (const NamedFilters& filters : filter_sets())
    write({.name = filters.name,
           .shape = {30, 20},
           .chunk = {7, 6},
           .set = [&](hid_t c) { filters.set(c), H5Pset_chunk_opts(c, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS); }},
          H5F_LIBVER_LATEST);
  const Hdf5File file = Hdf5File::open(path_);
  for (const NamedFilters& filters : filter_sets()) expect_equal(file, filters.name);
}

TEST_F(Hdf5Chunks, ChunksNeverWrittenHoldTheFillValue) {
  const auto write_partly = [&](const std::string& name, hid_t type, const double* fill) {
    with_file([&](hid_t file) {
      const auto set = [&](hid_t c) {
        H5Pset_shuffle(c);
        H5Pset_deflate(c, 1);
        if (fill) H5Pset_fill_value(c, H5T_NATIVE_DOUBLE, fill);
      };
      make(file, {.name = name, .type = type, .shape = {10, 9}, .chunk = {4, 4}, .set = set}, [&](hid_t dataset) {
        // Values (3..5, 3..5): four chunks of nine.
        const hid_t space = H5Dget_space(dataset);
        const Extents start{3, 3};
        const Extents count{3, 3};
        const std::vector<double> values{1, 2, 3, 4, 5, 6, 7, 8, 9};
        const hid_t memory = H5Screate_simple(2, count.data(), nullptr);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
        EXPECT_GE(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, values.data()), 0);
        H5Sclose(memory);
        H5Sclose(space);
      });
      make(file, {.name = name + "-empty", .type = type, .shape = {10, 9}, .chunk = {4, 4}, .set = set},
           [](hid_t) {});
    });
  };
  const double seven = 7;
  std::vector<std::string> names;
  for (const NamedType& type : number_types()) {
    if (type.name == "bool") continue;
    write_partly(type.name, type.id, &seven);
    write_partly(type.name + "-plain", type.id, nullptr);
    names.insert(names.end(), {type.name, type.name + "-plain", type.name + "-empty", type.name + "-plain-empty"});
  }
  const Hdf5File file = Hdf5File::open(path_);
  for (const std::string& name : names) expect_equal(file, name);
  EXPECT_EQ(file.read<float>("i32le-empty").values, std::vector<float>(90, 7));
}

TEST_F(Hdf5Chunks, ThousandsOfChunksOfOneOrTwoValuesAreReadInAnyWindows) {
  for (const NamedFilters& filters : {filter_sets()[0], filter_sets()[1]}) {
    write({.name = filters.name, .shape = {5000}, .chunk = {1}, .set = filters.set});
    write({.name = filters.name + "2", .shape = {4, 2000}, .chunk = {2, 1}, .set = filters.set});
  }
  const Hdf5File file = Hdf5File::open(path_);
  for (const std::string name : {"none", "gzip"}) {
    expect_equal_as<std::int32_t>(file, name);
    const std::vector<float> whole = expected<float>(name + "2");
    const Hdf5Dataset dataset = file.open_dataset(name + "2");
    std::vector<float> rows(8000);
    for (std::int64_t row = 0; row < 4; ++row) dataset.read_rows(row, 1, rows.data() + row * 2000);
    EXPECT_EQ(rows, whole);
  }
}

TEST_F(Hdf5Chunks, TheNumberOfThreadsChangesNothing) {
  write({.shape = {3000, 40}, .chunk = {64, 16}, .set = filters_named("shuffle_gzip")});
  const int before = settings().n_threads;
  std::vector<std::vector<double>> results;
  for (const int threads : {1, 2, 5}) {
    settings().n_threads = threads;
    results.push_back(Hdf5File::open(path_).read<double>("x").values);
  }
  settings().n_threads = before;
  EXPECT_EQ(results[0], expected<double>("x"));
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

TEST_F(Hdf5Chunks, ChunksCanBeReadFromAFileThatIsBeingWritten) {
  const std::vector<std::int32_t> values(3000, 5);
  Hdf5File file = Hdf5File::create(path_);
  file.write("x", values, Hdf5Compression::gzip);
  EXPECT_EQ(file.read<std::int32_t>("x").values, values);
  file.close();
  Hdf5File again = Hdf5File::open_for_update(path_);
  std::vector<std::int64_t> noise(100000);
  std::mt19937_64 random(1);
  for (std::int64_t& value : noise) value = static_cast<std::int64_t>(random());
  again.write("y", noise, Hdf5Compression::lzf);
  EXPECT_EQ(again.read<std::int64_t>("y").values, noise);
}

TEST_F(Hdf5Chunks, AnInterruptEndsTheReading) {
  write({.set = filters_named("gzip")});
  const Hdf5File file = Hdf5File::open(path_);
  set_interrupt(true);
  EXPECT_THROW((void)file.read<float>("x"), Interrupted);
  set_interrupt(false);
  expect_equal(file, "x");
}

// ---- damaged chunks

TEST_F(Hdf5Chunks, OfTheWrongLengthAreRefused) {
  for (const NamedFilters& filters : filter_sets()) {
    if (filters.name == "none") continue;
    const Spec spec{.set = filters.set};
    for (const hsize_t values : {8, 15, 17, 32, 4000}) {
      replace_chunk(spec, packed(spec, values));
      expect_refused(filters.name + " of " + std::to_string(values));
    }
    replace_chunk(spec, packed(spec, 16));
    EXPECT_EQ(Hdf5File::open(path_).read<float>("x").values.size(), 64U) << filters.name << ": one that is sound";
  }
}

TEST_F(Hdf5Chunks, ThatAreCutOffAreRefused) {
  for (const NamedFilters& filters : filter_sets()) {
    if (filters.name == "none") continue;
    const Spec spec{.set = filters.set};
    Bytes whole = packed(spec, 16);
    for (std::size_t size = 1; size < whole.size(); ++size) {
      replace_chunk(spec, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
      expect_refused(filters.name + " cut to " + std::to_string(size));
    }
  }
}

TEST_F(Hdf5Chunks, WithAChecksumOverWhatIsStoredAreRefusedForEveryFlippedByte) {
  for (const char* name : {"fletcher32", "gzip_fletcher32", "shuffle_gzip_fletcher32"}) {
    const Spec spec{.set = filters_named(name)};
    const Bytes sound = packed(spec, 16);
    for (std::size_t at = 0; at < sound.size(); ++at) {
      Bytes flipped = sound;
      flipped[at] ^= 0x5A;
      replace_chunk(spec, flipped);
      expect_refused(std::string(name) + ", byte " + std::to_string(at), "x has a chunk whose checksum is wrong");
    }
  }
}

TEST_F(Hdf5Chunks, WithAChecksumOfTheirValuesGiveThoseValuesOrAreRefused) {
  for (const char* name : {"gzip", "fletcher32_gzip"}) {
    const Spec spec{.set = filters_named(name)};
    const Bytes sound = packed(spec, 16);
    std::size_t n_refused = 0;
    for (std::size_t at = 0; at < sound.size(); ++at) {
      Bytes flipped = sound;
      flipped[at] ^= 0x5A;
      replace_chunk(spec, flipped);
      try {
        const std::vector<std::int32_t> values = Hdf5File::open(path_).read<std::int32_t>("x").values;
        EXPECT_EQ(std::count(values.begin() + 16, values.begin() + 32, 7), 16) << name << ", byte " << at;
      } catch (const FormatError&) {
        ++n_refused;
      }
    }
    // Few bits of a stream mean nothing.
    EXPECT_GE(n_refused + 3, sound.size()) << name;
  }
}

TEST_F(Hdf5Chunks, OfGarbageAreReadOrRefused) {
  std::mt19937 random(3);
  for (const NamedFilters& filters : filter_sets()) {
    const Spec spec{.set = filters.set};
    for (int draw = 0; draw < 20; ++draw) {
      Bytes garbage(1 + random() % 90);
      for (std::uint8_t& byte : garbage) byte = static_cast<std::uint8_t>(random());
      if (filters.name == "none") garbage.resize(64);
      replace_chunk(spec, garbage);
      try {
        (void)Hdf5File::open(path_).read<float>("x");
      } catch (const FormatError&) {
      }
    }
  }
}

TEST_F(Hdf5Chunks, OfLzfThatReachOutOfTheirBytesAreRefused) {
  const Spec spec{.set = set_lzf};
  const std::vector<Bytes> liars{
      {0x1F, 1, 2, 3},              // 32 literals, of which three are there
      {0x00, 1, 0x20, 0x05},        // a copy from before the beginning
      {0x00, 1, 0xE0, 0xFF, 0x00},  // a copy far longer than the chunk
      {0x00, 1, 0xE0},              // a copy without its length
      {0x00, 1, 0x20},              // a copy without its distance
      {0x00, 1, 0xE0, 0x10, 0x00},  // stops short
      Bytes(200, 0x00),             // too many literals
  };
  for (std::size_t i = 0; i < liars.size(); ++i) {
    replace_chunk(spec, liars[i]);
    expect_refused("liar " + std::to_string(i));
  }
}

TEST_F(Hdf5Chunks, ThatSayTheyWereNotFilteredAreTakenAtTheirWord) {
  const Spec spec{.type = H5T_STD_I32LE, .set = filters_named("shuffle_gzip")};
  std::vector<std::int32_t> values(16);
  for (std::int32_t& value : values) value = static_cast<std::int32_t>(&value - values.data());
  Bytes raw(64);
  std::memcpy(raw.data(), values.data(), raw.size());
  replace_chunk(spec, raw, 3);
  const std::vector<std::int32_t> read = Hdf5File::open(path_).read<std::int32_t>("x").values;
  EXPECT_TRUE(std::equal(values.begin(), values.end(), read.begin() + 16));
  for (const std::size_t size : {1, 63, 65, 5000}) {
    replace_chunk(spec, Bytes(size, 7), 3);
    expect_refused("plain of " + std::to_string(size), "where its layout says 64");
  }
}

TEST_F(Hdf5Chunks, OfTextAndOfRecordsAreCheckedBeforeHdf5ReadsThem) {
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, 4);
  const hid_t record = H5Tcreate(H5T_COMPOUND, 4);
  H5Tinsert(record, "a", 0, H5T_STD_I32LE);
  for (const char* name : {"gzip", "shuffle_lzf", "fletcher32"}) {
    const std::function<void(hid_t)> filters = filters_named(name);
    for (const hsize_t values : {8, 17, 4000}) {
      const Bytes wrong = packed({.set = filters}, values);
      replace_chunk({.type = text, .set = filters}, wrong);
      EXPECT_MENTIONS(message_of<FormatError>([&] { (void)Hdf5File::open(path_).read_strings("x"); }), "has a chunk");
      replace_chunk({.type = record, .set = filters}, wrong);
      const Hdf5File file = Hdf5File::open(path_);
      EXPECT_MENTIONS(message_of<FormatError>([&] { (void)file.open_dataset("x").read_field<double>(0); }),
                      "has a chunk");
    }
  }
  H5Tclose(record);
  H5Tclose(text);
}

TEST_F(Hdf5Chunks, WithoutFiltersWhoseLengthInTheIndexIsALieDoNoHarm) {
  // Whatever the index says, such a chunk has the bytes of its layout.
  for (const std::uint32_t lie : {0U, 1U, 60U, 68U, 500U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
    std::filesystem::remove(path_);
    write({});
    write({.name = "more", .shape = {5000}, .chunk = {5000}});
    const std::vector<std::int32_t> sound = expected<std::int32_t>("x");
    change_bytes([&](std::string& bytes) {
      int n_changed = 0;
      for (std::size_t at = bytes.find("TREE\1"); at != std::string::npos; at = bytes.find("TREE\1", at + 1)) {
        const std::uint32_t size = 64;
        if (std::memcmp(bytes.data() + at + 24, &size, 4) != 0) continue;
        std::memcpy(bytes.data() + at + 24, &lie, 4);
        ++n_changed;
      }
      ASSERT_EQ(n_changed, 1);
    });
    EXPECT_EQ(Hdf5File::open(path_).read<std::int32_t>("x").values, sound) << lie;
  }
}

TEST_F(Hdf5Chunks, WithFiltersWhoseLengthInTheIndexIsALieAreRefused) {
  for (const std::uint32_t lie : {1U, 64U, 69U, 500U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
    std::filesystem::remove(path_);
    write({.set = filters_named("fletcher32")});
    change_bytes([&](std::string& bytes) {
      const std::size_t tree = bytes.find("TREE\1");
      ASSERT_NE(tree, std::string::npos);
      std::memcpy(bytes.data() + tree + 24, &lie, 4);
    });
    const Hdf5File file = Hdf5File::open(path_);
    EXPECT_MENTIONS(message_of<FormatError>([&] { (void)file.read<float>("x"); }), path_) << lie;
  }
}

// ---- damaged descriptions

TEST_F(Hdf5Chunks, OfAnotherRankThanTheDataAreRefused) {
  write({.shape = {8, 8}, .chunk = {4, 3}, .set = filters_named("gzip")});
  change_bytes([](std::string& bytes) {
    // Version 3, chunked, rank + 1 = 3, an address, and the extents 4, 3 and the 4 bytes of a value.
    const std::size_t extents = bytes.find(std::string("\4\0\0\0\3\0\0\0\4\0\0\0", 12));
    ASSERT_NE(extents, std::string::npos);
    ASSERT_EQ(bytes[extents - 9], 3);
    bytes[extents - 9] = 2;
  });
  const Hdf5File file = Hdf5File::open(path_);
  EXPECT_MENTIONS(message_of<FormatError>([&] { (void)file.open_dataset("x"); }),
                  "has 2 dimensions, but its chunks have 1");
}

TEST_F(Hdf5Chunks, CompressedMoreThanOnceAreRefused) {
  with_file([&](hid_t file) {
    make(file, {.name = "gg", .set = [](hid_t c) { H5Pset_deflate(c, 1), H5Pset_deflate(c, 1); }}, [](hid_t) {});
    make(file, {.name = "lg", .set = [](hid_t c) { set_lzf(c), H5Pset_deflate(c, 1); }}, [](hid_t) {});
  });
  const Hdf5File file = Hdf5File::open(path_);
  for (const std::string name : {"gg", "lg"})
    EXPECT_MENTIONS(message_of<FormatError>([&] { (void)file.open_dataset(name); }), "compressed more than once");
}

TEST_F(Hdf5Chunks, FillValuesShorterThanAValueAreRefused) {
  const std::int64_t fill = 0x1122334455667788;
  for (const std::uint32_t lie : {1U, 2U, 7U}) {
    std::filesystem::remove(path_);
    with_file([&](hid_t file) {
      make(file, {.type = H5T_STD_I64LE, .set = [&](hid_t c) { H5Pset_fill_value(c, H5T_NATIVE_INT64, &fill); }},
           [](hid_t) {});
    });
    EXPECT_EQ(Hdf5File::open(path_).read<std::int64_t>("x").values, std::vector<std::int64_t>(64, fill));
    change_bytes([&](std::string& bytes) {
      const std::string stored(reinterpret_cast<const char*>(&fill), 8);
      for (std::size_t at = bytes.find(stored); at != std::string::npos; at = bytes.find(stored, at + 1))
        std::memcpy(bytes.data() + at - 4, &lie, 4);
    });
    const Hdf5File file = Hdf5File::open(path_);
    EXPECT_MENTIONS(message_of<FormatError>([&] { (void)file.open_dataset("x"); }), "x has a fill value of") << lie;
  }
}

TEST_F(Hdf5Chunks, SuperblocksWithAddressesOfUnheardOfWidthAreRefused) {
  write({});
  for (const char width : {16, 32}) {
    change_bytes([&](std::string& bytes) { bytes[13] = width; });
    EXPECT_MENTIONS(message_of<FormatError>([&] { (void)Hdf5File::open(path_); }),
                    "addresses of " + std::to_string(width) + " bytes");
  }
}

}  // namespace
}  // namespace scvi::io
