#pragma once

// Single counts in float64, for the few that float32 vectors cannot hold, and tables of functions of whole numbers.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace scvi::kernel {

inline constexpr double kEps = 1e-8;
/// Counts up to this one are zeros.
inline constexpr float kLargestZero = 1e-8F;

/// x log(x) - x, the part of lgamma(x + 1) that grows.
inline double bulk_of_factorial(double x) {
  return x > 0 ? x * std::log(x) - x : 0.0;
}

/// lgamma(x + 1). The C library's writes to a global variable, so it is not for threads.
inline double log_factorial(double x) {
  double shift = 1;
  double z = x + 1;
  for (; z < 16; ++z) shift *= z;
  const double w = 1 / (z * z);
  const double tail = (1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w / 1680))) / z;
  return (z - 0.5) * std::log(z) - z + 0.91893853320467274178 + tail - std::log(shift);
}

/// Both for whole numbers below kSize.
struct FactorialTable {
  static constexpr std::size_t kSize = 1024;
  std::array<double, kSize> log_factorial;
  std::array<double, kSize> bulk;

  static const FactorialTable& get() {
    static const FactorialTable table;
    return table;
  }

  static bool holds(float x) {
    return x >= 0 && x < static_cast<float>(kSize) && x == static_cast<float>(static_cast<std::int32_t>(x));
  }

  double log_factorial_of(float x) const {
    return holds(x) ? log_factorial[static_cast<std::size_t>(x)] : kernel::log_factorial(static_cast<double>(x));
  }

 private:
  FactorialTable() {
    for (std::size_t i = 0; i < kSize; ++i) {
      log_factorial[i] = kernel::log_factorial(static_cast<double>(i));
      bulk[i] = bulk_of_factorial(static_cast<double>(i));
    }
  }
};

inline double tabulated_bulk(float x) {
  if (FactorialTable::holds(x)) return FactorialTable::get().bulk[static_cast<std::size_t>(x)];
  return bulk_of_factorial(static_cast<double>(x));
}

/// lgamma(theta + x) - lgamma(theta) - x log(theta + x) and digamma(theta + x) - digamma(theta), exact where theta is
/// huge: by Stirling's series behind a shift that brings theta to 16 at least.
struct GammaRatio {
  double log_gamma = 0;
  double digamma = 0;

  GammaRatio(double x, double theta) {
    double z = theta;
    for (; z < 16; ++z) {
      log_gamma -= std::log1p(x / z);
      digamma += x / (z * (z + x));
    }
    const double a = 1 / z, b = 1 / (z + x), log_ratio = std::log1p(x / z);
    log_gamma += (z - 0.5) * log_ratio + x * std::log1p((z - theta) / (theta + x)) - x + tail(b) - tail(a);
    const double squares = a * a + b * b, product = a * a * b * b;
    digamma +=
        log_ratio + x * a * b * (0.5 + (a + b) * (1.0 / 12 - squares / 120 + (squares * squares - product) / 252));
  }

 private:
  static double tail(double a) {
    const double w = a * a;
    return a * (1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w / 1680)));
  }
};

/// The negative binomial's log-likelihood of a count above zero but for -lgamma(x + 1), and its derivatives.
struct NonzeroTerm {
  double log_likelihood;
  double by_log_mu;
  double by_log_theta;

  NonzeroTerm(double x, double mu, double theta) {
    const double te = theta + kEps, m = mu + kEps, s = 1 / (te + mu);
    const double y = mu / te, log_y = std::log1p(y);
    const GammaRatio gamma(x, theta);
    // x log(theta + x) and x log(m s) in one logarithm: theta + x may be huge.
    log_likelihood = gamma.log_gamma + x * std::log((theta + x) * s * m) - theta * log_y;
    by_log_mu = theta * s * (x - m) * (mu / m);
    // For small y: log(1 + y) - y / (1 + y) = y^2 (1/2 - 2/3 y).
    const double excess = y < 1e-4 ? y * y * (0.5 - y * (2.0 / 3)) : log_y - mu * s;
    by_log_theta = theta * (gamma.digamma - x * s) - theta * excess;
  }
};

}  // namespace scvi::kernel
