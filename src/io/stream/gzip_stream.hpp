#pragma once

#include <memory>

#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

/// What a gzip stream of one or more members unpacks to; checksums and lengths are verified.
std::unique_ptr<ByteStream> open_gzip_stream(std::unique_ptr<ByteStream> packed, const ByteStreamOptions& options);

}  // namespace scvi::io
