#include <iostream>

#include "cli.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/anndata.hpp"
#include "scvi/dataset/synthetic.hpp"

namespace scvi::app {
namespace {

struct SimulateOptions {
  std::string output;
  std::string kind = "corr";
  std::uint64_t seed = 0;
  bool force = false;
  CommonOptions common;
  SyntheticDatasetOptions plain;
  ZISyntheticDatasetCorrOptions corr;
  SyntheticCountsOptions large;
};

GeneExpressionDataset simulate(SimulateOptions& options) {
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

}  // namespace

int run_simulate(const Arguments& arguments) {
  SimulateOptions options;
  CLI::App app("Writes a synthetic data set with known clusters and batches as .h5ad.", "simulate");
  app.add_option("OUTPUT", options.output, "the .h5ad file to write")->required()->check(not_empty());
  app.add_option("--kind", options.kind,
                 "corr (scVI's SyntheticDatasetCorr), zi (with technical zeros), plain (SyntheticDataset), large")
      ->check(one_of({"corr", "zi", "plain", "large"}))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "seed of the random numbers")->check(whole_number(0))->capture_default_str();
  auto& corr = options.corr.corr;
  const char* corr_group = "For corr and zi";
  app.add_option("--cells-per-cluster", corr.n_cells_cluster, "cells of each cluster in each batch")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--clusters", corr.n_clusters, "clusters")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--genes-high", corr.n_genes_high, "highly expressed genes of each cluster")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--overlap", corr.n_overlap, "how many of them the next cluster shares")
      ->check(whole_number(0))
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--weight-high", corr.weight_high, "weight of a highly expressed gene")
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--weight-low", corr.weight_low, "weight of any other gene")
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--total", corr.lam_0, "expected total count of a cell")->capture_default_str()->group(corr_group);
  app.add_option("--batches", corr.n_batches, "batches")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--batch-effect", corr.batch_effect, "standard deviation of the log effect of a batch on a gene")
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--library-spread", corr.library_spread, "standard deviation of the log library size")
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--dropout-high", options.corr.dropout_coef_high,
                 "technical zeros among highly expressed genes (zi)")
      ->capture_default_str()
      ->group(corr_group);
  app.add_option("--dropout-low", options.corr.dropout_coef_low, "technical zeros among the others (zi)")
      ->capture_default_str()
      ->group(corr_group);
  const char* large_group = "For large";
  app.add_option("--cells", options.large.n_cells, "cells")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(large_group);
  app.add_option("--genes", options.large.n_genes, "genes")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(large_group);
  app.add_option("--density", options.large.density, "share of counts that are not zero")
      ->capture_default_str()
      ->group(large_group);
  add_force_option(app, options.force);
  add_common_options(app, options.common);
  if (!parse(app, arguments)) return 0;
  apply(options.common);

  const GeneExpressionDataset dataset = simulate(options);
  write_dataset_h5ad(dataset, options.output, overwrite_of(options.force));
  log_info("wrote " + with_thousands(dataset.nb_cells()) + " cells x " + with_thousands(dataset.nb_genes()) +
           " genes, " + std::to_string(dataset.n_batches()) + " batches (obs/batch), " +
           std::to_string(dataset.n_labels()) + " clusters (obs/cell_type) to " + options.output);
  return 0;
}

}  // namespace scvi::app
