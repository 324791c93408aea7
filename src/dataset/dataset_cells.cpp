#include "scvi/dataset/gene_expression_dataset.hpp"

#include <algorithm>

#include "argsort.hpp"
#include "dataset_checks.hpp"
#include "scvi/core/logging.hpp"

namespace scvi {

using namespace dataset_detail;

void GeneExpressionDataset::update_cells(std::span<const std::int64_t> cells) {
  check_positions(cells, nb_cells(), "cell");
  if (cells.empty()) throw InputError({.problem = "no cell would be left", .field = "cells"});
  if (is_everything(cells, nb_cells())) return;
  const std::int64_t old_n_cells = nb_cells();
  select_cells(cells);
  log_info("kept " + with_thousands(nb_cells()) + " of " + with_thousands(old_n_cells) + " cells");
  for (std::size_t which : {0, 1}) {
    const MappedAttribute& mapping = mappings_[which];
    std::vector<bool> used(mapping.values.size());
    for (const std::int64_t category : whole_numbers(cell_attributes_[which].column)) used[category] = true;
    std::vector<std::string> unused;
    for (std::size_t category = 0; category < used.size(); ++category) {
      if (!used[category]) unused.push_back(mapping.values[category]);
    }
    if (!unused.empty()) log_info("no cell is left of these " + mapping.name + ": " + join_some(unused));
  }
}

void GeneExpressionDataset::update_cells(const std::vector<bool>& mask) {
  update_cells(marked_positions(mask, nb_cells(), "cells"));
}

void GeneExpressionDataset::select_cells(std::span<const std::int64_t> cells) {
  std::vector<CellAttribute> attributes;
  for (const CellAttribute& attribute : cell_attributes_) {
    attributes.push_back({take(attribute.column, cells), attribute.categorical});
  }
  std::vector<CellMeasurement> measurements;
  for (const CellMeasurement& measurement : measurements_) {
    const std::size_t n_columns = measurement.columns.size();
    measurements.push_back({measurement.name, {}, measurement.columns_attr_name, measurement.columns});
    std::vector<float>& data = measurements.back().data;
    data.reserve(cells.size() * n_columns);
    for (const std::int64_t cell : cells) {
      const auto row = measurement.data.begin() + cell * static_cast<std::int64_t>(n_columns);
      data.insert(data.end(), row, row + static_cast<std::int64_t>(n_columns));
    }
  }
  std::vector<std::string> names = take_if_any(cell_names_, cells);
  std::vector<std::int64_t> original = take(original_cells_, cells);

  X_ = std::move(X_).select_cells(cells);
  for (Version& version : versions_) version.counts = std::move(version.counts).select_cells(cells);
  cell_attributes_ = std::move(attributes);
  measurements_ = std::move(measurements);
  cell_names_ = std::move(names);
  original_cells_ = std::move(original);
  compute_library_size_batch();
}

void GeneExpressionDataset::filter_cells_by_attribute(const std::vector<std::string>& values_to_keep,
                                                      std::string_view on) {
  const std::vector<std::int64_t> cells = rows_with_values(cell_attribute(on), values_to_keep);
  if (cells.empty()) {
    throw InputError(
        {.problem = "no cell would be left: none has " + join_some(values_to_keep) + " as its " + std::string(on),
         .field = "cells"});
  }
  update_cells(cells);
}

void GeneExpressionDataset::filter_cells_by_count(double min_count) {
  update_cells(cells_with_total(X_.cell_totals(), min_count));
}

void GeneExpressionDataset::subsample_cells(std::int64_t new_n_cells) {
  if (new_n_cells < 1) {
    throw InputError({.problem = "is " + std::to_string(new_n_cells) + ", expected at least 1",
                      .field = "number of cells to keep"});
  }
  update_cells(dataset_detail::numpy_largest(X_.cell_totals(), new_n_cells));
}

void GeneExpressionDataset::subsample_cells_ratio(double ratio) {
  if (!(ratio > 0 && ratio <= 1)) {
    throw InputError({.problem = "is " + number_text(ratio) + ", expected more than 0 and at most 1",
                      .field = "ratio of cells to keep"});
  }
  subsample_cells(static_cast<std::int64_t>(ratio * static_cast<double>(nb_cells())));
}

}  // namespace scvi
