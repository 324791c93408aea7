#include "scvi/model/scanvi.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <utility>

#include "label_hypotheses.hpp"
#include "label_priors.hpp"
#include "number_list.hpp"
#include "scvi/core/error.hpp"

namespace scvi {
namespace {

constexpr const char* kName = "scanvi";
/// Keeps a group without any probability from dividing by it, as in scVI.
constexpr double kSmallestGroup = 1e-8;
// What stands for "as in the model itself".
constexpr std::int64_t kAsModelCount = 0;
constexpr double kAsModelRate = -1;

Hyperparameters hyperparameters_of(const ScanviOptions& options) {
  Hyperparameters values = to_hyperparameters(options.vae);
  values.erase("latent_distribution");
  values["y_prior"] = number_list_text(options.y_prior);
  values["labels_groups"] = number_list_text(options.labels_groups);
  values["use_labels_groups"] = options.use_labels_groups;
  values["classifier_n_layers"] = options.classifier_n_layers.value_or(kAsModelCount);
  values["classifier_n_hidden"] = options.classifier_n_hidden.value_or(kAsModelCount);
  values["classifier_dropout_rate"] = options.classifier_dropout_rate.value_or(kAsModelRate);
  return values;
}

ScanviOptions to_options(const DataShape& shape, const Hyperparameters& values) {
  const auto word = [&](const char* name) { return std::get<std::string>(values.at(name)); };
  const auto count = [&](const char* name) {
    const auto value = std::get<std::int64_t>(values.at(name));
    return value == kAsModelCount ? std::nullopt : std::optional(value);
  };
  const double rate = std::get<double>(values.at("classifier_dropout_rate"));
  return {.vae = to_vae_options(shape, values),
          .y_prior = parse_number_list<double>(word("y_prior"), "y_prior"),
          .labels_groups = parse_number_list<std::int64_t>(word("labels_groups"), "labels_groups"),
          .use_labels_groups = std::get<bool>(values.at("use_labels_groups")),
          .classifier_n_layers = count("classifier_n_layers"),
          .classifier_n_hidden = count("classifier_n_hidden"),
          .classifier_dropout_rate = rate < 0 ? std::nullopt : std::optional(rate)};
}

void check_groups(const ScanviOptions& options) {
  const auto& groups = options.labels_groups;
  const auto refuse = [](std::string problem) {
    throw InputError({.problem = std::move(problem), .field = "labels_groups"});
  };
  if (groups.empty()) {
    if (options.use_labels_groups) refuse("is not given, but use_labels_groups is on");
    return;
  }
  if (std::ssize(groups) != options.vae.n_labels) {
    refuse("holds " + std::to_string(groups.size()) + " groups, but there are " +
           std::to_string(options.vae.n_labels) + " labels");
  }
  const std::set<std::int64_t> distinct(groups.begin(), groups.end());
  if (*distinct.begin() != 0 || *distinct.rbegin() + 1 != std::ssize(distinct)) {
    refuse("must number the groups 0, 1, 2, ... without a gap");
  }
}

}  // namespace

SCANVI::SCANVI(const ScanviOptions& options, std::uint64_t seed)
    : VAE(options.vae, seed,
          {.name = kName,
           .hyperparameters = hyperparameters_of(options),
           .sample_name = "z1",
           .decoder_categories = {options.vae.n_batch}}),
      labels_groups_(options.labels_groups) {
  const VaeOptions& vae = options.vae;
  check_label_options(vae, kName);
  check_groups(options);
  y_prior_ = register_buffer("y_prior", label_prior(options.y_prior, vae.n_labels));
  classifier_ = register_module(
      "classifier", std::make_shared<Classifier>(
                        ClassifierOptions{.n_input = vae.n_latent,
                                          .n_hidden = options.classifier_n_hidden.value_or(vae.n_hidden),
                                          .n_labels = vae.n_labels,
                                          .n_layers = options.classifier_n_layers.value_or(vae.n_layers),
                                          .dropout_rate = options.classifier_dropout_rate.value_or(vae.dropout_rate)},
                        initializer()));
  encoder_z2_z1_ =
      register_module("encoder_z2_z1", std::make_shared<Encoder>(EncoderOptions{.n_input = vae.n_latent,
                                                                                .n_output = vae.n_latent,
                                                                                .n_cat_list = {vae.n_labels},
                                                                                .n_layers = vae.n_layers,
                                                                                .n_hidden = vae.n_hidden,
                                                                                .dropout_rate = vae.dropout_rate,
                                                                                .noise_name = "encoder_z2_z1",
                                                                                .sample_name = "z2"},
                                                                 initializer()));
  decoder_z1_z2_ =
      register_module("decoder_z1_z2", std::make_shared<Decoder>(DecoderOptions{.n_input = vae.n_latent,
                                                                                .n_output = vae.n_latent,
                                                                                .n_cat_list = {vae.n_labels},
                                                                                .n_layers = vae.n_layers,
                                                                                .n_hidden = vae.n_hidden},
                                                                 initializer()));
  if (options.use_labels_groups) add_groups(options);
}

void SCANVI::add_groups(const ScanviOptions& options) {
  const std::int64_t n_groups = *std::max_element(labels_groups_.begin(), labels_groups_.end()) + 1;
  classifier_groups_ = register_module(
      "classifier_groups", std::make_shared<Classifier>(ClassifierOptions{.n_input = options.vae.n_latent,
                                                                          .n_hidden = options.vae.n_hidden,
                                                                          .n_labels = n_groups,
                                                                          .n_layers = options.vae.n_layers,
                                                                          .dropout_rate = options.vae.dropout_rate,
                                                                          .noise_name = "classifier_groups"},
                                                        initializer()));
  auto list = register_module("groups_index", std::make_shared<torch::nn::Module>());
  for (std::int64_t group = 0; group < n_groups; ++group) {
    at::Tensor members = at::zeros({std::ssize(labels_groups_)}, at::kByte);
    for (std::int64_t label = 0; label < std::ssize(labels_groups_); ++label) {
      if (labels_groups_[label] == group) members[label] = 1;
    }
    groups_index_.push_back(list->register_buffer(std::to_string(group), members));
  }
}

Encoder::Output SCANVI::z2_given(const at::Tensor& z1, const at::Tensor& labels, Noise& noise) {
  return encoder_z2_z1_->forward(z1, {labels}, noise);
}

Decoder::Output SCANVI::z1_given(const at::Tensor& z2, const at::Tensor& labels, Noise& noise) {
  return decoder_z1_z2_->forward(z2, {labels}, noise);
}

Elbo SCANVI::forward(const MiniBatch& batch, Noise& noise) {
  const kernel::LayerInput counts = layer_input(batch.counts);
  const kernel::LayerInput x = encoder_input(counts);
  const LabelHypotheses hypotheses(batch.labels, batch.size(), options().n_labels, y_prior_);
  const at::Tensor& labels = hypotheses.labels();
  const LatentDraws draws = draw_latents(x, batch, noise, {.with_log_density_of_z = true});
  const Encoder::Draw &qz1 = draws.z, &l = draws.l;
  const at::Tensor z1 = hypotheses.rows(qz1.latent);
  const auto z2 = encoder_z2_z1_->draw(z1, {labels}, {}, noise);
  const at::Tensor log_p_z1 = decoder_z1_z2_->log_density(z1, z2.latent, {labels}, noise);

  // The counts depend on the label through its dispersion, or not at all.
  const bool by_label = options().dispersion == Dispersion::gene_label && !hypotheses.all_known();
  const auto nll = [&] {
    if (!by_label) {
      return decoder().nll(qz1.latent, l.latent, {batch.batch_index}, counts,
                           count_distribution(batch.batch_index, labels), noise);
    }
    const at::Tensor batch_index = hypotheses.rows(batch.batch_index);
    return decoder().nll(z1, hypotheses.rows(l.latent), {batch_index}, hypotheses.rows(counts),
                         count_distribution(batch_index, labels), noise);
  };
  if (hypotheses.all_known()) {
    return {.reconstruction = nll() + qz1.log_density - log_p_z1, .kl_local = z2.kl + l.kl};
  }
  const at::Tensor probabilities = classifier_->forward(qz1.latent, noise);
  const at::Tensor of_counts = by_label ? hypotheses.expectation(nll(), probabilities) : nll();
  const at::Tensor kl_y = hypotheses.divergence(probabilities, y_prior_);
  return {.reconstruction = of_counts + qz1.log_density - hypotheses.expectation(log_p_z1, probabilities),
          .kl_local = hypotheses.expectation(z2.kl, probabilities) + kl_y + l.kl};
}

at::Tensor SCANVI::probable_labels(const MiniBatch& batch, Noise& noise) {
  return with_probable_labels(batch.labels, [&] { return classify(batch, noise); });
}

InferenceOutputs SCANVI::inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options) {
  const bool needs_labels = this->options().dispersion == Dispersion::gene_label && options.decode == Decode::all;
  if (!needs_labels) return VAE::inference(batch, noise, options);
  MiniBatch labelled = batch;
  labelled.labels = probable_labels(batch, noise);
  return VAE::inference(labelled, noise, options);
}

std::vector<at::Tensor> SCANVI::get_latents(const MiniBatch& batch, Noise& noise) {
  const at::Tensor z1 = sample_from_posterior_z(batch, noise, /*give_mean=*/false);
  const at::Tensor labels = with_probable_labels(batch.labels, [&] { return classifier_->forward(z1, noise); });
  const auto qz2 = encoder_z2_z1_->forward(z1, {labels}, noise, /*draw_sample=*/is_training());
  return {z1, is_training() ? qz2.latent : qz2.q_m};
}

at::Tensor SCANVI::mean_z1(const MiniBatch& batch, Noise& noise) {
  return z_encoder().mean(encoder_input(layer_input(batch.counts)), {}, noise);
}

at::Tensor SCANVI::classify(const MiniBatch& batch, Noise& noise) {
  const at::Tensor z1 = mean_z1(batch, noise);
  const at::Tensor of_labels = classifier_->forward(z1, noise);
  if (!classifier_groups_) return of_labels;
  const at::Tensor of_groups = classifier_groups_->forward(z1, noise);
  const at::Tensor members = at::stack(groups_index_).to(of_labels.scalar_type());
  const at::Tensor sums = at::matmul(of_labels, members.t()) + kSmallestGroup;
  return of_labels * at::matmul(of_groups / sums, members);
}

at::Tensor SCANVI::label_logits(const MiniBatch& batch, Noise& noise) {
  const at::Tensor z1 = mean_z1(batch, noise);
  const at::Tensor logits = classifier_->logits(z1, noise);
  if (!classifier_groups_) return logits;
  const at::Tensor of_groups = at::log_softmax(classifier_groups_->logits(z1, noise), -1);
  std::vector<at::Tensor> offsets;
  for (const at::Tensor& members : groups_index_) {
    const at::Tensor labels = members.nonzero().reshape(-1);
    offsets.push_back(at::logsumexp(logits.index_select(1, labels), {-1}));
  }
  const at::Tensor group = at::stack(groups_index_).argmax(0);
  const at::Tensor of_members = of_groups - at::stack(offsets, 1);
  return logits + rows_of_categories(of_members.t(), group).t();
}

ModelSpec SCANVI::spec() {
  ModelSpec spec{.name = kName,
                 .reference_name = "SCANVI",
                 .summary = "scANVI: annotates cells from the labels of some of them (Xu et al. 2021)",
                 .hyperparameters = label_hyperparameters(),
                 .tells_labels = true};
  const std::vector<Hyperparameter> own = {
      {.name = "labels_groups",
       .default_value = std::string(),
       .help = "the group of each label, e.g. 0,0,1; default: none"},
      {.name = "use_labels_groups", .default_value = false, .help = "tell the group first, then the label within it"},
      {.name = "classifier_n_layers",
       .default_value = kAsModelCount,
       .help = "hidden layers of the classifier; 0: as n_layers",
       .min = 0,
       .max = 64},
      {.name = "classifier_n_hidden",
       .default_value = kAsModelCount,
       .help = "units per hidden layer of the classifier; 0: as n_hidden",
       .min = 0,
       .max = 65536},
      {.name = "classifier_dropout_rate",
       .default_value = kAsModelRate,
       .help = "share of units dropped while training the classifier; -1: as dropout_rate",
       .min = -1,
       .max = 0.99}};
  spec.hyperparameters.insert(spec.hyperparameters.end(), own.begin(), own.end());
  spec.build = [](const DataShape& shape, const Hyperparameters& values,
                  std::uint64_t seed) -> std::shared_ptr<Model> {
    return std::make_shared<SCANVI>(to_options(shape, values), seed);
  };
  return spec;
}

}  // namespace scvi
