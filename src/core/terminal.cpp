#include "terminal.hpp"

#include <cstdio>
#include <mutex>
#include <string>

namespace scvi::terminal {
namespace {

struct Screen {
  std::mutex mutex;
  std::string status;
};

/// Never destroyed: destructors of other statics may still log.
Screen& screen() {
  static Screen* const the_screen = new Screen;
  return *the_screen;
}

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

constexpr std::string_view kClearLine = "\r\x1b[K";

}  // namespace

void write_lines(std::string_view lines) {
  const std::lock_guard lock(screen().mutex);
  const std::string& status = screen().status;
  if (!status.empty()) put(kClearLine);
  put(lines);
  put(status);
  std::fflush(stderr);
}

void set_status(std::string_view line) {
  const std::lock_guard lock(screen().mutex);
  std::string& status = screen().status;
  if (!status.empty()) put(kClearLine);
  status = line;
  put(status);
  std::fflush(stderr);
}

}  // namespace scvi::terminal
