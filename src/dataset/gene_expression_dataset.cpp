#include "scvi/dataset/gene_expression_dataset.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "argsort.hpp"
#include "columns.hpp"
#include "corruption.hpp"
#include "count_check.hpp"
#include "gene_selection.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"

namespace scvi {

using dataset_detail::named;
using dataset_detail::number_text;
using dataset_detail::take;
using dataset_detail::take_if_any;

namespace {

constexpr const char* kBatchIndices = "batch_indices";
constexpr const char* kLabels = "labels";
constexpr const char* kBatchNames = "batch_names";
constexpr const char* kCellTypes = "cell_types";
constexpr const char* kGeneNames = "gene_names";
constexpr const char* kCorruptedX = "corrupted_X";
constexpr const char* kProtectedAttribute = "X";

std::vector<std::int64_t> counting(std::int64_t n) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

bool is_everything(std::span<const std::int64_t> positions, std::int64_t n) {
  if (static_cast<std::int64_t>(positions.size()) != n) return false;
  for (std::int64_t i = 0; i < n; ++i) {
    if (positions[i] != i) return false;
  }
  return true;
}

void check_length(const std::string& what, std::size_t length, std::int64_t expected, const char* of_what) {
  if (static_cast<std::int64_t>(length) == expected) return;
  throw InputError(
      {.problem = "has " + std::to_string(length) + " values for " + std::to_string(expected) + " " + of_what,
       .field = what});
}

void check_length_if_any(const std::string& what, std::size_t length, std::int64_t expected, const char* of_what) {
  if (length > 0) check_length(what, length, expected, of_what);
}

void check_positions(std::span<const std::int64_t> positions, std::int64_t n, const std::string& what) {
  for (const std::int64_t position : positions) {
    if (position >= 0 && position < n) continue;
    throw InputError({.problem = "is " + std::to_string(position) + ", but there are " + std::to_string(n),
                      .field = "index of a " + what + " to keep"});
  }
}

void check_unique_positions(std::span<const std::int64_t> positions, std::int64_t n, const std::string& what) {
  check_positions(positions, n, what);
  std::vector<bool> seen(static_cast<std::size_t>(n));
  for (const std::int64_t position : positions) {
    if (seen[position]) {
      throw InputError(
          {.problem = "is " + std::to_string(position) + " twice", .field = "index of a " + what + " to keep"});
    }
    seen[position] = true;
  }
}

/// The whole numbers of a column. @throws InputError when it holds something else
const std::vector<std::int64_t>& whole_numbers(const io::Column& column) {
  const auto* numbers = std::get_if<std::vector<std::int64_t>>(&column.values);
  if (numbers == nullptr) {
    throw InputError(
        {.problem = "is categorical and must hold whole numbers", .field = "attribute '" + column.name + "'"});
  }
  return *numbers;
}

void check_categories(const std::string& attribute, std::span<const std::int64_t> categories, std::int64_t n_names) {
  for (const std::int64_t category : categories) {
    if (category >= 0 && category < n_names) continue;
    throw InputError({.problem = "holds category " + std::to_string(category) + ", but there are names for 0 to " +
                                 std::to_string(n_names - 1),
                      .field = "attribute '" + attribute + "'"});
  }
}

std::vector<std::string> number_names(std::span<const std::int64_t> numbers) {
  std::vector<std::string> names;
  names.reserve(numbers.size());
  for (const std::int64_t number : numbers) names.push_back(std::to_string(number));
  return names;
}

template <class Items, class GetName>
std::vector<std::string> names_of(const Items& items, GetName&& get_name) {
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(get_name(item));
  return names;
}

[[noreturn]] void throw_unknown(const std::string& kind, std::string_view name,
                                const std::vector<std::string>& known) {
  throw InputError({.problem = "is not registered",
                    .field = kind + " '" + std::string(name) + "'",
                    .remedy = suggest(name, known)});
}

std::vector<std::int64_t> cells_with_total(const CountMatrix& counts, double min_count) {
  const std::vector<double> totals = counts.cell_totals();
  std::vector<std::int64_t> cells;
  for (std::int64_t cell = 0; cell < counts.n_cells(); ++cell) {
    if (totals[cell] >= min_count) cells.push_back(cell);
  }
  if (cells.empty()) {
    const double largest = totals.empty() ? 0 : *std::max_element(totals.begin(), totals.end());
    throw InputError({.problem = "no cell would be left: none has a total count of " + number_text(min_count) +
                                 " or more (the largest is " + number_text(largest) + ")",
                      .field = "cells"});
  }
  return cells;
}

std::string percent(double share) {
  return number_text(std::round(share * 1e4) / 100) + " %";
}

void append_line(std::string& text, const std::string& name, const std::vector<std::string>& items) {
  if (!items.empty()) text += "\n    " + name + ": " + join_some(items, 12);
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
  const std::size_t n_batches = Xs.size();
  check_length_if_any("labels_per_batch", options.labels_per_batch.size(), static_cast<std::int64_t>(n_batches),
                      "batches");
  PopulateOptions merged;
  merged.gene_names = std::move(options.gene_names);
  merged.cell_types = std::move(options.cell_types);
  merged.batch_names = std::move(options.batch_names);
  merged.remap_attributes = options.remap_attributes;
  std::vector<const CountMatrix*> parts;
  for (std::size_t batch = 0; batch < n_batches; ++batch) {
    parts.push_back(&Xs[batch]);
    merged.batch_indices.insert(merged.batch_indices.end(), static_cast<std::size_t>(Xs[batch].n_cells()),
                                static_cast<std::int64_t>(batch));
    if (options.labels_per_batch.empty()) continue;
    const std::vector<std::int64_t>& labels = options.labels_per_batch[batch];
    check_length("labels of batch " + std::to_string(batch), labels.size(), Xs[batch].n_cells(), "cells");
    merged.labels.insert(merged.labels.end(), labels.begin(), labels.end());
  }
  populate_from_data(CountMatrix::concatenate(parts), std::move(merged));
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

void GeneExpressionDataset::set_main_category(const std::string& attribute, std::vector<std::int64_t> categories,
                                              std::vector<std::string> names, bool remap) {
  const std::size_t which = attribute == kBatchIndices ? 0 : 1;
  std::vector<std::string>& stored_names = mappings_[which].values;
  if (!names.empty()) {
    check_categories(attribute, categories, static_cast<std::int64_t>(names.size()));
    stored_names = std::move(names);
  } else if (remap) {
    RemappedCategories remapped = remap_categories(categories);
    stored_names = number_names(remapped.old_values);
    categories = std::move(remapped.codes);
  } else {
    check_categories(attribute, categories, kMaxCategories);
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
  check_categories(source, whole_numbers(attribute), static_cast<std::int64_t>(values.size()));
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
  RemappedCategories remapped = remap_categories(whole_numbers(attribute.column));
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
  attribute.column.values = std::move(remapped.codes);
}

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

void GeneExpressionDataset::select_cells(std::span<const std::int64_t> cells) {
  CountMatrix selected = X_.select_cells(cells);
  std::vector<Version> versions;
  for (const Version& version : versions_) versions.push_back({version.name, version.counts.select_cells(cells)});
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

  X_ = std::move(selected);
  versions_ = std::move(versions);
  cell_attributes_ = std::move(attributes);
  measurements_ = std::move(measurements);
  cell_names_ = std::move(names);
  original_cells_ = std::move(original);
  compute_library_size_batch();
}

void GeneExpressionDataset::filter_cells_by_count(double min_count) {
  update_cells(cells_with_total(X_, min_count));
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

void GeneExpressionDataset::corrupt(const CorruptOptions& options) {
  register_dataset_version(kCorruptedX, dataset_detail::corrupted_copy(X_, options));
}

void GeneExpressionDataset::corrupt(Corruption corruption, const CorruptionDraws& draws) {
  register_dataset_version(kCorruptedX, dataset_detail::corrupted_copy(X_, corruption, draws));
}

std::string GeneExpressionDataset::description() const {
  if (nb_cells() == 0 && nb_genes() == 0) return "GeneExpressionDataset object (unpopulated)";
  const auto n_entries = static_cast<double>(nb_cells()) * static_cast<double>(nb_genes());
  const auto n_nonzero = static_cast<double>(X_.n_nonzero());
  std::string text = "GeneExpressionDataset object with n_cells x nb_genes = " + std::to_string(nb_cells()) + " x " +
                     std::to_string(nb_genes());
  text += "\n    counts: " + percent(n_entries > 0 ? n_nonzero / n_entries : 0) + " non-zero, " +
          (X_.is_sparse() ? "sparse" : "dense") + ", " + format_bytes(static_cast<double>(X_.memory_bytes()));
  std::vector<double> totals = X_.cell_totals();
  if (!totals.empty()) {
    std::sort(totals.begin(), totals.end());
    text += "\n    total count per cell: " + number_text(totals.front()) + " to " + number_text(totals.back()) +
            ", median " + number_text(totals[totals.size() / 2]);
  }
  append_line(text, "batches (" + std::to_string(n_batches()) + ")", batch_names());
  append_line(text, "labels (" + std::to_string(n_labels()) + ")", cell_types());
  append_line(text, "dataset_versions", dataset_versions());
  append_line(text, "gene_attribute_names", gene_attribute_names());
  append_line(text, "cell_attribute_names", cell_attribute_names());
  append_line(text, "cell_categorical_attribute_names", cell_categorical_attribute_names());
  append_line(text, "cell_measurements_col_mappings", names_of(measurements_, [](const CellMeasurement& measurement) {
                return measurement.name + " -> " + measurement.columns_attr_name + " (" +
                       std::to_string(measurement.columns.size()) + " columns)";
              }));
  return text;
}

}  // namespace scvi
