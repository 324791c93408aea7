#pragma once

#include <cstdint>

namespace scvi::kernel {

/// Draws from normal posteriors and their divergence from the prior, for n_rows cells and n_latent dimensions; all
/// arrays are contiguous.
template <class T>
struct LatentSample {
  std::int64_t n_rows = 0;
  std::int64_t n_latent = 0;
  const T* mean = nullptr;          ///< (n_rows, n_latent)
  const T* raw_variance = nullptr;  ///< (n_rows, n_latent): the variance is exp(raw) + variance_floor
  const T* noise = nullptr;         ///< (n_rows, n_latent), draws of Normal(0, 1)
  double variance_floor = 1e-4;
  /// The prior of a row, the same for all its dimensions: both (n_rows), or both null for Normal(0, 1).
  const T* prior_mean = nullptr;
  const T* prior_variance = nullptr;
};

/// Writes the variance and the sample z = mean + sqrt(variance) noise, (n_rows, n_latent) both, and
/// kl (n_rows) = KL(Normal(mean, variance) || prior) summed over the dimensions, in nats.
void latent_sample(const LatentSample<float>& latent, float* variance, float* z, float* kl);

/// Writes the gradients of mean and raw_variance, (n_rows, n_latent) both, of dz (n_rows, n_latent) and dkl (n_rows);
/// either may be null for zero.
void latent_sample_backward(const LatentSample<float>& latent, const float* dz, const float* dkl, float* dmean,
                            float* draw_variance);

}  // namespace scvi::kernel
