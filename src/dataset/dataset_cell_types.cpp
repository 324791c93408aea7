#include <algorithm>

#include "dataset_checks.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

using namespace dataset_detail;

namespace {

constexpr const char* kMerged = "#merged";

[[noreturn]] void throw_unknown_type(const std::string& name, const std::vector<std::string>& known) {
  throw InputError(
      {.problem = "is not in the data set", .field = "cell type '" + name + "'", .remedy = suggest(name, known)});
}

std::vector<bool> marked_labels(std::span<const std::int64_t> labels, std::int64_t n_labels) {
  std::vector<bool> marked(static_cast<std::size_t>(n_labels));
  for (const std::int64_t label : labels) {
    if (label < 0 || label >= n_labels) {
      throw InputError({.problem = "is " + std::to_string(label) + ", but there are " + std::to_string(n_labels),
                        .field = "label"});
    }
    marked[label] = true;
  }
  return marked;
}

}  // namespace

std::vector<std::int64_t> GeneExpressionDataset::cell_types_to_labels(
    const std::vector<std::string>& cell_types) const {
  const std::vector<std::string>& known = this->cell_types();
  std::vector<std::int64_t> labels;
  for (const std::string& name : cell_types) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) throw_unknown_type(name, known);
    labels.push_back(found - known.begin());
  }
  return labels;
}

std::vector<std::int64_t> GeneExpressionDataset::labels_of_types(const std::vector<std::string>& cell_types) const {
  const std::vector<std::string>& known = this->cell_types();
  std::vector<std::int64_t> labels;
  for (const std::string& name : cell_types) {
    const std::size_t n_before = labels.size();
    for (std::size_t label = 0; label < known.size(); ++label) {
      if (known[label] == name) labels.push_back(static_cast<std::int64_t>(label));
    }
    if (labels.size() == n_before) throw_unknown_type(name, known);
  }
  return labels;
}

void GeneExpressionDataset::keep_labels(std::span<const std::int64_t> labels, bool keep) {
  const std::vector<bool> marked = marked_labels(labels, n_labels());
  std::vector<bool> mask;
  mask.reserve(static_cast<std::size_t>(nb_cells()));
  for (const std::int64_t label : this->labels()) mask.push_back(marked[label] == keep);
  update_cells(mask);
}

void GeneExpressionDataset::filter_cell_types(const std::vector<std::string>& cell_types) {
  keep_labels(labels_of_types(cell_types), true);
}

void GeneExpressionDataset::remove_cell_types(const std::vector<std::string>& cell_types) {
  keep_labels(labels_of_types(cell_types), false);
}

void GeneExpressionDataset::filter_labels(std::span<const std::int64_t> labels) {
  keep_labels(labels, true);
}

void GeneExpressionDataset::remove_labels(std::span<const std::int64_t> labels) {
  keep_labels(labels, false);
}

void GeneExpressionDataset::merge_cell_types(const std::vector<std::string>& cell_types,
                                             const std::string& new_name) {
  merge_labels(labels_of_types(cell_types), new_name);
}

void GeneExpressionDataset::merge_labels(std::span<const std::int64_t> labels, const std::string& new_name) {
  if (labels.empty()) throw InputError({.problem = "none are given", .field = "cell types to merge"});
  const std::vector<bool> merged = marked_labels(labels, n_labels());
  const std::int64_t new_label = n_labels();
  std::vector<std::int64_t> categories = this->labels();
  for (std::int64_t& category : categories) {
    if (merged[category]) category = new_label;
  }
  for (MappedAttribute& mapping : mappings_) {
    if (mapping.source != kLabels) continue;
    // Another mapping of labels (a colour, say) gives the new type what its first member has.
    mapping.values.push_back(mapping.name == kCellTypes ? new_name : mapping.values[labels.front()]);
  }
  for (std::size_t label = 0; label < merged.size(); ++label) {
    if (merged[label]) mappings_[1].values[label] += kMerged;
  }
  cell_attributes_[1].column.values = std::move(categories);
}

void GeneExpressionDataset::map_cell_types(const std::vector<CellTypeMerger>& mergers) {
  GeneExpressionDataset labelled;  // the labels alone, so that a merger that fails leaves everything as it was
  labelled.cell_attributes_ = {cell_attributes_[0], cell_attributes_[1]};
  labelled.mappings_ = mappings_;
  for (const CellTypeMerger& merger : mergers) labelled.merge_cell_types(merger.cell_types, merger.new_name);
  cell_attributes_[1] = std::move(labelled.cell_attributes_[1]);
  mappings_ = std::move(labelled.mappings_);
}

void GeneExpressionDataset::reorder_cell_types(const std::vector<std::string>& new_order) {
  std::vector<std::int64_t> order = labels_of_types(new_order);
  check_unique_positions(order, n_labels(), "cell type");
  std::vector<std::int64_t> new_label(static_cast<std::size_t>(n_labels()), -1);
  for (std::int64_t label = 0; label < n_labels(); ++label) {
    if (std::find(order.begin(), order.end(), label) == order.end()) order.push_back(label);
  }
  for (std::size_t i = 0; i < order.size(); ++i) new_label[order[i]] = static_cast<std::int64_t>(i);
  std::vector<std::int64_t> categories = labels();
  for (std::int64_t& category : categories) category = new_label[category];
  for (MappedAttribute& mapping : mappings_) {
    if (mapping.source == kLabels) mapping.values = take(mapping.values, order);
  }
  cell_attributes_[1].column.values = std::move(categories);
  remap_attribute(cell_attributes_[1]);
}

}  // namespace scvi
