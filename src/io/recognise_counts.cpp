#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/hdf5.hpp"
#include "scvi/io/open_counts.hpp"

namespace scvi::io {
namespace {

/// The beginning of a file, unpacked or not.
std::string first_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw IoError({.problem = "cannot be opened", .file = path, .remedy = "check the name and its rights"});
  std::string bytes(4096, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

/// HDF5 allows a block of the user's before its signature.
bool is_hdf5(const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  std::ifstream in(path, std::ios::binary);
  std::array<char, 8> bytes{};
  for (std::streamoff at = 0; at <= 4096; at = at == 0 ? 512 : 2 * at) {
    in.clear();
    in.seekg(at);
    if (!in.read(bytes.data(), bytes.size())) return false;
    if (std::string_view(bytes.data(), bytes.size()) == kSignature) return true;
  }
  return false;
}

bool is_tenx(const Hdf5File& file, const std::string& group) {
  return file.is_group(group) && file.exists(group + "/barcodes") && file.exists(group + "/indptr");
}

/// What an HDF5 file without counts that we know seems to be.
std::string other_hdf5(const Hdf5File& file) {
  if (file.exists("mod")) return "it looks like a .h5mu file of several modalities: write one of them as .h5ad";
  if (file.exists("active.ident") || file.exists("assays")) {
    return "it looks like a file of SeuratDisk: convert it to .h5ad there";
  }
  return "known are .h5ad, .loom and the .h5 files of 10x Genomics";
}

CountFormat recognise_hdf5(const std::string& path) {
  const Hdf5File file = Hdf5File::open(path);
  if (file.exists("obs") && file.exists("var")) return CountFormat::h5ad;
  if (file.is_dataset("matrix") && file.exists("row_attrs")) return CountFormat::loom;
  const std::vector<std::string> groups = file.children("/");
  for (const std::string& group : groups) {
    if (is_tenx(file, group)) return CountFormat::tenx_h5;
  }
  throw FormatError({.problem = "is an HDF5 file without counts in a form that is known; it holds " +
                                (groups.empty() ? "nothing" : join_some(groups)),
                     .file = path,
                     .remedy = other_hdf5(file)});
}

}  // namespace

CountFormat recognise_counts(const std::string& path) {
  return recognise_hdf5(path);
}

}  // namespace scvi::io
