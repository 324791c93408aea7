#include "scvi/dataset/prepare.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

#include "count_check.hpp"
#include "gene_sums.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"

namespace scvi {
namespace {

/// Names of the items that were in `before` and are not in `after`; both hold positions in the input.
std::vector<std::string> dropped(const std::vector<std::int64_t>& before, const std::vector<std::string>& names,
                                 const std::vector<std::int64_t>& after) {
  std::vector<std::string> gone;
  const std::set<std::int64_t> kept(after.begin(), after.end());
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (kept.contains(before[i])) continue;
    gone.push_back(i < names.size() ? names[i] : std::to_string(before[i]));
  }
  return gone;
}

std::vector<std::int64_t> counting(std::int64_t n) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

std::vector<bool> cells_with_genes(const CountMatrix& counts, std::int64_t least) {
  std::vector<bool> mask;
  for (std::int64_t cell = 0; cell < counts.n_cells(); ++cell) {
    std::int64_t n_genes = 0;
    counts.for_each_nonzero(cell, [&](std::int64_t, float) { ++n_genes; });
    mask.push_back(n_genes >= least);
  }
  return mask;
}

std::vector<bool> genes_with_cells(const GeneExpressionDataset& dataset, std::int64_t least, bool per_batch) {
  std::vector<std::vector<std::int64_t>> groups = {counting(dataset.nb_cells())};
  if (per_batch) groups = dataset_detail::cells_of_groups(dataset.batch_indices(), dataset.n_batches());
  std::vector<bool> mask(static_cast<std::size_t>(dataset.nb_genes()), true);
  for (const std::vector<std::int64_t>& cells : groups) {
    // A batch that earlier steps have emptied has no say.
    if (cells.empty()) continue;
    const std::vector<double> n_cells = dataset_detail::gene_sums<1>(
        dataset.X(), cells, [](double* sum, std::int64_t, std::int64_t, double) { *sum += 1; });
    for (std::size_t gene = 0; gene < mask.size(); ++gene) {
      mask[gene] = mask[gene] && n_cells[gene] >= static_cast<double>(least);
    }
  }
  return mask;
}

std::string fewer(double than) {
  return "fewer than " + dataset_detail::number_text(than) + " ";
}

/// Does what is asked for, one step after the other, and writes down what each leaves out.
class Preparation {
 public:
  Preparation(GeneExpressionDataset& dataset, PrepareReport& report) : dataset_(dataset), report_(report) {}

  void step(bool wanted, const std::string& what, const std::function<void()>& work) {
    if (!wanted) return;
    const std::vector<std::int64_t> cells = dataset_.original_cells();
    const std::vector<std::int64_t> genes = dataset_.original_genes();
    const std::vector<std::string> cell_names = dataset_.cell_names();
    const std::vector<std::string> gene_names = dataset_.gene_names();
    try {
      work();
    } catch (const InputError& error) {
      Fault fault = error.fault();
      fault.field = what + (fault.field.empty() ? "" : ": " + fault.field);
      throw InputError(fault);
    }
    report_.steps.push_back({.what = what,
                             .dropped_cells = dropped(cells, cell_names, dataset_.original_cells()),
                             .dropped_genes = dropped(genes, gene_names, dataset_.original_genes())});
  }

  void select_cells(const PrepareOptions& options) {
    step(!options.keep_cell_types.empty(), "cell types to keep",
         [&] { dataset_.filter_cell_types(options.keep_cell_types); });
    step(!options.remove_cell_types.empty(), "cell types to remove",
         [&] { dataset_.remove_cell_types(options.remove_cell_types); });
    step(options.min_counts_per_cell > 0, "cells with " + fewer(options.min_counts_per_cell) + "counts",
         [&] { dataset_.filter_cells_by_count(options.min_counts_per_cell); });
    step(options.min_genes_per_cell > 0,
         "cells with " + fewer(static_cast<double>(options.min_genes_per_cell)) + "genes",
         [&] { dataset_.update_cells(cells_with_genes(dataset_.X(), options.min_genes_per_cell)); });
    const std::int64_t n_cells = options.subsample_cells;
    step(n_cells > 0 && n_cells < dataset_.nb_cells(), "cells beyond the number asked for",
         [&] { dataset_.subsample_cells(n_cells); });
  }

  void select_genes(const PrepareOptions& options) {
    const std::string where = options.per_batch ? " in a batch" : "";
    step(options.min_counts_per_gene > 0, "genes with " + fewer(options.min_counts_per_gene) + "counts" + where,
         [&] { dataset_.filter_genes_by_count(options.min_counts_per_gene, options.per_batch); });
    const auto least = static_cast<double>(options.min_cells_per_gene);
    step(options.min_cells_per_gene > 0, "genes in " + fewer(least) + "cells" + where,
         [&] { dataset_.update_genes(genes_with_cells(dataset_, options.min_cells_per_gene, options.per_batch)); });
    step(!options.keep_genes.empty(), "genes that are not listed", [&] {
      SubsampleGenesOptions list;
      list.subset_gene_names = options.keep_genes;
      dataset_.subsample_genes(list);
    });
    step(options.n_top_genes > 0, "genes that vary less", [&] {
      SubsampleGenesOptions top;
      top.new_n_genes = options.n_top_genes;
      top.mode = options.gene_selection;
      dataset_.subsample_genes(top);
    });
  }

 private:
  GeneExpressionDataset& dataset_;
  PrepareReport& report_;
};

PopulateFromDatasetsOptions merge_options(const std::vector<GeneExpressionDataset>& inputs,
                                          const PrepareOptions& options) {
  PopulateFromDatasetsOptions merge;
  merge.dataset_names = options.dataset_names;
  merge.drop_empty_cells = true;
  const auto has = [](const GeneExpressionDataset& input, const std::string& name) {
    const auto& measurements = input.cell_measurements();
    return std::any_of(measurements.begin(), measurements.end(), [&](const auto& each) { return each.name == name; });
  };
  for (const CellMeasurement& measurement : inputs.front().cell_measurements()) {
    const bool in_all =
        std::all_of(inputs.begin(), inputs.end(), [&](const auto& input) { return has(input, measurement.name); });
    if (in_all) merge.cell_measurement_intersection[measurement.name] = !options.measurement_union;
  }
  return merge;
}

}  // namespace

GeneExpressionDataset prepare(std::vector<GeneExpressionDataset> inputs, const PrepareOptions& options,
                              PrepareReport& report) {
  if (inputs.empty()) throw InputError({.problem = "are missing: there is nothing to prepare", .field = "data sets"});
  report = {};
  if (options.lower_gene_names) {
    for (GeneExpressionDataset& input : inputs) input.make_gene_names_lower();
  }
  GeneExpressionDataset dataset;
  if (inputs.size() == 1) {
    dataset = std::move(inputs.front());
  } else {
    const PopulateFromDatasetsOptions merge = merge_options(inputs, options);
    report.merge = dataset.populate_from_moved_datasets(std::move(inputs), merge);
  }
  Preparation preparation(dataset, report);
  preparation.select_cells(options);
  preparation.select_genes(options);
  dataset.remap_categorical_attributes({"batch_indices", "labels"});
  report.n_cells = dataset.nb_cells();
  report.n_genes = dataset.nb_genes();
  return dataset;
}

}  // namespace scvi
