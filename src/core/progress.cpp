#include "scvi/core/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

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

/// What the bar and the plain lines have in common: how far, how fast, how long yet.
class TimedProgress : public Progress {
 public:
  void start(std::string_view what, std::int64_t total, std::string_view unit) override {
    what_ = what;
    unit_ = unit;
    total_ = total;
    done_ = 0;
    detail_.clear();
    begin_ = Clock::now();
    running_ = true;
  }

  void update(std::int64_t done, std::string_view detail) override {
    done_ = done;
    detail_ = detail;
  }

 protected:
  std::string count() const {
    std::string text = with_thousands(done_);
    if (total_ > 0) text.append("/").append(with_thousands(total_));
    return text.append(" ").append(unit_).append("s");
  }
  double fraction() const {
    return total_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0) : 0;
  }
  double elapsed() const { return seconds_between(begin_, Clock::now()); }
  std::string rate() const { return format_rate(static_cast<double>(done_) / std::max(elapsed(), 1e-9), unit_); }
  /// "12.0 s, 3 min 20 s left, 4.1 epochs/s, loss 512.3"; parts that are not known left out.
  std::string facts(bool finished) const {
    std::string text = format_duration(elapsed());
    if (!finished && total_ > 0 && done_ > 0)
      text += ", " + format_duration(elapsed() * (1 / fraction() - 1)) + " left";
    if (done_ > 0) text += ", " + rate();
    if (!detail_.empty()) text += ", " + detail_;
    return text;
  }

  std::string what_, unit_, detail_;
  std::int64_t total_ = 0, done_ = 0;
  Clock::time_point begin_;
  bool running_ = false;
};

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
    if (running_ && seconds_between(drawn_, Clock::now()) >= kRedrawSeconds) draw();
  }

  void finish() override {
    if (!running_) return;
    running_ = false;
    terminal::set_status("");
    terminal::write_lines(line(true) + "\n");
  }

 private:
  void draw() {
    drawn_ = Clock::now();
    terminal::set_status(line(false));
  }

  std::string line(bool finished) const {
    constexpr int kBarWidth = 20;
    const int filled = static_cast<int>(fraction() * kBarWidth);
    std::string text = what_;
    if (total_ > 0) {
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

class LineProgress : public TimedProgress {
 public:
  ~LineProgress() override { LineProgress::finish(); }

  void start(std::string_view what, std::int64_t total, std::string_view unit) override {
    finish();
    TimedProgress::start(what, total, unit);
    printed_ = begin_;
    printed_tenth_ = 0;
  }

  void update(std::int64_t done, std::string_view detail) override {
    TimedProgress::update(done, detail);
    if (!running_ || done_ >= total_) return;
    constexpr double kQuietSeconds = 2;
    const int tenth = static_cast<int>(fraction() * 10);
    if (tenth <= printed_tenth_ || seconds_between(printed_, Clock::now()) < kQuietSeconds) return;
    printed_tenth_ = tenth;
    printed_ = Clock::now();
    terminal::write_lines(line(false));
  }

  void finish() override {
    if (!running_) return;
    running_ = false;
    terminal::write_lines(line(true));
  }

 private:
  std::string line(bool finished) const { return what_ + ": " + count() + " (" + facts(finished) + ")\n"; }

  Clock::time_point printed_;
  int printed_tenth_ = 0;
};

}  // namespace

void Progress::start(std::string_view, std::int64_t, std::string_view) {}
void Progress::update(std::int64_t, std::string_view) {}
void Progress::finish() {}

std::unique_ptr<Progress> make_terminal_progress(bool enabled) {
  if (!enabled) return std::make_unique<Progress>();
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
