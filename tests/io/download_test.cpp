#include "scvi/io/download.hpp"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "h5ad_fixture.hpp"
#include "http_server.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/interrupt.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::HttpServer;
using testing::message_of;
using testing::Serving;

constexpr const char* kSha256OfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Bytes that differ from place to place.
std::string sample(std::size_t size) {
  std::string bytes;
  for (std::size_t at = 0; at < size; ++at) bytes += static_cast<char>((at * 31 + at / 251) & 0xFF);
  return bytes;
}

class DownloadTest : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  HttpServer server_;
  std::string path_ = folder_.path("file.bin");

  static DownloadOptions quick() {
    DownloadOptions options;
    options.retry_delay = 0.001;
    return options;
  }

  void expect_only(const std::string& content) const {
    EXPECT_EQ(read_file(path_), content);
    EXPECT_FALSE(std::filesystem::exists(path_ + ".part"));
    EXPECT_FALSE(std::filesystem::exists(path_ + ".part.from"));
  }
  void expect_nothing() const { EXPECT_TRUE(std::filesystem::is_empty(folder_.path())); }

  /// Leaves the first `bytes` of `content` as a download that broke off.
  void leave_part(const std::string& content, std::int64_t bytes, Serving how = {}) {
    how.drop_after = bytes;
    server_.serve("f", content, how);
    DownloadOptions once = quick();
    once.max_retries = 0;
    EXPECT_MENTIONS(message_of<IoError>([&] { download(server_.url("f"), path_, once); }), "was not sent to its end");
    EXPECT_EQ(std::filesystem::file_size(path_ + ".part"), static_cast<std::uintmax_t>(bytes));
    EXPECT_FALSE(std::filesystem::exists(path_));
    how.drop_after = -1;
    server_.set("f", how);
  }
};

TEST_F(DownloadTest, AFileComesWholeUnderItsName) {
  const std::string content = sample(3'000'000);
  server_.serve("f", content);
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(content);
}

TEST_F(DownloadTest, FoldersAreMade) {
  server_.serve("f", "abc");
  download(server_.url("f"), folder_.path("a/b/f"), quick());
  EXPECT_EQ(read_file(folder_.path("a/b/f")), "abc");
}

TEST_F(DownloadTest, AnEmptyFileIsAFile) {
  server_.serve("f", "");
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only("");
}

TEST_F(DownloadTest, AFileThatIsThereIsNotFetchedAgain) {
  server_.serve("f", "new");
  std::ofstream(path_) << "old";
  EXPECT_FALSE(download(server_.url("f"), path_, quick()));
  expect_only("old");
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(DownloadTest, AFileOfAnotherSizeUnderTheNameIsNotTouched) {
  server_.serve("f", "abc");
  std::ofstream(path_) << "older";
  DownloadOptions options = quick();
  options.expected_size = 3;
  EXPECT_MENTIONS(message_of<InputError>([&] { download(server_.url("f"), path_, options); }), "has 5 bytes");
  expect_only("older");
  EXPECT_THROW(download(server_.url("f"), folder_.path(), options), InputError) << "a folder";
}

TEST_F(DownloadTest, SizeAndChecksumAreVerified) {
  server_.serve("f", "abc");
  DownloadOptions options = quick();
  options.expected_size = 3;
  options.expected_sha256 = kSha256OfAbc;
  std::transform(options.expected_sha256.begin(), options.expected_sha256.end(), options.expected_sha256.begin(),
                 ::toupper);
  EXPECT_TRUE(download(server_.url("f"), path_, options));
  expect_only("abc");
}

TEST_F(DownloadTest, AnotherChecksumLeavesNothing) {
  server_.serve("f", "abd");
  DownloadOptions options = quick();
  options.expected_sha256 = kSha256OfAbc;
  EXPECT_MENTIONS(message_of<FormatError>([&] { download(server_.url("f"), path_, options); }), "has the SHA-256 ");
  expect_nothing();
}

TEST_F(DownloadTest, AnotherSizeIsRefusedBeforeAndDuringTheTransfer) {
  DownloadOptions options = quick();
  options.expected_size = 1000;
  for (const bool announced : {true, false}) {
    for (const std::size_t size : {999U, 5'000'000U}) {
      server_.serve("f", sample(size), {.announce_length = announced});
      const std::string message = message_of<FormatError>([&] { download(server_.url("f"), path_, options); });
      EXPECT_MENTIONS(message, "where 1,000 are expected");
      expect_nothing();
    }
  }
}

TEST_F(DownloadTest, ABrokenTransferGoesOnWhereItBroke) {
  const std::string content = sample(100'000);
  leave_part(content, 40'000);
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(content);
  EXPECT_EQ(server_.requests().back().header("range"), "bytes=40000-");
  EXPECT_EQ(server_.requests().back().header("if-range"), "\"v1\"");
}

TEST_F(DownloadTest, ConnectionsThatBreakAreTakenUpAgainWithinOneCall) {
  const std::string content = sample(100'000);
  server_.serve("f", content, {.drop_after = 30'000});
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(content);
  EXPECT_EQ(server_.requests().size(), 4U);
}

TEST_F(DownloadTest, AServerWithoutRangesBeginsAnew) {
  const std::string content = sample(50'000);
  leave_part(content, 20'000, {.ranges = false});
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(content);
  EXPECT_EQ(server_.requests().back().header("range"), "bytes=20000-") << "it was asked";
}

TEST_F(DownloadTest, AFileThatHasChangedBeginsAnew) {
  leave_part(sample(50'000), 20'000);
  const std::string changed(50'000, 'x');
  server_.serve("f", changed, {.tag = "\"v2\""});
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(changed);
}

TEST_F(DownloadTest, APartOfAnotherUrlBeginsAnew) {
  leave_part(sample(50'000), 20'000);
  server_.serve("g", "abc");
  EXPECT_TRUE(download(server_.url("g"), path_, quick()));
  expect_only("abc");
  EXPECT_EQ(server_.requests().back().header("range"), "");
}

TEST_F(DownloadTest, WithoutATagOnlyAChecksumAllowsToGoOn) {
  const std::string content = sample(50'000);
  leave_part(content, 20'000, {.tag = ""});
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(content);
  EXPECT_EQ(server_.requests().back().header("range"), "");

  const std::string sum = sha256_of_file(path_);
  std::filesystem::remove(path_);
  leave_part(content, 20'000, {.tag = ""});
  DownloadOptions options = quick();
  options.expected_sha256 = sum;
  EXPECT_TRUE(download(server_.url("f"), path_, options));
  expect_only(content);
  EXPECT_EQ(server_.requests().back().header("range"), "bytes=20000-");
}

TEST_F(DownloadTest, APartThatIsWholeAlreadyIsOnlyPutInPlace) {
  const std::string content = sample(5'000);
  leave_part(content, 2'000);
  std::ofstream(path_ + ".part", std::ios::binary) << content;
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(content);
}

TEST_F(DownloadTest, APartThatIsTooLongBeginsAnew) {
  const std::string content = sample(5'000);
  leave_part(content, 2'000);
  std::ofstream(path_ + ".part", std::ios::binary) << content << "and more";
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(content);
}

TEST_F(DownloadTest, ADamagedNoteOfOriginBeginsAnew) {
  const std::string content = sample(5'000);
  for (const char* note : {"", "\n\n\n", "nonsense", "http://x\n\"v1\"\n\nnumber\n"}) {
    leave_part(content, 2'000);
    std::ofstream(path_ + ".part.from", std::ios::trunc) << note;
    EXPECT_TRUE(download(server_.url("f"), path_, quick()));
    expect_only(content);
    std::filesystem::remove(path_);
  }
}

TEST_F(DownloadTest, ALengthThatIsNotKeptToIsAnError) {
  server_.serve("f", sample(1000), {.announced_length = 2000});
  DownloadOptions options = quick();
  options.max_retries = 1;
  EXPECT_MENTIONS(message_of<IoError>([&] { download(server_.url("f"), path_, options); }), "was not sent");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(DownloadTest, PassingFailuresAreTriedAgainAndOthersNot) {
  server_.serve("busy", "abc", {.status = 503, .failures = 2});
  EXPECT_TRUE(download(server_.url("busy"), path_, quick()));
  expect_only("abc");
  EXPECT_EQ(server_.requests().size(), 3U);
  std::filesystem::remove(path_);

  DownloadOptions options = quick();
  options.max_retries = 2;
  server_.set("busy", {.status = 500});
  EXPECT_MENTIONS(message_of<IoError>([&] { download(server_.url("busy"), path_, options); }),
                  "cannot be served at the moment (HTTP status 500)");
  EXPECT_EQ(server_.requests().size(), 6U);
  for (const auto& [status, words] : {std::pair{404, "is not there"}, {403, "is refused"}, {418, "something else"}}) {
    server_.set("busy", {.status = status});
    EXPECT_MENTIONS(message_of<IoError>([&] { download(server_.url("busy"), path_, options); }), words);
  }
  EXPECT_EQ(server_.requests().size(), 9U);
  expect_nothing();
}

TEST_F(DownloadTest, AFailureKeepsThePartThatIsThere) {
  const std::string content = sample(5'000);
  leave_part(content, 2'000);
  server_.set("f", {.status = 404});
  EXPECT_THROW(download(server_.url("f"), path_, quick()), IoError);
  server_.set("f", {});
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(content);
  EXPECT_EQ(server_.requests().back().header("range"), "bytes=2000-");
}

TEST_F(DownloadTest, RedirectionsAreFollowedToHttpOnly) {
  server_.serve("target", "abc");
  server_.set("moved", {.redirect_to = server_.url("target")});
  EXPECT_TRUE(download(server_.url("moved"), path_, quick()));
  expect_only("abc");
  std::filesystem::remove(path_);
  server_.set("moved", {.redirect_to = "file:///etc/hostname"});
  EXPECT_MENTIONS(message_of<IoError>([&] { download(server_.url("moved"), path_, quick()); }),
                  "leads to something else than http or https");
  server_.set("moved", {.redirect_to = server_.url("moved")});
  EXPECT_MENTIONS(message_of<IoError>([&] { download(server_.url("moved"), path_, quick()); }), "in circles");
  expect_nothing();
}

TEST_F(DownloadTest, AServerThatIsNotThereIsSaid) {
  std::string closed;
  {
    const HttpServer gone;
    closed = gone.url("f");
  }
  DownloadOptions options = quick();
  options.max_retries = 1;
  const std::string message = message_of<IoError>([&] { download(closed, path_, options); });
  EXPECT_MENTIONS(message, "accepts no connection");
  EXPECT_MENTIONS(message, "SCVI_DATASETS_MIRROR");
  expect_nothing();
}

TEST_F(DownloadTest, ANameThatCannotBeResolvedIsSaid) {
  ::setenv("no_proxy", "*", 1);
  const std::string message = message_of<IoError>([&] { download("http://no-such-host.invalid/f", path_, quick()); });
  EXPECT_MENTIONS(message, "the name 'no-such-host.invalid' cannot be resolved");
}

TEST_F(DownloadTest, AServerThatFallsSilentIsGivenUp) {
  server_.serve("f", sample(5'000), {.pause_ms = 60'000});
  DownloadOptions options = quick();
  options.stall_timeout = 1;
  options.max_retries = 0;
  EXPECT_MENTIONS(message_of<IoError>([&] { download(server_.url("f"), path_, options); }),
                  "does not answer in time");
}

TEST_F(DownloadTest, UrlsOfOtherKindsAreRefused) {
  for (const char* url : {"ftp://x/y", "file:///etc/hostname", "gopher://x/", "x", "", "http://", "http://a b/"})
    EXPECT_THROW(download(url, path_, quick()), InputError) << url;
  expect_nothing();
}

TEST_F(DownloadTest, PasswordsAreNotShown) {
  std::string url = server_.url("absent");
  url.insert(7, "user:secret@");
  const std::string message = message_of<IoError>([&] { download(url, path_, quick()); });
  EXPECT_EQ(message.find("secret"), std::string::npos) << message;
  EXPECT_MENTIONS(message, "http://127.0.0.1");
}

TEST_F(DownloadTest, FilesAreReadWhereThatIsAllowed) {
  const std::string source = folder_.path("source");
  std::ofstream(source) << "abc";
  DownloadOptions options = quick();
  options.allow_file_urls = true;
  EXPECT_TRUE(download("file://" + source, path_, options));
  EXPECT_EQ(read_file(path_), "abc");
  EXPECT_MENTIONS(message_of<IoError>([&] { download("file:///absent/x", folder_.path("y"), options); }),
                  "is not there");
}

TEST_F(DownloadTest, AMirrorTakesThePlaceOfTheUrl) {
  std::filesystem::create_directory(folder_.path("mirror and more"));
  std::ofstream(folder_.path("mirror and more/a file.bin")) << "abc";
  const std::string to = folder_.path("data/a file.bin");
  for (const std::string& mirror :
       {folder_.path("mirror and more"), "file://" + folder_.path("mirror%20and%20more/")}) {
    DownloadOptions options = quick();
    options.mirror = mirror;
    EXPECT_TRUE(download("http://no-such-host.invalid/other", to, options));
    EXPECT_EQ(read_file(to), "abc");
    std::filesystem::remove(to);
  }
  HttpServer mirror(folder_.path("mirror and more"));
  DownloadOptions options = quick();
  options.mirror = mirror.url();
  EXPECT_TRUE(download("http://no-such-host.invalid/other", to, options));
  EXPECT_EQ(read_file(to), "abc");
  EXPECT_EQ(mirror.requests().back().path, "/a file.bin");
}

TEST_F(DownloadTest, TheMirrorIsNamedByTheEnvironment) {
  ::setenv("SCVI_DATASETS_MIRROR", "http://mirror/", 1);
  EXPECT_EQ(datasets_mirror(), "http://mirror/");
  ::unsetenv("SCVI_DATASETS_MIRROR");
  EXPECT_EQ(datasets_mirror(), "");
}

/// Interrupts when something has come.
class InterruptingProgress : public Progress {
 public:
  void update(std::int64_t, std::string_view) override { set_interrupt(true); }
};

TEST_F(DownloadTest, AnInterruptKeepsThePart) {
  const std::string content = sample(3'000'000);
  server_.serve("f", content);
  InterruptingProgress progress;
  DownloadOptions options = quick();
  options.progress = &progress;
  EXPECT_THROW(download(server_.url("f"), path_, options), Interrupted);
  set_interrupt(false);
  const auto kept = std::filesystem::file_size(path_ + ".part");
  EXPECT_GT(kept, 0U);
  EXPECT_TRUE(download(server_.url("f"), path_, quick()));
  expect_only(content);
  if (kept < content.size()) {
    EXPECT_EQ(server_.requests().back().header("range"), "bytes=" + std::to_string(kept) + "-");
  }
}

class CountingProgress : public Progress {
 public:
  void start(std::string_view what, std::int64_t total, std::string_view unit) override {
    said = std::string(what) + " " + std::to_string(total) + " " + std::string(unit);
  }
  void update(std::int64_t done, std::string_view) override { last = done; }
  void finish() override { ++finished; }
  std::string said;
  std::int64_t last = 0;
  int finished = 0;
};

TEST_F(DownloadTest, ProgressIsToldInMegabytesOfTheWholeFile) {
  leave_part(sample(3'500'000), 1'500'000);
  CountingProgress progress;
  DownloadOptions options = quick();
  options.progress = &progress;
  download(server_.url("f"), path_, options);
  EXPECT_EQ(progress.said, "downloading file.bin 4 MB");
  EXPECT_EQ(progress.last, 3);
  EXPECT_EQ(progress.finished, 1);
}

TEST_F(DownloadTest, AFullDiskIsSaidAndThePartIsKept) {
  const testing::SmallDisk disk(folder_.path("disk"), 1 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "NO RIGHT TO MOUNT: this test did not run";
  server_.serve("f", sample(3'000'000));
  const std::string message = message_of<IoError>([&] { download(server_.url("f"), disk.path("f"), quick()); });
  EXPECT_MENTIONS(message, "No space left on device");
  EXPECT_MENTIONS(message, "make room");
  EXPECT_GT(std::filesystem::file_size(disk.path("f.part")), 500'000U);
}

TEST_F(DownloadTest, AFolderThatCannotBeMadeIsSaid) {
  std::ofstream(folder_.path("a")) << "a file";
  EXPECT_THROW(download(server_.url("f"), folder_.path("a/b/f"), quick()), IoError);
}

TEST_F(DownloadTest, OneOfSeveralFetchesAndTheOthersWait) {
  const std::string content = sample(200'000);
  server_.serve("f", content, {.pause_ms = 1});
  std::atomic<int> fetched = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { fetched += download(server_.url("f"), path_, quick()) ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fetched, 1);
  EXPECT_EQ(server_.requests().size(), 1U);
  expect_only(content);
}

}  // namespace
}  // namespace scvi::io
