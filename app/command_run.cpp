#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli.hpp"
#include "counts_input.hpp"
#include "recipe.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/analysis_defaults.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/report/run_report.hpp"

namespace scvi::app {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* kFiles =
    "What FOLDER holds at the end:\n"
    "  report.html                 all of it on one page\n"
    "  cells.h5ad                  the cells with obsm/X_scVI, obsm/X_umap, obs/leiden and the graph of neighbours\n"
    "  model/                      the trained model (see `scvi train`)\n"
    "  markers.tsv, markers.xlsx   genes that mark the clusters (see `scvi de`)\n"
    "  scores.json                 see `scvi evaluate`\n"
    "  loadings.tsv                of an ldvae: see `scvi loadings`\n"
    "  zero_inflation.tsv          of an autozi: see `scvi zero-inflation`\n"
    "  figures/                    as .svg and .png\n"
    "  run.json                    how it was called";

constexpr const char* kNoColumn = "none";
constexpr const char* kAnyDevice = "auto";

struct RunCommand {
  std::vector<std::string> data;
  std::string folder;
  CountsInput reading;
  std::string batch_key;
  std::string labels_key;
  std::string min_genes_per_cell;
  std::string min_cells_per_gene;
  std::string n_top_genes;
  std::string gene_selection = "seurat_v3";
  std::string epochs;
  std::string kl_warmup_epochs;
  std::string patience;
  std::string resolution = "1";
  std::string prepare_words, train_words, cluster_words, de_words;
  std::string memory;
  std::string seed = "0";
  std::string device = kAnyDevice;
  bool resume = false;
  bool force = false;
  CommonOptions common;
};

void add_choices(CLI::App& app, RunCommand& command) {
  const char* group = "Choices (each is printed; what is not given is chosen by the data)";
  const auto add = [&](const char* option, std::string& value, const char* help) {
    return app.add_option(option, value, help)->group(group);
  };
  add("--batch-key", command.batch_key,
      "obs column with the batch of each cell; none: no correction (default: a column that is called batch, or each "
      "file)");
  add("--labels-key", command.labels_key,
      "obs column with known cell types, for scores and pictures; none: none (default: one that is called "
      "cell_type)");
  add("--min-genes-per-cell", command.min_genes_per_cell, "keep cells with so many genes (200; of panels all)")
      ->check(whole_number(0));
  add("--min-cells-per-gene", command.min_cells_per_gene, "keep genes in so many cells (3; of panels all)")
      ->check(whole_number(0));
  add("--n-top-genes", command.n_top_genes, "train on so many of the most variable genes; 0: all (2000 of over 3000)")
      ->check(whole_number(0));
  add("--gene-selection", command.gene_selection, "how they are chosen")->capture_default_str();
  add("--epochs", command.epochs,
      "most passes over the cells (400; fewer for over 20,000 cells, more for under 2,000)")
      ->check(whole_number(1));
  add("--kl-warmup-epochs", command.kl_warmup_epochs, "see `scvi train` (a quarter of the epochs)");
  add("--patience", command.patience,
      "stop when the ELBO of test cells has not improved for so many epochs; 0: never")
      ->check(whole_number(0));
  add("--resolution", command.resolution, "of the clusters; larger: more of them")
      ->check(number(0))
      ->capture_default_str();
  add("--prepare", command.prepare_words, "further options for `scvi prepare`, in quotes");
  add("--train", command.train_words, "further options for `scvi train`: \"--n-latent 20 --n-layers 2\"");
  add("--cluster", command.cluster_words, "further options for `scvi cluster`");
  add("--de", command.de_words, "further options for `scvi de`");
}

bool parse_options(const Arguments& arguments, RunCommand& command) {
  CLI::App app(
      "The whole way in one command: checks and filters the cells, trains scVI, finds clusters, maps the cells, "
      "finds\n"
      "the genes that mark clusters, draws, and writes a report. Every step is a command that is printed as it could "
      "be\n"
      "typed.",
      "run");
  app.add_option("DATA", command.data, std::string(kAnyCounts) + "; several files are merged, each a batch");
  app.add_option("--output,-o", command.folder, "the folder for everything")->required()->check(not_empty());
  add_choices(app, command);
  add_input_options(app, command.reading);
  app.add_option("--memory", command.memory, "memory that may be used: 4G (default: no limit)");
  app.add_option("--seed", command.seed, "seed of everything")->check(whole_number(0))->capture_default_str();
  app.add_option("--device", command.device, "cpu, cuda or auto")->capture_default_str();
  app.add_flag("--resume", command.resume,
               "go on where a run into this folder stopped; its options stay as they were");
  add_force_option(app, command.force);
  add_common_options(app, command.common);
  app.footer(kFiles);
  return parse(app, arguments);
}

/// Words in an option's quotes.
Arguments words_in(const std::string& text) {
  return CLI::detail::split_up(text);
}

void append(Arguments& words, const Arguments& more) {
  words.insert(words.end(), more.begin(), more.end());
}

/// What a choice is: the user's, else the data's.
std::string chosen(const std::string& given, std::int64_t by_data) {
  return given.empty() ? std::to_string(by_data) : given;
}

/// What was chosen, and what is done, of an analysis: kept in its folder, so that it can go on.
struct Record {
  Arguments arguments;
  bool has_batches = false;
  bool has_labels = false;
  std::vector<std::pair<std::string, std::string>> commands;  ///< by what they made, in order
};

std::string record_path(const std::string& folder) {
  return folder + "/run.json";
}

void save(const Record& record, const std::string& folder) {
  json commands = json::object();
  for (const auto& [product, command] : record.commands) commands[product] = command;
  const json text = {{"arguments", record.arguments},
                     {"has_batches", record.has_batches},
                     {"has_labels", record.has_labels},
                     {"commands", std::move(commands)}};
  write_file_atomically(record_path(folder), text.dump(1) + "\n");
}

Record load_record(const std::string& folder) {
  const std::string path = record_path(folder);
  if (!std::filesystem::exists(path)) {
    throw InputError({.problem = "holds nothing to go on with (no run.json)",
                      .file = folder,
                      .remedy = "leave --resume out, or give the folder of a run that was stopped"});
  }
  try {
    const json text = json::parse(read_file(path));
    Record record{.arguments = text.at("arguments").get<Arguments>(),
                  .has_batches = text.at("has_batches").get<bool>(),
                  .has_labels = text.at("has_labels").get<bool>(),
                  .commands = {}};
    for (const auto& [product, command] : text.at("commands").items()) {
      record.commands.emplace_back(product, command.get<std::string>());
    }
    return record;
  } catch (const json::exception&) {
    throw FormatError({.problem = "is damaged", .file = path, .remedy = "start again with --force"});
  }
}

/// An analysis in its folder: what is there already is not made again.
class Analysis {
 public:
  Analysis(RunCommand command, Record record) : command_(std::move(command)), record_(std::move(record)) {}

  void run() {
    prepare();
    train();
    cluster();
    std::filesystem::remove(in("counts.h5ad"));
    step("scores",
         {"evaluate", in("model"), in("cells.h5ad"), "--metrics",
          score_names(record_.has_batches, record_.has_labels), "--json", in("scores.json")},
         "scores.json", "", Needs::model);
    const bool comparable = has_groups(in("cells.h5ad"), kClusters);
    if (comparable) {
      step("genes that mark clusters",
           {"de", in("model"), in("cells.h5ad"), "--groupby", kClusters, "--one-vs-all", "--output",
            in("markers.tsv"), "--output", in("markers.xlsx")},
           "markers.xlsx", command_.de_words, Needs::model);
    } else {
      log_warning("there are no two clusters with more than 10 cells: no genes are compared");
    }
    tell_of_genes();
    draw(comparable);
    write_report(comparable);
  }

 private:
  /// What a command computes with, beside files.
  enum class Needs { nothing, model };
  static constexpr const char* kClusters = "leiden";
  static constexpr const char* kLoadings = "loadings.tsv";
  static constexpr const char* kZeroInflation = "zero_inflation.tsv";

  RunCommand command_;
  Record record_;

  std::string in(const std::string& name) const { return command_.folder + "/" + name; }

  bool has(const std::string& product) const { return std::filesystem::exists(in(product)); }
  bool is_done(const std::string& product) const {
    if (product == "counts.h5ad" && has("cells.h5ad")) return true;
    return has(product);
  }

  Arguments common_words(Needs needs) const {
    const CommonOptions& common = command_.common;
    Arguments words;
    if (common.verbosity != CommonOptions().verbosity) append(words, {"--verbosity", common.verbosity});
    if (common.threads > 0) append(words, {"--threads", std::to_string(common.threads)});
    if (common.no_progress) words.emplace_back("--no-progress");
    if (needs == Needs::nothing) return words;
    if (command_.device != kAnyDevice) append(words, {"--device", command_.device});
    if (!command_.memory.empty()) append(words, {"--memory", command_.memory});
    return words;
  }

  /// Runs a command unless its product is there.
  void step(const std::string& title, Arguments words, const std::string& product, const std::string& further,
            Needs needs) {
    if (is_done(product)) return;
    append(words, words_in(further));
    if (needs == Needs::model) append(words, {"--seed", command_.seed});
    const auto known = std::ranges::find(record_.commands, product, &std::pair<std::string, std::string>::first);
    if (known != record_.commands.end()) record_.commands.erase(known);
    record_.commands.emplace_back(product, command_line(words));
    append(words, common_words(needs));
    run_step(title, words);
    save(record_, command_.folder);
  }

  void prepare();
  void train();
  void cluster();
  void tell_of_genes();
  void draw(bool comparable);
  void write_report(bool comparable);
};

/// What is chosen by name: what the user says ("none": nothing), or a column that is called so.
std::string column_for(const std::string& given, const std::string& likely, const char* what) {
  if (given == kNoColumn) return "";
  if (!given.empty()) return given;
  if (!likely.empty()) log_info(std::string(what) + ": obs column '" + likely + "' (its name says so)");
  return likely;
}

void Analysis::prepare() {
  if (is_done("counts.h5ad")) return;
  io::OpenCountsOptions open = open_options(command_.reading);
  open.tables = false;
  const io::CountFile first = io::open_counts(command_.data.front(), open);
  const std::vector<std::string> columns = first.obs.column_names();
  const std::string batch_key = column_for(command_.batch_key, likely_batch_column(columns), "batches");
  const std::string labels_key = column_for(command_.labels_key, likely_labels_column(columns), "labels");
  const FilterDefaults filter = filter_defaults(first.var.n_rows());
  Arguments words = {"prepare"};
  append(words, command_.data);
  append(words, {"--output", in("counts.h5ad"), "--min-genes-per-cell",
                 chosen(command_.min_genes_per_cell, filter.min_genes_per_cell), "--min-cells-per-gene",
                 chosen(command_.min_cells_per_gene, filter.min_cells_per_gene)});
  if (!batch_key.empty()) append(words, {"--batch-key", batch_key});
  if (!labels_key.empty()) append(words, {"--labels-key", labels_key});
  append(words, words_of(command_.reading));
  record_.has_batches = !batch_key.empty() || (command_.data.size() > 1 && command_.batch_key != kNoColumn);
  record_.has_labels = !labels_key.empty();
  step("checks and filters", words, "counts.h5ad", command_.prepare_words, Needs::nothing);
}

void Analysis::train() {
  if (is_done("model/model.json") || is_done("cells.h5ad")) return;
  const std::string counts = in("counts.h5ad"), model = in("model");
  if (std::filesystem::exists(model + "/checkpoint")) {
    Arguments words = {"train", counts, "--output", model, "--resume"};
    append(words, common_words(Needs::nothing));
    run_step("training goes on", words);
    return;
  }
  const io::H5adFile file(counts);
  const io::Column* batches = file.obs().find("batch");
  if (record_.has_batches && (batches == nullptr || batches->as_categorical().categories.size() < 2)) {
    log_info("one batch: nothing to correct");
    record_.has_batches = false;
  }
  const TrainingDefaults defaults = training_defaults(file.n_obs(), file.n_vars());
  const std::string epochs = chosen(command_.epochs, defaults.n_epochs);
  const std::int64_t warmup = command_.epochs.empty() ? defaults.kl_warmup_epochs
                                                      : std::max<std::int64_t>(1, std::stoll(command_.epochs) / 4);
  const std::string patience = chosen(command_.patience, defaults.patience);
  const std::string n_top_genes = chosen(command_.n_top_genes, defaults.n_top_genes);
  Arguments words = {"train", counts, "--output", model, "--epochs", epochs};
  append(words, {"--kl-warmup-epochs", chosen(command_.kl_warmup_epochs, warmup), "--train-size", "0.9"});
  append(words, {"--frequency", std::to_string(defaults.frequency)});
  if (n_top_genes != "0") {
    append(words, {"--n-top-genes", n_top_genes, "--gene-selection", command_.gene_selection});
  }
  if (record_.has_batches) append(words, {"--batch-key", "batch"});
  if (record_.has_labels) append(words, {"--labels-key", "cell_type"});
  if (patience != "0") append(words, {"--early-stopping", "elbo", "--save-best", "elbo", "--patience", patience});
  step("training", words, "model/model.json", command_.train_words, Needs::model);
}

void Analysis::cluster() {
  if (is_done("cells.h5ad")) return;
  constexpr std::int64_t kNeighbors = 15;
  const std::string counts = in("counts.h5ad");
  const std::int64_t n_neighbors = std::min(kNeighbors, io::H5adFile(counts).n_obs());
  step("clusters and map",
       {"cluster", in("model"), counts, "--output", in("cells.h5ad"), "--n-neighbors", std::to_string(n_neighbors),
        "--resolution", command_.resolution},
       "cells.h5ad", command_.cluster_words, Needs::model);
}

/// What some models say of genes, beside how they are expressed.
void Analysis::tell_of_genes() {
  const std::string model = report::trained_with(in("model")).model;
  if (model == "ldvae") {
    step("what the factors mean", {"loadings", in("model"), "--top", "0", "--output", in(kLoadings)}, kLoadings, "",
         Needs::nothing);
  }
  if (model == "autozi") {
    Arguments words = {"zero-inflation", in("model"), in("cells.h5ad"), "--output", in(kZeroInflation)};
    if (!command_.memory.empty()) append(words, {"--memory", command_.memory});
    step("zero inflation", words, kZeroInflation, "", Needs::nothing);
  }
}

void Analysis::draw(bool comparable) {
  std::filesystem::create_directories(in("figures"));
  const auto figure = [&](const std::string& name, const Arguments& words) {
    for (const char* ending : {".svg", ".png"}) {
      const std::string product = "figures/" + name + ending;
      Arguments all = {"plot"};
      append(all, words);
      append(all, {"--output", in(product)});
      step("", all, product, "", Needs::nothing);
    }
  };
  const std::string cells = in("cells.h5ad");
  figure("training", {"curves", in("model")});
  Arguments map = {"map", cells, "--color", kClusters};
  if (record_.has_batches) append(map, {"--color", "batch"});
  if (record_.has_labels) append(map, {"--color", "cell_type"});
  figure("map", map);
  if (has(kLoadings)) figure("loadings", {"loadings", in(kLoadings)});
  if (has(kZeroInflation)) figure("zero_inflation", {"zero-inflation", in(kZeroInflation)});
  if (!comparable) return;
  const std::string markers = in("markers.tsv");
  figure("markers_dotplot", {"dotplot", cells, "--groupby", kClusters, "--de", markers, "--top", "3"});
  figure("markers_heatmap", {"heatmap", cells, "--groupby", kClusters, "--de", markers, "--top", "5"});
  figure("volcano", {"volcano", markers});
}

void Analysis::write_report(bool comparable) {
  std::vector<std::string> names;
  for (const std::string& path : command_.data) names.push_back(std::filesystem::path(path).filename().string());
  report::RunReportSource source{.run = in("model"),
                                 .cells = in("cells.h5ad"),
                                 .markers = comparable ? in("markers.tsv") : "",
                                 .scores = in("scores.json"),
                                 .loadings = has(kLoadings) ? in(kLoadings) : "",
                                 .zero_inflation = has(kZeroInflation) ? in(kZeroInflation) : "",
                                 .title = join_some(names, 3)};
  for (const auto& [product, command] : record_.commands) {
    if (!product.ends_with(".png")) source.commands.push_back(command);
  }
  log_info("report");
  report::run_report(source).save(in("report.html"), Overwrite::replace);
}

/// The folder with its record, new or as it was left.
Record open_folder(RunCommand& command, const Arguments& arguments) {
  namespace fs = std::filesystem;
  if (command.resume) {
    Record record = load_record(command.folder);
    RunCommand before;
    parse_options(record.arguments, before);
    before.folder = command.folder;
    before.common = command.common;
    command = std::move(before);
    return record;
  }
  if (command.data.empty())
    throw InputError({.problem = "is missing", .field = "DATA", .remedy = "name a file of counts"});
  if (fs::exists(command.folder)) {
    if (!command.force) {
      throw InputError({.problem = "exists",
                        .file = command.folder,
                        .remedy = "go on with it (--resume), replace it (--force), or name another"});
    }
    if (!fs::exists(record_path(command.folder))) {
      throw InputError({.problem = "is not a folder that `scvi run` made, and is left as it is",
                        .file = command.folder,
                        .remedy = "name another"});
    }
    fs::remove_all(command.folder);
  }
  fs::create_directories(command.folder);
  Record record{.arguments = arguments, .has_batches = false, .has_labels = false, .commands = {}};
  save(record, command.folder);
  return record;
}

/// A folder in which nothing was finished is not worth keeping.
void remove_if_empty(const std::string& folder) {
  namespace fs = std::filesystem;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name != "run.json" && name != "log.txt") return;
  }
  fs::remove_all(folder);
}

}  // namespace

int run_run(const Arguments& arguments) {
  RunCommand command;
  if (!parse_options(arguments, command)) return 0;
  apply(command.common);
  Record record = open_folder(command, arguments);
  const std::string folder = command.folder;
  try {
    const LogFile log(folder + "/log.txt");
    Analysis(std::move(command), std::move(record)).run();
  } catch (const std::exception&) {
    remove_if_empty(folder);
    if (std::filesystem::exists(folder)) {
      log_info("what is finished stays; go on with: " + command_line({"run", "--output", folder, "--resume"}));
    }
    throw;
  }
  log_info("wrote " + folder + "; open " + folder + "/report.html");
  return 0;
}

}  // namespace scvi::app
