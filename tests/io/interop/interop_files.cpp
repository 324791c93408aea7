// Writes and summarises files for check_with_loompy.py and check_with_pandas.py.
//   interop_files write-loom FILE        a small .loom with every kind of column
//   interop_files copy-loom INPUT FILE   a .loom read and written again
//   interop_files loom FILE              what we read, one fact a line
//   interop_files pickle FILE            the same for pickled tables and arrays

#include <cstdio>
#include <cstring>

#include "../h5ad_fixture.hpp"
#include "scvi/io/loom.hpp"
#include "scvi/io/pandas_pickle.hpp"

namespace {

using namespace scvi;
using namespace scvi::io;

void write_sample(const std::string& path) {
  H5adContents small = scvi::testing::small_contents();
  LoomContents contents{.obs = small.obs, .var = small.var, .next_rows = small.next_rows, .tables = {}, .global = {}};
  contents.obs.columns.push_back(
      {.name = "whole_missing", .values = std::vector<std::int64_t>{1, 2, 3, 4}, .missing = {1, 0, 0, 0}});
  contents.var.columns = {{.name = "weight", .values = std::vector<double>{.5, 1.5, 2.5}, .missing = {}}};
  contents.tables = {
      {.name = "place", .columns_name = "", .columns = {"x", "y"}, .values = {4, 2, {1, 2, 3, 4, 5, 6, 7, 8}}}};
  contents.global = {{.name = "title", .values = std::vector<std::string>{"caf\xC3\xA9"}, .missing = {}},
                     {.name = "alpha", .values = std::vector<double>{0.25}, .missing = {}}};
  write_loom(path, contents, Overwrite::refuse);
}

void copy_loom(const std::string& input, const std::string& output) {
  CountFile file = open_loom(input);
  LoomContents contents{.obs = file.obs, .var = file.var, .next_rows = nullptr, .tables = file.tables, .global = {}};
  std::int64_t next = 0;
  contents.next_rows = [&](CsrBlock& block) {
    constexpr std::int64_t kRows = 100;
    file.counts->read_rows(next, kRows, block);
    next += block.n_rows();
    return block.n_rows() > 0;
  };
  write_loom(output, contents, Overwrite::refuse);
}

void print_column(const std::string& label, const Column& column) {
  std::printf("%s", label.c_str());
  for (std::int64_t row = 0; row < column.size(); ++row) std::printf("\t%s", column.text(row).c_str());
  std::printf("\n");
}

void print_frame(const std::string& label, const Frame& frame) {
  std::printf("%s index", label.c_str());
  for (const std::string& name : frame.index) std::printf("\t%s", name.c_str());
  std::printf("\n");
  for (const Column& column : frame.columns) print_column(label + " column " + column.name, column);
}

void summarize_loom(const std::string& path) {
  const CountFile file = open_loom(path);
  std::printf("format\t%s\n", file.format.c_str());
  print_frame("obs", file.obs);
  print_frame("var", file.var);
  for (const CellTable& table : file.tables) {
    double sum = 0;
    for (const double value : table.values.values) sum += value;
    std::printf("table %s\t%lld\t%.17g\n", table.name.c_str(), static_cast<long long>(table.values.n_cols), sum);
  }
  const LoomFile loom(path);
  for (const Column& column : loom.global_attributes()) print_column("global " + column.name, column);
  std::vector<std::string> names = loom.layers();
  names.insert(names.begin(), "matrix");
  for (const std::string& name : names) {
    // A sum that tells which value lies where.
    double sum = 0;
    loom.matrix(name)->for_each_block([&](const CsrBlock& block) {
      for (std::int64_t row = 0; row < block.n_rows(); ++row)
        for (auto at = block.indptr[static_cast<std::size_t>(row)];
             at < block.indptr[static_cast<std::size_t>(row) + 1]; ++at)
          sum += block.values[static_cast<std::size_t>(at)] * static_cast<double>(block.first_row + row + 1) *
                 (block.indices[static_cast<std::size_t>(at)] + 1);
    });
    std::printf("layer %s\t%.17g\n", name.c_str(), sum);
  }
}

void summarize_pickle(const std::string& path) {
  const PandasPickle file(path);
  for (const std::string& key : file.keys()) {
    try {
      if (file.is_frame(key)) {
        print_frame(key, file.frame(key));
        continue;
      }
      const PickledArray array = file.array(key);
      std::string label = key + " array";
      for (const std::int64_t extent : array.shape) label += " " + std::to_string(extent);
      print_column(label, array.column);
    } catch (const FormatError& error) {
      std::printf("%s refused\t%s\n", key.c_str(), error.fault().problem.c_str());
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string command = argc > 2 ? argv[1] : "";
  if (command == "write-loom")
    write_sample(argv[2]);
  else if (command == "copy-loom" && argc == 4)
    copy_loom(argv[2], argv[3]);
  else if (command == "loom")
    summarize_loom(argv[2]);
  else if (command == "pickle")
    summarize_pickle(argv[2]);
  else
    return 2;
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
