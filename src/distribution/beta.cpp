#include "scvi/distribution/beta.hpp"

#include <cmath>

namespace scvi {
namespace {

/// The continued fraction of the incomplete beta function by the modified method of Lentz. It converges quickly for
/// x below (alpha + 1) / (alpha + beta + 2).
double continued_fraction(double x, double alpha, double beta) {
  constexpr double kTiny = 1e-300;
  constexpr double kEnough = 1e-15;
  constexpr int kMostTerms = 1000;
  const auto away_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (alpha + beta) * x / (alpha + 1));
  double fraction = d;
  for (int m = 1; m <= kMostTerms; ++m) {
    const double even = m * (beta - m) * x / ((alpha + 2 * m - 1) * (alpha + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    fraction *= d * c;
    const double odd = -(alpha + m) * (alpha + beta + m) * x / ((alpha + 2 * m) * (alpha + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    fraction *= d * c;
    if (std::abs(d * c - 1) < kEnough) break;
  }
  return fraction;
}

}  // namespace

double beta_cdf(double x, double alpha, double beta) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (alpha + 1) / (alpha + beta + 2)) return 1 - beta_cdf(1 - x, beta, alpha);
  const double log_factor = alpha * std::log(x) + beta * std::log1p(-x) + std::lgamma(alpha + beta) -
                            std::lgamma(alpha) - std::lgamma(beta);
  return std::exp(log_factor) * continued_fraction(x, alpha, beta) / alpha;
}

}  // namespace scvi
