#include "scvi/kernel/plain_layers.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace scvi::kernel::plain {
namespace {

template <class T>
void add_scaled_row(const T* row, T scale, std::int64_t n, T* sum) {
  for (std::int64_t j = 0; j < n; ++j) sum[j] += scale * row[j];
}

template <class T>
T dropout_scale(const NormReluDropout<T>& layer) {
  return layer.draws == nullptr ? T{1} : static_cast<T>(1 / (1 - layer.dropout_rate));
}

template <class T>
bool is_kept(const NormReluDropout<T>& layer, std::int64_t i) {
  return layer.draws == nullptr || layer.draws[i] >= static_cast<float>(layer.dropout_rate);
}

/// Mean and variance of feature j: of the rows in training, when they also move the running ones.
template <class T>
void take_statistics(const NormReluDropout<T>& layer, const T* h, std::int64_t j, const NormStatistics<T>& out) {
  double mean = 0, squares = 0;
  const auto n = static_cast<double>(layer.n_rows);
  if (!layer.training) {
    out.mean[j] = layer.running_mean[j];
    out.inverse_std[j] = static_cast<T>(1 / std::sqrt(static_cast<double>(layer.running_var[j]) + layer.eps));
    return;
  }
  for (std::int64_t r = 0; r < layer.n_rows; ++r) mean += h[r * layer.n_features + j];
  mean /= n;
  for (std::int64_t r = 0; r < layer.n_rows; ++r) {
    const double deviation = h[r * layer.n_features + j] - mean;
    squares += deviation * deviation;
  }
  out.mean[j] = static_cast<T>(mean);
  out.inverse_std[j] = static_cast<T>(1 / std::sqrt(squares / n + layer.eps));
  if (layer.running_mean == nullptr) return;
  const double keep = 1 - layer.momentum;
  layer.running_mean[j] = static_cast<T>(layer.momentum * mean + keep * layer.running_mean[j]);
  layer.running_var[j] = static_cast<T>(layer.momentum * (squares / (n - 1)) + keep * layer.running_var[j]);
}

}  // namespace

template <class T>
void matrix_product(const MatrixView<const T>& a, const MatrixView<const T>& b, const T* bias,
                    const MatrixView<T>& out) {
  for (std::int64_t row = 0; row < out.n_rows; ++row) {
    for (std::int64_t column = 0; column < out.n_columns; ++column) {
      T sum = bias == nullptr ? T{0} : bias[column];
      for (std::int64_t k = 0; k < a.n_columns; ++k) {
        sum += a.data[row * a.row_stride + k * a.column_stride] * b.data[k * b.row_stride + column * b.column_stride];
      }
      out.data[row * out.row_stride + column * out.column_stride] = sum;
    }
  }
}

template <class T>
void sparse_linear(const SparseLinear<T>& layer, T* y, std::int64_t y_stride) {
  for (std::int64_t r = 0; r < layer.x.n_rows; ++r) {
    T* row = y + r * y_stride;
    for (std::int64_t j = 0; j < layer.n_out; ++j) row[j] = layer.bias == nullptr ? T{0} : layer.bias[j];
    for (const auto& category : layer.categories)
      add_scaled_row(category.weight + category.index[r] * category.weight_stride, T{1}, layer.n_out, row);
    for (std::int64_t i = layer.x.indptr[r]; i < layer.x.indptr[r + 1]; ++i)
      add_scaled_row(layer.weight + layer.x.indices[i] * layer.weight_stride, static_cast<T>(layer.x.values[i]),
                     layer.n_out, row);
  }
}

template <class T>
void sparse_linear_weight_gradient(const CsrView& x, const T* dy, std::int64_t dy_stride, std::int64_t n_out,
                                   T* dweight, std::int64_t dweight_stride) {
  for (std::int64_t g = 0; g < x.n_columns; ++g) std::fill_n(dweight + g * dweight_stride, n_out, T{0});
  for (std::int64_t r = 0; r < x.n_rows; ++r)
    for (std::int64_t i = x.indptr[r]; i < x.indptr[r + 1]; ++i)
      add_scaled_row(dy + r * dy_stride, static_cast<T>(x.values[i]), n_out, dweight + x.indices[i] * dweight_stride);
}

template <class T>
void category_rows_gradient(const std::int64_t* index, std::int64_t n_rows, std::int64_t n_categories, const T* dy,
                            std::int64_t dy_stride, std::int64_t n_out, T* dweight, std::int64_t dweight_stride) {
  for (std::int64_t c = 0; c < n_categories; ++c) std::fill_n(dweight + c * dweight_stride, n_out, T{0});
  for (std::int64_t r = 0; r < n_rows; ++r)
    add_scaled_row(dy + r * dy_stride, T{1}, n_out, dweight + index[r] * dweight_stride);
}

template <class T>
void column_sums(const T* dy, std::int64_t n_rows, std::int64_t dy_stride, std::int64_t n_out, T* sums) {
  for (std::int64_t j = 0; j < n_out; ++j) {
    double sum = 0;
    for (std::int64_t r = 0; r < n_rows; ++r) sum += dy[r * dy_stride + j];
    sums[j] = static_cast<T>(sum);
  }
}

template <class T>
void norm_relu_dropout(const NormReluDropout<T>& layer, const T* h, T* y, const NormStatistics<T>& statistics) {
  for (std::int64_t j = 0; j < layer.n_features; ++j) {
    if (layer.batch_norm) take_statistics(layer, h, j, statistics);
    for (std::int64_t i = j; i < layer.n_rows * layer.n_features; i += layer.n_features) {
      T value = h[i];
      if (layer.batch_norm) {
        const T gamma = layer.gamma == nullptr ? T{1} : layer.gamma[j];
        const T beta = layer.beta == nullptr ? T{0} : layer.beta[j];
        value = (value - statistics.mean[j]) * (statistics.inverse_std[j] * gamma) + beta;
      }
      if (layer.relu && value <= 0) value = 0;
      y[i] = is_kept(layer, i) ? value * dropout_scale(layer) : T{0};
    }
  }
}

template <class T>
void norm_relu_dropout_backward(const NormReluDropout<T>& layer, const T* h, const T* y,
                                const NormStatistics<T>& statistics, const T* dy, T* dh, T* dgamma, T* dbeta) {
  const std::int64_t end = layer.n_rows * layer.n_features;
  for (std::int64_t j = 0; j < layer.n_features; ++j) {
    double sum = 0, product_sum = 0;
    for (std::int64_t i = j; i < end; i += layer.n_features) {
      const bool passed = layer.relu ? !(y[i] <= 0) : is_kept(layer, i);
      dh[i] = passed ? dy[i] * dropout_scale(layer) : T{0};
      if (!layer.batch_norm) continue;
      sum += dh[i];
      product_sum += static_cast<double>(dh[i]) * (h[i] - statistics.mean[j]) * statistics.inverse_std[j];
    }
    if (!layer.batch_norm) continue;
    if (dbeta != nullptr) dbeta[j] = static_cast<T>(sum);
    if (dgamma != nullptr) dgamma[j] = static_cast<T>(product_sum);
    const T slope = statistics.inverse_std[j] * (layer.gamma == nullptr ? T{1} : layer.gamma[j]);
    const auto share = layer.training ? 1 / static_cast<double>(layer.n_rows) : 0.0;
    for (std::int64_t i = j; i < end; i += layer.n_features) {
      const T normalised = (h[i] - statistics.mean[j]) * statistics.inverse_std[j];
      dh[i] = slope * (dh[i] - static_cast<T>(sum * share) - normalised * static_cast<T>(product_sum * share));
    }
  }
}

template <class T>
void latent_sample(const LatentSample<T>& latent, T* variance, T* z, T* kl) {
  for (std::int64_t r = 0; r < latent.n_rows; ++r) {
    const T prior_mean = latent.prior_mean == nullptr ? T{0} : latent.prior_mean[r];
    const T prior_variance = latent.prior_variance == nullptr ? T{1} : latent.prior_variance[r];
    T sum = 0;
    for (std::int64_t i = r * latent.n_latent; i < (r + 1) * latent.n_latent; ++i) {
      variance[i] = std::exp(latent.raw_variance[i]) + static_cast<T>(latent.variance_floor);
      z[i] = latent.mean[i] + std::sqrt(variance[i]) * latent.noise[i];
      const T distance = latent.mean[i] - prior_mean;
      const T ratio = variance[i] / prior_variance;
      sum += T{0.5} * (ratio + distance * distance / prior_variance - 1 - std::log(ratio));
    }
    kl[r] = sum;
  }
}

template <class T>
void latent_sample_backward(const LatentSample<T>& latent, const T* dz, const T* dkl, T* dmean, T* draw_variance) {
  for (std::int64_t r = 0; r < latent.n_rows; ++r) {
    const T prior_mean = latent.prior_mean == nullptr ? T{0} : latent.prior_mean[r];
    const T prior_variance = latent.prior_variance == nullptr ? T{1} : latent.prior_variance[r];
    const T row_dkl = dkl == nullptr ? T{0} : dkl[r];
    for (std::int64_t i = r * latent.n_latent; i < (r + 1) * latent.n_latent; ++i) {
      const T exponential = std::exp(latent.raw_variance[i]);
      const T variance = exponential + static_cast<T>(latent.variance_floor);
      const T element_dz = dz == nullptr ? T{0} : dz[i];
      dmean[i] = element_dz + row_dkl * (latent.mean[i] - prior_mean) / prior_variance;
      const T dvariance = T{0.5} * (element_dz * latent.noise[i] / std::sqrt(variance) +
                                    row_dkl * (1 / prior_variance - 1 / variance));
      draw_variance[i] = dvariance * exponential;
    }
  }
}

template <class T>
void softmax_rows(const SoftmaxRows<T>& rows) {
  for (std::int64_t row = 0; row < rows.n_rows; ++row) {
    const T* logits = rows.logits + row * rows.n_columns;
    T* scale = rows.scale + row * rows.n_columns;
    const T largest = *std::max_element(logits, logits + rows.n_columns);
    T sum = 0;
    for (std::int64_t j = 0; j < rows.n_columns; ++j) sum += scale[j] = std::exp(logits[j] - largest);
    for (std::int64_t j = 0; j < rows.n_columns; ++j) scale[j] /= sum;
    if (rows.rate == nullptr) continue;
    const T factor = std::exp(rows.log_factor[row]);
    for (std::int64_t j = 0; j < rows.n_columns; ++j) rows.rate[row * rows.n_columns + j] = factor * scale[j];
  }
}

template <class T>
void fused_adam(std::span<const AdamBuffer<T>> buffers, std::int64_t step, const AdamSettings& settings) {
  const double correction1 = 1 - std::pow(settings.beta1, static_cast<double>(step));
  const double correction2 = 1 - std::pow(settings.beta2, static_cast<double>(step));
  const auto beta1 = static_cast<T>(settings.beta1);
  const auto beta2 = static_cast<T>(settings.beta2);
  const auto rest1 = static_cast<T>(1 - settings.beta1);
  const auto rest2 = static_cast<T>(1 - settings.beta2);
  const auto decay = static_cast<T>(settings.weight_decay);
  const auto eps = static_cast<T>(settings.eps);
  const auto root_scale = static_cast<T>(1 / std::sqrt(correction2));
  const auto rate = static_cast<T>(settings.lr / correction1);
  for (const AdamBuffer<T>& buffer : buffers) {
    T* p = buffer.parameter;
    T* m = buffer.first_moment;
    T* v = buffer.second_moment;
    for (std::int64_t i = 0; i < buffer.size; ++i) {
      const T g = buffer.gradient[i] + decay * p[i];
      m[i] = beta1 * m[i] + rest1 * g;
      v[i] = beta2 * v[i] + rest2 * g * g;
      p[i] -= rate * m[i] / (std::sqrt(v[i]) * root_scale + eps);
    }
  }
}

template void matrix_product(const MatrixView<const float>&, const MatrixView<const float>&, const float*,
                             const MatrixView<float>&);
template void matrix_product(const MatrixView<const double>&, const MatrixView<const double>&, const double*,
                             const MatrixView<double>&);
template void sparse_linear(const SparseLinear<float>&, float*, std::int64_t);
template void sparse_linear(const SparseLinear<double>&, double*, std::int64_t);
template void sparse_linear_weight_gradient(const CsrView&, const float*, std::int64_t, std::int64_t, float*,
                                            std::int64_t);
template void sparse_linear_weight_gradient(const CsrView&, const double*, std::int64_t, std::int64_t, double*,
                                            std::int64_t);
template void category_rows_gradient(const std::int64_t*, std::int64_t, std::int64_t, const float*, std::int64_t,
                                     std::int64_t, float*, std::int64_t);
template void category_rows_gradient(const std::int64_t*, std::int64_t, std::int64_t, const double*, std::int64_t,
                                     std::int64_t, double*, std::int64_t);
template void column_sums(const float*, std::int64_t, std::int64_t, std::int64_t, float*);
template void column_sums(const double*, std::int64_t, std::int64_t, std::int64_t, double*);
template void norm_relu_dropout(const NormReluDropout<float>&, const float*, float*, const NormStatistics<float>&);
template void norm_relu_dropout(const NormReluDropout<double>&, const double*, double*,
                                const NormStatistics<double>&);
template void norm_relu_dropout_backward(const NormReluDropout<float>&, const float*, const float*,
                                         const NormStatistics<float>&, const float*, float*, float*, float*);
template void norm_relu_dropout_backward(const NormReluDropout<double>&, const double*, const double*,
                                         const NormStatistics<double>&, const double*, double*, double*, double*);
template void latent_sample(const LatentSample<float>&, float*, float*, float*);
template void latent_sample(const LatentSample<double>&, double*, double*, double*);
template void latent_sample_backward(const LatentSample<float>&, const float*, const float*, float*, float*);
template void latent_sample_backward(const LatentSample<double>&, const double*, const double*, double*, double*);
template void softmax_rows(const SoftmaxRows<float>&);
template void softmax_rows(const SoftmaxRows<double>&);
template void fused_adam(std::span<const AdamBuffer<float>>, std::int64_t, const AdamSettings&);
template void fused_adam(std::span<const AdamBuffer<double>>, std::int64_t, const AdamSettings&);

}  // namespace scvi::kernel::plain
