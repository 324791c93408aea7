#include "scvi/core/logging.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <thread>
#include <vector>

#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

class Logging : public ::testing::Test {
 protected:
  void TearDown() override { set_verbosity(LogLevel::info); }
};

/// What `act` writes to standard error.
template <class Act>
std::string shown_by(Act act) {
  ::testing::internal::CaptureStderr();
  act();
  return ::testing::internal::GetCapturedStderr();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The line with every digit as 'd', and a zone west of Greenwich as one east of it.
std::string without_digits(std::string line) {
  for (char& c : line)
    if (c >= '0' && c <= '9') c = 'd';
  if (line.size() > 23 && line[23] == '-') line[23] = '+';
  return line;
}

TEST_F(Logging, ParsesLevelsByNameAndNumber) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  EXPECT_EQ(parse_log_level("INFO"), LogLevel::info);
  EXPECT_EQ(parse_log_level("20"), LogLevel::info);
  EXPECT_EQ(parse_log_level("Warning"), LogLevel::warning);
  EXPECT_EQ(parse_log_level("40"), LogLevel::error);
  EXPECT_EQ(parse_log_level("off"), LogLevel::off);
}

TEST_F(Logging, RefusesUnknownLevelsByName) {
  for (const char* wrong : {"", "loud", "25", "20x", " info"}) {
    try {
      parse_log_level(wrong);
      FAIL() << wrong;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("'" + std::string(wrong) + "'"), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("warning"), std::string::npos);
    }
  }
}

TEST_F(Logging, ShowsInfoBareAndWarningsAndErrorsWithAPrefix) {
  EXPECT_EQ(verbosity(), LogLevel::info);
  const std::string shown = shown_by([] {
    log_debug("hidden");
    log_info("read 3 cells");
    log_warning("no labels");
    log_error("disk is full");
  });
  EXPECT_EQ(shown, "read 3 cells\nwarning: no labels\nerror: disk is full\n");
}

TEST_F(Logging, VerbosityDecidesWhatIsShown) {
  const auto all = [] {
    log_debug("d");
    log_info("i");
    log_warning("w");
    log_error("e");
  };
  set_verbosity(LogLevel::error);
  EXPECT_EQ(shown_by(all), "error: e\n");
  set_verbosity(LogLevel::off);
  EXPECT_EQ(shown_by(all), "");
  set_verbosity(LogLevel::debug);
  EXPECT_EQ(shown_by(all), "debug: d\ni\nwarning: w\nerror: e\n");
}

TEST_F(Logging, MakesSeveralLinesOfAMessageWithNewlines) {
  EXPECT_EQ(shown_by([] { log_warning("one\ntwo\r\n\nfour\n"); }),
            "warning: one\nwarning: two\nwarning: \nwarning: four\n");
  EXPECT_EQ(shown_by([] { log_info(""); }), "\n");
}

TEST_F(Logging, TreatsFormatCharactersAsText) {
  EXPECT_EQ(shown_by([] { log_info("100% of {} %s %v"); }), "100% of {} %s %v\n");
}

TEST_F(Logging, SinkGetsInfoAndAboveWhateverTheVerbosity) {
  set_verbosity(LogLevel::off);
  std::vector<std::pair<LogLevel, std::string>> seen;
  {
    const ScopedLogSink sink([&](LogLevel level, std::string_view message) { seen.emplace_back(level, message); });
    log_debug("d");
    log_info("i\nj");
    log_error("e");
    set_verbosity(LogLevel::debug);
    (void)shown_by([] { log_debug("d2"); });
  }
  (void)shown_by([] { log_error("after"); });
  const std::vector<std::pair<LogLevel, std::string>> expected = {
      {LogLevel::info, "i\nj"}, {LogLevel::error, "e"}, {LogLevel::debug, "d2"}};
  EXPECT_EQ(seen, expected);
}

TEST_F(Logging, SinkMayLogItself) {
  int calls = 0;
  const ScopedLogSink sink([&](LogLevel, std::string_view) {
    ++calls;
    log_info("from the sink");
  });
  EXPECT_EQ(shown_by([] { log_info("first"); }), "first\nfrom the sink\n");
  EXPECT_EQ(calls, 1);
}

TEST_F(Logging, SinkThatThrowsReachesTheCallerAndLeavesLoggingUsable) {
  int calls = 0;
  const ScopedLogSink sink([&](LogLevel, std::string_view) {
    if (++calls == 1) throw Interrupted({.problem = "stop"});
  });
  (void)shown_by([] {
    EXPECT_THROW(log_info("first"), Interrupted);
    log_info("second");
  });
  EXPECT_EQ(calls, 2);
}

TEST_F(Logging, SinksAreCalledOneAtATimeAndMissNothing) {
  set_verbosity(LogLevel::off);
  int count = 0;  // not atomic on purpose: calls must not overlap
  const ScopedLogSink sink([&](LogLevel, std::string_view) { ++count; });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      for (int i = 0; i < 500; ++i) log_info("x");
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 2000);
}

TEST_F(Logging, LinesOfSeveralThreadsAreNeverMixed) {
  const std::string shown = shown_by([] {
    std::vector<std::thread> threads;
    for (const char* text : {"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"})
      threads.emplace_back([text] {
        for (int i = 0; i < 300; ++i) log_info(text);
      });
    for (std::thread& thread : threads) thread.join();
  });
  const std::vector<std::string> lines = lines_of(shown);
  EXPECT_EQ(lines.size(), 600u);
  for (const std::string& line : lines) EXPECT_TRUE(line == "aaaaaaaaaaaaaaaa" || line == "bbbbbbbbbbbbbbbb") << line;
}

TEST_F(Logging, FileGetsOneDatedLineForEachLineOfAMessage) {
  const testing::TemporaryDirectory folder;
  set_verbosity(LogLevel::off);
  {
    const LogFile file(folder.path("run.log"));
    log_info("one\ntwo");
    log_warning("three");
  }
  log_info("after");
  const std::vector<std::string> lines = lines_of(read_file(folder.path("run.log")));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(without_digits(lines[0]), "dddd-dd-ddTdd:dd:dd.ddd+dd:dd info one");
  EXPECT_EQ(without_digits(lines[1]), "dddd-dd-ddTdd:dd:dd.ddd+dd:dd info two");
  EXPECT_EQ(without_digits(lines[2]), "dddd-dd-ddTdd:dd:dd.ddd+dd:dd warning three");
}

TEST_F(Logging, FileIsAppendedToAndCurrentAfterEveryMessage) {
  const testing::TemporaryDirectory folder;
  set_verbosity(LogLevel::off);
  write_file_atomically(folder.path("run.log"), "earlier\n");
  const LogFile file(folder.path("run.log"));
  log_info("now");
  const std::vector<std::string> lines = lines_of(read_file(folder.path("run.log")));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "earlier");
}

TEST_F(Logging, FileThatCannotBeOpenedIsAnIoErrorNamingIt) {
  const testing::TemporaryDirectory folder;
  for (const std::string& path : {folder.path("missing/run.log"), folder.path()}) {
    try {
      const LogFile file(path);
      FAIL() << path;
    } catch (const IoError& error) {
      EXPECT_EQ(error.fault().file, path);
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path("missing")));
}

TEST_F(Logging, FileOnAFullDiskIsGivenUpWithOneWarning) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const LogFile file("/dev/full");
  const std::string shown = shown_by([] {
    log_info("first");
    log_info("second");
  });
  const std::vector<std::string> lines = lines_of(shown);
  ASSERT_EQ(lines.size(), 3u) << shown;
  EXPECT_EQ(lines[0], "first");
  EXPECT_TRUE(lines[1].starts_with("warning: ")) << lines[1];
  EXPECT_EQ(lines[2], "second");
}

}  // namespace
}  // namespace scvi
