#include <cmath>
#include <iostream>

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

struct EmbedOptions {
  std::string run;
  std::string data;
  std::string output;
  CountsInput reading;
  std::string memory;
  std::string key = "X_scVI";
  std::string library_key = "library_size";
  std::int64_t batch_size = 512;
  std::uint64_t seed = 0;
  std::string device = "auto";
  bool force = false;
  CommonOptions common;
};

/// The latent space, which is there twice while it is written, and the library size.
std::int64_t result_bytes_per_cell(const Model& model) {
  const auto n_latent = std::get<std::int64_t>(model.hyperparameters().at("n_latent"));
  return 2 * n_latent * static_cast<std::int64_t>(sizeof(float)) + 2 * static_cast<std::int64_t>(sizeof(double));
}

int embed(const Arguments& arguments) {
  EmbedOptions options;
  CLI::App app(
      "Writes a copy of the data as .h5ad, with the latent space of every cell (obsm) and its library size (obs).",
      "embed");
  app.add_option("RUN", options.run, "the folder that `scvi train` wrote")->required()->check(not_empty());
  app.add_option("DATA", options.data, kAnyCounts)->required()->check(not_empty());
  app.add_option("--output,-o", options.output, "the .h5ad file to write")->required()->check(not_empty());
  add_input_options(app, options.reading);
  add_memory_option(app, options.memory);
  app.add_option("--key", options.key, "name of the latent space in obsm")->capture_default_str();
  app.add_option("--library-key", options.library_key, "obs column for the library size that the model infers")
      ->capture_default_str();
  add_batch_size_option(app, options.batch_size);
  app.add_option("--seed", options.seed, "seed of the draws (a logistic-normal latent space needs them)")
      ->check(whole_number(0))
      ->capture_default_str();
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
  SavedModel saved = load_latent_model(options.run);
  const bool layer_given = app.count("--layer") > 0;
  const auto dataset = load_for_model(open_for_model(options.data, saved, options.reading, layer_given), saved,
                                      {.drop_empty_cells = false,
                                       .with_batches = false,
                                       .keep_attributes = false,
                                       .memory = memory,
                                       .batch_size = options.batch_size,
                                       .result_bytes_per_cell = result_bytes_per_cell(*saved.model)});
  saved.model->to(device);
  auto posterior = Posterior::of_all_cells(saved.model, dataset,
                                           {.batch_size = options.batch_size, .seed = options.seed, .name = "embed"});
  const auto progress = make_terminal_progress(!options.common.no_progress);
  if (posterior.nb_cells() >= kCellsWorthReporting) posterior.set_progress(progress.get());
  CellArray latent = posterior.get_latent().z;
  const CellArray log_library = posterior.get_library();
  std::vector<double> library;
  for (const float value : log_library.values) library.push_back(std::exp(static_cast<double>(value)));

  io::H5adAdditions additions;
  additions.obs.push_back({.name = options.library_key, .values = std::move(library), .missing = {}});
  additions.obsm.emplace_back(
      options.key,
      io::FloatArray{.n_rows = latent.n_cells, .n_cols = latent.n_columns, .values = std::move(latent.values)});
  io::copy_counts_with(options.data, options.output, additions, open_options(options.reading),
                       overwrite_of(options.force));
  log_info("wrote " + options.output + ": obsm/" + options.key + " (" + with_thousands(latent.n_cells) + " cells x " +
           std::to_string(latent.n_columns) + " dimensions), obs/" + options.library_key);
  return 0;
}

}  // namespace

int run_embed(const Arguments& arguments) {
  return with_plain_errors(embed, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_embed(const scvi::app::Arguments& arguments) {
  return scvi::app::run_embed(arguments);
}
