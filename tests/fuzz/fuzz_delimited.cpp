#include "fuzzing.hpp"
#include "scvi/io/delimited.hpp"

// As counts either way round, as annotation, and as one value a cell.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const bool gene_by_cell : {true, false}) {
    scvi::fuzzing::try_reading(data, size, [&](const std::string& path) {
      scvi::io::read_delimited_counts(path, {.gene_by_cell = gene_by_cell})
          .counts->for_each_block([](const scvi::io::CsrBlock&) {});
    });
  }
  scvi::fuzzing::try_reading(data, size, [](const std::string& path) { scvi::io::read_table(path); });
  return scvi::fuzzing::try_reading(data, size, [](const std::string& path) { scvi::io::read_cell_values(path); });
}
