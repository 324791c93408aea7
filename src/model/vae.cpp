#include "scvi/model/vae.hpp"

#include <ATen/ATen.h>

#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/distribution/count.hpp"
#include "scvi/distribution/divergence.hpp"
#include "scvi/kernel/branches.hpp"
#include "scvi/kernel/count_heads.hpp"
#include "scvi/kernel/fully_connected.hpp"
#include "scvi/kernel/mean_loss.hpp"
#include "scvi/kernel/threads.hpp"

namespace scvi {
namespace {

template <class Enum>
using Names = std::vector<std::pair<Enum, std::string>>;

const Names<Dispersion> kDispersions = {{Dispersion::gene, "gene"},
                                        {Dispersion::gene_batch, "gene-batch"},
                                        {Dispersion::gene_label, "gene-label"},
                                        {Dispersion::gene_cell, "gene-cell"}};
const Names<ReconstructionLoss> kReconstructionLosses = {
    {ReconstructionLoss::zinb, "zinb"}, {ReconstructionLoss::nb, "nb"}, {ReconstructionLoss::poisson, "poisson"}};
const Names<LatentDistribution> kLatentDistributions = {{LatentDistribution::normal, "normal"},
                                                        {LatentDistribution::ln, "ln"}};

template <class Enum>
std::vector<std::string> words(const Names<Enum>& names) {
  std::vector<std::string> result;
  for (const auto& [value, word] : names) result.push_back(word);
  return result;
}

template <class Enum>
std::string word_of(const Names<Enum>& names, Enum wanted) {
  for (const auto& [value, word] : names) {
    if (value == wanted) return word;
  }
  return {};
}

/// @pre the word is among the names: complete_hyperparameters() has seen to it
template <class Enum>
Enum value_of(const Names<Enum>& names, const std::string& wanted) {
  for (const auto& [value, word] : names) {
    if (word == wanted) return value;
  }
  throw InputError({.problem = "'" + wanted + "' is not known", .field = "hyperparameter"});
}

void check(const VaeOptions& options) {
  const auto refuse = [](const char* field, std::string problem, std::string remedy) {
    throw InputError({.problem = std::move(problem), .field = field, .remedy = std::move(remedy)});
  };
  if (options.n_input < 1) refuse("n_input", "must be at least one gene", "");
  if (options.dispersion == Dispersion::gene_batch && options.n_batch < 1) {
    refuse("dispersion", "is gene-batch, but there are no batches", "name the batch column with --batch-key");
  }
  if (options.dispersion == Dispersion::gene_label && options.n_labels < 1) {
    refuse("dispersion", "is gene-label, but there are no labels", "name the label column with --labels-key");
  }
}

/// Columns of px_r (genes, n) chosen by index: (cells, genes).
at::Tensor chosen_columns(const at::Tensor& px_r, const at::Tensor& index) {
  return rows_of_categories(px_r.t(), index);
}

}  // namespace

Hyperparameters to_hyperparameters(const VaeOptions& options) {
  return {{"n_hidden", options.n_hidden},
          {"n_latent", options.n_latent},
          {"n_layers", options.n_layers},
          {"dropout_rate", options.dropout_rate},
          {"dispersion", word_of(kDispersions, options.dispersion)},
          {"log_variational", options.log_variational},
          {"reconstruction_loss", word_of(kReconstructionLosses, options.reconstruction_loss)},
          {"latent_distribution", word_of(kLatentDistributions, options.latent_distribution)}};
}

VaeOptions to_vae_options(const DataShape& shape, const Hyperparameters& values) {
  const auto whole = [&](const char* name) { return std::get<std::int64_t>(values.at(name)); };
  const auto word = [&](const char* name) { return std::get<std::string>(values.at(name)); };
  return {.n_input = shape.n_input,
          .n_batch = shape.n_batch,
          .n_labels = shape.n_labels,
          .n_hidden = whole("n_hidden"),
          .n_latent = whole("n_latent"),
          .n_layers = whole("n_layers"),
          .dropout_rate = std::get<double>(values.at("dropout_rate")),
          .dispersion = value_of(kDispersions, word("dispersion")),
          .log_variational = std::get<bool>(values.at("log_variational")),
          .reconstruction_loss = value_of(kReconstructionLosses, word("reconstruction_loss")),
          .latent_distribution = values.contains("latent_distribution")
                                     ? value_of(kLatentDistributions, word("latent_distribution"))
                                     : LatentDistribution::normal};
}

VAE::VAE(const VaeOptions& options, std::uint64_t seed)
    : VAE(options, seed,
          {.name = "vae", .hyperparameters = to_hyperparameters(options), .decoder_categories = {options.n_batch}}) {}

VAE::VAE(const VaeOptions& options, std::uint64_t seed, Variant variant)
    : Model(std::move(variant.name), {options.n_input, options.n_batch, options.n_labels},
            std::move(variant.hyperparameters)),
      options_(options),
      sample_name_(std::move(variant.sample_name)),
      initializer_(seed) {
  check(options);
  kernel::use_own_threads();
  switch (options.dispersion) {
    case Dispersion::gene:
      px_r_ = register_parameter("px_r", initializer_.standard_normal({options.n_input}));
      break;
    case Dispersion::gene_batch:
      px_r_ = register_parameter("px_r", initializer_.standard_normal({options.n_input, options.n_batch}));
      break;
    case Dispersion::gene_label:
      px_r_ = register_parameter("px_r", initializer_.standard_normal({options.n_input, options.n_labels}));
      break;
    case Dispersion::gene_cell:
      break;
  }
  z_encoder_ = register_module(
      "z_encoder", std::make_shared<Encoder>(EncoderOptions{.n_input = options.n_input,
                                                            .n_output = options.n_latent,
                                                            .n_cat_list = std::move(variant.z_encoder_categories),
                                                            .n_layers = options.n_layers,
                                                            .n_hidden = options.n_hidden,
                                                            .dropout_rate = options.dropout_rate,
                                                            .distribution = options.latent_distribution,
                                                            .noise_name = "z_encoder",
                                                            .sample_name = sample_name_},
                                             initializer_));
  l_encoder_ = register_module("l_encoder",
                               std::make_shared<Encoder>(EncoderOptions{.n_input = options.n_input,
                                                                        .n_output = 1,
                                                                        .n_layers = 1,
                                                                        .n_hidden = options.n_hidden,
                                                                        .dropout_rate = options.dropout_rate,
                                                                        .distribution = LatentDistribution::normal,
                                                                        .noise_name = "l_encoder",
                                                                        .sample_name = "l"},
                                                         initializer_));
  if (variant.make_decoder) {
    decoder_ = register_module("decoder", variant.make_decoder(initializer_));
    return;
  }
  decoder_ = register_module(
      "decoder", std::make_shared<DecoderSCVI>(DecoderOptions{.n_input = options.n_latent,
                                                              .n_output = options.n_input,
                                                              .n_cat_list = std::move(variant.decoder_categories),
                                                              .n_layers = options.n_layers,
                                                              .n_hidden = options.n_hidden},
                                               initializer_));
}

kernel::LayerInput VAE::encoder_input(const kernel::LayerInput& counts) const {
  return options_.log_variational ? log1p(counts) : counts;
}

at::Tensor VAE::log_dispersion(const at::Tensor& px_r_of_cells, const at::Tensor& batch_index,
                               const at::Tensor& labels) const {
  switch (options_.dispersion) {
    case Dispersion::gene_batch:
      return chosen_columns(px_r_, batch_index);
    case Dispersion::gene_label:
      return chosen_columns(px_r_, labels);
    case Dispersion::gene_cell:
      return px_r_of_cells;
    case Dispersion::gene:
      break;
  }
  return px_r_;
}

InferenceOutputs VAE::inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options) {
  return infer(batch, {}, {}, noise, options);
}

void VAE::encode(const MiniBatch& batch, const std::vector<at::Tensor>& z_encoder_categories, Noise& noise,
                 const InferenceOptions& options, InferenceOutputs& out) {
  const kernel::LayerInput x = encoder_input(layer_input(batch.counts));
  const bool several = options.n_samples > 1;
  const auto repeated = [&](const at::Tensor& tensor) {
    return several ? tensor.unsqueeze(0).expand({options.n_samples, tensor.size(0), tensor.size(1)}) : tensor;
  };
  const auto qz = z_encoder_->forward(x, z_encoder_categories, noise, !several);
  out.qz_m = repeated(qz.q_m);
  out.qz_v = repeated(qz.q_v);
  out.z = several ? z_encoder_->z_transformation(reparameterize_gaussian(out.qz_m, out.qz_v, sample_name_, noise))
                  : qz.latent;
  if (options.decode == Decode::scale || options.decode == Decode::latent) return;
  const auto ql = l_encoder_->forward(x, {}, noise, !several);
  out.ql_m = repeated(ql.q_m);
  out.ql_v = repeated(ql.q_v);
  out.library = several ? reparameterize_gaussian(out.ql_m, out.ql_v, "l", noise) : ql.latent;
}

InferenceOutputs VAE::infer(const MiniBatch& batch, const std::vector<at::Tensor>& z_encoder_categories,
                            const std::vector<at::Tensor>& further_decoder_categories, Noise& noise,
                            const InferenceOptions& options) {
  InferenceOutputs out;
  if (options.z.defined()) {
    out.z = options.z;
  } else {
    encode(batch, z_encoder_categories, noise, options, out);
  }
  if (options.decode == Decode::latent) return out;
  at::Tensor batch_index = batch.batch_index;
  if (options.transform_batch) {
    if (*options.transform_batch < 0 || *options.transform_batch >= std::max<std::int64_t>(options_.n_batch, 1)) {
      throw InputError({.problem = "is " + std::to_string(*options.transform_batch) +
                                   ", but the model knows batches 0.." +
                                   std::to_string(std::max<std::int64_t>(options_.n_batch, 1) - 1),
                        .field = "transform_batch"});
    }
    batch_index = at::full_like(batch_index, *options.transform_batch);
  }
  const bool all = options.decode == Decode::all;
  const DecoderSCVI::Heads heads{
      .px_rate = options.decode != Decode::scale,
      .px_r = all && options_.dispersion == Dispersion::gene_cell,
      .px_dropout = all,
  };
  std::vector<at::Tensor> categories = {batch_index};
  categories.insert(categories.end(), further_decoder_categories.begin(), further_decoder_categories.end());
  const auto decoded = decoder_->forward(out.z, out.library, categories, heads, noise);
  out.px_scale = decoded.px_scale;
  out.px_rate = decoded.px_rate;
  out.px_dropout = decoded.px_dropout;
  if (all) out.px_r = at::exp(log_dispersion(decoded.px_r, batch_index, batch.labels));
  return out;
}

at::Tensor VAE::get_reconstruction_loss(const MiniBatch& batch, const InferenceOutputs& outputs) {
  const kernel::LayerInput counts = layer_input(batch.counts);
  const bool has_theta = options_.reconstruction_loss != ReconstructionLoss::poisson;
  const bool has_dropout = options_.reconstruction_loss == ReconstructionLoss::zinb;
  const kernel::CountMeansTensors means{.likelihood = options_.reconstruction_loss,
                                        .mean = outputs.px_rate,
                                        .theta = has_theta ? outputs.px_r : at::Tensor(),
                                        .dropout_logits = has_dropout ? outputs.px_dropout : at::Tensor()};
  if (kernel::can_fuse(means, counts.sparse())) return kernel::count_means_nll(means, *counts.sparse());
  const at::Tensor& x = counts.dense();
  switch (options_.reconstruction_loss) {
    case ReconstructionLoss::nb:
      return -NegativeBinomial{outputs.px_rate, outputs.px_r}.log_prob(x).sum(-1);
    case ReconstructionLoss::poisson:
      return -Poisson{outputs.px_rate}.log_prob(x).sum(-1);
    case ReconstructionLoss::zinb:
      break;
  }
  return -ZeroInflatedNegativeBinomial{outputs.px_rate, outputs.px_r, outputs.px_dropout}.log_prob(x).sum(-1);
}

DecoderSCVI::Counts VAE::count_distribution(const at::Tensor& batch_index, const at::Tensor& labels) const {
  DecoderSCVI::Counts counts{.likelihood = options_.reconstruction_loss};
  if (counts.likelihood == ReconstructionLoss::poisson) return counts;
  switch (options_.dispersion) {
    case Dispersion::gene:
      counts.log_theta = px_r_;
      break;
    case Dispersion::gene_batch:
      counts.log_theta = px_r_.t().contiguous();
      counts.category = batch_index;
      break;
    case Dispersion::gene_label:
      counts.log_theta = px_r_.t().contiguous();
      counts.category = labels;
      break;
    case Dispersion::gene_cell:
      break;
  }
  return counts;
}

VAE::LatentDraws VAE::draw_latents(const kernel::LayerInput& x, const MiniBatch& batch, Noise& noise,
                                   const DrawOptions& options) {
  LatentDraws draws;
  const auto of_z = [&]() -> std::vector<at::Tensor*> {
    auto& [latent, kl, log_density] = draws.z =
        z_encoder_->draw(x, options.z_encoder_categories, {}, noise, options.with_log_density_of_z);
    if (!options.decoder_categories) return {&latent, &kl, &log_density};
    draws.hidden = decoder_->hidden(std::exchange(latent, {}), *options.decoder_categories, noise);
    return {&draws.hidden, &kl, &log_density};
  };
  const auto of_l = [&]() -> std::vector<at::Tensor*> {
    draws.l = l_encoder_->draw(x, {}, {batch.local_l_mean, batch.local_l_var}, noise);
    return {&draws.l.latent, &draws.l.kl};
  };
  if (batch.batch_index.is_cpu()) {
    kernel::make_ready(x);
    kernel::run_branches(of_z, of_l, kernel::chores_of_backward(x));
  } else {
    of_z();
    of_l();
  }
  return draws;
}

Elbo VAE::forward(const MiniBatch& batch, Noise& noise) {
  const kernel::LayerInput counts = layer_input(batch.counts);
  const kernel::LayerInput x = encoder_input(counts);
  const std::vector<at::Tensor> categories = {batch.batch_index};
  const auto [z, l, hidden] = draw_latents(x, batch, noise, {.decoder_categories = categories});
  const at::Tensor nll = decoder_->nll_from(hidden, l.latent, categories, counts,
                                            count_distribution(batch.batch_index, batch.labels), noise);
  return {.reconstruction = kernel::sum_of_losses(nll, l.kl), .kl_local = z.kl};
}

at::Tensor VAE::sample_from_posterior_z(const MiniBatch& batch, Noise& noise, bool give_mean,
                                        std::int64_t n_samples) {
  const auto qz = z_encoder_->forward(encoder_input(layer_input(batch.counts)), {}, noise, !give_mean);
  if (!give_mean) return qz.latent;
  if (options_.latent_distribution == LatentDistribution::normal) return qz.q_m;
  const at::Tensor eps = noise.standard_normal(sample_name_, {n_samples, qz.q_m.size(0), qz.q_m.size(1)},
                                               qz.q_m.options().requires_grad(false));
  return z_encoder_->z_transformation(qz.q_m + qz.q_v.sqrt() * eps).mean(0);
}

at::Tensor VAE::sample_from_posterior_l(const MiniBatch& batch, Noise& noise, bool give_mean) {
  const auto ql = l_encoder_->forward(encoder_input(layer_input(batch.counts)), {}, noise, !give_mean);
  return give_mean ? ql.q_m : ql.latent;
}

std::vector<at::Tensor> VAE::get_latents(const MiniBatch& batch, Noise& noise) {
  return {sample_from_posterior_z(batch, noise, /*give_mean=*/false)};
}

at::Tensor VAE::get_sample_scale(const MiniBatch& batch, Noise& noise, InferenceOptions options) {
  options.decode = Decode::scale;
  return inference(batch, noise, options).px_scale;
}

at::Tensor VAE::get_sample_rate(const MiniBatch& batch, Noise& noise, InferenceOptions options) {
  options.decode = Decode::rate;
  return inference(batch, noise, options).px_rate;
}

ModelSpec VAE::spec() {
  const VaeOptions defaults;
  return {
      .name = "vae",
      .reference_name = "VAE",
      .summary = "scVI's variational auto-encoder (Lopez et al. 2018)",
      .hyperparameters =
          {{.name = "n_hidden",
            .default_value = defaults.n_hidden,
            .help = "units per hidden layer",
            .min = 1,
            .max = 65536},
           {.name = "n_latent",
            .default_value = defaults.n_latent,
            .help = "dimensions of the latent space",
            .min = 1,
            .max = 4096},
           {.name = "n_layers",
            .default_value = defaults.n_layers,
            .help = "hidden layers of the encoder of z and of the decoder",
            .min = 1,
            .max = 64},
           {.name = "dropout_rate",
            .default_value = defaults.dropout_rate,
            .help = "share of units dropped while training the encoders",
            .min = 0,
            .max = 0.99},
           {.name = "dispersion",
            .default_value = word_of(kDispersions, defaults.dispersion),
            .help = "inverse dispersions: one per gene; per gene and batch; per gene and label; per gene and cell",
            .choices = words(kDispersions)},
           {.name = "log_variational",
            .default_value = defaults.log_variational,
            .help = "encode log(1 + count) instead of the count"},
           {.name = "reconstruction_loss",
            .default_value = word_of(kReconstructionLosses, defaults.reconstruction_loss),
            .help = "distribution of the counts: zero-inflated negative binomial, negative binomial, Poisson",
            .choices = words(kReconstructionLosses)},
           {.name = "latent_distribution",
            .default_value = word_of(kLatentDistributions, defaults.latent_distribution),
            .help = "of the latent space: normal, or ln (logistic normal: points of a simplex)",
            .choices = words(kLatentDistributions)}},
      .build = [](const DataShape& shape, const Hyperparameters& values, std::uint64_t seed)
          -> std::shared_ptr<Model> { return std::make_shared<VAE>(to_vae_options(shape, values), seed); },
  };
}

}  // namespace scvi
