#include "hdf5_superblock.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "scvi/core/error.hpp"

namespace scvi::io::hdf5 {
namespace {

constexpr std::array<unsigned char, 8> kSignature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

/// The first bytes from the signature on, which lies at 0, 512, 1024, 2048, ...; zeros behind the end.
std::array<unsigned char, 96> read_superblock(const std::string& path, std::int64_t file_bytes) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  std::array<unsigned char, 96> head{};
  for (std::int64_t at = 0; file && at < file_bytes; at = at == 0 ? 512 : at * 2) {
    head.fill(0);
    if (::fseeko(file.get(), at, SEEK_SET) != 0) break;
    const std::size_t got = std::fread(head.data(), 1, head.size(), file.get());
    if (got >= kSignature.size() && std::memcmp(head.data(), kSignature.data(), kSignature.size()) == 0) return head;
  }
  return {};
}

}  // namespace

void check_superblock(const std::string& path, std::int64_t file_bytes) {
  const std::array<unsigned char, 96> head = read_superblock(path, file_bytes);
  // HDF5 file format specification 3.0, II.A: versions 0 and 1 have four addresses (base, free space, end of file,
  // driver information) of `size` bytes each, behind 24 bytes, or 28 in version 1. An address of ones is none.
  const unsigned version = head[8];
  const std::size_t size = head[13];
  if (version > 1) return;
  if (size != 2 && size != 4 && size != 8)
    throw FormatError({.problem = "has addresses of " + std::to_string(size) + " bytes, which no sound file has",
                       .file = path,
                       .remedy = "the file is damaged: get it anew"});
  const std::size_t driver = (version == 0 ? 24 : 28) + 3 * size;
  for (std::size_t at = driver; at < driver + size; ++at) {
    if (head[at] == 0xFF) continue;
    throw FormatError({.problem = "is one part of an HDF5 file that was divided, or damaged in its first bytes",
                       .file = path,
                       .remedy = "put it together with h5repart, or get it anew"});
  }
}

}  // namespace scvi::io::hdf5
