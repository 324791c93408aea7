#include "scvi/dataset/gene_expression_dataset.hpp"

#include <algorithm>
#include <cmath>

#include "corruption.hpp"
#include "dataset_checks.hpp"
#include "scvi/core/logging.hpp"

namespace scvi {

using namespace dataset_detail;

namespace {

/// Matrices below each other, with two categories for each cell.
struct Stack {
  CountMatrix counts;
  std::vector<std::int64_t> matrix_of_cell;
  std::vector<std::int64_t> other_categories;
};

/// @param others categories of the cells of each matrix, or empty
/// @param what,of what `others` holds and what a matrix stands for, for messages
Stack stack_of(const std::vector<CountMatrix>& Xs, const std::vector<std::vector<std::int64_t>>& others,
               const std::string& what, const std::string& of) {
  check_length_if_any(what + " per " + of, others.size(), static_cast<std::int64_t>(Xs.size()), "matrices");
  Stack stack;
  std::vector<const CountMatrix*> parts;
  for (std::size_t i = 0; i < Xs.size(); ++i) {
    parts.push_back(&Xs[i]);
    stack.matrix_of_cell.insert(stack.matrix_of_cell.end(), static_cast<std::size_t>(Xs[i].n_cells()),
                                static_cast<std::int64_t>(i));
    if (others.empty()) continue;
    check_length(what + " of " + of + " " + std::to_string(i), others[i].size(), Xs[i].n_cells(), "cells");
    stack.other_categories.insert(stack.other_categories.end(), others[i].begin(), others[i].end());
  }
  stack.counts = CountMatrix::concatenate(parts);
  return stack;
}

}  // namespace

GeneExpressionDataset::GeneExpressionDataset()
    : cell_attributes_{{io::Column{kBatchIndices, std::vector<std::int64_t>{}, {}}, true},
                       {io::Column{kLabels, std::vector<std::int64_t>{}, {}}, true}},
      mappings_{{kBatchIndices, kBatchNames, {}}, {kLabels, kCellTypes, {}}} {}

void GeneExpressionDataset::populate_from_data(CountMatrix X, PopulateOptions options) {
  const std::int64_t n_cells = X.n_cells();
  const std::int64_t n_genes = X.n_genes();
  check_length_if_any(kBatchIndices, options.batch_indices.size(), n_cells, "cells");
  check_length_if_any(kLabels, options.labels.size(), n_cells, "cells");
  check_length_if_any("cell_names", options.cell_names.size(), n_cells, "cells");
  check_length_if_any("original_cells", options.original_cells.size(), n_cells, "cells");
  check_length_if_any("original_genes", options.original_genes.size(), n_genes, "genes");

  GeneExpressionDataset fresh;
  fresh.X_ = std::move(X);
  fresh.reference_0_6_3_ = options.reference_0_6_3;
  fresh.cell_names_ = std::move(options.cell_names);
  fresh.original_cells_ = options.original_cells.empty() ? counting(n_cells) : std::move(options.original_cells);
  fresh.original_genes_ = options.original_genes.empty() ? counting(n_genes) : std::move(options.original_genes);
  if (!options.gene_names.empty()) {
    fresh.initialize_gene_attribute({kGeneNames, std::move(options.gene_names), {}});
  }
  if (options.check_counts) fresh.check_counts();

  const bool unlabelled = options.labels.empty() && options.cell_types.empty();
  if (unlabelled) options.cell_types = {"undefined"};
  if (options.labels.empty()) options.labels.assign(static_cast<std::size_t>(n_cells), 0);
  if (options.batch_indices.empty()) options.batch_indices.assign(static_cast<std::size_t>(n_cells), 0);
  if (options.reference_0_6_3) {
    fresh.cell_attributes_[0].column.values = options.batch_indices;
    fresh.compute_library_size_batch();
  }
  fresh.set_main_category(kBatchIndices, std::move(options.batch_indices), std::move(options.batch_names),
                          options.remap_attributes);
  fresh.set_main_category(kLabels, std::move(options.labels), std::move(options.cell_types),
                          options.remap_attributes);
  if (!options.reference_0_6_3) fresh.compute_library_size_batch();

  for (io::Column& attribute : options.cell_attributes) fresh.initialize_cell_attribute(std::move(attribute));
  for (CellMeasurement& measurement : options.measurements) {
    fresh.initialize_cell_measurement(std::move(measurement));
  }
  for (io::Column& attribute : options.gene_attributes) fresh.initialize_gene_attribute(std::move(attribute));
  fresh.warn_about_empty_cells();
  *this = std::move(fresh);
}

void GeneExpressionDataset::populate_from_per_batch_list(const std::vector<CountMatrix>& Xs,
                                                         PopulatePerBatchOptions options) {
  Stack stack = stack_of(Xs, options.labels_per_batch, "labels", "batch");
  populate_from_data(std::move(stack.counts), {.batch_indices = std::move(stack.matrix_of_cell),
                                               .labels = std::move(stack.other_categories),
                                               .gene_names = std::move(options.gene_names),
                                               .cell_types = std::move(options.cell_types),
                                               .batch_names = std::move(options.batch_names),
                                               .remap_attributes = options.remap_attributes});
}

void GeneExpressionDataset::populate_from_per_label_list(const std::vector<CountMatrix>& Xs,
                                                         PopulatePerLabelOptions options) {
  Stack stack = stack_of(Xs, options.batch_indices_per_label, "batch indices", "label");
  populate_from_data(std::move(stack.counts), {.batch_indices = std::move(stack.other_categories),
                                               .labels = std::move(stack.matrix_of_cell),
                                               .gene_names = std::move(options.gene_names),
                                               .cell_types = std::move(options.cell_types),
                                               .batch_names = std::move(options.batch_names),
                                               .remap_attributes = options.remap_attributes});
}

void GeneExpressionDataset::set_X(CountMatrix X) {
  if (X.n_cells() != nb_cells() || X.n_genes() != nb_genes()) {
    throw InputError({.problem = "has " + std::to_string(X.n_cells()) + " x " + std::to_string(X.n_genes()) +
                                 " entries, but the data set has " + std::to_string(nb_cells()) + " x " +
                                 std::to_string(nb_genes()),
                      .field = "counts"});
  }
  CountMatrix old = std::exchange(X_, std::move(X));
  try {
    check_counts();
  } catch (...) {
    X_ = std::move(old);
    throw;
  }
  compute_library_size_batch();
  warn_about_empty_cells();
}

void GeneExpressionDataset::check_counts() const {
  dataset_detail::FractionalCounts fractional;
  for (std::int64_t cell = 0; cell < nb_cells(); ++cell) {
    X_.for_each_nonzero(cell, [&](std::int64_t gene, float count) {
      if (!dataset_detail::is_plausible_count(count)) {
        throw InputError(
            {.problem = dataset_detail::why_not_a_count(count),
             .field = "counts, " + named("cell", cell_names_, cell) + ", " + named("gene", gene_names(), gene),
             .remedy = "give raw counts"});
      }
      fractional.see(cell, gene, count);
    });
  }
  if (fractional.n_fractional == 0) return;
  log_warning(fractional.text() + " (the first: " + number_text(fractional.first_value) + " in " +
              named("cell", cell_names_, fractional.first_cell) + ", " +
              named("gene", gene_names(), fractional.first_gene) + "); the models expect raw counts");
}

void GeneExpressionDataset::warn_about_empty_cells() const {
  const std::vector<double> totals = X_.cell_totals();
  const auto n_empty = std::count(totals.begin(), totals.end(), 0.0);
  if (n_empty == 0) return;
  log_warning(with_thousands(n_empty) + " of " + with_thousands(nb_cells()) +
              " cells have no counts at all, so what a model says of them means nothing");
}

void GeneExpressionDataset::compute_library_size_batch() {
  const std::vector<double> totals = X_.cell_totals();
  const RemappedCategories batches = remap_categories(batch_indices());
  const std::size_t n = batches.old_values.size();
  std::vector<double> mean(n), variance(n), n_cells(n);
  const auto log_total = [&](std::size_t cell) { return totals[cell] > 0 ? std::log(totals[cell]) : 0.0; };
  for (std::size_t cell = 0; cell < totals.size(); ++cell) {
    mean[batches.codes[cell]] += log_total(cell);
    n_cells[batches.codes[cell]] += 1;
  }
  for (std::size_t batch = 0; batch < n; ++batch) mean[batch] /= n_cells[batch];
  for (std::size_t cell = 0; cell < totals.size(); ++cell) {
    const double difference = log_total(cell) - mean[batches.codes[cell]];
    variance[batches.codes[cell]] += difference * difference;
  }

  std::vector<std::string> without_spread;
  for (std::size_t batch = 0; batch < n; ++batch) {
    variance[batch] /= n_cells[batch];
    const std::int64_t number = batches.old_values[batch];
    if (reference_0_6_3_) {
      if (number >= static_cast<std::int64_t>(n)) mean[batch] = variance[batch] = 0;
      continue;
    }
    if (variance[batch] >= kMinLibraryVariance) continue;
    variance[batch] = kFallbackLibraryVariance;
    without_spread.push_back(batch_names()[number]);
    const auto& warned = batches_without_spread_;
    if (std::find(warned.begin(), warned.end(), without_spread.back()) != warned.end()) continue;
    log_warning("batch '" + without_spread.back() + "' (cells: " + number_text(n_cells[batch]) +
                ") shows no spread of library sizes; the variance of its prior is set to " +
                number_text(kFallbackLibraryVariance));
  }
  batches_without_spread_ = std::move(without_spread);

  local_means_.resize(totals.size());
  local_vars_.resize(totals.size());
  for (std::size_t cell = 0; cell < totals.size(); ++cell) {
    local_means_[cell] = static_cast<float>(mean[batches.codes[cell]]);
    local_vars_[cell] = static_cast<float>(variance[batches.codes[cell]]);
  }
}

void GeneExpressionDataset::corrupt(const CorruptOptions& options) {
  register_dataset_version(kCorruptedX, dataset_detail::corrupted_copy(X_, options));
}

void GeneExpressionDataset::corrupt(Corruption corruption, const CorruptionDraws& draws) {
  register_dataset_version(kCorruptedX, dataset_detail::corrupted_copy(X_, corruption, draws));
}

}  // namespace scvi
