#include "philox_fill.hpp"

#include <algorithm>
#include <cstring>

#include "scvi/core/random.hpp"

// Vectors whose size is only known at run time cannot stand in arrays and structures.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "philox_fill.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace scvi::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

// One lane has no halves to multiply.
void uniforms(std::array<std::uint32_t, 2> key, std::array<std::uint32_t, 2> place, std::uint64_t first_block,
              std::int64_t n_blocks, float* out) {
  for (std::int64_t b = 0; b < n_blocks; ++b) {
    const std::uint64_t number = first_block + static_cast<std::uint64_t>(b);
    const auto words = philox4x32(
        {static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32), place[0], place[1]}, key);
    for (int i = 0; i < 4; ++i) out[4 * b + i] = static_cast<float>(words[i] >> 8) * 0x1p-24f;
  }
}

#else

namespace hn = hwy::HWY_NAMESPACE;

using Wide = hn::ScalableTag<std::uint64_t>;
using Narrow = hn::Repartition<std::uint32_t, Wide>;
using WideVector = hn::Vec<Wide>;

/// Vectors of blocks that take turns, so that one need not wait for its own products.
constexpr int kAtOnce = 3;

/// A word of every block, each in the lower half of a lane. What the upper half holds does not matter: products are
/// of lower halves, and the other operations carry nothing downwards before it is wanted.
struct Words {
  WideVector w0, w1, w2, w3;
};

HWY_INLINE WideVector product(std::uint32_t factor, WideVector words) {
  const Narrow narrow;
  return hn::MulEven(hn::Set(narrow, factor), hn::BitCast(narrow, words));
}

HWY_INLINE Words one_round(std::array<std::uint32_t, 2> key, const Words& words) {
  const Wide d;
  const auto left = product(0xD2511F53u, words.w0);
  const auto right = product(0xCD9E8D57u, words.w2);
  return {hn::Xor(hn::ShiftRight<32>(right), hn::Xor(words.w1, hn::Set(d, key[0]))), right,
          hn::Xor(hn::ShiftRight<32>(left), hn::Xor(words.w3, hn::Set(d, key[1]))), left};
}

/// Two words of every block as uniform floats, side by side in a lane.
HWY_INLINE WideVector uniform_pairs(WideVector first, WideVector second) {
  const Wide d;
  const Narrow narrow;
  const hn::RebindToSigned<Narrow> whole;
  const hn::RebindToFloat<Narrow> real;
  const auto pairs = hn::Or(hn::And(first, hn::Set(d, 0xFFFFFFFFu)), hn::ShiftLeft<32>(second));
  const auto bits = hn::BitCast(whole, hn::ShiftRight<8>(hn::BitCast(narrow, pairs)));
  return hn::BitCast(d, hn::Mul(hn::ConvertTo(real, bits), hn::Set(real, 0x1p-24f)));
}

void uniforms(std::array<std::uint32_t, 2> key, std::array<std::uint32_t, 2> place, std::uint64_t first_block,
              std::int64_t n_blocks, float* out) {
  const Wide d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  HWY_ALIGN std::uint64_t pairs[kAtOnce * 2 * hn::MaxLanes(d)];
  for (std::int64_t done = 0; done < n_blocks; done += kAtOnce * lanes) {
    Words words[kAtOnce];
    for (int k = 0; k < kAtOnce; ++k) {
      const auto number = hn::Iota(d, first_block + static_cast<std::uint64_t>(done + k * lanes));
      words[k] = {number, hn::ShiftRight<32>(number), hn::Set(d, place[0]), hn::Set(d, place[1])};
    }
    auto round_key = key;
    for (int round = 0; round < 10; ++round) {
      for (Words& each : words) each = one_round(round_key, each);
      round_key[0] += 0x9E3779B9u;
      round_key[1] += 0xBB67AE85u;
    }
    for (int k = 0; k < kAtOnce; ++k) {
      const auto& [w0, w1, w2, w3] = words[k];
      hn::StoreInterleaved2(uniform_pairs(w0, w1), uniform_pairs(w2, w3), d, pairs + 2 * k * lanes);
    }
    const std::int64_t wanted = std::min(kAtOnce * lanes, n_blocks - done);
    std::memcpy(out + 4 * done, pairs, static_cast<std::size_t>(wanted) * 4 * sizeof(float));
  }
}

#endif

}  // namespace
}  // namespace scvi::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi {
namespace {

HWY_EXPORT(uniforms);

}  // namespace

void philox_uniforms(std::array<std::uint32_t, 2> key, std::array<std::uint32_t, 2> place, std::uint64_t first_block,
                     std::int64_t n_blocks, float* out) {
  HWY_DYNAMIC_DISPATCH(uniforms)(key, place, first_block, n_blocks, out);
}

}  // namespace scvi
#endif
