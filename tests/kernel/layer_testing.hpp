#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "instruction_sets.hpp"
#include "scvi/core/random.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::testing {

/// Bits of what `make` returns, which have to be those of one thread for 2 and 7.
inline void expect_same_bits_for_any_thread_count(const std::function<std::vector<float>()>& make) {
  settings().n_threads = 1;
  const std::vector<float> expected = make();
  for (const int threads : {2, 7}) {
    settings().n_threads = threads;
    const std::vector<float> found = make();
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_TRUE(found[i] == expected[i] || (std::isnan(found[i]) && std::isnan(expected[i]))) << i;
  }
  settings().n_threads = 0;
}

/// n numbers that begin `shift` floats behind an aligned address, and end where their memory ends.
class Numbers {
 public:
  explicit Numbers(std::int64_t n, std::int64_t shift = 1) : shift_(shift), memory_(n + shift, 0.0f) {}
  Numbers(std::int64_t n, const std::string& name, std::int64_t shift = 1) : Numbers(n, shift) {
    RandomStream(7, name).fill_standard_normal({data(), memory_.data() + memory_.size()});
  }

  float* data() { return memory_.data() + shift_; }
  const float* data() const { return memory_.data() + shift_; }
  std::int64_t size() const { return static_cast<std::int64_t>(memory_.size()) - shift_; }
  float& operator[](std::int64_t i) { return data()[i]; }
  float operator[](std::int64_t i) const { return data()[i]; }
  std::vector<float> floats() const { return {data(), data() + size()}; }
  std::vector<double> doubles() const { return {data(), data() + size()}; }

 private:
  std::int64_t shift_;
  std::vector<float> memory_;
};

/// Largest |found - expected| / (1 + |expected|); NaN and infinities have to be the same.
inline double worst_error(const Numbers& found, const std::vector<double>& expected) {
  EXPECT_EQ(found.size(), static_cast<std::int64_t>(expected.size()));
  double worst = 0;
  for (std::int64_t i = 0; i < found.size(); ++i) {
    const double a = found[i], b = expected[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double error = std::fabs(a - b) / (1 + std::fabs(b));
    worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(worst, error);
  }
  return worst;
}

/// Derivative of loss() with respect to x, by differences.
inline double slope_of(const std::function<double()>& loss, double& x) {
  const double before = x, step = 1e-5 * (1 + std::fabs(x));
  x = before + step;
  const double above = loss();
  x = before - step;
  const double below = loss();
  x = before;
  return (above - below) / (2 * step);
}

/// sum of a[i] b[i]: a loss whose gradient with respect to b is a.
inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace scvi::testing
