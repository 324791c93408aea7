#pragma once

// Small .h5ad files for tests, and quick looks at what readers give.

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/hdf5.hpp"

namespace scvi::testing {

/// Four cells, three genes.
///   c0 1 0 2
///   c1 0 0 0
///   c2 0 3 0
///   c3 4 5 6
inline const std::vector<std::vector<float>>& small_matrix() {
  static const std::vector<std::vector<float>> rows{{1, 0, 2}, {0, 0, 0}, {0, 3, 0}, {4, 5, 6}};
  return rows;
}

inline io::H5adContents small_contents() {
  io::H5adContents contents;
  contents.obs.index = {"c0", "c1", "c2", "c3"};
  contents.obs.columns = {
      {.name = "batch", .values = io::Categorical{{0, 1, -1, 1}, {"a", "b"}, false}, .missing = {}},
      {.name = "n", .values = std::vector<std::int64_t>{7, 8, 9, 10}, .missing = {}},
      {.name = "score", .values = std::vector<double>{0.5, 1.5, 2.5, 3.5}, .missing = {}},
      {.name = "note", .values = std::vector<std::string>{"x", "", "\xC3\xA9t\xC3\xA9", "z"}, .missing = {}},
      {.name = "good", .values = io::Boolean{{1, 0, 1, 0}}, .missing = {}},
  };
  contents.var.index_name = "gene";
  contents.var.index = {"g0", "g1", "g2"};
  contents.next_rows = [row = std::size_t{0}](io::CsrBlock& block) mutable {
    if (row == small_matrix().size()) return false;
    block.clear();
    block.first_row = static_cast<std::int64_t>(row);
    const std::vector<float>& values = small_matrix()[row++];
    for (std::size_t gene = 0; gene < values.size(); ++gene) {
      if (values[gene] == 0) continue;
      block.indices.push_back(static_cast<std::int32_t>(gene));
      block.values.push_back(values[gene]);
    }
    block.indptr.push_back(static_cast<std::int64_t>(block.values.size()));
    return true;
  };
  contents.obsm = {{"X_scvi", {4, 2, {1, 2, 3, 4, 5, 6, 7, 8}}}};
  contents.uns = {{"names", {std::vector<std::string>{"p", "q"}}}, {"alpha", {0.25}}};
  return contents;
}

inline void write_small_h5ad(const std::string& path) {
  io::write_h5ad(path, small_contents(), Overwrite::replace, "");
}

/// A file system of so many bytes, where this process may mount one.
class SmallDisk {
 public:
  SmallDisk(const std::string& folder, std::size_t bytes) : folder_(folder) {
    std::filesystem::create_directory(folder);
    mounted_ = ::mount("tmpfs", folder.c_str(), "tmpfs", 0, ("size=" + std::to_string(bytes)).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  std::string path(const std::string& name = "") const { return folder_ + "/" + name; }

 private:
  std::string folder_;
  bool mounted_ = false;
};

/// Everything of a matrix, dense.
inline std::vector<std::vector<float>> dense_of(const io::CsrBlock& block, std::int64_t n_cols) {
  std::vector<std::vector<float>> rows;
  for (std::int64_t row = 0; row < block.n_rows(); ++row) {
    rows.emplace_back(static_cast<std::size_t>(n_cols), 0.0F);
    for (auto at = block.indptr[static_cast<std::size_t>(row)]; at < block.indptr[static_cast<std::size_t>(row) + 1];
         ++at)
      rows.back()[static_cast<std::size_t>(block.indices[static_cast<std::size_t>(at)])] =
          block.values[static_cast<std::size_t>(at)];
  }
  return rows;
}

inline std::vector<std::vector<float>> dense_of(io::MatrixReader& reader) {
  io::CsrBlock block;
  reader.read_rows(0, reader.info().n_rows, block);
  return dense_of(block, reader.info().n_cols);
}

/// Reads everything that H5adFile offers.
inline void read_everything(const std::string& path) {
  const io::H5adFile file(path);
  (void)file.elements();
  (void)file.obs();
  (void)file.var();
  if (file.has_raw()) (void)file.raw_var();
  std::vector<std::string> matrices = file.layers();
  if (file.has_x()) matrices.push_back("X");
  if (file.has_raw()) matrices.push_back("raw");
  for (const std::string& name : matrices) file.matrix(name)->for_each_block([](const io::CsrBlock&) {});
  for (const std::string& key : file.obsm_keys()) (void)file.obsm(key);
  for (const std::string& key : file.uns_keys()) {
    try {
      (void)file.uns_strings(key);
    } catch (const InputError&) {
    }
  }
}

/// The message of the error that `action` throws; fails the test when it throws none of that type.
template <class E, class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another kind of error: " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace scvi::testing

#define EXPECT_MENTIONS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)
