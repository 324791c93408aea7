#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/loader/data_loader.hpp"
#include "scvi/model/model.hpp"

namespace scvi {

/// Numbers per cell, (n_cells, n_columns), row-major, with the cells they belong to.
struct CellArray {
  std::int64_t n_cells = 0;
  std::int64_t n_columns = 0;
  std::vector<float> values;
};

/// The latent space of some cells, in the order of the posterior's indices.
struct Latent {
  CellArray z;                              ///< (cells, n_latent)
  std::vector<std::int64_t> batch_indices;  ///< (cells)
  std::vector<std::int64_t> labels;         ///< (cells)
};

struct PosteriorOptions {
  std::int64_t batch_size = 128;
  std::uint64_t seed = 0;
  bool corrupted = false;  ///< look at the corrupted counts
  std::string name = {};   ///< sets the draws of this posterior apart from those of others: "test_set"
};

/// Noise for one minibatch. @param purpose what is computed: "elbo"; @param sample which Monte-Carlo sample
using NoiseFactory =
    std::function<std::unique_ptr<Noise>(std::string_view purpose, std::int64_t minibatch, std::int64_t sample)>;

/// A trained model together with some of the cells of a data set: what the model says of these cells.
///
/// Everything is computed with the model in evaluation mode, minibatch by minibatch in the order of `indices`,
/// several minibatches at a time. The draws depend on seed, name, purpose and minibatch alone.
class Posterior {
 public:
  /// @param indices positions of the cells in the data set
  /// @throws InputError when the data set has another number of genes than the model, or an index is out of range
  Posterior(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
            std::vector<std::int64_t> indices, PosteriorOptions options = {});
  /// One with all cells of the data set, in their order.
  static Posterior of_all_cells(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                                PosteriorOptions options = {});

  const std::vector<std::int64_t>& indices() const { return indices_; }
  std::int64_t nb_cells() const { return std::ssize(indices_); }
  const GeneExpressionDataset& gene_dataset() const { return *dataset_; }
  const PosteriorOptions& options() const { return options_; }
  Model& model() const { return *model_; }

  /// Negative evidence lower bound, nats per cell (lower is better). @throws InputError without cells, as all of
  /// these
  double elbo() const;
  /// -log p(x | z, l), nats per cell.
  double reconstruction_error() const;
  /// Negative marginal log-likelihood, nats per cell, by importance sampling: log-mean-exp over the samples of each
  /// cell, in double precision. @throws InputError for latent distribution `ln`, which has no density here
  double marginal_ll(std::int64_t n_mc_samples = 1000) const;
  /// Mean (or one sample) of the latent space.
  Latent get_latent(bool give_mean = true) const;
  /// (cells, 1) mean (or one sample) of the natural log of the library size.
  CellArray get_library(bool give_mean = true) const;
  /// (cells, genes) expected frequencies of expression, from one sample of z. @param transform_batch see
  /// InferenceOptions
  CellArray get_sample_scale(const InferenceOptions& options = {}) const;

  /// Draws for another point in training: metrics of different epochs are independent. Default 0.
  void set_position(std::uint64_t position) { position_ = position; }
  /// Reports how many cells are done; nullptr (the default): silent. It must live as long as this is used.
  void set_progress(Progress* progress) { progress_ = progress; }
  /// Takes the draws from elsewhere, e.g. from a recording.
  void set_noise(NoiseFactory factory) { noise_factory_ = std::move(factory); }

 private:
  std::unique_ptr<Noise> noise(std::string_view purpose, std::int64_t minibatch, std::int64_t sample = 0) const;
  /// Calls use(number of the minibatch, first cell's place in indices, minibatch) for all, in any order and on any
  /// thread, without recording gradients.
  void for_each_minibatch(std::string_view what,
                          const std::function<void(std::int64_t, std::int64_t, const MiniBatch&)>& use) const;
  /// Sum over minibatches of what `value` gives for each, in double and in fixed order.
  double sum_over_minibatches(std::string_view what,
                              const std::function<double(std::int64_t, const MiniBatch&)>& value) const;
  CellArray gather(std::string_view what, std::int64_t n_columns,
                   const std::function<at::Tensor(std::int64_t, const MiniBatch&)>& rows) const;
  double marginal_log_likelihood(const MiniBatch& batch, std::int64_t minibatch, std::int64_t n_mc_samples) const;

  std::shared_ptr<Model> model_;
  std::shared_ptr<const GeneExpressionDataset> dataset_;
  std::vector<std::int64_t> indices_;
  PosteriorOptions options_;
  std::uint64_t position_ = 0;
  NoiseFactory noise_factory_;
  Progress* progress_ = nullptr;
};

}  // namespace scvi
