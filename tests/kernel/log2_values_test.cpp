#include "scvi/kernel/log2_values.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "scvi/core/random.hpp"

namespace scvi::kernel {
namespace {

std::vector<float> log2_of(const std::vector<float>& values) {
  std::vector<float> out(values.size());
  log2_values(values.data(), static_cast<std::int64_t>(values.size()), out.data());
  return out;
}

TEST(Log2Values, AreThoseOfDoublePrecision) {
  RandomStream random(1, "log2");
  std::vector<float> values;
  for (int i = 0; i < 1003; ++i) {
    values.push_back(static_cast<float>(std::exp2(25 * random.standard_normal())));
    values.push_back(static_cast<float>(1 + 1e-3 * random.standard_normal()));
  }
  std::vector<float> out = log2_of(values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected = std::log2(static_cast<double>(values[i]));
    EXPECT_NEAR(out[i], expected, 3e-7 * std::abs(expected) + 2e-7) << values[i];
  }
  log2_values(values.data(), static_cast<std::int64_t>(values.size()), values.data());
  EXPECT_EQ(values, out);
}

TEST(Log2Values, KnowsWhatHasNoOrdinaryLogarithm) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (std::size_t at = 0; at < 19; ++at) {
    std::vector<float> values(19, 8.0F);
    const auto with = [&](float value) {
      values[at] = value;
      return log2_of(values);
    };
    EXPECT_EQ(with(0)[at], -kInfinity);
    EXPECT_EQ(with(kInfinity)[at], kInfinity);
    EXPECT_TRUE(std::isnan(with(-1)[at]));
    EXPECT_TRUE(std::isnan(with(std::nanf(""))[at]));
    EXPECT_FLOAT_EQ(with(1e-40F)[at], std::log2(1e-40F));
    EXPECT_FLOAT_EQ(with(-1)[(at + 1) % 19], 3);
  }
}

TEST(Log2Values, OfNothingTouchNothing) {
  log2_values(nullptr, 0, nullptr);
}

}  // namespace
}  // namespace scvi::kernel
