#pragma once

#include <cstdint>

namespace scvi::kernel {

/// What follows the product in a fully-connected layer: batch norm over the rows, ReLU, dropout. Each may be absent.
template <class T>
struct NormReluDropout {
  std::int64_t n_rows = 0;
  std::int64_t n_features = 0;

  bool batch_norm = true;
  /// Batch norm with the statistics of these rows, which then also move the running ones; needs two rows at least.
  /// Otherwise the running statistics are taken as they are.
  bool training = true;
  const T* gamma = nullptr;   ///< (n_features), or null for 1
  const T* beta = nullptr;    ///< (n_features), or null for 0
  T* running_mean = nullptr;  ///< (n_features); in training null means that none are kept
  T* running_var = nullptr;   ///< (n_features), unbiased
  double momentum = 0.01;     ///< weight of these rows in the running statistics
  double eps = 1e-3;          ///< added to the variance

  bool relu = true;

  /// Uniform draws in [0, 1), (n_rows, n_features): an element is kept where its draw is at least `dropout_rate` and
  /// then divided by 1 - dropout_rate. Null for no dropout.
  const float* draws = nullptr;
  double dropout_rate = 0.1;  ///< in [0, 1)
};

/// What the backward pass needs beside the arrays of the forward pass. Both are null without batch norm.
template <class T>
struct NormStatistics {
  T* mean = nullptr;         ///< (n_features), of the rows in training, else the running mean
  T* inverse_std = nullptr;  ///< (n_features), 1 / sqrt(variance + eps)
};

/// Writes y of h, both (n_rows, n_features) and contiguous, and the statistics. Column statistics are added in
/// float64 in the order of the rows. `y` may be `h` where no backward pass follows. NaN stays NaN.
void norm_relu_dropout(const NormReluDropout<float>& layer, const float* h, float* y,
                       const NormStatistics<float>& statistics);

/// Writes dh, and dgamma and dbeta where they are not null, of dy. With ReLU an element passed where y is not zero,
/// whether the ReLU or the dropout stopped it, and the draws are not read again; without it the draws decide.
/// @param h, y, statistics of the forward pass; h is not read without batch norm, nor y without ReLU
/// @param dh may be `dy`
void norm_relu_dropout_backward(const NormReluDropout<float>& layer, const float* h, const float* y,
                                const NormStatistics<float>& statistics, const float* dy, float* dh, float* dgamma,
                                float* dbeta);

}  // namespace scvi::kernel
