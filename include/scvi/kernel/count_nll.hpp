#pragma once

#include <cstdint>

#include "scvi/kernel/csr_view.hpp"

namespace scvi::kernel {

/// Distributions of counts; the formulas are those of distribution/count.hpp.
enum class CountLikelihood { zinb, nb, poisson };

/// Logarithms of inverse dispersions, in whichever form a model has them.
template <class T>
struct DispersionTable {
  const T* log_theta = nullptr;  ///< (n_categories, n_genes); for per_cell (n_rows, n_genes)
  std::int64_t n_categories = 1;
  const std::int64_t* category = nullptr;  ///< (n_rows) which row of the table a cell takes; null: the first
  bool per_cell = false;                   ///< every cell has a row of its own
};

/// Minus log p(counts) of some cells, from what the heads of a decoder give.
template <class T>
struct CountNll {
  CountLikelihood likelihood = CountLikelihood::zinb;
  std::int64_t n_rows = 0;
  std::int64_t n_genes = 0;
  /// (n_rows, n_genes), contiguous: the mean of a count is exp(library) softmax(scale_logits). Becomes the gradient.
  T* scale_logits = nullptr;
  /// (n_rows, n_genes) logits of an extra zero, zinb only. Becomes the gradient.
  T* dropout_logits = nullptr;
  const T* library = nullptr;          ///< (n_rows) natural logarithms
  DispersionTable<T> dispersion = {};  ///< not for poisson
  CsrView counts = {};                 ///< (n_rows, n_genes), whole numbers or not, none negative
  /// (n_rows) weights of the cells in the gradients; null: all 1. The losses themselves are not weighted.
  const T* weights = nullptr;
};

/// Gradients that do not take the place of an input, each written whole; null where not wanted.
template <class T>
struct CountNllGradients {
  T* library = nullptr;    ///< (n_rows)
  T* log_theta = nullptr;  ///< shaped as the table
};

/// Writes the losses nll (n_rows), in nats, and the gradients of sum(weights * nll), all in one pass. The same bits
/// for any number of threads. Where theta grows beyond all counts the negative binomial turns into its Poisson limit;
/// NaN or infinite input gives NaN. Within 1e-6 of the loss of float64 per cell, and 1e-5 of the largest gradient of
/// the row.
void count_nll(const CountNll<float>& what, float* nll, const CountNllGradients<float>& gradients);

/// The losses alone; logits are left as they are.
void count_nll_only(const CountNll<float>& what, float* nll);

/// log p(counts) per cell where the means themselves are given.
template <class T>
struct CountLogLikelihood {
  CountLikelihood likelihood = CountLikelihood::zinb;
  std::int64_t n_rows = 0;
  std::int64_t n_genes = 0;
  const T* mean = nullptr;            ///< (n_rows, n_genes)
  const T* theta = nullptr;           ///< (n_theta_rows, n_genes) inverse dispersions
  std::int64_t n_theta_rows = 1;      ///< cell r takes row r modulo this
  const T* dropout_logits = nullptr;  ///< (n_rows, n_genes), zinb only
  CsrView counts = {};  ///< its row r modulo its number of rows is that of row r (samples of the same cells)
};

/// Writes log p (n_rows).
void count_log_likelihood(const CountLogLikelihood<float>& what, float* log_likelihood);

/// The same written down plainly, with lgamma and digamma, in the precision of T: what the kernels are held against.
template <class T>
void count_nll_plain(const CountNll<T>& what, T* nll, const CountNllGradients<T>& gradients);

}  // namespace scvi::kernel
