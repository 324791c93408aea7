#pragma once

#include <hdf5.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

/// Numbers as files hold them, turned into those of this machine.
namespace scvi::io::hdf5 {

/// A number type of classify(): whole numbers of 1 to 8 bytes (truth values and enumerations by their base), and
/// IEEE reals of 2, 4 and 8.
struct NumberType {
  bool is_real = false;
  bool is_signed = false;
  bool is_big_endian = false;
  std::size_t bytes = 0;
};

/// Nothing for a type that is none of them.
inline std::optional<NumberType> number_type_of(hid_t type) {
  const H5T_class_t type_class = H5Tget_class(type);
  if (type_class == H5T_ENUM) {
    const hid_t base = H5Tget_super(type);
    if (base < 0) return std::nullopt;
    const auto found = number_type_of(base);
    H5Tclose(base);
    return found;
  }
  if (type_class != H5T_INTEGER && type_class != H5T_FLOAT) return std::nullopt;
  NumberType found{.is_real = type_class == H5T_FLOAT, .is_big_endian = H5Tget_order(type) == H5T_ORDER_BE};
  found.is_signed = !found.is_real && H5Tget_sign(type) == H5T_SGN_2;
  found.bytes = H5Tget_size(type);
  const bool known = found.bytes == 2 || found.bytes == 4 || found.bytes == 8 || (found.bytes == 1 && !found.is_real);
  return known ? std::optional(found) : std::nullopt;
}

/// IEEE binary16, held by its bits.
struct Half {
  std::uint16_t bits = 0;

  explicit operator float() const {
    const std::uint32_t exponent = bits >> 10 & 0x1F;
    const std::uint32_t fraction = bits & 0x3FF;
    const float sign = bits & 0x8000 ? -1.0F : 1.0F;
    if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
    if (exponent < 31)
      return sign * std::ldexp(static_cast<float>(fraction | 0x400), static_cast<int>(exponent) - 25);
    return fraction ? std::numeric_limits<float>::quiet_NaN() : sign * std::numeric_limits<float>::infinity();
  }
};

/// The nearest value of To; reals lose their fraction, and what is no number becomes 0.
template <class To, class From>
To nearest(From value) {
  using Limits = std::numeric_limits<To>;
  if constexpr (std::is_same_v<From, Half>) {
    return nearest<To>(static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<To>) {
    return static_cast<To>(value);
  } else if constexpr (std::is_floating_point_v<From>) {
    // The limits as reals may lie one beyond those of To.
    if (value != value) return 0;
    if (value <= static_cast<From>(Limits::min())) return Limits::min();
    if (value >= static_cast<From>(Limits::max())) return Limits::max();
    return static_cast<To>(value);
  } else {
    if (std::cmp_less(value, Limits::min())) return Limits::min();
    if (std::cmp_greater(value, Limits::max())) return Limits::max();
    return static_cast<To>(value);
  }
}

template <class From, class To>
void convert_numbers(const std::uint8_t* from, std::size_t count, bool swap, To* to) {
  for (std::size_t at = 0; at < count; ++at, from += sizeof(From)) {
    From value;
    if (swap) {
      std::uint8_t bytes[sizeof(From)];
      for (std::size_t byte = 0; byte < sizeof(From); ++byte) bytes[byte] = from[sizeof(From) - 1 - byte];
      std::memcpy(&value, bytes, sizeof(From));
    } else {
      std::memcpy(&value, from, sizeof(From));
    }
    to[at] = nearest<To>(value);
  }
}

/// @pre the type is one that number_type_of() gives
template <class To>
void convert_numbers(const NumberType& type, const std::uint8_t* from, std::size_t count, To* to) {
  const bool swap = type.is_big_endian == (std::endian::native == std::endian::little) && type.bytes > 1;
  if (type.is_real) {
    if (type.bytes == 2) return convert_numbers<Half>(from, count, swap, to);
    if (type.bytes == 4) return convert_numbers<float>(from, count, swap, to);
    return convert_numbers<double>(from, count, swap, to);
  }
  switch (type.bytes) {
    case 1:
      return type.is_signed ? convert_numbers<std::int8_t>(from, count, swap, to)
                            : convert_numbers<std::uint8_t>(from, count, swap, to);
    case 2:
      return type.is_signed ? convert_numbers<std::int16_t>(from, count, swap, to)
                            : convert_numbers<std::uint16_t>(from, count, swap, to);
    case 4:
      return type.is_signed ? convert_numbers<std::int32_t>(from, count, swap, to)
                            : convert_numbers<std::uint32_t>(from, count, swap, to);
    default:
      return type.is_signed ? convert_numbers<std::int64_t>(from, count, swap, to)
                            : convert_numbers<std::uint64_t>(from, count, swap, to);
  }
}

}  // namespace scvi::io::hdf5
