// bench_de RUN DATA.h5ad GROUPBY BATCH_KEY [ROUNDS]: one_vs_all_degenes() in change mode with its defaults, the call
// alone on one thread: processor seconds of each round, for bench/reference_de.py times the same call of scVI 0.6.3.

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "scvi/core/settings.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/io/open_counts.hpp"
#include "scvi/model/saved_model.hpp"
#include "scvi/posterior/differential_expression.hpp"

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: bench_de RUN DATA GROUPBY BATCH_KEY [ROUNDS]\n");
    return 2;
  }
  scvi::settings().n_threads = 1;
  const scvi::SavedModel saved = scvi::load_model(argv[1]);
  scvi::io::CountFile file = scvi::io::open_counts(argv[2]);
  const scvi::io::Column groupby = *file.obs.find(argv[3]);
  scvi::LoadOptions load;
  load.batch_key = argv[4];
  load.genes = saved.data.gene_names;
  load.keep_attributes = false;
  const auto dataset = std::make_shared<scvi::GeneExpressionDataset>(scvi::load_counts(std::move(file), load));
  const auto posterior = scvi::Posterior::of_all_cells(saved.model, dataset, {.batch_size = 512, .name = "de"});
  const auto groups = scvi::groups_of_column(groupby, dataset->original_cells());
  scvi::DifferentialOptions options;
  options.hypothesis.mode = scvi::DifferentialMode::change;
  options.hypothesis.test = scvi::ChangeTest::three_way;
  options.automatic_pseudocount = true;
  for (int round = 0; round < (argc > 5 ? std::atoi(argv[5]) : 3); ++round) {
    const std::clock_t begin = std::clock();
    const auto tables = scvi::one_vs_all_degenes(posterior, groups, options);
    std::printf("%zu groups of %lld cells: %.3f s\n", tables.size(), static_cast<long long>(dataset->nb_cells()),
                static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  return 0;
}
