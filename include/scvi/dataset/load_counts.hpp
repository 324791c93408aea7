#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/io/count_file.hpp"

namespace scvi {

/// What to do with gene names that occur more than once.
enum class DuplicateGenes {
  error,
  make_unique,  ///< the first keeps its name, the others get "-1", "-2", ..., as anndata's var_names_make_unique
};

/// What to take out of a file of counts.
struct LoadOptions {
  std::string batch_key{};      ///< obs column with the batch of each cell; empty: one batch
  std::string labels_key{};     ///< obs column with the cell type of each cell; empty: no labels
  std::string missing_label{};  ///< cell type given to cells that have none; empty: such a cell is an error
  /// This cell type, and none or empty text, mean that a cell's label is not known: it becomes -1, and no category.
  std::optional<std::string> hidden_label{};
  /// Genes to load, in this order (those of a trained model, for instance); empty: all.
  std::vector<std::string> genes{};
  DuplicateGenes on_duplicate_genes = DuplicateGenes::error;
  /// Leave out cells whose total count over the loaded genes is below 1.
  bool drop_empty_cells = true;
  /// Keep the other columns of obs and var as cell and gene attributes.
  bool keep_attributes = true;
  /// Tables to keep as cell measurements, all of whose values must be finite. Nothing: all tables but those with
  /// other values, which are left out with a warning.
  std::optional<std::vector<std::string>> measurements{};
  /// Memory for the counts; 0: no limit. Counts that need more stay on disk (CountMatrix::on_disk) and get this
  /// memory for blocks of them; the file must then not change. They are read and checked in full all the same.
  std::size_t memory_bytes = 0;
};

/// Reads counts and annotation of a file of any format. Batches and labels are numbered in the order of the obs
/// column's categories (numbers in numeric order, other text in byte order); categories that no loaded cell has are
/// dropped. Counts are read in blocks and checked in full. Counts that are not whole numbers only warn, with their
/// share and the first of them. Annotation is moved, so that it is not held twice.
/// @throws InputError naming the file and the matrix, cell, gene, column and value at fault: a count that is
/// negative,
///         NaN or infinite; an unknown column, table or gene (with the nearest name); cells without a batch, or
///         without a label unless `missing_label` is set; duplicate gene names; no cell left; counts that must stay
///         on disk in a file whose rows cannot be read alone
/// @throws FormatError for a damaged file
GeneExpressionDataset load_counts(io::CountFile file, const LoadOptions& options = {});

}  // namespace scvi
