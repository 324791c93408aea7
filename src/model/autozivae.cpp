#include "scvi/model/autozivae.hpp"

#include <ATen/ATen.h>

#include <array>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/distribution/beta.hpp"
#include "scvi/distribution/divergence.hpp"
#include "scvi/kernel/mean_loss.hpp"
#include "scvi/kernel/mixed_dropout.hpp"

namespace scvi {
namespace {

constexpr const char* kNone = "none";
constexpr double kPriorMargin = 1e-6;  // how far the parameters of a prior stay from 0 and 1
constexpr double kEpsGamma = 1e-30;
constexpr double kEpsSample = 1e-7;
constexpr double kEpsLog = 1e-8;

const std::array<std::pair<ZeroInflation, const char*>, 3> kZeroInflations = {
    {{ZeroInflation::gene, "gene"},
     {ZeroInflation::gene_batch, "gene-batch"},
     {ZeroInflation::gene_label, "gene-label"}}};

std::string word_of(ZeroInflation wanted) {
  for (const auto& [value, word] : kZeroInflations) {
    if (value == wanted) return word;
  }
  return {};
}

/// @pre the word is one of them: complete_hyperparameters() has seen to it
ZeroInflation zero_inflation_of(const std::string& wanted) {
  for (const auto& [value, word] : kZeroInflations) {
    if (word == wanted) return value;
  }
  throw InputError({.problem = "'" + wanted + "' is not known", .field = "zero_inflation"});
}

HyperparameterValue prior_value(const std::optional<double>& prior) {
  return prior ? HyperparameterValue(*prior) : HyperparameterValue(std::string(kNone));
}

std::optional<double> prior_of(const HyperparameterValue& value) {
  const auto* number = std::get_if<double>(&value);
  return number ? std::optional(*number) : std::nullopt;
}

Hyperparameters all_hyperparameters(const AutoZiOptions& options) {
  Hyperparameters values = to_hyperparameters(options.vae);
  values.erase("reconstruction_loss");
  values["alpha_prior"] = prior_value(options.alpha_prior);
  values["beta_prior"] = prior_value(options.beta_prior);
  values["minimal_dropout"] = options.minimal_dropout;
  values["zero_inflation"] = word_of(options.zero_inflation);
  return values;
}

AutoZiOptions to_options(const DataShape& shape, Hyperparameters values) {
  values["reconstruction_loss"] = std::string("zinb");
  return {.vae = to_vae_options(shape, values),
          .alpha_prior = prior_of(values.at("alpha_prior")),
          .beta_prior = prior_of(values.at("beta_prior")),
          .minimal_dropout = std::get<double>(values.at("minimal_dropout")),
          .zero_inflation = zero_inflation_of(std::get<std::string>(values.at("zero_inflation")))};
}

void check(const AutoZiOptions& options) {
  const auto refuse = [](const char* field, std::string problem, std::string remedy) {
    throw InputError({.problem = std::move(problem), .field = field, .remedy = std::move(remedy)});
  };
  if (options.vae.reconstruction_loss != ReconstructionLoss::zinb) {
    refuse("reconstruction_loss", "cannot be chosen for AutoZI, which mixes zinb and nb", "");
  }
  for (const auto& prior : {options.alpha_prior, options.beta_prior}) {
    if (prior && !(*prior > 0 && *prior < 1)) refuse("alpha_prior and beta_prior", "must lie between 0 and 1", "");
  }
  if (!(options.minimal_dropout >= 0 && options.minimal_dropout < 1)) {
    refuse("minimal_dropout", "must be at least 0 and below 1", "");
  }
  if (options.zero_inflation == ZeroInflation::gene_batch && options.vae.n_batch < 1) {
    refuse("zero_inflation", "is gene-batch, but there are no batches", "name the batch column with --batch-key");
  }
  if (options.zero_inflation == ZeroInflation::gene_label && options.vae.n_labels < 1) {
    refuse("zero_inflation", "is gene-label, but there are no labels", "name the label column with --labels-key");
  }
}

/// Columns of what exists for each gene, or 0 where there is but one and no second dimension.
std::int64_t n_columns(const AutoZiOptions& options) {
  if (options.zero_inflation == ZeroInflation::gene) return 0;
  return options.zero_inflation == ZeroInflation::gene_batch ? options.vae.n_batch : options.vae.n_labels;
}

/// Of Beta distributions, summed over all of them, in float64.
at::Tensor beta_log_prob(const at::Tensor& x, const at::Tensor& alpha, const at::Tensor& beta) {
  const at::Tensor value = x.to(at::kDouble), a = alpha.to(at::kDouble), b = beta.to(at::kDouble);
  return ((a - 1) * at::log(value) + (b - 1) * at::log1p(-value) + at::lgamma(a + b) - at::lgamma(a) - at::lgamma(b))
      .sum();
}

}  // namespace

AutoZIVAE::AutoZIVAE(const AutoZiOptions& options, std::uint64_t seed)
    : VAE(options.vae, seed,
          {.name = "autozi",
           .hyperparameters = all_hyperparameters(options),
           .decoder_categories = {options.vae.n_batch}}),
      minimal_dropout_(options.minimal_dropout),
      zero_inflation_(options.zero_inflation),
      alpha_prior_(options.alpha_prior),
      beta_prior_(options.beta_prior) {
  check(options);
  if (alpha_prior_ && !beta_prior_) beta_prior_ = 1 - *alpha_prior_;
  if (beta_prior_ && !alpha_prior_) alpha_prior_ = 1 - *beta_prior_;
  const std::int64_t columns = n_columns(options);
  const auto logits = [&](const char* name, std::int64_t n_rows) {
    std::vector<std::int64_t> shape = {n_rows};
    if (columns > 0) shape.push_back(columns);
    return register_parameter(name, initializer().standard_normal(shape));
  };
  alpha_posterior_logit_ = logits("alpha_posterior_logit", options.vae.n_input);
  beta_posterior_logit_ = logits("beta_posterior_logit", options.vae.n_input);
  if (alpha_prior_) return;
  alpha_prior_logit_ = logits("alpha_prior_logit", 1);
  beta_prior_logit_ = logits("beta_prior_logit", 1);
}

AlphasBetas AutoZIVAE::get_alphas_betas() const {
  const auto prior = [&](const std::optional<double>& fixed, const at::Tensor& logit) {
    if (!fixed) return at::sigmoid(logit);
    return at::full({1}, *fixed, alpha_posterior_logit_.options().requires_grad(false));
  };
  return {.alpha_posterior = at::sigmoid(alpha_posterior_logit_),
          .beta_posterior = at::sigmoid(beta_posterior_logit_),
          .alpha_prior = prior(alpha_prior_, alpha_prior_logit_),
          .beta_prior = prior(beta_prior_, beta_prior_logit_)};
}

at::Tensor AutoZIVAE::compute_global_kl_divergence() const {
  const AlphasBetas of = get_alphas_betas();
  return kl_beta(of.alpha_posterior, of.beta_posterior, of.alpha_prior, of.beta_prior).sum();
}

at::Tensor AutoZIVAE::rescale_dropout(const at::Tensor& px_dropout) const {
  if (minimal_dropout_ == 0) return px_dropout;
  const at::Tensor probability = minimal_dropout_ + (1 - minimal_dropout_) * at::sigmoid(px_dropout);
  return at::log(probability / (1 - probability + kEpsLog));
}

/// X / (X + Y) of two Gamma variables, by logarithms: either may be as small as numbers get.
at::Tensor AutoZIVAE::beta_sample(const std::string& prefix, std::int64_t n_samples, Noise& noise) const {
  AlphasBetas of = get_alphas_betas();
  for (at::Tensor* parameter : {&of.alpha_posterior, &of.beta_posterior}) {
    if (n_samples == 1) continue;
    std::vector<std::int64_t> shape = parameter->sizes().vec();
    shape.insert(shape.begin(), n_samples);
    *parameter = parameter->unsqueeze(0).expand(shape).contiguous();
  }
  const at::Tensor log_x = at::log(gamma_sample(of.alpha_posterior, prefix + "gamma_x", noise) + kEpsGamma);
  const at::Tensor log_y = at::log(gamma_sample(of.beta_posterior, prefix + "gamma_y", noise) + kEpsGamma);
  return kEpsSample + (1 - 2 * kEpsSample) * at::exp(log_x - at::logaddexp(log_x, log_y));
}

const at::Tensor& AutoZIVAE::category_of(const MiniBatch& batch) const {
  return zero_inflation_ == ZeroInflation::gene_batch ? batch.batch_index : batch.labels;
}

at::Tensor AutoZIVAE::of_cells(const at::Tensor& values, const MiniBatch& batch, bool several) const {
  if (zero_inflation_ == ZeroInflation::gene) return several ? values.unsqueeze(1) : values;
  const at::Tensor& index = category_of(batch);
  if (!several) return rows_of_categories(values.t(), index);
  return values.transpose(1, 2).index_select(1, index.reshape(-1));
}

InferenceOutputs AutoZIVAE::inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options) {
  InferenceOutputs out = VAE::inference(batch, noise, options);
  if (options.decode != Decode::all) return out;
  out.px_dropout = rescale_dropout(out.px_dropout);
  MiniBatch cells = batch;
  if (options.transform_batch) cells.batch_index = at::full_like(batch.batch_index, *options.transform_batch);
  const at::Tensor shared = options.global.defined() ? options.global : beta_sample("", options.n_samples, noise);
  out.bernoulli_params = of_cells(shared, cells, options.n_samples > 1);
  return out;
}

at::Tensor AutoZIVAE::get_reconstruction_loss(const MiniBatch& batch, const InferenceOutputs& outputs) {
  InferenceOutputs mixed = outputs;
  mixed.px_dropout = mixed_dropout(outputs.px_dropout, outputs.bernoulli_params);
  return VAE::get_reconstruction_loss(batch, mixed);
}

at::Tensor AutoZIVAE::likelihood_dropout(const at::Tensor& px_dropout, const at::Tensor& bernoulli,
                                         const MiniBatch& batch) const {
  const bool shared = zero_inflation_ == ZeroInflation::gene;
  const at::Tensor rows = shared ? bernoulli.unsqueeze(0) : bernoulli.t();
  kernel::MixedDropout fused{.logits = px_dropout,
                             .minimum = minimal_dropout_,
                             .log_inflated = at::log(1 - rows + kEpsLog).contiguous(),
                             .log_plain = at::log(rows + kEpsLog).contiguous()};
  if (!shared) fused.category = category_of(batch);
  if (kernel::can_fuse(fused)) return kernel::mixed_dropout(fused);
  return mixed_dropout(rescale_dropout(px_dropout), of_cells(bernoulli, batch, /*several=*/false));
}

Elbo AutoZIVAE::forward(const MiniBatch& batch, Noise& noise) {
  const kernel::LayerInput counts = layer_input(batch.counts);
  const kernel::LayerInput x = encoder_input(counts);
  const std::vector<at::Tensor> categories = {batch.batch_index};
  const auto [z, l, hidden] = draw_latents(x, batch, noise, {.decoder_categories = categories});
  DecoderSCVI::Counts how = count_distribution(batch.batch_index, batch.labels);
  const at::Tensor bernoulli = beta_sample("", 1, noise);
  how.map_dropout = [&](const at::Tensor& logits) { return likelihood_dropout(logits, bernoulli, batch); };
  const at::Tensor nll = decoder().nll_from(hidden, l.latent, categories, counts, how, noise);
  return {.reconstruction = kernel::sum_of_losses(nll, l.kl),
          .kl_local = z.kl,
          .kl_global = compute_global_kl_divergence()};
}

GlobalDraw AutoZIVAE::draw_global(Noise& noise) {
  const AlphasBetas of = get_alphas_betas();
  const at::Tensor value = beta_sample("bernoulli_", 1, noise);
  return {.value = value,
          .log_weight = beta_log_prob(value, of.alpha_prior, of.beta_prior) -
                        beta_log_prob(value, of.alpha_posterior, of.beta_posterior)};
}

at::Tensor AutoZIVAE::zero_inflation_probability(double threshold) const {
  at::NoGradGuard no_grad;
  const AlphasBetas of = get_alphas_betas();
  const auto in_memory = [](const at::Tensor& values) { return values.to(at::kCPU, at::kDouble).contiguous(); };
  const at::Tensor alpha = in_memory(of.alpha_posterior), beta = in_memory(of.beta_posterior);
  at::Tensor result = at::empty_like(alpha);
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    result.data_ptr<double>()[i] = beta_cdf(threshold, alpha.data_ptr<double>()[i], beta.data_ptr<double>()[i]);
  }
  return result;
}

ModelSpec AutoZIVAE::spec() {
  ModelSpec spec = VAE::spec();
  spec.name = "autozi";
  spec.reference_name = "AutoZIVAE";
  spec.summary = "VAE that finds out which genes are zero-inflated (Clivio et al. 2019)";
  std::erase_if(spec.hyperparameters, [](const auto& known) { return known.name == "reconstruction_loss"; });
  const auto prior = [&](const char* name, const char* other) {
    spec.hyperparameters.push_back(
        {.name = name,
         .default_value = 0.5,
         .help = std::string("of the Beta prior of a gene not being zero-inflated; none: 1 "
                             "minus ") +
                 other + ", or learned where both are none",
         .min = kPriorMargin,
         .max = 1 - kPriorMargin,
         .choices = {kNone}});
  };
  prior("alpha_prior", "beta_prior");
  prior("beta_prior", "alpha_prior");
  spec.hyperparameters.push_back({.name = "minimal_dropout",
                                  .default_value = AutoZiOptions{}.minimal_dropout,
                                  .help = "smallest probability of an extra zero in a gene that is zero-inflated",
                                  .min = 0,
                                  .max = 0.99});
  Hyperparameter zero_inflation{.name = "zero_inflation",
                                .default_value = word_of(ZeroInflation::gene),
                                .help = "decided once per gene; per gene and batch; per gene and label"};
  for (const auto& [value, word] : kZeroInflations) zero_inflation.choices.emplace_back(word);
  spec.hyperparameters.push_back(std::move(zero_inflation));
  spec.build = [](const DataShape& shape, const Hyperparameters& given,
                  std::uint64_t seed) -> std::shared_ptr<Model> {
    return std::make_shared<AutoZIVAE>(to_options(shape, given), seed);
  };
  return spec;
}

at::Tensor mixed_dropout(const at::Tensor& logits, const at::Tensor& bernoulli) {
  return logits + at::log(1 - bernoulli + kEpsLog) - at::softplus(logits + at::log(bernoulli + kEpsLog));
}

}  // namespace scvi
