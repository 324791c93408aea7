#include "scvi/dataset/gene_expression_dataset.hpp"

#include <algorithm>
#include <iterator>
#include <map>

#include "dataset_checks.hpp"
#include "scvi/core/logging.hpp"

namespace scvi {

using namespace dataset_detail;

namespace {

constexpr std::int64_t kHiddenLabel = -1;

/// check_categories(), but for labels that are hidden.
void check_labelled_categories(const std::string& attribute, const std::vector<std::int64_t>& categories,
                               std::int64_t n_names) {
  std::vector<std::int64_t> shown = categories;
  if (attribute == kLabels) std::erase(shown, kHiddenLabel);
  check_categories(attribute, shown, n_names);
}

}  // namespace

RemappedCategories remap_categories(std::span<const std::int64_t> categories) {
  std::map<std::int64_t, std::int64_t> code_of;
  for (const std::int64_t category : categories) code_of.try_emplace(category, 0);
  RemappedCategories remapped;
  remapped.old_values.reserve(code_of.size());
  for (auto& [category, code] : code_of) {
    code = static_cast<std::int64_t>(remapped.old_values.size());
    remapped.old_values.push_back(category);
  }
  remapped.codes.reserve(categories.size());
  for (const std::int64_t category : categories) remapped.codes.push_back(code_of.at(category));
  return remapped;
}

std::vector<std::int64_t> remap_categories(std::span<const std::int64_t> categories,
                                           std::span<const std::int64_t> mapping_from,
                                           std::span<const std::int64_t> mapping_to) {
  check_length("mapping_to", mapping_to.size(), static_cast<std::int64_t>(mapping_from.size()),
               "values of mapping_from");
  std::map<std::int64_t, std::int64_t> to;
  for (std::size_t i = 0; i < mapping_from.size(); ++i) to[mapping_from[i]] = mapping_to[i];
  std::vector<std::int64_t> remapped;
  remapped.reserve(categories.size());
  for (const std::int64_t category : categories) {
    const auto found = to.find(category);
    if (found == to.end()) {
      throw InputError(
          {.problem = "has no counterpart in the mapping", .field = "category " + std::to_string(category)});
    }
    remapped.push_back(found->second);
  }
  return remapped;
}

void GeneExpressionDataset::set_main_category(const std::string& attribute, std::vector<std::int64_t> categories,
                                              std::vector<std::string> names, bool remap) {
  const std::size_t which = attribute == kBatchIndices ? 0 : 1;
  std::vector<std::string>& stored_names = mappings_[which].values;
  if (!names.empty()) {
    check_labelled_categories(attribute, categories, static_cast<std::int64_t>(names.size()));
    stored_names = std::move(names);
  } else if (remap) {
    RemappedCategories remapped = remap_categories(categories);
    stored_names = number_names(remapped.old_values);
    categories = std::move(remapped.codes);
  } else {
    check_labelled_categories(attribute, categories, kMaxCategories);
    const std::int64_t largest = categories.empty() ? -1 : *std::max_element(categories.begin(), categories.end());
    stored_names = number_names(counting(largest + 1));
  }
  cell_attributes_[which].column.values = std::move(categories);
  if (remap) remap_attribute(cell_attributes_[which]);
}

bool GeneExpressionDataset::has_corrupted_X() const {
  return std::any_of(versions_.begin(), versions_.end(), [](const Version& v) { return v.name == kCorruptedX; });
}

const CountMatrix& GeneExpressionDataset::corrupted_X() const {
  return dataset_version(kCorruptedX);
}

bool GeneExpressionDataset::has_norm_X() const {
  return std::any_of(versions_.begin(), versions_.end(), [](const Version& v) { return v.name == kNormX; });
}

const CountMatrix& GeneExpressionDataset::norm_X() const {
  return dataset_version(kNormX);
}

void GeneExpressionDataset::register_dataset_version(const std::string& name, CountMatrix version) {
  if (version.n_cells() != nb_cells() || version.n_genes() != nb_genes()) {
    throw InputError({.problem = "has " + std::to_string(version.n_cells()) + " x " +
                                 std::to_string(version.n_genes()) + " entries, but X has " +
                                 std::to_string(nb_cells()) + " x " + std::to_string(nb_genes()),
                      .field = "dataset version '" + name + "'"});
  }
  for (Version& registered : versions_) {
    if (registered.name != name) continue;
    registered.counts = std::move(version);
    return;
  }
  versions_.push_back({name, std::move(version)});
}

std::vector<std::string> GeneExpressionDataset::dataset_versions() const {
  return names_of(versions_, [](const Version& version) { return version.name; });
}

const CountMatrix& GeneExpressionDataset::dataset_version(const std::string& name) const {
  for (const Version& version : versions_) {
    if (version.name == name) return version.counts;
  }
  throw_unknown("dataset version", name, dataset_versions());
}

const std::vector<std::int64_t>& GeneExpressionDataset::batch_indices() const {
  return whole_numbers(cell_attributes_[0].column);
}

const std::vector<std::int64_t>& GeneExpressionDataset::labels() const {
  return whole_numbers(cell_attributes_[1].column);
}

std::int64_t GeneExpressionDataset::n_batches() const {
  return static_cast<std::int64_t>(batch_names().size());
}

std::int64_t GeneExpressionDataset::n_labels() const {
  return static_cast<std::int64_t>(cell_types().size());
}

const std::vector<std::string>& GeneExpressionDataset::batch_names() const {
  return mappings_[0].values;
}

const std::vector<std::string>& GeneExpressionDataset::cell_types() const {
  return mappings_[1].values;
}

const std::vector<std::string>& GeneExpressionDataset::gene_names() const {
  static const std::vector<std::string> none;
  const io::Column* names = find_gene_attribute(kGeneNames);
  return names == nullptr ? none : std::get<std::vector<std::string>>(names->values);
}

std::vector<std::string> GeneExpressionDataset::cell_attribute_names() const {
  auto names = names_of(cell_attributes_, [](const CellAttribute& attribute) { return attribute.column.name; });
  for (const CellMeasurement& measurement : measurements_) names.push_back(measurement.name);
  return names;
}

std::vector<std::string> GeneExpressionDataset::cell_categorical_attribute_names() const {
  std::vector<std::string> names;
  for (const CellAttribute& attribute : cell_attributes_) {
    if (attribute.categorical) names.push_back(attribute.column.name);
  }
  return names;
}

std::vector<std::string> GeneExpressionDataset::gene_attribute_names() const {
  return names_of(gene_attributes_, [](const io::Column& attribute) { return attribute.name; });
}

const io::Column& GeneExpressionDataset::cell_attribute(std::string_view name) const {
  if (const CellAttribute* found = find_cell_attribute(name)) return found->column;
  throw_unknown("cell attribute", name,
                names_of(cell_attributes_, [](const CellAttribute& attribute) { return attribute.column.name; }));
}

const io::Column& GeneExpressionDataset::gene_attribute(std::string_view name) const {
  if (const io::Column* found = find_gene_attribute(name)) return *found;
  throw_unknown("gene attribute", name, gene_attribute_names());
}

const std::vector<std::string>& GeneExpressionDataset::mapped_attribute(std::string_view name) const {
  for (const MappedAttribute& mapping : mappings_) {
    if (mapping.name == name) return mapping.values;
  }
  throw_unknown("mapped attribute", name,
                names_of(mappings_, [](const MappedAttribute& mapping) { return mapping.name; }));
}

const CellMeasurement& GeneExpressionDataset::cell_measurement(std::string_view name) const {
  for (const CellMeasurement& measurement : measurements_) {
    if (measurement.name == name) return measurement;
  }
  throw_unknown("cell measurement", name,
                names_of(measurements_, [](const CellMeasurement& measurement) { return measurement.name; }));
}

const GeneExpressionDataset::CellAttribute* GeneExpressionDataset::find_cell_attribute(std::string_view name) const {
  const auto found = std::find_if(cell_attributes_.begin(), cell_attributes_.end(),
                                  [&](const CellAttribute& attribute) { return attribute.column.name == name; });
  return found == cell_attributes_.end() ? nullptr : &*found;
}

const io::Column* GeneExpressionDataset::find_gene_attribute(std::string_view name) const {
  const auto found = std::find_if(gene_attributes_.begin(), gene_attributes_.end(),
                                  [&](const io::Column& attribute) { return attribute.name == name; });
  return found == gene_attributes_.end() ? nullptr : &*found;
}

void GeneExpressionDataset::initialize_cell_attribute(io::Column attribute, bool categorical) {
  check_length("cell attribute '" + attribute.name + "'", static_cast<std::size_t>(attribute.size()), nb_cells(),
               "cells");
  if (attribute.name == kProtectedAttribute) {
    log_warning("'X' is a protected name; the cell attribute is stored as 'X_cell'");
    attribute.name = "X_cell";
  }
  const bool is_batch = attribute.name == kBatchIndices;
  if (is_batch || attribute.name == kLabels) {
    std::vector<std::int64_t> categories = whole_numbers(attribute);
    std::vector<std::string> names = mappings_[is_batch ? 0 : 1].values;
    const auto n_names = static_cast<std::int64_t>(names.size());
    const bool covered = std::all_of(categories.begin(), categories.end(), [&](auto c) { return c < n_names; });
    if (!covered) names.clear();
    set_main_category(attribute.name, std::move(categories), std::move(names), false);
    if (is_batch) compute_library_size_batch();
    return;
  }
  if (categorical) check_categories(attribute.name, whole_numbers(attribute), kMaxCategories);
  for (CellAttribute& registered : cell_attributes_) {
    if (registered.column.name != attribute.name) continue;
    registered = {std::move(attribute), categorical};
    return;
  }
  cell_attributes_.push_back({std::move(attribute), categorical});
}

void GeneExpressionDataset::initialize_gene_attribute(io::Column attribute) {
  check_length("gene attribute '" + attribute.name + "'", static_cast<std::size_t>(attribute.size()), nb_genes(),
               "genes");
  if (attribute.name == kProtectedAttribute) {
    log_warning("'X' is a protected name; the gene attribute is stored as 'X_gene'");
    attribute.name = "X_gene";
  }
  if (attribute.name == kGeneNames) {
    const auto* names = std::get_if<std::vector<std::string>>(&attribute.values);
    if (names == nullptr) throw InputError({.problem = "must be text", .field = "gene attribute 'gene_names'"});
    std::vector<std::string> sorted = *names;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) log_warning("gene names are not unique: '" + *twice + "' is there more than once");
  }
  for (io::Column& registered : gene_attributes_) {
    if (registered.name != attribute.name) continue;
    registered = std::move(attribute);
    return;
  }
  gene_attributes_.push_back(std::move(attribute));
}

void GeneExpressionDataset::initialize_cell_measurement(CellMeasurement measurement) {
  const std::size_t n_columns = measurement.columns.size();
  if (measurement.data.size() != n_columns * static_cast<std::size_t>(nb_cells())) {
    throw InputError({.problem = "has " + std::to_string(measurement.data.size()) + " values for " +
                                 std::to_string(nb_cells()) + " cells and " + std::to_string(n_columns) + " columns",
                      .field = "cell measurement '" + measurement.name + "'"});
  }
  if (measurement.name == kProtectedAttribute || find_cell_attribute(measurement.name) != nullptr) {
    log_warning("'" + measurement.name + "' is protected or a cell attribute; the cell measurement is stored as '" +
                measurement.name + "_cell'");
    measurement.name += "_cell";
  }
  for (CellMeasurement& registered : measurements_) {
    if (registered.name != measurement.name) continue;
    registered = std::move(measurement);
    return;
  }
  measurements_.push_back(std::move(measurement));
}

void GeneExpressionDataset::initialize_mapped_attribute(const std::string& source, const std::string& name,
                                                        std::vector<std::string> values) {
  const bool of_genes = find_gene_attribute(source) != nullptr;
  const io::Column& attribute = of_genes ? gene_attribute(source) : cell_attribute(source);
  check_labelled_categories(source, whole_numbers(attribute), static_cast<std::int64_t>(values.size()));
  for (MappedAttribute& registered : mappings_) {
    if (registered.name != name) continue;
    if (registered.source != source) {
      throw InputError({.problem = "already names the categories of '" + registered.source + "'",
                        .field = "mapped attribute '" + name + "'"});
    }
    registered.values = std::move(values);
    return;
  }
  mappings_.push_back({source, name, std::move(values)});
}

void GeneExpressionDataset::remap_categorical_attributes(const std::vector<std::string>& attributes) {
  const std::vector<std::string> known = cell_categorical_attribute_names();
  for (const std::string& name : attributes) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw_unknown("categorical cell attribute", name, known);
    }
  }
  for (CellAttribute& attribute : cell_attributes_) {
    const bool wanted = attributes.empty() ||
                        std::find(attributes.begin(), attributes.end(), attribute.column.name) != attributes.end();
    if (attribute.categorical && wanted) remap_attribute(attribute);
  }
}

void GeneExpressionDataset::remap_attribute(CellAttribute& attribute) {
  // Hidden labels are no category and stay hidden.
  std::vector<std::int64_t> codes = whole_numbers(attribute.column);
  const auto is_category = [&](std::int64_t code) {
    return attribute.column.name != kLabels || code != kHiddenLabel;
  };
  std::vector<std::int64_t> categories;
  std::copy_if(codes.begin(), codes.end(), std::back_inserter(categories), is_category);
  RemappedCategories remapped = remap_categories(categories);
  auto next = remapped.codes.begin();
  for (std::int64_t& code : codes) {
    if (is_category(code)) code = *next++;
  }
  for (MappedAttribute& mapping : mappings_) {
    if (mapping.source != attribute.column.name) continue;
    std::vector<std::string> unused;
    for (std::size_t old = 0; old < mapping.values.size(); ++old) {
      const auto& used = remapped.old_values;
      if (!std::binary_search(used.begin(), used.end(), static_cast<std::int64_t>(old))) {
        unused.push_back(mapping.values[old]);
      }
    }
    if (!unused.empty()) log_info("dropped from " + mapping.name + ", as no cell has it: " + join_some(unused));
    mapping.values = take(mapping.values, remapped.old_values);
  }
  attribute.column.values = std::move(codes);
}

}  // namespace scvi
