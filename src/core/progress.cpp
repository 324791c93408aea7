#include "scvi/core/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "terminal.hpp"

namespace scvi {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string format_rate(double rate, const std::string& unit) {
  char text[48];
  if (rate >= 100) return with_thousands(std::llround(std::min(rate, 1e15))) + " " + unit + "s/s";
  if (rate >= 1 || rate <= 0) {
    std::snprintf(text, sizeof text, "%.1f ", rate);
    return text + unit + "s/s";
  }
  return format_duration(1 / rate) + "/" + unit;
}

/// What all kinds have in common: how far, how fast, how long yet, and plain lines about every tenth of the work for
/// the log files (and for whoever shows them).
class TimedProgress : public Progress {
 public:
  ~TimedProgress() override { TimedProgress::finish(); }

  void start(std::string_view what, std::int64_t total, std::string_view unit) override {
    finish();
    what_ = what;
    unit_ = unit;
    total_ = total;
    done_ = 0;
    detail_.clear();
    begin_ = reported_ = Clock::now();
    reported_tenth_ = 0;
    running_ = true;
  }

  void update(std::int64_t done, std::string_view detail) override {
    done_ = done;
    detail_ = detail;
    if (!running_ || done_ >= total_) return;
    constexpr double kQuietSeconds = 2;
    const int tenth = static_cast<int>(fraction() * 10);
    if (tenth <= reported_tenth_ || seconds_between(reported_, Clock::now()) < kQuietSeconds) return;
    reported_tenth_ = tenth;
    reported_ = Clock::now();
    report(plain_line(false));
  }

  void finish() override {
    if (!running_) return;
    running_ = false;
    report(plain_line(true));
  }

 protected:
  /// A plain line to hand on. Only log files get it here.
  virtual void report(const std::string& line) { log_to_files(line); }

  bool running() const { return running_; }
  const std::string& what() const { return what_; }
  bool has_total() const { return total_ > 0; }
  double fraction() const {
    return total_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0) : 0;
  }
  std::string count() const {
    std::string text = with_thousands(done_);
    if (total_ > 0) text.append("/").append(with_thousands(total_));
    return text.append(" ").append(unit_).append("s");
  }
  /// "12.0 s, 3 min 20 s left, 4.1 epochs/s, loss 512.3"; parts that are not known left out.
  std::string facts(bool finished) const {
    std::string text = format_duration(elapsed());
    if (!finished && total_ > 0 && done_ > 0)
      text += ", " + format_duration(elapsed() * (1 / fraction() - 1)) + " left";
    if (done_ > 0) text += ", " + rate();
    if (!detail_.empty()) text += ", " + detail_;
    return text;
  }

 private:
  double elapsed() const { return seconds_between(begin_, Clock::now()); }
  std::string rate() const { return format_rate(static_cast<double>(done_) / std::max(elapsed(), 1e-9), unit_); }
  std::string plain_line(bool finished) const { return what_ + ": " + count() + " (" + facts(finished) + ")"; }

  std::string what_, unit_, detail_;
  std::int64_t total_ = 0, done_ = 0;
  Clock::time_point begin_, reported_;
  int reported_tenth_ = 0;
  bool running_ = false;
};

/// A bar that is redrawn in place.
class BarProgress : public TimedProgress {
 public:
  ~BarProgress() override { BarProgress::finish(); }

  void start(std::string_view what, std::int64_t total, std::string_view unit) override {
    finish();
    TimedProgress::start(what, total, unit);
    draw();
  }

  void update(std::int64_t done, std::string_view detail) override {
    TimedProgress::update(done, detail);
    constexpr double kRedrawSeconds = 0.1;
    if (running() && seconds_between(drawn_, Clock::now()) >= kRedrawSeconds) draw();
  }

  void finish() override {
    if (!running()) return;
    terminal::set_status("");
    terminal::write_lines(bar(true) + "\n");
    TimedProgress::finish();
  }

 private:
  void draw() {
    drawn_ = Clock::now();
    terminal::set_status(bar(false));
  }

  std::string bar(bool finished) const {
    constexpr int kBarWidth = 20;
    const int filled = static_cast<int>(fraction() * kBarWidth);
    std::string text = what();
    if (has_total()) {
      char percent[16];
      std::snprintf(percent, sizeof percent, " %3d%% |", static_cast<int>(fraction() * 100));
      text.append(percent).append(filled, '#').append(kBarWidth - filled, ' ').append("|");
    }
    return shorten(text + " " + count() + " [" + facts(finished) + "]", terminal_width() - 1);
  }

  static int terminal_width() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
  }

  /// A line longer than the terminal would wrap, and the part above could not be redrawn.
  static std::string shorten(std::string text, int width) {
    int characters = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool starts_character = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
      if (starts_character && ++characters > width) return text.substr(0, i);
    }
    return text;
  }

  Clock::time_point drawn_;
};

/// The plain lines, shown.
class LineProgress : public TimedProgress {
 public:
  ~LineProgress() override { LineProgress::finish(); }

 protected:
  void report(const std::string& line) override {
    terminal::write_lines(line + "\n");
    TimedProgress::report(line);
  }
};

}  // namespace

void Progress::start(std::string_view, std::int64_t, std::string_view) {}
void Progress::update(std::int64_t, std::string_view) {}
void Progress::finish() {}

std::unique_ptr<Progress> make_terminal_progress(bool enabled) {
  if (!enabled) return std::make_unique<TimedProgress>();
  if (isatty(STDERR_FILENO)) return std::make_unique<BarProgress>();
  return std::make_unique<LineProgress>();
}

std::string format_duration(double seconds) {
  char text[64];
  if (!(seconds >= 0)) seconds = 0;
  // Far beyond any run, and the whole seconds still fit.
  seconds = std::min(seconds, 1e15);
  if (seconds < 59.95) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
    return text;
  }
  const long long whole = std::llround(seconds);
  if (whole < 3600)
    std::snprintf(text, sizeof text, "%lld min %02lld s", whole / 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%lld h %02lld min", whole / 3600, whole % 3600 / 60);
  return text;
}

}  // namespace scvi
