#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace scvi::report {

/// What model.json says of a trained model.
struct RunSummary {
  std::string model;
  std::vector<std::pair<std::string, std::string>> hyperparameters;
  std::vector<std::pair<std::string, std::string>> training;
  std::string software;  ///< "scvi-cpp 0.1.0, LibTorch 1.13.0"
  std::string source;
  std::string layer;
  std::string batch_key;
  std::string labels_key;
  std::int64_t n_genes = 0;
  std::int64_t n_batches = 0;
  std::int64_t n_labels = 0;
  std::int64_t n_train = 0;
  std::int64_t n_test = 0;
};

/// @throws InputError when the folder holds no finished model, FormatError when its model.json is damaged
RunSummary read_run_summary(const std::string& run);

/// Scores of sets of cells.
struct ScoreTable {
  std::vector<std::string> sets;
  std::vector<std::string> metrics;
  std::vector<std::vector<double>> values;  ///< (metrics, sets); NaN: none
};

/// Reads what `scvi evaluate --json` wrote; sets without cells and metrics without values are left out.
/// @throws FormatError, IoError
ScoreTable read_scores(const std::string& path);

}  // namespace scvi::report
