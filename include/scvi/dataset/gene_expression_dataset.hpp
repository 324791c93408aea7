#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scvi/core/settings.hpp"
#include "scvi/dataset/count_matrix.hpp"
#include "scvi/dataset/gene_selection.hpp"
#include "scvi/dataset/merging.hpp"
#include "scvi/io/frame.hpp"

namespace scvi {

/// A batch whose log library sizes vary less than this (one cell, or all totals equal) has no usable spread...
inline constexpr float kMinLibraryVariance = 1e-6F;
/// ...and gets this variance instead: the prior of the library size then spans about 10 %. The divergence from a
/// prior of variance 0 is not finite, and one from a tiny variance would drown everything else that a model learns.
inline constexpr float kFallbackLibraryVariance = 1e-2F;

/// Most categories that an attribute may have when it is not remapped (scVI keeps categories in 16 bits).
inline constexpr std::int64_t kMaxCategories = 65536;

/// Several numbers per cell beside its counts: proteins of a CITE-seq experiment, or spatial coordinates.
struct CellMeasurement {
  std::string name{};                  ///< "protein_expression"
  std::vector<float> data{};           ///< (n_cells, columns.size()), row-major
  std::string columns_attr_name{};     ///< what the columns are called: "protein_names"
  std::vector<std::string> columns{};  ///< one name a column
};

/// A name for each category of an integer attribute: cell_types for labels, batch_names for batch_indices.
struct MappedAttribute {
  std::string source{};               ///< the integer attribute
  std::string name{};                 ///< what the mapping is called
  std::vector<std::string> values{};  ///< values[category]
};

/// What comes with the counts. Everything may be left out.
struct PopulateOptions {
  std::vector<std::int64_t> batch_indices{};  ///< per cell; empty: all cells in batch 0
  std::vector<std::int64_t> labels{};         ///< per cell, -1 beside cell_types: unknown; empty: all 0, "undefined"
  std::vector<std::string> gene_names{};      ///< per gene; empty: genes have no names
  std::vector<std::string> cell_types{};      ///< cell_types[label]; empty: the label's number is its name
  std::vector<std::string> batch_names{};     ///< batch_names[batch]; empty: the batch's number is its name
  std::vector<std::string> cell_names{};      ///< per cell (barcodes)
  std::vector<io::Column> cell_attributes{};
  std::vector<io::Column> gene_attributes{};
  std::vector<CellMeasurement> measurements{};
  /// Where the cells and genes of X stood in what they were read from; empty: in this order.
  std::vector<std::int64_t> original_cells{};
  std::vector<std::int64_t> original_genes{};
  /// Renumber batches, labels and other categorical attributes to 0..K-1; see remap_categorical_attributes().
  bool remap_attributes = true;
  /// False when the caller has checked that all counts are finite and not negative.
  bool check_counts = true;
  /// Library sizes exactly as scVI 0.6.3 has them: computed before the batches are renumbered and only for batch
  /// numbers below the number of batches (others get mean and variance 0), and without kMinLibraryVariance. For
  /// comparisons with it; stays in force for the data set.
  bool reference_0_6_3 = false;
};

/// What comes with one count matrix per batch.
struct PopulatePerBatchOptions {
  std::vector<std::vector<std::int64_t>> labels_per_batch{};  ///< one list a batch; empty: no labels
  std::vector<std::string> gene_names{};
  std::vector<std::string> cell_types{};
  std::vector<std::string> batch_names{};
  bool remap_attributes = true;
};

/// What comes with one count matrix per label.
struct PopulatePerLabelOptions {
  std::vector<std::vector<std::int64_t>> batch_indices_per_label{};  ///< one list a label; empty: one batch
  std::vector<std::string> gene_names{};
  std::vector<std::string> cell_types{};  ///< the name of each label; empty: its number
  std::vector<std::string> batch_names{};
  bool remap_attributes = true;
};

struct SubsampleGenesOptions {
  std::optional<std::int64_t> new_n_genes{};  ///< how many genes to keep
  std::optional<double> new_ratio_genes{};    ///< or which part of them, in (0, 1); goes before new_n_genes
  GeneSelectionMode mode = GeneSelectionMode::seurat_v3;
  /// Keep exactly these genes, by position or by name, in this order; the other fields are then ignored.
  std::optional<std::vector<std::int64_t>> subset_genes{};
  std::optional<std::vector<std::string>> subset_gene_names{};
  // As in HighlyVariableGenesOptions.
  bool batch_correction = true;
  GeneSelectionTuning tuning{};
  bool reference_0_6_3 = false;
};

/// How counts are damaged to measure imputation.
enum class Corruption {
  uniform,   ///< a part of the non-zero entries is multiplied by Bernoulli(0.9)
  binomial,  ///< a part of all entries is replaced by Binomial(count, 0.2)
};

/// @throws InputError for an unknown name
Corruption parse_corruption(std::string_view name);

struct CorruptOptions {
  double rate = 0.1;  ///< part of the entries concerned, in [0, 1]
  Corruption corruption = Corruption::uniform;
  std::uint64_t seed = settings().seed;
};

/// Draws to replay instead of random ones.
struct CorruptionDraws {
  /// Which entries: positions among the non-zero entries (uniform) or among all entries (binomial), row by row.
  std::vector<std::int64_t> choice{};
  /// The Bernoulli or Binomial draw for each of them.
  std::vector<std::int64_t> values{};
};

/// Categories renumbered to 0..K-1 in increasing order of their old value.
struct RemappedCategories {
  std::vector<std::int64_t> codes{};       ///< one per element
  std::vector<std::int64_t> old_values{};  ///< old_values[new category], K of them
};
RemappedCategories remap_categories(std::span<const std::int64_t> categories);
/// Every category that equals mapping_from[i] becomes mapping_to[i].
/// @throws InputError when the lists differ in length or a category is not in `mapping_from`
std::vector<std::int64_t> remap_categories(std::span<const std::int64_t> categories,
                                           std::span<const std::int64_t> mapping_from,
                                           std::span<const std::int64_t> mapping_to);

/// What raw counts say of two groups of cells. One number per gene.
struct RawCountsProperties {
  std::vector<double> mean1{};  ///< mean count in the first group
  std::vector<double> mean2{};  ///< and in the second
  std::vector<double> nonz1{};  ///< part of the cells that have any
  std::vector<double> nonz2{};
  std::vector<double> norm_mean1{};  ///< mean of the normalised counts, see normalize()
  std::vector<double> norm_mean2{};
};

/// What raw counts say of one group of cells. One number per gene.
struct RawCountsOfGroup {
  std::vector<double> mean{};       ///< mean count
  std::vector<double> nonz{};       ///< part of the cells that have any
  std::vector<double> norm_mean{};  ///< mean of the normalised counts, see normalize()
};

/// Cell types to put together and the name of the result.
struct CellTypeMerger {
  std::vector<std::string> cell_types{};
  std::string new_name{};
};

/// Counts of genes in cells with their annotation: scVI's class of the same name.
///
/// Annotation is kept in registries (cell attributes, gene attributes, names of categories, measurements, versions of
/// the counts), so that every selection of cells or genes reaches all of it. An operation that throws leaves the data
/// set as it was.
class GeneExpressionDataset {
 public:
  /// An unpopulated data set, with no cells and no genes.
  GeneExpressionDataset();

  /// @param X counts (n_cells, n_genes)
  /// @throws InputError when an option does not fit the matrix, or a count is negative or not finite. Counts that are
  ///         not whole numbers, duplicate gene names and empty cells only warn.
  void populate_from_data(CountMatrix X, PopulateOptions options = {});
  /// Batch i holds the cells of Xs[i]. @throws InputError when they differ in their number of genes
  void populate_from_per_batch_list(const std::vector<CountMatrix>& Xs, PopulatePerBatchOptions options = {});
  /// The cells of Xs[i] have label i. @throws InputError when they differ in their number of genes
  void populate_from_per_label_list(const std::vector<CountMatrix>& Xs, PopulatePerLabelOptions options = {});
  /// Puts data sets below each other, with the genes that all of them have, in the order of the first.
  ///
  /// Of the cells, what all data sets have is kept: categorical attributes are shared or kept apart as the options
  /// say, other attributes are concatenated (text where their types differ), measurements are aligned by the names of
  /// their columns, which are then sorted. Of the genes, every attribute is kept, from the first data set that has
  /// it. Other versions of the counts are not merged. original_cells() become positions in the merged data set,
  /// original_genes() are those of the first.
  /// @return what was kept and what was dropped
  /// @throws InputError when there is no data set, one has no gene names, they have no gene in common, or a mapping
  /// to
  ///         share by is not registered in all of them
  MergeReport populate_from_datasets(const std::vector<const GeneExpressionDataset*>& datasets,
                                     const PopulateFromDatasetsOptions& options = {});
  /// The same for data sets that are given up: the counts of each are freed once they are copied, so that they are
  /// never held twice.
  MergeReport populate_from_moved_datasets(std::vector<GeneExpressionDataset> datasets,
                                           const PopulateFromDatasetsOptions& options = {});

  // Counts.
  const CountMatrix& X() const { return X_; }
  std::int64_t nb_cells() const { return X_.n_cells(); }
  std::int64_t nb_genes() const { return X_.n_genes(); }
  /// Other counts for the same cells and genes; library sizes follow. @throws InputError as populate_from_data() does
  void set_X(CountMatrix X);
  bool has_corrupted_X() const;
  /// @throws InputError before corrupt() has been called
  const CountMatrix& corrupted_X() const;
  bool has_norm_X() const;
  /// @throws InputError before normalize() has been called
  const CountMatrix& norm_X() const;
  /// Another version of the counts, of the same shape, which follows every selection of cells and genes.
  /// One that has the same name is replaced. @throws InputError when the shape differs
  void register_dataset_version(const std::string& name, CountMatrix version);
  std::vector<std::string> dataset_versions() const;
  /// @throws InputError when there is none of that name
  const CountMatrix& dataset_version(const std::string& name) const;
  /// Makes norm_X: counts divided by the mean count of their cell over all genes. Empty cells stay empty.
  void normalize();

  // Batches, labels, names. All per cell unless said otherwise.
  const std::vector<std::int64_t>& batch_indices() const;
  const std::vector<std::int64_t>& labels() const;
  /// Number of batch names. A selection of cells may leave a batch without cells; it is counted until
  /// remap_categorical_attributes() drops it, so that batch_indices() always stay below this number.
  std::int64_t n_batches() const;
  std::int64_t n_labels() const;
  const std::vector<std::string>& batch_names() const;  ///< per batch
  const std::vector<std::string>& cell_types() const;   ///< per label
  const std::vector<std::string>& gene_names() const;   ///< per gene; empty when genes have no names
  const std::vector<std::string>& cell_names() const { return cell_names_; }  ///< empty when cells have no names
  /// Row and column of the input that the cells and genes now here came from.
  const std::vector<std::int64_t>& original_cells() const { return original_cells_; }
  const std::vector<std::int64_t>& original_genes() const { return original_genes_; }

  /// Mean and population variance of the log total count over the cells of the cell's own batch, an empty cell
  /// counting as 0: the prior of the library size. Variances under kMinLibraryVariance are replaced, with a warning.
  const std::vector<float>& local_means() const { return local_means_; }
  const std::vector<float>& local_vars() const { return local_vars_; }
  /// Computes them again; done by every function that changes cells, genes or batches.
  void compute_library_size_batch();

  // Registries.
  std::vector<std::string> cell_attribute_names() const;
  std::vector<std::string> cell_categorical_attribute_names() const;
  std::vector<std::string> gene_attribute_names() const;
  /// @throws InputError when there is none of that name, with the nearest one; so do the three after it
  const io::Column& cell_attribute(std::string_view name) const;
  const io::Column& gene_attribute(std::string_view name) const;
  const std::vector<std::string>& mapped_attribute(std::string_view name) const;
  const CellMeasurement& cell_measurement(std::string_view name) const;
  const std::vector<MappedAttribute>& mapped_attributes() const { return mappings_; }
  const std::vector<CellMeasurement>& cell_measurements() const { return measurements_; }
  /// Which columns of a measurement each batch has: [batch][column] is false where all its cells have 0 there, as
  /// after merging data sets by the union of their columns.
  std::vector<std::vector<bool>> get_batch_mask_cell_measurement(std::string_view name) const;

  /// Adds or replaces an attribute with one value per cell. A categorical one holds whole numbers (int64) >= 0 that
  /// remap_categorical_attributes() renumbers. The name "X" is protected and becomes "X_cell", with a warning. A gene
  /// attribute may have the same name (scVI 0.6.3 renames the second one).
  /// Replacing "batch_indices" or "labels" keeps the names of their categories, or names them after their numbers
  /// where the old names do not cover them.
  /// @throws InputError when the length is not nb_cells()
  void initialize_cell_attribute(io::Column attribute, bool categorical = false);
  /// The same for genes ("X" becomes "X_gene"). @throws InputError when the length is not nb_genes()
  void initialize_gene_attribute(io::Column attribute);
  void initialize_cell_measurement(CellMeasurement measurement);
  /// Names for the categories of an integer cell or gene attribute, e.g. labels to cell_types.
  /// @throws InputError when the attribute is not made of whole numbers >= 0 or a category would have no name
  void initialize_mapped_attribute(const std::string& source, const std::string& name,
                                   std::vector<std::string> values);
  /// Renumbers categorical attributes (all, or those named) to 0..K-1 in increasing order of their old value; their
  /// names follow, and names that no cell uses are dropped.
  void remap_categorical_attributes(const std::vector<std::string>& attributes = {});

  // Genes. All but reorder_genes() and make_gene_names_lower() end by dropping the cells that have become empty, as
  // scVI does. Counts are selected within the memory that holds them.
  /// Keeps these genes, in this order, each at most once.
  /// @throws InputError for an index out of range or repeated, or when no cell would be left
  void update_genes(std::span<const std::int64_t> genes);
  /// Keeps the genes that are marked. @throws InputError unless there is a mark for each gene
  void update_genes(const std::vector<bool>& mask);
  /// Keeps the most variable genes (mode variance: the most variable first, otherwise in their old order), or those
  /// that `options` lists. Asking for as many of the most variable genes as there are, or more, does nothing.
  /// @throws InputError when a mode needs the number of genes or their ratio and none is given, or a number makes no
  ///         sense
  void subsample_genes(const SubsampleGenesOptions& options);
  /// What subsample_genes() would choose, with the numbers behind it.
  HighlyVariableGenes highly_variable_genes(const HighlyVariableGenesOptions& options) const;
  /// Keeps genes whose total is at least `min_count`, in every batch if `per_batch`.
  void filter_genes_by_count(double min_count = 1, bool per_batch = false);
  /// Keeps genes that have one of these values of a gene attribute (numbers as Column::text() writes them). Values
  /// that no gene has are passed over with a warning. @throws InputError for an unknown attribute or when no gene is
  /// left
  void filter_genes_by_attribute(const std::vector<std::string>& values_to_keep, std::string_view on = "gene_names");
  /// Puts these genes first; the others follow in their old order, or are dropped.
  /// @throws InputError for an unknown or repeated name
  void reorder_genes(const std::vector<std::string>& first_genes, bool drop_omitted_genes = false);
  /// Turns the letters A to Z of the gene names into small ones. @throws InputError when genes have no names
  void make_gene_names_lower();
  /// Positions of genes by their name or by another text attribute; the first one where names repeat.
  /// @throws InputError for an unknown name, with the nearest one
  std::vector<std::int64_t> genes_to_index(const std::vector<std::string>& genes,
                                           std::string_view on = "gene_names") const;

  // Cells.
  /// Keeps these cells, in this order. Batches and labels keep their numbers.
  /// @throws InputError for an index out of range, or when no cell would be left
  void update_cells(std::span<const std::int64_t> cells);
  /// Keeps the cells that are marked. @throws InputError unless there is a mark for each cell
  void update_cells(const std::vector<bool>& mask);
  /// Keeps cells whose total count is at least `min_count`. @throws InputError when none is left
  void filter_cells_by_count(double min_count = 1);
  /// Keeps cells that have one of these values of a cell attribute (numbers as Column::text() writes them, labels and
  /// batches by number). Values that no cell has are passed over with a warning.
  /// @throws InputError for an unknown attribute or when no cell is left
  void filter_cells_by_attribute(const std::vector<std::string>& values_to_keep, std::string_view on = "labels");
  /// Keeps the cells with the largest totals, the largest first. @throws InputError unless new_n_cells > 0
  void subsample_cells(std::int64_t new_n_cells);
  /// Keeps floor(ratio * nb_cells()) cells in the same way. @throws InputError unless ratio is in (0, 1]
  void subsample_cells_ratio(double ratio);

  // Cell types: the names of the labels. Where a name stands for several labels it means all of them.
  /// Keeps, or removes, the cells of these types. Labels keep their numbers.
  /// @throws InputError for an unknown type, with the nearest one, or when no cell would be left
  void filter_cell_types(const std::vector<std::string>& cell_types);
  void remove_cell_types(const std::vector<std::string>& cell_types);
  /// The same by number. @throws InputError for a number that no cell type has
  void filter_labels(std::span<const std::int64_t> labels);
  void remove_labels(std::span<const std::int64_t> labels);
  /// The label of each type; the first one where names repeat. @throws InputError for an unknown name
  std::vector<std::int64_t> cell_types_to_labels(const std::vector<std::string>& cell_types) const;
  /// Gives the cells of these types a new label at the end, of this name. The old types stay, without cells and with
  /// "#merged" behind their names, until remap_categorical_attributes() drops them.
  /// @throws InputError when none is given or one is unknown
  void merge_cell_types(const std::vector<std::string>& cell_types, const std::string& new_name);
  void merge_labels(std::span<const std::int64_t> labels, const std::string& new_name);
  /// Several mergers one after the other; one may name a type that an earlier one has made.
  void map_cell_types(const std::vector<CellTypeMerger>& mergers);
  /// Renumbers the labels so that these types come first, in this order; the others follow in their old order. Types
  /// without cells are dropped. @throws InputError for an unknown or repeated name
  void reorder_cell_types(const std::vector<std::string>& new_order);

  /// Statistics of the raw counts of two groups of cells (a cell may be there several times). Normalised counts are
  /// norm_X where it has been made. @throws InputError for an empty group or an index out of range
  RawCountsProperties raw_counts_properties(std::span<const std::int64_t> cells1,
                                            std::span<const std::int64_t> cells2) const;
  /// The same of any number of groups, which must not be empty.
  std::vector<RawCountsOfGroup> raw_counts_of_groups(std::span<const std::span<const std::int64_t>> groups) const;

  /// Makes corrupted_X, a damaged copy of X. @throws InputError unless rate is in [0, 1]
  void corrupt(const CorruptOptions& options = {});
  /// The same with given draws. @throws InputError when they do not fit X
  void corrupt(Corruption corruption, const CorruptionDraws& draws);

  /// Several lines for a person: shape, density, totals, memory, batches, labels and what is registered.
  std::string description() const;

 private:
  friend class DatasetMerger;
  struct CellAttribute {
    io::Column column;
    bool categorical = false;
  };
  struct Version {
    std::string name;
    CountMatrix counts;
  };

  const CellAttribute* find_cell_attribute(std::string_view name) const;
  const io::Column* find_gene_attribute(std::string_view name) const;
  void set_main_category(const std::string& attribute, std::vector<std::int64_t> categories,
                         std::vector<std::string> names, bool remap);
  void remap_attribute(CellAttribute& attribute);
  void select_genes(std::span<const std::int64_t> genes);
  void select_cells(std::span<const std::int64_t> cells);
  void keep_labels(std::span<const std::int64_t> labels, bool keep);
  std::vector<std::int64_t> labels_of_types(const std::vector<std::string>& cell_types) const;
  void check_counts() const;
  void warn_about_empty_cells() const;

  CountMatrix X_;
  std::vector<Version> versions_;
  std::vector<CellAttribute> cell_attributes_;  // batch_indices and labels come first
  std::vector<io::Column> gene_attributes_;
  std::vector<MappedAttribute> mappings_;  // batch_names and cell_types come first
  std::vector<CellMeasurement> measurements_;
  std::vector<std::string> cell_names_;
  std::vector<std::int64_t> original_cells_;
  std::vector<std::int64_t> original_genes_;
  std::vector<float> local_means_;
  std::vector<float> local_vars_;
  std::vector<std::string> batches_without_spread_;
  bool reference_0_6_3_ = false;
};

}  // namespace scvi
