#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace scvi {

/// How data sets are put together.
struct PopulateFromDatasetsOptions {
  /// Cells of the same cell type get the same label, whatever data set they are from. False: labels are kept apart.
  bool shared_labels = true;
  /// Further attributes to share: categorical cell attribute -> mapped attribute that names its categories.
  /// Categories of the same name become one, in the order in which they are first seen. Categorical attributes that
  /// are not listed are kept apart: the numbers of each data set follow those of the one before.
  std::map<std::string, std::string> mapping_reference_for_sharing{};
  /// Cell measurement -> true: keep the columns that all data sets have (the default for those not listed), false:
  /// keep those of any, with 0 for the cells of the others.
  std::map<std::string, bool> cell_measurement_intersection{};
  /// What the data sets are called in the report, and in the names of batches that several of them use; empty: they
  /// are numbered from 0.
  std::vector<std::string> dataset_names{};
  /// Drop the cells that have no counts in the genes kept. The reference keeps them.
  bool drop_empty_cells = false;
};

/// What became of the data sets that were put together.
struct MergeReport {
  struct Input {
    std::string name{};
    std::int64_t n_cells = 0;
    std::int64_t n_cells_kept = 0;
    /// Cells kept that have no counts in the genes kept.
    std::int64_t n_empty_cells = 0;
    std::int64_t n_genes = 0;
    std::int64_t n_genes_kept = 0;
    std::vector<std::string> dropped_genes{};            ///< in the order of the data set
    std::vector<std::string> dropped_cell_attributes{};  ///< attributes and measurements that not all data sets have
  };
  std::vector<Input> inputs{};
  std::int64_t n_cells = 0;
  std::int64_t n_genes = 0;
  /// Several lines for a person, without a newline at the end.
  std::string text() const;
};

}  // namespace scvi
