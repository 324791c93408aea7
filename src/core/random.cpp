#include "scvi/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>
#include <unordered_map>
#include <utility>

#include "philox_fill.hpp"

namespace scvi {
namespace {

using Words = std::array<std::uint32_t, 4>;
__extension__ using Uint128 = unsigned __int128;

/// Finaliser of SplitMix64 (Steele et al. 2014): a bijection that spreads every bit over all others.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

std::array<std::uint32_t, 2> halves(std::uint64_t x) {
  return {static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(x >> 32)};
}

// Blocks of these numbers serve the fill functions, so that they share no bits with the draws in sequence.
constexpr std::uint64_t kUniformBlocks = std::uint64_t{1} << 62;
constexpr std::uint64_t kNormalBlocks = std::uint64_t{1} << 63;

/// Calls write(word of the block, element) for the elements [first, first + count), four to a block.
template <class MakeFour>
void fill_by_fours(std::span<float> out, std::uint64_t first, MakeFour make_four) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t element = first + done;
    const std::size_t skip = element % 4;
    const std::size_t take = std::min<std::size_t>(4 - skip, out.size() - done);
    const std::array<float, 4> four = make_four(element / 4);
    std::copy_n(four.begin() + skip, take, out.begin() + done);
    done += take;
  }
}

/// Two standard normals (Box and Muller 1958). The radius comes from (0, 1], so it is finite; it reaches 6.8.
void box_muller(std::uint32_t a, std::uint32_t b, float* out) {
  const float u = (static_cast<float>(a) + 0.5f) * 0x1p-32f;
  const float angle = static_cast<float>(b >> 8) * (2 * std::numbers::pi_v<float> * 0x1p-24f);
  const float radius = std::sqrt(-2 * std::log(u));
  out[0] = radius * std::cos(angle);
  out[1] = radius * std::sin(angle);
}

/// log(k!). std::lgamma would write to a global.
double log_factorial(double k) {
  int sign = 0;
  return lgamma_r(k + 1, &sign);
}

}  // namespace

Words philox4x32(Words counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t left = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t right = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(right >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(right),
               static_cast<std::uint32_t>(left >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(left)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

RandomStream::RandomStream(std::uint64_t seed, std::string_view purpose, std::array<std::uint64_t, 2> position)
    : key_(halves(mix(mix(seed + 0x9E3779B97F4A7C15u) ^ fnv1a(purpose)))) {
  // Positions below 2^32 are packed side by side, so that no two of them share a counter; mix(0) is 0.
  const std::uint64_t low = (position[0] << 32) | (position[1] & 0xFFFFFFFFu);
  const std::uint64_t high = (position[0] >> 32 << 32) | (position[1] >> 32);
  place_ = halves(low ^ mix(high));
}

Words RandomStream::block(std::uint64_t index) const {
  const auto [low, high] = halves(index);
  return philox4x32({low, high, place_[0], place_[1]}, key_);
}

std::uint32_t RandomStream::next_uint32() {
  if (used_ == 4) {
    words_ = block(next_block_++);
    used_ = 0;
  }
  return words_[used_++];
}

std::uint64_t RandomStream::next_uint64() {
  const std::uint64_t low = next_uint32();
  return (std::uint64_t{next_uint32()} << 32) | low;
}

double RandomStream::uniform() {
  return static_cast<double>(next_uint64() >> 11) * 0x1p-53;
}

std::uint64_t RandomStream::below(std::uint64_t bound) {
  // Lemire (2019): the high half of a product, with the few values that would favour some results rejected.
  const std::uint64_t surplus = (0 - bound) % bound;
  while (true) {
    const Uint128 product = static_cast<Uint128>(next_uint64()) * bound;
    if (static_cast<std::uint64_t>(product) >= surplus) return static_cast<std::uint64_t>(product >> 64);
  }
}

double RandomStream::standard_normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

double RandomStream::standard_gamma(double shape) {
  // Below 1: Gamma(a) = Gamma(a + 1) U^(1/a).
  if (shape < 1) {
    const double boosted = standard_gamma(shape + 1);
    return boosted * std::exp(std::log(1 - uniform()) / shape);
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = standard_normal();
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(1 - uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

namespace {

/// Number of the first cumulative probability above a uniform draw, where probability k + 1 is probability k times
/// ratio(k). Draws again in the rare case that rounding keeps the sum below the draw.
template <class Ratio>
std::int64_t invert_cdf(RandomStream& random, double first_probability, std::int64_t last, Ratio ratio) {
  while (true) {
    double left = random.uniform();
    double probability = first_probability;
    for (std::int64_t k = 0; k <= last; ++k) {
      if (left < probability) return k;
      left -= probability;
      probability *= ratio(static_cast<double>(k));
    }
  }
}

/// Hoermann (1993), algorithm PTRS. @pre mean >= 10
std::int64_t poisson_by_rejection(RandomStream& random, double mean) {
  const double log_mean = std::log(mean);
  const double b = 0.931 + 2.53 * std::sqrt(mean);
  const double a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
  const double quick_accept = 0.9277 - 3.6224 / (b - 2);
  while (true) {
    const double u = random.uniform() - 0.5;
    const double v = random.uniform();
    const double distance = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / distance + b) * u + mean + 0.43);
    if (distance >= 0.07 && v <= quick_accept) return static_cast<std::int64_t>(k);
    if (k < 0 || (distance < 0.013 && v > distance)) continue;
    const double hat = std::log(v) + std::log(inverse_alpha) - std::log(a / (distance * distance) + b);
    if (hat <= k * log_mean - mean - log_factorial(k)) return static_cast<std::int64_t>(k);
  }
}

/// Hoermann (1993), algorithm BTRS. @pre p <= 0.5, n * p >= 10
std::int64_t binomial_by_rejection(RandomStream& random, double n, double p) {
  const double deviation = std::sqrt(n * p * (1 - p));
  const double b = 1.15 + 2.53 * deviation;
  const double a = -0.0873 + 0.0248 * b + 0.01 * p;
  const double centre = n * p + 0.5;
  const double alpha = (2.83 + 5.1 / b) * deviation;
  const double quick_accept = 0.92 - 4.2 / b;
  const double log_odds = std::log(p / (1 - p));
  const double mode = std::floor((n + 1) * p);
  const double log_mode_ways = log_factorial(mode) + log_factorial(n - mode);
  while (true) {
    const double u = random.uniform() - 0.5;
    const double v = random.uniform();
    const double distance = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / distance + b) * u + centre);
    if (distance >= 0.07 && v <= quick_accept) return static_cast<std::int64_t>(k);
    if (k < 0 || k > n) continue;
    const double hat = std::log(v * alpha / (a / (distance * distance) + b));
    const double target = log_mode_ways - log_factorial(k) - log_factorial(n - k) + (k - mode) * log_odds;
    if (hat <= target) return static_cast<std::int64_t>(k);
  }
}

}  // namespace

std::int64_t RandomStream::poisson(double mean) {
  if (mean >= 10) return poisson_by_rejection(*this, mean);
  constexpr std::int64_t kBeyondDoubt = 200;  // P(more) is below 1e-200 for any mean below 10
  return invert_cdf(*this, std::exp(-mean), kBeyondDoubt, [mean](double k) { return mean / (k + 1); });
}

std::int64_t RandomStream::binomial(std::int64_t n, double p) {
  if (p > 0.5) return n - binomial(n, 1 - p);
  const double trials = static_cast<double>(n);
  if (trials * p >= 10) return binomial_by_rejection(*this, trials, p);
  const double odds = p / (1 - p);
  return invert_cdf(*this, std::exp(trials * std::log1p(-p)), std::min<std::int64_t>(n, 200),
                    [=](double k) { return (trials - k) / (k + 1) * odds; });
}

std::vector<std::int64_t> RandomStream::permutation(std::int64_t n) {
  return sample_without_replacement(n, n);
}

std::vector<std::int64_t> RandomStream::sample_without_replacement(std::int64_t n, std::int64_t count) {
  std::vector<std::int64_t> sample(static_cast<std::size_t>(count));
  // The first steps of a Fisher-Yates shuffle; when few are wanted, only the places that moved are remembered.
  if (count < n / 16) {
    std::unordered_map<std::int64_t, std::int64_t> moved;
    const auto at = [&](std::int64_t i) { return moved.try_emplace(i, i).first->second; };
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t j = i + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(n - i)));
      sample[i] = at(j);
      moved[j] = at(i);
    }
    return sample;
  }
  std::vector<std::int64_t> pool(static_cast<std::size_t>(n));
  std::iota(pool.begin(), pool.end(), 0);
  for (std::int64_t i = 0; i < count; ++i)
    std::swap(pool[i], pool[i + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(n - i)))]);
  std::copy_n(pool.begin(), count, sample.begin());
  return sample;
}

void RandomStream::fill_uniform(std::span<float> out, std::uint64_t first) const {
  const auto fill_parts = [this](std::span<float> part, std::uint64_t begin) {
    fill_by_fours(part, begin, [this](std::uint64_t index) {
      const Words words = block(kUniformBlocks + index);
      std::array<float, 4> four;
      for (int i = 0; i < 4; ++i) four[i] = static_cast<float>(words[i] >> 8) * 0x1p-24f;
      return four;
    });
  };
  // Whole blocks go many at a time; what is before and behind them belongs to parts of blocks.
  const std::size_t head = std::min<std::size_t>((4 - first % 4) % 4, out.size());
  const std::size_t n_blocks = (out.size() - head) / 4;
  fill_parts(out.first(head), first);
  philox_uniforms(key_, place_, kUniformBlocks + (first + head) / 4, static_cast<std::int64_t>(n_blocks),
                  out.data() + head);
  fill_parts(out.subspan(head + 4 * n_blocks), first + head + 4 * n_blocks);
}

void RandomStream::fill_standard_normal(std::span<float> out, std::uint64_t first) const {
  fill_by_fours(out, first, [this](std::uint64_t index) {
    const Words words = block(kNormalBlocks + index);
    std::array<float, 4> four;
    box_muller(words[0], words[1], four.data());
    box_muller(words[2], words[3], four.data() + 2);
    return four;
  });
}

std::vector<std::int64_t> numpy_permutation(std::uint32_t seed, std::int64_t n) {
  std::mt19937 engine(seed);
  const auto draw = [&](std::uint64_t largest) {
    std::uint64_t mask = largest;
    for (int shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
    while (true) {
      std::uint64_t value = engine();
      if (largest > 0xFFFFFFFFu) value = (value << 32) | engine();
      if ((value & mask) <= largest) return value & mask;
    }
  };
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = n - 1; i > 0; --i) std::swap(order[i], order[draw(static_cast<std::uint64_t>(i))]);
  return order;
}

}  // namespace scvi
