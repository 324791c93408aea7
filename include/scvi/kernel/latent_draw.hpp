#pragma once

#include <ATen/core/Tensor.h>

namespace scvi::kernel {

/// A draw from the posteriors of some cells and its divergence from the prior.
struct LatentDraw {
  at::Tensor z;   ///< (cells, n_latent) mean + sqrt(variance) noise
  at::Tensor kl;  ///< (cells) KL(Normal(mean, variance) || prior), summed over the dimensions, in nats
  at::Tensor
      log_density;  ///< (cells) log of Normal(mean, variance) at z, summed likewise; undefined if not asked for
};

/// The heads of an encoder, or of a decoder of latent variables, and what is drawn against.
struct LatentHeads {
  at::Tensor mean_weight, mean_bias;          ///< (n_latent, hidden), (n_latent)
  at::Tensor variance_weight, variance_bias;  ///< the same; variance = exp(head) + variance_floor
  double variance_floor = 0;
  at::Tensor prior_mean = {}, prior_variance = {};  ///< (cells, 1), for every dimension; undefined: Normal(0, 1)
};

/// Whether settings() ask for the fused road and everything is contiguous float32 on the CPU.
bool can_fuse(const at::Tensor& hidden, const LatentHeads& heads);

/// Heads, draw and divergence in one operation, differentiable in `hidden`, weights and biases.
/// @param hidden (cells, hidden)
/// @param noise (cells, n_latent)
/// @pre can_fuse(hidden, heads)
LatentDraw latent_draw(const at::Tensor& hidden, const LatentHeads& heads, const at::Tensor& noise,
                       bool with_log_density = false);

/// (cells) log of Normal(mean, variance) at z, summed over the dimensions, in nats; differentiable in z, too.
/// @param z (cells, n_latent) contiguous float32 on the CPU
/// @pre can_fuse(hidden, heads)
at::Tensor latent_log_density(const at::Tensor& z, const at::Tensor& hidden, const LatentHeads& heads);

}  // namespace scvi::kernel
