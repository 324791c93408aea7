#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "scvi/core/text.hpp"
#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

/// Counts what a stream unpacks to, and stops what is out of all proportion to its size.
class ExpansionLimit {
 public:
  ExpansionLimit(std::int64_t stored_bytes, const ByteStreamOptions& options)
      : limit_(std::max(options.free_expansion, saturated(stored_bytes, options.max_ratio))) {}

  void add(const ByteStream& stream, std::size_t bytes) {
    total_ += static_cast<std::int64_t>(bytes);
    if (total_ <= limit_) return;
    stream.fail("",
                "unpacks to more than " + format_bytes(static_cast<double>(limit_)) + ", though it takes only " +
                    format_bytes(static_cast<double>(stream.stored_bytes())),
                "raise the limit if this is meant");
  }

 private:
  std::int64_t limit_;
  std::int64_t total_ = 0;

  static std::int64_t saturated(std::int64_t bytes, std::int64_t ratio) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    return ratio > 0 && bytes > kMost / ratio ? kMost : bytes * std::max<std::int64_t>(ratio, 0);
  }
};

}  // namespace scvi::io
