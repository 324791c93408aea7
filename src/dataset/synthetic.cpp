#include "scvi/dataset/synthetic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"
#include "synthetic_parts.hpp"

namespace scvi {
namespace {

using namespace dataset_detail;

/// Failures before `successes` successes of probability `p`: a Poisson count of gamma-distributed mean.
float negative_binomial(RandomStream& stream, double successes, double p) {
  return static_cast<float>(stream.poisson(stream.standard_gamma(successes) * (1 - p) / p));
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check(const SyntheticDatasetCorrOptions& options) {
  check_size("n_cells_cluster", options.n_cells_cluster);
  check_size("n_clusters", options.n_clusters);
  check_size("n_genes_high", options.n_genes_high);
  check_size("n_overlap", options.n_overlap, 0);
  check_size("n_batches", options.n_batches);
  if (options.n_overlap >= options.n_genes_high) {
    throw InputError({.problem = "is " + std::to_string(options.n_overlap) + ", expected less than n_genes_high (" +
                                 std::to_string(options.n_genes_high) + ")",
                      .field = "n_overlap"});
  }
  constexpr double kLeast = std::numeric_limits<double>::min();
  check_range("weight_high", options.weight_high, kLeast, kInfinity);
  check_range("weight_low", options.weight_low, kLeast, kInfinity);
  check_range("lam_0", options.lam_0, kLeast, kInfinity);
  check_range("batch_effect", options.batch_effect, 0, kInfinity);
  check_range("library_spread", options.library_spread, 0, kInfinity);
}

/// Where everything of a cell comes from.
struct CorrLayout {
  explicit CorrLayout(const SyntheticDatasetCorrOptions& options)
      : step(options.n_genes_high - options.n_overlap),
        n_genes(options.n_clusters * step + options.n_overlap),
        cells_per_batch(options.n_cells_cluster * options.n_clusters),
        n_cells(cells_per_batch * options.n_batches) {}
  std::int64_t step;  ///< genes from the first high gene of a cluster to that of the next
  std::int64_t n_genes;
  std::int64_t cells_per_batch;
  std::int64_t n_cells;
};

/// Factors of the batches on the genes, (n_batches, n_genes).
std::vector<double> batch_factors(const SyntheticDatasetCorrOptions& options, std::int64_t n_genes) {
  std::vector<double> factors;
  for (std::int64_t batch = 0; batch < options.n_batches; ++batch) {
    RandomStream stream(options.seed, "synthetic_corr_batch", {position(batch), 0});
    for (std::int64_t gene = 0; gene < n_genes; ++gene) {
      const double effect = options.batch_effect * stream.standard_normal();
      factors.push_back(batch == 0 ? 1.0 : std::exp(effect));
    }
  }
  return factors;
}

/// Expected counts, which genes are high, batches and labels; no counts yet.
void fill_expectations(const SyntheticDatasetCorrOptions& options, const CorrLayout& layout, SyntheticCorrData& data,
                       PopulateOptions& populate) {
  const std::vector<double> factors = batch_factors(options, layout.n_genes);
  const double weight_sum = options.weight_high * static_cast<double>(options.n_genes_high) +
                            options.weight_low * static_cast<double>(layout.n_genes - options.n_genes_high);
  for (std::int64_t cell = 0; cell < layout.n_cells; ++cell) {
    const std::int64_t batch = cell / layout.cells_per_batch;
    const std::int64_t cluster = cell % layout.cells_per_batch / options.n_cells_cluster;
    const std::int64_t first_high = cluster * layout.step;
    RandomStream stream(options.seed, "synthetic_corr_library", {position(cell), 0});
    const double library = std::exp(options.library_spread * stream.standard_normal());
    for (std::int64_t gene = 0; gene < layout.n_genes; ++gene) {
      const bool high = gene >= first_high && gene < first_high + options.n_genes_high;
      const double weight = (high ? options.weight_high : options.weight_low) / weight_sum;
      const double factor = library * factors[batch * layout.n_genes + gene];
      data.exprs_param.push_back(static_cast<float>(options.lam_0 * weight * factor));
      data.is_highly_exp.push_back(high);
    }
    populate.batch_indices.push_back(batch);
    populate.labels.push_back(cluster);
  }
}

std::vector<float> poisson_counts(const SyntheticCorrData& data, const CorrLayout& layout, std::uint64_t seed) {
  std::vector<float> counts(data.exprs_param.size());
  for (std::int64_t cell = 0; cell < layout.n_cells; ++cell) {
    RandomStream stream(seed, "synthetic_corr_counts", {position(cell), 0});
    for (std::int64_t gene = 0; gene < layout.n_genes; ++gene) {
      const std::int64_t at = cell * layout.n_genes + gene;
      counts[at] = static_cast<float>(stream.poisson(data.exprs_param[at]));
    }
  }
  return counts;
}

/// Draws the technical zeros and removes what they hide.
void drop_out(const ZISyntheticDatasetCorrOptions& options, const CorrLayout& layout, SyntheticCorrData& data,
              std::vector<float>& counts) {
  for (std::int64_t cell = 0; cell < layout.n_cells; ++cell) {
    RandomStream stream(options.corr.seed, "synthetic_corr_dropout", {position(cell), 0});
    for (std::int64_t gene = 0; gene < layout.n_genes; ++gene) {
      const std::int64_t at = cell * layout.n_genes + gene;
      const bool high = data.is_highly_exp[at] != 0;
      const double expected = data.exprs_param[at];
      const double decay = high ? options.lam_dropout_high : options.lam_dropout_low;
      const double p =
          (high ? options.dropout_coef_high : options.dropout_coef_low) * std::exp(-decay * expected * expected);
      const bool lost = stream.uniform() < p;
      data.p_dropout.push_back(static_cast<float>(p));
      data.is_technical.push_back(lost);
      if (lost) counts[at] = 0;
    }
  }
}

ZeroProbabilities zero_probabilities(const SyntheticCorrData& data, bool high) {
  ZeroProbabilities mean{};
  double n = 0;
  for (std::size_t at = 0; at < data.exprs_param.size(); ++at) {
    if ((data.is_highly_exp[at] != 0) != high) continue;
    const double biological = std::exp(-static_cast<double>(data.exprs_param[at]));
    const double technical = data.p_dropout[at];
    mean[0][0] += (1 - biological) * (1 - technical);
    mean[0][1] += (1 - biological) * technical;
    mean[1][0] += biological * (1 - technical);
    mean[1][1] += biological * technical;
    n += 1;
  }
  for (auto& row : mean) {
    for (double& probability : row) probability /= std::max(n, 1.0);
  }
  return mean;
}

SyntheticCorrData make_corr(const SyntheticDatasetCorrOptions& options,
                            const ZISyntheticDatasetCorrOptions* dropout) {
  check(options);
  const CorrLayout layout(options);
  SyntheticCorrData data;
  PopulateOptions populate;
  fill_expectations(options, layout, data, populate);
  std::vector<float> counts = poisson_counts(data, layout, options.seed);
  if (dropout != nullptr) {
    drop_out(*dropout, layout, data, counts);
    data.probas_zero_bio_tech_high = zero_probabilities(data, true);
    data.probas_zero_bio_tech_low = zero_probabilities(data, false);
  }
  populate.gene_names = numbered("", layout.n_genes);
  data.dataset.populate_from_data(CountMatrix::from_dense(layout.n_cells, layout.n_genes, counts),
                                  std::move(populate));
  return data;
}

constexpr double kDispersion = 2.0;
constexpr double kLogRateSpread = 1.2;
constexpr double kClusterGeneShare = 0.15;
constexpr double kClusterEffect = 1.2;
constexpr double kBatchEffect = 0.2;
constexpr double kLibrarySpread = 0.4;
constexpr std::int64_t kMaxCount = 65535;

/// Relative expected counts, (n_clusters * n_batches, n_genes).
std::vector<float> profiles(const SyntheticCountsOptions& options) {
  const auto draw = [&](const char* purpose, std::int64_t which, double spread, double share) {
    RandomStream stream(options.seed, purpose, {position(which), 0});
    std::vector<double> effects;
    for (std::int64_t gene = 0; gene < options.n_genes; ++gene) {
      const double effect = spread * stream.standard_normal();
      effects.push_back(stream.uniform() < share ? effect : 0.0);
    }
    return effects;
  };
  const std::vector<double> base = draw("synthetic_counts_gene", 0, kLogRateSpread, 1);
  std::vector<std::vector<double>> batches;
  for (std::int64_t batch = 0; batch < options.n_batches; ++batch) {
    batches.push_back(draw("synthetic_counts_batch", batch, kBatchEffect, 1));
  }
  std::vector<float> rates;
  for (std::int64_t cluster = 0; cluster < options.n_clusters; ++cluster) {
    const auto effects = draw("synthetic_counts_cluster", cluster, kClusterEffect, kClusterGeneShare);
    for (const std::vector<double>& batch : batches) {
      for (std::int64_t gene = 0; gene < options.n_genes; ++gene) {
        rates.push_back(static_cast<float>(std::exp(base[gene] + effects[gene] + batch[gene])));
      }
    }
  }
  return rates;
}

/// (theta / (theta + mean))^theta with theta = kDispersion = 2.
double probability_of_zero(double mean) {
  static_assert(kDispersion == 2.0);
  const double ratio = kDispersion / (kDispersion + mean);
  return ratio * ratio;
}

/// The factor on all rates that gives the wanted share of non-zero entries, by bisection.
double scale_for_density(const std::vector<float>& rates, double density) {
  constexpr std::array kNormalDeciles{-1.2816, -0.5244, 0.0, 0.5244, 1.2816};
  constexpr std::size_t kMaxRates = 20000;
  const std::size_t stride = std::max<std::size_t>(1, rates.size() / kMaxRates);
  const auto density_at = [&](double scale) {
    double nonzero = 0;
    double n = 0;
    for (std::size_t at = 0; at < rates.size(); at += stride) {
      for (const double z : kNormalDeciles) {
        nonzero += 1 - probability_of_zero(scale * rates[at] * std::exp(kLibrarySpread * z));
        n += 1;
      }
    }
    return nonzero / n;
  };
  double low = -20;
  double high = 20;
  for (int step = 0; step < 50; ++step) {
    const double middle = (low + high) / 2;
    (density_at(std::exp(middle)) < density ? low : high) = middle;
  }
  return std::exp(low);
}

/// The count below which a share `u` of a negative binomial distribution lies.
std::int64_t negative_binomial_quantile(double mean, double u) {
  double probability = probability_of_zero(mean);
  double cumulated = probability;
  const double ratio = mean / (mean + kDispersion);
  std::int64_t count = 0;
  while (u >= cumulated && count < kMaxCount) {
    probability *= ratio * (static_cast<double>(count) + kDispersion) / static_cast<double>(count + 1);
    cumulated += probability;
    ++count;
  }
  return count;
}

/// Cluster, batch and library factor of one cell of synthetic_counts_like().
struct CellTraits {
  CellTraits(const SyntheticCountsOptions& options, std::int64_t cell) {
    RandomStream stream(options.seed, "synthetic_counts_cell", {position(cell), 0});
    cluster = static_cast<std::int64_t>(stream.below(position(options.n_clusters)));
    batch = static_cast<std::int64_t>(stream.below(position(options.n_batches)));
    library = std::exp(kLibrarySpread * stream.standard_normal());
  }
  std::int64_t cluster;
  std::int64_t batch;
  double library;
};

void append_synthetic_cell(const SyntheticCountsOptions& options, const std::vector<float>& rates, double scale,
                           std::int64_t cell, std::vector<float>& uniforms, io::CsrBlock& block) {
  const CellTraits traits(options, cell);
  const float* profile = rates.data() + (traits.cluster * options.n_batches + traits.batch) * options.n_genes;
  const double factor = scale * traits.library;
  RandomStream(options.seed, "synthetic_counts_entries", {position(cell), 0}).fill_uniform(uniforms);
  for (std::int64_t gene = 0; gene < options.n_genes; ++gene) {
    const std::int64_t count = negative_binomial_quantile(factor * profile[gene], uniforms[gene]);
    if (count == 0) continue;
    block.indices.push_back(static_cast<std::int32_t>(gene));
    block.values.push_back(static_cast<float>(count));
  }
  block.indptr.push_back(static_cast<std::int64_t>(block.indices.size()));
}

CountMatrix make_counts(const SyntheticCountsOptions& options, const std::vector<float>& rates, double scale) {
  const double expected =
      options.density * static_cast<double>(options.n_cells) * static_cast<double>(options.n_genes);
  return counts_by_cell(options.n_cells, options.n_genes, 1.05 * expected,
                        [&](std::int64_t first, std::int64_t last, io::CsrBlock& block) {
                          std::vector<float> uniforms(static_cast<std::size_t>(options.n_genes));
                          for (std::int64_t cell = first; cell < last; ++cell) {
                            append_synthetic_cell(options, rates, scale, cell, uniforms, block);
                          }
                        });
}

}  // namespace

GeneExpressionDataset synthetic_dataset(const SyntheticDatasetOptions& options) {
  check_size("batch_size", options.batch_size);
  check_size("nb_genes", options.nb_genes);
  check_size("n_proteins", options.n_proteins, 0);
  check_size("n_batches", options.n_batches);
  check_size("n_labels", options.n_labels);
  constexpr double kSuccesses = 5;
  constexpr double kProbability = 0.3;
  constexpr double kKept = 0.7;
  const std::int64_t n_cells = options.n_batches * options.batch_size;
  std::vector<float> counts;
  CellMeasurement proteins{"protein_expression", {}, "protein_names", numbered("", options.n_proteins)};
  PopulateOptions populate;
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    RandomStream stream(options.seed, "synthetic_dataset", {position(cell), 0});
    for (std::int64_t gene = 0; gene < options.nb_genes; ++gene) {
      const float count = negative_binomial(stream, kSuccesses, kProbability);
      counts.push_back(stream.uniform() < kKept ? count : 0.0F);
    }
    populate.batch_indices.push_back(cell / options.batch_size);
    populate.labels.push_back(static_cast<std::int64_t>(stream.below(position(options.n_labels))));
    RandomStream protein_stream(options.seed, "synthetic_dataset_proteins", {position(cell), 0});
    for (std::int64_t protein = 0; protein < options.n_proteins; ++protein) {
      proteins.data.push_back(negative_binomial(protein_stream, kSuccesses, kProbability));
    }
  }
  populate.gene_names = numbered("", options.nb_genes);
  populate.cell_types = numbered("undefined_", options.n_labels);
  if (options.n_proteins > 0) populate.measurements.push_back(std::move(proteins));
  GeneExpressionDataset dataset;
  dataset.populate_from_data(CountMatrix::from_dense(n_cells, options.nb_genes, counts), std::move(populate));
  return dataset;
}

SyntheticCorrData synthetic_dataset_corr(const SyntheticDatasetCorrOptions& options) {
  return make_corr(options, nullptr);
}

SyntheticCorrData zi_synthetic_dataset_corr(const ZISyntheticDatasetCorrOptions& options) {
  check_range("dropout_coef_high", options.dropout_coef_high, 0, 1);
  check_range("dropout_coef_low", options.dropout_coef_low, 0, 1);
  check_range("lam_dropout_high", options.lam_dropout_high, 0, kInfinity);
  check_range("lam_dropout_low", options.lam_dropout_low, 0, kInfinity);
  return make_corr(options.corr, &options);
}

GeneExpressionDataset synthetic_counts_like(const SyntheticCountsOptions& options) {
  check_size("n_cells", options.n_cells);
  check_size("n_genes", options.n_genes);
  check_size("n_clusters", options.n_clusters);
  check_size("n_batches", options.n_batches);
  check_range("density", options.density, 1e-6, 1);
  const std::vector<float> rates = profiles(options);
  CountMatrix counts = make_counts(options, rates, scale_for_density(rates, options.density));
  PopulateOptions populate;
  for (std::int64_t cell = 0; cell < options.n_cells; ++cell) {
    const CellTraits traits(options, cell);
    populate.batch_indices.push_back(traits.batch);
    populate.labels.push_back(traits.cluster);
  }
  populate.gene_names = numbered("gene_", options.n_genes);
  populate.cell_types = numbered("cluster_", options.n_clusters);
  populate.batch_names = numbered("batch_", options.n_batches);
  populate.check_counts = false;
  GeneExpressionDataset dataset;
  dataset.populate_from_data(std::move(counts), std::move(populate));
  return dataset;
}

}  // namespace scvi
