#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace scvi::io {

/// How far a compressed file may unpack, and what of a .zip is meant.
struct ByteStreamOptions {
  /// Of a .zip with several files, the path of the one to read; "": the only one it holds.
  std::string member{};
  /// A compressed file may unpack to this many bytes however small it is...
  std::int64_t free_expansion = std::int64_t{1} << 30;
  /// ... and beyond that to so many times its own size. Tables of counts, nearly all zeros, reach 100.
  std::int64_t max_ratio = 400;
};

/// Bytes that come one after the other: of a file, of what a compressed file unpacks to, of a member of an archive.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  /// The next bytes, at most `size`. Returns how many there were: 0 at the end alone (or when size is 0).
  /// @throws FormatError when compressed content is damaged, ends too early, or unpacks beyond the limit; IoError
  virtual std::size_t read(char* into, std::size_t size) = 0;

  /// Path of the file, and of the member of it that this is ("" where it is all of the file).
  const std::string& file() const { return file_; }
  const std::string& member() const { return member_; }
  /// Bytes on disk that these bytes come from.
  std::int64_t stored_bytes() const { return stored_bytes_; }
  /// "line 3" as a message names it: "matrix.mtx, line 3" in a member of an archive.
  std::string place(const std::string& within) const;
  /// @throws FormatError that names file, member and place
  [[noreturn]] void fail(const std::string& within, std::string problem, std::string remedy = "") const;

 protected:
  ByteStream(std::string file, std::string member, std::int64_t stored_bytes)
      : file_(std::move(file)), member_(std::move(member)), stored_bytes_(stored_bytes) {}

 private:
  std::string file_;
  std::string member_;
  std::int64_t stored_bytes_;
};

/// The content of a file, unpacked when it is compressed. What it is decides its content, not its name: gzip (of any
/// number of members), bzip2, xz, or a .zip that holds one file; anything else comes as it is.
/// @throws IoError when it cannot be opened; InputError when it is a .zip of several files and none is chosen
std::unique_ptr<ByteStream> open_byte_stream(const std::string& path, const ByteStreamOptions& options = {});

/// The same for a stream, whatever it comes from: a member "matrix.mtx.gz" of an archive. A .zip comes as it is.
std::unique_ptr<ByteStream> decompressed(std::unique_ptr<ByteStream> stream, const ByteStreamOptions& options = {});

}  // namespace scvi::io
