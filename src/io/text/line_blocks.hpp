#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

/// Whole lines of text. The last line ends with \n too, and behind it are kPadding zeros that may be read.
class TextBlock {
 public:
  static constexpr std::size_t kPadding = 32;
  std::string_view text() const { return {bytes_.data() + begin_, end_ - begin_}; }

 private:
  friend class LineBlocks;
  std::vector<char> bytes_;  ///< its memory is used again
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Cuts a stream into blocks of lines, of about 256 kB each. Another thread reads (and unpacks) ahead while the
/// blocks are parsed, unless the settings allow for one thread only. The cut depends on the content alone.
class LineBlocks {
 public:
  static constexpr std::size_t kMaxLineBytes = std::size_t{256} << 20;

  explicit LineBlocks(std::unique_ptr<ByteStream> stream);
  ~LineBlocks();
  LineBlocks(const LineBlocks&) = delete;
  LineBlocks& operator=(const LineBlocks&) = delete;

  /// For names in messages.
  const ByteStream& stream() const { return *stream_; }
  /// The next block, or false at the end. The memory of what `block` held is used again.
  /// @throws what the stream throws, and FormatError for lines beyond kMaxLineBytes and for UTF-16
  bool next(TextBlock& block);
  /// Fills `blocks` from the front with the next ones, fewer where lines are huge. Returns how many: 0 at the end.
  std::size_t next_batch(std::vector<TextBlock>& blocks);

 private:
  std::unique_ptr<ByteStream> stream_;
  std::vector<char> carried_;  ///< the beginning of a line that its block did not hold to its end
  bool first_ = true;
  bool at_end_ = false;

  // Shared with the reading thread.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<TextBlock> ready_;
  std::size_t ready_bytes_ = 0;
  std::vector<TextBlock> spare_;
  std::exception_ptr error_;
  bool finished_ = false;
  bool stop_ = false;
  std::thread thread_;

  void start_thread();
  void read_ahead();
  bool read_block(TextBlock& block);
  void fill(TextBlock& block);
  std::size_t end_of_lines(const TextBlock& block, std::size_t from) const;
};

}  // namespace scvi::io
