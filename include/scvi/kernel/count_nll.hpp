#pragma once

#include <cstdint>

#include "scvi/kernel/csr_view.hpp"

namespace scvi::kernel {

/// Negative binomial with extra zeros, negative binomial, or Poisson. All in nats, with scVI's eps of 1e-8 in the
/// logarithms of the first two (te = theta + eps, m = mu + eps, s = 1 / (te + mu), p the dropout logit):
///   nb:      theta log(te s) + x log(m s) + lgamma(x + theta) - lgamma(theta) - lgamma(x + 1)
///   zinb:    x = 0: softplus(a) - softplus(-p) with a = theta log(te s) - p;  x > 0: the above - softplus(p)
///   poisson: x log(mu) - mu - lgamma(x + 1)
/// A count of at most 1e-8 is a zero.
enum class CountLikelihood { zinb, nb, poisson };

/// Where a cell finds its row of inverse dispersions.
enum class DispersionRows { shared, by_category, per_cell };

/// One number per gene for every cell, row after row; not read for poisson.
template <class T>
struct Dispersion {
  DispersionRows rows = DispersionRows::shared;
  const T* values = nullptr;               ///< (1, n_categories or n_rows; n_genes), contiguous
  std::int64_t n_categories = 1;           ///< of by_category
  const std::int64_t* category = nullptr;  ///< one per row of the counts, within the categories: not checked
};

/// Cells whose means come out of a decoder: mu = exp(library) softmax(scale_logits). Arrays are contiguous, of
/// n_rows = counts.n_rows cells and n_genes = counts.n_columns genes, with no alignment asked for.
template <class T>
struct CountNll {
  CountLikelihood likelihood = CountLikelihood::zinb;
  CsrView counts;                          ///< whole or fractional
  const double* log_factorials = nullptr;  ///< (n_rows), of log_factorials(); null: computed here
  const T* scale_logits = nullptr;         ///< (n_rows, n_genes)
  const T* dropout_logits = nullptr;       ///< (n_rows, n_genes), of zinb
  const T* library = nullptr;              ///< (n_rows), natural logarithm, up to 60
  Dispersion<T> log_theta = {};
};

/// Gradients of sum_r weights[r] nll[r]. Those of scale_logits, dropout_logits and of a log_theta per cell may be
/// written over these arrays themselves.
template <class T>
struct CountNllGradients {
  const T* weights = nullptr;   ///< (n_rows), or null for 1
  T* scale_logits = nullptr;    ///< (n_rows, n_genes)
  T* dropout_logits = nullptr;  ///< (n_rows, n_genes), of zinb
  T* library = nullptr;         ///< (n_rows), or null where it is not wanted
  T* log_theta = nullptr;       ///< of the shape of log_theta, summed over the cells of a row; of zinb and nb
};

/// Writes nll (n_rows), the negative log-likelihood of each cell summed over its genes in float64: good to 5e-7 of
/// itself. A cell with a parameter that is infinite or not a number gets NaN, in all its gradients too. Finite ones
/// give finite results wherever float64 does: any theta, mu from zero to 1e28 (beyond, it is cut), any counts.
void count_nll(const CountNll<float>& cells, float* nll);

/// The same with the gradients, in one pass over each cell: good to 4e-6 of the largest of a cell, those of a shared
/// log_theta of the largest gene. The sums over cells are cut by the sizes alone and added in a fixed order: the bits
/// do not depend on the number of threads, though they do on the instruction set.
void count_nll(const CountNll<float>& cells, float* nll, const CountNllGradients<float>& gradients);

/// Cells whose means are given, several rows of parameters for one row of counts where there are samples.
template <class T>
struct CountMeans {
  CountLikelihood likelihood = CountLikelihood::zinb;
  CsrView counts;                           ///< whole or fractional
  const double* log_factorials = nullptr;   ///< (counts.n_rows), of log_factorials(); null: computed here
  std::int64_t n_rows = 0;                  ///< of the parameters
  const std::int64_t* count_row = nullptr;  ///< (n_rows), the row of the counts; null: each its own
  const T* mean = nullptr;                  ///< (n_rows, n_genes), >= 0
  const T* dropout_logits = nullptr;        ///< (n_rows, n_genes), of zinb
  Dispersion<T> theta = {};                 ///< > 0; per_cell: (n_rows, n_genes)
};

/// Writes log_likelihood (n_rows), summed over the genes in float64. NaN as for count_nll().
void count_log_likelihood(const CountMeans<float>& cells, float* log_likelihood);

/// Writes sums (n_rows): sum of lgamma(x + 1) over the counts of each row, the part of every likelihood that no
/// parameter changes.
void log_factorials(const CsrView& counts, double* sums);

}  // namespace scvi::kernel
