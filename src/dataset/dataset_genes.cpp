#include "scvi/dataset/gene_expression_dataset.hpp"

#include <algorithm>
#include <unordered_map>

#include "dataset_checks.hpp"
#include "gene_sums.hpp"
#include "scvi/core/logging.hpp"

namespace scvi {

using namespace dataset_detail;

void GeneExpressionDataset::update_genes(std::span<const std::int64_t> genes) {
  check_unique_positions(genes, nb_genes(), "gene");
  const std::int64_t old_n_genes = nb_genes();
  const std::vector<std::int64_t> cells = cells_with_total(X_.cell_totals(genes), 1);
  select_genes(genes);
  log_info("kept " + with_thousands(nb_genes()) + " of " + with_thousands(old_n_genes) + " genes");
  if (is_everything(cells, nb_cells())) {
    compute_library_size_batch();
  } else {
    update_cells(cells);
  }
}

void GeneExpressionDataset::update_genes(const std::vector<bool>& mask) {
  update_genes(marked_positions(mask, nb_genes(), "genes"));
}

void GeneExpressionDataset::select_genes(std::span<const std::int64_t> genes) {
  std::vector<io::Column> attributes;
  for (const io::Column& attribute : gene_attributes_) attributes.push_back(take(attribute, genes));
  std::vector<std::int64_t> original = take(original_genes_, genes);

  X_ = std::move(X_).select_genes(genes);
  for (Version& version : versions_) version.counts = std::move(version.counts).select_genes(genes);
  gene_attributes_ = std::move(attributes);
  original_genes_ = std::move(original);
}

void GeneExpressionDataset::subsample_genes(const SubsampleGenesOptions& options) {
  if (options.subset_genes) return update_genes(*options.subset_genes);
  if (options.subset_gene_names) return update_genes(genes_to_index(*options.subset_gene_names));
  std::optional<std::int64_t> new_n_genes = options.new_n_genes;
  if (options.new_ratio_genes) {
    const double ratio = *options.new_ratio_genes;
    if (!(ratio > 0 && ratio <= 1)) {
      throw InputError({.problem = "is " + number_text(ratio) + ", expected more than 0 and at most 1",
                        .field = "ratio of genes to keep"});
    }
    new_n_genes = static_cast<std::int64_t>(ratio * static_cast<double>(nb_genes()));
  }
  if (new_n_genes && *new_n_genes >= nb_genes()) {
    log_info("all " + with_thousands(nb_genes()) + " genes are kept: " + with_thousands(*new_n_genes) +
             " were asked for");
    return;
  }
  const HighlyVariableGenes found = highly_variable_genes({.n_top_genes = new_n_genes,
                                                           .flavor = options.mode,
                                                           .batch_correction = options.batch_correction,
                                                           .tuning = options.tuning,
                                                           .reference_0_6_3 = options.reference_0_6_3});
  if (found.genes.empty()) {
    throw InputError({.problem = "no gene would be left: none is variable enough for mode '" +
                                 gene_selection_mode_name(options.mode) + "'",
                      .field = "genes"});
  }
  update_genes(found.genes);
}

HighlyVariableGenes GeneExpressionDataset::highly_variable_genes(const HighlyVariableGenesOptions& options) const {
  return find_highly_variable_genes(X_, batch_indices(), n_batches(), options);
}

void GeneExpressionDataset::filter_genes_by_count(double min_count, bool per_batch) {
  std::vector<std::vector<std::int64_t>> groups;
  if (per_batch) {
    groups = cells_of_groups(batch_indices(), n_batches());
    std::erase_if(groups, [](const auto& cells) { return cells.empty(); });
  } else {
    groups.push_back(counting(nb_cells()));
  }
  std::vector<bool> enough(static_cast<std::size_t>(nb_genes()), true);
  for (const std::vector<std::int64_t>& cells : groups) {
    const std::vector<double> totals = gene_totals(X_, cells);
    for (std::size_t gene = 0; gene < enough.size(); ++gene) enough[gene] = enough[gene] && totals[gene] >= min_count;
  }
  if (std::find(enough.begin(), enough.end(), true) == enough.end()) {
    throw InputError({.problem = std::string("no gene would be left: none has a total count of ") +
                                 number_text(min_count) + " or more" + (per_batch ? " in every batch" : ""),
                      .field = "genes"});
  }
  update_genes(enough);
}

void GeneExpressionDataset::filter_genes_by_attribute(const std::vector<std::string>& values_to_keep,
                                                      std::string_view on) {
  const std::vector<std::int64_t> genes = rows_with_values(gene_attribute(on), values_to_keep);
  if (genes.empty()) {
    throw InputError(
        {.problem = "no gene would be left: none has " + join_some(values_to_keep) + " as its " + std::string(on),
         .field = "genes"});
  }
  update_genes(genes);
}

void GeneExpressionDataset::make_gene_names_lower() {
  if (find_gene_attribute(kGeneNames) == nullptr) {
    throw InputError({.problem = "cannot be put in small letters: the genes of this data set have no names",
                      .field = "gene names"});
  }
  std::vector<std::string> names = gene_names();
  for (std::string& name : names) {
    for (char& letter : name) {
      if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    }
  }
  initialize_gene_attribute({kGeneNames, std::move(names), {}});
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
  select_genes(order);
  compute_library_size_batch();
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
