#pragma once

#include <cstdint>
#include <span>

#include "scvi/kernel/fused_adam.hpp"
#include "scvi/kernel/latent_sample.hpp"
#include "scvi/kernel/matrix_product.hpp"
#include "scvi/kernel/norm_relu_dropout.hpp"
#include "scvi/kernel/softmax_rows.hpp"
#include "scvi/kernel/sparse_linear.hpp"

/// The layer kernels as plain loops, one number at a time, for float and double: what the fast ones are held against.
/// Arguments and results are those of the functions of the same names.
namespace scvi::kernel::plain {

template <class T>
void matrix_product(const MatrixView<const T>& a, const MatrixView<const T>& b, const T* bias,
                    const MatrixView<T>& out);

template <class T>
void sparse_linear(const SparseLinear<T>& layer, T* y, std::int64_t y_stride);

template <class T>
void sparse_linear_weight_gradient(const CsrView& x, const T* dy, std::int64_t dy_stride, std::int64_t n_out,
                                   T* dweight, std::int64_t dweight_stride);

template <class T>
void category_rows_gradient(const std::int64_t* index, std::int64_t n_rows, std::int64_t n_categories, const T* dy,
                            std::int64_t dy_stride, std::int64_t n_out, T* dweight, std::int64_t dweight_stride);

template <class T>
void column_sums(const T* dy, std::int64_t n_rows, std::int64_t dy_stride, std::int64_t n_out, T* sums);

template <class T>
void norm_relu_dropout(const NormReluDropout<T>& layer, const T* h, T* y, const NormStatistics<T>& statistics);

template <class T>
void norm_relu_dropout_backward(const NormReluDropout<T>& layer, const T* h, const T* y,
                                const NormStatistics<T>& statistics, const T* dy, T* dh, T* dgamma, T* dbeta);

template <class T>
void latent_sample(const LatentSample<T>& latent, T* variance, T* z, T* kl);

template <class T>
void latent_sample_backward(const LatentSample<T>& latent, const T* dz, const T* dkl, T* dmean, T* draw_variance);

template <class T>
void softmax_rows(const SoftmaxRows<T>& rows);

template <class T>
void fused_adam(std::span<const AdamBuffer<T>> buffers, std::int64_t step, const AdamSettings& settings);

}  // namespace scvi::kernel::plain
