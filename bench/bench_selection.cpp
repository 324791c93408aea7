// bench_selection [CELLS [GENES]]: time and peak memory of filters and gene selection on synthetic counts of 10 %
// density (default 1,000,000 x 2,000). Peaks are of the whole process and of each step alone; they are to stay within
// 1.3 times the size of the counts as CSR with 64-bit offsets, 32-bit indices and float32 values.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "scvi/core/logging.hpp"
#include "scvi/dataset/synthetic.hpp"

namespace {

/// A line of /proc/self/status, in MB.
double status_megabytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::atof(line.c_str() + field.size() + 1) * 1024 / 1e6;
  }
  return 0;
}

template <class Step>
void measure(const char* name, Step&& step) {
  std::ofstream("/proc/self/clear_refs") << "5";  // starts the peak anew
  const auto start = std::chrono::steady_clock::now();
  step();
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%-28s %7.2f s   peak %8.1f MB   after %8.1f MB\n", name, wall, status_megabytes("VmHWM"),
              status_megabytes("VmRSS"));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  using scvi::GeneSelectionMode;
  scvi::set_verbosity(scvi::LogLevel::error);
  scvi::SyntheticCountsOptions options;
  options.n_cells = argc > 1 ? std::atoll(argv[1]) : 1000000;
  options.n_genes = argc > 2 ? std::atoll(argv[2]) : 2000;
  options.density = 0.1;
  scvi::GeneExpressionDataset dataset;
  measure("simulate", [&] { dataset = scvi::synthetic_counts_like(options); });
  const double csr = static_cast<double>(dataset.X().csr_bytes()) / 1e6;
  std::printf("counts: %.1f MB here, %.1f MB as CSR; the bound is %.1f MB\n",
              static_cast<double>(dataset.X().memory_bytes()) / 1e6, csr, 1.3 * csr);
  const auto find = [&](GeneSelectionMode flavor) {
    dataset.highly_variable_genes({.n_top_genes = options.n_genes / 2, .flavor = flavor});
  };
  measure("filter_cells_by_count", [&] { dataset.filter_cells_by_count(0.06 * options.n_genes); });
  measure("filter_genes_by_count", [&] { dataset.filter_genes_by_count(100, true); });
  measure("find genes: variance", [&] { find(GeneSelectionMode::variance); });
  measure("find genes: seurat_v2", [&] { find(GeneSelectionMode::seurat_v2); });
  measure("find genes: cell_ranger", [&] { find(GeneSelectionMode::cell_ranger); });
  measure("subsample_genes: seurat_v3", [&] { dataset.subsample_genes({.new_ratio_genes = 0.75}); });
  measure("subsample_genes: variance",
          [&] { dataset.subsample_genes({.new_ratio_genes = 0.5, .mode = GeneSelectionMode::variance}); });
  std::printf("left: %lld cells x %lld genes\n", static_cast<long long>(dataset.nb_cells()),
              static_cast<long long>(dataset.nb_genes()));
}
