// Gene selection by standardised dispersion: Satija et al. 2015 (Seurat up to version 2) and Zheng et al. 2017 (Cell
// Ranger), with the bins that scanpy's highly_variable_genes uses.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "gene_selection.hpp"
#include "gene_sums.hpp"

namespace scvi::dataset_detail {
namespace {

constexpr double kTargetTotal = 1e4;     // counts per cell after scaling
constexpr double kSmallestMean = 1e-12;  // stands for a mean of 0
constexpr double kBinBorder = 1e-3;      // by which part of the range the first bin is wider, to hold the smallest
constexpr double kNormalMad = 0.6744897501960817;  // median absolute deviation of the standard normal distribution
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// What one batch says of every gene.
struct Dispersions {
  std::vector<double> mean;
  std::vector<double> dispersion;
  std::vector<double> norm;
};

std::vector<double> scale_factors(const CountMatrix& counts) {
  std::vector<double> factors = counts.cell_totals();
  for (double& factor : factors) factor = factor > 0 ? kTargetTotal / factor : 1.0;
  return factors;
}

/// The value below which the part q of sorted values lies, interpolated linearly between two of them.
double percentile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Upper borders of bins of equal width.
std::vector<double> equal_bins(const std::vector<double>& means, std::int64_t n_bins) {
  const auto [smallest, largest] = std::minmax_element(means.begin(), means.end());
  double low = *smallest;
  double high = *largest;
  if (low == high) {
    const double margin = low == 0 ? kBinBorder : kBinBorder * std::abs(low);
    low -= margin;
    high += margin;
  }
  std::vector<double> borders;
  const double width = (high - low) / static_cast<double>(n_bins);
  for (std::int64_t bin = 1; bin < n_bins; ++bin) borders.push_back(low + static_cast<double>(bin) * width);
  borders.push_back(high);
  return borders;
}

/// Upper borders at every 5 % of the genes from 10 % on.
std::vector<double> percentile_bins(std::vector<double> means) {
  std::sort(means.begin(), means.end());
  std::vector<double> borders;
  for (int percent = 10; percent <= 100; percent += 5) borders.push_back(percentile(means, percent / 100.0));
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  return borders;
}

struct Spread {
  double center;
  double width;
};

/// Mean and standard deviation; in a bin with one gene these make its standardised dispersion 1.
Spread moments_of(const std::vector<double>& values) {
  if (values.empty()) return {kNaN, kNaN};
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  if (values.size() == 1) return {0, mean};
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / (n - 1))};
}

Spread robust_moments_of(std::vector<double> values) {
  const double center = median(values);
  for (double& value : values) value = std::abs(value - center);
  return {center, median(std::move(values)) / kNormalMad};
}

/// Standardises the dispersions of the genes of each bin.
void standardise(Dispersions& genes, const std::vector<std::size_t>& members, const std::vector<double>& borders,
                 bool robust) {
  std::vector<std::vector<std::size_t>> bins(borders.size() + 1);
  for (const std::size_t gene : members) {
    const auto bin = std::lower_bound(borders.begin(), borders.end(), genes.mean[gene]) - borders.begin();
    bins[static_cast<std::size_t>(bin)].push_back(gene);
  }
  for (const std::vector<std::size_t>& bin : bins) {
    std::vector<double> values;
    for (const std::size_t gene : bin) {
      if (!std::isnan(genes.dispersion[gene])) values.push_back(genes.dispersion[gene]);
    }
    const Spread spread = robust ? robust_moments_of(values) : moments_of(values);
    for (const std::size_t gene : bin) genes.norm[gene] = (genes.dispersion[gene] - spread.center) / spread.width;
  }
}

/// @param expressed_only leave genes without counts in these cells out of the bins; they get zeros
Dispersions dispersions_of(const CountMatrix& counts, const std::vector<std::int64_t>& cells,
                           const std::vector<double>& factors, bool expressed_only,
                           const HighlyVariableGenesOptions& options) {
  const bool seurat = options.flavor == GeneSelectionMode::seurat_v2;
  const GeneMoments moments = gene_moments(counts, cells, true, factors, !seurat);
  const std::size_t n_genes = moments.mean.size();
  Dispersions genes{std::vector<double>(n_genes), std::vector<double>(n_genes), std::vector<double>(n_genes)};
  std::vector<std::size_t> members;
  std::vector<double> means;
  for (std::size_t gene = 0; gene < n_genes; ++gene) {
    if (expressed_only && moments.mean[gene] == 0) continue;
    const double mean = moments.mean[gene] == 0 ? kSmallestMean : moments.mean[gene];
    const double dispersion = moments.variance[gene] / mean;
    genes.mean[gene] = seurat ? std::log1p(mean) : mean;
    genes.dispersion[gene] = !seurat ? dispersion : dispersion == 0 ? kNaN : std::log(dispersion);
    members.push_back(gene);
    means.push_back(genes.mean[gene]);
  }
  if (members.empty()) return genes;
  standardise(genes, members, seurat ? equal_bins(means, options.tuning.n_bins) : percentile_bins(means), !seurat);
  return genes;
}

double number_or_zero(double value) {
  return std::isnan(value) ? 0 : value;
}

bool in_bounds(double mean, double norm, const GeneSelectionTuning& tuning) {
  return mean > tuning.min_mean && mean < tuning.max_mean && norm > tuning.min_disp && norm < tuning.max_disp;
}

/// Genes by decreasing `norm`, then as they stand; those that have none come last and are not counted.
std::vector<std::int64_t> by_norm(const std::vector<double>& norm, std::int64_t& n_with_norm) {
  std::vector<std::int64_t> order(norm.size());
  std::iota(order.begin(), order.end(), 0);
  const auto end =
      std::stable_partition(order.begin(), order.end(), [&](auto gene) { return !std::isnan(norm[gene]); });
  n_with_norm = end - order.begin();
  std::stable_sort(order.begin(), end, [&](auto a, auto b) { return norm[a] > norm[b]; });
  return order;
}

/// Which genes one batch would choose.
std::vector<bool> chosen_in(const Dispersions& batch, const HighlyVariableGenesOptions& options) {
  std::vector<bool> chosen(batch.norm.size());
  if (!options.n_top_genes) {
    for (std::size_t gene = 0; gene < chosen.size(); ++gene) {
      chosen[gene] = in_bounds(batch.mean[gene], number_or_zero(batch.norm[gene]), options.tuning);
    }
    return chosen;
  }
  std::int64_t n_with_norm = 0;
  const std::vector<std::int64_t> order = by_norm(batch.norm, n_with_norm);
  const std::int64_t n = std::min(*options.n_top_genes, n_with_norm);
  for (std::int64_t i = 0; i < n; ++i) chosen[order[i]] = true;
  return chosen;
}

/// Mean of each gene over the batches that have a number for it.
std::vector<double> mean_over_batches(const std::vector<Dispersions>& batches,
                                      const std::vector<double> Dispersions::*field) {
  std::vector<double> mean((batches.front().*field).size());
  for (std::size_t gene = 0; gene < mean.size(); ++gene) {
    double sum = 0;
    std::int64_t n = 0;
    for (const Dispersions& batch : batches) {
      const double value = (batch.*field)[gene];
      if (std::isnan(value)) continue;
      sum += value;
      ++n;
    }
    mean[gene] = n == 0 ? kNaN : sum / static_cast<double>(n);
  }
  return mean;
}

}  // namespace

HighlyVariableGenes select_by_dispersion(const CountMatrix& counts, const Batches& batches,
                                         const HighlyVariableGenesOptions& options) {
  const std::vector<double> factors = scale_factors(counts);
  HighlyVariableGenes found;
  found.n_batches.assign(static_cast<std::size_t>(counts.n_genes()), 0);
  std::vector<Dispersions> of_batches;
  for (const std::vector<std::int64_t>& cells : batches) {
    of_batches.push_back(dispersions_of(counts, cells, factors, batches.size() > 1, options));
    const std::vector<bool> chosen = chosen_in(of_batches.back(), options);
    for (std::size_t gene = 0; gene < chosen.size(); ++gene) found.n_batches[gene] += chosen[gene];
  }
  found.means = mean_over_batches(of_batches, &Dispersions::mean);
  found.dispersions = mean_over_batches(of_batches, &Dispersions::dispersion);
  found.dispersions_norm = mean_over_batches(of_batches, &Dispersions::norm);
  if (options.n_top_genes) {
    std::int64_t n_with_norm = 0;
    std::vector<std::int64_t> order = by_norm(found.dispersions_norm, n_with_norm);
    std::stable_sort(order.begin(), order.begin() + n_with_norm,
                     [&](auto a, auto b) { return found.n_batches[a] > found.n_batches[b]; });
    found.genes = mark_first(found, std::move(order), std::min(*options.n_top_genes, n_with_norm));
    return found;
  }
  found.highly_variable.resize(found.means.size());
  for (std::size_t gene = 0; gene < found.means.size(); ++gene) {
    if (!in_bounds(found.means[gene], number_or_zero(found.dispersions_norm[gene]), options.tuning)) continue;
    found.highly_variable[gene] = true;
    found.genes.push_back(static_cast<std::int64_t>(gene));
  }
  return found;
}

}  // namespace scvi::dataset_detail
