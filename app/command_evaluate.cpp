#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/progress.hpp"
#include "scvi/core/text.hpp"
#include "scvi/loader/split.hpp"
#include "scvi/posterior/latent_annotator.hpp"
#include "scvi/posterior/metrics.hpp"

namespace scvi::app {
namespace {

using json = nlohmann::ordered_json;

struct EvaluateOptions {
  std::string run;
  std::string data;
  CountsInput reading;
  std::string memory;
  std::string metrics = "elbo,reconstruction_error,marginal_ll";
  std::string split_key;
  std::string json_path;
  std::string clustering = "kmeans";
  std::string corruption = "uniform";
  double corruption_rate = 0.1;
  MetricOptions computing;
  std::int64_t batch_size = 128;
  std::uint64_t seed = 0;
  std::string device = "auto";
  bool force = false;
  CommonOptions common;
};

/// A set of cells by name, as positions in the data set.
using Sets = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

std::vector<std::int64_t> positions_of(const std::vector<std::int64_t>& rows, const GeneExpressionDataset& dataset,
                                       std::int64_t n_rows) {
  std::vector<std::int64_t> position(static_cast<std::size_t>(n_rows), -1);
  const auto& original = dataset.original_cells();
  for (std::size_t i = 0; i < original.size(); ++i) position[original[i]] = static_cast<std::int64_t>(i);
  std::vector<std::int64_t> found;
  for (const auto row : rows) {
    if (position[row] >= 0) found.push_back(position[row]);
  }
  return found;
}

std::vector<std::int64_t> all_of(const GeneExpressionDataset& dataset) {
  std::vector<std::int64_t> cells;
  for (std::int64_t cell = 0; cell < dataset.nb_cells(); ++cell) cells.push_back(cell);
  return cells;
}

/// What tells the sets apart, kept when the file itself has become a data set.
struct CellsOfFile {
  std::int64_t n_cells = 0;
  std::string fingerprint;
  std::optional<io::Column> split;
};

CellsOfFile cells_of(const io::CountFile& file, const std::string& split_key) {
  CellsOfFile cells{.n_cells = file.obs.n_rows(), .fingerprint = fingerprint_of_cells(file.obs.index), .split = {}};
  if (!split_key.empty()) cells.split = split_column(file, split_key);
  return cells;
}

Sets sets_of(const EvaluateOptions& options, const SavedModel& saved, const CellsOfFile& cells,
             const GeneExpressionDataset& dataset) {
  const auto& data = saved.data;
  if (cells.split) {
    const Split split = split_of(*cells.split, dataset, options.data);
    return {{"train", split.train}, {"test", split.test}, {"validation", split.validation}, {"all", all_of(dataset)}};
  }
  if (cells.n_cells != data.n_cells_in_file || cells.fingerprint != data.fingerprint) {
    log_info("these are not the cells that the model was trained on, so there is no split: all cells are evaluated");
    return {{"all", all_of(dataset)}};
  }
  return {{"train", positions_of(data.train_rows, dataset, cells.n_cells)},
          {"test", positions_of(data.test_rows, dataset, cells.n_cells)},
          {"validation", positions_of(data.validation_rows, dataset, cells.n_cells)},
          {"all", all_of(dataset)}};
}

/// One bar for pieces of work that each report as if they were alone.
class JoinedProgress : public Progress {
 public:
  JoinedProgress(Progress& whole, std::int64_t total) : whole_(whole) { whole_.start("evaluating", total, "step"); }
  ~JoinedProgress() override { whole_.finish(); }

  void start(std::string_view what, std::int64_t total, std::string_view) override {
    what_ = what;
    total_ = total;
  }
  void update(std::int64_t done, std::string_view) override { whole_.update(before_ + done, what_); }
  void finish() override {
    before_ += std::exchange(total_, 0);
    whole_.update(before_, what_);
  }

 private:
  Progress& whole_;
  std::string what_;
  std::int64_t before_ = 0;
  std::int64_t total_ = 0;
};

std::vector<std::string> score_names() {
  std::vector<std::string> names;
  for (const auto& metric : posterior_metrics()) names.push_back(metric.name);
  for (const auto& annotator : baseline_annotators()) names.push_back(annotator.name);
  return names;
}

std::string known_scores() {
  const std::vector<std::string> names = score_names();
  return join_some(names, names.size());
}

/// @param listed what --metrics says. @throws InputError for a name that is not known, and for none
std::vector<std::string> chosen_metrics(const std::string& listed) {
  std::vector<std::string> metrics = split_list(listed);
  if (metrics.empty())
    throw InputError(
        {.problem = "names no metric", .field = "--metrics", .remedy = "give any of: " + known_scores()});
  const std::vector<std::string> names = score_names();
  for (const auto& name : metrics) {
    if (std::ranges::find(names, name) == names.end())
      throw InputError({.problem = "'" + name + "' is not known",
                        .field = "metric",
                        .remedy = suggest(name, names, names.size())});
  }
  return metrics;
}

/// Metrics of a set of cells, and accuracies of classifiers that learned from the train set, by name.
class Scores {
 public:
  /// @param train the cells to learn from, or nothing where there is no split
  Scores(const MetricOptions& options, std::optional<Posterior> train)
      : options_(options), train_(std::move(train)) {}

  /// Nothing where there is no value, which is said.
  std::optional<double> of(const std::string& name, const Posterior& posterior) {
    if (posterior.nb_cells() == 0) return std::nullopt;
    const auto& annotators = baseline_annotators();
    const auto annotator = std::ranges::find(annotators, name, &BaselineAnnotator::name);
    const bool learns = annotator != annotators.end();
    const std::string reason =
        learns ? why_impossible(annotator->kind, posterior) : posterior_metric(name).why_undefined(posterior);
    if (!reason.empty()) {
      log_info(name + " of " + posterior.options().name + " is left out: " + reason);
      return std::nullopt;
    }
    if (!learns) return posterior_metric(name).compute(posterior, options_);
    return learned_.try_emplace(name, annotator->kind, *train_).first->second.accuracy(posterior).unweighted;
  }

 private:
  std::string why_impossible(BaselineAnnotator::Kind kind, const Posterior& posterior) const {
    if (!train_) return "it learns from the train cells, and there is no split (--split-key)";
    if (posterior.with_known_labels().nb_cells() == 0) return "it needs cells whose label is known";
    return LatentAnnotator::why_impossible(kind, *train_);
  }

  MetricOptions options_;
  std::optional<Posterior> train_;
  std::map<std::string, LatentAnnotator> learned_;
};

/// All metrics of all sets.
json scores_of(const Sets& sets, const std::vector<std::string>& metrics, const std::shared_ptr<Model>& model,
               const std::shared_ptr<const GeneExpressionDataset>& dataset, const EvaluateOptions& options) {
  const auto posterior_of = [&](const auto& set) {
    return Posterior(model, dataset, set.second,
                     {.batch_size = options.batch_size, .seed = options.seed, .name = set.first});
  };
  const auto train = std::ranges::find(sets, "train", [](const auto& set) { return set.first; });
  Scores scores(options.computing, train != sets.end() ? std::optional(posterior_of(*train)) : std::nullopt);
  std::int64_t n_steps = 0;
  for (const auto& [name, cells] : sets) n_steps += std::ssize(cells) * std::ssize(metrics);
  const auto bar = make_terminal_progress(!options.common.no_progress);
  JoinedProgress progress(*bar, n_steps);
  json result = json::object();
  for (const auto& set : sets) {
    Posterior posterior = posterior_of(set);
    posterior.set_progress(&progress);
    json& values = result[set.first];
    for (const auto& metric : metrics) {
      const auto value = scores.of(metric, posterior);
      values[metric] = value && std::isfinite(*value) ? json(*value) : json();
    }
    values["n_cells"] = posterior.nb_cells();
  }
  return result;
}

/// Makes the counts that imputation scores are about.
void corrupt_if_asked(const std::vector<std::string>& metrics, const EvaluateOptions& options,
                      GeneExpressionDataset& dataset) {
  const bool asked =
      std::any_of(metrics.begin(), metrics.end(), [](const auto& name) { return name.starts_with("imputation_"); });
  if (!asked) return;
  dataset.corrupt(
      {.rate = options.corruption_rate, .corruption = parse_corruption(options.corruption), .seed = options.seed});
}

void print_table(const json& result, const std::vector<std::string>& metrics) {
  const auto cell = [](const std::string& text, std::size_t width) {
    return text + std::string(width > text.size() ? width - text.size() : 1, ' ');
  };
  std::cout << cell("set", 12) << cell("cells", 10);
  for (const auto& name : metrics) std::cout << cell(name, 22);
  std::cout << "\n";
  for (const auto& [set, values] : result.items()) {
    std::cout << cell(set, 12) << cell(std::to_string(values.at("n_cells").get<std::int64_t>()), 10);
    for (const auto& name : metrics) {
      char number[32];
      if (!values.at(name).is_null()) std::snprintf(number, sizeof number, "%.4f", values.at(name).get<double>());
      std::cout << cell(values.at(name).is_null() ? "-" : number, 22);
    }
    std::cout << "\n";
  }
}

int evaluate(const Arguments& arguments) {
  EvaluateOptions options;
  CLI::App app(
      "Says how well a trained model describes cells, apart for those that trained, tested and validated.\n"
      "Likelihoods are negative and per cell, in nats: lower is better. Labels are those of the column that the "
      "model was\n"
      "trained with (--labels-key). The accuracies are of plain classifiers of the latent space that learn the "
      "labels of\n"
      "the train cells: those of the test cells are the ones to look at.",
      "evaluate");
  app.add_option("RUN", options.run, "the folder that `scvi train` wrote")->required()->check(not_empty());
  app.add_option("DATA", options.data, kAnyCounts)->required()->check(not_empty());
  app.add_option("--json", options.json_path, "write the numbers to this file ('-': standard output)");
  app.add_option("--metrics", options.metrics, "any of: " + known_scores())->capture_default_str();
  add_input_options(app, options.reading);
  add_memory_option(app, options.memory);
  app.add_option("--split-key", options.split_key,
                 "obs column that says train, test or validation (default: the split of the training)");
  app.add_option("--clustering", options.clustering,
                 "kmeans or gmm (a Gaussian mixture): what finds the clusters of nmi, ari and uca")
      ->check(one_of({"kmeans", "gmm"}))
      ->capture_default_str();
  app.add_option("--mc-samples", options.computing.n_mc_samples, "samples for the marginal likelihood")
      ->check(whole_number(1, 1000000))
      ->capture_default_str();
  app.add_option(
         "--corruption", options.corruption,
         "what is done to the counts for the imputation scores: uniform loses a tenth of some that are not 0, "
         "binomial leaves a fifth of what some entries count")
      ->check(one_of({"uniform", "binomial"}))
      ->capture_default_str();
  app.add_option("--corruption-rate", options.corruption_rate, "the part of them that it is done to")
      ->check(number(0, 1))
      ->capture_default_str();
  app.add_option("--imputation-samples", options.computing.n_imputation_samples,
                 "samples of what is put in place of corrupted counts")
      ->check(whole_number(1, 100000))
      ->capture_default_str();
  add_batch_size_option(app, options.batch_size);
  app.add_option("--seed", options.seed, "seed of the draws")->check(whole_number(0))->capture_default_str();
  add_device_option(app, options.device);
  add_force_option(app, options.force);
  add_kernel_option(app, options.common);
  add_common_options(app, options.common);
  if (!parse(app, arguments)) return 0;
  apply(options.common);

  const std::vector<std::string> metrics = chosen_metrics(options.metrics);
  options.computing.clustering = parse_prediction_algorithm(options.clustering);
  const bool to_file = !options.json_path.empty() && options.json_path != "-";
  if (to_file) {
    const AtomicFile probe(options.json_path, overwrite_of(options.force));
  }
  const std::int64_t memory = parse_memory(options.memory);
  const c10::Device device = device_of(options.device);
  SavedModel saved = load_model(options.run);
  io::CountFile file = open_for_model(options.data, saved, options.reading, app.count("--layer") > 0);
  const CellsOfFile cells = cells_of(file, options.split_key);
  const auto dataset = load_for_model(std::move(file), saved,
                                      {.drop_empty_cells = true,
                                       .with_batches = true,
                                       .keep_attributes = false,
                                       .memory = memory,
                                       .batch_size = options.batch_size});
  corrupt_if_asked(metrics, options, *dataset);
  saved.model->to(device);

  Sets sets = sets_of(options, saved, cells, *dataset);
  if (dataset->X().store()) {
    // Every block of counts is then read once for a set.
    for (auto& [name, of_set] : sets) std::sort(of_set.begin(), of_set.end());
  }
  const json result = scores_of(sets, metrics, saved.model, dataset, options);
  if (options.json_path == "-") {
    std::cout << result.dump(1) << "\n";
    return 0;
  }
  print_table(result, metrics);
  if (to_file) {
    const std::string text = result.dump(1) + "\n";
    AtomicFile output(options.json_path, overwrite_of(options.force));
    output.write(text.data(), text.size());
    output.commit();
  }
  return 0;
}

}  // namespace

int run_evaluate(const Arguments& arguments) {
  return with_plain_errors(evaluate, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_evaluate(const scvi::app::Arguments& arguments) {
  return scvi::app::run_evaluate(arguments);
}
