#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/io/frame.hpp"
#include "scvi/io/write_table.hpp"
#include "scvi/posterior/bayes_factors.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi {

// Which genes differ between groups of cells, as a trained model sees it: scVI's scale_sampler, get_bayes_factors,
// differential_expression_score, one_vs_all_degenes and within_cluster_degenes, as free functions of a posterior.
// Cells are positions in the data set of the posterior, whatever its own indices.
//
// Cells are drawn first and only these are decoded. Draws depend on the seed and the name of the posterior, the name
// of the group, the batch and the repetition alone, never on the number of threads.
//
// Comparisons take one posterior, or several of the same data set: of models that were trained with other seeds, say.
// Each then gives as many samples, pairs are made within each of them, and all pairs count alike. So probabilities
// are means over the models, and what one training got wrong by chance weighs less.

struct ScaleSamplerOptions {
  /// Samples in all, shared out evenly over the batches (rounded down, but at least two for each).
  std::int64_t n_samples = 5000;
  /// Takes so many samples for every cell of the group (and batch) in place of n_samples.
  std::optional<std::int64_t> n_samples_per_cell = {};
  /// Batches to decode for, whatever batch a cell comes from; nothing: all of the data set.
  std::optional<std::vector<std::int64_t>> batchid = {};
  /// Decode every cell for its own batch. Not with `batchid`.
  bool use_observed_batches = false;
  bool give_mean = false;  ///< the mean over all samples alone
};

/// Samples of the expected frequencies of expression in a group of cells.
struct ScaleSamplerResult {
  CellArray scale;                    ///< (samples, genes), batch by batch; (1, genes) where give_mean
  std::vector<std::int64_t> batches;  ///< what each was decoded for; -1: its own batch. Of all samples in any case
};

/// Draws cells of a group (repeats allowed) and one sample of the posterior for each.
/// @throws InputError for a group without cells, a cell or batch that is not there, or batches together with
///         use_observed_batches
ScaleSamplerResult scale_sampler(const Posterior& posterior, std::span<const std::int64_t> cells,
                                 const ScaleSamplerOptions& options = {});

/// Cells to compare, positions in the data set.
struct CellGroup {
  std::string name;
  std::vector<std::int64_t> cells;
};

struct DifferentialOptions {
  HypothesisOptions hypothesis = {};
  PairOptions pairs = {};
  /// Samples of each group, shared out evenly over the batches.
  std::int64_t n_samples = 5000;
  /// Batches that the first and the second group are decoded for; nothing: all. For one_vs_all_degenes() both must be
  /// the same.
  std::optional<std::vector<std::int64_t>> batchid1 = {};
  std::optional<std::vector<std::int64_t>> batchid2 = {};
  /// Decode every cell for its own batch. Not with batchid1 and batchid2.
  bool use_observed_batches = false;
  bool all_stats = true;  ///< the columns about the raw counts, too

  // Beyond the reference.
  /// In change mode, choose the pseudocount of every comparison by suggested_pseudocount().
  bool automatic_pseudocount = false;
  /// In change mode, a column "is_de_fdr_X" (or "is_de_each_X", by the rule) for each of these: see call_genes().
  std::vector<double> fdr_targets = {};
  CallRule call_rule = CallRule::expected_fdr;
  /// Do everything so often, with other draws, and tell how far the results spread: the standard deviation of the
  /// probability (and of the mean change) over the repetitions and the posteriors. All other columns are of the first
  /// repetition.
  std::int64_t n_repetitions = 1;
  /// Groups of at most so many cells are left out, with a warning that names them (one_vs_all, within_cluster), or
  /// compared with a warning (the other functions). A group of one cell is never compared.
  std::int64_t min_cells = 10;
  /// Bytes of samples that may be held at a time. With more genes the samples are decoded again for each part of
  /// them, which never changes a result.
  std::int64_t memory_bytes = std::int64_t{1} << 30;
  Progress* progress = nullptr;  ///< told how many samples are drawn; nullptr: silent
};

/// The statistics alone, genes in the order of the data set. @throws InputError as differential_expression_score()
BayesFactors get_bayes_factors(std::span<const Posterior> posteriors, const CellGroup& group1,
                               const CellGroup& group2, const DifferentialOptions& options = {});
inline BayesFactors get_bayes_factors(const Posterior& posterior, const CellGroup& group1, const CellGroup& group2,
                                      const DifferentialOptions& options = {}) {
  return get_bayes_factors(std::span(&posterior, 1), group1, group2, options);
}

/// A table with the genes as index (their numbers where they have no names), the most differential first: by
/// `bayes_factor` in vanilla mode, by `proba_de` in change mode; ties in the order of the data set. Columns:
///
/// - vanilla: `proba_m1` p(h1 > h2), `proba_m2` 1 - proba_m1
/// - change: `proba_de`, `proba_not_de` 1 - proba_de
/// - both: `bayes_factor` log odds, natural; `scale1`, `scale2` mean expected frequency in the groups
/// - change: `lfc_mean`, `lfc_median`, `lfc_std`, `lfc_min`, `lfc_max` of the change (log2 unless change_fn says
///   otherwise) and `lfc_confidence_interval_LEVEL_min` and `_max`
/// - all_stats: `raw_mean1`, `raw_mean2` mean counts; `non_zeros_proportion1` and 2, the part of cells that have any;
///   `raw_normalized_mean1` and 2, of counts divided by the mean count of their cell
/// - change, beyond the reference: `pseudocount` unless it is 0, `is_de_fdr_X` or `is_de_each_X`
/// - n_repetitions > 1, or several posteriors: `proba_de_spread` and `lfc_mean_spread`, or `proba_m1_spread`
///
/// @throws InputError when posteriors have other data sets, a group has fewer than two cells, groups share a cell, a
/// cell or batch is not there, batches
///         are given with use_observed_batches, or an option is out of range
io::Frame differential_expression_score(std::span<const Posterior> posteriors, const CellGroup& group1,
                                        const CellGroup& group2, const DifferentialOptions& options = {});
inline io::Frame differential_expression_score(const Posterior& posterior, const CellGroup& group1,
                                               const CellGroup& group2, const DifferentialOptions& options = {}) {
  return differential_expression_score(std::span(&posterior, 1), group1, group2, options);
}

/// Every group against the cells of all other groups: the tables of differential_expression_score() by the names of
/// the groups, with a column `clusters` that holds that name. Cells in no group take no part (scVI counts them among
/// the others). All groups share their samples: the others' are drawn from those of each of them by their sizes, so
/// that the work grows with the number of groups and n_samples, not with the number of cells, and so does the memory.
/// @param groups must not overlap
/// @throws InputError as differential_expression_score(), or when no group is large enough
std::vector<io::NamedTable> one_vs_all_degenes(std::span<const Posterior> posteriors,
                                               std::span<const CellGroup> groups,
                                               const DifferentialOptions& options = {});
inline std::vector<io::NamedTable> one_vs_all_degenes(const Posterior& posterior, std::span<const CellGroup> groups,
                                                      const DifferentialOptions& options = {}) {
  return one_vs_all_degenes(std::span(&posterior, 1), groups, options);
}

/// Within each cluster, its cells that are in `group1` against those in `group2` (scVI's states and the opposite).
/// @param clusters must not overlap
/// @throws InputError as one_vs_all_degenes()
std::vector<io::NamedTable> within_cluster_degenes(std::span<const Posterior> posteriors,
                                                   std::span<const CellGroup> clusters, const CellGroup& group1,
                                                   const CellGroup& group2, const DifferentialOptions& options = {});
inline std::vector<io::NamedTable> within_cluster_degenes(const Posterior& posterior,
                                                          std::span<const CellGroup> clusters,
                                                          const CellGroup& group1, const CellGroup& group2,
                                                          const DifferentialOptions& options = {}) {
  return within_cluster_degenes(std::span(&posterior, 1), clusters, group1, group2, options);
}

/// The cells of each category of a column, in the order of its categories; cells without a value are in none.
/// @param cells positions in the column of the cells of the data set, e.g. original_cells()
std::vector<CellGroup> groups_of_column(const io::Column& column, std::span<const std::int64_t> cells);

/// The cells of each cell type of a data set (scVI's default clusters); types without cells are left out.
std::vector<CellGroup> groups_of_labels(const GeneExpressionDataset& dataset);

/// The cells of all groups, with a new name.
CellGroup merged_groups(std::span<const CellGroup> groups, std::string name);

}  // namespace scvi
