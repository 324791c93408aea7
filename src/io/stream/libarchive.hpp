#pragma once

// The C library libarchive as the other sources use it: over our streams, with our errors.

#include <archive.h>

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "scvi/io/archive.hpp"
#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

struct FreeArchive {
  void operator()(archive* handle) const { archive_read_free(handle); }
};
using ArchiveHandle = std::unique_ptr<archive, FreeArchive>;

/// Feeds libarchive from a stream. What the stream throws must not pass through C: it waits here.
class ArchiveSource {
 public:
  explicit ArchiveSource(std::unique_ptr<ByteStream> stream);
  const ByteStream& stream() const { return *stream_; }
  /// Makes the handle read from here. @returns libarchive's code
  int open(archive* handle);
  void rethrow();
  /// Reads to the end, so that a checksum behind the last member is verified.
  void drain();

 private:
  std::unique_ptr<ByteStream> stream_;
  std::vector<char> buffer_;
  std::exception_ptr error_;

  static la_ssize_t read(archive* handle, void* self, const void** bytes);
};

/// What a bzip2 or xz stream unpacks to.
std::unique_ptr<ByteStream> open_filter_stream(std::unique_ptr<ByteStream> packed, bool xz,
                                               const ByteStreamOptions& options);

/// The only file in a .zip, or the one that the options name.
std::unique_ptr<ByteStream> open_zip_stream(const std::string& path, const ByteStreamOptions& options);

/// " (what libarchive says)", or "" when it says nothing.
std::string archive_reason(archive* handle);

}  // namespace scvi::io
