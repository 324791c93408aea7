#include "fuzzing.hpp"
#include "scvi/dataset/anndata.hpp"
#include "scvi/io/h5ad.hpp"

// Frames, every matrix row by row, and everything that `scvi info` lists.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return scvi::fuzzing::try_reading(data, size, [](const std::string& path) {
    const scvi::io::H5adFile file(path);
    for (const auto& column : file.obs().columns) column.as_categorical();
    file.elements();
    auto layers = file.layers();
    layers.emplace_back("");
    for (const auto& layer : layers) {
      file.matrix(layer)->for_each_block([](const scvi::io::CsrBlock&) {});
    }
    for (const auto& key : file.obsm_keys()) file.obsm(key);
    scvi::load_anndata(file, {.on_duplicate_genes = scvi::DuplicateGenes::make_unique});
  });
}
