#include "scvi/dataset/gene_expression_dataset.hpp"

#include <algorithm>
#include <cmath>

#include "dataset_checks.hpp"

namespace scvi {

using namespace dataset_detail;

namespace {

std::string percent(double share) {
  return number_text(std::round(share * 1e4) / 100) + " %";
}

void append_line(std::string& text, const std::string& name, const std::vector<std::string>& items) {
  if (!items.empty()) text += "\n    " + name + ": " + join_some(items, 12);
}

}  // namespace

std::string GeneExpressionDataset::description() const {
  if (nb_cells() == 0 && nb_genes() == 0) return "GeneExpressionDataset object (unpopulated)";
  const auto n_entries = static_cast<double>(nb_cells()) * static_cast<double>(nb_genes());
  const auto n_nonzero = static_cast<double>(X_.n_nonzero());
  std::string text = "GeneExpressionDataset object with n_cells x nb_genes = " + std::to_string(nb_cells()) + " x " +
                     std::to_string(nb_genes());
  text += "\n    counts: " + percent(n_entries > 0 ? n_nonzero / n_entries : 0) + " non-zero, " +
          (X_.store()       ? "on disk"
           : X_.is_sparse() ? "sparse"
                            : "dense") +
          ", " + format_bytes(static_cast<double>(X_.memory_bytes()));
  std::vector<double> totals = X_.cell_totals();
  if (!totals.empty()) {
    std::sort(totals.begin(), totals.end());
    text += "\n    total count per cell: " + number_text(totals.front()) + " to " + number_text(totals.back()) +
            ", median " + number_text(totals[totals.size() / 2]);
  }
  append_line(text, "batches (" + std::to_string(n_batches()) + ")", batch_names());
  append_line(text, "labels (" + std::to_string(n_labels()) + ")", cell_types());
  append_line(text, "dataset_versions", dataset_versions());
  append_line(text, "gene_attribute_names", gene_attribute_names());
  std::vector<std::string> cell_attributes = cell_attribute_names();
  cell_attributes.insert(cell_attributes.end(), {"local_means", "local_vars"});
  append_line(text, "cell_attribute_names", cell_attributes);
  append_line(text, "cell_categorical_attribute_names", cell_categorical_attribute_names());
  append_line(text, "cell_measurements_col_mappings", names_of(measurements_, [](const CellMeasurement& measurement) {
                return measurement.name + " -> " + measurement.columns_attr_name + " (" +
                       std::to_string(measurement.columns.size()) + " columns)";
              }));
  append_line(text, "attribute_mappings", names_of(mappings_, [](const MappedAttribute& mapping) {
                return mapping.source + " -> " + mapping.name + " (" + std::to_string(mapping.values.size()) + ")";
              }));
  return text;
}

}  // namespace scvi
