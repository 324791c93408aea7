#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "scvi/model/vae.hpp"

namespace scvi {

/// Constructor arguments of scVI's LDVAE, with its names and defaults.
struct LdvaeOptions {
  std::int64_t n_input = 0;   ///< genes
  std::int64_t n_batch = 0;   ///< batches; 0 or 1: no batch correction
  std::int64_t n_labels = 0;  ///< labels, for dispersion gene_label
  std::int64_t n_hidden = 128;
  std::int64_t n_latent = 10;
  std::int64_t n_layers_encoder = 1;  ///< of the z encoder; the l encoder has one
  double dropout_rate = 0.1;          ///< of the encoders
  Dispersion dispersion = Dispersion::gene;
  bool log_variational = true;  ///< encode log(1 + x) instead of x
  ReconstructionLoss reconstruction_loss = ReconstructionLoss::nb;
  LatentDistribution latent_distribution = LatentDistribution::normal;
  bool use_batch_norm = true;  ///< in the decoder
  bool bias = false;           ///< of the decoder
};

/// VAE with a linear decoder (Svensson et al. 2020, Bioinformatics 36, 3418): weaker, but each latent variable is a
/// factor with a loading for every gene.
class LDVAE : public VAE {
 public:
  /// @throws InputError for options that cannot work together, as VAE
  /// @param seed of the initial weights
  explicit LDVAE(const LdvaeOptions& options, std::uint64_t seed = 0);

  /// (genes, n_latent) what a step along a latent variable adds to the log frequency of a gene before all are brought
  /// to the sum of 1. Where the decoder has a batch norm, its running scale is part of it.
  at::Tensor get_loadings() const;

  /// The specification under which this model is registered.
  static ModelSpec spec();
};

}  // namespace scvi
