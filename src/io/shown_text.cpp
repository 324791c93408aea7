#include "shown_text.hpp"

#include "utf8.hpp"

namespace scvi::io {

std::string shown_text(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  std::string shown = valid_utf8(text.substr(0, kLongest));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  return "'" + shown + (text.size() > kLongest ? "..." : "") + "'";
}

}  // namespace scvi::io
