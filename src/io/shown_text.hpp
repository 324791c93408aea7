#pragma once

#include <string>
#include <string_view>

namespace scvi::io {

/// Text of a file as a message shows it: in quotes, on one line, in valid UTF-8, not too long.
std::string shown_text(std::string_view text);

}  // namespace scvi::io
