#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scvi/dataset/count_matrix.hpp"

namespace scvi {

/// How the most variable genes are found.
enum class GeneSelectionMode {
  /// Population variance of the counts.
  variance,
  /// Satija et al. 2015: log dispersion (variance / mean) of counts scaled to 10,000 per cell, standardised among the
  /// genes of about the same mean (bins of equal width of the log mean) by mean and standard deviation.
  seurat_v2,
  /// Zheng et al. 2017: dispersion of log(1 + scaled count), standardised among the genes between two percentiles of
  /// the mean (every 5 % from 10 % on) by median and median absolute deviation.
  cell_ranger,
  /// Stuart et al. 2019: variance of counts standardised by the standard deviation that is usual at the gene's mean
  /// (a loess fit of log10 variance on log10 mean, see loess.hpp), large values clipped.
  seurat_v3,
};

/// @throws InputError for an unknown name, with the nearest one
GeneSelectionMode parse_gene_selection_mode(std::string_view name);
std::string gene_selection_mode_name(GeneSelectionMode mode);
/// Names of the modes that subsample_genes() can run.
std::vector<std::string> available_gene_selection_modes();

/// Finer points of the modes; each field says which of them it concerns.
struct GeneSelectionTuning {
  /// seurat_v3: part of the genes that each local fit sees, in (0, 1]. Larger: a smoother trend.
  double span = 0.3;
  /// seurat_v2: number of bins of the mean.
  std::int64_t n_bins = 20;
  // seurat_v2 and cell_ranger, only where the number of genes is left open: what a gene must lie between,
  // exclusively.
  double min_mean = 0.0125;  ///< of the mean (seurat_v2: its log)
  double max_mean = 3;
  double min_disp = 0.5;  ///< of the standardised dispersion
  double max_disp = std::numeric_limits<double>::infinity();
};

struct HighlyVariableGenesOptions {
  /// How many genes. May be left open for seurat_v2 and cell_ranger, which then apply the bounds of `tuning`.
  std::optional<std::int64_t> n_top_genes{};
  GeneSelectionMode flavor = GeneSelectionMode::seurat_v3;
  /// Rank genes batch by batch and put the ranks together, so that what differs between batches does not count as
  /// variable. False, or one batch only: all cells together. Mode variance knows no batches.
  bool batch_correction = true;
  GeneSelectionTuning tuning{};
  /// seurat_v3 as scVI 0.6.3 computes it, which loses the fitted trend: variances are not standardised, counts above
  /// sqrt(cells of the batch) become sqrt(cells) + mean, and the median rank is taken over all batches. It corrects
  /// for batches whatever `batch_correction` says.
  bool reference_0_6_3 = false;
};

/// What a mode found out about every gene. Vectors that a mode does not fill are empty.
struct HighlyVariableGenes {
  std::vector<bool> highly_variable{};
  /// Batches in which the gene is among the most variable ones (0 or 1 without batch correction).
  std::vector<std::int64_t> n_batches{};
  /// variance: population variance. seurat_v3: median over batches of the variance of the standardised counts.
  std::vector<double> variances{};
  /// seurat_v3: median rank (0: the most variable) over the batches in which the gene is among the top; NaN when it
  /// is in none. With reference_0_6_3: median over all batches of the rank from below.
  std::vector<double> median_rank{};
  // seurat_v2, cell_ranger, averaged over batches: mean (seurat_v2: log(1 + mean)), dispersion (seurat_v2: its log;
  // NaN where there is none), standardised dispersion.
  std::vector<double> means{};
  std::vector<double> dispersions{};
  std::vector<double> dispersions_norm{};
  /// The highly variable genes: the most variable first for mode variance, in their old order otherwise.
  std::vector<std::int64_t> genes{};
};

/// Finds the most variable genes. Exactly n_top_genes are chosen (all, when there are fewer):
/// with several batches those that are among the top n of most batches, then by median rank (seurat_v3) or mean
/// standardised dispersion; ties go to the gene that stands first. Counts stay sparse; the same for any number of
/// threads.
/// @param counts (n_cells, n_genes)
/// @param batch_of_cell numbers 0 to n_batches - 1
/// @throws InputError when n_top_genes is missing or below 1, or a parameter makes no sense
HighlyVariableGenes find_highly_variable_genes(const CountMatrix& counts, std::span<const std::int64_t> batch_of_cell,
                                               std::int64_t n_batches, const HighlyVariableGenesOptions& options);

}  // namespace scvi
