#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "scvi/core/atomic_file.hpp"
#include "scvi/io/count_file.hpp"
#include "scvi/io/element_info.hpp"

namespace scvi::io {

/// Which parts of a .loom file mean what. Names are case-sensitive.
struct LoomOptions {
  /// The matrix to read: "" or "matrix" for the main one, else the name of a layer.
  std::string layer{};
  /// Row attribute with the names of the genes. When it is the default and absent, the first there is of var_names,
  /// gene_names, GeneName, gene_short_name, Accession and gene_ids; when there is none, genes are numbered from 0.
  std::string gene_names_attribute = "Gene";
  /// Column attribute with the names of the cells. Empty: the first there is of CellID, obs_names, cell_id, Cell_ID,
  /// cell_names, CellName, barcode and barcodes; when there is none, cells are numbered from 0.
  std::string cell_names_attribute{};
  /// Column attribute with the label of each cell: a whole number, or text.
  std::string labels_attribute = "ClusterID";
  /// Global attribute that lists names of cell types. Where it and the labels are there, obs gets one more column
  /// "cell_types" (unless it has one): label i becomes the i-th name, a label that is text the name it equals.
  std::string cell_types_attribute = "CellTypes";
};

/// A .loom file open for reading: spec 2.0 (global attributes on the root), 3.0 (in /attrs), and what loomR and
/// Seurat wrote. There, rows are genes and columns cells; here it is the other way round. Nothing but shapes is read
/// until it is asked for. Every byte of the file is taken as hostile.
class LoomFile {
 public:
  /// @throws IoError when the file cannot be opened, FormatError when it is not HDF5, is truncated, or lacks what a
  ///         .loom must have (the message says what it holds instead)
  explicit LoomFile(const std::string& path);
  ~LoomFile();
  LoomFile(LoomFile&&) noexcept;
  LoomFile& operator=(LoomFile&&) noexcept;

  const std::string& path() const;
  /// "2.0.1", "3.0.0"; "" when the file does not say.
  const std::string& spec_version() const;
  std::int64_t n_cells() const;
  std::int64_t n_genes() const;
  /// Names of the layers beside the main matrix.
  std::vector<std::string> layers() const;
  std::vector<std::string> cell_attributes() const;
  std::vector<std::string> gene_attributes() const;
  /// Pairwise relations between cells (col_graphs) and between genes (row_graphs); they are listed, not read.
  std::vector<std::string> cell_graphs() const;
  std::vector<std::string> gene_graphs() const;
  /// What is said of the file as a whole: text or numbers, one value or a list each.
  std::vector<Column> global_attributes() const;
  /// Everything in the file that this reader understands, and what it passes over.
  std::vector<ElementInfo> elements() const;

  /// Annotation of the cells: each attribute of one dimension (or of n x 1) is a column under its own name, text of
  /// two dimensions several, "NAME_1" and on. The attribute that names the cells becomes the index.
  /// @throws FormatError when an attribute is damaged or of another length, InputError for a name that is not there
  Frame obs(const LoomOptions& options = {}) const;
  /// Annotation of the genes, in the same way; numbers of two dimensions become several columns, too.
  Frame var(const LoomOptions& options = {}) const;
  /// Numbers of two dimensions that cells have, coordinates for instance, under the attribute's name. Columns are
  /// named by the global attribute "NAME_columns" (which write_loom leaves), else "NAME_1" and on.
  std::vector<CellTable> tables() const;
  /// (n_cells, n_genes). @throws InputError for an unknown layer, naming the nearest; FormatError for another shape
  std::unique_ptr<MatrixReader> matrix(const std::string& layer = "") const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A .loom file as counts with annotation. Counts are read in windows of some cells (about 2 million values, more
/// where the file stores them in wide pieces).
/// @throws as LoomFile
CountFile open_loom(const std::string& path, const LoomOptions& options = {});

/// A new .loom file.
struct LoomContents {
  Frame obs;  ///< index: col_attrs/CellID; a column for each other attribute. Categories are written as text
  Frame var;  ///< index: row_attrs/Gene
  /// Fills `block` with the next cells and returns true, or returns false at the end. Rows come as for CsrBlock.
  std::function<bool(CsrBlock& block)> next_rows;
  std::vector<CellTable> tables;  ///< two-dimensional attributes of cells
  std::vector<Column> global;     ///< attributes of the file, of any length; one value is written as a single one
};

/// Writes spec 3.0: counts as float32 in chunks of 64 x 64, gzip. Missing whole numbers become NaN, other missing
/// values empty text. A column that has the name of the index and other values is written as obs_CellID or var_Gene.
/// @throws InputError for contents that do not fit each other or names with slashes, IoError
void write_loom(const std::string& path, const LoomContents& contents, Overwrite overwrite);

}  // namespace scvi::io
