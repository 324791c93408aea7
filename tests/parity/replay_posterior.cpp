#include <ATen/ATen.h>

#include "replay.hpp"
#include "scvi/core/error.hpp"
#include "scvi/loader/minibatch.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi::parity {
namespace {

CountMatrix matrix_of(const GoldenCase& golden, const std::string& path) {
  const at::Tensor x = golden.tensor(path).cpu().contiguous();
  return CountMatrix::from_dense(x.size(0), x.size(1),
                                 std::span<const float>(x.data_ptr<float>(), static_cast<std::size_t>(x.numel())));
}

std::vector<std::int64_t> integers(const at::Tensor& tensor) {
  const at::Tensor values = tensor.cpu().contiguous();
  return {values.data_ptr<std::int64_t>(), values.data_ptr<std::int64_t>() + values.numel()};
}

at::Tensor tensor_of(const std::vector<float>& values, at::IntArrayRef shape) {
  return at::tensor(values).view(shape);
}
at::Tensor tensor_of(const CellArray& array) {
  return tensor_of(array.values, {array.n_cells, array.n_columns});
}
at::Tensor tensor_of(const SampleArray& array) {
  return tensor_of(array.values, {array.n_samples, array.n_cells, array.n_columns});
}
/// As the reference has samples: (cells, columns, samples).
at::Tensor samples_last(const SampleArray& array) {
  return tensor_of(array).permute({1, 2, 0});
}

/// A posterior case with its data set and model.
class Replay {
 public:
  Replay(const GoldenCase& golden, std::int64_t batch_size)
      : golden_(golden),
        model_(model_of(golden)),
        dataset_(dataset_of(golden)),
        posterior_(Posterior::of_all_cells(model_, dataset_, {.batch_size = batch_size})) {
    load_state_dict(*model_, golden.state("weights"), golden.name());
    model_->eval();
  }

  Model& model() { return *model_; }
  const Posterior& posterior() const { return posterior_; }
  /// One that has all cells in one minibatch.
  Posterior whole() const { return posterior_.with_batch_size(dataset_->nb_cells()); }

  /// The posterior with the draws of a tape. Of a draw's name in the file, what stands for its number (the batch, or
  /// the Monte-Carlo sample) is `number`, in which "#" is the number: "/b#", "@#", or "" where the first dimension is
  /// it, or there is but one.
  Posterior with_tape(Posterior posterior, const std::string& name, const std::string& number = "") const {
    const auto tape = golden_.tape("noise/" + name);
    posterior.set_noise([=](std::string_view, std::int64_t minibatch, std::int64_t draw) {
      std::string suffix = number;
      if (const auto at = suffix.find('#'); at != std::string::npos) suffix.replace(at, 1, std::to_string(draw));
      std::map<std::string, at::Tensor> draws;
      for (const auto& [path, values] : tape) {
        const std::string base = path.substr(0, path.find_first_of("/@"));
        const bool by_minibatch = path == base + suffix + "/mb" + std::to_string(minibatch);
        if (by_minibatch) draws[base] = values;
        if (!suffix.empty() && path == base + suffix) draws[base] = values;
        if (path == base) draws[base] = values.dim() == 3 ? values[draw] : values;
      }
      return std::make_unique<RecordedNoise>(std::move(draws));
    });
    return posterior;
  }
  Posterior with_tape(const std::string& name, const std::string& number = "") const {
    return with_tape(posterior_, name, number);
  }
  Posterior whole_with_tape(const std::string& name) const { return with_tape(whole(), name); }

 private:
  static std::shared_ptr<const GeneExpressionDataset> dataset_of(const GoldenCase& golden) {
    auto dataset = std::make_shared<GeneExpressionDataset>();
    PopulateOptions populate;
    populate.batch_indices = integers(golden.tensor("inputs/batch_index"));
    dataset->populate_from_data(matrix_of(golden, "inputs/x"), populate);
    if (golden.has("inputs/corrupted_x")) {
      dataset->register_dataset_version(kCorruptedVersion, matrix_of(golden, "inputs/corrupted_x"));
    }
    return dataset;
  }

  const GoldenCase& golden_;
  std::shared_ptr<Model> model_;
  std::shared_ptr<const GeneExpressionDataset> dataset_;
  Posterior posterior_;
};

void replay_likelihoods(const GoldenCase& golden, const Replay& replay, Comparison& comparison) {
  const auto compare = [&](const std::string& name, double value) {
    comparison.by_rule(golden, "expected/" + name + "/value", at::scalar_tensor(value, at::kDouble));
  };
  compare("elbo", replay.with_tape("elbo").elbo());
  compare("reconstruction_error", replay.with_tape("reconstruction_error").reconstruction_error());
  if (!golden.has("expected/marginal_ll")) return;
  const auto n_samples = golden.file().attribute_number<std::int64_t>("expected/meta", "n_mc_samples");
  compare("marginal_ll", replay.with_tape("marginal_ll", "@#").marginal_ll(n_samples));
}

void replay_latent(const GoldenCase& golden, Replay& replay, Comparison& comparison) {
  const auto latent = [&](const std::string& name, bool give_mean) {
    if (!golden.has("expected/" + name)) return;
    comparison.by_rule(golden, "expected/" + name + "/latent",
                       tensor_of(replay.with_tape(name).get_latent(give_mean).z));
  };
  latent("get_latent_mean", true);
  latent("get_latent_sample", false);
  comparison.by_rule(golden, "expected/get_stats/library",
                     at::tensor(replay.whole_with_tape("get_stats").get_stats()));
  if (!golden.has("expected/latent_mean_20")) return;
  // The number of draws behind a mean is the model's to know.
  const at::Tensor draws = golden.tensor("noise/latent_mean_20/z_mc");
  RecordedNoise noise({{"z", draws}});
  MiniBatch all;
  all.counts = CountTensor(golden.tensor("inputs/x"));
  at::NoGradGuard no_grad;
  comparison.by_rule(golden, "expected/latent_mean_20/latent",
                     replay.model().sample_from_posterior_z(all, noise, /*give_mean=*/true, draws.size(0)));
}

void replay_expression(const GoldenCase& golden, const Replay& replay, Comparison& comparison) {
  const auto scale = [&](const std::string& name, const ExpressionOptions& options) {
    comparison.by_rule(golden, "expected/" + name + "/scale",
                       tensor_of(replay.with_tape(name).get_sample_scale(options)));
  };
  scale("get_sample_scale", {});
  scale("get_sample_scale_batch1", {.transform_batch = {1}});
  const auto rate = [&](const std::string& name, const Posterior& posterior, const ExpressionOptions& options) {
    const at::Tensor samples = tensor_of(posterior.imputation(options));
    comparison.by_rule(golden, "expected/" + name + "/rate", options.n_samples == 1 ? samples[0] : samples);
    const at::Tensor mean = tensor_of(posterior.get_sample_rate(options));
    comparison.fact(name + ": the mean is the mean of the samples", at::allclose(mean, samples.mean(0), 1e-5, 1e-6));
  };
  rate("imputation", replay.with_tape("imputation"), {});
  rate("imputation_batch1", replay.with_tape("imputation_batch1"), {.transform_batch = {1}});
  ExpressionOptions every_batch;
  for (std::int64_t batch = 0; golden.has("noise/imputation_batchlist/z/b" + std::to_string(batch)); ++batch) {
    every_batch.transform_batch.push_back(batch);
  }
  rate("imputation_batchlist", replay.with_tape("imputation_batchlist", "/b#"), every_batch);
  rate("imputation_n3", replay.whole_with_tape("imputation_n3"), {.n_samples = 3});
}

void replay_imputation_list(const GoldenCase& golden, const Replay& replay, Comparison& comparison) {
  const std::string group = "expected/imputation_list/";
  const ImputationList list = replay.whole_with_tape("imputation_list").imputation_list();
  comparison.by_rule(golden, group + "original", at::tensor(list.original));
  comparison.by_rule(golden, group + "imputed", at::tensor(list.imputed));
  comparison.by_rule(golden, group + "per_cell_count", at::diff(at::tensor(list.indptr)));
  comparison.by_rule(golden, group + "score", at::scalar_tensor(imputation_score(list), at::kDouble));
}

void replay_generation(const GoldenCase& golden, const Replay& replay, Comparison& comparison) {
  const GeneratedCounts counts = replay.whole_with_tape("generate_n2").generate({.n_samples = 2});
  comparison.by_rule(golden, "expected/generate_n2/x_new", samples_last(counts.x_new));
  comparison.fact("generate_n2: x_old is what was observed",
                  at::equal(tensor_of(counts.x_old), golden.tensor("inputs/x").cpu()));
  const SampleArray denoised =
      replay.whole_with_tape("generate_denoised_n2").generate_denoised_samples({.n_samples = 2});
  comparison.by_rule(golden, "expected/generate_denoised_n2/samples", samples_last(denoised));
  // The parameters that the counts were drawn with are those of this function.
  const GeneratedParameters parameters = replay.whole_with_tape("generate_n2").generate_parameters(2);
  const std::string drawn = "expected/generate_n2/draw_parameters/gamma/";
  const at::Tensor theta = tensor_of(parameters.dispersion);
  comparison.by_rule(golden, drawn + "concentration", theta);
  comparison.by_rule(golden, drawn + "rate", theta / tensor_of(parameters.mean));
}

}  // namespace

void replay_posterior(const GoldenCase& golden, Comparison& comparison) {
  Replay replay(golden, golden.file().attribute_number<std::int64_t>("expected/meta", "minibatch_size"));
  replay_likelihoods(golden, replay, comparison);
  replay_latent(golden, replay, comparison);
  // The reference offers these for the other models alone.
  if (golden.model() == "AutoZIVAE") return;
  replay_expression(golden, replay, comparison);
  replay_imputation_list(golden, replay, comparison);
  replay_generation(golden, replay, comparison);
}

}  // namespace scvi::parity
