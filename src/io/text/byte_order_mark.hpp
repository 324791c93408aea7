#pragma once

#include <cstddef>
#include <string_view>

#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

/// Length of the UTF-8 byte order mark that the text begins with, or 0. @throws FormatError when the text is UTF-16
inline std::size_t byte_order_mark(const ByteStream& stream, std::string_view text) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    stream.fail("", "is text in UTF-16", "save it as UTF-8");
  return text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
}

}  // namespace scvi::io
