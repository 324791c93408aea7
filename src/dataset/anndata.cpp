#include "scvi/dataset/anndata.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "columns.hpp"
#include "count_check.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"

namespace scvi {

using dataset_detail::named;
using dataset_detail::number_text;
using dataset_detail::take;

namespace {

constexpr const char* kRawCountsRemedy = "give the raw counts with --layer; this looks like normalised data";
constexpr double kMinCellTotal = 1;
constexpr std::int64_t kRowsPerWrittenBlock = 4096;
const std::string kCellTypeRole = "the cell type";
const std::string kObsBatch = "batch";
const std::string kObsCellType = "cell_type";

/// The annotation of the columns of a matrix: raw/X may have more genes than X.
const io::Frame& var_of(const io::H5adFile& file, const std::string& layer) {
  return layer == "raw" || layer == "raw/X" ? file.raw_var() : file.var();
}

/// Names that occur more than once, each listed once, in order of appearance.
std::vector<std::string> repeated_names(const std::vector<std::string>& names) {
  std::unordered_map<std::string_view, int> times;
  std::vector<std::string> repeated;
  for (const std::string& name : names) {
    if (++times[name] == 2) repeated.push_back(name);
  }
  return repeated;
}

const io::Column& obs_column(const io::H5adFile& file, const std::string& key, const std::string& role) {
  const io::Column* column = file.obs().find(key);
  if (column != nullptr) return *column;
  throw InputError({.problem = "has no column '" + key + "' (asked for as " + role + ")",
                    .file = file.path(),
                    .field = "obs",
                    .remedy = suggest(key, file.obs().column_names())});
}

/// The categories of an obs column. Cells without a value get the category `missing_name`, or are an error when that
/// is empty.
io::Categorical categories_of(const io::H5adFile& file, const std::string& key, const std::string& role,
                              const std::string& missing_name) {
  io::Categorical categories = obs_column(file, key, role).as_categorical();
  const auto first = std::find(categories.codes.begin(), categories.codes.end(), -1);
  if (first == categories.codes.end()) return categories;
  if (missing_name.empty()) {
    std::string remedy = "fill the column in, or leave these cells out of the file";
    if (role == kCellTypeRole) remedy += ", or name their type with --missing-label";
    const auto n_missing = std::count(first, categories.codes.end(), -1);
    throw InputError({.problem = "has no value for " + with_thousands(n_missing) + " of " +
                                 with_thousands(file.n_obs()) + " cells, the first is " +
                                 named("cell", file.obs().index, first - categories.codes.begin()),
                      .file = file.path(),
                      .field = "obs column '" + key + "'",
                      .remedy = remedy});
  }
  const auto known = std::find(categories.categories.begin(), categories.categories.end(), missing_name);
  const auto code = static_cast<std::int32_t>(known - categories.categories.begin());
  if (known == categories.categories.end()) categories.categories.push_back(missing_name);
  std::replace(categories.codes.begin(), categories.codes.end(), -1, code);
  return categories;
}

/// Reads the wanted columns of a matrix of counts, checks every value of it and leaves out empty cells.
class CountLoader {
 public:
  /// @param genes columns to keep, in their new order
  CountLoader(const io::H5adFile& file, io::MatrixReader& reader, const std::vector<std::string>& gene_names,
              const std::vector<std::int64_t>& genes, bool drop_empty_cells)
      : file_(file),
        reader_(reader),
        gene_names_(gene_names),
        drop_empty_cells_(drop_empty_cells),
        n_wanted_(static_cast<std::int64_t>(genes.size())),
        new_gene_(gene_names.size(), -1) {
    for (std::size_t i = 0; i < genes.size(); ++i) new_gene_[genes[i]] = static_cast<std::int32_t>(i);
  }

  CountMatrix load() {
    reader_.for_each_block([this](const io::CsrBlock& block) {
      throw_if_interrupted();
      use(block);
    });
    if (n_rows_ != file_.n_obs()) {
      throw FormatError(
          {.problem = "ended after " + with_thousands(n_rows_) + " of " + with_thousands(file_.n_obs()) + " cells",
           .file = file_.path(),
           .field = reader_.info().path});
    }
    if (kept_.empty()) {
      throw InputError({.problem = "no cell has a total count of 1 or more",
                        .file = file_.path(),
                        .field = reader_.info().path,
                        .remedy = kRawCountsRemedy});
    }
    report();
    return std::move(*builder_).finish();
  }

  /// Rows of the file that were kept.
  std::vector<std::int64_t>& kept_cells() { return kept_; }

 private:
  void use(const io::CsrBlock& block) {
    if (!builder_) builder_.emplace(n_wanted_, file_.n_obs(), expected_nonzero(block));
    for (std::int64_t row = 0; row < block.n_rows(); ++row) use_row(block, row);
  }

  void use_row(const io::CsrBlock& block, std::int64_t row) {
    const std::int64_t cell = n_rows_++;
    entries_.clear();
    double total = 0;
    for (std::int64_t at = block.indptr[row]; at < block.indptr[row + 1]; ++at) {
      const std::int32_t gene = block.indices[at];
      const float value = block.values[at];
      if (!dataset_detail::is_plausible_count(value)) throw_bad_count(cell, gene, value);
      fractional_.see(cell, gene, value);
      if (new_gene_[gene] < 0) continue;
      entries_.emplace_back(new_gene_[gene], value);
      total += value;
    }
    if (drop_empty_cells_ && total < kMinCellTotal) return;
    if (!std::is_sorted(entries_.begin(), entries_.end())) std::sort(entries_.begin(), entries_.end());
    genes_.clear();
    values_.clear();
    for (const auto& [gene, value] : entries_) {
      genes_.push_back(gene);
      values_.push_back(value);
    }
    builder_->append_cell(genes_, values_);
    kept_.push_back(cell);
  }

  /// Entries to expect in the whole matrix, so that the builder need not grow and hold them twice meanwhile.
  std::int64_t expected_nonzero(const io::CsrBlock& first) const {
    const io::MatrixInfo& info = reader_.info();
    const bool all_genes = n_wanted_ == info.n_cols;
    if (info.layout != io::MatrixInfo::Layout::dense && all_genes) return info.n_stored;
    const auto wanted = std::count_if(first.indices.begin(), first.indices.end(),
                                      [this](std::int32_t gene) { return new_gene_[gene] >= 0; });
    constexpr double kMargin = 1.05;
    const double share =
        static_cast<double>(info.n_rows) / static_cast<double>(std::max<std::int64_t>(1, first.n_rows()));
    return static_cast<std::int64_t>(kMargin * static_cast<double>(wanted) * share);
  }

  [[noreturn]] void throw_bad_count(std::int64_t cell, std::int64_t gene, float value) const {
    throw InputError({.problem = dataset_detail::why_not_a_count(value),
                      .file = file_.path(),
                      .field = place(cell, gene),
                      .remedy = kRawCountsRemedy});
  }

  std::string place(std::int64_t cell, std::int64_t gene) const {
    return reader_.info().path + ", " + named("cell", file_.obs().index, cell) + ", " +
           named("gene", gene_names_, gene);
  }

  void report() const {
    if (fractional_.n_fractional > 0) {
      log_warning(file_.path() + ": " + fractional_.text() + " (the first: " + number_text(fractional_.first_value) +
                  " at " + place(fractional_.first_cell, fractional_.first_gene) +
                  "); the models expect raw counts, which --layer can name");
    }
    const std::int64_t n_dropped = n_rows_ - static_cast<std::int64_t>(kept_.size());
    if (n_dropped > 0) {
      log_info("left out " + with_thousands(n_dropped) + " of " + with_thousands(n_rows_) +
               " cells, whose total count is below 1");
    }
  }

  const io::H5adFile& file_;
  io::MatrixReader& reader_;
  const std::vector<std::string>& gene_names_;
  bool drop_empty_cells_;
  std::int64_t n_wanted_;
  std::vector<std::int32_t> new_gene_;  // per column of the file: the new gene, or -1
  std::optional<CountMatrixBuilder> builder_;
  dataset_detail::FractionalCounts fractional_;
  std::int64_t n_rows_ = 0;
  std::vector<std::int64_t> kept_;
  std::vector<std::pair<std::int32_t, float>> entries_;
  std::vector<std::int32_t> genes_;
  std::vector<float> values_;
};

std::vector<std::string> checked_gene_names(const io::H5adFile& file, const AnnDataOptions& options) {
  const std::vector<std::string>& names = var_of(file, options.layer).index;
  const std::vector<std::string> repeated = repeated_names(names);
  if (repeated.empty()) return names;
  if (options.on_duplicate_genes == DuplicateGenes::make_unique) {
    log_info("gene names made unique by suffixes: " + join_some(repeated, 5));
    return make_names_unique(names);
  }
  // Where genes are asked for by name only those must be unique, which align_genes() checks.
  if (!options.genes.empty()) return names;
  throw InputError({.problem = "are not unique: " + with_thousands(static_cast<long long>(repeated.size())) +
                               " occur more than once (" + join_some(repeated, 5) + ")",
                    .file = file.path(),
                    .field = "gene names (var index)",
                    .remedy = "pass --make-unique to number them, as anndata's var_names_make_unique does"});
}

std::vector<std::int64_t> wanted_genes(const io::H5adFile& file, const std::vector<std::string>& names,
                                       const AnnDataOptions& options) {
  if (options.genes.empty()) {
    std::vector<std::int64_t> all(names.size());
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  try {
    return align_genes(names, options.genes);
  } catch (const InputError& error) {
    Fault fault = error.fault();
    fault.file = file.path();
    throw InputError(fault);
  }
}

/// A name that the data set uses for something else would overwrite it.
std::string free_name(const std::string& name, std::initializer_list<const char*> taken, const std::string& suffix) {
  const bool is_taken = std::any_of(taken.begin(), taken.end(), [&](const char* other) { return name == other; });
  return is_taken ? name + suffix : name;
}

void add_attributes(const io::H5adFile& file, const AnnDataOptions& options, const std::vector<std::int64_t>& cells,
                    const std::vector<std::int64_t>& genes, PopulateOptions& populate) {
  for (const io::Column& column : file.obs().columns) {
    if (column.name == options.batch_key || column.name == options.labels_key) continue;
    populate.cell_attributes.push_back(take(column, cells));
    populate.cell_attributes.back().name = free_name(column.name, {"X", "batch_indices", "labels"}, "_cell");
  }
  for (const io::Column& column : var_of(file, options.layer).columns) {
    populate.gene_attributes.push_back(take(column, genes));
    populate.gene_attributes.back().name = free_name(column.name, {"X", "gene_names"}, "_gene");
  }
}

CellMeasurement load_measurement(const io::H5adFile& file, const AnnDataMeasurement& wanted,
                                 const std::vector<std::int64_t>& cells) {
  const io::DenseArray array = file.obsm(wanted.obsm);
  const std::string field = "obsm '" + wanted.obsm + "'";
  CellMeasurement measurement{wanted.obsm, {}, wanted.uns_names, {}};
  if (wanted.uns_names.empty()) {
    measurement.columns_attr_name = wanted.obsm + "_names";
    for (std::int64_t column = 0; column < array.n_cols; ++column)
      measurement.columns.push_back(std::to_string(column));
  } else {
    measurement.columns = file.uns_strings(wanted.uns_names);
  }
  if (array.n_rows != file.n_obs() || array.n_cols != static_cast<std::int64_t>(measurement.columns.size())) {
    throw InputError({.problem = "has " + std::to_string(array.n_rows) + " x " + std::to_string(array.n_cols) +
                                 " values, expected " + std::to_string(file.n_obs()) + " cells and " +
                                 std::to_string(measurement.columns.size()) + " names",
                      .file = file.path(),
                      .field = field});
  }
  measurement.data.reserve(cells.size() * measurement.columns.size());
  for (const std::int64_t cell : cells) {
    for (std::int64_t column = 0; column < array.n_cols; ++column) {
      const double value = array.values[cell * array.n_cols + column];
      if (!std::isfinite(value)) {
        throw InputError({.problem = "is " + number_text(value) + ", but must be finite",
                          .file = file.path(),
                          .field = field + ", " + named("cell", file.obs().index, cell) + ", column '" +
                                   measurement.columns[column] + "'"});
      }
      measurement.data.push_back(static_cast<float>(value));
    }
  }
  return measurement;
}

std::vector<std::int64_t> codes_of_cells(const io::Categorical& categories, const std::vector<std::int64_t>& cells) {
  std::vector<std::int64_t> codes;
  codes.reserve(cells.size());
  for (const std::int64_t cell : cells) codes.push_back(categories.codes[cell]);
  return codes;
}

std::vector<std::string> numbered_names(std::int64_t n) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < n; ++i) names.push_back(std::to_string(i));
  return names;
}

io::Column categorical_column(const std::string& name, const std::vector<std::int64_t>& codes,
                              const std::vector<std::string>& names) {
  io::Categorical categorical;
  categorical.codes.assign(codes.begin(), codes.end());
  categorical.categories = make_names_unique(names);
  return {name, std::move(categorical), {}};
}

void add_column(io::Frame& frame, io::Column column) {
  if (frame.find(column.name) != nullptr || column.name == frame.index_name) {
    log_warning("the attribute '" + column.name + "' is not written: a column of that name is there already");
    return;
  }
  frame.columns.push_back(std::move(column));
}

io::Frame obs_frame(const GeneExpressionDataset& dataset) {
  io::Frame obs;
  obs.index = dataset.cell_names().empty() ? numbered_names(dataset.nb_cells()) : dataset.cell_names();
  add_column(obs, categorical_column(kObsBatch, dataset.batch_indices(), dataset.batch_names()));
  const bool labelled = dataset.cell_types() != std::vector<std::string>{"undefined"};
  if (labelled) add_column(obs, categorical_column(kObsCellType, dataset.labels(), dataset.cell_types()));
  const std::vector<std::string> measurements = [&] {
    std::vector<std::string> names;
    for (const CellMeasurement& measurement : dataset.cell_measurements()) names.push_back(measurement.name);
    return names;
  }();
  for (const std::string& name : dataset.cell_attribute_names()) {
    const bool elsewhere = name == "batch_indices" || name == "labels" ||
                           std::find(measurements.begin(), measurements.end(), name) != measurements.end();
    if (!elsewhere) add_column(obs, dataset.cell_attribute(name));
  }
  const std::vector<std::string> attributes = dataset.cell_attribute_names();
  for (const MappedAttribute& mapping : dataset.mapped_attributes()) {
    const bool of_cells = std::find(attributes.begin(), attributes.end(), mapping.source) != attributes.end();
    if (!of_cells || mapping.name == "batch_names" || mapping.name == "cell_types") continue;
    const io::Column& source = dataset.cell_attribute(mapping.source);
    add_column(obs,
               categorical_column(mapping.name, std::get<std::vector<std::int64_t>>(source.values), mapping.values));
  }
  return obs;
}

io::Frame var_frame(const GeneExpressionDataset& dataset) {
  io::Frame var;
  var.index = dataset.gene_names().empty() ? numbered_names(dataset.nb_genes()) : dataset.gene_names();
  for (const std::string& name : dataset.gene_attribute_names()) {
    if (name != "gene_names") add_column(var, dataset.gene_attribute(name));
  }
  return var;
}

}  // namespace

AnnDataOptions reference_anndata_options(const io::H5adFile& file, const std::string& batch_label,
                                         const std::string& ctype_label, const std::string& class_label) {
  const auto has = [&](const std::string& key) { return file.obs().find(key) != nullptr; };
  AnnDataOptions options;
  if (has(batch_label)) options.batch_key = batch_label;
  if (has(class_label)) options.labels_key = class_label;
  if (has(ctype_label)) options.labels_key = ctype_label;
  return options;
}

GeneExpressionDataset load_anndata(const io::H5adFile& file, const AnnDataOptions& options) {
  const std::unique_ptr<io::MatrixReader> reader = file.matrix(options.layer);
  std::vector<std::string> gene_names = checked_gene_names(file, options);
  if (reader->info().n_rows != file.n_obs() ||
      reader->info().n_cols != static_cast<std::int64_t>(gene_names.size())) {
    throw FormatError({.problem = "has " + std::to_string(reader->info().n_rows) + " x " +
                                  std::to_string(reader->info().n_cols) + " entries for " +
                                  std::to_string(file.n_obs()) + " cells and " + std::to_string(gene_names.size()) +
                                  " genes",
                       .file = file.path(),
                       .field = reader->info().path});
  }
  const std::vector<std::int64_t> genes = wanted_genes(file, gene_names, options);
  std::optional<io::Categorical> batches;
  std::optional<io::Categorical> labels;
  if (!options.batch_key.empty()) batches = categories_of(file, options.batch_key, "the batch", "");
  if (!options.labels_key.empty()) {
    labels = categories_of(file, options.labels_key, kCellTypeRole, options.missing_label);
  }

  CountLoader loader(file, *reader, gene_names, genes, options.drop_empty_cells);
  CountMatrix counts;
  try {
    counts = loader.load();
  } catch (const std::bad_alloc&) {
    throw InputError({.problem = "needs more memory than there is: " + std::to_string(reader->info().n_rows) + " x " +
                                 std::to_string(reader->info().n_cols) + " with " +
                                 with_thousands(reader->info().n_stored) + " stored values",
                      .file = file.path(),
                      .field = reader->info().path});
  }

  PopulateOptions populate;
  const std::vector<std::int64_t>& cells = loader.kept_cells();
  populate.cell_names = take(file.obs().index, cells);
  populate.gene_names = take(gene_names, genes);
  if (batches) {
    populate.batch_indices = codes_of_cells(*batches, cells);
    populate.batch_names = std::move(batches->categories);
  }
  if (labels) {
    populate.labels = codes_of_cells(*labels, cells);
    populate.cell_types = std::move(labels->categories);
  }
  if (options.keep_attributes) add_attributes(file, options, cells, genes, populate);
  for (const AnnDataMeasurement& wanted : options.measurements) {
    populate.measurements.push_back(load_measurement(file, wanted, cells));
  }
  populate.original_cells = cells;
  populate.original_genes = genes;
  populate.check_counts = false;
  GeneExpressionDataset dataset;
  dataset.populate_from_data(std::move(counts), std::move(populate));
  return dataset;
}

std::vector<std::string> make_names_unique(std::vector<std::string> names) {
  std::unordered_set<std::string> taken(names.begin(), names.end());
  std::unordered_set<std::string> seen;
  std::unordered_map<std::string, std::int64_t> last_suffix;
  for (std::string& name : names) {
    if (seen.insert(name).second) continue;
    std::int64_t& suffix = last_suffix[name];
    std::string candidate;
    do {
      candidate = name + "-" + std::to_string(++suffix);
    } while (!taken.insert(candidate).second);
    name = std::move(candidate);
  }
  return names;
}

std::vector<std::int64_t> align_genes(const std::vector<std::string>& available,
                                      const std::vector<std::string>& wanted) {
  constexpr std::int64_t kTwice = -1;
  std::unordered_map<std::string_view, std::int64_t> position_of;
  for (std::size_t i = 0; i < available.size(); ++i) {
    const auto [found, is_new] = position_of.try_emplace(available[i], static_cast<std::int64_t>(i));
    if (!is_new) found->second = kTwice;
  }
  std::vector<std::int64_t> positions;
  std::vector<std::string> missing;
  for (const std::string& gene : wanted) {
    const auto found = position_of.find(gene);
    if (found == position_of.end()) {
      missing.push_back(gene);
    } else if (found->second == kTwice) {
      throw InputError({.problem = "occurs more than once in the data",
                        .field = "gene '" + gene + "'",
                        .remedy = "make the gene names unique"});
    } else {
      positions.push_back(found->second);
    }
  }
  if (!missing.empty()) {
    std::string remedy = "the data must have every gene that is asked for";
    const std::string meant = nearest_match(missing.front(), available);
    if (!meant.empty()) remedy += "; the nearest to '" + missing.front() + "' is '" + meant + "'";
    throw InputError({.problem = with_thousands(static_cast<long long>(missing.size())) + " of " +
                                 with_thousands(static_cast<long long>(wanted.size())) +
                                 " are missing: " + join_some(missing),
                      .field = "genes",
                      .remedy = remedy});
  }
  if (const std::vector<std::string> repeated = repeated_names(wanted); !repeated.empty()) {
    throw InputError({.problem = "are asked for more than once: " + join_some(repeated), .field = "genes"});
  }
  if (wanted.size() < available.size()) {
    log_info("using " + with_thousands(static_cast<long long>(wanted.size())) + " of " +
             with_thousands(static_cast<long long>(available.size())) + " genes; the others are ignored");
  }
  return positions;
}

void align_genes(GeneExpressionDataset& dataset, const std::vector<std::string>& wanted) {
  align_genes(dataset.gene_names(), wanted);
  dataset.reorder_genes(wanted, true);
}

void write_dataset_h5ad(const GeneExpressionDataset& dataset, const std::string& path, Overwrite overwrite) {
  io::H5adContents contents;
  contents.obs = obs_frame(dataset);
  contents.var = var_frame(dataset);
  contents.dense = !dataset.X().is_sparse();
  io::UnsDict column_names;
  for (const CellMeasurement& measurement : dataset.cell_measurements()) {
    const auto n_columns = static_cast<std::int64_t>(measurement.columns.size());
    contents.obsm.emplace_back(measurement.name, io::FloatArray{dataset.nb_cells(), n_columns, measurement.data});
    contents.uns.emplace_back(measurement.columns_attr_name, io::UnsValue{measurement.columns});
    column_names.emplace_back(measurement.name, io::UnsValue{measurement.columns_attr_name});
  }
  if (!column_names.empty()) contents.uns.emplace_back("cell_measurements_col_mappings", io::UnsValue{column_names});

  std::int64_t next = 0;
  contents.next_rows = [&](io::CsrBlock& block) {
    throw_if_interrupted();
    const std::int64_t count = std::min(kRowsPerWrittenBlock, dataset.nb_cells() - next);
    if (count == 0) return false;
    std::vector<std::int64_t> cells(static_cast<std::size_t>(count));
    std::iota(cells.begin(), cells.end(), next);
    dataset.X().gather_csr(cells, block);
    block.first_row = next;
    next += count;
    return true;
  };
  io::write_h5ad(path, contents, overwrite);
}

}  // namespace scvi
