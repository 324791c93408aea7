#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hdf5_detail.hpp"

/// HDF5 takes a chunk to be as long as the layout of its dataset says, and reads past the end of one that unpacks to
/// less. These find such chunks before HDF5 sees them.
namespace scvi::io::hdf5 {

/// What packs the chunks of a dataset, in the order in which it was applied.
std::vector<H5Z_filter_t> filters_of(hid_t creation);

/// Unpacks one stored chunk, if there is any, to see that its length is that of the layout. A layout that is damaged
/// shows in every chunk.
/// @throws FormatError
void check_one_chunk(hid_t dataset, const std::vector<H5Z_filter_t>& filters, std::int64_t chunk_bytes,
                     std::int64_t file_bytes, const std::string& file, const std::string& path);

/// Refuses chunks that overlap a selection and are stored unpacked but too short.
/// @param start,extent of the selection, one number a dimension
/// @throws FormatError
void check_unpacked_chunks(hid_t dataset, const std::vector<H5Z_filter_t>& filters,
                           std::span<const std::int64_t> chunk, std::int64_t chunk_bytes,
                           std::span<const hsize_t> start, std::span<const hsize_t> extent, const std::string& file,
                           const std::string& path);

}  // namespace scvi::io::hdf5
