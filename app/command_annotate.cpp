#include <algorithm>
#include <cmath>

#include "cli.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/convert.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi::app {
namespace {

struct AnnotateOptions {
  std::string run;
  std::string data;
  std::string output;
  CountsInput reading;
  std::string memory;
  std::string key = "scvi_label";
  std::int64_t batch_size = 512;
  std::string device = "auto";
  bool force = false;
  CommonOptions common;
};

/// The most probable label of each cell, its probability, and how far ahead it is of the second.
std::vector<io::Column> annotation(const CellArray& probabilities, const std::vector<std::string>& label_names,
                                   const std::string& key) {
  io::Categorical labels{.codes = {}, .categories = label_names};
  std::vector<double> best, margin;
  const std::int64_t n_labels = probabilities.n_columns;
  for (std::int64_t cell = 0; cell < probabilities.n_cells; ++cell) {
    std::vector<float> row(probabilities.values.begin() + cell * n_labels,
                           probabilities.values.begin() + (cell + 1) * n_labels);
    labels.codes.push_back(static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
    std::nth_element(row.begin(), row.begin() + 1, row.end(), std::greater<>());
    best.push_back(row[0]);
    margin.push_back(static_cast<double>(row[0]) - row[1]);
  }
  return {{.name = key, .values = std::move(labels), .missing = {}},
          {.name = key + "_probability", .values = std::move(best), .missing = {}},
          {.name = key + "_margin", .values = std::move(margin), .missing = {}}};
}

int annotate(const Arguments& arguments) {
  AnnotateOptions options;
  CLI::App app(
      "Writes a copy of the data as .h5ad, with the cell type that a model told of labels (scanvi, vaec) tells for "
      "every cell, its probability, and its margin over the second one (obs). The labels in the data are not read.",
      "annotate");
  app.add_option("RUN", options.run, "the folder that `scvi train` wrote")->required()->check(not_empty());
  app.add_option("DATA", options.data, kAnyCounts)->required()->check(not_empty());
  app.add_option("--output,-o", options.output, "the .h5ad file to write")->required()->check(not_empty());
  add_input_options(app, options.reading);
  add_memory_option(app, options.memory);
  app.add_option("--key", options.key, "obs column for the cell type; _probability and _margin follow it")
      ->check(not_empty())
      ->capture_default_str();
  add_batch_size_option(app, options.batch_size);
  add_device_option(app, options.device);
  add_force_option(app, options.force);
  add_kernel_option(app, options.common);
  add_common_options(app, options.common);
  if (!parse(app, arguments)) return 0;
  apply(options.common);

  const std::int64_t memory = parse_memory(options.memory);
  // Refuse what cannot be written before the work, not after.
  { const AtomicFile probe(options.output, overwrite_of(options.force)); }
  const c10::Device device = device_of(options.device);
  const SavedModel saved = load_model(options.run);
  if (!model_spec(saved.model->name()).tells_labels) {
    throw InputError({.problem = "holds a model that tells no labels (" + saved.model->name() + ")",
                      .file = options.run,
                      .remedy = "train one with --model scanvi"});
  }
  const auto dataset =
      load_for_model(open_for_model(options.data, saved, options.reading, app.count("--layer") > 0), saved,
                     {.drop_empty_cells = false,
                      .with_batches = false,
                      .keep_attributes = false,
                      .memory = memory,
                      .batch_size = options.batch_size,
                      .result_bytes_per_cell = (saved.model->shape().n_labels + 4) * 8});
  saved.model->to(device);
  auto posterior =
      Posterior::of_all_cells(saved.model, dataset, {.batch_size = options.batch_size, .name = "annotate"});
  const auto progress = make_terminal_progress(!options.common.no_progress);
  if (posterior.nb_cells() >= kCellsWorthReporting) posterior.set_progress(progress.get());
  io::H5adAdditions additions;
  additions.obs = annotation(posterior.get_label_probabilities(), saved.data.label_names, options.key);
  io::copy_counts_with(options.data, options.output, additions, open_options(options.reading),
                       overwrite_of(options.force));
  log_info("wrote " + options.output + ": obs/" + options.key + ", " + options.key + "_probability and " +
           options.key + "_margin of " + with_thousands(posterior.nb_cells()) + " cells (" +
           std::to_string(saved.data.label_names.size()) + " labels)");
  return 0;
}

}  // namespace

int run_annotate(const Arguments& arguments) {
  return with_plain_errors(annotate, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_annotate(const scvi::app::Arguments& arguments) {
  return scvi::app::run_annotate(arguments);
}
