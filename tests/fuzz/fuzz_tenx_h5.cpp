#include "fuzzing.hpp"
#include "scvi/io/tenx.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return scvi::fuzzing::try_reading(data, size, [](const std::string& path) {
    scvi::io::read_tenx_h5(path).counts->for_each_block([](const scvi::io::CsrBlock&) {});
  });
}
