#include "fuzzing.hpp"
#include "scvi/io/xlsx.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return scvi::fuzzing::try_reading(data, size, [](const std::string& path) {
    const scvi::io::XlsxFile file(path, {.max_part_bytes = 16 << 20, .max_cells = 1'000'000});
    for (const auto& sheet : file.sheets()) file.for_each_row(sheet, [](const scvi::io::XlsxRow&) {});
  });
}
