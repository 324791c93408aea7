#include "scvi/io/archive.hpp"

#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "expansion_limit.hpp"
#include "file_stream.hpp"
#include "libarchive.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "utf8.hpp"

namespace scvi::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGetAnew = "get the file anew";
constexpr std::size_t kTarHeader = 512;

std::size_t read_fully(ByteStream& stream, char* into, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const std::size_t got = stream.read(into + done, size - done);
    if (got == 0) break;
    done += got;
  }
  return done;
}

/// A header of tar sums up its own bytes, its sum counted as blanks.
bool is_tar_header(std::string_view header) {
  constexpr std::size_t kSumAt = 148;
  constexpr std::size_t kSumEnd = 156;
  if (header.size() < kTarHeader) return false;
  unsigned stated = 0;
  std::size_t digits = 0;
  for (const char c : header.substr(kSumAt, kSumEnd - kSumAt)) {
    if (c >= '0' && c <= '7') {
      stated = stated * 8 + static_cast<unsigned>(c - '0');
      ++digits;
    } else if (digits > 0) {
      break;
    }
  }
  unsigned sum = 0;
  for (std::size_t at = 0; at < kTarHeader; ++at)
    sum += at >= kSumAt && at < kSumEnd ? ' ' : static_cast<unsigned char>(header[at]);
  return digits > 0 && sum == stated;
}

/// The path without what means nothing; nothing when it leads out of the archive.
std::optional<std::string> normalized_path(std::string_view path) {
  if (path.starts_with('/')) return std::nullopt;
  std::string result;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    if (part == "..") return std::nullopt;
    if (part.empty() || part == ".") continue;
    if (!result.empty()) result += '/';
    result += part;
  }
  return result;
}

ArchiveMember::Kind kind_of(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) return ArchiveMember::Kind::other;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return ArchiveMember::Kind::file;
    case AE_IFDIR:
      return ArchiveMember::Kind::folder;
    default:
      return ArchiveMember::Kind::other;
  }
}

/// An open archive, read from its beginning to its end.
class ArchiveReader {
 public:
  ArchiveReader(const std::string& path, const ArchiveOptions& options)
      : options_(options), handle_(archive_read_new()) {
    if (!handle_) throw std::bad_alloc();
    SniffedStream sniffed = sniff(open_file_stream(path));
    if (sniffed.packing == Packing::zip) {
      file_ = std::move(sniffed.stream);
      limit_.emplace(file_->stored_bytes(), options.expansion);
      // Read at any place: the directory at the end of a zip file decides what it holds.
      archive_read_support_format_zip_seekable(handle_.get());
      check(archive_read_open_filename(handle_.get(), path.c_str(), kBlockBytes));
      return;
    }
    source_.emplace(open_tar(path));
    limit_.emplace(source_->stream().stored_bytes(), options.expansion);
    archive_read_support_format_tar(handle_.get());
    check(source_->open(handle_.get()));
  }

  /// The next member, or nothing after the last one.
  std::optional<ArchiveMember> next() {
    throw_if_interrupted();
    ++position_;
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(handle_.get(), &entry);
    if (result == ARCHIVE_EOF) {
      if (source_) source_->drain();
      return std::nullopt;
    }
    // A warning is about a name that this locale cannot show: the name is had in another way.
    if (result != ARCHIVE_WARN) check(result);
    if (position_ > options_.max_members)
      stream().fail("", "holds more than " + with_thousands(options_.max_members) + " members");
    return describe(entry);
  }

  std::int64_t position() const { return position_; }
  const ByteStream& stream() const { return source_ ? source_->stream() : *file_; }

  /// Content of the member that next() gave last.
  std::size_t read(char* into, std::size_t size) {
    const la_ssize_t got = archive_read_data(handle_.get(), into, size);
    if (got < 0) check(static_cast<int>(got));
    limit_->add(stream(), static_cast<std::size_t>(got));
    total_bytes_ += got;
    if (total_bytes_ > options_.max_total_bytes)
      stream().fail("", "unpacks to more than " + format_bytes(static_cast<double>(options_.max_total_bytes)),
                    "raise the limit if this is meant");
    return static_cast<std::size_t>(got);
  }

 private:
  static constexpr std::size_t kBlockBytes = std::size_t{64} << 10;

  ArchiveOptions options_;
  std::unique_ptr<ByteStream> file_;
  std::optional<ArchiveSource> source_;
  std::optional<ExpansionLimit> limit_;
  ArchiveHandle handle_;
  std::int64_t position_ = 0;
  std::int64_t total_bytes_ = 0;

  /// The unpacked tar, once its first header has been found to be one.
  std::unique_ptr<ByteStream> open_tar(const std::string& path) const {
    {
      const auto head = open_byte_stream(path, options_.expansion);
      std::array<char, kTarHeader> header{};
      const std::size_t size = read_fully(*head, header.data(), header.size());
      const bool empty = size == kTarHeader && std::ranges::all_of(header, [](char c) { return c == 0; });
      if (!empty && !is_tar_header({header.data(), size})) head->fail("", "is no archive (tar or zip)");
    }
    return open_byte_stream(path, options_.expansion);
  }

  void check(int result) {
    if (source_) source_->rethrow();
    if (result == ARCHIVE_OK) return;
    stream().fail("", "is a damaged archive" + archive_reason(handle_.get()), kGetAnew);
  }

  ArchiveMember describe(archive_entry* entry) const {
    const char* name = archive_entry_pathname_utf8(entry);
    if (name == nullptr) name = archive_entry_pathname(entry);
    if (name == nullptr) stream().fail("member " + std::to_string(position_), "has no name");
    const std::string shown = valid_utf8(name);
    const std::optional<std::string> path = normalized_path(shown);
    if (!path)
      stream().fail("member '" + shown + "'", "leads out of the archive", "do not trust this file: get another");
    const bool sized = archive_entry_size_is_set(entry) != 0 && archive_entry_size(entry) >= 0;
    return {*path, kind_of(entry), sized ? archive_entry_size(entry) : -1};
  }
};

/// The content of one member. It ends when the archive is read on.
class MemberStream final : public ByteStream {
 public:
  MemberStream(std::shared_ptr<ArchiveReader> archive, const ArchiveMember& member)
      : ByteStream(archive->stream().file(), member.path, archive->stream().stored_bytes()),
        archive_(std::move(archive)),
        position_(member.kind == ArchiveMember::Kind::file ? archive_->position() : -1) {}

  std::size_t read(char* into, std::size_t size) override {
    return archive_->position() == position_ && size > 0 ? archive_->read(into, size) : 0;
  }

 private:
  std::shared_ptr<ArchiveReader> archive_;
  std::int64_t position_;
};

/// Writes members below a folder that is ours alone.
class Extraction {
 public:
  explicit Extraction(std::string folder) : folder_(std::move(folder)) {}

  void add(const ArchiveMember& member, ByteStream& content) {
    if (member.path.empty()) return;
    if (member.kind == ArchiveMember::Kind::other) {
      ++n_passed_over_;
      return;
    }
    check_names(member, content);
    const fs::path target = fs::path(folder_) / member.path;
    std::error_code error;
    fs::create_directories(member.kind == ArchiveMember::Kind::folder ? target : target.parent_path(), error);
    if (error) fail(member, content, error);
    if (member.kind == ArchiveMember::Kind::file) write(member, target, content);
  }

  void finish(const std::string& archive) const {
    if (n_passed_over_ == 0) return;
    log_warning(archive + ": " + with_thousands(n_passed_over_) +
                (n_passed_over_ == 1 ? " link or device is" : " links or devices are") + " not unpacked");
  }

 private:
  std::string folder_;
  std::int64_t n_passed_over_ = 0;

  static void check_names(const ArchiveMember& member, const ByteStream& content) {
    constexpr std::size_t kLongestName = 255;
    constexpr std::size_t kLongestPath = 3000;
    std::size_t name = 0;
    std::size_t longest = 0;
    for (const char c : member.path) {
      name = c == '/' ? 0 : name + 1;
      longest = std::max(longest, name);
    }
    if (longest > kLongestName || member.path.size() > kLongestPath)
      content.fail("", "has a name too long for a file");
  }

  [[noreturn]] static void fail(const ArchiveMember& member, const ByteStream& content, std::error_code error) {
    if (error == std::errc::file_exists || error == std::errc::not_a_directory || error == std::errc::is_a_directory)
      content.fail("", "is in the archive twice, or both a file and a folder", kGetAnew);
    throw IoError({.problem = "cannot be unpacked: " + error.message(),
                   .file = content.file(),
                   .field = member.path,
                   .remedy = "check the free space"});
  }

  static void write(const ArchiveMember& member, const fs::path& target, ByteStream& content) {
    const auto last_error = [] { return std::error_code(errno, std::generic_category()); };
    constexpr mode_t kMode = 0666;
    const int descriptor = ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kMode);
    if (descriptor < 0) fail(member, content, last_error());
    const std::unique_ptr<const int, void (*)(const int*)> closer(&descriptor, [](const int* fd) { ::close(*fd); });
    std::vector<char> buffer(std::size_t{1} << 20);
    while (const std::size_t got = content.read(buffer.data(), buffer.size())) {
      throw_if_interrupted();
      for (std::size_t done = 0; done < got;) {
        const ssize_t written = ::write(descriptor, buffer.data() + done, got - done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail(member, content, last_error());
        done += static_cast<std::size_t>(written);
      }
    }
  }
};

std::vector<std::string> file_paths(const std::string& path, const ArchiveOptions& options) {
  std::vector<std::string> paths;
  for (ArchiveMember& member : list_archive(path, options))
    if (member.kind == ArchiveMember::Kind::file) paths.push_back(std::move(member.path));
  return paths;
}

}  // namespace

bool is_archive(const std::string& path) {
  SniffedStream sniffed = sniff(open_file_stream(path));
  if (sniffed.packing == Packing::zip) return true;
  try {
    const auto stream = open_byte_stream(path);
    std::array<char, kTarHeader> header{};
    return is_tar_header({header.data(), read_fully(*stream, header.data(), header.size())});
  } catch (const FormatError&) {
    // Damaged within the first bytes: whatever it was, it cannot be read as an archive.
    return false;
  }
}

std::vector<ArchiveMember> list_archive(const std::string& path, const ArchiveOptions& options) {
  ArchiveReader archive(path, options);
  std::vector<ArchiveMember> members;
  while (auto member = archive.next()) members.push_back(std::move(*member));
  return members;
}

void visit_archive(const std::string& path, const ArchiveVisitor& use, const ArchiveOptions& options) {
  const auto archive = std::make_shared<ArchiveReader>(path, options);
  while (const auto member = archive->next()) use(*member, std::make_unique<MemberStream>(archive, *member));
}

std::unique_ptr<ByteStream> open_archive_member(const std::string& path, const std::string& member,
                                                const ArchiveOptions& options) {
  const auto archive = std::make_shared<ArchiveReader>(path, options);
  const std::string wanted = normalized_path(member).value_or("");
  while (const auto found = archive->next())
    if (found->kind == ArchiveMember::Kind::file && found->path == wanted)
      return std::make_unique<MemberStream>(archive, *found);
  throw InputError({.problem = "holds no file '" + member + "'",
                    .file = path,
                    .remedy = suggest(member, file_paths(path, options))});
}

std::unique_ptr<ByteStream> open_zip_stream(const std::string& path, const ByteStreamOptions& options) {
  ArchiveOptions limits;
  limits.expansion = options;
  if (!options.member.empty()) return open_archive_member(path, options.member, limits);
  const std::vector<std::string> files = file_paths(path, limits);
  if (files.size() == 1) return open_archive_member(path, files.front(), limits);
  throw InputError({.problem = files.empty() ? "is a .zip without a file"
                                             : "is a .zip of " + std::to_string(files.size()) + " files",
                    .file = path,
                    .remedy = files.empty() ? "" : "choose one of them: " + join_some(files)});
}

void extract_archive(const std::string& path, const std::string& folder, Overwrite overwrite,
                     const ArchiveOptions& options) {
  AtomicDirectory target(folder, overwrite);
  Extraction extraction(target.temporary_path());
  visit_archive(
      path,
      [&](const ArchiveMember& member, std::unique_ptr<ByteStream> content) { extraction.add(member, *content); },
      options);
  extraction.finish(path);
  target.commit();
}

}  // namespace scvi::io
