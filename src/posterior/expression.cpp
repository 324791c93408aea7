#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "samples.hpp"
#include "scvi/core/error.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi {
namespace {

const at::Tensor& chosen(const InferenceOutputs& outputs, Expression what) {
  return what == Expression::scale ? outputs.px_scale : outputs.px_rate;
}

Decode decode_for(Expression what) {
  return what == Expression::scale ? Decode::scale : Decode::rate;
}

/// The draws are the same whatever is decoded of them.
constexpr const char* kPurpose = "expression";

/// Samples whose numbers are still in the cache when they are read again.
constexpr std::int64_t kDecodedAtATime = 128;

const char* title_of(Expression what) {
  return what == Expression::scale ? "expected frequencies" : "expected counts";
}

/// The batches to decode as, each cell's own where none is given.
std::vector<std::optional<std::int64_t>> batches_of(const std::vector<std::int64_t>& transform_batch) {
  if (transform_batch.empty()) return {std::nullopt};
  return {transform_batch.begin(), transform_batch.end()};
}

}  // namespace

void Posterior::check_batch(std::int64_t batch) const {
  const std::int64_t n_batches = std::max<std::int64_t>(model_->shape().n_batch, 1);
  if (batch >= 0 && batch < n_batches) return;
  throw InputError(
      {.problem = "is " + std::to_string(batch) + ", but the model knows batches 0.." + std::to_string(n_batches - 1),
       .field = "transform_batch"});
}

void Posterior::check(const ExpressionOptions& options) const {
  check_n_samples(options.n_samples);
  check_genes(options.genes, dataset_->nb_genes());
  for (const std::int64_t batch : options.transform_batch) check_batch(batch);
}

std::int64_t Posterior::n_columns(const std::vector<std::int64_t>& genes) const {
  return genes.empty() ? dataset_->nb_genes() : std::ssize(genes);
}

at::Tensor Posterior::mean_expression(Expression what, const MiniBatch& batch, std::int64_t minibatch,
                                      const ExpressionOptions& options) const {
  const auto batches = batches_of(options.transform_batch);
  const std::int64_t n_draws = std::ssize(batches) * options.n_samples;
  Samples samples{.purpose = kPurpose, .n_samples = options.n_samples, .decode = decode_for(what)};
  at::Tensor sum;
  for (const auto& transform_batch : batches) {
    samples.transform_batch = transform_batch;
    for_each_sample(batch, minibatch, samples, [&](std::int64_t, const InferenceOutputs& outputs, Noise&) {
      const at::Tensor values = of_genes(chosen(outputs, what), options.genes);
      if (n_draws == 1) {
        sum = values;
        return;
      }
      // One sample after the other and in float64, so that how many are drawn at a time changes nothing.
      const at::Tensor rows = values.view({-1, values.size(-2), values.size(-1)});
      if (!sum.defined()) sum = at::zeros({rows.size(1), rows.size(2)}, rows.options().dtype(at::kDouble));
      for (std::int64_t sample = 0; sample < rows.size(0); ++sample) sum += rows[sample];
    });
    samples.first_draw += options.n_samples;
  }
  return n_draws == 1 ? sum : sum / static_cast<double>(n_draws);
}

void Posterior::for_each_expression_block(Expression what, const ExpressionOptions& options,
                                          std::int64_t cells_per_block,
                                          const std::function<void(std::int64_t, const CellArray&)>& use) const {
  check(options);
  gather_blocks(
      title_of(what), n_columns(options.genes), cells_per_block,
      [&](std::int64_t i, const MiniBatch& batch) { return mean_expression(what, batch, i, options); }, use);
}

CellArray Posterior::get_sample_scale(const ExpressionOptions& options) const {
  check(options);
  return gather(title_of(Expression::scale), n_columns(options.genes), [&](std::int64_t i, const MiniBatch& batch) {
    return mean_expression(Expression::scale, batch, i, options);
  });
}

Latent Posterior::draw_latent() const {
  Latent latent;
  for (const std::int64_t cell : indices_) {
    latent.batch_indices.push_back(dataset_->batch_indices()[cell]);
    latent.labels.push_back(dataset_->labels()[cell]);
  }
  latent.z = gather("latent space", n_latent(), [&](std::int64_t i, const MiniBatch& batch) {
    const auto draws = noise(kPurpose, i);
    const InferenceOutputs outputs = model_->inference(batch, *draws, {.decode = Decode::latent});
    if (outputs.labels.defined()) {
      const at::Tensor labels = outputs.labels.to(at::kCPU, at::kLong).contiguous();
      std::copy_n(labels.data_ptr<std::int64_t>(), labels.numel(), latent.labels.begin() + i * options_.batch_size);
    }
    return outputs.z;
  });
  return latent;
}

void Posterior::for_each_scale(const Latent& latent, const UseRows& use) const {
  const at::TensorOptions whole(at::kLong);
  const auto device = model_->device();
  for_each_part("expected frequencies", latent.n_cells(), kDecodedAtATime, [&](std::int64_t begin, std::int64_t end) {
    const auto part = [&](const auto& values, std::int64_t n_columns, const at::TensorOptions& type) {
      auto* first = const_cast<void*>(static_cast<const void*>(values.data() + begin * n_columns));
      return at::from_blob(first, {end - begin, n_columns}, type).to(device);
    };
    MiniBatch cells;
    cells.batch_index = part(latent.batch_indices, 1, whole);
    cells.labels = part(latent.labels, 1, whole);
    const InferenceOptions how{.decode = Decode::scale, .z = part(latent.z.values, latent.z.n_columns, at::kFloat)};
    const auto no_draws = noise("decoding", begin);
    const at::Tensor scale = model_->inference(cells, *no_draws, how).px_scale.to(at::kCPU, at::kFloat).contiguous();
    use(begin, scale.data_ptr<float>(), end - begin);
  });
}

CellArray Posterior::get_sample_rate(const ExpressionOptions& options) const {
  check(options);
  return gather(title_of(Expression::rate), n_columns(options.genes), [&](std::int64_t i, const MiniBatch& batch) {
    return mean_expression(Expression::rate, batch, i, options);
  });
}

SampleArray Posterior::imputation(const ExpressionOptions& options) const {
  check(options);
  const auto batches = batches_of(options.transform_batch);
  SamplePlaces places(options.n_samples, nb_cells(), n_columns(options.genes));
  for_each_minibatch("imputation", [&](std::int64_t i, std::int64_t first_cell, const MiniBatch& batch) {
    Samples samples{.purpose = kPurpose, .n_samples = options.n_samples, .decode = Decode::rate};
    for (const auto& transform_batch : batches) {
      samples.transform_batch = transform_batch;
      for_each_sample(batch, i, samples, [&](std::int64_t sample, const InferenceOutputs& outputs, Noise&) {
        const at::Tensor share = of_genes(outputs.px_rate, options.genes) / static_cast<double>(batches.size());
        places.add(sample, first_cell, share);
      });
      samples.first_draw += options.n_samples;
    }
  });
  return std::move(places).take();
}

}  // namespace scvi
