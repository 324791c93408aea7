#include "cli.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/posterior/posterior.hpp"
#include "told_labels.hpp"

namespace scvi::app {
namespace {

struct AnnotateOptions {
  std::string run;
  std::string data;
  ToldLabelsOutput output;
  CountsInput reading;
  std::string memory;
  std::int64_t batch_size = 512;
  std::string device = "auto";
  CommonOptions common;
};

int annotate(const Arguments& arguments) {
  AnnotateOptions options;
  CLI::App app(
      "Writes a copy of the data as .h5ad, with the cell type that a model told of labels (scanvi, vaec, classifier) "
      "tells for every cell, its probability, and its margin over the second one (obs). The labels in the data are "
      "not "
      "read.",
      "annotate");
  app.add_option("RUN", options.run, "the folder that `scvi train` wrote")->required()->check(not_empty());
  app.add_option("DATA", options.data, kAnyCounts)->required()->check(not_empty());
  add_told_labels_options(app, options.output);
  add_input_options(app, options.reading);
  add_memory_option(app, options.memory);
  add_batch_size_option(app, options.batch_size);
  add_device_option(app, options.device);
  add_kernel_option(app, options.common);
  add_common_options(app, options.common);
  if (!parse(app, arguments)) return 0;
  apply(options.common);

  const std::int64_t memory = parse_memory(options.memory);
  check_output(options.output);
  const c10::Device device = device_of(options.device);
  const SavedModel saved = load_model(options.run);
  if (!model_spec(saved.model->name()).tells_labels) {
    throw InputError({.problem = "holds a model that tells no labels (" + saved.model->name() + ")",
                      .file = options.run,
                      .remedy = "train one with --model scanvi, or use `scvi classify`"});
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
  write_told_labels(tell_labels(posterior), saved.data.label_names, *dataset, options.data, options.reading,
                    options.output);
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
