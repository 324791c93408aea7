#include <algorithm>
#include <optional>

#include "cli.hpp"
#include "counts_input.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/anndata.hpp"
#include "scvi/dataset/doublets.hpp"
#include "scvi/dataset/synthetic.hpp"

namespace scvi::app {
namespace {

constexpr const char* kZinbColumns =
    "What zinb writes beside the counts:\n"
    "  var  lfc_GROUP        log2 fold change of the group against the expression that all share; 0: not changed\n"
    "       scale_GROUP      expected part of the counts of a cell; log2 of a quotient of two groups is the change\n"
    "                        that a test of these groups should find\n"
    "       dispersion, zero_inflation   of each gene\n"
    "  obs  cell_type (the group), batch, library (expected total count)";

struct SimulateOptions {
  std::string output;
  std::string kind = "corr";
  std::uint64_t seed = 0;
  bool force = false;
  CommonOptions common;
  SyntheticDatasetOptions plain;
  ZISyntheticDatasetCorrOptions corr;
  SyntheticCountsOptions large;
  SyntheticZinbOptions zinb;
  // Options that several kinds share, each with its own default.
  std::optional<std::int64_t> cells;
  std::optional<std::int64_t> genes;
  std::optional<std::int64_t> batches;
  std::optional<double> batch_effect;
  std::optional<double> library_spread;
  std::optional<double> total;
  // For doublets.
  std::string from;
  CountsInput reading;
  std::string batch_key;
  DoubletOptions doublets;

  /// Hands shared options to the kinds.
  void share() {
    const auto set = [](auto& option, const auto& value) { option = value.value_or(option); };
    set(large.n_cells, cells);
    set(zinb.n_cells, cells);
    set(large.n_genes, genes);
    set(zinb.n_genes, genes);
    set(corr.corr.n_batches, batches);
    set(zinb.n_batches, batches);
    set(corr.corr.batch_effect, batch_effect);
    set(zinb.batch_effect, batch_effect);
    set(corr.corr.library_spread, library_spread);
    set(zinb.library_spread, library_spread);
    set(corr.corr.lam_0, total);
    set(zinb.total, total);
  }
};

GeneExpressionDataset simulate_doublets(SimulateOptions& options) {
  if (options.from.empty()) {
    throw InputError({.problem = "is needed: doublets are sums of two measured cells",
                      .field = "--from",
                      .remedy = "name a file of counts"});
  }
  options.doublets.seed = options.seed;
  LoadOptions load;
  load.batch_key = options.batch_key;
  load.measurements.emplace();
  load.on_duplicate_genes = DuplicateGenes::make_unique;
  return with_simulated_doublets(load_counts(io::open_counts(options.from, open_options(options.reading)), load),
                                 options.doublets);
}

GeneExpressionDataset simulate(SimulateOptions& options) {
  if (options.kind == "doublets") return simulate_doublets(options);
  if (!options.from.empty()) {
    throw InputError({.problem = "is for doublets", .field = "--from", .remedy = "say --kind doublets"});
  }
  options.share();
  if (options.kind == "zinb") {
    options.zinb.seed = options.seed;
    return synthetic_zinb(options.zinb).dataset;
  }
  if (options.kind == "plain") {
    options.plain.seed = options.seed;
    return synthetic_dataset(options.plain);
  }
  if (options.kind == "large") {
    options.large.seed = options.seed;
    return synthetic_counts_like(options.large);
  }
  options.corr.corr.seed = options.seed;
  return options.kind == "zi" ? zi_synthetic_dataset_corr(options.corr).dataset
                              : synthetic_dataset_corr(options.corr.corr).dataset;
}

/// Options of the kinds that draw blocks of genes.
void add_corr_options(CLI::App& app, SimulateOptions& options) {
  SyntheticDatasetCorrOptions& corr = options.corr.corr;
  const char* group = "For corr and zi";
  app.add_option("--cells-per-cluster", corr.n_cells_cluster, "cells of each cluster in each batch")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(group);
  app.add_option("--clusters", corr.n_clusters, "clusters")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(group);
  app.add_option("--genes-high", corr.n_genes_high, "highly expressed genes of each cluster")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(group);
  app.add_option("--overlap", corr.n_overlap, "how many of them the next cluster shares")
      ->check(whole_number(0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--weight-high", corr.weight_high, "weight of a highly expressed gene")
      ->capture_default_str()
      ->group(group);
  app.add_option("--weight-low", corr.weight_low, "weight of any other gene")->capture_default_str()->group(group);
  app.add_option("--dropout-high", options.corr.dropout_coef_high,
                 "technical zeros among highly expressed genes (zi)")
      ->capture_default_str()
      ->group(group);
  app.add_option("--dropout-low", options.corr.dropout_coef_low, "technical zeros among the others (zi)")
      ->capture_default_str()
      ->group(group);
}

void add_zinb_options(CLI::App& app, SyntheticZinbOptions& zinb) {
  const char* group = "For zinb";
  const auto add = [&](const char* name, auto& value, const char* help) {
    return app.add_option(name, value, help)->capture_default_str()->group(group);
  };
  add("--groups", zinb.n_groups, "groups of cells (clusters)")->check(whole_number(1));
  add("--differential", zinb.share_differential, "share of the genes that each group changes");
  add("--lfc-min", zinb.lfc_min, "smallest log2 fold change of these");
  add("--lfc-max", zinb.lfc_max, "largest; sizes are uniform in between");
  add("--up", zinb.share_up, "share of the changes that are increases");
  add("--expression-spread", zinb.expression_spread, "standard deviation of the log expression over genes");
  add("--dispersion", zinb.dispersion, "median theta: the variance of a count is mean + mean^2 / theta");
  add("--dispersion-spread", zinb.dispersion_spread, "standard deviation of the log of theta over genes");
  add("--zero-inflation", zinb.zero_inflation, "mean share of technical zeros (genes: from 0 to twice that)");
}

void add_shared_options(CLI::App& app, SimulateOptions& options) {
  const char* sizes = "For large and zinb";
  app.add_option("--cells", options.cells, "cells (default: large 100,000, zinb 3,000)")
      ->check(whole_number(1))
      ->group(sizes);
  app.add_option("--genes", options.genes, "genes (default: large 720, zinb 1,000)")
      ->check(whole_number(1))
      ->group(sizes);
  const char* group = "For corr, zi and zinb";
  app.add_option("--total", options.total, "expected total count of a cell (default: 50; zinb, its median: 2,000)")
      ->group(group);
  app.add_option("--batches", options.batches, "batches (default: 1)")->check(whole_number(1))->group(group);
  app.add_option("--batch-effect", options.batch_effect,
                 "standard deviation of the log effect of a batch on a gene (default: 0)")
      ->group(group);
  app.add_option("--library-spread", options.library_spread,
                 "standard deviation of the log library size (default: 0; zinb 0.3)")
      ->group(group);
}

void add_doublet_options(CLI::App& app, SimulateOptions& options) {
  const char* group = "For doublets";
  app.add_option("--from", options.from, kAnyCounts)->group(group);
  app.add_option("--doublets", options.doublets.n_doublets, "doublets (default: as many as cells)")
      ->check(whole_number(1))
      ->group(group);
  app.add_option("--batch-key", options.batch_key, "obs column with the batch of each cell: pairs are of one batch")
      ->group(group);
  add_input_options(app, options.reading);
}

std::string summary(const SimulateOptions& options, const GeneExpressionDataset& dataset) {
  std::string line =
      with_thousands(dataset.nb_cells()) + " cells x " + with_thousands(dataset.nb_genes()) + " genes, ";
  if (options.kind == "doublets") {
    const auto& kinds = std::get<std::vector<std::string>>(dataset.cell_attribute("doublet").values);
    return line + with_thousands(std::ranges::count(kinds, "doublet")) +
           " of them doublets (obs/doublet: singlet or doublet; obs/doublet_of: of which cells)";
  }
  return line + std::to_string(dataset.n_batches()) + " batches (obs/batch), " + std::to_string(dataset.n_labels()) +
         " clusters (obs/cell_type)";
}

}  // namespace

int run_simulate(const Arguments& arguments) {
  SimulateOptions options;
  CLI::App app(
      "Writes a synthetic data set with known clusters and batches as .h5ad, or the cells of a file with simulated "
      "doublets.",
      "simulate");
  app.add_option("OUTPUT", options.output, "the .h5ad file to write")->required()->check(not_empty());
  app.add_option(
         "--kind", options.kind,
         "corr (scVI's SyntheticDatasetCorr), zi (with technical zeros), plain (SyntheticDataset), large, "
         "zinb (known fold changes between groups, written as columns of var), doublets (the cells of --from, "
         "and behind them sums of two of them)")
      ->check(one_of({"corr", "zi", "plain", "large", "zinb", "doublets"}))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "seed of the random numbers")->check(whole_number(0))->capture_default_str();
  add_shared_options(app, options);
  add_corr_options(app, options);
  add_zinb_options(app, options.zinb);
  add_doublet_options(app, options);
  app.add_option("--density", options.large.density, "share of counts that are not zero")
      ->capture_default_str()
      ->group("For large");
  app.footer(kZinbColumns);
  add_force_option(app, options.force);
  add_common_options(app, options.common);
  if (!parse(app, arguments)) return 0;
  apply(options.common);

  const GeneExpressionDataset dataset = simulate(options);
  write_dataset_h5ad(dataset, options.output, overwrite_of(options.force));
  log_info("wrote " + options.output + ": " + summary(options, dataset));
  return 0;
}

}  // namespace scvi::app
