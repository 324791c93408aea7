#include "scvi/posterior/posterior.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <numeric>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/distribution/divergence.hpp"
#include "scvi/kernel/threads.hpp"
#include "scvi/model/label_model.hpp"
#include "stacked_noise.hpp"

namespace scvi {
namespace {

/// Numbers that the samples decoded at a time may hold; bounds memory.
constexpr std::int64_t kLargestSampleStep = 1 << 20;

/// The draws behind a marginal likelihood.
constexpr const char* kMarginal = "marginal_ll";

/// Puts a model into evaluation mode and back.
class EvaluationMode {
 public:
  explicit EvaluationMode(Model& model) : model_(model), was_training_(model.is_training()) { model_.eval(); }
  ~EvaluationMode() { model_.train(was_training_); }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  Model& model_;
  bool was_training_;
};

/// Counts finished cells from any thread and hands the sum on.
class Reporter {
 public:
  Reporter(Progress* progress, std::string_view what, std::int64_t n_cells) : progress_(progress) {
    if (progress_) progress_->start(what, n_cells, "cell");
  }
  ~Reporter() {
    if (progress_) progress_->finish();
  }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  void add(std::int64_t n_cells) {
    if (!progress_) return;
    const std::lock_guard lock(mutex_);
    done_ += n_cells;
    progress_->update(done_, "");
  }

 private:
  Progress* progress_;
  std::mutex mutex_;
  std::int64_t done_ = 0;
};

void check_batch_size(std::int64_t batch_size) {
  if (batch_size >= 1) return;
  throw InputError(
      {.problem = "is " + std::to_string(batch_size) + ", but must be at least 1", .field = "batch_size"});
}

void check_cells(const std::vector<std::int64_t>& cells, std::int64_t n_cells) {
  for (const std::int64_t cell : cells) {
    if (cell >= 0 && cell < n_cells) continue;
    throw InputError(
        {.problem = "is " + std::to_string(cell) + ", but the data set has " + std::to_string(n_cells) + " cells",
         .field = "a cell index of a posterior"});
  }
}

/// log of the mean over samples (rows) of exp, per cell (columns), summed over cells.
double sum_of_log_mean_exp(const std::vector<double>& log_weights, std::int64_t n_samples, std::int64_t n_cells) {
  double total = 0;
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    double largest = log_weights[cell];
    for (std::int64_t s = 1; s < n_samples; ++s) largest = std::max(largest, log_weights[s * n_cells + cell]);
    double sum = 0;
    for (std::int64_t s = 0; s < n_samples; ++s) sum += std::exp(log_weights[s * n_cells + cell] - largest);
    total += largest + std::log(sum / static_cast<double>(n_samples));
  }
  return total;
}

}  // namespace

Posterior::Posterior(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                     std::vector<std::int64_t> indices, PosteriorOptions options)
    : model_(std::move(model)),
      dataset_(std::move(dataset)),
      indices_(std::move(indices)),
      options_(std::move(options)) {
  kernel::use_own_threads();
  if (dataset_->nb_genes() != model_->shape().n_input) {
    throw InputError({.problem = "has " + std::to_string(dataset_->nb_genes()) +
                                 " genes, but the model was built for " + std::to_string(model_->shape().n_input),
                      .field = "the data set"});
  }
  check_batch_size(options_.batch_size);
  check_cells(indices_, dataset_->nb_cells());
}

Posterior Posterior::of_all_cells(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                                  PosteriorOptions options) {
  std::vector<std::int64_t> cells = all_cells(dataset->nb_cells());
  return Posterior(std::move(model), std::move(dataset), std::move(cells), std::move(options));
}

Posterior Posterior::with_indices(std::vector<std::int64_t> indices) const {
  check_cells(indices, dataset_->nb_cells());
  Posterior other = *this;
  other.indices_ = std::move(indices);
  other.first_minibatch_ = 0;
  return other;
}

Posterior Posterior::minibatches(std::int64_t first, std::int64_t end) const {
  const auto place = [&](std::int64_t minibatch) {
    return indices_.begin() + std::min(std::max<std::int64_t>(minibatch, 0) * options_.batch_size, nb_cells());
  };
  Posterior other = *this;
  other.indices_.assign(place(first), std::max(place(first), place(end)));
  other.first_minibatch_ += std::max<std::int64_t>(first, 0);
  return other;
}

Posterior Posterior::with_batch_size(std::int64_t batch_size) const {
  check_batch_size(batch_size);
  Posterior other = *this;
  other.options_.batch_size = batch_size;
  return other;
}

Posterior Posterior::corrupted() const {
  dataset_->corrupted_X();
  Posterior other = *this;
  other.options_.corrupted = true;
  return other;
}

Posterior Posterior::uncorrupted() const {
  Posterior other = *this;
  other.options_.corrupted = false;
  return other;
}

Posterior Posterior::with_known_labels() const {
  Posterior other = *this;
  std::erase_if(other.indices_, [&](std::int64_t cell) { return dataset_->labels()[cell] < 0; });
  return other;
}

Posterior Posterior::with_hidden_labels() const {
  Posterior other = *this;
  other.options_.hide_labels = true;
  return other;
}

std::unique_ptr<Noise> Posterior::noise(std::string_view purpose, std::int64_t minibatch, std::int64_t sample) const {
  minibatch += first_minibatch_;
  if (noise_factory_) return noise_factory_(purpose, minibatch, sample);
  std::string full = "posterior/" + options_.name + "/" + std::string(purpose);
  if (sample > 0) full += "@" + std::to_string(sample);
  return std::make_unique<RandomNoise>(options_.seed, std::move(full),
                                       std::array{position_, static_cast<std::uint64_t>(minibatch)});
}

MiniBatch Posterior::as_seen(MiniBatch batch) const {
  if (options_.hide_labels) batch.labels = at::full_like(batch.labels, kHiddenLabel);
  return batch;
}

void Posterior::for_each_minibatch(std::string_view what, const UseMiniBatch& use) const {
  for_each_stretch(what, chunk_count(nb_cells(), options_.batch_size), use, [](std::int64_t, std::int64_t) {});
}

void Posterior::for_each_stretch(std::string_view what, std::int64_t n_minibatches, const UseMiniBatch& use,
                                 const std::function<void(std::int64_t, std::int64_t)>& done) const {
  if (indices_.empty()) throw InputError({.problem = "has no cells", .field = "posterior '" + options_.name + "'"});
  const MiniBatchOptions how{.device = model_->device(),
                             .version = options_.corrupted ? kCorruptedVersion : std::string()};
  const Epoch minibatches =
      DataLoader(dataset_, how, std::make_shared<SequentialSampler>(indices_), {.batch_size = options_.batch_size})
          .epoch(0);
  const std::shared_ptr<void> announced = minibatches.announce();
  const EvaluationMode evaluation(*model_);
  Reporter reporter(progress_, what, nb_cells());
  for (std::int64_t first = 0; first < minibatches.size(); first += n_minibatches) {
    const std::int64_t count = std::min(n_minibatches, minibatches.size() - first);
    parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
      at::NoGradGuard no_grad;
      for (std::int64_t i = first + begin; i < first + end; ++i) {
        throw_if_interrupted();
        use(i, i * options_.batch_size, as_seen(minibatches.minibatch(i)));
        reporter.add(std::ssize(minibatches.cells(i)));
      }
    });
    const std::int64_t first_cell = first * options_.batch_size;
    done(first_cell, std::min(count * options_.batch_size, nb_cells() - first_cell));
  }
}

void Posterior::for_each_part(std::string_view what, std::int64_t n, std::int64_t cells_per_part,
                              const std::function<void(std::int64_t, std::int64_t)>& work) const {
  const EvaluationMode evaluation(*model_);
  Reporter reporter(progress_, what, n);
  parallel_for(n, cells_per_part, [&](std::int64_t begin, std::int64_t end) {
    at::NoGradGuard no_grad;
    throw_if_interrupted();
    work(begin, end);
    reporter.add(end - begin);
  });
}

void Posterior::for_each_sample(const MiniBatch& batch, std::int64_t minibatch, const Samples& samples,
                                const UseSamples& use) const {
  const std::int64_t per_step =
      std::clamp<std::int64_t>(kLargestSampleStep / (batch.size() * batch.counts.n_genes()), 1, samples.n_samples);
  for (std::int64_t first = 0; first < samples.n_samples; first += per_step) {
    throw_if_interrupted();
    const std::int64_t n = std::min(per_step, samples.n_samples - first);
    std::vector<std::unique_ptr<Noise>> parts;
    for (std::int64_t s = 0; s < n; ++s) {
      parts.push_back(noise(samples.purpose, minibatch, samples.first_draw + first + s));
    }
    const std::unique_ptr<Noise> draws =
        n == 1 ? std::move(parts.front()) : std::make_unique<StackedNoise>(std::move(parts));
    InferenceOptions how{.n_samples = n, .transform_batch = samples.transform_batch, .decode = samples.decode};
    if (samples.global.defined()) {
      how.global = n == 1 ? samples.global[first] : samples.global.narrow(0, first, n);
    }
    use(first, model_->inference(batch, *draws, how), *draws);
  }
}

double Posterior::sum_over_minibatches(std::string_view what,
                                       const std::function<double(std::int64_t, const MiniBatch&)>& value) const {
  std::vector<double> parts(static_cast<std::size_t>(chunk_count(nb_cells(), options_.batch_size)));
  for_each_minibatch(what, [&](std::int64_t i, std::int64_t, const MiniBatch& batch) { parts[i] = value(i, batch); });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

void Posterior::gather_blocks(std::string_view what, std::int64_t n_columns, std::int64_t cells_per_block,
                              const MakeRows& rows, const std::function<void(std::int64_t, CellArray&)>& use) const {
  const std::int64_t n_minibatches =
      std::max<std::int64_t>(chunk_count(std::min(cells_per_block, nb_cells()), options_.batch_size), 1);
  const std::int64_t block_cells = std::min(n_minibatches * options_.batch_size, nb_cells());
  CellArray block{.n_cells = block_cells, .n_columns = n_columns, .values = {}};
  block.values.resize(static_cast<std::size_t>(block_cells * n_columns));
  std::int64_t block_begin = 0;
  for_each_stretch(
      what, n_minibatches,
      [&](std::int64_t i, std::int64_t first, const MiniBatch& batch) {
        const at::Tensor part = rows(i, batch).to(at::kCPU, at::kFloat).contiguous();
        std::memcpy(block.values.data() + (first - block_begin) * n_columns, part.data_ptr<float>(), part.nbytes());
      },
      [&](std::int64_t first, std::int64_t n_cells) {
        block.n_cells = n_cells;
        block.values.resize(static_cast<std::size_t>(n_cells * n_columns));
        use(first, block);
        block_begin = first + n_cells;
      });
}

CellArray Posterior::gather(std::string_view what, std::int64_t n_columns, const MakeRows& rows) const {
  CellArray result;
  gather_blocks(what, n_columns, nb_cells(), rows,
                [&](std::int64_t, CellArray& block) { result = std::move(block); });
  return result;
}

double Posterior::elbo() const {
  std::vector<double> global(static_cast<std::size_t>(chunk_count(nb_cells(), options_.batch_size)));
  const double total = sum_over_minibatches("elbo", [&](std::int64_t i, const MiniBatch& batch) {
    const auto draws = noise("elbo", i);
    const Elbo terms = model_->forward(batch, *draws);
    global[i] = terms.kl_global.defined() ? terms.kl_global.item<double>() : 0;
    return (terms.reconstruction + terms.kl_local).sum(at::kDouble).item<double>();
  });
  return (total + global.back()) / static_cast<double>(nb_cells());
}

double Posterior::reconstruction_error() const {
  const double total = sum_over_minibatches("reconstruction error", [&](std::int64_t i, const MiniBatch& batch) {
    const auto draws = noise("reconstruction_error", i);
    const auto outputs = model_->inference(batch, *draws);
    return model_->get_reconstruction_loss(batch, outputs).sum(at::kDouble).item<double>();
  });
  return total / static_cast<double>(nb_cells());
}

std::vector<double> Posterior::log_weights(const MiniBatch& batch, std::int64_t minibatch,
                                           const Samples& samples) const {
  const std::int64_t n_cells = batch.size();
  std::vector<double> result(static_cast<std::size_t>(samples.n_samples * n_cells));
  for_each_sample(batch, minibatch, samples, [&](std::int64_t first, const InferenceOutputs& out, Noise&) {
    const at::Tensor p_z = normal_log_prob(out.z, at::zeros_like(out.z), at::ones_like(out.z)).sum(-1);
    const at::Tensor p_l = normal_log_prob(out.library, batch.local_l_mean, batch.local_l_var).sum(-1);
    const at::Tensor q_z = normal_log_prob(out.z, out.qz_m, out.qz_v).sum(-1);
    const at::Tensor q_l = normal_log_prob(out.library, out.ql_m, out.ql_v).sum(-1);
    const at::Tensor log_weight = p_z + p_l - model_->get_reconstruction_loss(batch, out) - q_z - q_l;
    const at::Tensor values = log_weight.to(at::kCPU, at::kDouble).contiguous();
    std::memcpy(result.data() + first * n_cells, values.data_ptr<double>(), values.nbytes());
  });
  return result;
}

double Posterior::marginal_log_likelihood(std::int64_t n_mc_samples) const {
  const Samples samples{.purpose = kMarginal, .n_samples = n_mc_samples};
  return sum_over_minibatches("marginal likelihood", [&](std::int64_t i, const MiniBatch& batch) {
    return sum_of_log_mean_exp(log_weights(batch, i, samples), n_mc_samples, batch.size());
  });
}

double Posterior::joint_log_likelihood(std::int64_t n_mc_samples) const {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> draws;
  std::vector<double> totals;
  for (std::int64_t sample = 0; sample < n_mc_samples; ++sample) {
    const GlobalDraw draw = model_->draw_global(*noise(kMarginal, 0, sample));
    draws.push_back(draw.value);
    totals.push_back(draw.log_weight.item<double>());
  }
  const Samples samples{.purpose = kMarginal, .n_samples = n_mc_samples, .global = at::stack(draws)};
  std::vector<std::vector<double>> parts(static_cast<std::size_t>(chunk_count(nb_cells(), options_.batch_size)));
  for_each_minibatch("marginal likelihood", [&](std::int64_t i, std::int64_t, const MiniBatch& batch) {
    const std::vector<double> weights = log_weights(batch, i, samples);
    for (std::int64_t sample = 0; sample < n_mc_samples; ++sample) {
      const auto first = weights.begin() + sample * batch.size();
      parts[i].push_back(std::accumulate(first, first + batch.size(), 0.0));
    }
  });
  for (const auto& part : parts) {
    for (std::size_t sample = 0; sample < totals.size(); ++sample) totals[sample] += part[sample];
  }
  return sum_of_log_mean_exp(totals, n_mc_samples, 1);
}

bool Posterior::has_global_variables() const {
  at::NoGradGuard no_grad;
  return model_->draw_global(*noise(kMarginal, 0)).value.defined();
}

double Posterior::marginal_ll(std::int64_t n_mc_samples) const {
  const auto latent = model_->hyperparameters().find("latent_distribution");
  if (latent != model_->hyperparameters().end() && to_text(latent->second) == "ln") {
    throw InputError({.problem = "cannot be computed for a logistic-normal latent space",
                      .field = "marginal_ll",
                      .remedy = "use elbo, or train with --latent-distribution normal"});
  }
  if (n_mc_samples < 1) throw InputError({.problem = "must be at least 1", .field = "n_mc_samples"});
  const double total =
      has_global_variables() ? joint_log_likelihood(n_mc_samples) : marginal_log_likelihood(n_mc_samples);
  return -total / static_cast<double>(nb_cells());
}

std::int64_t Posterior::n_latent() const {
  const auto found = model_->hyperparameters().find("n_latent");
  if (found != model_->hyperparameters().end()) return std::get<std::int64_t>(found->second);
  throw InputError({.problem = "has no latent space", .field = "model " + model_->name()});
}

Latent Posterior::get_latent(bool give_mean) const {
  Latent latent;
  latent.z = gather("latent space", n_latent(), [&](std::int64_t i, const MiniBatch& batch) {
    const auto draws = noise("latent", i);
    return model_->sample_from_posterior_z(batch, *draws, give_mean);
  });
  for (const std::int64_t cell : indices_) {
    latent.batch_indices.push_back(dataset_->batch_indices()[cell]);
    latent.labels.push_back(dataset_->labels()[cell]);
  }
  return latent;
}

CellArray Posterior::get_label_probabilities() const {
  auto* labels = dynamic_cast<LabelModel*>(model_.get());
  if (!labels) {
    throw InputError(
        {.problem = "tells no labels", .field = "model " + model_->name(), .remedy = "use scanvi or vaec"});
  }
  return gather("labels", model_->shape().n_labels, [&](std::int64_t i, const MiniBatch& batch) {
    const auto draws = noise("labels", i);
    return labels->classify(batch, *draws);
  });
}

CellArray Posterior::get_library(bool give_mean) const {
  return gather("library size", 1, [&](std::int64_t i, const MiniBatch& batch) {
    const auto draws = noise("library", i);
    return model_->sample_from_posterior_l(batch, *draws, give_mean);
  });
}

RawData Posterior::raw_data() const {
  RawData raw{.X = dataset_->X().select_cells(indices_), .labels = {}};
  for (const std::int64_t cell : indices_) raw.labels.push_back(dataset_->labels()[cell]);
  return raw;
}

}  // namespace scvi
