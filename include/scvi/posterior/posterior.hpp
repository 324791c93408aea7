#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/loader/data_loader.hpp"
#include "scvi/model/model.hpp"
#include "scvi/posterior/cell_array.hpp"
#include "scvi/posterior/expression.hpp"
#include "scvi/posterior/generation.hpp"
#include "scvi/posterior/imputation.hpp"

namespace scvi {

/// The latent space of some cells, in the order of the posterior's indices.
struct Latent {
  CellArray z;                              ///< (cells, n_latent)
  std::vector<std::int64_t> batch_indices;  ///< (cells)
  std::vector<std::int64_t> labels;         ///< (cells)

  std::int64_t n_cells() const { return z.n_cells; }
};

struct PosteriorOptions {
  std::int64_t batch_size = 128;
  std::uint64_t seed = 0;
  bool corrupted = false;  ///< look at the corrupted counts
  /// Hide the labels of all cells from the model. One that reads them otherwise does for the cells that have any: the
  /// latent mean of VAEC is that of a cell with its label.
  bool hide_labels = false;
  std::string name = {};  ///< sets the draws of this posterior apart from those of others: "test_set"
};

/// The observed counts of some cells, (cells, genes), with their labels.
struct RawData {
  CountMatrix X;
  std::vector<std::int64_t> labels;
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

  // The same model seen through other cells or options: scVI's update(), sequential() and update_sampler_indices().
  // Cells are always visited in the order of their indices.
  /// @throws InputError for an index out of range
  Posterior with_indices(std::vector<std::int64_t> indices) const;
  /// But for rounding, means do not depend on the size of minibatches; draws do. @throws InputError for less than 1
  Posterior with_batch_size(std::int64_t batch_size) const;
  /// Its minibatches from `first` to before `end` (or the last): what it says of their cells, with the same draws.
  Posterior minibatches(std::int64_t first, std::int64_t end) const;
  /// The one that reads the corrupted counts. @throws InputError when the data set has none
  Posterior corrupted() const;
  Posterior uncorrupted() const;
  /// The one with those of its cells that have a label; scores of labels are about these.
  Posterior with_known_labels() const;
  /// The one whose model sees no label (PosteriorOptions::hide_labels).
  Posterior with_hidden_labels() const;

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
  /// cell (of all cells together where they share variables), in double precision. @throws InputError for latent
  /// distribution `ln`, which has no density here
  double marginal_ll(std::int64_t n_mc_samples = 1000) const;
  /// Mean (or one sample) of the latent space.
  Latent get_latent(bool give_mean = true) const;
  /// (cells, n_labels) the probability of each label, as the model tells it from the counts alone.
  /// @throws InputError for a model that tells no labels
  CellArray get_label_probabilities() const;
  /// (cells, 1) mean (or one sample) of the natural log of the library size.
  CellArray get_library(bool give_mean = true) const;
  /// One sample of the natural log of the library size of each cell.
  std::vector<float> get_stats() const { return get_library(/*give_mean=*/false).values; }

  /// (cells, genes) expected frequencies, mean over samples and batches: normalised expression. Memory does not grow
  /// with the number of samples. @throws InputError for an unknown batch or gene, as all that take options
  CellArray get_sample_scale(const ExpressionOptions& options = {}) const;
  /// One sample of what px_scale is decoded from, the one that get_sample_scale() draws: z, batches, and labels, a
  /// hidden one being the most probable where the model needs it.
  Latent draw_latent() const;
  /// Rows of a result: place of the first, (n, genes), n.
  using UseRows = std::function<void(std::int64_t first, const float* rows, std::int64_t n)>;
  /// Decodes such samples, whatever cells they are of: use(place of the first, expected frequencies) is called for
  /// some of them after the other, in any order and from any thread.
  /// @param latent its batches are those to decode for
  void for_each_scale(const Latent& latent, const UseRows& use) const;
  /// (cells, genes) expected counts, in the way of get_sample_scale().
  CellArray get_sample_rate(const ExpressionOptions& options = {}) const;
  /// Either of the two, some cells after the other: use(place of the first cell in indices(), its rows) is called in
  /// order, on the calling thread. The values are those of the functions above.
  /// @param cells_per_block is rounded up to whole minibatches
  void for_each_expression_block(Expression what, const ExpressionOptions& options, std::int64_t cells_per_block,
                                 const std::function<void(std::int64_t, const CellArray&)>& use) const;
  /// (n_samples, cells, genes) expected counts, mean over batches: every sample of get_sample_rate().
  SampleArray imputation(const ExpressionOptions& options = {}) const;

  // How well corrupted counts are restored. @throws InputError when the data set has no corrupted counts
  ImputationList imputation_list(std::int64_t n_samples = 1) const;
  double imputation_score(std::int64_t n_samples = 1) const;
  ImputationBenchmark imputation_benchmark(std::int64_t n_samples = 8) const;

  /// @param give_mean means over the samples
  GeneratedParameters generate_parameters(std::int64_t n_samples = 1, bool give_mean = false) const;
  /// Counts drawn from the posterior predictive distribution: for nb and zinb, Poisson counts of Gamma rates.
  GeneratedCounts generate(const GenerateOptions& options = {}) const;
  /// Expression at a common library size with the noise of the cells but not of the counting: Gamma rates without
  /// their Poisson counts, and without extra zeros. For a Poisson model these rates are the expected counts.
  SampleArray generate_denoised_samples(const DenoisedOptions& options = {}) const;
  /// (genes, genes) correlations over all cells and denoised samples; NaN for a gene that does not vary. Memory:
  /// genes x genes, and for Spearman's, which ranks them, all samples of all cells.
  CellArray generate_feature_correlation_matrix(const CorrelationOptions& options = {}) const;

  RawData raw_data() const;

  /// Draws for another point in training: metrics of different epochs are independent. Default 0.
  void set_position(std::uint64_t position) { position_ = position; }
  /// Reports how many cells are done; nullptr (the default): silent. It must live as long as this is used.
  void set_progress(Progress* progress) { progress_ = progress; }
  /// Takes the draws from elsewhere, e.g. from a recording.
  void set_noise(NoiseFactory factory) { noise_factory_ = std::move(factory); }

 private:
  /// The minibatch with hidden labels hidden.
  MiniBatch as_seen(MiniBatch batch) const;
  /// Calls on minibatches: number of the minibatch, first cell's place in indices, minibatch.
  using UseMiniBatch = std::function<void(std::int64_t, std::int64_t, const MiniBatch&)>;
  /// Rows of a result: of a minibatch with its number.
  using MakeRows = std::function<at::Tensor(std::int64_t, const MiniBatch&)>;
  /// Samples of a minibatch: number of the first, and what was inferred, with a leading dimension where it is more
  /// than one; further draws for the same samples come from the noise.
  using UseSamples = std::function<void(std::int64_t, const InferenceOutputs&, Noise&)>;
  /// Which samples of a minibatch are drawn, and what of them is decoded.
  struct Samples {
    std::string_view purpose;
    std::int64_t n_samples = 1;
    std::optional<std::int64_t> transform_batch = {};
    Decode decode = Decode::all;
    std::int64_t first_draw = 0;  ///< number of the first draw: batches that are averaged have draws of their own
    at::Tensor global = {};       ///< (n_samples, ...) what all cells share in each sample, where it is not drawn
  };

  std::unique_ptr<Noise> noise(std::string_view purpose, std::int64_t minibatch, std::int64_t sample = 0) const;
  /// For all minibatches, in any order and on any thread, without recording gradients.
  void for_each_minibatch(std::string_view what, const UseMiniBatch& use) const;
  /// The same in stretches of so many minibatches: done(first cell's place, number of cells) follows each.
  void for_each_stretch(std::string_view what, std::int64_t n_minibatches, const UseMiniBatch& use,
                        const std::function<void(std::int64_t, std::int64_t)>& done) const;
  /// Calls work(begin, end) for parts of n cells, without a data loader, on any thread and without gradients.
  void for_each_part(std::string_view what, std::int64_t n, std::int64_t cells_per_part,
                     const std::function<void(std::int64_t, std::int64_t)>& work) const;
  /// All samples, as many at a time as memory is worth; the draws of one depend on its number alone.
  void for_each_sample(const MiniBatch& batch, std::int64_t minibatch, const Samples& samples,
                       const UseSamples& use) const;
  /// Sum over minibatches of what `value` gives for each, in double and in fixed order.
  double sum_over_minibatches(std::string_view what,
                              const std::function<double(std::int64_t, const MiniBatch&)>& value) const;
  CellArray gather(std::string_view what, std::int64_t n_columns, const MakeRows& rows) const;
  /// gather() in blocks of at least so many cells, in order.
  void gather_blocks(std::string_view what, std::int64_t n_columns, std::int64_t cells_per_block,
                     const MakeRows& rows, const std::function<void(std::int64_t, CellArray&)>& use) const;
  /// @throws InputError for a model without a latent space
  std::int64_t n_latent() const;
  std::int64_t n_columns(const std::vector<std::int64_t>& genes) const;
  at::Tensor mean_expression(Expression what, const MiniBatch& batch, std::int64_t minibatch,
                             const ExpressionOptions& options) const;
  /// Denoised samples of a minibatch: number of the first of several, or of one.
  using UseValues = std::function<void(std::int64_t, const at::Tensor&)>;
  void for_each_denoised(const MiniBatch& batch, std::int64_t minibatch, const DenoisedOptions& options,
                         std::int64_t first_draw, const UseValues& use) const;
  /// All of them, some minibatches after the other, as rows of genes: (cells x samples, genes), in a fixed order.
  void for_each_denoised_block(const DenoisedOptions& options, std::int64_t first_draw, std::int64_t n_minibatches,
                               const std::function<void(std::vector<float>&)>& use) const;
  void check(const ExpressionOptions& options) const;
  void check(const DenoisedOptions& options) const;
  void check_batch(std::int64_t batch) const;
  /// (n_samples, cells) log p(x, z, l) - log q(z, l) of the cells of a minibatch.
  std::vector<double> log_weights(const MiniBatch& batch, std::int64_t minibatch, const Samples& samples) const;
  /// Sum over cells.
  double marginal_log_likelihood(std::int64_t n_mc_samples) const;
  /// The same for a model with variables that all cells share: cells are then no longer independent.
  double joint_log_likelihood(std::int64_t n_mc_samples) const;
  bool has_global_variables() const;

  std::shared_ptr<Model> model_;
  std::shared_ptr<const GeneExpressionDataset> dataset_;
  std::vector<std::int64_t> indices_;
  PosteriorOptions options_;
  std::uint64_t position_ = 0;
  std::int64_t first_minibatch_ = 0;  // of those that draws are numbered by
  NoiseFactory noise_factory_;
  Progress* progress_ = nullptr;
};

}  // namespace scvi
