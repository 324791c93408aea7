#include <algorithm>

#include "cli.hpp"
#include "expression.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/progress.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi::app {
namespace {

/// For each pair of genes: two sums in float64, one in float32, and the result.
constexpr std::int64_t kBytesOfPair = 24;
/// Denoised samples that are added at a time, at least.
constexpr std::int64_t kRowsAtATime = 4096;

struct CorrelationsOptions : ExpressionCommand {
  std::string method = "spearman";
  double rna_size_factor = 1000;
  std::int64_t n_samples = 10;
};

void add_options(CLI::App& app, CorrelationsOptions& options) {
  add_expression_options(
      app, options, "the .tsv, .csv or .h5ad file to write",
      "decode every cell as if it came from this batch; of several (a,b, or all) the mean is taken");
  app.add_option("--method", options.method, "spearman (of ranks) or pearson")
      ->check(one_of({"spearman", "pearson"}))
      ->capture_default_str();
  app.add_option("--n-samples", options.n_samples, "denoised samples of each cell")
      ->check(whole_number(1, 100000))
      ->capture_default_str();
  app.add_option("--rna-size-factor", options.rna_size_factor, "library size of every denoised sample")
      ->check(positive_number())
      ->capture_default_str();
  add_computing_options(app, options);
}

/// What the correlations need in memory, but for the counts.
std::int64_t result_bytes(const CorrelationsOptions& options, std::int64_t n_genes, std::int64_t n_cells) {
  const std::int64_t all = n_cells * options.n_samples;
  const std::int64_t n_rows = options.method == "spearman" ? all : std::min(all, kRowsAtATime * options.n_samples);
  return n_genes * n_genes * kBytesOfPair + n_rows * n_genes * static_cast<std::int64_t>(sizeof(float));
}

void write(const CorrelationsOptions& options, const std::vector<std::string>& genes, const CellArray& matrix) {
  const io::DenseRows rows = [&](const io::AppendRows& append) { append(matrix.values); };
  const Overwrite overwrite = overwrite_of(options.force);
  if (ending_of(options.output) != ".h5ad") {
    return write_number_table(options.output, {"gene", genes, genes}, rows, overwrite);
  }
  io::H5adContents contents;
  contents.obs.index = genes;
  contents.var.index = genes;
  contents.dense_rows = rows;
  contents.uns.emplace_back("scvi_correlations", io::UnsDict{{"method", options.method},
                                                             {"n_samples", options.n_samples},
                                                             {"rna_size_factor", options.rna_size_factor},
                                                             {"seed", static_cast<std::int64_t>(options.seed)}});
  io::write_h5ad(options.output, contents, overwrite);
}

int correlations(const Arguments& arguments) {
  CorrelationsOptions options;
  CLI::App app(
      "Writes how genes go together over the cells: correlations of the expression that a trained model expects, "
      "with\n"
      "the noise of cells but without that of counting, which hides them in the counts themselves.",
      "correlations");
  add_options(app, options);
  if (!parse(app, arguments)) return 0;
  apply(options.common);
  const std::string ending = ending_of(options.output);
  if (ending != ".tsv" && ending != ".csv" && ending != ".h5ad") {
    throw InputError({.problem = "cannot be written in a format that its name ends with",
                      .file = options.output,
                      .remedy = "end the name with .tsv, .csv or .h5ad"});
  }
  const std::int64_t memory = parse_memory(options.memory);
  { const AtomicFile probe(options.output, overwrite_of(options.force)); }
  const c10::Device device = device_of(options.device);
  SavedModel saved = load_model(options.run);
  const CorrelationOptions how{
      .n_samples = options.n_samples,
      .rna_size_factor = options.rna_size_factor,
      .transform_batch = batch_positions(options.transform_batch, saved.data.batch_names, "--transform-batch"),
      .type = options.method == "pearson" ? CorrelationType::pearson : CorrelationType::spearman,
      .genes = gene_positions(options.genes, saved.data.gene_names)};
  const std::vector<std::string> genes = names_at(how.genes, saved.data.gene_names);
  io::CountFile file = open_for_model(options.data, saved, options.reading, app.count("--layer") > 0);
  const std::int64_t needed = result_bytes(options, std::ssize(genes), file.obs.n_rows());
  const auto dataset = load_for_model(std::move(file), saved,
                                      {.drop_empty_cells = true,
                                       .with_batches = how.transform_batch.empty(),
                                       .keep_attributes = false,
                                       .memory = memory,
                                       .batch_size = options.batch_size,
                                       .result_bytes = needed});
  saved.model->to(device);
  auto posterior = Posterior::of_all_cells(
      saved.model, dataset, {.batch_size = options.batch_size, .seed = options.seed, .name = "correlations"});
  const auto progress = make_terminal_progress(!options.common.no_progress);
  if (posterior.nb_cells() >= kCellsWorthReporting) posterior.set_progress(progress.get());
  write(options, genes, posterior.generate_feature_correlation_matrix(how));
  log_info("wrote " + options.output + ": correlations of " + with_thousands(std::ssize(genes)) + " genes over " +
           with_thousands(posterior.nb_cells()) + " cells");
  return 0;
}

}  // namespace

int run_correlations(const Arguments& arguments) {
  return with_plain_errors(correlations, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_correlations(const scvi::app::Arguments& arguments) {
  return scvi::app::run_correlations(arguments);
}
