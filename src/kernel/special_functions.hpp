#pragma once

// The terms of count likelihoods written down plainly, in the precision of their arguments.

#include <math.h>

#include <cmath>

#include "scvi/kernel/count_nll.hpp"

namespace scvi::kernel {

/// std::lgamma writes a global variable; this does not.
inline double log_gamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}
inline float log_gamma(float x) {
  int sign = 0;
  return ::lgammaf_r(x, &sign);
}

/// For x > 0: raised beyond 8 by its recurrence, then by its asymptotic series.
template <class T>
T digamma(T x) {
  T below = 0;
  for (; x < 8; x += 1) below += 1 / x;
  const T z = 1 / (x * x);
  const T series = z * (T(1) / 12 - z * (T(1) / 120 - z * (T(1) / 252 - z * (T(1) / 240 - z * (T(1) / 132)))));
  return std::log(x) - 1 / (2 * x) - series - below;
}

template <class T>
T softplus(T x) {
  return (x > 0 ? x : T(0)) + std::log1p(std::exp(-std::abs(x)));
}

template <class T>
T sigmoid(T x) {
  const T e = std::exp(-std::abs(x));
  return (x >= 0 ? T(1) : e) / (1 + e);
}

/// -log p of one count and its gradients by log mean, log theta and the dropout logit.
template <class T>
struct CountTerms {
  T loss = 0;
  T slope = 0;
  T dtheta = 0;
  T ddropout = 0;
};
using PositiveTerms = CountTerms<double>;

/// Of a count above 0, but for lgamma(x + 1). The formulas are those of shared/golden/NUMERICS.md with
/// L = log((theta + mu + 1e-8) / (theta + 1e-8)).
template <class T>
CountTerms<T> positive_terms(T x, T mu, T theta, T dropout, CountLikelihood kind) {
  const T eps = T(1e-8);
  if (kind == CountLikelihood::poisson) return {mu - x * std::log(mu), mu - x, 0, 0};
  const T te = theta + eps;
  const T log_ratio = std::log1p(mu / te);
  const T gammas = log_gamma(x + theta) - log_gamma(theta);
  const T log_p = gammas - theta * log_ratio + x * (std::log(mu + eps) - std::log(te + mu));
  CountTerms<T> terms{.loss = -log_p};
  terms.slope = (x + theta) * mu / (te + mu) - x * mu / (mu + eps);
  terms.dtheta = -theta * (digamma(x + theta) - digamma(theta) - log_ratio + (theta * mu / te - x) / (te + mu));
  if (kind == CountLikelihood::zinb) {
    terms.loss += softplus(dropout);
    terms.ddropout = sigmoid(dropout);
  }
  return terms;
}

/// Of a count of 0.
template <class T>
CountTerms<T> zero_terms(T mu, T theta, T dropout, CountLikelihood kind) {
  if (kind == CountLikelihood::poisson) return {mu, mu, 0, 0};
  const T te = theta + T(1e-8);
  const T log_ratio = std::log1p(mu / te);
  const T slope = mu / (te + mu);
  CountTerms<T> terms{
      .loss = theta * log_ratio, .slope = theta * slope, .dtheta = theta * (log_ratio - theta / te * slope)};
  if (kind == CountLikelihood::nb) return terms;
  const T logit = -terms.loss - dropout;  // of the negative binomial against the extra zero
  const T share = sigmoid(logit);
  return {softplus(-dropout) - softplus(logit), share * terms.slope, share * terms.dtheta, share - sigmoid(-dropout)};
}

}  // namespace scvi::kernel
