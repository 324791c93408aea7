#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "scvi/model/model.hpp"
#include "scvi/module/decoder.hpp"
#include "scvi/module/encoder.hpp"

namespace scvi {

/// How many inverse dispersions there are.
enum class Dispersion { gene, gene_batch, gene_label, gene_cell };

/// Distribution of the counts.
using ReconstructionLoss = kernel::CountLikelihood;

/// Constructor arguments of scVI's VAE, with its names and defaults.
struct VaeOptions {
  std::int64_t n_input = 0;   ///< genes
  std::int64_t n_batch = 0;   ///< batches; 0 or 1: no batch correction
  std::int64_t n_labels = 0;  ///< labels, for dispersion gene_label
  std::int64_t n_hidden = 128;
  std::int64_t n_latent = 10;
  std::int64_t n_layers = 1;  ///< of the z encoder and the decoder; the l encoder has one
  double dropout_rate = 0.1;  ///< of the encoders
  Dispersion dispersion = Dispersion::gene;
  bool log_variational = true;  ///< encode log(1 + x) instead of x
  ReconstructionLoss reconstruction_loss = ReconstructionLoss::zinb;
  LatentDistribution latent_distribution = LatentDistribution::normal;
};

/// Variational auto-encoder of single-cell counts (Lopez et al. 2018, Nature Methods 15, 1053): a latent cell state z
/// and library size l per cell; the decoder sees z and the batch.
class VAE : public Model {
 public:
  /// @throws InputError for options that cannot work together, e.g. dispersion gene_batch without batches
  /// @param seed of the initial weights
  explicit VAE(const VaeOptions& options, std::uint64_t seed = 0);

  Elbo forward(const MiniBatch& batch, Noise& noise) override;
  InferenceOutputs inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options = {}) override;
  at::Tensor get_reconstruction_loss(const MiniBatch& batch, const InferenceOutputs& outputs) override;
  at::Tensor sample_from_posterior_z(const MiniBatch& batch, Noise& noise, bool give_mean,
                                     std::int64_t n_samples = 5000) override;
  at::Tensor sample_from_posterior_l(const MiniBatch& batch, Noise& noise, bool give_mean = false) override;

  /// A sample of z in a list of one, as the reference has it.
  std::vector<at::Tensor> get_latents(const MiniBatch& batch, Noise& noise);
  /// px_scale of inference().
  at::Tensor get_sample_scale(const MiniBatch& batch, Noise& noise, InferenceOptions options = {});
  /// px_rate of inference().
  at::Tensor get_sample_rate(const MiniBatch& batch, Noise& noise, InferenceOptions options = {});

  const VaeOptions& options() const { return options_; }

  /// The specification under which this model is registered.
  static ModelSpec spec();

 protected:
  using MakeDecoder = std::function<std::shared_ptr<CountDecoder>(Initializer&)>;

  /// A model of this kind under another name and with another decoder.
  VAE(std::string name, const VaeOptions& options, Hyperparameters hyperparameters, std::uint64_t seed,
      const MakeDecoder& make_decoder);
  /// VAE's own decoder.
  static MakeDecoder scvi_decoder(const VaeOptions& options);
  CountDecoder& decoder() const { return *decoder_; }
  /// How the counts of these cells are distributed around what the decoder says.
  virtual CountDecoder::Counts count_distribution(const MiniBatch& batch, Noise& noise) const;

 private:
  /// What the encoders read of the counts.
  kernel::LayerInput encoder_input(const kernel::LayerInput& counts) const;
  at::Tensor log_dispersion(const at::Tensor& px_r_of_cells, const at::Tensor& batch_index,
                            const at::Tensor& labels) const;

  VaeOptions options_;
  at::Tensor px_r_;
  std::shared_ptr<Encoder> z_encoder_;
  std::shared_ptr<Encoder> l_encoder_;
  std::shared_ptr<CountDecoder> decoder_;
};

}  // namespace scvi
