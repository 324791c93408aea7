// 10x Genomics' mouse brains: 9,128 cells with quality metrics, and 1.3 million cells that are chosen from while they
// are read.

#include <algorithm>
#include <unordered_map>

#include "../columns.hpp"
#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/dataset/builtin.hpp"
#include "scvi/io/pandas_pickle.hpp"
#include "scvi/io/tenx.hpp"
#include "sources.hpp"

namespace scvi {
namespace {

constexpr const char* kMetadata = "brain_small_metadata.pickle";

/// Entries of a piece that is in memory at a time (8 bytes each), whatever the number of cells asked for.
constexpr std::int64_t kMaxEntriesPerPiece = 4'000'000;

/// Reads the first `n_cells` rows in pieces of at most `cells_per_piece` cells.
void for_each_piece(io::MatrixReader& counts, std::int64_t n_cells, std::int64_t cells_per_piece,
                    const std::function<void(const io::CsrBlock&)>& use) {
  const std::int64_t mean_entries = counts.info().n_stored / std::max<std::int64_t>(counts.info().n_rows, 1) + 1;
  cells_per_piece = std::clamp<std::int64_t>(kMaxEntriesPerPiece / mean_entries, 1, cells_per_piece);
  io::CsrBlock piece;
  for (std::int64_t first = 0; first < n_cells; first += cells_per_piece) {
    throw_if_interrupted();
    counts.read_rows(first, std::min(cells_per_piece, n_cells - first), piece);
    use(piece);
  }
}

/// Population variance of each gene over the first `n_cells` cells.
std::vector<double> gene_variances(io::MatrixReader& counts, std::int64_t n_cells, std::int64_t cells_per_piece) {
  const auto n_genes = static_cast<std::size_t>(counts.info().n_cols);
  std::vector<double> sums(n_genes), squares(n_genes);
  for_each_piece(counts, n_cells, cells_per_piece, [&](const io::CsrBlock& piece) {
    for (std::size_t entry = 0; entry < piece.indices.size(); ++entry) {
      const double value = piece.values[entry];
      sums[piece.indices[entry]] += value;
      squares[piece.indices[entry]] += value * value;
    }
  });
  std::vector<double> variances(n_genes);
  for (std::size_t gene = 0; gene < n_genes; ++gene) {
    const double mean = sums[gene] / static_cast<double>(n_cells);
    variances[gene] = squares[gene] / static_cast<double>(n_cells) - mean * mean;
  }
  return variances;
}

/// The chosen genes of the first cells, without the cells that have none of them.
class ChosenCounts {
 public:
  ChosenCounts(std::int64_t n_genes, const std::vector<std::int64_t>& genes)
      : new_position_(static_cast<std::size_t>(n_genes), -1), builder_(static_cast<std::int64_t>(genes.size())) {
    for (std::size_t at = 0; at < genes.size(); ++at) new_position_[genes[at]] = static_cast<std::int32_t>(at);
  }

  void append(const io::CsrBlock& piece) {
    for (std::int64_t row = 0; row < piece.n_rows(); ++row) {
      entries_.clear();
      for (std::int64_t entry = piece.indptr[row]; entry < piece.indptr[row + 1]; ++entry) {
        const std::int32_t gene = new_position_[piece.indices[entry]];
        if (gene >= 0) entries_.emplace_back(gene, piece.values[entry]);
      }
      append_cell(piece.first_row + row);
    }
  }

  const std::vector<std::int64_t>& cells() const { return cells_; }
  CountMatrix finish() && { return std::move(builder_).finish(); }

 private:
  void append_cell(std::int64_t cell) {
    if (entries_.empty()) return;
    std::sort(entries_.begin(), entries_.end());
    genes_.clear();
    values_.clear();
    for (const auto& [gene, value] : entries_) {
      genes_.push_back(gene);
      values_.push_back(value);
    }
    builder_.append_cell(genes_, values_);
    cells_.push_back(cell);
  }

  std::vector<std::int32_t> new_position_;  // per gene of the file; -1: not chosen
  CountMatrixBuilder builder_;
  std::vector<std::int64_t> cells_;
  std::vector<std::pair<std::int32_t, float>> entries_;  // of one cell, as are the two below
  std::vector<std::int32_t> genes_;
  std::vector<float> values_;
};

/// The rows of these cells, by the names of the rows.
io::Frame rows_of(const io::Frame& frame, const std::vector<std::string>& cells, const std::string& path) {
  std::unordered_map<std::string, std::int64_t> row_of;
  for (std::size_t row = 0; row < frame.index.size(); ++row) {
    row_of.emplace(frame.index[row], static_cast<std::int64_t>(row));
  }
  std::vector<std::int64_t> rows;
  rows.reserve(cells.size());
  for (const std::string& cell : cells) {
    const auto found = row_of.find(cell);
    if (found == row_of.end()) throw FormatError({.problem = "lacks cell '" + cell + "'", .file = path});
    rows.push_back(found->second);
  }
  io::Frame taken;
  taken.index = cells;
  for (const io::Column& column : frame.columns) taken.columns.push_back(dataset_detail::take(column, rows));
  return taken;
}

void check(const BrainLargeOptions& options) {
  builtin::require_positive(options.sample_size_gene_var, "sample_size_gene_var");
  builtin::require_positive(options.nb_genes_to_keep, "nb_genes_to_keep");
  builtin::require_positive(options.loading_batch_size, "loading_batch_size");
  if (options.max_cells_to_keep) builtin::require_positive(*options.max_cells_to_keep, "max_cells_to_keep");
}

}  // namespace

GeneExpressionDataset load_brain_large(const std::string& folder, const BrainLargeOptions& options) {
  check(options);
  const std::string path = builtin::existing_file(folder, options.filename);
  io::CountFile file = io::read_tenx_h5(path);
  io::MatrixReader& counts = *file.counts;
  const std::int64_t n_cells = counts.info().n_rows;
  const std::int64_t n_sample = std::min(options.sample_size_gene_var, n_cells);
  PopulateOptions populate;
  populate.original_genes =
      builtin::largest(gene_variances(counts, n_sample, options.loading_batch_size), options.nb_genes_to_keep);
  ChosenCounts chosen(counts.info().n_cols, populate.original_genes);
  const std::int64_t n_kept = std::min(options.max_cells_to_keep.value_or(n_cells), n_cells);
  for_each_piece(counts, n_kept, options.loading_batch_size,
                 [&](const io::CsrBlock& piece) { chosen.append(piece); });
  populate.original_cells = chosen.cells();
  for (const std::int64_t gene : populate.original_genes) populate.gene_names.push_back(file.var.index[gene]);
  for (const std::int64_t cell : populate.original_cells) populate.cell_names.push_back(file.obs.index[cell]);
  GeneExpressionDataset dataset;
  dataset.populate_from_data(std::move(chosen).finish(), std::move(populate));
  return dataset;
}

GeneExpressionDataset load_brain_small(const std::string& folder, const std::string& folder_10x) {
  GeneExpressionDataset dataset = load_10x_dataset(folder_10x.empty() ? folder : folder_10x, "neuron_9k");
  const std::string path = builtin::existing_file(folder, kMetadata);
  const std::vector<std::string> barcodes = builtin::texts(dataset.cell_attribute("barcodes"));
  const io::PandasPickle metadata(path);
  const io::Frame clusters = rows_of(metadata.frame("clusters"), barcodes, path);
  RemappedCategories labels =
      remap_categories(builtin::whole_numbers(builtin::required_column(clusters, "Cluster", path), path));
  std::vector<std::string> names;
  for (const std::int64_t cluster : labels.old_values) names.push_back(std::to_string(cluster));
  dataset.initialize_cell_attribute(builtin::column_of("labels", std::move(labels.codes)), true);
  dataset.initialize_mapped_attribute("labels", "cell_types", std::move(names));
  const io::Frame quality = rows_of(metadata.frame("raw_qc"), barcodes, path);
  std::vector<const io::Column*> columns;
  for (const io::Column& column : quality.columns) columns.push_back(&column);
  dataset.initialize_cell_measurement(builtin::measurement_of("qc", "qc_names", columns, path));
  return dataset;
}

namespace builtin {
namespace {

std::vector<CatalogueFile> brain_small_files(const std::string& folder_10x) {
  return {{.name = kMetadata,
           .url = "https://github.com/YosefLab/scVI-data/raw/master/brain_small_metadata.pickle",
           .bytes = 1242713,
           .sha256 = "b14ca6073b2221bcb82c8018337132dafde96a7847649ff828fdfb0d4c43f1d6"},
          tenx_file("neuron_9k", folder_10x)};
}

}  // namespace

std::vector<Definition> brain_definitions() {
  std::vector<Definition> out;
  out.push_back({
      .entry = {.name = "brain_small",
                .aliases = {"BrainSmallDataset"},
                .organism = "mouse",
                .what = "brain cells of an embryo (neuron_9k) with quality metrics; Chromium v2",
                .n_cells = 9128,
                .n_genes = 27998,
                .annotations = {"10 clusters", "9 quality metrics", "barcodes"},
                .reference = "Lopez et al. 2018, doi:10.1038/s41592-018-0229-2",
                .save_path = "data/",
                .files = brain_small_files(""),
                .options = {{"save_path_10X", "", "folder of neuron_9k; empty: that of this data set"}}},
      .prepare = [](const OptionValues& values) -> Load {
        return [folder_10x = values.text("save_path_10X")](const std::string& folder) {
          return load_brain_small(folder, folder_10x);
        };
      },
      .files = [](const OptionValues& values) { return brain_small_files(values.text("save_path_10X")); },
  });
  out.push_back({
      .entry = {.name = "brain_large",
                .aliases = {"BrainLargeDataset"},
                .organism = "mouse",
                .what = "cortex, hippocampus and ventricular zone of embryos (E18); Chromium v2",
                .n_cells = 1306127,
                .n_genes = 720,
                .annotations = {"barcodes"},
                .reference = "10x Genomics 2017, 1.3 million brain cells from E18 mice",
                .save_path = "data/",
                .files = {{.name = BrainLargeOptions().filename,
                           .url = "http://cf.10xgenomics.com/samples/cell-exp/1.3.0/1M_neurons/"
                                  "1M_neurons_filtered_gene_bc_matrices_h5.h5"}},
                .options = {{"sample_size_gene_var", "10000", "cells on which variances are computed"},
                            {"max_cells_to_keep", "", "only the first so many cells; empty: all"},
                            {"nb_genes_to_keep", "720", "genes of the largest variance"},
                            {"loading_batch_size", "100000", "cells read at a time"}}},
      .prepare = [](const OptionValues& values) -> Load {
        BrainLargeOptions options;
        options.sample_size_gene_var = values.number("sample_size_gene_var");
        options.max_cells_to_keep = values.optional_number("max_cells_to_keep");
        options.nb_genes_to_keep = values.number("nb_genes_to_keep");
        options.loading_batch_size = values.number("loading_batch_size");
        check(options);
        return [options](const std::string& folder) { return load_brain_large(folder, options); };
      },
  });
  return out;
}

}  // namespace builtin
}  // namespace scvi
