#include "scvi/io/hdf5.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <random>
#include <tuple>

#include "h5ad_fixture.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/logging.hpp"
#include "testing.hpp"

/// HDF5 1.10 loses some memory of its own whenever it gives up on a damaged file or a full disk.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5\n";
}

/// HDF5 asks for whatever size a damaged file states, and copes with being refused.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}

namespace scvi::io {
namespace {

using testing::message_of;

class Hdf5 : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("file.h5");

  /// Writes with the C library what this layer does not write.
  template <class Action>
  void with_hdf5(Action action) {
    const hid_t file = std::filesystem::exists(path_)
                           ? H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT)
                           : H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    ASSERT_GE(file, 0);
    action(file);
    H5Fclose(file);
  }

  template <class T>
  void write_with_hdf5(hid_t file, const char* name, hid_t file_type, hid_t memory_type,
                       const std::vector<T>& values) {
    const hsize_t extent = values.size();
    const hid_t space = H5Screate_simple(1, &extent, nullptr);
    const hid_t dataset = H5Dcreate2(file, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    H5Dclose(dataset);
    H5Sclose(space);
  }
};

TEST_F(Hdf5, NumbersComeBackWithShapeAndTypeInAnyNumberType) {
  {
    Hdf5File file = Hdf5File::create(path_);
    const std::int64_t shape[] = {2, 3};
    const std::vector<float> values{1, 2, 3, 4, 5.5F, -6};
    file.write<float>("deep/in a group/m", values, shape, Hdf5Compression::gzip);
    file.write("i8", std::vector<std::int8_t>{-1, 5});
    file.write_scalar("one", 2.5);
    file.write("none", std::vector<double>{});
    file.write_booleans("flags", std::vector<std::uint8_t>{1, 0, 1});
    file.close();
  }
  const Hdf5File file = Hdf5File::open(path_);
  const auto matrix = file.read<double>("/deep/in a group/m");
  EXPECT_EQ(matrix.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(matrix.values, (std::vector<double>{1, 2, 3, 4, 5.5, -6}));
  EXPECT_EQ(file.read<std::int64_t>("i8").values, (std::vector<std::int64_t>{-1, 5}));
  EXPECT_EQ(file.read<std::uint8_t>("i8").values, (std::vector<std::uint8_t>{0, 5})) << "out of range is the nearest";
  EXPECT_EQ(file.read<float>("flags").values, (std::vector<float>{1, 0, 1}));
  EXPECT_EQ(file.read<std::uint8_t>("flags").values, (std::vector<std::uint8_t>{1, 0, 1}));
  EXPECT_EQ(file.read_scalar<float>("one"), 2.5F);
  EXPECT_TRUE(file.read<float>("one").shape.empty());
  EXPECT_TRUE(file.read<float>("none").values.empty());
  EXPECT_EQ(file.info("flags").value_class, Hdf5Class::boolean);
  EXPECT_EQ(file.info("deep/in a group/m").type_name, "float32");
  EXPECT_EQ(file.info("i8").type_name, "int8");
}

TEST_F(Hdf5, EveryWidthAndByteOrderIsRead) {
  with_hdf5([&](hid_t file) {
    const std::vector<double> values{0, 1, 200};
    write_with_hdf5(file, "u16be", H5T_STD_U16BE, H5T_NATIVE_DOUBLE, values);
    write_with_hdf5(file, "i64be", H5T_STD_I64BE, H5T_NATIVE_DOUBLE, values);
    write_with_hdf5(file, "f64be", H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE, values);
    write_with_hdf5(file, "u8", H5T_STD_U8LE, H5T_NATIVE_DOUBLE, values);
    const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(half, 15, 10, 5, 0, 10);
    H5Tset_size(half, 2);
    H5Tset_ebias(half, 15);
    write_with_hdf5(file, "f16", half, H5T_NATIVE_DOUBLE, values);
    H5Tclose(half);
  });
  const Hdf5File file = Hdf5File::open(path_);
  for (const char* name : {"u16be", "i64be", "f64be", "u8", "f16"}) {
    EXPECT_EQ(file.read<float>(name).values, (std::vector<float>{0, 1, 200})) << name;
    EXPECT_EQ(file.read<std::int32_t>(name).values, (std::vector<std::int32_t>{0, 1, 200})) << name;
  }
  EXPECT_EQ(file.info("f16").type_name, "float16");
  EXPECT_EQ(file.info("u16be").type_name, "uint16");
}

TEST_F(Hdf5, NumberTypesThatAreNoneAreRefused) {
  with_hdf5([&](hid_t file) {
    const hid_t odd = H5Tcopy(H5T_STD_I32LE);
    H5Tset_precision(odd, 24);
    write_with_hdf5(file, "i24", odd, H5T_NATIVE_INT, std::vector<int>{1, 2});
    H5Tclose(odd);
  });
  const Hdf5File file = Hdf5File::open(path_);
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.read<float>("i24"); }), "i24");
}

TEST_F(Hdf5, StringsOfEveryKindAreRead) {
  with_hdf5([&](hid_t file) {
    const auto fixed = [&](const char* name, H5T_str_t padding, const std::string& bytes, std::size_t width) {
      const hid_t type = H5Tcopy(H5T_C_S1);
      H5Tset_size(type, width);
      H5Tset_strpad(type, padding);
      const hsize_t extent = bytes.size() / width;
      const hid_t space = H5Screate_simple(1, &extent, nullptr);
      const hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data());
      H5Dclose(dataset);
      H5Sclose(space);
      H5Tclose(type);
    };
    fixed("nullpad", H5T_STR_NULLPAD, std::string("ab\0cde", 6), 3);
    fixed("nullterm", H5T_STR_NULLTERM, std::string("ab\0c\0x", 6), 3);
    fixed("spacepad", H5T_STR_SPACEPAD, "a  bcd", 3);
    // Seurat and loompy's older files: variable-length ASCII.
    const hid_t ascii = H5Tcopy(H5T_C_S1);
    H5Tset_size(ascii, H5T_VARIABLE);
    write_with_hdf5(file, "ascii", ascii, ascii, std::vector<const char*>{"one", "", "three"});
    H5Tclose(ascii);
  });
  {
    Hdf5File file = Hdf5File::open_for_update(path_);
    file.write_strings("utf8", std::vector<std::string>{"\xCE\xB1-catenin", "", "x"}, Hdf5Compression::lzf);
    file.write_string("alone", "text");
    file.write_strings("no strings", std::vector<std::string>{});
    file.close();
  }
  const Hdf5File file = Hdf5File::open(path_);
  using Texts = std::vector<std::string>;
  EXPECT_EQ(file.read_strings("nullpad").values, (Texts{"ab", "cde"}));
  EXPECT_EQ(file.read_strings("nullterm").values, (Texts{"ab", "c"}));
  EXPECT_EQ(file.read_strings("spacepad").values, (Texts{"a", "bcd"}));
  EXPECT_EQ(file.read_strings("ascii").values, (Texts{"one", "", "three"}));
  EXPECT_EQ(file.read_strings("utf8").values, (Texts{"\xCE\xB1-catenin", "", "x"}));
  EXPECT_EQ(file.read_string("alone"), "text");
  EXPECT_TRUE(file.read_strings("no strings").values.empty());
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.read_string("utf8"); }), "3 values where one is expected");
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.read<float>("utf8"); }), "text where numbers are expected");
}

TEST_F(Hdf5, ManyStringsComeBackInOrder) {
  std::vector<std::string> texts;
  for (int at = 0; at < 200000; ++at) texts.push_back("cell-" + std::to_string(at));
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write_strings("names", texts, Hdf5Compression::gzip);
    file.close();
  }
  EXPECT_EQ(Hdf5File::open(path_).read_strings("names").values, texts);
}

TEST_F(Hdf5, TextThatIsNotUtf8IsReplacedWithAWarning) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write_strings("names", std::vector<std::string>{"good", "caf\xE9 x", "\xFF"});
    file.close();
  }
  std::string warnings;
  const ScopedLogSink sink([&](LogLevel, std::string_view message) { warnings += message; });
  const std::vector<std::string> texts = Hdf5File::open(path_).read_strings("names").values;
  EXPECT_EQ(texts, (std::vector<std::string>{"good", "caf\xEF\xBF\xBD x", "\xEF\xBF\xBD"}));
  EXPECT_MENTIONS(warnings, "names: 2 texts are not valid UTF-8");
}

TEST_F(Hdf5, AttributesOfEveryKindComeBack) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.create_group("g");
    file.set_attribute("g", "text", "first");
    file.set_attribute("g", "text", "second");
    file.set_attribute("g", "list", std::vector<std::string>{"a", "b c", ""});
    file.set_attribute("g", "none", std::vector<std::string>{});
    file.set_attribute("g", "flag", true);
    file.set_number_attribute<std::int64_t>("g", "whole", -3);
    file.set_number_attribute<double>("/", "real", 0.5);
    const std::vector<std::int64_t> shape{4, 5};
    file.set_number_attribute<std::int64_t>("g", "shape", std::span<const std::int64_t>(shape));
    file.set_number_attribute<std::int64_t>("g", "gone", 1);
    file.remove_attribute("g", "gone");
    file.close();
  }
  const Hdf5File file = Hdf5File::open(path_);
  EXPECT_EQ(file.attribute_string("g", "text"), "second");
  EXPECT_EQ(file.attribute_strings("g", "list"), (std::vector<std::string>{"a", "b c", ""}));
  EXPECT_TRUE(file.attribute_strings("g", "none").empty());
  EXPECT_EQ(file.attribute_number<std::uint8_t>("g", "flag"), 1);
  EXPECT_EQ(file.attribute_number<std::int64_t>("g", "whole"), -3);
  EXPECT_EQ(file.attribute_number<float>("/", "real"), 0.5F);
  EXPECT_EQ(file.attribute_numbers<std::int64_t>("g", "shape"), (std::vector<std::int64_t>{4, 5}));
  EXPECT_FALSE(file.has_attribute("g", "gone"));
  EXPECT_EQ(file.attribute_string("g", "gone", "otherwise"), "otherwise");
  EXPECT_EQ(file.attribute_string("g", "whole", "otherwise"), "otherwise");
  EXPECT_EQ(file.attribute_names("g"), (std::vector<std::string>{"flag", "list", "none", "shape", "text", "whole"}));
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.attribute_string("g", "gone"); }),
                  "g, attribute 'gone' is missing");
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.attribute_string("g", "whole"); }), "int64 where text");
}

TEST_F(Hdf5, AttributesBeyond64KilobytesCanBeWritten) {
  std::vector<std::string> names;
  for (int at = 0; at < 9000; ++at) names.push_back("column " + std::to_string(at));
  {
    Hdf5File file = Hdf5File::create(path_);
    file.create_group("obs");
    file.set_attribute("obs", "column-order", names);
    file.close();
  }
  EXPECT_EQ(Hdf5File::open(path_).attribute_strings("obs", "column-order"), names);
}

TEST_F(Hdf5, ReferencesLeadToTheirTarget) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write("obs/codes", std::vector<std::int8_t>{0});
    file.write_strings("obs/__categories/codes", std::vector<std::string>{"a"});
    file.set_reference_attribute("obs/codes", "categories", "obs/__categories/codes");
    file.set_attribute("obs/codes", "text", "no reference");
    file.close();
  }
  const Hdf5File file = Hdf5File::open(path_);
  EXPECT_EQ(file.attribute_reference("obs/codes", "categories"), "obs/__categories/codes");
  EXPECT_EQ(file.attribute_reference("obs/codes", "text"), "");
}

TEST_F(Hdf5, PathsAreFoundLevelByLevel) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write("a b/c/d e", std::vector<float>{1});
    file.create_group("a b/empty");
    file.close();
  }
  const Hdf5File file = Hdf5File::open(path_);
  EXPECT_TRUE(file.is_group("/"));
  EXPECT_TRUE(file.is_group("a b/c/"));
  EXPECT_TRUE(file.is_dataset("/a b/c/d e"));
  EXPECT_FALSE(file.exists("a b/x/d e"));
  EXPECT_FALSE(file.exists("a b/c/d e/f"));
  EXPECT_EQ(file.children("a b"), (std::vector<std::string>{"c", "empty"}));
  EXPECT_EQ(file.children(), (std::vector<std::string>{"a b"}));
  EXPECT_TRUE(file.children("missing").empty());
  EXPECT_TRUE(file.children("a b/c/d e").empty());
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.read<float>("a b/x"); }), "a b/x is missing");
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.read<float>("a b/c"); }),
                  "is a group where an array is expected");
}

TEST_F(Hdf5, ElementsCanBeRemovedAndRenamed) {
  Hdf5File file = Hdf5File::create(path_);
  file.write("a", std::vector<float>{1});
  file.rename("a", "new group/b");
  EXPECT_FALSE(file.exists("a"));
  EXPECT_TRUE(file.exists("new group/b"));
  file.remove("new group");
  EXPECT_FALSE(file.exists("new group/b"));
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.remove("a"); }), "cannot be removed");
  file.write("a", std::vector<float>{1});
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.write("a", std::vector<float>{2}); }), "cannot be written");
}

TEST_F(Hdf5, GrowingDatasetsKeepEveryPiece) {
  for (const Hdf5Compression compression : {Hdf5Compression::none, Hdf5Compression::gzip, Hdf5Compression::lzf}) {
    {
      Hdf5File file = Hdf5File::create(path_);
      Hdf5Dataset list = file.create_growing<std::int32_t>("list", 0, compression);
      Hdf5Dataset table = file.create_growing<float>("table", 3, compression);
      std::vector<std::int32_t> values(70000);
      for (int piece = 0; piece < 3; ++piece) {
        std::iota(values.begin(), values.end(), piece * 70000);
        list.append<std::int32_t>(values);
        const std::vector<float> rows{1, 2, 3, 4, 5, static_cast<float>(piece)};
        table.append<float>(rows);
      }
      list.append<std::int32_t>({});
      file.close();
    }
    const Hdf5File file = Hdf5File::open(path_);
    const auto list = file.read<std::int64_t>("list");
    ASSERT_EQ(list.values.size(), 210000U);
    for (std::size_t at = 0; at < list.values.size(); ++at) ASSERT_EQ(list.values[at], static_cast<std::int64_t>(at));
    EXPECT_EQ(file.read<float>("table").shape, (std::vector<std::int64_t>{6, 3}));
    EXPECT_EQ(file.read<float>("table").values[17], 2.0F);
  }
}

TEST_F(Hdf5, PiecesOfADatasetAreReadAndTheirBoundsChecked) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write("list", std::vector<std::int64_t>{0, 10, 20, 30, 40});
    const std::int64_t shape[] = {3, 2};
    file.write<float>("table", std::vector<float>{0, 1, 2, 3, 4, 5}, shape);
    file.close();
  }
  const Hdf5File file = Hdf5File::open(path_);
  const Hdf5Dataset list = file.open_dataset("list");
  std::int32_t two[2] = {};
  list.read_range(3, 2, two);
  EXPECT_EQ(two[0], 30);
  EXPECT_EQ(two[1], 40);
  float row[2] = {};
  file.open_dataset("table").read_rows(1, 1, row);
  EXPECT_EQ(row[0], 2);
  EXPECT_THROW(list.read_range(4, 2, two), FormatError);
  EXPECT_THROW(list.read_range(-1, 2, two), FormatError);
  EXPECT_THROW(list.read_range(std::numeric_limits<std::int64_t>::max(), 2, two), FormatError);
  EXPECT_THROW(file.open_dataset("table").read_range(0, 1, row), FormatError);
}

TEST_F(Hdf5, LzfParametersAreThoseOfH5py) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write("zeros", std::vector<float>(1000, 0), Hdf5Compression::lzf);
    EXPECT_LT(file.open_dataset("zeros").stored_bytes(), 4000);
    file.close();
  }
  with_hdf5([](hid_t file) {
    const hid_t dataset = H5Dopen2(file, "zeros", H5P_DEFAULT);
    const hid_t creation = H5Dget_create_plist(dataset);
    unsigned values[8] = {};
    std::size_t count = 8;
    unsigned flags = 0;
    unsigned config = 0;
    EXPECT_EQ(H5Pget_filter2(creation, 0, &flags, &count, values, 0, nullptr, &config), 32000);
    EXPECT_EQ(count, 3U);
    EXPECT_EQ(values[0], 4U);
    EXPECT_EQ(values[2], 4000U);
    H5Pclose(creation);
    H5Dclose(dataset);
  });
}

TEST_F(Hdf5, MissingFiltersAreNamed) {
  with_hdf5([&](hid_t file) {
    const hsize_t extent = 10;
    const hid_t space = H5Screate_simple(1, &extent, nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 1, &extent);
    H5Pset_filter(creation, 32015, H5Z_FLAG_OPTIONAL, 0, nullptr);
    H5Dclose(H5Dcreate2(file, "packed", H5T_STD_I32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Sclose(space);
  });
  const std::string message = message_of<FormatError>([&] { Hdf5File::open(path_).read<float>("packed"); });
  EXPECT_MENTIONS(message, "packed is compressed with the HDF5 filter 'zstd' (32015)");
  EXPECT_MENTIONS(message, path_);
}

TEST_F(Hdf5, LinksOutOfTheFileAreRefused) {
  const std::string other = folder_.path("other.h5");
  {
    Hdf5File file = Hdf5File::create(other);
    file.write("secret", std::vector<float>{42});
    file.close();
  }
  with_hdf5([&](hid_t file) {
    H5Lcreate_external(other.c_str(), "secret", file, "stolen", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external(other.c_str(), "/", file, "elsewhere", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/stolen", file, "indirect", H5P_DEFAULT, H5P_DEFAULT);
    const hsize_t extent = 2;
    const hid_t space = H5Screate_simple(1, &extent, nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(creation, "/etc/hostname", 0, H5F_UNLIMITED);
    H5Dclose(H5Dcreate2(file, "raw", H5T_STD_I8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    const hid_t mapped = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(mapped, space, other.c_str(), "secret", space);
    H5Dclose(H5Dcreate2(file, "virtual", H5T_IEEE_F32LE, space, H5P_DEFAULT, mapped, H5P_DEFAULT));
    H5Pclose(mapped);
    H5Sclose(space);
  });
  const Hdf5File file = Hdf5File::open(path_);
  for (const char* name : {"stolen", "elsewhere/secret", "indirect", "raw", "virtual"})
    EXPECT_THROW(file.read<float>(name), FormatError) << name;
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.read<float>("stolen"); }), "link to another file");
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.read<float>("raw"); }), "in other files");
}

TEST_F(Hdf5, SoftLinksWorkAndLoopsOfThemEnd) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write("a", std::vector<float>{3});
    file.close();
  }
  with_hdf5([](hid_t file) {
    H5Lcreate_soft("/a", file, "alias", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/loop2", file, "loop1", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/loop1", file, "loop2", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/nothing", file, "dangling", H5P_DEFAULT, H5P_DEFAULT);
  });
  const Hdf5File file = Hdf5File::open(path_);
  EXPECT_EQ(file.read<float>("alias").values, std::vector<float>{3});
  EXPECT_THROW(file.read<float>("loop1"), FormatError);
  EXPECT_THROW(file.read<float>("dangling"), FormatError);
}

TEST_F(Hdf5, HugeSizesThatTheFileCannotHoldAreRefusedBeforeMemoryIsTaken) {
  with_hdf5([](hid_t file) {
    const hsize_t extent = hsize_t{1} << 41;
    const hsize_t chunk = 1024;
    const hid_t space = H5Screate_simple(1, &extent, nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 1, &chunk);
    H5Dclose(H5Dcreate2(file, "numbers", H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, H5T_VARIABLE);
    H5Dclose(H5Dcreate2(file, "texts", text, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    const hsize_t square[2] = {hsize_t{1} << 40, hsize_t{1} << 40};
    const hsize_t tile[2] = {64, 64};
    const hid_t plane = H5Screate_simple(2, square, nullptr);
    H5Pset_chunk(creation, 2, tile);
    H5Dclose(H5Dcreate2(file, "overflow", H5T_IEEE_F32LE, plane, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Sclose(space);
    H5Sclose(plane);
    H5Tclose(text);
  });
  const Hdf5File file = Hdf5File::open(path_);
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.read<float>("numbers"); }), "claims 2,199,023,255,552 values");
  EXPECT_THROW(file.read_strings("texts"), FormatError);
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.info("overflow"); }), "beyond all bounds");
}

TEST_F(Hdf5, ReferencesToTextThatTheFileDoesNotHoldAreRefused) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write_strings("texts", std::vector<std::string>{"first", "second"});
    file.close();
  }
  std::streamoff texts_at = 0;
  with_hdf5([&](hid_t file) {
    const hid_t dataset = H5Dopen2(file, "texts", H5P_DEFAULT);
    texts_at = static_cast<std::streamoff>(H5Dget_offset(dataset));
    H5Dclose(dataset);
  });
  const std::string sound = read_file(path_);
  // Where in a reference (length, address, number), the byte to put there, and what must be said.
  const std::tuple<int, char, const char*> damages[] = {
      {0, '\x09', "of 9 bytes, which the file does not hold"},
      {3, '\x7f', "which the file does not hold"},
      {12, '\x05', "refers to text 5"},
      {13, '\x10', "which the file does not hold"},
      {4, '\x08', "where the file holds none"},
      {9, '\x7f', "beyond the end of the file"},
      {11, '\xff', "beyond the end of the file"},
  };
  for (const auto& [at, byte, part] : damages) {
    std::string bytes = sound;
    bytes[static_cast<std::size_t>(texts_at + at)] = byte;
    write_file_atomically(path_, bytes);
    EXPECT_MENTIONS(message_of<FormatError>([&] { Hdf5File::open(path_).read_strings("texts"); }), part);
  }
  // The heap itself: a text that overruns its collection, a collection of another size.
  const std::size_t heap = sound.find("GCOL");
  ASSERT_NE(heap, std::string::npos);
  for (const std::size_t at : {heap + 4, heap + 13, heap + 15, heap + 16 + 9, heap + 16 + 15}) {
    std::string bytes = sound;
    bytes[at] = '\x70';
    write_file_atomically(path_, bytes);
    EXPECT_THROW(Hdf5File::open(path_).read_strings("texts"), FormatError) << at - heap;
  }
}

TEST_F(Hdf5, ManyTextsThatShareOneLongOneAreRefused) {
  // Each of the references is sound, but together they would unpack to far more than the file holds.
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write_strings("texts", std::vector<std::string>(2000, ""));
    file.write_strings("long", std::vector<std::string>{std::string(1 << 20, 'x')});
    file.close();
  }
  std::vector<char> reference(16);
  haddr_t texts_at = 0;
  with_hdf5([&](hid_t file) {
    for (const char* name : {"long", "texts"}) {
      const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
      const haddr_t at = H5Dget_offset(dataset);
      if (name[0] == 'l') {
        std::ifstream in(path_, std::ios::binary);
        in.seekg(static_cast<std::streamoff>(at)).read(reference.data(), 16);
      } else {
        texts_at = at;
      }
      H5Dclose(dataset);
    }
  });
  {
    std::fstream out(path_, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(texts_at));
    for (int at = 0; at < 2000; ++at) out.write(reference.data(), 16);
  }
  EXPECT_THROW(Hdf5File::open(path_).read_strings("texts"), FormatError);
  EXPECT_EQ(Hdf5File::open(path_).read_strings("long").values[0].size(), std::size_t{1} << 20);
}

TEST_F(Hdf5, WhatIsNoHdf5FileIsSaidToBeWhatItIs) {
  const auto write = [&](const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; };
  const auto opening = [&] { Hdf5File::open(path_); };
  EXPECT_MENTIONS(message_of<IoError>(opening), "No such file");
  write("");
  EXPECT_MENTIONS(message_of<FormatError>(opening), "empty (0 bytes)");
  write("cell,gene,count\n");
  EXPECT_MENTIONS(message_of<FormatError>(opening), "not an HDF5 file; it looks like a text file");
  write(std::string("\x1f\x8b\x08\x00 whatever", 13));
  EXPECT_MENTIONS(message_of<FormatError>(opening), "gzip-compressed");
  EXPECT_MENTIONS(message_of<IoError>([&] { Hdf5File::open(folder_.path()); }), "is a folder");
  EXPECT_MENTIONS(message_of<IoError>([&] { Hdf5File::create(folder_.path("no/such/folder.h5")); }), "No such file");
}

TEST_F(Hdf5, TruncationIsCalledTruncation) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.write("a", std::vector<double>(10000, 1.5));
    file.close();
  }
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
  EXPECT_MENTIONS(message_of<FormatError>([&] { Hdf5File::open(path_); }), "shorter than it says: truncated");
}

TEST_F(Hdf5, NothingIsPrintedByHdf5) {
  {
    Hdf5File file = Hdf5File::create(path_);
    file.close();
  }
  ::testing::internal::CaptureStderr();
  const Hdf5File file = Hdf5File::open(path_);
  EXPECT_FALSE(file.exists("a/b"));
  EXPECT_THROW(file.read<float>("a"), FormatError);
  EXPECT_THROW(Hdf5File::open(folder_.path("missing")), IoError);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

/// Whatever keeps a file open. (Types in memory do not, and the library keeps some.)
ssize_t open_objects() {
  return H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_FILE | H5F_OBJ_DATASET | H5F_OBJ_GROUP | H5F_OBJ_ATTR);
}

TEST_F(Hdf5, AFullDiskIsAnIoErrorAndLeavesNoOpenFile) {
  const testing::SmallDisk disk(folder_.path("small"), 200000);
  if (!disk.mounted())
    GTEST_SKIP() << "NO FULL DISK: mounting a small file system takes more rights; this test did not run";
  for (const Hdf5Compression compression : {Hdf5Compression::none, Hdf5Compression::gzip}) {
    const ssize_t open_before = open_objects();
    const std::string message = message_of<IoError>([&] {
      Hdf5File file = Hdf5File::create(disk.path("file.h5"));
      file.write_strings("names", std::vector<std::string>(100, "name"));
      Hdf5Dataset growing = file.create_growing<double>("x", 0, compression);
      std::vector<double> values(100000);
      std::mt19937_64 random(1);
      for (int piece = 0; piece < 20; ++piece) {
        for (double& value : values) value = static_cast<double>(random());
        growing.append<double>(values);
      }
      file.close();
    });
    EXPECT_MENTIONS(message, "No space left on device");
    EXPECT_EQ(open_objects(), open_before);
  }
}

TEST_F(Hdf5, GoldenCasesAreReadable) {
  const std::string golden = testing::golden_dir() + "/vae_gene_zinb_l1_b1.h5";
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << "NO GOLDEN CASES: " << golden;
  const Hdf5File file = Hdf5File::open(golden);
  EXPECT_EQ(file.attribute_string("/", "case"), "vae_gene_zinb_l1_b1");
  const auto weight = file.read<float>("/weights/z_encoder.encoder.fc_layers.Layer 0.0.weight");
  EXPECT_EQ(weight.shape.size(), 2U);
  const auto batch = file.read<std::int64_t>("inputs/batch_index");
  EXPECT_EQ(batch.shape[0], file.read<float>("inputs/x").shape[0]);
  EXPECT_GT(file.children("expected").size(), 0U);
}

}  // namespace
}  // namespace scvi::io
