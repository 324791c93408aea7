// Gene selection after Stuart et al. 2019 (Seurat v3, "vst").

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "argsort.hpp"
#include "gene_selection.hpp"
#include "gene_sums.hpp"
#include "scvi/dataset/loess.hpp"

namespace scvi::dataset_detail {
namespace {

/// What is usual at each gene's mean: the standard deviation on the fitted trend, 1 for genes that do not vary.
std::vector<double> regularised_deviations(const GeneMoments& moments, double span) {
  std::vector<std::size_t> varying;
  std::vector<double> log_mean;
  std::vector<double> log_variance;
  for (std::size_t gene = 0; gene < moments.mean.size(); ++gene) {
    if (!(moments.variance[gene] > 0)) continue;
    varying.push_back(gene);
    log_mean.push_back(std::log10(moments.mean[gene]));
    log_variance.push_back(std::log10(moments.variance[gene]));
  }
  const std::vector<double> trend = loess_fit(log_mean, log_variance, {.span = span});
  std::vector<double> deviations(moments.mean.size(), 1.0);
  for (std::size_t i = 0; i < varying.size(); ++i) deviations[varying[i]] = std::sqrt(std::pow(10.0, trend[i]));
  return deviations;
}

/// Mean square of (clipped count - mean) / deviation, with n - 1; a count above `threshold[gene]` becomes
/// `replacement[gene]`.
std::vector<double> clipped_variances(const CountMatrix& counts, std::span<const std::int64_t> cells,
                                      const std::vector<double>& mean, const std::vector<double>& deviation,
                                      const std::vector<double>& threshold, const std::vector<double>& replacement) {
  const std::vector<double> sums =
      gene_sums<2>(counts, cells, [&](double* at, std::int64_t, std::int64_t gene, double count) {
        const double value = count > threshold[gene] ? replacement[gene] : count;
        at[0] += value;
        at[1] += value * value;
      });
  const auto n = static_cast<double>(cells.size());
  std::vector<double> variances(mean.size());
  for (std::size_t gene = 0; gene < mean.size(); ++gene) {
    const double squares = n * mean[gene] * mean[gene] + sums[2 * gene + 1] - 2 * sums[2 * gene] * mean[gene];
    variances[gene] = std::max(0.0, squares) / ((n - 1) * deviation[gene] * deviation[gene]);
  }
  return variances;
}

/// rank[gene], 0 for the largest; of equal ones the first gene goes first.
std::vector<std::int64_t> ranks_from_above(const std::vector<double>& values) {
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] > values[b]; });
  std::vector<std::int64_t> rank(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) rank[order[i]] = static_cast<std::int64_t>(i);
  return rank;
}

/// rank[gene], the smallest 0, ties as in numpy.argsort applied twice.
std::vector<std::int64_t> ranks_from_below(const std::vector<double>& values) {
  const std::vector<std::int64_t> order = numpy_argsort(values);
  const std::vector<double> as_keys(order.begin(), order.end());
  return numpy_argsort(as_keys);
}

/// Medians over batches and the number of batches in which a gene is among the top.
/// @param is_top (rank) -> whether
/// @param every_rank_counts take the median rank over all batches instead of those in which the gene is among the top
template <class IsTop>
HighlyVariableGenes put_together(const std::vector<std::vector<double>>& variances,
                                 const std::vector<std::vector<std::int64_t>>& ranks, IsTop&& is_top,
                                 bool every_rank_counts) {
  const std::size_t n_genes = variances.front().size();
  HighlyVariableGenes found;
  for (std::size_t gene = 0; gene < n_genes; ++gene) {
    std::vector<double> of_gene;
    std::vector<double> counting_ranks;
    std::int64_t n_top = 0;
    for (std::size_t batch = 0; batch < variances.size(); ++batch) {
      const std::int64_t rank = ranks[batch][gene];
      of_gene.push_back(variances[batch][gene]);
      if (is_top(rank) || every_rank_counts) counting_ranks.push_back(static_cast<double>(rank));
      n_top += is_top(rank);
    }
    found.variances.push_back(median(of_gene));
    found.median_rank.push_back(median(counting_ranks));
    found.n_batches.push_back(n_top);
  }
  return found;
}

/// Genes by decreasing number of batches, then by `before(rank a, rank b)`, then as they stand.
template <class Before>
std::vector<std::int64_t> ordered_genes(const HighlyVariableGenes& found, Before&& before) {
  std::vector<std::int64_t> order(found.n_batches.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    if (found.n_batches[a] != found.n_batches[b]) return found.n_batches[a] > found.n_batches[b];
    return before(found.median_rank[a], found.median_rank[b]);
  });
  return order;
}

}  // namespace

HighlyVariableGenes select_by_standardised_variance(const CountMatrix& counts, const Batches& batches,
                                                    const HighlyVariableGenesOptions& options) {
  std::vector<std::vector<double>> variances;
  std::vector<std::vector<std::int64_t>> ranks;
  for (const std::vector<std::int64_t>& cells : batches) {
    const GeneMoments moments = gene_moments(counts, cells, true);
    const std::vector<double> deviation = regularised_deviations(moments, options.tuning.span);
    const double largest = std::sqrt(static_cast<double>(cells.size()));  // standardised value at which to clip
    std::vector<double> clip(deviation.size());
    for (std::size_t gene = 0; gene < clip.size(); ++gene)
      clip[gene] = deviation[gene] * largest + moments.mean[gene];
    variances.push_back(clipped_variances(counts, cells, moments.mean, deviation, clip, clip));
    ranks.push_back(ranks_from_above(variances.back()));
  }
  const std::int64_t n = *options.n_top_genes;
  HighlyVariableGenes found = put_together(
      variances, ranks, [&](std::int64_t rank) { return rank < n; }, false);
  // Genes in no batch's top have no rank (NaN): they compare as equal and keep their order.
  found.genes = mark_first(found, ordered_genes(found, [](double a, double b) { return a < b; }), n);
  return found;
}

HighlyVariableGenes select_like_reference(const CountMatrix& counts, const Batches& batches,
                                          const HighlyVariableGenesOptions& options) {
  const auto n_genes = static_cast<std::size_t>(counts.n_genes());
  const std::vector<double> no_deviation(n_genes, 1.0);
  std::vector<std::vector<double>> variances;
  std::vector<std::vector<std::int64_t>> ranks;
  for (const std::vector<std::int64_t>& cells : batches) {
    const std::vector<double> mean = gene_moments(counts, cells, true).mean;
    const double largest = std::sqrt(static_cast<double>(cells.size()));
    std::vector<double> replacement(n_genes);
    // The reference writes the replacement into its float32 counts.
    for (std::size_t gene = 0; gene < n_genes; ++gene) replacement[gene] = static_cast<float>(largest + mean[gene]);
    variances.push_back(
        clipped_variances(counts, cells, mean, no_deviation, std::vector<double>(n_genes, largest), replacement));
    ranks.push_back(ranks_from_below(variances.back()));
  }
  const std::int64_t n = *options.n_top_genes;
  const std::int64_t first_top = counts.n_genes() - n;
  HighlyVariableGenes found = put_together(
      variances, ranks, [&](std::int64_t rank) { return rank >= first_top; }, true);
  found.genes = mark_first(found, ordered_genes(found, [](double a, double b) { return a > b; }), n);
  return found;
}

}  // namespace scvi::dataset_detail
