// Blood cells: two 10x data sets with the annotation of scVI's authors, and ten populations purified by type.

#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/dataset/builtin.hpp"
#include "sources.hpp"

namespace scvi {
namespace {

constexpr const char* kGeneTable = "gene_info_pbmc.csv";
constexpr const char* kMetadata = "pbmc_metadata.pickle";

}  // namespace

const std::vector<std::string>& purified_pbmc_populations() {
  static const std::vector<std::string> names{"cd4_t_helper", "regulatory_t",    "naive_t", "memory_t",
                                              "cytotoxic_t",  "naive_cytotoxic", "b_cells", "cd4_t_helper",
                                              "cd34",         "cd56_nk",         "cd14_monocytes"};
  return names;
}

GeneExpressionDataset load_purified_pbmc(const std::string& folder, const PurifiedPbmcOptions& options) {
  const std::vector<std::string>& populations = purified_pbmc_populations();
  std::vector<std::int64_t> chosen = options.subset_datasets;
  if (chosen.empty()) chosen = builtin::all_positions(static_cast<std::int64_t>(populations.size()));
  builtin::require_populations(chosen);
  PopulateFromDatasetsOptions merging;
  std::vector<GeneExpressionDataset> parts;
  for (const std::int64_t position : chosen) {
    const std::string& name = populations[position];
    parts.push_back(load_10x_dataset(folder, name));
    parts.back().initialize_mapped_attribute("labels", "cell_types", {name});
    merging.dataset_names.push_back(name);
  }
  GeneExpressionDataset dataset;
  dataset.populate_from_datasets(std::move(parts), merging);
  dataset.filter_genes_by_count();
  return dataset;
}
