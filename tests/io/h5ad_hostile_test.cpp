// Damaged files: each must end in a clean reading or in an error of ours, never in a crash. Run under ASan.

#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "h5ad_fixture.hpp"
#include "h5ad_legacy_fixture.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/logging.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::message_of;
using testing::read_everything;

class HostileH5ad : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("data.h5ad");

  /// A small valid file, damaged by `damage`.
  void write_damaged(const std::function<void(Hdf5File&)>& damage) {
    testing::write_small_h5ad(path_);
    Hdf5File file = Hdf5File::open_for_update(path_);
    damage(file);
    file.close();
  }

  template <class T>
  static void replace(Hdf5File& file, const std::string& path, const std::vector<T>& values) {
    file.remove(path);
    file.write(path, values);
  }

  /// Reading X must end in a FormatError that names file and element.
  void expect_matrix_refused(const std::function<void(Hdf5File&)>& damage, const std::string& part) {
    write_damaged(damage);
    const std::string message =
        message_of<FormatError>([&] { H5adFile(path_).matrix()->for_each_block([](const CsrBlock&) {}); });
    EXPECT_MENTIONS(message, part);
    EXPECT_MENTIONS(message, path_);
    // The same through the other way in.
    EXPECT_THROW(
        {
          CsrBlock block;
          H5adFile(path_).matrix()->read_rows(0, 4, block);
        },
        FormatError);
  }

  void expect_obs_refused(const std::function<void(Hdf5File&)>& damage, const std::string& part) {
    write_damaged(damage);
    const std::string message = message_of<FormatError>([&] { (void)H5adFile(path_).obs(); });
    EXPECT_MENTIONS(message, part);
    EXPECT_MENTIONS(message, path_);
  }
};

// The small matrix: indptr 0 2 2 3 6, indices 0 2 | | 1 | 0 1 2.
TEST_F(HostileH5ad, OffsetsThatDecrease) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        replace<std::int32_t>(f, "X/indptr", {0, 3, 2, 3, 6});
      },
      "X/indptr decreases from 3 to 2");
}
TEST_F(HostileH5ad, OffsetsThatEndBeyondTheValues) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        replace<std::int32_t>(f, "X/indptr", {0, 2, 2, 3, 700});
      },
      "X/indptr ends with 700, but there are 6 stored values");
}
TEST_F(HostileH5ad, OffsetsThatEndBeforeTheValues) {
  expect_matrix_refused([](Hdf5File& f) { replace<std::int32_t>(f, "X/indptr", {0, 2, 2, 3, 5}); }, "ends with 5");
}
TEST_F(HostileH5ad, OffsetsThatDoNotBeginWithZero) {
  expect_matrix_refused([](Hdf5File& f) { replace<std::int32_t>(f, "X/indptr", {1, 2, 2, 3, 6}); }, "begins with 1");
}
TEST_F(HostileH5ad, NegativeOffsets) {
  expect_matrix_refused([](Hdf5File& f) { replace<std::int64_t>(f, "X/indptr", {0, -2, 2, 3, 6}); }, "decreases");
}
TEST_F(HostileH5ad, HugeOffsets) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        replace<std::int64_t>(f, "X/indptr", {0, 2, 2, INT64_MAX, 6});
      },
      "decreases");
}
TEST_F(HostileH5ad, TooFewOffsets) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        replace<std::int32_t>(f, "X/indptr", {0, 2, 3, 6});
      },
      "has 4 offsets where 5 are needed");
}
TEST_F(HostileH5ad, NoOffsets) {
  expect_matrix_refused([](Hdf5File& f) { replace<std::int32_t>(f, "X/indptr", {}); }, "has 0 offsets");
}
TEST_F(HostileH5ad, OffsetsThatAreReals) {
  expect_matrix_refused([](Hdf5File& f) { replace<double>(f, "X/indptr", {0, 2, 2, 3, 6}); }, "whole numbers");
}
TEST_F(HostileH5ad, IndicesBeyondTheGenes) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        replace<std::int32_t>(f, "X/indices", {0, 2, 1, 0, 3, 2});
      },
      "X/indices holds 3 at position 4, but indices must lie in 0..2");
}
TEST_F(HostileH5ad, NegativeIndices) {
  expect_matrix_refused([](Hdf5File& f) { replace<std::int32_t>(f, "X/indices", {0, -1, 1, 0, 1, 2}); }, "holds -1");
}
TEST_F(HostileH5ad, IndicesThatWrapAround) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        replace<std::int64_t>(f, "X/indices", {0, (std::int64_t{1} << 32) + 1, 1, 0, 1, 2});
      },
      "X/indices holds");
}
TEST_F(HostileH5ad, FewerIndicesThanValues) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        replace<std::int32_t>(f, "X/indices", {0, 2, 1});
      },
      "holds 6 values but 3 indices");
}
TEST_F(HostileH5ad, TextWhereValuesShouldBe) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        f.remove("X/data");
        f.write_strings("X/data", std::vector<std::string>(6, "1"));
      },
      "X/data holds text where numbers are expected");
}
TEST_F(HostileH5ad, MissingParts) {
  for (const std::string part : {"X/data", "X/indices", "X/indptr"})
    expect_matrix_refused([&](Hdf5File& f) { f.remove(part); }, part + " is missing");
}
TEST_F(HostileH5ad, WrongShapes) {
  const auto with_shape = [](std::vector<std::int64_t> shape) {
    return [shape](Hdf5File& f) {
      f.set_number_attribute<std::int64_t>("X", "shape", std::span<const std::int64_t>(shape));
    };
  };
  expect_matrix_refused(with_shape({4, 4}), "X is 4 x 4, but obs and var describe 4 x 3");
  expect_matrix_refused(with_shape({3, 3}), "X is 3 x 3");
  expect_matrix_refused(with_shape({-4, 3}), "X is -4 x 3");
  expect_matrix_refused(with_shape({4}), "has 1 numbers where a matrix has two");
  expect_matrix_refused([](Hdf5File& f) { f.set_attribute("X", "shape", "4, 3"); }, "text where numbers");
}
TEST_F(HostileH5ad, AMatrixOfNoKnownLayout) {
  expect_matrix_refused([](Hdf5File& f) { f.set_attribute("X", "encoding-type", "coo_matrix"); },
                        "neither csr nor csc");
}
TEST_F(HostileH5ad, RowsThatAreTakenForColumns) {
  expect_matrix_refused([](Hdf5File& f) { f.set_attribute("X", "encoding-type", "csc_matrix"); },
                        "has 5 offsets where 4 are needed");
}
TEST_F(HostileH5ad, CscIndicesBeyondTheCells) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        f.set_attribute("X", "encoding-type", "csc_matrix");
        replace<std::int32_t>(f, "X/indptr", {0, 2, 4, 6});
        replace<std::int32_t>(f, "X/indices", {0, 3, 2, 3, 0, 4});
      },
      "X/indices holds 4 at position 5, but indices must lie in 0..3");
}
TEST_F(HostileH5ad, DenseMatricesOfAnotherShape) {
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{3, 4}, {12}, {4, 3, 1}, {2, 6}})
    expect_matrix_refused(
        [&](Hdf5File& f) {
          f.remove("X");
          f.write<float>("X", std::vector<float>(12, 1), shape);
        },
        "X ");
}
TEST_F(HostileH5ad, ValuesThatTheFileDoesNotHold) {
  write_damaged([](Hdf5File&) {});
  const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hsize_t extent = hsize_t{1} << 38;
  const hsize_t chunk = 4096;
  const hid_t space = H5Screate_simple(1, &extent, nullptr);
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 1, &chunk);
  for (const char* name : {"X/data", "X/indices"}) {
    H5Ldelete(file, name, H5P_DEFAULT);
    H5Dclose(H5Dcreate2(file, name, H5T_STD_I32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
  }
  H5Pclose(creation);
  H5Sclose(space);
  H5Fclose(file);
  EXPECT_MENTIONS(message_of<FormatError>([&] { H5adFile(path_).matrix(); }), "X/data claims 274,877,906,944 values");
}

TEST_F(HostileH5ad, CodesBeyondTheCategories) {
  expect_obs_refused(
      [](Hdf5File& f) {
        replace<std::int8_t>(f, "obs/batch/codes", {0, 1, 2, 0});
      },
      "obs/batch/codes holds the code 2 in row 2, but there are 2 categories");
}
TEST_F(HostileH5ad, CodesBelowMissing) {
  expect_obs_refused([](Hdf5File& f) { replace<std::int8_t>(f, "obs/batch/codes", {0, -2, 1, 0}); }, "the code -2");
}
TEST_F(HostileH5ad, CodesOfTheWrongLengthOrType) {
  expect_obs_refused([](Hdf5File& f) { replace<std::int8_t>(f, "obs/batch/codes", {0, 1}); }, "2 values for 4 rows");
  expect_obs_refused([](Hdf5File& f) { replace<float>(f, "obs/batch/codes", {0, 1, 0, 1}); }, "whole numbers");
}
TEST_F(HostileH5ad, MissingCategories) {
  expect_obs_refused([](Hdf5File& f) { f.remove("obs/batch/categories"); }, "obs/batch/categories");
}
TEST_F(HostileH5ad, ColumnsOfTheWrongLength) {
  expect_obs_refused(
      [](Hdf5File& f) {
        replace<double>(f, "obs/score", {1, 2, 3});
      },
      "obs/score has 3 values for 4 rows");
}
TEST_F(HostileH5ad, ColumnsThatAreListedButNotThere) {
  expect_obs_refused([](Hdf5File& f) { f.remove("obs/score"); }, "lists the column 'score', but does not hold it");
}
TEST_F(HostileH5ad, ColumnsThatAreListedTwice) {
  expect_obs_refused(
      [](Hdf5File& f) {
        f.set_attribute("obs", "column-order", std::vector<std::string>{"n", "score", "n"});
      },
      "lists the column 'n' twice");
}
TEST_F(HostileH5ad, ColumnOrderOfNumbers) {
  expect_obs_refused(
      [](Hdf5File& f) { f.set_number_attribute<std::int64_t>("obs", "column-order", std::int64_t{3}); },
      "obs, attribute 'column-order' holds int64 where text is expected");
}
TEST_F(HostileH5ad, AMaskOfTheWrongLength) {
  expect_obs_refused(
      [](Hdf5File& f) {
        f.remove("obs/n");
        f.create_group("obs/n");
        f.set_attribute("obs/n", "encoding-type", "nullable-integer");
        f.write("obs/n/values", std::vector<std::int64_t>{1, 2, 3, 4});
        f.write_booleans("obs/n/mask", std::vector<std::uint8_t>{0, 1});
      },
      "obs/n/mask has 2 values for 4 rows");
}
TEST_F(HostileH5ad, AnIndexThatIsNotThere) {
  write_damaged([](Hdf5File& f) { f.set_attribute("obs", "_index", "names"); });
  EXPECT_MENTIONS(message_of<FormatError>([&] { H5adFile{path_}; }), "names 'names' as its index");
  write_damaged([](Hdf5File& f) {
    f.remove("obs");
    f.create_group("obs");
  });
  EXPECT_MENTIONS(message_of<FormatError>([&] { H5adFile{path_}; }), "obs has no index");
}
TEST_F(HostileH5ad, AnIndexLongerThanTheMatrix) {
  expect_matrix_refused(
      [](Hdf5File& f) {
        f.remove("obs/_index");
        f.write_strings("obs/_index", std::vector<std::string>{"a", "b", "c", "d", "e"});
      },
      "obs and var describe 5 x 3");
}
TEST_F(HostileH5ad, AFrameThatIsAPlainArray) {
  write_damaged([](Hdf5File& f) {
    f.remove("obs");
    f.write("obs", std::vector<double>{1, 2, 3, 4});
  });
  EXPECT_THROW((void)H5adFile(path_).obs(), FormatError);
}
TEST_F(HostileH5ad, MissingFrames) {
  for (const std::string frame : {"obs", "var"}) {
    write_damaged([&](Hdf5File& f) { f.remove(frame); });
    const std::string message = message_of<FormatError>([&] { H5adFile{path_}; });
    EXPECT_MENTIONS(message, "is no .h5ad: it has no " + frame + "; it holds");
  }
}

TEST_F(HostileH5ad, RecordFieldsThatLieBeyondTheRecord) {
  testing::write_unchecked_records(path_);
  std::string bytes = read_file(path_);
  // A field's name, filled up with zeros to eight bytes, then its offset.
  const std::size_t name = bytes.find(std::string("n_counts\0", 9));
  ASSERT_NE(name, std::string::npos);
  bytes[name + 17] = 1;
  write_file_atomically(path_, bytes);
  EXPECT_MENTIONS(message_of<FormatError>([&] { (void)H5adFile(path_).obs(); }), "records whose fields overlap");
}

TEST_F(HostileH5ad, GroupsThatContainThemselves) {
  write_damaged([](Hdf5File&) {});
  const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  H5Lcreate_hard(file, "/", file, "uns/again", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_hard(file, "obs", file, "obs/again", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/layers/loop", file, "layers/loop", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(file);
  const H5adFile opened(path_);
  EXPECT_EQ(opened.obs().columns.size(), 5U);
  EXPECT_FALSE(opened.elements().empty());
  EXPECT_THROW(opened.matrix("loop"), FormatError);
}

TEST_F(HostileH5ad, FilesThatAreNone) {
  const auto opening = [&] { H5adFile{path_}; };
  EXPECT_THROW(opening(), IoError);
  write_file_atomically(path_, "");
  EXPECT_THROW(opening(), FormatError);
  write_file_atomically(path_, "gene\tcount\n");
  EXPECT_THROW(opening(), FormatError);
  EXPECT_THROW(H5adFile{folder_.path()}, IoError);
  const std::string pipe = folder_.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(H5adFile{pipe}, IoError);
}

/// HDF5 would take 4 GB for the driver information block that this file announces.
TEST_F(HostileH5ad, ADriverInformationBlock) {
  std::string start("\x89HDF\r\n\x1a\n\1\0\0\0\0\10\10\0\4\0\20\0\0\0\0\0\0\0\0\0", 28);
  start += std::string(8, '\0') + std::string(8, '\xFF') + std::string("\x88O\0\0\0\0\0\0", 8);
  std::ofstream(path_, std::ios::binary)
      << start << std::string("\x1a\0\0\0\0\0\0\0", 8) << std::string(4096, '\x77');
  EXPECT_MENTIONS(message_of<FormatError>([&] { H5adFile file(path_); }), "one part of an HDF5 file");
}

TEST_F(HostileH5ad, AnUnreadableFile) {
  if (::geteuid() == 0) GTEST_SKIP() << "ROOT READS EVERYTHING: this test did not run";
  testing::write_small_h5ad(path_);
  std::filesystem::permissions(path_, std::filesystem::perms::none);
  EXPECT_MENTIONS(message_of<IoError>([&] { H5adFile{path_}; }), "Permission denied");
}

// ---------------------------------------------------------------- damage anywhere

/// Without the flush to disk of write_file_atomically, which these hundreds of files need not wait for.
void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Reads the bytes as a file; anything but success or an error of ours fails the test.
void read_damaged(const std::string& path, const std::string& bytes, const std::string& what) {
  write_bytes(path, bytes);
  try {
    read_everything(path);
  } catch (const Error&) {
  } catch (const std::exception& error) {
    ADD_FAILURE() << what << ": " << error.what();
  }
}

class DamageAnywhere : public ::testing::TestWithParam<const char*> {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("data.h5ad");

  std::string sound_bytes() const {
    const std::string name = GetParam();
    if (name == "plain") testing::write_small_h5ad(path_);
    if (name == "gzip") write_h5ad(path_, testing::small_contents(), Overwrite::replace, "gzip");
    if (name == "lzf") write_h5ad(path_, testing::small_contents(), Overwrite::replace, "lzf");
    if (name == "anndata06") testing::write_anndata_0_6(path_);
    if (name == "anndata06lzf") testing::write_anndata_0_6(path_, true);
    if (name == "unchecked") testing::write_unchecked_records(path_);
    if (name == "anndata07") testing::write_anndata_0_7(path_);
    std::string bytes = read_file(path_);
    read_everything(path_);
    return bytes;
  }
};

TEST_P(DamageAnywhere, TruncationIsAlwaysAnError) {
  const std::string bytes = sound_bytes();
  for (std::size_t part = 0; part < 64; ++part) {
    const std::size_t size = bytes.size() * part / 64;
    write_bytes(path_, bytes.substr(0, size));
    EXPECT_THROW(read_everything(path_), Error) << size << " of " << bytes.size() << " bytes";
  }
  write_bytes(path_, bytes.substr(0, bytes.size() - 1));
  EXPECT_THROW(read_everything(path_), Error);
}

TEST_P(DamageAnywhere, FlippedBytesAreReadOrRefused) {
  const std::string bytes = sound_bytes();
  const ScopedLogSink silent([](LogLevel, std::string_view) {});
  set_verbosity(LogLevel::off);
  std::mt19937 random(11);
  for (int attempt = 0; attempt < 500; ++attempt) {
    std::string damaged = bytes;
    const std::size_t at = random() % damaged.size();
    const auto flip = static_cast<char>(1 + random() % 255);
    damaged[at] = static_cast<char>(damaged[at] ^ flip);
    read_damaged(path_, damaged, "byte " + std::to_string(at) + " xor " + std::to_string(flip & 0xff));
  }
  set_verbosity(LogLevel::info);
}

TEST_P(DamageAnywhere, StretchesOfGarbageAreReadOrRefused) {
  const std::string bytes = sound_bytes();
  set_verbosity(LogLevel::off);
  std::mt19937 random(12);
  for (int attempt = 0; attempt < 200; ++attempt) {
    std::string damaged = bytes;
    const std::size_t at = random() % damaged.size();
    const std::size_t size = std::min<std::size_t>(1 + random() % 64, damaged.size() - at);
    for (std::size_t step = 0; step < size; ++step)
      damaged[at + step] = attempt % 3 == 0 ? '\xFF' : attempt % 3 == 1 ? '\0' : static_cast<char>(random());
    read_damaged(path_, damaged, "garbage from byte " + std::to_string(at) + ", " + std::to_string(size) + " long");
  }
  set_verbosity(LogLevel::info);
}

INSTANTIATE_TEST_SUITE_P(Hostile, DamageAnywhere,
                         ::testing::Values("plain", "gzip", "lzf", "anndata06", "anndata06lzf", "anndata07",
                                           "unchecked"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace scvi::io
