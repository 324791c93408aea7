#include "scvi/kernel/count_nll_plain.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace scvi::kernel::plain {
namespace {

template <class T>
constexpr T kEps = T{1e-8L};

/// The derivative of lgamma: recurrence up to 40, then the asymptotic series.
template <class T>
T digamma(T z) {
  T value = 0;
  for (; z < 40; ++z) value -= 1 / z;
  const T w = 1 / (z * z);
  const T series = w * (T{1} / 12 - w * (T{1} / 120 - w * (T{1} / 252 - w * (T{1} / 240 - w * (T{1} / 132)))));
  return value + std::log(z) - 1 / (2 * z) - series;
}

template <class T>
T softplus(T x) {
  return std::max(x, T{0}) + std::log1p(std::exp(-std::abs(x)));
}

template <class T>
T sigmoid(T x) {
  return 1 / (1 + std::exp(-x));
}

/// The log-likelihood of one count, but for the term -lgamma(x + 1), and its derivatives.
template <class T>
struct Term {
  T log_likelihood = 0;
  T by_log_mu = 0;
  T by_dropout = 0;
  T by_log_theta = 0;
};

template <class T>
struct Parameters {
  T mu, log_mu, theta, dropout;
};

template <class T>
Term<T> poisson_term(T x, const Parameters<T>& of) {
  return {.log_likelihood = (x > 0 ? x * of.log_mu : T{0}) - of.mu, .by_log_mu = x - of.mu};
}

template <class T>
Term<T> nb_term(T x, const Parameters<T>& of) {
  const T theta = of.theta, mu = of.mu;
  const T te = theta + kEps<T>, m = mu + kEps<T>;
  const T log_sum = std::log(te + mu);
  Term<T> term;
  term.log_likelihood = theta * (std::log(te) - log_sum);
  term.by_log_mu = -theta * mu / (te + mu);
  term.by_log_theta = theta * (std::log(te) - log_sum + theta / te - theta / (te + mu));
  if (x == 0) return term;
  term.log_likelihood += x * (std::log(m) - log_sum) + std::lgamma(x + theta) - std::lgamma(theta);
  term.by_log_mu += x * (mu / m - mu / (te + mu));
  term.by_log_theta += theta * (digamma(x + theta) - digamma(theta) - x / (te + mu));
  return term;
}

template <class T>
Term<T> zinb_term(T x, const Parameters<T>& of) {
  Term<T> term = nb_term(x, of);
  if (x > 0) {
    term.log_likelihood -= softplus(of.dropout);
    term.by_dropout = -sigmoid(of.dropout);
    return term;
  }
  const T a = term.log_likelihood - of.dropout;
  term.log_likelihood = softplus(a) - softplus(-of.dropout);
  term.by_log_mu *= sigmoid(a);
  term.by_log_theta *= sigmoid(a);
  term.by_dropout = sigmoid(-of.dropout) - sigmoid(a);
  return term;
}

template <class T>
Term<T> count_term(CountLikelihood likelihood, T x, const Parameters<T>& of) {
  if (likelihood == CountLikelihood::poisson) return poisson_term(x, of);
  return likelihood == CountLikelihood::nb ? nb_term(x, of) : zinb_term(x, of);
}

template <class T>
std::vector<T> dense_row(const CsrView& counts, std::int64_t row) {
  std::vector<T> x(static_cast<std::size_t>(counts.n_columns));
  for (std::int64_t i = counts.indptr[row]; i < counts.indptr[row + 1]; ++i)
    x[static_cast<std::size_t>(counts.indices[i])] = counts.values[i] > 1e-8F ? T{counts.values[i]} : T{0};
  return x;
}

template <class T>
std::int64_t dispersion_row(const Dispersion<T>& dispersion, std::int64_t row, std::int64_t count_row) {
  if (dispersion.rows == DispersionRows::per_cell) return row;
  return dispersion.rows == DispersionRows::shared ? 0 : dispersion.category[count_row];
}

/// log softmax of a row.
template <class T>
std::vector<T> log_softmax(const T* logits, std::int64_t n) {
  std::vector<T> values(logits, logits + n);
  const T largest = n == 0 ? T{0} : *std::max_element(values.begin(), values.end());
  T sum = 0;
  for (const T value : values) sum += std::exp(value - largest);
  for (T& value : values) value -= largest + std::log(sum);
  return values;
}

template <class T>
std::int64_t dispersion_size(const CountNll<T>& cells) {
  const Dispersion<T>& of = cells.log_theta;
  const std::int64_t rows = of.rows == DispersionRows::shared        ? 1
                            : of.rows == DispersionRows::by_category ? of.n_categories
                                                                     : cells.counts.n_rows;
  return rows * cells.counts.n_columns;
}

/// One cell; gradients may be null.
template <class T>
T cell_nll(const CountNll<T>& cells, std::int64_t r, const CountNllGradients<T>* gradients) {
  const std::int64_t n = cells.counts.n_columns;
  const auto x = dense_row<T>(cells.counts, r);
  const auto log_rho = log_softmax(cells.scale_logits + r * n, n);
  const std::int64_t theta_row = dispersion_row(cells.log_theta, r, r);
  const T weight = gradients != nullptr && gradients->weights != nullptr ? gradients->weights[r] : T{1};
  std::vector<T> by_log_mu(x.size());
  T nll = 0, sum = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const auto i = static_cast<std::size_t>(j);
    Parameters<T> of{.mu = std::exp(log_rho[i] + cells.library[r]),
                     .log_mu = log_rho[i] + cells.library[r],
                     .theta = 0,
                     .dropout = 0};
    if (cells.likelihood != CountLikelihood::poisson) of.theta = std::exp(cells.log_theta.values[theta_row * n + j]);
    if (cells.likelihood == CountLikelihood::zinb) of.dropout = cells.dropout_logits[r * n + j];
    const Term<T> term = count_term(cells.likelihood, x[i], of);
    nll += std::lgamma(x[i] + 1) - term.log_likelihood;
    by_log_mu[i] = -weight * term.by_log_mu;
    sum += by_log_mu[i];
    if (gradients == nullptr) continue;
    if (cells.likelihood == CountLikelihood::zinb) gradients->dropout_logits[r * n + j] = -weight * term.by_dropout;
    if (cells.likelihood != CountLikelihood::poisson)
      gradients->log_theta[theta_row * n + j] -= weight * term.by_log_theta;
  }
  if (gradients == nullptr) return nll;
  for (std::int64_t j = 0; j < n; ++j) {
    const auto i = static_cast<std::size_t>(j);
    gradients->scale_logits[r * n + j] = by_log_mu[i] - std::exp(log_rho[i]) * sum;
  }
  if (gradients->library != nullptr) gradients->library[r] = sum;
  return nll;
}

}  // namespace

template <class T>
void count_nll(const CountNll<T>& cells, T* nll) {
  for (std::int64_t r = 0; r < cells.counts.n_rows; ++r) nll[r] = cell_nll<T>(cells, r, nullptr);
}

template <class T>
void count_nll(const CountNll<T>& cells, T* nll, const CountNllGradients<T>& gradients) {
  if (cells.likelihood != CountLikelihood::poisson) std::fill_n(gradients.log_theta, dispersion_size(cells), T{0});
  for (std::int64_t r = 0; r < cells.counts.n_rows; ++r) nll[r] = cell_nll(cells, r, &gradients);
}

template <class T>
void count_log_likelihood(const CountMeans<T>& cells, T* log_likelihood) {
  const std::int64_t n = cells.counts.n_columns;
  for (std::int64_t r = 0; r < cells.n_rows; ++r) {
    const std::int64_t count_row = cells.count_row == nullptr ? r : cells.count_row[r];
    const auto x = dense_row<T>(cells.counts, count_row);
    const std::int64_t theta_row = dispersion_row(cells.theta, r, count_row);
    log_likelihood[r] = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      const T mu = cells.mean[r * n + j], count = x[static_cast<std::size_t>(j)];
      Parameters<T> of{.mu = mu, .log_mu = std::log(mu), .theta = 0, .dropout = 0};
      if (cells.likelihood != CountLikelihood::poisson) of.theta = cells.theta.values[theta_row * n + j];
      if (cells.likelihood == CountLikelihood::zinb) of.dropout = cells.dropout_logits[r * n + j];
      log_likelihood[r] += count_term(cells.likelihood, count, of).log_likelihood - std::lgamma(count + 1);
    }
  }
}

template void count_nll(const CountNll<double>&, double*);
template void count_nll(const CountNll<double>&, double*, const CountNllGradients<double>&);
template void count_log_likelihood(const CountMeans<double>&, double*);
template void count_nll(const CountNll<long double>&, long double*);
template void count_nll(const CountNll<long double>&, long double*, const CountNllGradients<long double>&);
template void count_log_likelihood(const CountMeans<long double>&, long double*);

}  // namespace scvi::kernel::plain
