#include <ATen/ATen.h>

#include <cmath>

#include "samples.hpp"
#include "scvi/core/error.hpp"
#include "scvi/kernel/count_nll.hpp"
#include "scvi/model/autozivae.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi {
namespace {

using kernel::CountLikelihood;

/// Largest rate that counts are drawn from, as the reference has it.
constexpr double kLargestRate = 1e8;

/// The distribution of a model's counts around their means, as its hyperparameters name it.
CountLikelihood likelihood_of(const Model& model) {
  if (dynamic_cast<const AutoZIVAE*>(&model) != nullptr) return CountLikelihood::zinb;
  const auto found = model.hyperparameters().find("reconstruction_loss");
  const std::string name = found == model.hyperparameters().end() ? "" : to_text(found->second);
  if (name == "zinb") return CountLikelihood::zinb;
  if (name == "nb") return CountLikelihood::nb;
  if (name == "poisson") return CountLikelihood::poisson;
  throw InputError({.problem = "cannot be drawn from for a model '" + model.name() + "'", .field = "the counts"});
}

/// Draws of Gamma(theta, mean of the draws).
at::Tensor gamma_with_mean(const at::Tensor& mean, const at::Tensor& theta, Noise& noise) {
  const at::Tensor shape = theta.expand_as(mean).contiguous();
  return noise.standard_gamma("gamma", shape) * (mean / shape);
}

/// @param outputs of these genes alone
at::Tensor draw_counts(CountLikelihood likelihood, const InferenceOutputs& outputs, Noise& noise) {
  const bool has_theta = likelihood != CountLikelihood::poisson;
  const at::Tensor rate = has_theta ? gamma_with_mean(outputs.px_rate, outputs.px_r, noise) : outputs.px_rate;
  const at::Tensor counts = noise.poisson("poisson", rate.clamp_max(kLargestRate));
  if (likelihood != CountLikelihood::zinb) return counts;
  const at::Tensor draws = noise.uniform("uniform_zero", counts.sizes(), counts.options());
  const bool mixes = outputs.bernoulli_params.defined();
  const at::Tensor logits = mixes ? mixed_dropout(outputs.px_dropout, outputs.bernoulli_params) : outputs.px_dropout;
  return counts.masked_fill(draws <= at::sigmoid(logits), 0);
}

InferenceOutputs restricted(InferenceOutputs outputs, const std::vector<std::int64_t>& genes) {
  for (at::Tensor* values :
       {&outputs.px_scale, &outputs.px_rate, &outputs.px_r, &outputs.px_dropout, &outputs.bernoulli_params}) {
    if (values->defined()) *values = of_genes(*values, genes);
  }
  return outputs;
}

/// Samples, or their running mean.
class MeanOrSamples {
 public:
  MeanOrSamples(std::int64_t n_samples, bool give_mean, std::int64_t n_cells, std::int64_t n_columns)
      : n_averaged_(give_mean ? n_samples : 1), places_(give_mean ? 1 : n_samples, n_cells, n_columns) {}

  /// One sample, or several where they are first in their dimension.
  void add(std::int64_t first_sample, std::int64_t first_cell, const at::Tensor& values) {
    if (n_averaged_ == 1) return places_.add(first_sample, first_cell, values);
    const at::Tensor sum = values.dim() == 3 ? values.sum(0, false, at::kDouble) : values;
    places_.add(0, first_cell, sum / static_cast<double>(n_averaged_));
  }
  SampleArray take() && { return std::move(places_).take(); }

 private:
  std::int64_t n_averaged_;
  SamplePlaces places_;
};

}  // namespace

GeneratedParameters Posterior::generate_parameters(std::int64_t n_samples, bool give_mean) const {
  check_n_samples(n_samples);
  const std::int64_t n_genes = dataset_->nb_genes();
  MeanOrSamples dropout(n_samples, give_mean, nb_cells(), n_genes);
  MeanOrSamples mean(n_samples, give_mean, nb_cells(), n_genes);
  MeanOrSamples dispersion(n_samples, give_mean, nb_cells(), n_genes);
  const Samples samples{.purpose = "parameters", .n_samples = n_samples};
  for_each_minibatch("parameters", [&](std::int64_t i, std::int64_t cell, const MiniBatch& batch) {
    for_each_sample(batch, i, samples, [&](std::int64_t sample, const InferenceOutputs& outputs, Noise&) {
      dropout.add(sample, cell, outputs.px_dropout);
      mean.add(sample, cell, outputs.px_rate);
      dispersion.add(sample, cell, outputs.px_r.expand_as(outputs.px_rate));
    });
  });
  return {std::move(dropout).take(), std::move(mean).take(), std::move(dispersion).take()};
}

GeneratedCounts Posterior::generate(const GenerateOptions& options) const {
  check_n_samples(options.n_samples);
  check_genes(options.genes, dataset_->nb_genes());
  const auto likelihood = likelihood_of(*model_);
  const std::int64_t columns = n_columns(options.genes);
  SamplePlaces drawn(options.n_samples, nb_cells(), columns);
  SamplePlaces observed(1, nb_cells(), columns);
  const Samples samples{.purpose = "generate", .n_samples = options.n_samples};
  for_each_minibatch("posterior predictive", [&](std::int64_t i, std::int64_t cell, const MiniBatch& batch) {
    observed.add(0, cell, of_genes(batch.counts.dense(), options.genes));
    for_each_sample(batch, i, samples, [&](std::int64_t sample, const InferenceOutputs& outputs, Noise& noise) {
      drawn.add(sample, cell, draw_counts(likelihood, restricted(outputs, options.genes), noise));
    });
  });
  SampleArray x_old = std::move(observed).take();
  return {.x_new = std::move(drawn).take(),
          .x_old = {.n_cells = x_old.n_cells, .n_columns = columns, .values = std::move(x_old.values)}};
}

void Posterior::check(const DenoisedOptions& options) const {
  check_n_samples(options.n_samples);
  check_genes(options.genes, dataset_->nb_genes());
  if (options.transform_batch) check_batch(*options.transform_batch);
  if (!(options.rna_size_factor > 0) || !std::isfinite(options.rna_size_factor)) {
    throw InputError({.problem = "must be a number larger than 0", .field = "rna_size_factor"});
  }
}

void Posterior::for_each_denoised(const MiniBatch& batch, std::int64_t minibatch, const DenoisedOptions& options,
                                  std::int64_t first_draw, const UseValues& use) const {
  const bool has_theta = likelihood_of(*model_) != CountLikelihood::poisson;
  const Samples samples{.purpose = "denoised",
                        .n_samples = options.n_samples,
                        .transform_batch = options.transform_batch,
                        .first_draw = first_draw};
  for_each_sample(batch, minibatch, samples, [&](std::int64_t sample, const InferenceOutputs& all, Noise& noise) {
    const InferenceOutputs outputs = restricted(all, options.genes);
    const at::Tensor mean = outputs.px_scale * options.rna_size_factor;
    use(sample, has_theta ? gamma_with_mean(mean, outputs.px_r, noise) : mean);
  });
}

SampleArray Posterior::generate_denoised_samples(const DenoisedOptions& options) const {
  check(options);
  SamplePlaces places(options.n_samples, nb_cells(), n_columns(options.genes));
  for_each_minibatch("denoised samples", [&](std::int64_t i, std::int64_t cell, const MiniBatch& batch) {
    for_each_denoised(batch, i, options, 0,
                      [&](std::int64_t sample, const at::Tensor& values) { places.add(sample, cell, values); });
  });
  return std::move(places).take();
}

}  // namespace scvi
