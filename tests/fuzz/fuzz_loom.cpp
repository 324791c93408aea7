#include "fuzzing.hpp"
#include "scvi/io/loom.hpp"

// Frames, tables, every matrix, and everything that `scvi info` lists.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return scvi::fuzzing::try_reading(data, size, [](const std::string& path) {
    const scvi::io::LoomFile file(path);
    file.elements();
    file.obs();
    file.var();
    file.tables();
    auto layers = file.layers();
    layers.emplace_back("");
    for (const auto& layer : layers) {
      file.matrix(layer)->for_each_block([](const scvi::io::CsrBlock&) {});
    }
  });
}
