#include "gzip_stream.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "expansion_limit.hpp"

namespace scvi::io {
namespace {

constexpr std::size_t kInputBytes = std::size_t{256} << 10;
constexpr const char* kGetAnew = "the file is damaged: get it anew";

class GzipStream final : public ByteStream {
 public:
  GzipStream(std::unique_ptr<ByteStream> packed, const ByteStreamOptions& options)
      : ByteStream(packed->file(), packed->member(), packed->stored_bytes()),
        packed_(std::move(packed)),
        limit_(stored_bytes(), options),
        input_(kInputBytes) {
    constexpr int kGzipWindow = 16 + MAX_WBITS;
    if (inflateInit2(&state_, kGzipWindow) != Z_OK) throw std::bad_alloc();
  }
  ~GzipStream() override { inflateEnd(&state_); }

  std::size_t read(char* into, std::size_t size) override {
    constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
    const auto wanted = static_cast<uInt>(std::min(size, kMost));
    state_.next_out = reinterpret_cast<Bytef*>(into);
    state_.avail_out = wanted;
    while (state_.avail_out == wanted && wanted > 0 && !finished_) advance();
    const std::size_t got = wanted - state_.avail_out;
    limit_.add(*this, got);
    return got;
  }

 private:
  std::unique_ptr<ByteStream> packed_;
  ExpansionLimit limit_;
  std::vector<char> input_;
  z_stream state_{};
  bool between_members_ = false;
  bool finished_ = false;

  /// One step: takes in more, goes on to the next member, or unpacks.
  void advance() {
    if (state_.avail_in == 0 && !fill()) return finish();
    if (between_members_ && !begin_member()) return;
    const int result = inflate(&state_, Z_NO_FLUSH);
    if (result == Z_STREAM_END)
      between_members_ = true;
    else if (result == Z_MEM_ERROR)
      throw std::bad_alloc();
    else if (result != Z_OK && result != Z_BUF_ERROR)
      fail("", "holds damaged gzip content" + reason(), kGetAnew);
  }

  std::string reason() const { return state_.msg ? " (" + std::string(state_.msg) + ")" : std::string(); }

  bool fill() {
    const std::size_t got = packed_->read(input_.data(), input_.size());
    state_.next_in = reinterpret_cast<Bytef*>(input_.data());
    state_.avail_in = static_cast<uInt>(got);
    return got > 0;
  }

  void finish() {
    if (!between_members_) fail("", "ends in the middle of its gzip content", "the file is cut short: get it anew");
    finished_ = true;
  }

  /// Behind a member comes another, or zeros that fill up a block of a tape. @returns whether a member begins
  bool begin_member() {
    constexpr Bytef kFirstByte = 0x1f;
    if (*state_.next_in == kFirstByte) {
      inflateReset(&state_);
      between_members_ = false;
      return true;
    }
    const Bytef* const end = state_.next_in + state_.avail_in;
    if (std::any_of(state_.next_in, static_cast<Bytef*>(state_.next_in) + state_.avail_in,
                    [](Bytef byte) { return byte != 0; }))
      fail("", "has bytes behind its gzip content that do not belong there", kGetAnew);
    state_.next_in = const_cast<Bytef*>(end);
    state_.avail_in = 0;
    return false;
  }
};

}  // namespace

std::unique_ptr<ByteStream> open_gzip_stream(std::unique_ptr<ByteStream> packed, const ByteStreamOptions& options) {
  return std::make_unique<GzipStream>(std::move(packed), options);
}

}  // namespace scvi::io
