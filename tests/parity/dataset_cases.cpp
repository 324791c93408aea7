#include "dataset_cases.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi::parity {
namespace {

using Names = std::vector<std::string>;
using Numbers = std::vector<std::int64_t>;

constexpr double kExact = 0;
constexpr double kLibrarySize = 1e-6;  // of float32 numbers of the order of 1
constexpr double kMeans = 1e-6;        // likewise
constexpr double kVariance = 1e-5;     // relative: the reference sums squares in float32

std::vector<float> dense_of(const CountMatrix& matrix) {
  Numbers cells(static_cast<std::size_t>(matrix.n_cells()));
  std::iota(cells.begin(), cells.end(), 0);
  std::vector<float> out(static_cast<std::size_t>(matrix.n_cells() * matrix.n_genes()));
  matrix.gather_dense(cells, out.data());
  return out;
}

/// "first_genes" is stored as a JSON list of plain names.
Names names_of_json(const std::string& json) {
  Names names;
  for (std::size_t at = json.find('"'); at != std::string::npos; at = json.find('"', at + 1)) {
    const std::size_t end = json.find('"', at + 1);
    names.push_back(json.substr(at + 1, end - at - 1));
    at = end;
  }
  return names;
}

/// Compares the state of data sets with groups of a file.
class Replay {
 public:
  Replay(const io::Hdf5File& file, bool sparse) : file_(file), sparse_(sparse) {}

  std::vector<DatasetQuantity> results() && { return std::move(results_); }
  const io::Hdf5File& file() const { return file_; }
  Numbers numbers(const std::string& path) const { return file_.read<std::int64_t>(path).values; }
  Names names(const std::string& path) const { return file_.read_strings(path).values; }

  CountMatrix counts(const std::string& path) const {
    const auto X = file_.read<float>(path);
    CountMatrix matrix = CountMatrix::from_dense(X.shape[0], X.shape[1], X.values);
    return sparse_ ? matrix.to_sparse() : std::move(matrix);
  }

  GeneExpressionDataset dataset(PopulateOptions options) const {
    GeneExpressionDataset dataset;
    dataset.populate_from_data(counts("inputs/X"), std::move(options));
    return dataset;
  }

  template <class T>
  void compare(const std::string& path, const std::vector<T>& got, double allowed, bool relative = false) {
    const std::vector<double> expected = file_.read<double>(path).values;
    double deviation = got.size() == expected.size() ? 0 : std::numeric_limits<double>::infinity();
    double largest = 0;
    for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
      const double difference = std::abs(static_cast<double>(got[i]) - expected[i]);
      // Written so that a NaN counts as infinitely far.
      deviation = difference <= deviation ? deviation : std::isnan(difference) ? INFINITY : difference;
      largest = std::max(largest, std::abs(expected[i]));
    }
    results_.push_back({path, deviation, relative ? allowed * largest : allowed});
  }

  void compare_names(const std::string& path, const Names& got) {
    results_.push_back({path, got == names(path) ? 0 : std::numeric_limits<double>::infinity(), kExact});
  }

  void compare_attribute(const std::string& group, const std::string& name, std::int64_t got) {
    const auto expected = file_.attribute_number<std::int64_t>(group, name);
    results_.push_back({group + "@" + name, std::abs(static_cast<double>(got - expected)), kExact});
  }

  /// What every group holds of the state of a data set.
  void compare_state(const std::string& group, const GeneExpressionDataset& dataset) {
    const std::string at = "expected/" + group;
    compare(at + "/X", dense_of(dataset.X()), kExact);
    compare(at + "/batch_indices", dataset.batch_indices(), kExact);
    compare(at + "/labels", dataset.labels(), kExact);
    compare_names(at + "/gene_names", dataset.gene_names());
    compare(at + "/local_means", dataset.local_means(), kLibrarySize);
    compare(at + "/local_vars", dataset.local_vars(), kLibrarySize);
    compare_attribute(at, "n_batches", dataset.n_batches());
    compare_attribute(at, "n_labels", dataset.n_labels());
    if (!file_.exists(at + "/kept_cells")) return;
    compare(at + "/kept_cells", dataset.original_cells(), kExact);
    compare(at + "/kept_genes", dataset.original_genes(), kExact);
  }

  void compare_selection(const std::string& at, const HighlyVariableGenes& found) {
    compare(at + "/highly_variable", found.highly_variable, kExact);
    compare(at + "/highly_variable_n_batches", found.n_batches, kExact);
    compare(at + "/highly_variable_median_variance", found.variances, kVariance, true);
  }

 private:
  const io::Hdf5File& file_;
  bool sparse_;
  std::vector<DatasetQuantity> results_;
};

/// The data set that most operations start from.
GeneExpressionDataset fresh(const Replay& replay, const std::string& batches = "batch_indices",
                            const std::string& labels = "labels") {
  PopulateOptions options;
  options.batch_indices = replay.numbers("inputs/" + batches);
  options.labels = replay.numbers("inputs/" + labels);
  options.gene_names = replay.names("expected/populate/gene_names");
  options.reference_0_6_3 = true;
  return replay.dataset(std::move(options));
}

/// The same without its empty cell, and with cells numbered anew.
GeneExpressionDataset fresh_without_empty_cells(const Replay& replay, bool one_batch) {
  const GeneExpressionDataset all = fresh(replay);
  const Numbers cells = replay.numbers("inputs/nonempty_cells");
  PopulateOptions options;
  for (const std::int64_t cell : cells) {
    options.batch_indices.push_back(one_batch ? 0 : all.batch_indices()[static_cast<std::size_t>(cell)]);
    options.labels.push_back(all.labels()[static_cast<std::size_t>(cell)]);
  }
  options.gene_names = all.gene_names();
  options.reference_0_6_3 = true;
  GeneExpressionDataset dataset;
  dataset.populate_from_data(all.X().select_cells(cells), std::move(options));
  return dataset;
}

void replay_populating(Replay& replay) {
  replay.compare_state("populate", fresh(replay));
  replay.compare_state("populate_noncontiguous_categories",
                       fresh(replay, "noncontiguous_batch", "noncontiguous_labels"));
}

void replay_filters(Replay& replay) {
  const auto min_count = [&](const std::string& group) {
    return replay.file().attribute_number<double>("expected/" + group, "min_count");
  };
  const auto compare_after = [&](const std::string& group, auto&& operation) {
    GeneExpressionDataset dataset = fresh(replay);
    operation(dataset);
    replay.compare_state(group, dataset);
  };
  compare_after("filter_cells_by_count",
                [&](auto& dataset) { dataset.filter_cells_by_count(min_count("filter_cells_by_count")); });
  compare_after("filter_cells_by_count_1", [](auto& dataset) { dataset.filter_cells_by_count(); });
  compare_after("filter_genes_by_count",
                [&](auto& dataset) { dataset.filter_genes_by_count(min_count("filter_genes_by_count")); });
  compare_after("filter_genes_by_count_per_batch", [&](auto& dataset) {
    dataset.filter_genes_by_count(min_count("filter_genes_by_count_per_batch"), true);
  });
  compare_after("subsample_cells", [&](auto& dataset) {
    replay.compare("expected/subsample_cells/totals", dataset.X().cell_totals(), kExact);
    dataset.subsample_cells(replay.file().attribute_number<std::int64_t>("expected/subsample_cells", "size"));
  });
  const Names first = names_of_json(replay.file().attribute_string("expected/reorder_genes", "first_genes"));
  compare_after("reorder_genes", [&](auto& dataset) { dataset.reorder_genes(first); });
  compare_after("reorder_genes_drop", [&](auto& dataset) { dataset.reorder_genes(first, true); });
}

void replay_selection(Replay& replay) {
  GeneExpressionDataset dataset = fresh(replay);
  const HighlyVariableGenes found =
      dataset.highly_variable_genes({.n_top_genes = 10, .flavor = GeneSelectionMode::variance});
  replay.compare("expected/subsample_genes_variance/variances", found.variances, kVariance, true);
  dataset.subsample_genes({.new_n_genes = 10, .mode = GeneSelectionMode::variance});
  replay.compare_state("subsample_genes_variance", dataset);
  dataset = fresh(replay);
  dataset.subsample_genes({.new_ratio_genes = 0.4, .mode = GeneSelectionMode::variance});
  replay.compare_state("subsample_genes_variance_ratio0.4", dataset);
  for (const std::string group : {"seurat_v3_multi_batch", "seurat_v3_one_batch"}) {
    dataset = fresh_without_empty_cells(replay, group == "seurat_v3_one_batch");
    const auto n = replay.file().attribute_number<std::int64_t>("expected/" + group, "n_top_genes");
    replay.compare_selection("expected/" + group,
                             dataset.highly_variable_genes({.n_top_genes = n, .reference_0_6_3 = true}));
    dataset.subsample_genes({.new_n_genes = n, .reference_0_6_3 = true});
    replay.compare_state(group, dataset);
  }
}

void replay_corruption(Replay& replay) {
  for (const auto& [name, corruption] : {std::pair<std::string, Corruption>{"corrupt_uniform", Corruption::uniform},
                                         {"corrupt_binomial", Corruption::binomial}}) {
    GeneExpressionDataset dataset = fresh(replay);
    dataset.corrupt(corruption,
                    {replay.numbers("noise/" + name + "/choice"), replay.numbers("noise/" + name + "/binomial")});
    replay.compare("expected/" + name + "/corrupted_X", dense_of(dataset.corrupted_X()), kExact);
  }
}

void replay_raw_counts_properties(Replay& replay) {
  GeneExpressionDataset dataset = fresh(replay);
  dataset.update_cells(replay.numbers("inputs/nonempty_cells"));
  const auto marked = [&](const std::string& path) {
    const Numbers mask = replay.numbers(path);
    Numbers cells;
    for (std::size_t cell = 0; cell < mask.size(); ++cell) {
      if (mask[cell] != 0) cells.push_back(static_cast<std::int64_t>(cell));
    }
    return cells;
  };
  const RawCountsProperties found =
      dataset.raw_counts_properties(marked("inputs/rcp_idx1"), marked("inputs/rcp_idx2"));
  const std::string at = "expected/raw_counts_properties/";
  for (const auto& [name, values] : {std::pair{"mean1", &found.mean1},
                                     {"mean2", &found.mean2},
                                     {"nonz1", &found.nonz1},
                                     {"nonz2", &found.nonz2},
                                     {"norm_mean1", &found.norm_mean1},
                                     {"norm_mean2", &found.norm_mean2}}) {
    replay.compare(at + name, *values, kMeans, true);
  }
}

GeneExpressionDataset input_to_merge(const Replay& replay, int number) {
  const std::string at = "inputs/merge/dataset_" + std::to_string(number) + "/";
  PopulateOptions options;
  options.batch_indices = replay.numbers(at + "batch_indices");
  options.labels = replay.numbers(at + "labels");
  options.gene_names = replay.names(at + "gene_names");
  options.cell_types = replay.names(at + "cell_types");
  options.measurements = {{"protein_expression", replay.file().read<float>(at + "protein_expression").values,
                           "protein_names", replay.names(at + "protein_names")}};
  GeneExpressionDataset dataset;
  dataset.populate_from_data(replay.counts(at + "X"), std::move(options));
  return dataset;
}

void replay_merging(Replay& replay) {
  for (const bool share : {true, false}) {
    for (const bool intersect : {true, false}) {
      const std::string group = std::string("merge_") + (share ? "shared" : "separate") + "_labels_protein_" +
                                (intersect ? "intersection" : "union");
      const GeneExpressionDataset first = input_to_merge(replay, 0);
      const GeneExpressionDataset second = input_to_merge(replay, 1);
      GeneExpressionDataset merged;
      merged.populate_from_datasets(
          {&first, &second},
          {.shared_labels = share, .cell_measurement_intersection = {{"protein_expression", intersect}}});
      replay.compare_state(group, merged);
      const std::string at = "expected/" + group + "/";
      replay.compare_names(at + "cell_types", merged.cell_types());
      const CellMeasurement& proteins = merged.cell_measurement("protein_expression");
      replay.compare_names(at + "protein_names", proteins.columns);
      replay.compare(at + "protein_expression", proteins.data, kExact);
      std::vector<int> mask;
      for (const auto& of_batch : merged.get_batch_mask_cell_measurement("protein_expression")) {
        mask.insert(mask.end(), of_batch.begin(), of_batch.end());
      }
      replay.compare(at + "protein_batch_mask", mask, kExact);
    }
  }
}

}  // namespace

std::vector<DatasetQuantity> replay_dataset_operations(const io::Hdf5File& file, bool sparse) {
  Replay replay(file, sparse);
  replay_populating(replay);
  replay_filters(replay);
  replay_selection(replay);
  replay_corruption(replay);
  replay_raw_counts_properties(replay);
  replay_merging(replay);
  return std::move(replay).results();
}

std::vector<DatasetQuantity> replay_gene_selection(const io::Hdf5File& file, bool sparse) {
  Replay replay(file, sparse);
  PopulateOptions options;
  options.batch_indices = replay.numbers("inputs/batch_indices");
  const GeneExpressionDataset dataset = replay.dataset(std::move(options));
  const auto n = static_cast<std::int64_t>(replay.numbers("expected/seurat_v3/kept_genes").size());
  const HighlyVariableGenes v3 = dataset.highly_variable_genes({.n_top_genes = n, .reference_0_6_3 = true});
  replay.compare_selection("expected/seurat_v3", v3);
  replay.compare("expected/seurat_v3/kept_genes", v3.genes, kExact);
  const HighlyVariableGenes variance =
      dataset.highly_variable_genes({.n_top_genes = n, .flavor = GeneSelectionMode::variance});
  replay.compare("expected/variance/variances", variance.variances, kVariance, true);
  replay.compare("expected/variance/kept_genes", variance.genes, kExact);
  return std::move(replay).results();
}

}  // namespace scvi::parity
