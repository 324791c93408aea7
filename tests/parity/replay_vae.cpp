#include <ATen/ATen.h>
#include <torch/types.h>

#include "replay.hpp"
#include "scvi/core/error.hpp"
#include "scvi/distribution/divergence.hpp"
#include "scvi/model/autozivae.hpp"
#include "scvi/model/ldvae.hpp"
#include "scvi/model/model.hpp"
#include "scvi/training/trainer.hpp"

namespace scvi::parity {

MiniBatch inputs_of(const GoldenCase& golden) {
  const auto given = [&](const char* path) { return golden.has(path) ? golden.tensor(path) : at::Tensor(); };
  MiniBatch batch;
  batch.counts = CountTensor(golden.tensor("inputs/x"));
  batch.local_l_mean = given("inputs/local_l_mean");
  batch.local_l_var = given("inputs/local_l_var");
  batch.batch_index = given("inputs/batch_index");
  batch.labels = golden.tensor("inputs/y");
  return batch;
}

MiniBatch rows_of(const MiniBatch& all, const at::Tensor& rows) {
  const auto chosen = [&](const at::Tensor& of_cells) {
    return of_cells.defined() ? of_cells.index_select(0, rows) : at::Tensor();
  };
  MiniBatch batch;
  batch.counts = CountTensor(chosen(all.counts.dense()));
  batch.local_l_mean = chosen(all.local_l_mean);
  batch.local_l_var = chosen(all.local_l_var);
  batch.batch_index = chosen(all.batch_index);
  batch.labels = chosen(all.labels);
  return batch;
}

RecordedNoise noise_of(const GoldenCase& golden, const std::string& group) {
  return RecordedNoise(golden.tape("noise/" + golden.string_attribute(group, "noise")));
}

namespace {

constexpr double kTrajectoryWeights = 1e-3;

/// All that a forward pass in one mode shows.
void replay_outputs(const GoldenCase& golden, Model& model, const MiniBatch& batch, bool train,
                    Comparison& comparison) {
  const std::string group = train ? "expected/train" : "expected/eval";
  at::NoGradGuard no_grad;
  model.train(train);
  load_state_dict(model, golden.state("weights"), golden.name());
  RecordedNoise noise = noise_of(golden, group);
  const InferenceOutputs out = model.inference(batch, noise);
  load_state_dict(model, golden.state("weights"), golden.name());
  const Elbo terms = model.forward(batch, noise);
  const std::map<std::string, at::Tensor> results = {
      {"px_scale", out.px_scale},
      {"px_r", out.px_r},
      {"px_rate", out.px_rate},
      {"px_dropout", out.px_dropout},
      {"qz_m", out.qz_m},
      {"qz_v", out.qz_v},
      {"z", out.z},
      {"ql_m", out.ql_m},
      {"ql_v", out.ql_v},
      {"library", out.library},
      {"bernoulli_params", out.bernoulli_params},
      {"reconstruction_loss", model.get_reconstruction_loss(batch, out)},
      {"kl_z", kl_standard_normal(out.qz_m, out.qz_v).sum(1)},
      {"kl_l", kl_normal(out.ql_m, out.ql_v, batch.local_l_mean, batch.local_l_var).sum(1)},
      {"forward_reconst_plus_kl_l", terms.reconstruction},
      {"forward_kl_local", terms.kl_local},
      {"kl_global", terms.kl_global.defined() ? terms.kl_global : at::zeros({})},
  };
  for (const auto& name : golden.children(group)) {
    const auto found = results.find(name);
    comparison.fact(group + "/" + name + " is computed", found != results.end());
    if (found != results.end()) comparison.by_rule(golden, group + "/" + name, found->second);
  }
  if (train) compare_buffers(golden, model, "expected/bn_after_train_forward", comparison);
}

/// A loss and all its gradients. `gradients` names their group, which may be absent from the file; "" for none.
void replay_loss(const GoldenCase& golden, Model& model, const MiniBatch& batch, bool train, double kl_weight,
                 const std::string& loss_name, const std::string& gradients, Comparison& comparison) {
  const std::string loss_path = "expected/loss/" + loss_name;
  if (!golden.has(loss_path)) return;
  model.train(train);
  load_state_dict(model, golden.state("weights"), golden.name());
  for (auto& parameter : model.parameters()) parameter.mutable_grad().reset();
  RecordedNoise noise = noise_of(golden, "expected/loss");
  const double n_train = golden.file().has_attribute("inputs", "n_train")
                             ? golden.file().attribute_number<double>("inputs", "n_train")
                             : static_cast<double>(batch.size());
  const at::Tensor loss = unsupervised_loss(model.forward(batch, noise), kl_weight, n_train, model.normalizes_loss());
  comparison.by_rule(golden, loss_path, loss);
  if (gradients.empty() || !golden.has(gradients)) return;
  loss.backward();
  compare_gradients(golden, model, gradients, comparison);
}

void replay_alphas_betas(const GoldenCase& golden, const Model& model, Comparison& comparison) {
  const AlphasBetas of = dynamic_cast<const AutoZIVAE&>(model).get_alphas_betas();
  const std::string group = "expected/alphas_betas/";
  comparison.by_rule(golden, group + "alpha_posterior", of.alpha_posterior);
  comparison.by_rule(golden, group + "beta_posterior", of.beta_posterior);
  comparison.by_rule(golden, group + "alpha_prior", of.alpha_prior);
  comparison.by_rule(golden, group + "beta_prior", of.beta_prior);
}

/// A bias that a batch norm subtracts, or the running mean behind it: rounding noise moves both, and nothing else.
bool drifts_freely(const Model& model, const std::string& name) {
  const std::string linear_bias = ".0.bias";
  const std::string running_mean = ".1.running_mean";
  if (name.ends_with(running_mean)) return true;
  if (!name.ends_with(linear_bias)) return false;
  const std::string norm = name.substr(0, name.size() - linear_bias.size()) + running_mean;
  for (const auto& [other, tensor] : named_state(model)) {
    if (other == norm) return true;
  }
  return false;
}

}  // namespace

void compare_gradients(const GoldenCase& golden, const Model& model, const std::string& group,
                       Comparison& comparison) {
  std::vector<std::string> no_grad;
  if (golden.file().has_attribute(group, "no_grad")) golden.json_attribute(group, "no_grad").get_to(no_grad);
  for (const auto& item : model.named_parameters()) {
    const std::string path = group + "/" + item.key();
    const at::Tensor& gradient = item.value().grad();
    if (golden.has(path)) {
      comparison.by_rule(golden, path, gradient);
    } else {
      const bool listed = std::find(no_grad.begin(), no_grad.end(), item.key()) != no_grad.end();
      comparison.fact(path + " is absent", listed && !gradient.defined());
    }
  }
}

void compare_buffers(const GoldenCase& golden, const Model& model, const std::string& group, Comparison& comparison) {
  for (const auto& [name, tensor] : named_state(model)) {
    if (golden.has(group + "/" + name)) comparison.by_rule(golden, group + "/" + name, tensor);
  }
}

void compare_weights(const GoldenCase& golden, const Model& model, const std::string& group, Comparison& comparison) {
  for (const auto& [name, tensor] : named_state(model)) {
    if (drifts_freely(model, name)) continue;
    comparison.loosely(golden, group + "/" + name, tensor, kTrajectoryWeights);
  }
}

namespace {

/// "0.1,0.5,0.4" of numbers in lists of any depth.
std::string list_text(const nlohmann::json& value) {
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const auto& item : value) text += (text.empty() ? "" : ",") + list_text(item);
  return text;
}

}  // namespace

std::shared_ptr<Model> model_of(const GoldenCase& golden) {
  DataShape shape;
  Hyperparameters hyperparameters;
  for (const auto& [name, value] : golden.hyperparameters().items()) {
    if (name == "n_input") {
      shape.n_input = value.get<std::int64_t>();
    } else if (name == "n_batch") {
      shape.n_batch = value.get<std::int64_t>();
    } else if (name == "n_labels") {
      shape.n_labels = value.get<std::int64_t>();
    } else if (value.is_null() && golden.model() == "AutoZIVAE") {
      hyperparameters[name] = std::string("none");
    } else if (value.is_null() || value.is_object()) {
      continue;  // the default; no case gives classifier_parameters any
    } else if (value.is_array()) {
      hyperparameters[name] = list_text(value);
    } else if (value.is_boolean()) {
      hyperparameters[name] = value.get<bool>();
    } else if (value.is_number_integer()) {
      hyperparameters[name] = value.get<std::int64_t>();
    } else if (value.is_number()) {
      hyperparameters[name] = value.get<double>();
    } else {
      hyperparameters[name] = value.get<std::string>();
    }
  }
  // The cases of VAEC show its library encoder running twice.
  if (golden.model() == "VAEC") hyperparameters["reference_0_6_3"] = true;
  auto model = make_model(golden.model(), shape, hyperparameters);
  model->to(golden.device());
  return model;
}

void replay_vae(const GoldenCase& golden, Comparison& comparison) {
  const auto model = model_of(golden);
  const MiniBatch batch = inputs_of(golden);
  for (const bool train : {false, true}) {
    if (!golden.has(train ? "expected/train" : "expected/eval")) continue;
    replay_outputs(golden, *model, batch, train, comparison);
  }
  replay_loss(golden, *model, batch, true, 1, "train_kl1", "expected/grad", comparison);
  replay_loss(golden, *model, batch, true, 0.37, "train_kl037", "expected/grad_kl037", comparison);
  replay_loss(golden, *model, batch, false, 1, "eval_kl1", "expected/grad_eval", comparison);
  replay_loss(golden, *model, batch, false, 0.37, "eval_kl037", "", comparison);
  load_state_dict(*model, golden.state("weights"), golden.name());
  if (golden.has("expected/loadings")) {
    comparison.by_rule(golden, "expected/loadings", dynamic_cast<const LDVAE&>(*model).get_loadings());
  }
  if (golden.has("expected/alphas_betas")) replay_alphas_betas(golden, *model, comparison);
}

void replay_steps(const GoldenCase& golden, UnsupervisedTrainer& trainer, const Model& model,
                  const std::function<double(std::int64_t, Noise&)>& train_on, Comparison& comparison) {
  const auto draws = golden.tape("trajectory/noise");
  const auto per_epoch =
      golden.json_attribute("trajectory", "trainer").at("iterations_per_epoch").get<std::int64_t>();
  const at::Tensor expected_loss = golden.tensor64("trajectory/loss");
  at::Tensor losses = at::empty_like(expected_loss);
  at::Tensor kl_weights = at::empty_like(expected_loss);
  for (std::int64_t step = 0; step < golden.tensor("trajectory/minibatch_index").size(0); ++step) {
    trainer.set_epoch(step / per_epoch);
    std::map<std::string, at::Tensor> draws_of_step;
    for (const auto& [name, values] : draws) draws_of_step[name] = values[step];
    RecordedNoise noise(std::move(draws_of_step));
    kl_weights[step] = trainer.kl_weight();
    losses[step] = train_on(step, noise);
    if (step == 0) compare_weights(golden, model, "trajectory/weights_after_step_1", comparison);
  }
  comparison.element_wise("trajectory/loss, every step", losses, expected_loss, kTrajectoryLoss, 0);
  comparison.by_rule(golden, "trajectory/kl_weight", kl_weights);
  compare_weights(golden, model, "trajectory/final_weights", comparison);
}

void replay_vae_trajectory(const GoldenCase& golden, Comparison& comparison) {
  const auto model = model_of(golden);
  load_state_dict(*model, golden.state("trajectory/initial_weights"), golden.name());
  const MiniBatch all = inputs_of(golden);
  const auto settings = golden.json_attribute("trajectory", "trainer");
  const auto adam = golden.json_attribute("trajectory", "optimizer");

  const at::Tensor x = all.counts.dense().cpu();
  auto dataset = std::make_shared<GeneExpressionDataset>();
  dataset->populate_from_data(CountMatrix::from_dense(
      x.size(0), x.size(1), std::span<const float>(x.data_ptr<float>(), static_cast<std::size_t>(x.numel()))));
  TrainerOptions options;
  options.weight_decay = adam.at("weight_decay").get<double>();
  options.reference_0_6_3 = true;
  options.explicit_split = Split{};
  for (std::int64_t cell = 0; cell < settings.at("n_train").get<std::int64_t>(); ++cell) {
    options.explicit_split->train.push_back(cell);
  }
  UnsupervisedTrainerOptions unsupervised;
  const auto optional = [&](const char* name) {
    const auto& value = settings.at(name);
    return value.is_null() ? std::nullopt : std::optional(value.get<std::int64_t>());
  };
  unsupervised.n_epochs_kl_warmup = optional("n_epochs_kl_warmup");
  unsupervised.n_iter_kl_warmup = optional("n_iter_kl_warmup");
  unsupervised.normalize_loss = settings.at("normalize_loss").get<bool>();
  UnsupervisedTrainer trainer(model, dataset, options, unsupervised);
  TrainOptions train;
  train.n_epochs = settings.at("n_epochs").get<std::int64_t>();
  train.lr = adam.at("lr").get<double>();
  train.eps = adam.at("eps").get<double>();
  trainer.begin(train);

  const at::Tensor rows = golden.tensor("trajectory/minibatch_index");
  replay_steps(
      golden, trainer, *model,
      [&](std::int64_t step, Noise& noise) { return trainer.train_on(rows_of(all, rows[step]), noise); }, comparison);
}

}  // namespace scvi::parity
