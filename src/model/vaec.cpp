#include "scvi/model/vaec.hpp"

#include <ATen/ATen.h>

#include <utility>

#include "label_hypotheses.hpp"
#include "label_priors.hpp"
#include "number_list.hpp"
#include "scvi/distribution/divergence.hpp"

namespace scvi {
namespace {

constexpr const char* kName = "vaec";

Hyperparameters hyperparameters_of(const VaecOptions& options) {
  Hyperparameters values = to_hyperparameters(options.vae);
  values.erase("latent_distribution");
  values["y_prior"] = number_list_text(options.y_prior);
  values["reference_0_6_3"] = options.reference_0_6_3;
  return values;
}

VaecOptions to_options(const DataShape& shape, const Hyperparameters& values) {
  return {.vae = to_vae_options(shape, values),
          .y_prior = parse_number_list<double>(std::get<std::string>(values.at("y_prior")), "y_prior"),
          .reference_0_6_3 = std::get<bool>(values.at("reference_0_6_3"))};
}

}  // namespace

VAEC::VAEC(const VaecOptions& options, std::uint64_t seed)
    : VAE(options.vae, seed,
          {.name = kName,
           .hyperparameters = hyperparameters_of(options),
           .z_encoder_categories = {options.vae.n_labels},
           .decoder_categories = {options.vae.n_batch, options.vae.n_labels}}),
      reference_0_6_3_(options.reference_0_6_3) {
  check_label_options(options.vae, kName);
  y_prior_ = register_buffer("y_prior", label_prior(options.y_prior, options.vae.n_labels));
  classifier_ = register_module(
      "classifier", std::make_shared<Classifier>(ClassifierOptions{.n_input = options.vae.n_input,
                                                                   .n_hidden = options.vae.n_hidden,
                                                                   .n_labels = options.vae.n_labels,
                                                                   .n_layers = options.vae.n_layers,
                                                                   .dropout_rate = options.vae.dropout_rate},
                                                 initializer()));
}

kernel::LayerInput VAEC::classifier_input(const kernel::LayerInput& counts) const {
  return reference_0_6_3_ ? log1p(counts) : encoder_input(counts);
}

Elbo VAEC::forward(const MiniBatch& batch, Noise& noise) {
  const kernel::LayerInput counts = layer_input(batch.counts);
  const kernel::LayerInput x = encoder_input(counts);
  const LabelHypotheses hypotheses(batch.labels, batch.size(), options().n_labels, y_prior_);
  const at::Tensor& labels = hypotheses.labels();
  const at::Tensor batch_index = hypotheses.rows(batch.batch_index);
  const kernel::LayerInput x_of_rows = hypotheses.rows(x);

  at::Tensor library, kl_l;
  Encoder::Draw z;
  if (reference_0_6_3_) {
    const auto ql = l_encoder().forward(log1p(counts), {}, noise, /*draw_sample=*/false);
    kl_l = kl_normal(ql.q_m, ql.q_v, batch.local_l_mean, batch.local_l_var).sum(1);
    library = l_encoder().forward(x_of_rows, {}, noise).latent;
    z = z_encoder().draw(x_of_rows, {labels}, {}, noise);
  } else if (hypotheses.all_known()) {
    LatentDraws draws = draw_latents(x, batch, noise, {.z_encoder_categories = {labels}});
    kl_l = draws.l.kl;
    library = draws.l.latent;
    z = std::move(draws.z);
  } else {
    const auto l = l_encoder().draw(x, {}, {batch.local_l_mean, batch.local_l_var}, noise);
    kl_l = l.kl;
    library = hypotheses.rows(l.latent);
    z = z_encoder().draw(x_of_rows, {labels}, {}, noise);
  }
  const at::Tensor nll = decoder().nll(z.latent, library, {batch_index, labels}, hypotheses.rows(counts),
                                       count_distribution(batch_index, labels), noise);
  if (hypotheses.all_known()) return {.reconstruction = nll, .kl_local = z.kl + kl_l};
  const at::Tensor probabilities = classifier_->forward(classifier_input(counts), noise);
  const at::Tensor kl_y = hypotheses.divergence(probabilities, y_prior_);
  return {.reconstruction = hypotheses.expectation(nll, probabilities),
          .kl_local = hypotheses.expectation(z.kl, probabilities) + kl_y + kl_l};
}

at::Tensor VAEC::probable_labels(const MiniBatch& batch, Noise& noise) {
  return with_probable_labels(batch.labels, [&] { return classify(batch, noise); });
}

InferenceOutputs VAEC::inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options) {
  MiniBatch labelled = batch;
  labelled.labels = probable_labels(batch, noise);
  InferenceOutputs out = infer(labelled, {labelled.labels}, {labelled.labels}, noise, options);
  out.labels = labelled.labels;
  return out;
}

at::Tensor VAEC::sample_from_posterior_z(const MiniBatch& batch, Noise& noise, bool give_mean, std::int64_t) {
  const auto qz = z_encoder().forward(encoder_input(layer_input(batch.counts)), {probable_labels(batch, noise)},
                                      noise, !give_mean);
  return give_mean ? qz.q_m : qz.latent;
}

at::Tensor VAEC::classify(const MiniBatch& batch, Noise& noise) {
  return classifier_->forward(classifier_input(layer_input(batch.counts)), noise);
}

at::Tensor VAEC::label_logits(const MiniBatch& batch, Noise& noise) {
  return classifier_->logits(classifier_input(layer_input(batch.counts)), noise);
}

ModelSpec VAEC::spec() {
  ModelSpec spec{.name = kName,
                 .reference_name = "VAEC",
                 .summary = "auto-encoder that sees the labels of some cells and tells those of the others",
                 .hyperparameters = label_hyperparameters(),
                 .tells_labels = true};
  spec.hyperparameters.push_back({.name = "reference_0_6_3",
                                  .default_value = false,
                                  .help = "run the library encoder twice and ignore log_variational where scVI 0.6.3 "
                                          "does"});
  spec.build = [](const DataShape& shape, const Hyperparameters& values,
                  std::uint64_t seed) -> std::shared_ptr<Model> {
    return std::make_shared<VAEC>(to_options(shape, values), seed);
  };
  return spec;
}

}  // namespace scvi
