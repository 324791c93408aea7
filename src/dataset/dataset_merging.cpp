#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "column_stack.hpp"
#include "dataset_checks.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

using namespace dataset_detail;

/// Puts data sets below each other, step by step; the result is built apart, so that inputs and target stay as they
/// were when something does not fit.
class DatasetMerger {
 public:
  DatasetMerger(std::vector<const GeneExpressionDataset*> inputs, const PopulateFromDatasetsOptions& options)
      : inputs_(std::move(inputs)), options_(options), mapping_to_share_(options.mapping_reference_for_sharing) {
    if (options.shared_labels) mapping_to_share_[kLabels] = kCellTypes;
    if (inputs_.empty()) throw InputError({.problem = "there are none", .field = "data sets to merge"});
    check_length_if_any("names of data sets", options.dataset_names.size(), static_cast<std::int64_t>(inputs_.size()),
                        "data sets");
    choose_genes();
    check_options();
    merge_gene_attributes();
    merge_cell_attributes();
    merge_measurements();
    merge_cell_names();
  }

  /// Stacks the counts and hands over the result. @param given_up the inputs, to be emptied, or nothing
  MergeReport finish(GeneExpressionDataset& target, std::span<GeneExpressionDataset> given_up);

 private:
  using CellAttribute = GeneExpressionDataset::CellAttribute;

  /// A categorical attribute of one input, numbered without gaps, with the mappings that all inputs have.
  struct Categories {
    std::vector<std::int64_t> codes;
    std::int64_t n = 0;
    std::map<std::string, std::vector<std::string>> names;
  };

  void choose_genes();
  void check_options() const;
  void merge_gene_attributes();
  void merge_cell_attributes();
  void merge_measurements();
  void merge_cell_names();

  bool is_categorical(const std::string& attribute) const;
  bool all_have_mapping(const std::string& source, const std::string& mapping) const;
  std::vector<Categories> categories_of(const std::string& attribute) const;
  void merge_categories(const std::string& attribute);
  /// Appends to `codes` and `names`, by the merged categories of `reference` or with an offset.
  static Categories shared(const std::vector<Categories>& parts, const std::string& reference);
  static Categories kept_apart(const std::vector<Categories>& parts);
  std::vector<std::string> merged_batch_names(const std::vector<Categories>& parts) const;
  std::vector<std::string> measurement_columns(const std::string& name) const;
  std::string dataset_name(std::size_t input) const {
    return options_.dataset_names.empty() ? "data set " + std::to_string(input) : options_.dataset_names[input];
  }
  std::int64_t n_cells() const;

  std::vector<const GeneExpressionDataset*> inputs_;
  const PopulateFromDatasetsOptions& options_;
  std::map<std::string, std::string> mapping_to_share_;
  std::vector<std::vector<std::int64_t>> genes_;  // per input: where the genes kept stand, in their new order
  GeneExpressionDataset merged_;
  MergeReport report_;
};

std::int64_t DatasetMerger::n_cells() const {
  std::int64_t n = 0;
  for (const GeneExpressionDataset* input : inputs_) n += input->nb_cells();
  return n;
}

void DatasetMerger::choose_genes() {
  std::vector<std::unordered_map<std::string_view, std::int64_t>> position_of(inputs_.size());
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const std::vector<std::string>& names = inputs_[i]->gene_names();
    if (names.empty()) {
      throw InputError({.problem = "has no gene names to merge by", .field = dataset_name(i)});
    }
    for (std::size_t gene = 0; gene < names.size(); ++gene) {
      position_of[i].try_emplace(names[gene], static_cast<std::int64_t>(gene));
    }
  }
  genes_.resize(inputs_.size());
  const std::vector<std::string>& names = inputs_.front()->gene_names();
  for (std::size_t gene = 0; gene < names.size(); ++gene) {
    const bool is_first = position_of[0].at(names[gene]) == static_cast<std::int64_t>(gene);
    const bool is_common = std::all_of(position_of.begin(), position_of.end(),
                                       [&](const auto& positions) { return positions.contains(names[gene]); });
    if (!is_first || !is_common) continue;
    for (std::size_t i = 0; i < inputs_.size(); ++i) genes_[i].push_back(position_of[i].at(names[gene]));
  }
  if (genes_.front().empty()) {
    throw InputError({.problem = "have no gene in common (the first has '" + names.front() + "', the last '" +
                                 inputs_.back()->gene_names().front() + "')",
                      .field = "data sets to merge",
                      .remedy = "name the genes in the same way, in the same letter case"});
  }
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    MergeReport::Input& input = report_.inputs.emplace_back();
    input.name = dataset_name(i);
    input.n_cells = inputs_[i]->nb_cells();
    input.n_genes = inputs_[i]->nb_genes();
    input.n_genes_kept = static_cast<std::int64_t>(genes_[i].size());
    std::vector<bool> kept(static_cast<std::size_t>(input.n_genes));
    for (const std::int64_t gene : genes_[i]) kept[gene] = true;
    for (std::size_t gene = 0; gene < kept.size(); ++gene) {
      if (!kept[gene]) input.dropped_genes.push_back(inputs_[i]->gene_names()[gene]);
    }
  }
}

void DatasetMerger::check_options() const {
  for (const auto& [attribute, mapping] : mapping_to_share_) {
    if (!is_categorical(attribute)) {
      throw InputError(
          {.problem = "is not categorical in every data set", .field = "attribute to share '" + attribute + "'"});
    }
    if (!all_have_mapping(attribute, mapping)) {
      throw InputError({.problem = "does not name the categories of '" + attribute + "' in every data set",
                        .field = "mapping to share by '" + mapping + "'"});
    }
  }
  for (const auto& [name, intersect] : options_.cell_measurement_intersection) {
    for (const GeneExpressionDataset* input : inputs_) input->cell_measurement(name);
  }
}

void DatasetMerger::merge_gene_attributes() {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    for (const io::Column& attribute : inputs_[i]->gene_attributes_) {
      if (merged_.find_gene_attribute(attribute.name) != nullptr) continue;
      merged_.gene_attributes_.push_back(take(attribute, genes_[i]));
      for (const MappedAttribute& mapping : inputs_[i]->mappings_) {
        if (mapping.source == attribute.name) merged_.mappings_.push_back(mapping);
      }
    }
  }
  merged_.original_genes_ = take(inputs_.front()->original_genes_, genes_.front());
}

bool DatasetMerger::is_categorical(const std::string& attribute) const {
  const CellAttribute* first = inputs_.front()->find_cell_attribute(attribute);
  if (first == nullptr || !first->categorical) return false;
  return std::all_of(inputs_.begin(), inputs_.end(), [&](const GeneExpressionDataset* input) {
    const CellAttribute* found = input->find_cell_attribute(attribute);
    return found != nullptr && std::holds_alternative<std::vector<std::int64_t>>(found->column.values);
  });
}

bool DatasetMerger::all_have_mapping(const std::string& source, const std::string& mapping) const {
  return std::all_of(inputs_.begin(), inputs_.end(), [&](const GeneExpressionDataset* input) {
    const auto& mappings = input->mappings_;
    return std::any_of(mappings.begin(), mappings.end(),
                       [&](const MappedAttribute& m) { return m.source == source && m.name == mapping; });
  });
}

void DatasetMerger::merge_cell_attributes() {
  std::set<std::string> kept;
  for (const CellAttribute& attribute : inputs_.front()->cell_attributes_) {
    const std::string& name = attribute.column.name;
    std::vector<const io::Column*> columns;
    for (const GeneExpressionDataset* input : inputs_) {
      if (const CellAttribute* found = input->find_cell_attribute(name)) columns.push_back(&found->column);
    }
    if (columns.size() < inputs_.size()) continue;
    kept.insert(name);
    if (is_categorical(name)) {
      merge_categories(name);
    } else {
      merged_.cell_attributes_.push_back({stacked(columns), false});
    }
  }
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    for (const CellAttribute& attribute : inputs_[i]->cell_attributes_) {
      const std::string& name = attribute.column.name;
      if (!kept.contains(name)) report_.inputs[i].dropped_cell_attributes.push_back(name);
    }
  }
}

std::vector<DatasetMerger::Categories> DatasetMerger::categories_of(const std::string& attribute) const {
  std::vector<Categories> parts;
  for (const GeneExpressionDataset* input : inputs_) {
    RemappedCategories remapped = remap_categories(whole_numbers(input->find_cell_attribute(attribute)->column));
    Categories& part = parts.emplace_back();
    part.codes = std::move(remapped.codes);
    part.n = static_cast<std::int64_t>(remapped.old_values.size());
    for (const MappedAttribute& mapping : input->mappings_) {
      if (mapping.source != attribute || !all_have_mapping(attribute, mapping.name)) continue;
      part.names[mapping.name] = take(mapping.values, remapped.old_values);
    }
  }
  return parts;
}

void DatasetMerger::merge_categories(const std::string& attribute) {
  const std::vector<Categories> parts = categories_of(attribute);
  const auto sharing = mapping_to_share_.find(attribute);
  Categories merged = sharing == mapping_to_share_.end() ? kept_apart(parts) : shared(parts, sharing->second);
  if (attribute == kBatchIndices && sharing == mapping_to_share_.end()) {
    merged.names[kBatchNames] = merged_batch_names(parts);
  }
  const bool is_batch = attribute == kBatchIndices;
  if (is_batch || attribute == kLabels) {
    merged_.cell_attributes_[is_batch ? 0 : 1].column.values = std::move(merged.codes);
  } else {
    merged_.cell_attributes_.push_back({io::Column{attribute, std::move(merged.codes), {}}, true});
  }
  for (auto& [name, values] : merged.names) {
    if (name == kBatchNames || name == kCellTypes) {
      merged_.mappings_[name == kBatchNames ? 0 : 1].values = std::move(values);
    } else {
      merged_.mappings_.push_back({attribute, name, std::move(values)});
    }
  }
}

DatasetMerger::Categories DatasetMerger::shared(const std::vector<Categories>& parts, const std::string& reference) {
  Categories merged;
  std::unordered_map<std::string_view, std::int64_t> code_of;
  for (const Categories& part : parts) {
    const std::vector<std::string>& reference_names = part.names.at(reference);
    std::vector<std::int64_t> new_code;
    for (std::size_t category = 0; category < reference_names.size(); ++category) {
      const auto [at, is_new] = code_of.try_emplace(reference_names[category], merged.n);
      new_code.push_back(at->second);
      if (!is_new) continue;
      ++merged.n;
      for (const auto& [name, values] : part.names) merged.names[name].push_back(values[category]);
    }
    for (const std::int64_t code : part.codes) merged.codes.push_back(new_code[code]);
  }
  return merged;
}

DatasetMerger::Categories DatasetMerger::kept_apart(const std::vector<Categories>& parts) {
  Categories merged;
  for (const Categories& part : parts) {
    for (const std::int64_t code : part.codes) merged.codes.push_back(merged.n + code);
    for (const auto& [name, values] : part.names) {
      merged.names[name].insert(merged.names[name].end(), values.begin(), values.end());
    }
    merged.n += part.n;
  }
  return merged;
}

std::vector<std::string> DatasetMerger::merged_batch_names(const std::vector<Categories>& parts) const {
  std::map<std::string, int> n_users;
  bool all_are_numbers = true;
  std::int64_t n = 0;
  for (const Categories& part : parts) {
    const std::vector<std::string>& names = part.names.at(kBatchNames);
    for (const std::string& name : names) ++n_users[name];
    all_are_numbers = all_are_numbers && names == number_names(counting(part.n));
    n += part.n;
  }
  // Batches that have no names of their own get none here, unless their data set has one.
  if (all_are_numbers && options_.dataset_names.empty()) return number_names(counting(n));
  std::vector<std::string> merged;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (const std::string& name : parts[i].names.at(kBatchNames)) {
      if (all_are_numbers && parts[i].n == 1) {
        merged.push_back(dataset_name(i));
      } else {
        merged.push_back(n_users[name] > 1 ? name + " (" + dataset_name(i) + ")" : name);
      }
    }
  }
  return merged;
}

std::vector<std::string> DatasetMerger::measurement_columns(const std::string& name) const {
  std::map<std::string, std::size_t> n_users;  // in the order of the names
  for (const GeneExpressionDataset* input : inputs_) {
    const std::vector<std::string>& columns = input->cell_measurement(name).columns;
    for (const std::string& column : std::set<std::string>(columns.begin(), columns.end())) ++n_users[column];
  }
  const auto rule = options_.cell_measurement_intersection.find(name);
  const bool intersect = rule == options_.cell_measurement_intersection.end() || rule->second;
  std::vector<std::string> kept;
  for (const auto& [column, n] : n_users) {
    if (!intersect || n == inputs_.size()) kept.push_back(column);
  }
  return kept;
}

void DatasetMerger::merge_measurements() {
  const auto has = [](const GeneExpressionDataset* input, const std::string& name) {
    return std::any_of(input->measurements_.begin(), input->measurements_.end(),
                       [&](const CellMeasurement& measurement) { return measurement.name == name; });
  };
  const auto all_have = [&](const std::string& name) {
    return std::all_of(inputs_.begin(), inputs_.end(), [&](const auto* input) { return has(input, name); });
  };
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    for (const CellMeasurement& measurement : inputs_[i]->measurements_) {
      if (!all_have(measurement.name)) report_.inputs[i].dropped_cell_attributes.push_back(measurement.name);
    }
  }
  for (const CellMeasurement& first : inputs_.front()->measurements_) {
    if (!all_have(first.name)) continue;
    CellMeasurement& merged = merged_.measurements_.emplace_back();
    merged.name = first.name;
    merged.columns_attr_name = first.columns_attr_name;
    merged.columns = measurement_columns(first.name);
    const std::size_t width = merged.columns.size();
    merged.data.assign(static_cast<std::size_t>(n_cells()) * width, 0.0F);
    float* row = merged.data.data();
    for (const GeneExpressionDataset* input : inputs_) {
      const CellMeasurement& part = input->cell_measurement(first.name);
      std::vector<std::pair<std::size_t, std::size_t>> from_to;
      for (std::size_t to = 0; to < width; ++to) {
        const auto from = std::find(part.columns.begin(), part.columns.end(), merged.columns[to]);
        if (from != part.columns.end()) from_to.emplace_back(from - part.columns.begin(), to);
      }
      for (std::int64_t cell = 0; cell < input->nb_cells(); ++cell, row += width) {
        const float* part_row = part.data.data() + static_cast<std::size_t>(cell) * part.columns.size();
        for (const auto& [from, to] : from_to) row[to] = part_row[from];
      }
    }
  }
}

void DatasetMerger::merge_cell_names() {
  const bool all_named = std::all_of(inputs_.begin(), inputs_.end(), [](const GeneExpressionDataset* input) {
    return static_cast<std::int64_t>(input->cell_names_.size()) == input->nb_cells();
  });
  for (const GeneExpressionDataset* input : inputs_) {
    if (!all_named) break;
    merged_.cell_names_.insert(merged_.cell_names_.end(), input->cell_names_.begin(), input->cell_names_.end());
  }
  merged_.original_cells_ = counting(n_cells());
  merged_.reference_0_6_3_ = inputs_.front()->reference_0_6_3_;
}

MergeReport DatasetMerger::finish(GeneExpressionDataset& target, std::span<GeneExpressionDataset> given_up) {
  std::vector<CountMatrix::Part> parts;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    parts.push_back({&inputs_[i]->X(), std::move(genes_[i]), given_up.empty() ? nullptr : &given_up[i].X_});
  }
  merged_.X_ = CountMatrix::concatenate(parts);
  const std::vector<double> totals = merged_.X_.cell_totals();
  auto total = totals.begin();
  for (MergeReport::Input& input : report_.inputs) {
    input.n_empty_cells = std::count(total, total + input.n_cells, 0.0);
    total += input.n_cells;
    input.n_cells_kept = input.n_cells - (options_.drop_empty_cells ? input.n_empty_cells : 0);
    if (options_.drop_empty_cells) input.n_empty_cells = 0;
  }
  merged_.compute_library_size_batch();
  if (options_.drop_empty_cells) {
    merged_.filter_cells_by_count();
  } else {
    merged_.warn_about_empty_cells();
  }
  report_.n_cells = merged_.nb_cells();
  report_.n_genes = merged_.nb_genes();
  target = std::move(merged_);
  return std::move(report_);
}

MergeReport GeneExpressionDataset::populate_from_datasets(const std::vector<const GeneExpressionDataset*>& datasets,
                                                          const PopulateFromDatasetsOptions& options) {
  return DatasetMerger(datasets, options).finish(*this, {});
}

MergeReport GeneExpressionDataset::populate_from_moved_datasets(std::vector<GeneExpressionDataset> datasets,
                                                                const PopulateFromDatasetsOptions& options) {
  std::vector<const GeneExpressionDataset*> inputs;
  for (const GeneExpressionDataset& dataset : datasets) inputs.push_back(&dataset);
  return DatasetMerger(inputs, options).finish(*this, datasets);
}

std::string MergeReport::text() const {
  std::string text = "merged " + std::to_string(inputs.size()) + " data sets: " + with_thousands(n_cells) +
                     " cells x " + with_thousands(n_genes) + " genes";
  for (const Input& input : inputs) {
    text += "\n    " + input.name + ": kept " + with_thousands(input.n_genes_kept) + " of " +
            with_thousands(input.n_genes) + " genes and " + with_thousands(input.n_cells_kept) + " of " +
            with_thousands(input.n_cells) + " cells";
    if (input.n_empty_cells > 0) text += " (" + with_thousands(input.n_empty_cells) + " without counts)";
    if (!input.dropped_genes.empty()) text += "\n        genes dropped: " + join_some(input.dropped_genes);
    if (!input.dropped_cell_attributes.empty()) {
      text += "\n        cell attributes dropped: " + join_some(input.dropped_cell_attributes);
    }
  }
  return text;
}

}  // namespace scvi
