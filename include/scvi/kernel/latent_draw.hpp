#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// A draw from the posteriors of some cells and its divergence from the prior.
struct LatentDraw {
  at::Tensor z;   ///< (cells, n_latent) mean + sqrt(variance) noise
  at::Tensor kl;  ///< (cells) KL(Normal(mean, variance) || prior), summed over the dimensions, in nats
};

/// Both in one operation, differentiable in mean and raw_variance; the variance is exp(raw_variance) +
/// variance_floor.
/// @param mean,raw_variance,noise (cells, n_latent)
/// @param prior_mean,prior_variance (cells, 1), for every dimension; both undefined for Normal(0, 1)
/// @pre can_fuse_latent_draw() of the same
LatentDraw latent_draw(const at::Tensor& mean, const at::Tensor& raw_variance, const at::Tensor& noise,
                       double variance_floor, const at::Tensor& prior_mean, const at::Tensor& prior_variance);

/// Whether settings() ask for the fused road and everything is contiguous float32 on the CPU.
bool can_fuse_latent_draw(const at::Tensor& mean, const at::Tensor& raw_variance, const at::Tensor& prior_mean,
                          const at::Tensor& prior_variance);

}  // namespace scvi::kernel
