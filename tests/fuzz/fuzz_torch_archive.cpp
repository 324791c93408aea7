#include "fuzzing.hpp"
#include "scvi/io/torch_archive.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return scvi::fuzzing::try_reading(data, size, [](const std::string& path) { scvi::io::read_torch_archive(path); });
}
