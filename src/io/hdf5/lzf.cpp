#include "scvi/io/lzf.hpp"

#include <algorithm>
#include <cstring>

namespace scvi::io {
namespace {

constexpr std::size_t kMaxLiteralRun = 32;
constexpr std::size_t kMinMatch = 3;
constexpr std::size_t kMaxMatch = 264;
constexpr std::size_t kMaxDistance = 8192;
constexpr int kHashBits = 14;

std::uint32_t hash_of_three(const std::uint8_t* at) {
  const std::uint32_t word = static_cast<std::uint32_t>(at[0]) << 16 | static_cast<std::uint32_t>(at[1]) << 8 | at[2];
  return (word * 2654435761U) >> (32 - kHashBits);
}

/// Writes tokens as long as they fit into the given number of bytes.
class TokenWriter {
 public:
  explicit TokenWriter(std::size_t capacity) : bytes_(capacity) {}

  bool put_literals(const std::uint8_t* from, std::size_t count) {
    while (count > 0) {
      const std::size_t run = std::min(count, kMaxLiteralRun);
      if (used_ + 1 + run > bytes_.size()) return false;
      bytes_[used_++] = static_cast<std::uint8_t>(run - 1);
      std::memcpy(bytes_.data() + used_, from, run);
      used_ += run;
      from += run;
      count -= run;
    }
    return true;
  }

  bool put_match(std::size_t distance, std::size_t length) {
    if (used_ + 3 > bytes_.size()) return false;
    const std::size_t offset = distance - 1;
    const std::size_t code = length - 2;
    bytes_[used_++] = static_cast<std::uint8_t>(std::min<std::size_t>(code, 7) << 5 | offset >> 8);
    if (code >= 7) bytes_[used_++] = static_cast<std::uint8_t>(code - 7);
    bytes_[used_++] = static_cast<std::uint8_t>(offset & 0xff);
    return true;
  }

  std::vector<std::uint8_t> take() {
    bytes_.resize(used_);
    return std::move(bytes_);
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t used_ = 0;
};

std::size_t match_length(const std::uint8_t* earlier, const std::uint8_t* here, std::size_t limit) {
  std::size_t length = 0;
  while (length < limit && earlier[length] == here[length]) ++length;
  return length;
}

}  // namespace

std::optional<std::vector<std::uint8_t>> lzf_compress(std::span<const std::uint8_t> input) {
  const std::size_t size = input.size();
  if (size < 4) return std::nullopt;
  TokenWriter writer(size - 1);
  // Position + 1 of the last three bytes with that hash, 0 when there were none.
  std::vector<std::size_t> last_seen(std::size_t{1} << kHashBits, 0);
  std::size_t literals_from = 0;
  std::size_t at = 0;
  while (at + kMinMatch <= size) {
    std::size_t& slot = last_seen[hash_of_three(input.data() + at)];
    const std::size_t seen = slot;
    slot = at + 1;
    const std::size_t distance = seen == 0 ? 0 : at - (seen - 1);
    const std::size_t length =
        distance == 0 || distance > kMaxDistance
            ? 0
            : match_length(input.data() + at - distance, input.data() + at, std::min(size - at, kMaxMatch));
    if (length < kMinMatch) {
      ++at;
      continue;
    }
    if (!writer.put_literals(input.data() + literals_from, at - literals_from)) return std::nullopt;
    if (!writer.put_match(distance, length)) return std::nullopt;
    at += length;
    literals_from = at;
  }
  if (!writer.put_literals(input.data() + literals_from, size - literals_from)) return std::nullopt;
  return writer.take();
}

std::optional<std::size_t> lzf_decompress(std::span<const std::uint8_t> input, std::span<std::uint8_t> output) {
  std::size_t in = 0;
  std::size_t out = 0;
  while (in < input.size()) {
    const std::size_t control = input[in++];
    if (control < kMaxLiteralRun) {
      const std::size_t run = control + 1;
      if (run > input.size() - in || run > output.size() - out) return std::nullopt;
      std::memcpy(output.data() + out, input.data() + in, run);
      in += run;
      out += run;
      continue;
    }
    std::size_t length = control >> 5;
    if (length == 7) {
      if (in == input.size()) return std::nullopt;
      length += input[in++];
    }
    length += 2;
    if (in == input.size()) return std::nullopt;
    const std::size_t distance = ((control & 0x1f) << 8 | input[in++]) + 1;
    if (distance > out || length > output.size() - out) return std::nullopt;
    // A copy may overlap itself: that is how runs are stored, so it goes byte by byte where it does.
    if (distance >= length) {
      std::memcpy(output.data() + out, output.data() + out - distance, length);
      out += length;
    } else {
      for (const std::size_t end = out + length; out < end; ++out) output[out] = output[out - distance];
    }
  }
  return out;
}

}  // namespace scvi::io
