#include <algorithm>
#include <cmath>
#include <span>

#include "cli.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/progress.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/convert.hpp"
#include "scvi/posterior/cell_map_file.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi::app {
namespace {

struct ClusterCommandOptions {
  std::string run;
  std::string data;
  std::string representation;  ///< key of obsm; "": the latent space of the run
  std::string output;
  CountsInput reading;
  std::string memory;
  std::string key = "X_scVI";
  std::string cluster_key = "leiden";
  bool no_umap = false;
  CellMapOptions map;
  std::int64_t batch_size = 512;
  std::string device = "auto";
  bool force = false;
  bool layer_given = false;
  CommonOptions common;
};

/// The cells as points, whichever way they were had.
struct Representation {
  std::string name;
  std::int64_t n_cells = 0;
  std::int64_t n_columns = 0;
  std::vector<double> values;  ///< (n_cells, n_columns)
  bool is_new = false;         ///< to be written with the rest
};

void add_map_options(CLI::App& app, ClusterCommandOptions& options) {
  app.add_option("--n-neighbors", options.map.n_neighbors, "neighbours of each cell, itself counted")
      ->check(whole_number(2, 1000))
      ->capture_default_str();
  app.add_option("--resolution", options.map.resolution, "of the Leiden clusters; larger: more of them")
      ->check(number(0))
      ->capture_default_str();
  app.add_option("--cluster-key", options.cluster_key, "obs column for the clusters")
      ->check(not_empty())
      ->capture_default_str();
  app.add_option("--min-dist", options.map.min_dist, "how near cells may lie on the UMAP")
      ->check(number(0))
      ->capture_default_str();
  app.add_option("--spread", options.map.spread, "scale of the UMAP")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--umap-epochs", options.map.n_epochs, "rounds of the UMAP (0: 500 up to 10,000 cells, else 200)")
      ->check(whole_number(0, 100000))
      ->capture_default_str();
  app.add_flag("--no-umap", options.no_umap, "leave the UMAP out");
  app.add_flag("--tsne", options.map.with_tsne, "make a t-SNE, too");
  app.add_option("--perplexity", options.map.perplexity, "of the t-SNE: about how many neighbours count")
      ->check(number(1))
      ->capture_default_str();
}

void add_model_options(CLI::App& app, ClusterCommandOptions& options) {
  app.add_option("--key", options.key, "name of the latent space in obsm")->check(not_empty())->capture_default_str();
  add_memory_option(app, options.memory);
  add_batch_size_option(app, options.batch_size);
  add_device_option(app, options.device);
  add_kernel_option(app, options.common);
}

/// @returns false when only help was asked for
bool parse_options(const Arguments& arguments, ClusterCommandOptions& options) {
  CLI::App app(
      "Writes a copy of the data as .h5ad with neighbours, Leiden clusters and a UMAP of the cells, where scanpy\n"
      "looks for them: obsp, uns/neighbors, obs/leiden, obsm/X_umap.\n"
      "  scvi cluster RUN DATA -o OUT.h5ad              in the latent space of a trained model\n"
      "  scvi cluster DATA --rep X_pca -o OUT.h5ad      in a space that the file holds in obsm",
      "cluster");
  app.add_option("RUN", options.run, "the folder that `scvi train` wrote; left out with --rep")
      ->required()
      ->check(not_empty());
  app.add_option("DATA", options.data, kAnyCounts)->check(not_empty());
  app.add_option("--output,-o", options.output, "the .h5ad file to write")->required()->check(not_empty());
  app.add_option("--rep", options.representation, "the space in obsm (of an .h5ad) instead of a model's")
      ->check(not_empty());
  add_map_options(app, options);
  app.add_option("--seed", options.map.seed, "seed of all that is random")
      ->check(whole_number(0))
      ->capture_default_str();
  add_input_options(app, options.reading);
  add_model_options(app, options);
  add_force_option(app, options.force);
  add_common_options(app, options.common);
  if (!parse(app, arguments)) return false;
  options.map.with_umap = !options.no_umap;
  options.layer_given = app.count("--layer") > 0;
  if (options.representation.empty() == options.data.empty())
    throw InputError({.problem = options.data.empty() ? "is missing" : "is not needed with --rep",
                      .field = options.data.empty() ? "DATA" : "RUN",
                      .remedy = "give RUN and DATA, or DATA and --rep"});
  if (!options.representation.empty()) {
    for (const char* option : {"--key", "--memory", "--batch-size", "--device"}) {
      if (app.count(option) > 0) throw InputError({.problem = "is of no use with --rep", .field = option});
    }
  }
  if (options.data.empty()) std::swap(options.run, options.data);
  return true;
}

/// The latent space, which is there twice, and the graph and maps: a distance, a place, and about two connectivities
/// of each neighbour.
std::int64_t result_bytes_per_cell(const Model& model, const ClusterCommandOptions& options) {
  constexpr std::int64_t kBytesPerNeighbor = 80, kBytesOfMaps = 64;
  const auto n_latent = std::get<std::int64_t>(model.hyperparameters().at("n_latent"));
  return 3 * n_latent * static_cast<std::int64_t>(sizeof(double)) + kBytesPerNeighbor * options.map.n_neighbors +
         kBytesOfMaps;
}

Representation latent_space(const ClusterCommandOptions& options, Progress& progress) {
  const std::int64_t memory = parse_memory(options.memory);
  const c10::Device device = device_of(options.device);
  SavedModel saved = load_latent_model(options.run);
  const auto dataset =
      load_for_model(open_for_model(options.data, saved, options.reading, options.layer_given), saved,
                     {.drop_empty_cells = false,
                      .with_batches = false,
                      .keep_attributes = false,
                      .memory = memory,
                      .batch_size = options.batch_size,
                      .result_bytes_per_cell = result_bytes_per_cell(*saved.model, options)});
  saved.model->to(device);
  auto posterior = Posterior::of_all_cells(
      saved.model, dataset, {.batch_size = options.batch_size, .seed = options.map.seed, .name = "cluster"});
  if (posterior.nb_cells() >= kCellsWorthReporting) posterior.set_progress(&progress);
  const CellArray latent = posterior.get_latent().z;
  return {.name = options.key,
          .n_cells = latent.n_cells,
          .n_columns = latent.n_columns,
          .values = {latent.values.begin(), latent.values.end()},
          .is_new = true};
}

Representation stored_space(const ClusterCommandOptions& options) {
  const io::H5adFile file(options.data);
  io::DenseArray array = file.obsm(options.representation);
  const auto odd = std::ranges::find_if(array.values, [](double value) { return !std::isfinite(value); });
  if (odd != array.values.end()) {
    const std::int64_t at = odd - array.values.begin();
    throw InputError({.problem = "is " + std::to_string(*odd) + ", but distances need finite values",
                      .file = options.data,
                      .field = "obsm/" + options.representation + ", cell '" + file.obs().index[at / array.n_cols] +
                               "', column " + std::to_string(at % array.n_cols)});
  }
  return {.name = options.representation,
          .n_cells = array.n_rows,
          .n_columns = array.n_cols,
          .values = std::move(array.values)};
}

std::string what_was_written(const ClusterCommandOptions& options, const Representation& cells,
                             const LeidenResult& clusters) {
  const auto count = [&](std::int64_t cluster) {
    return with_thousands(std::ranges::count(clusters.labels, cluster));
  };
  std::string text = (cells.is_new ? "obsm/" + cells.name + ", " : "") + "obs/" + options.cluster_key + " (" +
                     std::to_string(clusters.n_clusters) + " clusters of " + count(clusters.n_clusters - 1) + " to " +
                     count(0) + " cells)";
  if (options.map.with_umap) text += ", obsm/X_umap";
  if (options.map.with_tsne) text += ", obsm/X_tsne";
  return text + ", obsp/connectivities, obsp/distances";
}

int cluster(const Arguments& arguments) {
  ClusterCommandOptions options;
  if (!parse_options(arguments, options)) return 0;
  apply(options.common);
  // Refuse what cannot be written before the work, not after.
  { const AtomicFile probe(options.output, overwrite_of(options.force)); }
  const auto progress = make_terminal_progress(!options.common.no_progress);
  const Representation cells =
      options.representation.empty() ? latent_space(options, *progress) : stored_space(options);
  constexpr std::int64_t kCellsWorthWaiting = 2000;
  CellMap map = map_cells(Points(cells.values, cells.n_cells, cells.n_columns), options.map,
                          cells.n_cells >= kCellsWorthWaiting ? progress.get() : nullptr);
  const std::string written = what_was_written(options, cells, map.clusters);
  io::H5adAdditions additions =
      additions_of(std::move(map), options.map, {.representation = cells.name, .clusters = options.cluster_key});
  if (cells.is_new)
    additions.obsm.emplace_back(cells.name, io::FloatArray{.n_rows = cells.n_cells,
                                                           .n_cols = cells.n_columns,
                                                           .values = {cells.values.begin(), cells.values.end()}});
  io::copy_counts_with(options.data, options.output, additions, open_options(options.reading),
                       overwrite_of(options.force));
  log_info("wrote " + options.output + ": " + written);
  return 0;
}

}  // namespace

int run_cluster(const Arguments& arguments) {
  return with_plain_errors(cluster, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_cluster(const scvi::app::Arguments& arguments) {
  return scvi::app::run_cluster(arguments);
}
