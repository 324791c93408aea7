#include <algorithm>
#include <vector>

#include "scvi/kernel/count_nll.hpp"
#include "special_functions.hpp"

namespace scvi::kernel {
namespace {

/// The counts of one cell as a dense row.
template <class T>
std::vector<T> dense_row(const CsrView& counts, std::int64_t row) {
  std::vector<T> x(static_cast<std::size_t>(counts.n_columns), 0);
  for (std::int64_t entry = counts.indptr[row]; entry < counts.indptr[row + 1]; ++entry)
    x[static_cast<std::size_t>(counts.indices[entry])] = static_cast<T>(counts.values[entry]);
  return x;
}

template <class T>
T plain_row(const CountNll<T>& what, std::int64_t row, const CountNllGradients<T>& gradients) {
  const std::int64_t n = what.n_genes;
  const T weight = what.weights == nullptr ? T(1) : what.weights[row];
  T* const scores = what.scale_logits + row * n;
  const std::vector<T> x = dense_row<T>(what.counts, row);
  const std::int64_t table_row = what.dispersion.per_cell              ? row
                                 : what.dispersion.category != nullptr ? what.dispersion.category[row]
                                                                       : 0;
  const T largest = n == 0 ? T(0) : *std::max_element(scores, scores + n);
  std::vector<T> share(static_cast<std::size_t>(n));
  T sum = 0;
  for (std::int64_t gene = 0; gene < n; ++gene) sum += share[gene] = std::exp(scores[gene] - largest);
  T loss = 0;
  T slope_sum = 0;
  for (std::int64_t gene = 0; gene < n; ++gene) {
    share[gene] /= sum;
    const T mu = std::exp(what.library[row]) * share[gene];
    const bool has_theta = what.likelihood != CountLikelihood::poisson;
    const T theta = has_theta ? std::exp(what.dispersion.log_theta[table_row * n + gene]) : T(0);
    const T dropout = what.likelihood == CountLikelihood::zinb ? what.dropout_logits[row * n + gene] : T(0);
    CountTerms<T> terms = x[gene] > 0 ? positive_terms(x[gene], mu, theta, dropout, what.likelihood)
                                      : zero_terms(mu, theta, dropout, what.likelihood);
    if (x[gene] > 0) terms.loss += log_gamma(x[gene] + 1);
    loss += terms.loss;
    slope_sum += terms.slope;
    scores[gene] = terms.slope;
    if (what.likelihood == CountLikelihood::zinb) what.dropout_logits[row * n + gene] = weight * terms.ddropout;
    if (has_theta && gradients.log_theta != nullptr)
      gradients.log_theta[table_row * n + gene] += weight * terms.dtheta;
  }
  for (std::int64_t gene = 0; gene < n; ++gene) scores[gene] = weight * (scores[gene] - share[gene] * slope_sum);
  if (gradients.library != nullptr) gradients.library[row] = weight * slope_sum;
  return loss;
}

}  // namespace

template <class T>
void count_nll_plain(const CountNll<T>& what, T* nll, const CountNllGradients<T>& gradients) {
  if (gradients.log_theta != nullptr) {
    const std::int64_t rows = what.dispersion.per_cell ? what.n_rows : what.dispersion.n_categories;
    std::fill_n(gradients.log_theta, rows * what.n_genes, T(0));
  }
  for (std::int64_t row = 0; row < what.n_rows; ++row) nll[row] = plain_row(what, row, gradients);
}

template void count_nll_plain<float>(const CountNll<float>&, float*, const CountNllGradients<float>&);
template void count_nll_plain<double>(const CountNll<double>&, double*, const CountNllGradients<double>&);

}  // namespace scvi::kernel
