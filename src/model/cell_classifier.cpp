#include "scvi/model/cell_classifier.hpp"

#include <ATen/ATen.h>

#include "scvi/core/error.hpp"
#include "scvi/kernel/threads.hpp"

namespace scvi {
namespace {

constexpr const char* kName = "classifier";

[[noreturn]] void refuse(const char* what) {
  throw InputError({.problem = std::string("has no ") + what,
                    .field = "a classifier",
                    .remedy = "use the model whose latent space it reads"});
}

CellClassifierOptions completed(CellClassifierOptions options) {
  if (options.classifier.n_labels < 2) {
    throw InputError({.problem = "learns to tell labels apart, and there are fewer than two",
                      .field = "a classifier",
                      .remedy = "name a column with two cell types or more"});
  }
  options.classifier.n_input = options.n_genes;
  if (!options.sampling_model) return options;
  const Model& model = *options.sampling_model;
  const auto found = model.hyperparameters().find("n_latent");
  if (found == model.hyperparameters().end()) refuse("latent space to read in its sampling model");
  if (model.shape().n_input != options.n_genes) {
    throw InputError({.problem = "was built for " + std::to_string(model.shape().n_input) + " genes, not for " +
                                 std::to_string(options.n_genes),
                      .field = "the sampling model"});
  }
  options.classifier.n_input = std::get<std::int64_t>(found->second) + (options.sampling_zl ? 1 : 0);
  return options;
}

Hyperparameters hyperparameters_of(const CellClassifierOptions& options) {
  return {{"n_hidden", options.classifier.n_hidden},         {"n_layers", options.classifier.n_layers},
          {"dropout_rate", options.classifier.dropout_rate}, {"logits", options.classifier.logits},
          {"log_variational", options.log_variational},      {"sampling_zl", options.sampling_zl}};
}

std::shared_ptr<Model> build_classifier(const std::shared_ptr<Model>& read, const DataShape& shape,
                                        const Hyperparameters& values, std::uint64_t seed) {
  const auto whole = [&](const char* name) { return std::get<std::int64_t>(values.at(name)); };
  const auto truth = [&](const char* name) { return std::get<bool>(values.at(name)); };
  if (truth("sampling_zl") && !read) {
    throw InputError({.problem = "needs a model whose library size it can read",
                      .field = "sampling_zl",
                      .remedy = "name a trained one (--on-latent)"});
  }
  CellClassifierOptions options;
  options.classifier.n_hidden = whole("n_hidden");
  options.classifier.n_labels = shape.n_labels;
  options.classifier.n_layers = whole("n_layers");
  options.classifier.dropout_rate = std::get<double>(values.at("dropout_rate"));
  options.classifier.logits = truth("logits");
  options.n_genes = shape.n_input;
  options.log_variational = truth("log_variational");
  options.sampling_model = read;
  options.sampling_zl = truth("sampling_zl");
  return std::make_shared<CellClassifier>(options, seed);
}

}  // namespace

CellClassifier::CellClassifier(const CellClassifierOptions& options, std::uint64_t seed)
    : Model(kName, {options.n_genes, 0, options.classifier.n_labels}, hyperparameters_of(options)),
      options_(completed(options)) {
  kernel::use_own_threads();
  if (options_.sampling_model) options_.sampling_model->eval();
  Initializer initializer(seed);
  classifier_ = std::make_shared<Classifier>(options_.classifier, initializer);
  // Under the names of a classifier that stands alone.
  for (const auto& child : classifier_->named_children()) register_module(child.key(), child.value());
}

kernel::LayerInput CellClassifier::input(const MiniBatch& batch, Noise& noise) const {
  if (!options_.sampling_model) {
    const kernel::LayerInput counts = layer_input(batch.counts);
    return options_.log_variational ? log1p(counts) : counts;
  }
  Model& model = *options_.sampling_model;
  const at::NoGradGuard no_grad;
  MiniBatch unlabelled = batch;
  unlabelled.labels = at::full_like(batch.labels, kHiddenLabel);
  const at::Tensor z = model.sample_from_posterior_z(unlabelled, noise, /*give_mean=*/true);
  if (!options_.sampling_zl) return z;
  return at::cat({z, model.sample_from_posterior_l(unlabelled, noise, /*give_mean=*/true)}, 1);
}

void CellClassifier::to(torch::Device device, bool non_blocking) {
  Model::to(device, non_blocking);
  if (options_.sampling_model) options_.sampling_model->to(device, non_blocking);
}

at::Tensor CellClassifier::classify(const MiniBatch& batch, Noise& noise) {
  return at::softmax(classifier_->logits(input(batch, noise), noise), -1);
}

at::Tensor CellClassifier::label_logits(const MiniBatch& batch, Noise& noise) {
  return classifier_->logits(input(batch, noise), noise);
}

Elbo CellClassifier::forward(const MiniBatch& batch, Noise& noise) {
  const at::Tensor log_probabilities = log_classify(batch, noise);
  const at::Tensor known = batch.labels != kHiddenLabel;
  const at::Tensor of_label = log_probabilities.gather(1, batch.labels.clamp_min(0));
  const at::Tensor cost = at::where(known, -of_label, at::zeros_like(of_label)).squeeze(1);
  return {.reconstruction = cost, .kl_local = at::zeros_like(cost)};
}

InferenceOutputs CellClassifier::inference(const MiniBatch&, Noise&, const InferenceOptions&) {
  refuse("latent space and decodes no counts");
}

at::Tensor CellClassifier::get_reconstruction_loss(const MiniBatch&, const InferenceOutputs&) {
  refuse("distribution of counts");
}

at::Tensor CellClassifier::sample_from_posterior_z(const MiniBatch&, Noise&, bool, std::int64_t) {
  refuse("latent space");
}

at::Tensor CellClassifier::sample_from_posterior_l(const MiniBatch&, Noise&, bool) {
  refuse("library size");
}

ModelSpec CellClassifier::spec() {
  ModelSpec spec{.name = kName,
                 .reference_name = "Classifier",
                 .summary = "classifier that tells the labels of cells from their counts or a latent space",
                 .tells_labels = true,
                 .is_generative = false};
  const ClassifierOptions defaults;
  spec.hyperparameters = {
      {.name = "n_hidden",
       .default_value = defaults.n_hidden,
       .help = "units per hidden layer",
       .min = 1,
       .max = 65536},
      {.name = "n_layers", .default_value = defaults.n_layers, .help = "hidden layers", .min = 1, .max = 64},
      {.name = "dropout_rate",
       .default_value = defaults.dropout_rate,
       .help = "dropout in the hidden layers",
       .min = 0,
       .max = 0.99},
      {.name = "logits", .default_value = false, .help = "the network of the saved weights ends without a softmax"},
      {.name = "log_variational", .default_value = true, .help = "on counts: read log(1 + x)"},
      {.name = "sampling_zl",
       .default_value = false,
       .help = "on a latent space: read the log library size of the other model, too"}};
  spec.build = [](const DataShape& shape, const Hyperparameters& values, std::uint64_t seed) {
    return build_classifier({}, shape, values, seed);
  };
  spec.build_on_latent = build_classifier;
  return spec;
}

}  // namespace scvi
