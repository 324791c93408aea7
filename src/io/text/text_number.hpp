#pragma once

// Numbers in text, as fast as they can be had.

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>

#include "line_blocks.hpp"

namespace scvi::io {

/// Reads digits at `at`, at most 18 of them. Returns where they end, or nullptr when there are none or too many.
/// @pre eight bytes from any place of the text on may be read (TextBlock::kPadding)
inline const char* parse_digits(const char* at, std::uint64_t& value) {
  static_assert(TextBlock::kPadding >= sizeof(std::uint64_t));
  constexpr std::ptrdiff_t kMostDigits = 18;
  const char* const begin = at;
  value = 0;
  if constexpr (std::endian::native == std::endian::little) {
    // Eight digits at once: no branch that depends on how many there are.
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    constexpr std::uint64_t kHigh = 0xF0F0F0F0F0F0F0F0;
    constexpr std::uint64_t kZeros = 0x3030303030303030;
    const std::uint64_t other = ((word & kHigh) ^ kZeros) | (((word + 0x0606060606060606) & kHigh) ^ kZeros);
    const int length = other == 0 ? 8 : std::countr_zero(other) / 8;
    if (length == 0) return nullptr;
    word <<= (8 - length) * 8;
    word = (word & 0x0F0F0F0F0F0F0F0F) * 2561 >> 8;
    word = (word & 0x00FF00FF00FF00FF) * 6553601 >> 16;
    value = (word & 0x0000FFFF0000FFFF) * 42949672960001 >> 32;
    at += length;
    if (length < 8) return at;
  }
  for (; *at >= '0' && *at <= '9'; ++at) {
    if (at - begin >= kMostDigits) return nullptr;
    value = value * 10 + static_cast<std::uint64_t>(*at - '0');
  }
  return at == begin ? nullptr : at;
}

/// A whole text as a number: "12", "-1.5", "+3e2", "nan". Returns false when it is none.
inline bool parse_real(std::string_view text, double& value) {
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Too large or too small for a double is a number nevertheless.
  if (error == std::errc::result_out_of_range) value = std::strtod(std::string(text).c_str(), nullptr);
  return error != std::errc::invalid_argument && end == text.data() + text.size();
}

}  // namespace scvi::io
