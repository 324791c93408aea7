#include "gene_selection.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "argsort.hpp"
#include "count_check.hpp"
#include "gene_sums.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"

namespace scvi {

using namespace dataset_detail;

namespace {

struct SelectionMode {
  GeneSelectionMode mode;
  const char* name;
  bool may_leave_number_open;
};

constexpr std::array kSelectionModes{
    SelectionMode{GeneSelectionMode::variance, "variance", false},
    SelectionMode{GeneSelectionMode::seurat_v2, "seurat_v2", true},
    SelectionMode{GeneSelectionMode::cell_ranger, "cell_ranger", true},
    SelectionMode{GeneSelectionMode::seurat_v3, "seurat_v3", false},
};

const SelectionMode& selection_mode(GeneSelectionMode mode) {
  return *std::find_if(kSelectionModes.begin(), kSelectionModes.end(), [&](const auto& m) { return m.mode == mode; });
}

void check(const HighlyVariableGenesOptions& options) {
  const auto fail = [](const std::string& field, const std::string& problem) {
    throw InputError({.problem = problem, .field = field});
  };
  const SelectionMode& mode = selection_mode(options.flavor);
  if (!options.n_top_genes && !mode.may_leave_number_open) {
    fail(std::string("gene selection '") + mode.name + "'", "needs the number or the ratio of genes to keep");
  }
  if (options.n_top_genes && *options.n_top_genes < 1) {
    fail("number of genes to keep", "is " + std::to_string(*options.n_top_genes) + ", expected at least 1");
  }
  const GeneSelectionTuning& tuning = options.tuning;
  if (!(tuning.span > 0 && tuning.span <= 1)) {
    fail("span of gene selection", "is " + number_text(tuning.span) + ", expected more than 0 and at most 1");
  }
  if (tuning.n_bins < 1) {
    fail("n_bins of gene selection", "is " + std::to_string(tuning.n_bins) + ", expected at least 1");
  }
  if (!(tuning.min_mean <= tuning.max_mean && tuning.min_disp <= tuning.max_disp)) {
    fail("bounds of gene selection", "leave no room between the least and the largest mean or dispersion");
  }
}

std::vector<std::int64_t> all_cells(const CountMatrix& counts) {
  std::vector<std::int64_t> cells(static_cast<std::size_t>(counts.n_cells()));
  std::iota(cells.begin(), cells.end(), 0);
  return cells;
}

HighlyVariableGenes select_by_variance(const CountMatrix& counts, std::int64_t n_top_genes) {
  HighlyVariableGenes found;
  found.variances = gene_moments(counts, all_cells(counts), false).variance;
  found.genes = numpy_largest(found.variances, n_top_genes);
  found.highly_variable.resize(found.variances.size());
  for (const std::int64_t gene : found.genes) found.highly_variable[gene] = true;
  return found;
}

}  // namespace

GeneSelectionMode parse_gene_selection_mode(std::string_view name) {
  for (const SelectionMode& mode : kSelectionModes) {
    if (name == mode.name) return mode.mode;
  }
  throw InputError({.problem = "'" + std::string(name) + "' is unknown",
                    .field = "mode of gene selection",
                    .remedy = suggest(name, available_gene_selection_modes())});
}

std::string gene_selection_mode_name(GeneSelectionMode mode) {
  return selection_mode(mode).name;
}

std::vector<std::string> available_gene_selection_modes() {
  std::vector<std::string> names;
  for (const SelectionMode& mode : kSelectionModes) names.emplace_back(mode.name);
  return names;
}

HighlyVariableGenes find_highly_variable_genes(const CountMatrix& counts, std::span<const std::int64_t> batch_of_cell,
                                               std::int64_t n_batches, const HighlyVariableGenesOptions& options) {
  check(options);
  if (options.flavor == GeneSelectionMode::variance) return select_by_variance(counts, *options.n_top_genes);
  const bool is_v3 = options.flavor == GeneSelectionMode::seurat_v3;
  const bool reference = is_v3 && options.reference_0_6_3;
  const Batches batches = options.batch_correction || reference
                              ? usable_batches(batch_of_cell, n_batches)
                              : usable_batches(std::vector<std::int64_t>(batch_of_cell.size(), 0), 1);
  if (reference) return select_like_reference(counts, batches, options);
  return is_v3 ? select_by_standardised_variance(counts, batches, options)
               : select_by_dispersion(counts, batches, options);
}

namespace dataset_detail {

std::vector<std::vector<std::int64_t>> usable_batches(std::span<const std::int64_t> batch_of_cell,
                                                      std::int64_t n_batches) {
  std::vector<std::vector<std::int64_t>> batches = cells_of_groups(batch_of_cell, n_batches);
  const auto n_single = std::erase_if(batches, [](const auto& cells) { return cells.size() == 1; });
  std::erase_if(batches, [](const auto& cells) { return cells.empty(); });
  if (batches.empty()) {
    throw InputError({.problem = "needs a batch of at least two cells: nothing varies within one cell",
                      .field = "gene selection"});
  }
  if (n_single > 0) log_info("batches of one cell have no say in gene selection: " + std::to_string(n_single));
  return batches;
}

std::vector<std::int64_t> mark_first(HighlyVariableGenes& found, std::vector<std::int64_t> order, std::int64_t n) {
  found.highly_variable.assign(order.size(), false);
  order.resize(static_cast<std::size_t>(std::min(n, static_cast<std::int64_t>(order.size()))));
  for (const std::int64_t gene : order) found.highly_variable[gene] = true;
  std::sort(order.begin(), order.end());
  return order;
}

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

}  // namespace dataset_detail
}  // namespace scvi
