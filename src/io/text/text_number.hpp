#pragma once

// Numbers in text, as fast as they can be had.

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <array>
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

/// The value of the first `length` characters, all digits, of eight in a word. @pre length is 1..8, little-endian
inline std::uint64_t value_of_digits(std::uint64_t word, int length) {
  word <<= (8 - length) * 8;
  word = (word & 0x0F0F0F0F0F0F0F0F) * 2561 >> 8;
  word = (word & 0x00FF00FF00FF00FF) * 6553601 >> 16;
  return (word & 0x0000FFFF0000FFFF) * 42949672960001 >> 32;
}

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
    value = value_of_digits(word, length);
    at += length;
    if (length < 8) return at;
  }
  for (; *at >= '0' && *at <= '9'; ++at) {
    if (at - begin >= kMostDigits) return nullptr;
    value = value * 10 + static_cast<std::uint64_t>(*at - '0');
  }
  return at == begin ? nullptr : at;
}

/// Reads "12 345 6\n": three numbers of up to eight digits with a blank between them. Returns where the next line
/// begins, or nullptr for any other line, whether good or bad.
/// @pre 32 bytes from any place of the text on may be read (TextBlock::kPadding)
#ifdef __SSE2__
inline const char* parse_plain_line(const char* at, std::array<std::uint64_t, 3>& numbers) {
  static_assert(TextBlock::kPadding >= 32);
  const auto others = [](const char* from) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i above_zero = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    const __m128i is_other = _mm_cmpeq_epi8(_mm_max_epu8(above_zero, _mm_set1_epi8(10)), above_zero);
    return static_cast<std::uint32_t>(_mm_movemask_epi8(is_other));
  };
  // One bit for each byte that is no digit: no number waits until the end of the one before it is known.
  std::uint32_t mask = others(at) | others(at + 16) << 16;
  constexpr std::array<char, 3> kEnds = {' ', ' ', '\n'};
  const char* number = at;
  for (std::size_t column = 0; column < numbers.size(); ++column) {
    const char* const end = at + std::countr_zero(mask);
    mask &= mask - 1;
    const auto length = static_cast<std::uint64_t>(end - number);
    if (length - 1 >= sizeof(std::uint64_t) || *end != kEnds[column]) return nullptr;
    std::uint64_t word = 0;
    std::memcpy(&word, number, sizeof word);
    numbers[column] = value_of_digits(word, static_cast<int>(length));
    number = end + 1;
  }
  return number;
}
#else
inline const char* parse_plain_line(const char*, std::array<std::uint64_t, 3>&) {
  return nullptr;
}
#endif

/// A whole text as a number: "12", "-1.5", "+3e2", "nan". Returns false when it is none.
inline bool parse_real(std::string_view text, double& value) {
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Too large or too small for a double is a number nevertheless.
  if (error == std::errc::result_out_of_range) value = std::strtod(std::string(text).c_str(), nullptr);
  return error != std::errc::invalid_argument && end == text.data() + text.size();
}

}  // namespace scvi::io
