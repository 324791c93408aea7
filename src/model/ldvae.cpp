#include "scvi/model/ldvae.hpp"

#include <utility>

namespace scvi {
namespace {

constexpr const char* kLayers = "n_layers";
constexpr const char* kEncoderLayers = "n_layers_encoder";
constexpr const char* kUseBatchNorm = "use_batch_norm";
constexpr const char* kBias = "bias";

VaeOptions vae_part(const LdvaeOptions& options) {
  return {.n_input = options.n_input,
          .n_batch = options.n_batch,
          .n_labels = options.n_labels,
          .n_hidden = options.n_hidden,
          .n_latent = options.n_latent,
          .n_layers = options.n_layers_encoder,
          .dropout_rate = options.dropout_rate,
          .dispersion = options.dispersion,
          .log_variational = options.log_variational,
          .reconstruction_loss = options.reconstruction_loss,
          .latent_distribution = options.latent_distribution};
}

Hyperparameters to_hyperparameters(const LdvaeOptions& options) {
  Hyperparameters values = scvi::to_hyperparameters(vae_part(options));
  values.erase(kLayers);
  values[kEncoderLayers] = options.n_layers_encoder;
  values[kUseBatchNorm] = options.use_batch_norm;
  values[kBias] = options.bias;
  return values;
}

LdvaeOptions to_options(const DataShape& shape, Hyperparameters values) {
  values[kLayers] = values.at(kEncoderLayers);
  const VaeOptions vae = to_vae_options(shape, values);
  return {.n_input = vae.n_input,
          .n_batch = vae.n_batch,
          .n_labels = vae.n_labels,
          .n_hidden = vae.n_hidden,
          .n_latent = vae.n_latent,
          .n_layers_encoder = vae.n_layers,
          .dropout_rate = vae.dropout_rate,
          .dispersion = vae.dispersion,
          .log_variational = vae.log_variational,
          .reconstruction_loss = vae.reconstruction_loss,
          .latent_distribution = vae.latent_distribution,
          .use_batch_norm = std::get<bool>(values.at(kUseBatchNorm)),
          .bias = std::get<bool>(values.at(kBias))};
}

LinearDecoderOptions decoder_options(const LdvaeOptions& options) {
  return {.n_input = options.n_latent,
          .n_output = options.n_input,
          .n_cat_list = {options.n_batch},
          .use_batch_norm = options.use_batch_norm,
          .bias = options.bias,
          .has_px_r = options.dispersion == Dispersion::gene_cell};
}

}  // namespace

LDVAE::LDVAE(const LdvaeOptions& options, std::uint64_t seed)
    : VAE(vae_part(options), seed,
          {.name = "ldvae",
           .hyperparameters = to_hyperparameters(options),
           .make_decoder = [options](Initializer& initializer) {
             return std::make_shared<LinearDecoderSCVI>(decoder_options(options), initializer);
           }}) {}

at::Tensor LDVAE::get_loadings() const {
  return static_cast<const LinearDecoderSCVI&>(decoder()).loadings();
}

ModelSpec LDVAE::spec() {
  const LdvaeOptions defaults;
  const Hyperparameters values = to_hyperparameters(defaults);
  ModelSpec spec = VAE::spec();
  spec.name = "ldvae";
  spec.reference_name = "LDVAE";
  spec.summary = "VAE with a linear decoder, whose factors can be read (Svensson et al. 2020)";
  for (Hyperparameter& hyperparameter : spec.hyperparameters) {
    if (hyperparameter.name == kLayers) {
      hyperparameter.name = kEncoderLayers;
      hyperparameter.help = "hidden layers of the encoder of z";
    }
    hyperparameter.default_value = values.at(hyperparameter.name);
  }
  spec.hyperparameters.push_back({.name = kUseBatchNorm,
                                  .default_value = defaults.use_batch_norm,
                                  .help = "normalise what the decoder gives over the cells of a minibatch"});
  spec.hyperparameters.push_back(
      {.name = kBias, .default_value = defaults.bias, .help = "give the decoder a constant for each gene"});
  spec.build = [](const DataShape& shape, const Hyperparameters& given,
                  std::uint64_t seed) -> std::shared_ptr<Model> {
    return std::make_shared<LDVAE>(to_options(shape, given), seed);
  };
  return spec;
}

}  // namespace scvi
