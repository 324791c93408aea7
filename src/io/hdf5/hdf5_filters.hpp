#pragma once

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// What packs the chunks of a dataset, undone by us. HDF5 takes a chunk to be as long as the layout of its dataset
/// says and reads past the end of one that unpacks to less; here every length is checked.
namespace scvi::io::hdf5 {

struct StoredFilter {
  H5Z_filter_t id = 0;
  std::vector<unsigned> values;  ///< its parameters
};

/// In the order in which they were applied.
std::vector<StoredFilter> filters_of(hid_t creation);

/// Whether unpack_chunk() knows all of them: deflate, shuffle, Fletcher's checksum, LZF, no two of which compress.
bool can_unpack(const std::vector<StoredFilter>& filters);

/// Whether one of those that compress meets another one, ours or not: the length between the two is not known, so
/// that it could not be checked.
bool packs_repeatedly(const std::vector<StoredFilter>& filters);

/// Unpacks a stored chunk in place.
/// @param mask bit i set: filter i was left out for this chunk
/// @param bytes in: what is stored; out: `chunk_bytes` bytes
/// @param item_bytes of a value
/// @param spare memory to work in
/// @return what is wrong with the chunk, "" when nothing is
/// @pre can_unpack(filters)
std::string unpack_chunk(const std::vector<StoredFilter>& filters, unsigned mask, std::size_t item_bytes,
                         std::size_t chunk_bytes, std::vector<std::uint8_t>& bytes, std::vector<std::uint8_t>& spare);

}  // namespace scvi::io::hdf5
