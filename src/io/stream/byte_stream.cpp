#include "scvi/io/byte_stream.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "file_stream.hpp"
#include "gzip_stream.hpp"
#include "libarchive.hpp"
#include "scvi/core/error.hpp"

namespace scvi::io {
namespace {

/// Bytes that tell how a stream is packed: of bzip2, four of the file and six of its first block.
constexpr std::size_t kMagicBytes = 10;

class FileStream final : public ByteStream {
 public:
  FileStream(const std::string& path, int descriptor, std::int64_t bytes)
      : ByteStream(path, "", bytes), descriptor_(descriptor) {}
  ~FileStream() override { ::close(descriptor_); }

  std::size_t read(char* into, std::size_t size) override {
    while (true) {
      const ssize_t got = ::read(descriptor_, into, size);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno == EINTR) continue;
      throw IoError({.problem = std::string("cannot be read: ") + std::strerror(errno), .file = file()});
    }
  }

 private:
  int descriptor_;
};

/// A stream whose first bytes have been read already.
class ResumedStream final : public ByteStream {
 public:
  ResumedStream(std::string_view head, std::unique_ptr<ByteStream> rest)
      : ByteStream(rest->file(), rest->member(), rest->stored_bytes()), head_(head), rest_(std::move(rest)) {}

  std::size_t read(char* into, std::size_t size) override {
    if (given_ == head_.size()) return rest_->read(into, size);
    const std::size_t got = head_.copy(into, size, given_);
    given_ += got;
    return got;
  }

 private:
  std::string head_;
  std::size_t given_ = 0;
  std::unique_ptr<ByteStream> rest_;
};

Packing packing_of(std::string_view head) {
  using namespace std::string_view_literals;
  if (head.starts_with("\x1f\x8b"sv)) return Packing::gzip;
  if (head.starts_with("\xFD"
                       "7zXZ\0"sv))
    return Packing::xz;
  if (head.starts_with("PK\3\4"sv) || head.starts_with("PK\5\6"sv)) return Packing::zip;
  // A text may begin with "BZh1"; it does not go on like a block of bzip2, or like its end.
  const bool bzip2 =
      head.starts_with("BZh"sv) && head.size() == kMagicBytes &&
      (head.substr(4) == "\x31\x41\x59\x26\x53\x59"sv || head.substr(4) == "\x17\x72\x45\x38\x50\x90"sv);
  return bzip2 ? Packing::bzip2 : Packing::none;
}

std::unique_ptr<ByteStream> unpacked(SniffedStream sniffed, const ByteStreamOptions& options) {
  switch (sniffed.packing) {
    case Packing::gzip:
      return open_gzip_stream(std::move(sniffed.stream), options);
    case Packing::bzip2:
      return open_filter_stream(std::move(sniffed.stream), false, options);
    case Packing::xz:
      return open_filter_stream(std::move(sniffed.stream), true, options);
    case Packing::none:
    case Packing::zip:
      break;
  }
  return std::move(sniffed.stream);
}

}  // namespace

std::string ByteStream::place(const std::string& within) const {
  return member_ + (member_.empty() || within.empty() ? "" : ", ") + within;
}

void ByteStream::fail(const std::string& within, std::string problem, std::string remedy) const {
  throw FormatError(
      {.problem = std::move(problem), .file = file_, .field = place(within), .remedy = std::move(remedy)});
}

std::unique_ptr<ByteStream> open_file_stream(const std::string& path) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    throw IoError({.problem = std::string("cannot be opened: ") + std::strerror(errno), .file = path});
  struct stat found {};
  if (::fstat(descriptor, &found) != 0 || !S_ISREG(found.st_mode)) {
    ::close(descriptor);
    throw IoError({.problem = S_ISDIR(found.st_mode) ? "is a folder, not a file" : "is no regular file",
                   .file = path,
                   .remedy = "give a file"});
  }
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
  return std::make_unique<FileStream>(path, descriptor, found.st_size);
}

SniffedStream sniff(std::unique_ptr<ByteStream> stream) {
  std::array<char, kMagicBytes> head{};
  std::size_t size = 0;
  while (size < head.size()) {
    const std::size_t got = stream->read(head.data() + size, head.size() - size);
    if (got == 0) break;
    size += got;
  }
  const std::string_view text(head.data(), size);
  const Packing packing = packing_of(text);
  return {std::make_unique<ResumedStream>(text, std::move(stream)), packing};
}

std::unique_ptr<ByteStream> open_byte_stream(const std::string& path, const ByteStreamOptions& options) {
  SniffedStream sniffed = sniff(open_file_stream(path));
  if (sniffed.packing == Packing::zip) return decompressed(open_zip_stream(path, options), options);
  return unpacked(std::move(sniffed), options);
}

std::unique_ptr<ByteStream> decompressed(std::unique_ptr<ByteStream> stream, const ByteStreamOptions& options) {
  return unpacked(sniff(std::move(stream)), options);
}

}  // namespace scvi::io
