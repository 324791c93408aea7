#include "scvi/io/download.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

#include "http_transfer.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"

namespace scvi::io {
namespace {

namespace fs = std::filesystem;
using http::Outcome;
using http::Validator;

constexpr const char* kMirrorVariable = "SCVI_DATASETS_MIRROR";

/// Sleeps, but not through an interrupt.
void pause(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    throw_if_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::string percent_encoded(const std::string& text, std::string_view kept) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain || kept.find(c) != std::string_view::npos)
      out += c;
    else
      out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
  }
  return out;
}

struct Source {
  std::string url;
  bool may_be_file = false;
};

Source source_of(const std::string& url, const std::string& path, const DownloadOptions& options) {
  if (options.mirror.empty()) return {url, options.allow_file_urls};
  const std::string name = percent_encoded(fs::path(path).filename().string(), "-_.~");
  std::string base = options.mirror;
  if (base.find("://") == std::string::npos)
    base = "file://" + percent_encoded(fs::absolute(base).lexically_normal().string(), "/-_.~");
  if (!base.ends_with('/')) base += '/';
  return {base + name, true};
}

/// An open file.
class Descriptor {
 public:
  Descriptor() = default;
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void open(const std::string& path) {
    close();
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

/// The growing file, held by this process alone. On destruction it stays, unless it is empty or was put in place.
class PartialFile {
 public:
  explicit PartialFile(std::string path) : path_(std::move(path)), part_(path_ + ".part"), note_(part_ + ".from") {
    do {
      file_.open(part_);
      if (!file_.is_open()) fail("cannot be written");
      wait_for_lock();
    } while (!is_still_there());
    size_ = ::lseek(file_.get(), 0, SEEK_END);
    read_note();
  }
  ~PartialFile() {
    if (file_.is_open() && size_ == 0) discard();
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  std::int64_t size() const { return size_; }
  /// What the bytes so far are a part of.
  const Validator& origin() const { return origin_; }

  void begin_anew(const Validator& origin) {
    if (::ftruncate(file_.get(), 0) != 0) fail("cannot be written");
    size_ = 0;
    origin_ = origin;
    std::ofstream(note_, std::ios::trunc) << origin.url << '\n'
                                          << origin.tag << '\n'
                                          << origin.date << '\n'
                                          << origin.total << '\n';
  }

  void append(const char* data, std::size_t count) {
    while (count > 0) {
      const ssize_t written = ::pwrite(file_.get(), data, count, size_);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("cannot be written");
      data += written;
      count -= static_cast<std::size_t>(written);
      size_ += written;
    }
  }

  std::string sha256() const { return sha256_of_file(part_); }

  void put_in_place() {
    if (::fsync(file_.get()) != 0 && errno != EINVAL && errno != EROFS) fail("cannot be flushed to disk");
    if (::rename(part_.c_str(), path_.c_str()) != 0) fail("cannot be put in place");
    ::unlink(note_.c_str());
    file_.close();
  }

  /// The bytes are of no use.
  void discard() {
    (void)::ftruncate(file_.get(), 0);
    size_ = 0;
    ::unlink(note_.c_str());
    ::unlink(part_.c_str());
  }

 private:
  std::string path_;
  std::string part_;
  std::string note_;
  Descriptor file_;
  std::int64_t size_ = 0;
  Validator origin_;

  [[noreturn]] void fail(const std::string& problem) const {
    const int error = errno;
    throw IoError({.problem = problem + ": " + std::strerror(error),
                   .file = path_,
                   .remedy = error == ENOSPC || error == EDQUOT
                                 ? "make room on the disk and try again: what has come is kept"
                                 : ""});
  }

  void wait_for_lock() const {
    bool told = false;
    while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      // A file system without locks: no one can be waited for.
      if (errno != EWOULDBLOCK && errno != EINTR) return;
      if (!std::exchange(told, true)) log_info(path_ + " is being downloaded by another process; waiting for it");
      pause(0.1);
    }
  }

  /// Whoever held the lock before may have put the file in place.
  bool is_still_there() {
    struct stat open_file {};
    struct stat named {};
    if (::fstat(file_.get(), &open_file) == 0 && ::stat(part_.c_str(), &named) == 0 &&
        open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev)
      return true;
    return false;
  }

  void read_note() {
    std::ifstream note(note_);
    std::string total;
    if (size_ == 0 || !std::getline(note, origin_.url) || !std::getline(note, origin_.tag) ||
        !std::getline(note, origin_.date) || !std::getline(note, total)) {
      origin_ = {};
      return;
    }
    origin_.total = std::strtoll(total.c_str(), nullptr, 10);
  }
};

/// One file's way here.
class Download final : public http::Receiver {
 public:
  Download(Source source, const std::string& path, const DownloadOptions& options)
      : source_(std::move(source)), path_(path), options_(options), partial_(path) {}

  void run() {
    log_info("downloading " + http::shown(source_.url));
    int retries = 0;
    for (double delay = options_.retry_delay;; delay *= 2) {
      const std::int64_t before = partial_.size();
      const Outcome outcome = attempt();
      if (outcome.finished) break;
      constexpr std::int64_t kProgress = 1'000'000;
      if (partial_.size() - before >= kProgress) {
        retries = 0;
        delay = options_.retry_delay;
      }
      if (!outcome.is_passing || ++retries > options_.max_retries) fail(outcome);
      log_warning(http::shown(source_.url) + " " + outcome.problem + "; trying again");
      pause(delay);
    }
    if (reporting_) options_.progress->finish();
    verify();
    partial_.put_in_place();
  }

  // What a transfer tells.

  bool accept(const http::Response& response) override {
    const bool continues = response.first_byte > 0 && response.first_byte == partial_.size() &&
                           (partial_.origin().total < 0 || response.validator.total < 0 ||
                            partial_.origin().total == response.validator.total);
    if (response.first_byte != 0 && !continues) {
      // An answer to another question: ask for the whole.
      partial_.begin_anew({});
      return false;
    }
    if (!continues) partial_.begin_anew(response.validator);
    const std::int64_t total = response.validator.total;
    if (options_.expected_size >= 0 && total >= 0 && total != options_.expected_size) fail_for_size(total);
    start_progress(total);
    return true;
  }

  void receive(const char* data, std::size_t size) override {
    partial_.append(data, size);
    if (options_.expected_size >= 0 && partial_.size() > options_.expected_size) {
      const std::int64_t got = partial_.size();
      partial_.discard();
      fail_for_size(got);
    }
    if (reporting_) options_.progress->update(partial_.size() / kMegabyte, "");
  }

 private:
  static constexpr std::int64_t kMegabyte = 1'000'000;

  Source source_;
  const std::string& path_;
  const DownloadOptions& options_;
  PartialFile partial_;
  bool reporting_ = false;

  Outcome attempt() {
    throw_if_interrupted();
    http::Request request{.url = source_.url,
                          .may_be_file = source_.may_be_file,
                          .first_byte = 0,
                          .validator = {},
                          .connect_timeout = options_.connect_timeout,
                          .stall_timeout = options_.stall_timeout};
    if (can_go_on()) {
      request.first_byte = partial_.size();
      request.validator = partial_.origin();
    }
    Outcome outcome = http::transfer(request, *this);
    // Nothing is left to send, or the bytes so far are of something else.
    if (outcome.status == 416) {
      outcome.finished = partial_.size() == partial_.origin().total;
      if (!outcome.finished) {
        partial_.begin_anew({});
        outcome = unlike_announced(outcome.status);
      }
    }
    if (outcome.finished) check_whole(outcome);
    return outcome;
  }

  /// An answer may be complete and yet not bring all that was announced at first.
  void check_whole(Outcome& outcome) {
    const std::int64_t total = partial_.origin().total;
    if (total < 0 || partial_.size() == total) return;
    if (partial_.size() > total) partial_.begin_anew({});
    outcome = unlike_announced(outcome.status);
  }

  static Outcome unlike_announced(long status) {
    return {.finished = false,
            .is_passing = true,
            .status = status,
            .problem = "was not sent as it was announced",
            .remedy = "try again later"};
  }

  /// Without a way to tell that the server's file is still the same, a checksum must tell afterwards.
  bool can_go_on() const {
    const Validator& origin = partial_.origin();
    if (partial_.size() == 0 || origin.url != source_.url || source_.url.starts_with("file:")) return false;
    return !origin.tag.empty() || !origin.date.empty() || !options_.expected_sha256.empty();
  }

  void start_progress(std::int64_t total) {
    if (options_.progress == nullptr || total <= 0 || std::exchange(reporting_, true)) return;
    options_.progress->start("downloading " + fs::path(path_).filename().string(),
                             (total + kMegabyte - 1) / kMegabyte, "MB");
  }

  void verify() {
    if (options_.expected_size >= 0 && partial_.size() != options_.expected_size) {
      const std::int64_t got = partial_.size();
      partial_.discard();
      fail_for_size(got);
    }
    if (options_.expected_sha256.empty()) return;
    const std::string found = partial_.sha256();
    std::string expected = options_.expected_sha256;
    std::transform(expected.begin(), expected.end(), expected.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'F' ? c | 0x20 : c); });
    if (found == expected) return;
    partial_.discard();
    throw FormatError({.problem = "has the SHA-256 " + found + " where " + expected + " is expected",
                       .file = http::shown(source_.url),
                       .remedy = "the server has another file now, or the transfer was damaged: try again"});
  }

  [[noreturn]] void fail_for_size(std::int64_t found) const {
    throw FormatError({.problem = "has " + with_thousands(found) + " bytes where " +
                                  with_thousands(options_.expected_size) + " are expected",
                       .file = http::shown(source_.url),
                       .remedy = "the server has another file now"});
  }

  [[noreturn]] void fail(const Outcome& outcome) const {
    throw IoError({.problem = outcome.problem, .file = http::shown(source_.url), .remedy = outcome.remedy});
  }
};

/// @throws InputError when something else lies there
bool is_there(const std::string& path, const DownloadOptions& options) {
  std::error_code error;
  if (!fs::exists(path, error)) return false;
  if (!fs::is_regular_file(path, error))
    throw InputError({.problem = "is no regular file, so nothing can be downloaded there", .file = path});
  const auto size = static_cast<std::int64_t>(fs::file_size(path, error));
  if (error || options.expected_size < 0 || size == options.expected_size) return true;
  throw InputError({.problem = "has " + with_thousands(size) + " bytes, but the file to be downloaded there has " +
                               with_thousands(options.expected_size),
                    .file = path,
                    .remedy = "move it away to download the file anew"});
}

void make_folder(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) throw IoError({.problem = "cannot be made: " + error.message(), .file = folder.string()});
}

}  // namespace

std::string datasets_mirror() {
  const char* const value = std::getenv(kMirrorVariable);
  return value == nullptr ? "" : value;
}

bool download(const std::string& url, const std::string& path, const DownloadOptions& options) {
  if (is_there(path, options)) return false;
  Source source = source_of(url, path, options);
  http::check_url(source.url, source.may_be_file);
  make_folder(path);
  Download one(std::move(source), path, options);
  // While this process waited, another may have fetched it.
  if (is_there(path, options)) return false;
  one.run();
  return true;
}

}  // namespace scvi::io
