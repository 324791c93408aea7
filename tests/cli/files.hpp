#pragma once

// Small .h5ad files with known content, and what the tests of the program ask of folders and messages.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "program.hpp"
#include "scvi/core/random.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/hdf5.hpp"

namespace scvi::testing {

/// Counts with names: what a test writes as .h5ad.
struct SmallData {
  std::vector<std::string> cells;
  std::vector<std::string> genes;
  std::vector<float> values;  ///< (cells, genes), row-major
  std::vector<io::Column> obs{};
  bool dense = false;

  float& at(std::size_t cell, std::size_t gene) { return values[cell * genes.size() + gene]; }

  void add_column(const std::string& name, const std::vector<std::string>& texts) {
    obs.push_back({.name = name, .values = texts, .missing = {}});
  }
};

/// Reproducible counts in two kinds of cells, named "cell0".. and "gene0"..; column "batch" alternates a, b.
inline SmallData small_data(std::int64_t n_cells, std::int64_t n_genes, std::uint64_t seed = 1) {
  SmallData data;
  RandomStream random(seed, "small data");
  std::vector<std::string> batches;
  for (std::int64_t gene = 0; gene < n_genes; ++gene) data.genes.push_back("gene" + std::to_string(gene));
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    data.cells.push_back("cell" + std::to_string(cell));
    batches.push_back(cell % 2 == 0 ? "a" : "b");
    for (std::int64_t gene = 0; gene < n_genes; ++gene) {
      const bool high = (gene < n_genes / 2) == (cell % 4 < 2);
      data.values.push_back(static_cast<float>(1 + random.poisson(high ? 6 : 1)));
    }
  }
  data.add_column("batch", batches);
  return data;
}

inline void write(const SmallData& data, const std::string& path) {
  io::H5adContents contents;
  contents.obs.index = data.cells;
  contents.obs.columns = data.obs;
  contents.var.index = data.genes;
  contents.dense = data.dense;
  std::size_t row = 0;
  contents.next_rows = [&](io::CsrBlock& block) {
    if (row == data.cells.size()) return false;
    block.clear();
    block.first_row = static_cast<std::int64_t>(row);
    for (std::size_t gene = 0; gene < data.genes.size(); ++gene) {
      const float value = data.values[row * data.genes.size() + gene];
      if (value == 0) continue;
      block.indices.push_back(static_cast<std::int32_t>(gene));
      block.values.push_back(value);
    }
    block.indptr.push_back(static_cast<std::int64_t>(block.values.size()));
    ++row;
    return true;
  };
  io::write_h5ad(path, contents, Overwrite::replace);
}

/// The counts of a file with their names and columns.
inline SmallData read(const std::string& path) {
  const io::H5adFile file(path);
  SmallData data{.cells = file.obs().index, .genes = file.var().index, .values = {}, .obs = file.obs().columns};
  data.values.resize(data.cells.size() * data.genes.size());
  file.matrix()->for_each_block([&](const io::CsrBlock& block) {
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      for (auto i = block.indptr[row]; i < block.indptr[row + 1]; ++i) {
        data.at(block.first_row + row, block.indices[i]) = block.values[i];
      }
    }
  });
  return data;
}

/// The same counts with cells and genes in another order, or fewer of them.
inline SmallData arranged(const SmallData& data, const std::vector<std::int64_t>& cells,
                          const std::vector<std::int64_t>& genes) {
  SmallData result;
  for (const auto cell : cells) result.cells.push_back(data.cells[cell]);
  for (const auto gene : genes) result.genes.push_back(data.genes[gene]);
  for (const auto cell : cells) {
    for (const auto gene : genes) result.values.push_back(data.values[cell * data.genes.size() + gene]);
  }
  for (const auto& column : data.obs) {
    std::vector<std::string> texts;
    for (const auto cell : cells) texts.push_back(column.text(cell));
    result.add_column(column.name, texts);
  }
  return result;
}

/// 0, 1, ... n-1.
inline std::vector<std::int64_t> in_order(std::size_t n) {
  std::vector<std::int64_t> all(n);
  for (std::size_t i = 0; i < n; ++i) all[i] = static_cast<std::int64_t>(i);
  return all;
}

inline std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  ASSERT_TRUE(out.good()) << path;
}

/// Names in a folder, hidden ones included, sorted.
inline std::vector<std::string> listing(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

inline nlohmann::json json_of(const std::string& path) {
  return nlohmann::json::parse(bytes_of(path));
}

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Exit status 2, and one line that begins with "scvi: error:" and holds every one of `parts`. Other lines may only
/// be notes that came before it.
inline void expect_error(const Outcome& outcome, const std::vector<std::string>& parts) {
  EXPECT_EQ(outcome.status, 2) << outcome.err;
  const auto lines = outcome.error_lines();
  const auto is_error = [](const std::string& line) { return line.starts_with("scvi: error: "); };
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(), is_error), 1) << outcome.err;
  ASSERT_FALSE(lines.empty());
  EXPECT_TRUE(is_error(lines.back())) << outcome.err;
  for (const auto& part : parts) EXPECT_TRUE(holds(lines.back(), part)) << "no '" << part << "' in: " << lines.back();
}

/// The same, and nothing else was said: the fault shows before any work is done.
inline void expect_only_error(const Outcome& outcome, const std::vector<std::string>& parts) {
  expect_error(outcome, parts);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.error_lines().size(), 1U) << outcome.err;
}

/// A folder that must hold the same names after a command as before.
class Untouched {
 public:
  explicit Untouched(std::string folder) : folder_(std::move(folder)), before_(listing(folder_)) {}
  ~Untouched() { EXPECT_EQ(listing(folder_), before_) << "something was left behind"; }
  Untouched(const Untouched&) = delete;
  Untouched& operator=(const Untouched&) = delete;

 private:
  std::string folder_;
  std::vector<std::string> before_;
};

}  // namespace scvi::testing
