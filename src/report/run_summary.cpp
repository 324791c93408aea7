#include "run_summary.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"

namespace scvi::report {
namespace {

using json = nlohmann::ordered_json;

json parsed(const std::string& path) {
  try {
    return json::parse(read_file(path));
  } catch (const json::exception&) {
    throw FormatError({.problem = "is not JSON", .file = path});
  }
}

/// A value as people read it.
std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::vector<std::pair<std::string, std::string>> texts_of(const json& dictionary) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (const auto& [name, value] : dictionary.items()) texts.emplace_back(name, text_of(value));
  return texts;
}

std::int64_t size_of(const json& data, const char* name) {
  return data.contains(name) ? static_cast<std::int64_t>(data.at(name).size()) : 0;
}

RunSummary summary_of(const json& model) {
  RunSummary summary;
  summary.model = model.at("model").get<std::string>();
  summary.hyperparameters = texts_of(model.at("hyperparameters"));
  summary.training = texts_of(model.at("training"));
  const json& software = model.at("software");
  summary.software =
      "scvi-cpp " + text_of(software.at("scvi_cpp")) + ", LibTorch " + text_of(software.at("libtorch"));
  const json& data = model.at("data");
  summary.source = data.at("source").get<std::string>();
  summary.layer = data.at("layer").get<std::string>();
  summary.batch_key = data.at("batch_key").get<std::string>();
  summary.labels_key = data.at("labels_key").get<std::string>();
  summary.n_genes = size_of(data, "gene_names");
  summary.n_batches = size_of(data, "batch_names");
  summary.n_labels = size_of(data, "label_names");
  summary.n_train = size_of(data, "train_rows");
  summary.n_test = size_of(data, "test_rows");
  return summary;
}

ScoreTable scores_of(const json& sets) {
  ScoreTable table;
  std::vector<std::string> metrics;
  for (const auto& [set, values] : sets.items()) {
    if (values.value("n_cells", std::int64_t{0}) == 0) continue;
    table.sets.push_back(set);
    for (const auto& [metric, value] : values.items()) {
      if (metric != "n_cells" && std::ranges::find(metrics, metric) == metrics.end()) metrics.push_back(metric);
    }
  }
  for (const std::string& metric : metrics) {
    std::vector<double> row;
    for (const std::string& set : table.sets) {
      const json& values = sets.at(set);
      const bool there = values.contains(metric) && values.at(metric).is_number();
      row.push_back(there ? values.at(metric).get<double>() : std::nan(""));
    }
    if (std::ranges::all_of(row, [](double value) { return std::isnan(value); })) continue;
    table.metrics.push_back(metric);
    table.values.push_back(std::move(row));
  }
  return table;
}

}  // namespace

RunSummary read_run_summary(const std::string& run) {
  const std::string path = run + "/model.json";
  if (!std::filesystem::exists(path)) {
    throw InputError({.problem = "holds no finished model (no model.json)",
                      .file = run,
                      .remedy = "give the folder that `scvi train` wrote"});
  }
  try {
    return summary_of(parsed(path));
  } catch (const json::exception& error) {
    throw FormatError({.problem = "is not a model that `scvi train` wrote", .file = path});
  }
}

ScoreTable read_scores(const std::string& path) {
  try {
    return scores_of(parsed(path));
  } catch (const json::exception&) {
    throw FormatError(
        {.problem = "holds no scores", .file = path, .remedy = "give what `scvi evaluate --json` wrote"});
  }
}

}  // namespace scvi::report
