#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace scvi {

/// Where long work reports how far it is. The base class is silent.
class Progress {
 public:
  virtual ~Progress() = default;
  /// @param unit what is counted: "epoch", "cell"
  virtual void start(std::string_view what, std::int64_t total, std::string_view unit);
  /// @param done how many units are finished
  /// @param detail short facts to show beside: "loss 512.3, 24310 cells/s"
  virtual void update(std::int64_t done, std::string_view detail);
  virtual void finish();
};

/// A bar with rate and time left, redrawn in place, when standard error is a terminal; otherwise a plain line
/// about every tenth of the work, at most one every few seconds, and one at the end. Log files (LogFile) get the
/// plain lines in any case. `enabled` false: only they do.
std::unique_ptr<Progress> make_terminal_progress(bool enabled = true);

/// "1 h 02 min", "3 min 20 s", "4.2 s".
std::string format_duration(double seconds);

}  // namespace scvi
