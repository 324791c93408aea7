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

/// The hyperparameters that options stand for, under scVI's names, and the options that hyperparameters stand for;
/// one that a model does not have stays at its default.
Hyperparameters to_hyperparameters(const VaeOptions& options);
VaeOptions to_vae_options(const DataShape& shape, const Hyperparameters& values);

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
  virtual std::vector<at::Tensor> get_latents(const MiniBatch& batch, Noise& noise);
  /// px_scale of inference().
  at::Tensor get_sample_scale(const MiniBatch& batch, Noise& noise, InferenceOptions options = {});
  /// px_rate of inference().
  at::Tensor get_sample_rate(const MiniBatch& batch, Noise& noise, InferenceOptions options = {});

  const VaeOptions& options() const { return options_; }

  /// The specification under which this model is registered.
  static ModelSpec spec();

 protected:
  /// In what the parts of a descendant differ from VAE's.
  struct Variant {
    std::string name = {};                                ///< of the model's specification
    Hyperparameters hyperparameters = {};                 ///< all of them
    std::string sample_name = "z";                        ///< of the z encoder's draw
    std::vector<std::int64_t> z_encoder_categories = {};  ///< FCLayersOptions::n_cat_list
    std::vector<std::int64_t> decoder_categories = {};    ///< the same
    /// A decoder of another kind; none: VAE's own.
    std::function<std::shared_ptr<CountDecoder>(Initializer&)> make_decoder = {};
  };
  VAE(const VaeOptions& options, std::uint64_t seed, Variant variant);

  /// A draw of both latent variables.
  struct LatentDraws {
    Encoder::Draw z;
    Encoder::Draw l;    ///< the library size, as its logarithm
    at::Tensor hidden;  ///< CountDecoder::hidden() of z, if asked for
  };
  /// What to draw them with.
  struct DrawOptions {
    std::vector<at::Tensor> z_encoder_categories = {};
    bool with_log_density_of_z = false;
    /// Of hidden(), which then takes z.latent's place; none: not asked for.
    std::optional<std::vector<at::Tensor>> decoder_categories = {};
  };

  /// Draws them, and their costs. @param x encoder_input()
  LatentDraws draw_latents(const kernel::LayerInput& x, const MiniBatch& batch, Noise& noise,
                           const DrawOptions& options);
  /// What the encoders read of the counts.
  kernel::LayerInput encoder_input(const kernel::LayerInput& counts) const;
  /// Of cells with these batches and labels.
  DecoderSCVI::Counts count_distribution(const at::Tensor& batch_index, const at::Tensor& labels) const;
  /// inference() for models whose z encoder and decoder see more than VAE's.
  InferenceOutputs infer(const MiniBatch& batch, const std::vector<at::Tensor>& z_encoder_categories,
                         const std::vector<at::Tensor>& further_decoder_categories, Noise& noise,
                         const InferenceOptions& options);

  Encoder& z_encoder() { return *z_encoder_; }
  Encoder& l_encoder() { return *l_encoder_; }
  CountDecoder& decoder() const { return *decoder_; }
  /// Goes on after the parts of VAE with the initial values of a descendant's.
  Initializer& initializer() { return initializer_; }

 private:
  /// Draws z and, unless it is not wanted, the library size.
  void encode(const MiniBatch& batch, const std::vector<at::Tensor>& z_encoder_categories, Noise& noise,
              const InferenceOptions& options, InferenceOutputs& out);
  at::Tensor log_dispersion(const at::Tensor& px_r_of_cells, const at::Tensor& batch_index,
                            const at::Tensor& labels) const;

  VaeOptions options_;
  std::string sample_name_;
  Initializer initializer_;
  at::Tensor px_r_;
  std::shared_ptr<Encoder> z_encoder_;
  std::shared_ptr<Encoder> l_encoder_;
  std::shared_ptr<CountDecoder> decoder_;
};

}  // namespace scvi
