#pragma once

#include <algorithm>
#include <cstdint>

namespace scvi::kernel {

/// Whether n numbers, one beside the other, are finite.
inline bool are_finite(const float* numbers, std::int64_t n) {
  constexpr std::int64_t kLanes = 64;
  float zeros[kLanes] = {};
  std::int64_t i = 0;
  // Infinity and NaN times zero are NaN, which stays in a sum.
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) zeros[lane] += numbers[i + lane] * 0;
  }
  for (; i < n; ++i) zeros[0] += numbers[i] * 0;
  return std::all_of(zeros, zeros + kLanes, [](float zero) { return zero == 0; });
}

}  // namespace scvi::kernel
