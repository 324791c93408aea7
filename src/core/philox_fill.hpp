#pragma once

#include <array>
#include <cstdint>

namespace scvi {

/// Uniform floats in [0, 1) of the words of consecutive Philox blocks, many blocks at a time in the vectors of the
/// machine. Word w becomes (w >> 8) 2^-24: the same bits on every instruction set.
/// @param place the upper two words of the counter; the lower two are the number of the block
/// @param out 4 n_blocks floats
void philox_uniforms(std::array<std::uint32_t, 2> key, std::array<std::uint32_t, 2> place, std::uint64_t first_block,
                     std::int64_t n_blocks, float* out);

}  // namespace scvi
