#include "scvi/core/progress.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <thread>

#include "scvi/core/logging.hpp"

namespace scvi {
namespace {

/// A terminal of its own as standard error.
class FakeTerminal {
 public:
  explicit FakeTerminal(unsigned short columns) {
    master_ = posix_openpt(O_RDWR | O_NOCTTY);
    if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) return;
    const int slave = open(ptsname(master_), O_RDWR | O_NOCTTY);
    if (slave < 0) return;
    winsize size{};
    size.ws_col = columns;
    size.ws_row = 24;
    ioctl(slave, TIOCSWINSZ, &size);
    termios raw{};
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    fflush(stderr);
    before_ = dup(STDERR_FILENO);
    dup2(slave, STDERR_FILENO);
    close(slave);
  }
  ~FakeTerminal() {
    restore();
    if (master_ >= 0) close(master_);
  }
  FakeTerminal(const FakeTerminal&) = delete;
  FakeTerminal& operator=(const FakeTerminal&) = delete;

  bool ready() const { return before_ >= 0; }

  /// Everything written since the terminal was made; ends its use.
  std::string output() {
    fcntl(master_, F_SETFL, O_NONBLOCK);
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = read(master_, buffer, sizeof buffer)) > 0;) text.append(buffer, got);
    restore();
    return text;
  }

 private:
  void restore() {
    if (before_ < 0) return;
    fflush(stderr);
    dup2(before_, STDERR_FILENO);
    close(before_);
    before_ = -1;
  }
  int master_ = -1;
  int before_ = -1;
};

/// What a terminal shows in the end: lines, with "\r" going back and "ESC [ K" clearing to the end of the line.
std::string screen_after(const std::string& output) {
  std::string screen, line;
  std::size_t column = 0;
  for (std::size_t i = 0; i < output.size(); ++i) {
    if (output.compare(i, 3, "\x1b[K") == 0) {
      line.resize(column);
      i += 2;
    } else if (output[i] == '\r') {
      column = 0;
    } else if (output[i] == '\n') {
      screen += line + "\n";
      line.clear();
      column = 0;
    } else {
      if (column == line.size()) line.push_back(' ');
      line[column++] = output[i];
    }
  }
  return screen + line;
}

template <class Act>
std::string shown_by(Act act) {
  ::testing::internal::CaptureStderr();
  act();
  return ::testing::internal::GetCapturedStderr();
}

TEST(FormatDuration, PicksTheUnitsThatMatter) {
  EXPECT_EQ(format_duration(0), "0.0 s");
  EXPECT_EQ(format_duration(4.2), "4.2 s");
  EXPECT_EQ(format_duration(59.94), "59.9 s");
  EXPECT_EQ(format_duration(59.96), "1 min 00 s");
  EXPECT_EQ(format_duration(200), "3 min 20 s");
  EXPECT_EQ(format_duration(3599.6), "1 h 00 min");
  EXPECT_EQ(format_duration(3720), "1 h 02 min");
  EXPECT_EQ(format_duration(360000), "100 h 00 min");
}

TEST(FormatDuration, CopesWithWhatIsNoDuration) {
  EXPECT_EQ(format_duration(-1), "0.0 s");
  EXPECT_EQ(format_duration(std::nan("")), "0.0 s");
  EXPECT_FALSE(format_duration(std::numeric_limits<double>::infinity()).empty());
}

TEST(Progress, BaseClassAndDisabledOnesAreSilent) {
  EXPECT_EQ(shown_by([] {
              Progress base;
              const std::unique_ptr<Progress> disabled = make_terminal_progress(false);
              for (Progress* progress : {&base, disabled.get()}) {
                progress->start("training", 10, "epoch");
                progress->update(5, "loss 1");
                progress->finish();
              }
            }),
            "");
}

TEST(LineProgress, EndsWithOnePlainLineThatSaysWhatWasDone) {
  const std::string shown = shown_by([] {
    const auto progress = make_terminal_progress();
    progress->start("training", 2000, "epoch");
    for (int i = 1; i <= 2000; ++i) progress->update(i, "loss 512.3");
    progress->finish();
    progress->finish();
  });
  EXPECT_EQ(shown.find('\r'), std::string::npos);
  EXPECT_EQ(shown.find('\x1b'), std::string::npos);
  const std::size_t last = shown.rfind("training: 2,000/2,000 epochs (");
  ASSERT_NE(last, std::string::npos) << shown;
  EXPECT_NE(shown.find("loss 512.3)\n", last), std::string::npos) << shown;
  EXPECT_EQ(shown.find('\n', last), shown.size() - 1) << "more than one final line:\n" << shown;
}

TEST(LineProgress, ReportsAtMostOneLineATenth) {
  const std::string shown = shown_by([] {
    const auto progress = make_terminal_progress();
    progress->start("reading", 1000000, "cell");
    for (int i = 1; i <= 1000000; i += 100) progress->update(i, "");
    progress->finish();
  });
  EXPECT_LE(std::count(shown.begin(), shown.end(), '\n'), 10);
}

TEST(LineProgress, ShowsHowFarItCameWhenStoppedEarly) {
  const std::string shown = shown_by([] {
    const auto progress = make_terminal_progress();
    progress->start("training", 400, "epoch");
    progress->update(45, "");
  });
  EXPECT_TRUE(shown.starts_with("training: 45/400 epochs (")) << shown;
}

TEST(LineProgress, WorksWithoutAKnownTotal) {
  const std::string shown = shown_by([] {
    const auto progress = make_terminal_progress();
    progress->start("reading", 0, "cell");
    progress->update(12, "");
    progress->finish();
  });
  EXPECT_TRUE(shown.starts_with("reading: 12 cells (")) << shown;
}

/// What log files get while act() reports to a progress of that kind.
std::string logged_by(bool enabled) {
  std::string logged;
  shown_by([&] {
    const ScopedLogSink sink([&](LogLevel, std::string_view message) { logged.append(message).append("\n"); });
    const auto progress = make_terminal_progress(enabled);
    progress->start("training", 400, "epoch");
    progress->update(400, "loss 512.3");
    progress->finish();
  });
  return logged;
}

TEST(LineProgress, GoesToLogFilesAsWell) {
  const std::string logged = logged_by(true);
  EXPECT_TRUE(logged.starts_with("training: 400/400 epochs (")) << logged;
  EXPECT_TRUE(logged.ends_with("loss 512.3)\n")) << logged;
}

TEST(Progress, ADisabledOneStillGoesToLogFiles) {
  EXPECT_TRUE(logged_by(false).starts_with("training: 400/400 epochs ("));
}

TEST(BarProgress, GoesToLogFilesAsAPlainLine) {
  FakeTerminal terminal(100);
  if (!terminal.ready()) GTEST_SKIP() << "no pseudo terminals here";
  std::string logged;
  {
    const ScopedLogSink sink([&](LogLevel, std::string_view message) { logged.append(message).append("\n"); });
    const auto progress = make_terminal_progress();
    progress->start("training", 400, "epoch");
    progress->update(400, "loss 512.3");
  }
  const std::string screen = screen_after(terminal.output());
  EXPECT_EQ(std::count(screen.begin(), screen.end(), '\n'), 1) << screen;
  EXPECT_TRUE(logged.starts_with("training: 400/400 epochs (")) << logged;
  EXPECT_EQ(logged.find('|'), std::string::npos) << logged;
}

TEST(BarProgress, RedrawsInPlaceAndLeavesOneLine) {
  FakeTerminal terminal(100);
  if (!terminal.ready()) GTEST_SKIP() << "no pseudo terminals here";
  {
    const auto progress = make_terminal_progress();
    progress->start("training", 8, "epoch");
    progress->update(4, "loss 512.3");
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    progress->update(6, "loss 500.1");
    progress->update(8, "loss 400.5");
    progress->finish();
  }
  const std::string output = terminal.output();
  EXPECT_NE(output.find("training   0% |"), std::string::npos) << output;
  EXPECT_NE(output.find(" left, "), std::string::npos) << output;
  const std::string screen = screen_after(output);
  EXPECT_TRUE(screen.starts_with("training 100% |####################| 8/8 epochs [")) << screen;
  EXPECT_TRUE(screen.ends_with("loss 400.5]\n")) << screen;
  EXPECT_EQ(std::count(screen.begin(), screen.end(), '\n'), 1) << screen;
}

TEST(BarProgress, IsNotGarbledByLogMessages) {
  FakeTerminal terminal(100);
  if (!terminal.ready()) GTEST_SKIP() << "no pseudo terminals here";
  {
    const auto progress = make_terminal_progress();
    progress->start("training", 10, "epoch");
    log_warning("loss went up");
    progress->update(3, "");
  }
  const std::string screen = screen_after(terminal.output());
  EXPECT_TRUE(screen.starts_with("warning: loss went up\ntraining  30% |######              | 3/10 epochs ["))
      << screen;
}

TEST(BarProgress, NeverWrapsOnANarrowTerminal) {
  FakeTerminal terminal(40);
  if (!terminal.ready()) GTEST_SKIP() << "no pseudo terminals here";
  {
    const auto progress = make_terminal_progress();
    progress->start("training", 10, "epoch");
    progress->update(10, std::string(200, 'x'));
  }
  const std::string screen = screen_after(terminal.output());
  EXPECT_EQ(screen.size(), 40u) << screen;
}

}  // namespace
}  // namespace scvi
