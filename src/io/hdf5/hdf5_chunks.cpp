#include "hdf5_chunks.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <optional>

namespace scvi::io::hdf5 {
namespace {

constexpr std::int64_t kChecksumBytes = 4;  // that fletcher32 adds

[[noreturn]] void throw_short_chunk(std::int64_t bytes, std::int64_t expected, const std::string& file,
                                    const std::string& path) {
  throw FormatError({.problem = "has a chunk of " + std::to_string(bytes) + " bytes where its layout says " +
                                std::to_string(expected),
                     .file = file,
                     .field = path,
                     .remedy = "the file is damaged: get it anew"});
}

bool is_applied(unsigned mask, std::size_t filter) {
  return (mask >> filter & 1U) == 0;
}

/// Whether a filter leaves as many bytes as there were, but for a checksum.
bool keeps_length(H5Z_filter_t filter) {
  return filter == H5Z_FILTER_SHUFFLE || filter == H5Z_FILTER_FLETCHER32;
}

/// Bytes that a zlib stream unpacks to, counted to `most`; nothing when it is damaged, which HDF5 will find.
std::optional<std::int64_t> inflated_bytes(std::span<Bytef> packed, std::int64_t most) {
  z_stream stream{};
  stream.next_in = packed.data();
  stream.avail_in = static_cast<uInt>(packed.size());
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  std::array<Bytef, 1 << 16> discarded;
  int status = Z_OK;
  while (status == Z_OK && static_cast<std::int64_t>(stream.total_out) < most) {
    stream.next_out = discarded.data();
    stream.avail_out = static_cast<uInt>(discarded.size());
    status = inflate(&stream, Z_NO_FLUSH);
  }
  const auto bytes = static_cast<std::int64_t>(stream.total_out);
  inflateEnd(&stream);
  if (status != Z_OK && status != Z_STREAM_END) return std::nullopt;
  return bytes;
}

/// Bytes that a stored chunk unpacks to; nothing where that cannot be told.
std::optional<std::int64_t> unpacked_bytes(std::span<Bytef> stored, const std::vector<H5Z_filter_t>& filters,
                                           unsigned mask, std::int64_t chunk_bytes) {
  std::int64_t bytes = std::ssize(stored);
  bool unpacked = false;
  for (std::size_t i = filters.size(); i-- > 0;) {
    if (!is_applied(mask, i)) continue;
    if (filters[i] == H5Z_FILTER_FLETCHER32) bytes -= kChecksumBytes;
    if (keeps_length(filters[i])) continue;
    if (filters[i] != H5Z_FILTER_DEFLATE || unpacked || bytes < 0) return std::nullopt;
    const auto inflated = inflated_bytes(stored.first(static_cast<std::size_t>(bytes)), chunk_bytes);
    if (!inflated) return std::nullopt;
    bytes = *inflated;
    unpacked = true;
  }
  return bytes;
}

/// The stored chunk of that number, or nothing when it cannot be had (which HDF5 will report).
struct StoredChunk {
  std::vector<Bytef> bytes;
  unsigned mask = 0;
};
std::optional<StoredChunk> read_stored_chunk(hid_t dataset, hsize_t number, std::int64_t file_bytes) {
  const Quiet quiet;
  const Hdf5Handle space(H5Dget_space(dataset));
  std::array<hsize_t, H5S_MAX_RANK> offset{};
  haddr_t address = HADDR_UNDEF;
  hsize_t size = 0;
  StoredChunk chunk;
  if (H5Dget_chunk_info(dataset, space.id(), number, offset.data(), &chunk.mask, &address, &size) < 0) return {};
  constexpr hsize_t kLargest = hsize_t{1} << 31;
  if (address == HADDR_UNDEF || size > static_cast<hsize_t>(file_bytes) || size > kLargest) return {};
  chunk.bytes.resize(size);
  if (H5Dread_chunk(dataset, H5P_DEFAULT, offset.data(), &chunk.mask, chunk.bytes.data()) < 0) return {};
  return chunk;
}

/// The next corner of a chunk within [first, last], row by row. @return false after the last one
bool advance(std::vector<hsize_t>& corner, std::span<const hsize_t> first, std::span<const hsize_t> last,
             std::span<const std::int64_t> chunk) {
  for (std::size_t axis = corner.size(); axis-- > 0;) {
    corner[axis] += static_cast<hsize_t>(chunk[axis]);
    if (corner[axis] <= last[axis]) return true;
    corner[axis] = first[axis];
  }
  return false;
}

}  // namespace

std::vector<H5Z_filter_t> filters_of(hid_t creation) {
  std::vector<H5Z_filter_t> filters;
  const int count = H5Pget_nfilters(creation);
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0;
    unsigned config = 0;
    std::size_t n_values = 0;
    filters.push_back(
        H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &n_values, nullptr, 0, nullptr, &config));
  }
  return filters;
}

void check_one_chunk(hid_t dataset, const std::vector<H5Z_filter_t>& filters, std::int64_t chunk_bytes,
                     std::int64_t file_bytes, const std::string& file, const std::string& path) {
  if (filters.empty()) return;
  std::optional<StoredChunk> chunk = read_stored_chunk(dataset, 0, file_bytes);
  if (!chunk) return;
  const auto bytes = unpacked_bytes(chunk->bytes, filters, chunk->mask, chunk_bytes);
  if (bytes && *bytes < chunk_bytes) throw_short_chunk(*bytes, chunk_bytes, file, path);
}

void check_unpacked_chunks(hid_t dataset, const std::vector<H5Z_filter_t>& filters,
                           std::span<const std::int64_t> chunk, std::int64_t chunk_bytes,
                           std::span<const hsize_t> start, std::span<const hsize_t> extent, const std::string& file,
                           const std::string& path) {
  if (filters.empty() || chunk.size() != start.size()) return;
  std::vector<hsize_t> first;
  std::vector<hsize_t> last;
  for (std::size_t axis = 0; axis < chunk.size(); ++axis) {
    first.push_back(start[axis] - start[axis] % static_cast<hsize_t>(chunk[axis]));
    last.push_back(start[axis] + extent[axis] - 1);
  }
  const Quiet quiet;
  std::vector<hsize_t> corner = first;
  do {
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    if (H5Dget_chunk_info_by_coord(dataset, corner.data(), &mask, &address, &size) < 0) return;
    if (address == HADDR_UNDEF || size >= static_cast<hsize_t>(chunk_bytes)) continue;
    bool packed = false;
    for (std::size_t i = 0; i < filters.size(); ++i) packed |= is_applied(mask, i) && !keeps_length(filters[i]);
    if (!packed) throw_short_chunk(static_cast<std::int64_t>(size), chunk_bytes, file, path);
  } while (advance(corner, first, last, chunk));
}

}  // namespace scvi::io::hdf5
