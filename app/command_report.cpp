#include <filesystem>

#include "cli.hpp"
#include "counts_input.hpp"
#include "recipe.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/report/run_report.hpp"

namespace scvi::app {
namespace {

struct ReportCommand {
  report::RunReportSource source;
  std::string data;
  std::string output;
  std::string memory;
  std::string seed = "0";
  bool force = false;
  CommonOptions common;
};

bool parse_options(const Arguments& arguments, ReportCommand& command) {
  CLI::App app(
      "Writes one .html page about a trained model and its cells: data, training, scores, map, clusters and the "
      "genes\n"
      "that mark them, the factors of an LDVAE, zero inflation by AutoZI. It needs no network and no server. What "
      "DATA\n"
      "does not hold yet (see `scvi cluster`), and what --de and --scores do not give, is computed first.",
      "report");
  report::RunReportSource& source = command.source;
  app.add_option("RUN", source.run, "the folder that `scvi train` wrote")->required()->check(not_empty());
  app.add_option("DATA", command.data, kAnyCounts)->required()->check(not_empty());
  app.add_option("--output,-o", command.output, "the page to write (.html)")->required()->check(not_empty());
  app.add_option("--de", source.markers, "table of `scvi de` (.tsv) for the clusters, all against the others");
  app.add_option("--scores", source.scores, "what `scvi evaluate --json` wrote");
  app.add_option("--groupby", source.groupby,
                 "obs column with the clusters; made by Leiden's method if it is not there")
      ->check(not_empty())
      ->capture_default_str();
  app.add_option("--basis", source.basis, "the map in obsm; a UMAP is made if it is not there")
      ->check(not_empty())
      ->capture_default_str();
  app.add_option("--color", source.colors, "further obs columns or genes to colour the map by");
  app.add_option("--title", source.title, "of the page (default: the name of DATA)");
  app.add_option("--markers", source.n_markers, "genes of each cluster in the figures, as far as there is room")
      ->check(whole_number(1, 50))
      ->capture_default_str();
  app.add_option("--table-markers", source.n_table_markers, "genes of each cluster in the table")
      ->check(whole_number(1, 5000))
      ->capture_default_str();
  app.add_option("--memory", command.memory, "memory that may be used for what is computed: 4G (default: no limit)");
  app.add_option("--seed", command.seed, "seed of what is computed")->check(whole_number(0))->capture_default_str();
  add_force_option(app, command.force);
  add_common_options(app, command.common);
  return parse(app, arguments);
}

/// Words that every command takes that a report calls.
void add_common_words(const ReportCommand& command, Arguments& words) {
  if (command.common.threads > 0) words.insert(words.end(), {"--threads", std::to_string(command.common.threads)});
  if (command.common.no_progress) words.emplace_back("--no-progress");
  const std::string& verbosity = command.common.verbosity;
  if (verbosity != CommonOptions().verbosity) words.insert(words.end(), {"--verbosity", verbosity});
}

/// Words that commands take that compute with a model and counts.
void add_computing_words(const ReportCommand& command, Arguments& words) {
  words.insert(words.end(), {"--seed", command.seed});
  if (!command.memory.empty()) words.insert(words.end(), {"--memory", command.memory});
  add_common_words(command, words);
}

/// What the model says of genes, in tables that some models have.
void add_gene_tables(ReportCommand& command, const std::string& model, const std::string& folder) {
  report::RunReportSource& source = command.source;
  if (model == "ldvae") {
    source.loadings = folder + "/loadings.tsv";
    Arguments words = {"loadings", source.run, "--top", "0", "-o", source.loadings};
    add_common_words(command, words);
    run_step("what the factors mean", words);
  }
  if (model == "autozi") {
    source.zero_inflation = folder + "/zero_inflation.tsv";
    Arguments words = {"zero-inflation", source.run, source.cells, "-o", source.zero_inflation};
    if (!command.memory.empty()) words.insert(words.end(), {"--memory", command.memory});
    add_common_words(command, words);
    run_step("zero inflation", words);
  }
}

/// Computes what is not there yet, into a folder that goes when the report is done.
void complete(ReportCommand& command, const std::string& folder) {
  report::RunReportSource& source = command.source;
  const auto step = [&](const std::string& title, Arguments words) {
    add_computing_words(command, words);
    run_step(title, words);
  };
  if (source.title.empty()) source.title = std::filesystem::path(command.data).filename().string();
  source.cells = command.data;
  if (!has_map(command.data, source.basis, source.groupby)) {
    if (source.basis != "X_umap") {
      throw InputError({.problem = "has no map of that name with a column '" + source.groupby + "'",
                        .file = command.data,
                        .field = "obsm/" + source.basis,
                        .remedy = "leave --basis out, and a UMAP is made"});
    }
    source.cells = folder + "/cells.h5ad";
    step("clusters and a map of the cells",
         {"cluster", source.run, command.data, "--cluster-key", source.groupby, "-o", source.cells});
  }
  const report::TrainedWith known = report::trained_with(source.run);
  if (source.scores.empty()) {
    source.scores = folder + "/scores.json";
    step("scores", {"evaluate", source.run, source.cells, "--metrics", score_names(known.batches, known.labels),
                    "--json", source.scores});
  }
  if (source.markers.empty() && has_groups(source.cells, source.groupby)) {
    source.markers = folder + "/de.tsv";
    step("genes that mark the clusters",
         {"de", source.run, source.cells, "--groupby", source.groupby, "--one-vs-all", "-o", source.markers});
  }
  add_gene_tables(command, known.model, folder);
}

}  // namespace

int run_report(const Arguments& arguments) {
  ReportCommand command;
  if (!parse_options(arguments, command)) return 0;
  apply(command.common);
  // Refuse what cannot be written before the work, not after.
  { const AtomicFile probe(command.output, overwrite_of(command.force)); }
  // Never committed, so that nothing of it stays.
  const AtomicDirectory scratch(command.output + ".parts", Overwrite::refuse);
  complete(command, scratch.temporary_path());
  report::run_report(command.source).save(command.output, overwrite_of(command.force));
  log_info("wrote " + command.output);
  return 0;
}

}  // namespace scvi::app
