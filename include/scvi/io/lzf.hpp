#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace scvi::io {

/// LZF, the light compression of Marc Lehmann's liblzf that h5py offers for HDF5 chunks: literal runs of up to 32
/// bytes and copies of 3 to 264 bytes from at most 8192 bytes back.

/// The compressed bytes, or nothing when they would not be fewer than the input.
std::optional<std::vector<std::uint8_t>> lzf_compress(std::span<const std::uint8_t> input);

/// Decompresses into `output`. Any input is safe.
/// @returns the number of bytes written, or nothing when the input is damaged or needs more room than `output` has
std::optional<std::size_t> lzf_decompress(std::span<const std::uint8_t> input, std::span<std::uint8_t> output);

}  // namespace scvi::io
