#include "plain_text.hpp"

#include <algorithm>

#include "scvi/core/text.hpp"

namespace scvi::report {

std::size_t character_length(std::string_view text) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length) {
    if (is_valid_utf8(text.substr(0, length))) return length;
  }
  return 0;
}

std::string cleaned(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (length == 0) {
      result += "\uFFFD";
    } else if (first < 0x20 || first == 0x7F) {
      result += ' ';
    } else if (text.starts_with("\uFFFE") || text.starts_with("\uFFFF")) {
      result += "\uFFFD";
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  return result;
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

}  // namespace scvi::report
