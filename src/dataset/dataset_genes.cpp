#include "scvi/dataset/gene_expression_dataset.hpp"

#include <algorithm>
#include <unordered_map>

#include "dataset_checks.hpp"
#include "gene_selection.hpp"
#include "scvi/core/logging.hpp"

namespace scvi {

using namespace dataset_detail;

void GeneExpressionDataset::update_genes(std::span<const std::int64_t> genes) {
  check_unique_positions(genes, nb_genes(), "gene");
  const std::int64_t old_n_genes = nb_genes();
  CountMatrix selected = X_.select_genes(genes);
  const std::vector<std::int64_t> cells = cells_with_total(selected, 1);
  select_genes(std::move(selected), genes);
  log_info("kept " + with_thousands(nb_genes()) + " of " + with_thousands(old_n_genes) + " genes");
  update_cells(cells);
}

void GeneExpressionDataset::select_genes(CountMatrix selected, std::span<const std::int64_t> genes) {
  std::vector<Version> versions;
  for (const Version& version : versions_) versions.push_back({version.name, version.counts.select_genes(genes)});
  std::vector<io::Column> attributes;
  for (const io::Column& attribute : gene_attributes_) attributes.push_back(take(attribute, genes));
  std::vector<std::int64_t> original = take(original_genes_, genes);

  X_ = std::move(selected);
  versions_ = std::move(versions);
  gene_attributes_ = std::move(attributes);
  original_genes_ = std::move(original);
  compute_library_size_batch();
}

void GeneExpressionDataset::subsample_genes(const SubsampleGenesOptions& options) {
  if (options.subset_genes) return update_genes(*options.subset_genes);
  if (options.subset_gene_names) return update_genes(genes_to_index(*options.subset_gene_names));
  dataset_detail::require_available(options.mode);
  std::optional<std::int64_t> new_n_genes = options.new_n_genes;
  if (options.new_ratio_genes) {
    const double ratio = *options.new_ratio_genes;
    if (!(ratio > 0 && ratio <= 1)) {
      throw InputError({.problem = "is " + number_text(ratio) + ", expected more than 0 and at most 1",
                        .field = "ratio of genes to keep"});
    }
    new_n_genes = static_cast<std::int64_t>(ratio * static_cast<double>(nb_genes()));
  }
  if (new_n_genes && *new_n_genes < 1) {
    throw InputError({.problem = "is " + std::to_string(*new_n_genes) + ", expected at least 1",
                      .field = "number of genes to keep"});
  }
  if (new_n_genes && *new_n_genes >= nb_genes()) {
    log_info("all " + with_thousands(nb_genes()) + " genes are kept: " + with_thousands(*new_n_genes) +
             " were asked for");
    return;
  }
  update_genes(dataset_detail::select_genes(*this, options.mode, new_n_genes));
}

void GeneExpressionDataset::filter_genes_by_count(double min_count, bool per_batch) {
  const std::int64_t n_groups = per_batch ? n_batches() : 1;
  const std::vector<std::int64_t> no_groups;
  const std::vector<double> totals =
      dataset_detail::gene_totals(X_, per_batch ? batch_indices() : no_groups, n_groups);
  std::vector<bool> used(static_cast<std::size_t>(n_groups), !per_batch);
  if (per_batch) {
    for (const std::int64_t batch : batch_indices()) used[batch] = true;
  }
  std::vector<std::int64_t> kept;
  for (std::int64_t gene = 0; gene < nb_genes(); ++gene) {
    bool enough = true;
    for (std::int64_t group = 0; group < n_groups; ++group) {
      enough = enough && (!used[group] || totals[group * nb_genes() + gene] >= min_count);
    }
    if (enough) kept.push_back(gene);
  }
  if (kept.empty()) {
    throw InputError({.problem = std::string("no gene would be left: none has a total count of ") +
                                 number_text(min_count) + " or more" + (per_batch ? " in every batch" : ""),
                      .field = "genes"});
  }
  update_genes(kept);
}

void GeneExpressionDataset::reorder_genes(const std::vector<std::string>& first_genes, bool drop_omitted_genes) {
  std::vector<std::int64_t> order = genes_to_index(first_genes);
  check_unique_positions(order, nb_genes(), "gene");
  if (!drop_omitted_genes) {
    std::vector<bool> is_first(static_cast<std::size_t>(nb_genes()));
    for (const std::int64_t gene : order) is_first[gene] = true;
    for (std::int64_t gene = 0; gene < nb_genes(); ++gene) {
      if (!is_first[gene]) order.push_back(gene);
    }
  }
  if (order.empty()) throw InputError({.problem = "no gene would be left", .field = "genes"});
  if (is_everything(order, nb_genes())) return;
  select_genes(X_.select_genes(order), order);
}

std::vector<std::int64_t> GeneExpressionDataset::genes_to_index(const std::vector<std::string>& genes,
                                                                std::string_view on) const {
  if (on == kGeneNames && find_gene_attribute(on) == nullptr) {
    throw InputError({.problem = "cannot be looked up: the genes of this data set have no names", .field = "genes"});
  }
  const io::Column& column = gene_attribute(on);
  std::vector<std::string> known;
  known.reserve(static_cast<std::size_t>(nb_genes()));
  for (std::int64_t gene = 0; gene < nb_genes(); ++gene) known.push_back(column.text(gene));
  std::unordered_map<std::string_view, std::int64_t> position_of;
  for (std::int64_t gene = 0; gene < nb_genes(); ++gene) position_of.try_emplace(known[gene], gene);

  std::vector<std::int64_t> positions;
  std::vector<std::string> unknown;
  for (const std::string& gene : genes) {
    const auto found = position_of.find(gene);
    if (found == position_of.end()) {
      unknown.push_back(gene);
    } else {
      positions.push_back(found->second);
    }
  }
  if (unknown.empty()) return positions;
  const std::string others =
      unknown.size() > 1 ? " (and " + std::to_string(unknown.size() - 1) + " more of those asked for)" : "";
  throw InputError({.problem = "is not in the data set" + others,
                    .field = "gene '" + unknown.front() + "'",
                    .remedy = suggest(unknown.front(), known)});
}

}  // namespace scvi
