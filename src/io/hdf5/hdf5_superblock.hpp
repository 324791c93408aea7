#pragma once

#include <cstdint>
#include <string>

namespace scvi::io::hdf5 {

/// Looks at the start of a file before HDF5 does, which takes memory for what it announces (a driver information
/// block of up to 4 GB) before it sees that the file has nothing there.
/// @pre the file has the signature of HDF5
/// @throws FormatError for a file with a driver information block: it is a part of a file that was divided
void check_superblock(const std::string& path, std::int64_t file_bytes);

}  // namespace scvi::io::hdf5
