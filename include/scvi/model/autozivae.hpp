#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "scvi/model/vae.hpp"

namespace scvi {

/// Whether a gene is zero-inflated everywhere, in each batch, or in each label.
enum class ZeroInflation { gene, gene_batch, gene_label };

/// Constructor arguments of scVI's AutoZIVAE, with its names and defaults.
struct AutoZiOptions {
  VaeOptions vae = {};  ///< all that VAE takes; reconstruction_loss must stay zinb
  /// Of the Beta prior of a gene's probability not to be zero-inflated, each between 0 and 1. Where one is not given
  /// it is 1 minus the other; where neither is, both are learned.
  std::optional<double> alpha_prior = 0.5;
  std::optional<double> beta_prior = 0.5;
  /// Smallest probability of an extra zero in a gene that is zero-inflated, at least 0 and below 1.
  double minimal_dropout = 0.01;
  ZeroInflation zero_inflation = ZeroInflation::gene;
};

/// Parameters of Beta distributions: (genes), or (genes, batches or labels); of the prior (1), or (1, batches or
/// labels) where it is learned.
struct AlphasBetas {
  at::Tensor alpha_posterior;
  at::Tensor beta_posterior;
  at::Tensor alpha_prior;
  at::Tensor beta_prior;
};

/// VAE that finds out for each gene whether its zeros ask for zero inflation (Clivio et al. 2019, bioRxiv 794875). A
/// variable delta, with a Beta distribution, is the probability that the counts of the gene follow a negative
/// binomial rather than a zero-inflated one. It draws "gamma_x" and "gamma_y" once for all cells of a minibatch,
/// beside VAE's.
class AutoZIVAE : public VAE {
 public:
  /// @throws InputError for options that cannot work together, as VAE
  /// @param seed of the initial parameters
  explicit AutoZIVAE(const AutoZiOptions& options, std::uint64_t seed = 0);

  Elbo forward(const MiniBatch& batch, Noise& noise) override;
  InferenceOutputs inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options = {}) override;
  at::Tensor get_reconstruction_loss(const MiniBatch& batch, const InferenceOutputs& outputs) override;
  /// As sample_bernoulli_params() before cells look theirs up: (genes), or (genes, batches or labels).
  GlobalDraw draw_global(Noise& noise) override;
  /// The reference leaves the loss of this model the sum over all cells, which is what its KL divergence needs and
  /// what sets the scale of its learning rate.
  bool normalizes_loss() const override { return false; }

  AlphasBetas get_alphas_betas() const;
  /// Scalar, KL divergence of delta's posterior from its prior, summed over all genes.
  at::Tensor compute_global_kl_divergence() const;
  /// Logits of dropout probabilities lifted to at least minimal_dropout.
  at::Tensor rescale_dropout(const at::Tensor& px_dropout) const;
  /// (genes) or (genes, batches or labels), float64 on the CPU: q(delta < threshold), the probability that a gene is
  /// zero-inflated.
  at::Tensor zero_inflation_probability(double threshold = 0.5) const;

  ZeroInflation zero_inflation() const { return zero_inflation_; }

  /// The specification under which this model is registered.
  static ModelSpec spec();

 private:
  at::Tensor beta_sample(const std::string& prefix, std::int64_t n_samples, Noise& noise) const;
  /// Batches or labels. @pre zero inflation is not decided by genes alone
  const at::Tensor& category_of(const MiniBatch& batch) const;
  /// Dropout logits of the mixture that the likelihood is. @param bernoulli before cells look theirs up
  at::Tensor likelihood_dropout(const at::Tensor& px_dropout, const at::Tensor& bernoulli,
                                const MiniBatch& batch) const;
  /// What each cell sees of (genes) or (genes, categories), with or without a leading dimension of samples.
  at::Tensor of_cells(const at::Tensor& values, const MiniBatch& batch, bool several) const;

  double minimal_dropout_;
  ZeroInflation zero_inflation_;
  std::optional<double> alpha_prior_, beta_prior_;  ///< unset: learned
  at::Tensor alpha_posterior_logit_, beta_posterior_logit_, alpha_prior_logit_, beta_prior_logit_;
};

/// Logits of the extra zeros of a mixture: with probability `bernoulli` no extra zeros, else extra zeros with these
/// logits. The mixture of a negative binomial and a zero-inflated one is a zero-inflated one with these.
/// @param bernoulli broadcasts against the logits
at::Tensor mixed_dropout(const at::Tensor& logits, const at::Tensor& bernoulli);

}  // namespace scvi
