#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <numeric>

#include "cli.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/write_table.hpp"
#include "scvi/model/ldvae.hpp"

namespace scvi::app {
namespace {

struct LoadingsOptions {
  std::string run;
  std::string output;
  std::int64_t top = 5;
  bool force = false;
  CommonOptions common;
};

/// Genes in rows, factors in columns.
io::Frame table_of(const LDVAE& model, const std::vector<std::string>& genes) {
  const at::Tensor loadings = model.get_loadings().to(at::kDouble).t().contiguous();
  io::Frame table{.index_name = "gene", .index = genes, .columns = {}};
  for (std::int64_t factor = 0; factor < loadings.size(0); ++factor) {
    const double* const first = loadings[factor].data_ptr<double>();
    table.columns.push_back({.name = "Z_" + std::to_string(factor),
                             .values = std::vector<double>(first, first + loadings.size(1)),
                             .missing = {}});
  }
  return table;
}

/// The genes at either end of each factor, the most extreme first.
void print_top(const io::Frame& table, std::int64_t top) {
  const std::int64_t n = std::min(top, table.n_rows());
  for (const io::Column& factor : table.columns) {
    const auto& loadings = std::get<std::vector<double>>(factor.values);
    std::vector<std::size_t> order(loadings.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return loadings[a] < loadings[b]; });
    const auto print = [&](const char* end, auto gene) {
      std::cout << factor.name << "\t" << end;
      for (std::int64_t i = 0; i < n; ++i, ++gene) {
        char number[32];
        std::snprintf(number, sizeof number, "%.3g", loadings[*gene]);
        std::cout << "\t" << table.index[*gene] << " " << number;
      }
      std::cout << "\n";
    };
    print("lowest", order.begin());
    print("highest", order.rbegin());
  }
}

int loadings(const Arguments& arguments) {
  LoadingsOptions options;
  CLI::App app(
      "Writes what each factor of a trained LDVAE means: its loading for every gene. A step along the factor adds it "
      "to\n"
      "the log frequency of the gene, before all frequencies are brought to the sum of 1. `scvi plot loadings` draws "
      "them.",
      "loadings");
  app.add_option("RUN", options.run, "the folder that `scvi train --model ldvae` wrote")
      ->required()
      ->check(not_empty());
  app.add_option("--output,-o", options.output, "the table to write, genes x factors: .tsv, or .xlsx")
      ->required()
      ->check(not_empty());
  app.add_option("--top", options.top, "print so many genes at either end of each factor")
      ->check(whole_number(0))
      ->capture_default_str();
  add_force_option(app, options.force);
  add_common_options(app, options.common);
  if (!parse(app, arguments)) return 0;
  apply(options.common);

  const SavedModel saved = load_model(options.run);
  const auto* model = dynamic_cast<const LDVAE*>(saved.model.get());
  if (model == nullptr) {
    throw InputError({.problem = "holds a model '" + saved.model->name() + "', which has no loadings",
                      .file = options.run,
                      .remedy = "train one with `scvi train --model ldvae`"});
  }
  const io::NamedTable table{.name = "loadings", .table = table_of(*model, saved.data.gene_names)};
  const bool workbook = options.output.ends_with(".xlsx");
  (workbook ? io::write_xlsx : io::write_tsv)(options.output, {&table, 1}, overwrite_of(options.force));
  if (options.top > 0) print_top(table.table, options.top);
  log_info("wrote " + options.output + ": " + with_thousands(table.table.n_rows()) + " genes x " +
           std::to_string(table.table.columns.size()) + " factors");
  return 0;
}

}  // namespace

int run_loadings(const Arguments& arguments) {
  return with_plain_errors(loadings, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_loadings(const scvi::app::Arguments& arguments) {
  return scvi::app::run_loadings(arguments);
}
