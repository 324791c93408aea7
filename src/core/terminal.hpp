#pragma once

#include <string_view>

namespace scvi::terminal {

/// Writes whole lines to standard error. A status line on display is cleared first and drawn again after them.
/// Callable from any thread.
void write_lines(std::string_view lines);

/// Shows `line` as the status line, in place of the one before; "" removes it. Only for terminals.
void set_status(std::string_view line);

}  // namespace scvi::terminal
