#include "line_blocks.hpp"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <system_error>
#include <utility>

#include "byte_order_mark.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/core/text.hpp"

namespace scvi::io {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{256} << 10;
/// Text that is read ahead, and that is handed out at once.
constexpr std::size_t kBytesAhead = 16 * kBlockBytes;
/// Larger blocks, made for a huge line, are not kept.
constexpr std::size_t kLargestSpare = 4 * kBlockBytes;

}  // namespace

LineBlocks::LineBlocks(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)) {
  if (effective_threads() > 1) start_thread();
}

LineBlocks::~LineBlocks() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LineBlocks::start_thread() {
  // Signals belong to the threads of the program.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { read_ahead(); });
  } catch (const std::system_error&) {
    // Without a thread, next() reads by itself.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

bool LineBlocks::next(TextBlock& block) {
  if (!thread_.joinable()) return read_block(block);
  std::unique_lock lock(mutex_);
  if (block.bytes_.size() <= kLargestSpare) spare_.push_back(std::move(block));
  changed_.wait(lock, [&] { return !ready_.empty() || finished_; });
  if (ready_.empty()) {
    if (error_) std::rethrow_exception(error_);
    return false;
  }
  block = std::move(ready_.front());
  ready_.pop_front();
  ready_bytes_ -= block.text().size();
  changed_.notify_all();
  return true;
}

std::size_t LineBlocks::next_batch(std::vector<TextBlock>& blocks) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < blocks.size() && bytes < kBytesAhead && next(blocks[count])) bytes += blocks[count++].text().size();
  return count;
}

void LineBlocks::read_ahead() {
  try {
    while (true) {
      TextBlock block;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stop_ || ready_bytes_ < kBytesAhead; });
        if (stop_) return;
        if (!spare_.empty()) {
          block = std::move(spare_.back());
          spare_.pop_back();
        }
      }
      const bool more = read_block(block);
      const std::lock_guard lock(mutex_);
      if (more) {
        ready_bytes_ += block.text().size();
        ready_.push_back(std::move(block));
      } else {
        finished_ = true;
      }
      changed_.notify_all();
      if (!more) return;
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
    finished_ = true;
    changed_.notify_all();
  }
}

/// Fills the block from what was carried over and the stream, until it holds the end of a line.
bool LineBlocks::read_block(TextBlock& block) {
  block.begin_ = 0;
  block.end_ = carried_.size();
  const std::size_t least = carried_.size() + kBlockBytes + TextBlock::kPadding;
  if (block.bytes_.size() < least) block.bytes_.resize(least);
  std::copy(carried_.begin(), carried_.end(), block.bytes_.begin());
  carried_.clear();
  std::size_t searched = 0;
  std::size_t lines_end = 0;
  while (lines_end == 0 && !at_end_) {
    searched = block.end_;
    fill(block);
    lines_end = end_of_lines(block, searched);
    if (lines_end == 0 && block.end_ > kMaxLineBytes)
      stream_->fail("", "has a line longer than " + format_bytes(static_cast<double>(kMaxLineBytes)),
                    "check that this is a text table");
  }
  if (std::exchange(first_, false)) block.begin_ = byte_order_mark(*stream_, block.text());
  if (at_end_ && block.end_ > block.begin_ && block.bytes_[block.end_ - 1] != '\n') {
    block.bytes_[block.end_++] = '\n';
    lines_end = block.end_;
  }
  if (lines_end < block.end_ && lines_end > 0) {
    carried_.assign(block.bytes_.data() + lines_end, block.bytes_.data() + block.end_);
    block.end_ = lines_end;
  }
  std::fill_n(block.bytes_.data() + block.end_, TextBlock::kPadding, '\0');
  return block.end_ > block.begin_;
}

/// Reads until the block is full, or to the end. A full one grows first.
void LineBlocks::fill(TextBlock& block) {
  constexpr std::size_t kReserved = TextBlock::kPadding + 1;  // one for a line end at the end of the text
  if (block.end_ + kReserved >= block.bytes_.size()) block.bytes_.resize(2 * block.bytes_.size());
  while (block.end_ + kReserved < block.bytes_.size()) {
    const std::size_t got =
        stream_->read(block.bytes_.data() + block.end_, block.bytes_.size() - kReserved - block.end_);
    block.end_ += got;
    at_end_ = got == 0;
    if (at_end_) return;
  }
}

/// Where the last whole line ends, or 0; lines do not end before `from`.
std::size_t LineBlocks::end_of_lines(const TextBlock& block, std::size_t from) const {
  const void* const last = ::memrchr(block.bytes_.data() + from, '\n', block.end_ - from);
  return last ? static_cast<std::size_t>(static_cast<const char*>(last) - block.bytes_.data()) + 1 : 0;
}

}  // namespace scvi::io
