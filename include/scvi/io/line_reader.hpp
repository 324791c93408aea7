#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

/// Lines of text, one after the other. Lines end with \n or \r\n, the last one perhaps with nothing; a UTF-8 byte
/// order mark is passed over.
class LineReader {
 public:
  /// No line may be longer than this.
  static constexpr std::int64_t kMaxLineBytes = std::int64_t{256} << 20;

  /// @param stream outlives the reader
  /// @throws FormatError when the text is UTF-16
  explicit LineReader(ByteStream& stream, std::int64_t max_line_bytes = kMaxLineBytes);

  /// The next line without its end, valid until the next call; false after the last one.
  /// @throws FormatError for a line that is too long, and whatever the stream throws
  bool next(std::string_view& line);
  /// Number of the line that next() gave last; the first is 1.
  std::int64_t line_number() const { return line_number_; }

 private:
  ByteStream& stream_;
  std::size_t max_line_bytes_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false;
  std::int64_t line_number_ = 0;

  void fill();
};

}  // namespace scvi::io
