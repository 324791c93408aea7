#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace scvi {

/// Philox 4x32-10 (Salmon et al. 2011): four random words from a counter and a key, with no state in between.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// A named stream of random numbers. Two streams with another seed, purpose, or position are independent;
/// the same three give the same numbers on every machine thread count. `position` holds where the stream is
/// used, e.g. {epoch, minibatch}.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view purpose, std::array<std::uint64_t, 2> position = {0, 0});

  std::uint32_t next_uint32();
  std::uint64_t next_uint64();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform integer in [0, bound). @pre bound > 0
  std::uint64_t below(std::uint64_t bound);
  double standard_normal();
  /// Gamma(shape, rate 1), by Marsaglia and Tsang (2000). @pre shape > 0
  double standard_gamma(double shape);
  /// Poisson(mean). Inversion below 10, transformed rejection (Hoermann 1993, PTRS) above. @pre mean >= 0
  std::int64_t poisson(double mean);
  /// Binomial(n, p). @pre n >= 0, 0 <= p <= 1
  std::int64_t binomial(std::int64_t n, double p);

  /// A uniformly random order of 0..n-1.
  std::vector<std::int64_t> permutation(std::int64_t n);
  /// `count` different numbers out of 0..n-1, in random order. @pre count <= n
  std::vector<std::int64_t> sample_without_replacement(std::int64_t n, std::int64_t count);

  /// Element i of `out` depends only on the stream and on `first + i`, so ranges may be filled by any thread.
  /// These do not advance the stream. float: uniform has 24 bits.
  void fill_uniform(std::span<float> out, std::uint64_t first = 0) const;
  void fill_standard_normal(std::span<float> out, std::uint64_t first = 0) const;

 private:
  std::array<std::uint32_t, 4> block(std::uint64_t index) const;
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 2> place_;
  std::uint64_t next_block_ = 0;
  std::array<std::uint32_t, 4> words_{};
  int used_ = 4;
};

/// What `numpy.random.RandomState(seed).permutation(n)` returns: the reference's splits use it.
std::vector<std::int64_t> numpy_permutation(std::uint32_t seed, std::int64_t n);

}  // namespace scvi
