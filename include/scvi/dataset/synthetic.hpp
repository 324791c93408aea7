#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "scvi/core/settings.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

/// scVI's SyntheticDataset: no structure, counts of a zero-inflated negative binomial.
struct SyntheticDatasetOptions {
  std::int64_t batch_size = 200;  ///< cells in each batch
  std::int64_t nb_genes = 100;
  std::int64_t n_proteins = 100;  ///< columns of the cell measurement "protein_expression"; 0: none
  std::int64_t n_batches = 2;
  std::int64_t n_labels = 3;  ///< labels are drawn at random; one that no cell gets is dropped
  std::uint64_t seed = settings().seed;
};

/// Counts: negative binomial (5 successes, probability 0.3), each kept with probability 0.7. Proteins: the same
/// without the zeros. @throws InputError for a size below 1
GeneExpressionDataset synthetic_dataset(const SyntheticDatasetOptions& options = {});

/// scVI's SyntheticDatasetCorr: clusters of cells, each with its own block of highly expressed genes, and Poisson
/// counts.
struct SyntheticDatasetCorrOptions {
  std::int64_t n_cells_cluster = 200;  ///< cells of each cluster (in each batch)
  std::int64_t n_clusters = 3;
  std::int64_t n_genes_high = 25;  ///< highly expressed genes of each cluster
  std::int64_t n_overlap = 0;      ///< how many of them the next cluster shares; below n_genes_high
  double weight_high = 4e-2;       ///< weight of a highly expressed gene
  double weight_low = 1e-2;        ///< weight of any other gene
  double lam_0 = 50.0;             ///< expected total count of a cell

  // Beyond the reference, all off by default.
  std::int64_t n_batches = 1;
  /// Standard deviation of the log of the factor that each batch but the first puts on each gene.
  double batch_effect = 0.0;
  /// Standard deviation of the log of the factor that each cell has on its total.
  double library_spread = 0.0;
  std::uint64_t seed = settings().seed;
};

/// scVI's ZISyntheticDatasetCorr: the same with technical zeros. Where a cell expects the count e of a gene it is
/// lost with probability dropout_coef * exp(-lam_dropout * e^2).
struct ZISyntheticDatasetCorrOptions {
  double dropout_coef_high = 0.05;  ///< for highly expressed genes, in [0, 1)
  double lam_dropout_high = 0.0;
  double dropout_coef_low = 0.08;  ///< for the others, in [0, 1)
  double lam_dropout_low = 0.0;
  SyntheticDatasetCorrOptions corr{};
};

/// Mean probabilities that an entry is zero: [biological zero? 0 no, 1 yes][technical zero? 0 no, 1 yes].
using ZeroProbabilities = std::array<std::array<double, 2>, 2>;

/// A synthetic data set with the truth behind it. Matrices are (n_cells, n_genes), row-major. Cells come batch by
/// batch, within a batch cluster by cluster; labels are the clusters.
struct SyntheticCorrData {
  GeneExpressionDataset dataset{};
  std::vector<float> exprs_param{};           ///< expected count before technical zeros
  std::vector<std::uint8_t> is_highly_exp{};  ///< whether the gene is a highly expressed one of the cell's cluster
  // Only for data with technical zeros:
  std::vector<float> p_dropout{};            ///< probability of a technical zero
  std::vector<std::uint8_t> is_technical{};  ///< whether a technical zero happened
  ZeroProbabilities probas_zero_bio_tech_high{};
  ZeroProbabilities probas_zero_bio_tech_low{};
};

/// @throws InputError for a size below 1, an overlap that is not below n_genes_high, or a number out of range
SyntheticCorrData synthetic_dataset_corr(const SyntheticDatasetCorrOptions& options = {});
/// With the same seed the counts are those of synthetic_dataset_corr() but for the technical zeros.
SyntheticCorrData zi_synthetic_dataset_corr(const ZISyntheticDatasetCorrOptions& options = {});

/// A large sparse data set for benchmarks.
struct SyntheticCountsOptions {
  std::int64_t n_cells = 100000;
  std::int64_t n_genes = 720;
  double density = 0.11;  ///< part of the entries that are not zero, in (0, 1); met within about a twentieth
  std::int64_t n_clusters = 10;
  std::int64_t n_batches = 2;
  std::uint64_t seed = settings().seed;
};

/// Negative binomial counts (dispersion 2) around a profile per cluster, with a gene-wise effect per batch and
/// log-normal library sizes. Labels are the clusters. The same bits for any number of threads.
GeneExpressionDataset synthetic_counts_like(const SyntheticCountsOptions& options = {});

/// Groups of cells that differ in known genes by known fold changes, for measuring differential expression. Every
/// gene has an expression that all groups share (log-normal); each group changes genes of its own choice.
struct SyntheticZinbOptions {
  std::int64_t n_cells = 3000;
  std::int64_t n_genes = 1000;
  std::int64_t n_groups = 3;  ///< every cell draws its group and its batch, all as probable
  std::int64_t n_batches = 1;
  double share_differential = 0.2;  ///< part of the genes that each group changes (rounded), in [0, 1]
  double lfc_min = 0.5;             ///< size of the log2 fold changes, uniform from here...
  double lfc_max = 3.0;             ///< ...to here
  double share_up = 0.5;            ///< probability that a change is an increase, in [0, 1]
  double expression_spread = 1.2;   ///< standard deviation of the log of the shared expression of genes
  /// Standard deviation of the log of the factor that each batch but the first puts on each gene.
  double batch_effect = 0.0;
  double total = 2000.0;         ///< median of the expected total count of a cell (before technical zeros)
  double library_spread = 0.3;   ///< standard deviation of its log
  double dispersion = 2.0;       ///< median over genes of theta: the variance of a count is mean + mean^2 / theta
  double dispersion_spread = 0;  ///< standard deviation of the log of theta over genes
  /// Mean over genes of the probability that a count is lost (a technical zero), in [0, 0.5]; each gene draws its own
  /// uniformly from 0 to twice that.
  double zero_inflation = 0.1;
  std::uint64_t seed = settings().seed;
};

/// A synthetic data set with its truth. Rows of matrices are groups: (n_groups, n_genes), row-major.
struct SyntheticZinbData {
  GeneExpressionDataset dataset{};
  /// log2 fold change against the shared expression, 0 where the group does not change the gene.
  std::vector<double> lfc{};
  /// Expected part of the counts of a cell, what scVI calls scale: the shared expression times 2^lfc, divided by its
  /// sum over genes. Where a group changes many genes upwards, its other genes are a smaller part of the cell. In
  /// another batch than the first all genes take their factors and the whole is divided by its sum again.
  std::vector<double> scale{};
  std::vector<double> dispersion{};      ///< theta of each gene
  std::vector<double> zero_inflation{};  ///< probability of a technical zero for each gene
};

/// Counts are zero-inflated negative binomial with mean library * scale. Labels are the groups. The data set holds
/// the truth, too: gene attributes lfc_GROUP, scale_GROUP, dispersion and zero_inflation, and the cell attribute
/// library, the expected total count. The same bits for any number of threads.
/// @throws InputError for a size below 1 or a number out of range
SyntheticZinbData synthetic_zinb(const SyntheticZinbOptions& options = {});

}  // namespace scvi
