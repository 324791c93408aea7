#include "scvi/io/line_reader.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "byte_order_mark.hpp"
#include "scvi/core/text.hpp"

namespace scvi::io {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

}  // namespace

LineReader::LineReader(ByteStream& stream, std::int64_t max_line_bytes)
    : stream_(stream), max_line_bytes_(static_cast<std::size_t>(max_line_bytes)), buffer_(kBufferBytes) {
  constexpr std::size_t kMark = 3;
  while (end_ < kMark && !at_end_) fill();
  begin_ = byte_order_mark(stream_, {buffer_.data(), end_});
}

/// Reads on behind what is left, which moves to the front; the buffer grows when that fills it.
void LineReader::fill() {
  std::copy(buffer_.data() + begin_, buffer_.data() + end_, buffer_.data());
  end_ -= begin_;
  begin_ = 0;
  if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
  const std::size_t got = stream_.read(buffer_.data() + end_, buffer_.size() - end_);
  end_ += got;
  at_end_ = got == 0;
}

bool LineReader::next(std::string_view& line) {
  std::size_t searched = 0;
  while (true) {
    const char* const from = buffer_.data() + begin_;
    const std::size_t available = end_ - begin_;
    const void* const found =
        available > searched ? std::memchr(from + searched, '\n', available - searched) : nullptr;
    const std::size_t length = found ? static_cast<std::size_t>(static_cast<const char*>(found) - from) : available;
    if (length > max_line_bytes_)
      stream_.fail("line " + std::to_string(line_number_ + 1),
                   "is longer than " + format_bytes(static_cast<double>(max_line_bytes_)),
                   "check that this is a text table");
    if (found || (at_end_ && available > 0)) {
      begin_ += length + (found ? 1 : 0);
      ++line_number_;
      line = {from, length};
      if (line.ends_with('\r')) line.remove_suffix(1);
      return true;
    }
    if (at_end_) return false;
    searched = available;
    fill();
  }
}

}  // namespace scvi::io
