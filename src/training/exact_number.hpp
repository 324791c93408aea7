#pragma once

#include <charconv>
#include <string>

namespace scvi {

/// The shortest text that reads back as the same number; infinities and NaN, too.
inline std::string exact(double value) {
  char buffer[40];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, end);
}

}  // namespace scvi
