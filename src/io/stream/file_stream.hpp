#pragma once

#include <memory>
#include <string>

#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

/// The bytes of a regular file as they are. @throws IoError when it cannot be opened or is no regular file
std::unique_ptr<ByteStream> open_file_stream(const std::string& path);

/// What a stream's first bytes say of it.
enum class Packing { none, gzip, bzip2, xz, zip };

/// A stream whose beginning has been looked at, and which gives all its bytes nevertheless.
struct SniffedStream {
  std::unique_ptr<ByteStream> stream{};
  Packing packing = Packing::none;
};
SniffedStream sniff(std::unique_ptr<ByteStream> stream);

}  // namespace scvi::io
