#include <algorithm>
#include <iostream>
#include <optional>
#include <set>
#include <utility>

#include "cli.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/progress.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/write_table.hpp"
#include "scvi/posterior/differential_expression.hpp"

namespace scvi::app {
namespace {

constexpr const char* kColumns =
    "Columns of the table, one row a gene, the most differential first (group 1 against group 2, or the others):\n"
    "  proba_de, proba_not_de      change mode: probability that the change matters (see --delta), and 1 minus it\n"
    "  proba_m1, proba_m2          vanilla mode: probability that the gene is higher in group 1, and 1 minus it\n"
    "  bayes_factor                natural log odds of that probability\n"
    "  scale1, scale2              expected part of all counts of a cell, mean over samples of the model\n"
    "  lfc_mean, _median, _std, _min, _max, _confidence_interval_LEVEL_min, _max\n"
    "                              the change: log2 of scale1 / scale2, over pairs of samples\n"
    "  raw_mean1, raw_mean2        mean of the counts themselves\n"
    "  non_zeros_proportion1, 2    part of the cells that have any\n"
    "  raw_normalized_mean1, 2     mean of counts divided by the mean count of their cell\n"
    "  pseudocount                 what was added to scales before the change was computed\n"
    "  is_de_fdr_X, is_de_each_X   called differential, by --fdr-rule; a part X of those called is expected not to "
    "be\n"
    "  proba_de_spread, lfc_mean_spread, proba_m1_spread\n"
    "                              --more-runs, --repetitions: standard deviation over trainings and repetitions\n"
    "  clusters                    which group (or category of --within) the row is about";

struct DeOptions {
  std::string run;
  std::string more_runs;
  std::string data;
  std::vector<std::string> outputs;
  CountsInput reading;
  std::string memory;
  std::string groupby;
  std::string group1;
  std::string group2;
  bool one_vs_all = false;
  std::string within;
  std::string mode = "change";
  std::string test = "three-way";
  std::string change = "log-fold";
  std::string pseudocount = "auto";
  double delta = 0.5;
  std::string intervals;
  std::string fdr = "0.05";
  std::string fdr_rule = "expected";
  std::string genes;
  std::string batches1;
  std::string batches2;
  bool observed_batches = false;
  std::int64_t n_samples = 5000;
  std::int64_t permutations = 0;
  std::int64_t repetitions = 1;
  std::int64_t min_cells = 10;
  std::int64_t batch_size = 512;
  std::uint64_t seed = 0;
  std::string device = "auto";
  bool force = false;
  CommonOptions common;
};

void add_options(CLI::App& app, DeOptions& options) {
  app.add_option("RUN", options.run, "the folder that `scvi train` wrote")->required()->check(not_empty());
  app.add_option("DATA", options.data, kAnyCounts)->required()->check(not_empty());
  app.add_option("--output,-o", options.outputs,
                 "the table to write: .tsv, or .xlsx with a sheet for each comparison; again for both")
      ->required()
      ->allow_extra_args(false)
      ->check(not_empty());
  app.add_option(
         "--more-runs", options.more_runs,
         "folders of further trainings on these genes and batches (other seeds, say), with commas: samples of all "
         "of them count alike, and how far they spread is told")
      ->check(not_empty());
  app.add_option("--groupby", options.groupby, "obs column that holds the groups of cells")
      ->required()
      ->check(not_empty());
  app.add_option("--group1", options.group1, "the group to describe; several, with commas, count as one");
  app.add_option("--group2", options.group2, "the group to compare it with (default: all other cells that have one)");
  app.add_flag("--one-vs-all", options.one_vs_all, "every group against all others (the default without --group1)");
  app.add_option("--within", options.within, "obs column: compare within each of its categories");
  app.add_option("--mode", options.mode,
                 "change: does the gene change enough to matter? vanilla: is it higher in group 1?")
      ->check(one_of({"vanilla", "change"}))
      ->capture_default_str();
  app.add_option("--delta", options.delta, "change: how large a change must be to matter (log2)")
      ->check(number(0))
      ->capture_default_str();
  app.add_option("--test", options.test,
                 "change: three-way takes the more probable of an increase and a decrease, two-sided (scVI 0.6.3) "
                 "both together")
      ->check(one_of({"three-way", "two-sided"}))
      ->capture_default_str();
  app.add_option("--change", options.change, "change: log-fold, log2(scale1 / scale2), or shift, scale1 - scale2")
      ->check(one_of({"log-fold", "shift"}))
      ->capture_default_str();
  app.add_option("--pseudocount", options.pseudocount,
                 "change: added to scales; auto: by genes that are hardly seen; 0: none (scVI 0.6.3)")
      ->capture_default_str();
  app.add_option("--credible-intervals", options.intervals, "change: levels of intervals of the change: 0.5,0.94");
  app.add_option("--fdr", options.fdr, "change: expected parts of false calls, a column each; '': none")
      ->capture_default_str();
  app.add_option(
         "--fdr-rule", options.fdr_rule,
         "change: expected keeps the mean of 1 - probability over the called genes below --fdr, each keeps it "
         "below for every one of them: fewer calls, fewer false ones")
      ->check(one_of({"expected", "each"}))
      ->capture_default_str();
  app.add_option("--genes", options.genes, "write these genes alone");
  app.add_option("--batches1", options.batches1, "batches to decode group 1 for (default: all)");
  app.add_option("--batches2", options.batches2, "batches to decode group 2 for (default: all)");
  app.add_flag("--observed-batches", options.observed_batches, "decode every cell for its own batch");
  app.add_option("--n-samples", options.n_samples, "samples of the model for each group, shared out over batches")
      ->check(whole_number(1, 10'000'000))
      ->capture_default_str();
  app.add_option("--permutations", options.permutations,
                 "compare so many random pairs of samples; 0: each sample with one of the other group")
      ->check(whole_number(0, 10'000'000))
      ->capture_default_str();
  app.add_option("--repetitions", options.repetitions, "tell how far results spread over so many repetitions")
      ->check(whole_number(1, 1000))
      ->capture_default_str();
  app.add_option("--min-cells", options.min_cells,
                 "leave out (one-vs-all, within) or warn of groups with at most so many cells")
      ->check(whole_number(1))
      ->capture_default_str();
  add_input_options(app, options.reading);
  add_memory_option(app, options.memory);
  add_batch_size_option(app, options.batch_size);
  app.add_option("--seed", options.seed, "seed of the draws")->check(whole_number(0))->capture_default_str();
  add_device_option(app, options.device);
  add_force_option(app, options.force);
  add_kernel_option(app, options.common);
  add_common_options(app, options.common);
  app.footer(kColumns);
}

/// Numbers between 0 and 1, as typed.
std::vector<double> parts_of_one(const std::string& text, const char* option) {
  std::vector<double> values;
  for (const std::string& word : split_list(text)) {
    std::size_t end = 0;
    double value = 0;
    try {
      value = std::stod(word, &end);
    } catch (const std::exception&) {
      end = 0;
    }
    if (end != word.size() || !(value > 0 && value < 1)) {
      throw InputError({.problem = "holds '" + word + "', but must hold numbers between 0 and 1", .field = option});
    }
    values.push_back(value);
  }
  return values;
}

HypothesisOptions hypothesis_of(const DeOptions& options) {
  HypothesisOptions hypothesis;
  hypothesis.mode = parse_differential_mode(options.mode);
  hypothesis.change = parse_change(options.change);
  hypothesis.test = parse_change_test(options.test);
  hypothesis.delta = options.delta;
  hypothesis.cred_interval_lvls = parts_of_one(options.intervals, "--credible-intervals");
  if (options.pseudocount != "auto") {
    std::size_t end = 0;
    try {
      hypothesis.pseudocount = std::stod(options.pseudocount, &end);
    } catch (const std::exception&) {
      end = 0;
    }
    if (end != options.pseudocount.size() || !(hypothesis.pseudocount >= 0 && hypothesis.pseudocount < 1)) {
      throw InputError({.problem = "is '" + options.pseudocount + "', but must be auto or a number from 0 to below 1",
                        .field = "--pseudocount"});
    }
  }
  return hypothesis;
}

/// What contradicts itself is refused before any file is opened.
void check_options(const DeOptions& options, const CLI::App& app) {
  const auto refuse = [](const char* option, std::string problem, std::string remedy) {
    throw InputError({.problem = std::move(problem), .field = option, .remedy = std::move(remedy)});
  };
  if (options.one_vs_all && !(options.group1.empty() && options.group2.empty())) {
    refuse("--one-vs-all", "compares all groups", "leave it out, or --group1 and --group2");
  }
  if (!options.group2.empty() && options.group1.empty()) refuse("--group2", "needs --group1", "name the other group");
  for (const char* option : {"--group1", "--group2"}) {
    if (app.count(option) > 0 && split_list(app.get_option(option)->as<std::string>()).empty()) {
      refuse(option, "names no group", "");
    }
  }
  const bool same_batches = options.batches1 == options.batches2;
  if (options.group1.empty() && !same_batches) {
    refuse("--batches1", "must equal --batches2 when every group is compared with all others", "name two groups");
  }
  if (options.observed_batches && !(options.batches1.empty() && options.batches2.empty())) {
    refuse("--observed-batches", "cannot be given together with --batches1 or --batches2", "choose one");
  }
  for (const std::string& output : options.outputs) {
    const bool known = output.ends_with(".tsv") || output.ends_with(".xlsx");
    if (!known) refuse("--output", "is '" + output + "', but must end in .tsv or .xlsx", "");
  }
}

const io::Column& obs_column(const io::CountFile& file, const std::string& key, const char* option) {
  if (const io::Column* column = file.obs.find(key)) return *column;
  throw InputError({.problem = "has no column '" + key + "' (asked for with " + option + ")",
                    .file = file.path,
                    .field = "obs",
                    .remedy = suggest(key, file.obs.column_names())});
}

/// Columns of the cells, kept when the file itself has become a data set.
struct CellColumns {
  io::Column groupby;
  std::optional<io::Column> within;
};

CellColumns columns_of(const io::CountFile& file, const DeOptions& options) {
  CellColumns columns{.groupby = obs_column(file, options.groupby, "--groupby"), .within = {}};
  if (!options.within.empty()) columns.within = obs_column(file, options.within, "--within");
  return columns;
}

/// Groups by the names that an option lists, as one.
CellGroup chosen_group(const std::vector<CellGroup>& groups, const std::string& list, const char* option,
                       const std::string& key) {
  std::vector<std::string> known;
  for (const CellGroup& group : groups) known.push_back(group.name);
  // A name may itself hold a comma.
  const bool is_one = std::find(known.begin(), known.end(), list) != known.end();
  std::vector<CellGroup> chosen;
  for (const std::string& name : is_one ? std::vector{list} : split_list(list)) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      throw InputError({.problem = "names '" + name + "', but no cell has this in obs column '" + key + "'",
                        .field = option,
                        .remedy = suggest(name, known)});
    }
    chosen.push_back(groups[found - known.begin()]);
  }
  return merged_groups(chosen, list);
}

/// Groups that overlap are told by their names, before any cell is looked at.
void refuse_common_names(const DeOptions& options) {
  const std::vector<std::string> first = split_list(options.group1);
  for (const std::string& name : split_list(options.group2)) {
    if (std::find(first.begin(), first.end(), name) == first.end()) continue;
    throw InputError({.problem = "names '" + name + "', and so does --group1: the groups overlap",
                      .field = "--group2",
                      .remedy = "name each group once"});
  }
}

/// The cells of all groups that share no cell with `group`.
CellGroup all_others(const std::vector<CellGroup>& groups, const CellGroup& group) {
  const std::set<std::int64_t> cells(group.cells.begin(), group.cells.end());
  std::vector<CellGroup> others;
  for (const CellGroup& other : groups) {
    if (!cells.contains(other.cells.front())) others.push_back(other);
  }
  return merged_groups(others, "all others");
}

std::vector<CellGroup> within_cells(const std::vector<CellGroup>& groups, const CellGroup& category) {
  const std::set<std::int64_t> cells(category.cells.begin(), category.cells.end());
  std::vector<CellGroup> result;
  for (const CellGroup& group : groups) {
    CellGroup& part = result.emplace_back(CellGroup{.name = group.name, .cells = {}});
    for (const std::int64_t cell : group.cells) {
      if (cells.contains(cell)) part.cells.push_back(cell);
    }
    if (part.cells.empty()) result.pop_back();
  }
  return result;
}

/// Whether any group and all others together are large enough.
bool holds_a_comparison(const std::vector<CellGroup>& groups, std::int64_t min_cells) {
  const std::int64_t n_cells = std::ssize(merged_groups(groups, "").cells);
  return std::any_of(groups.begin(), groups.end(), [&](const CellGroup& group) {
    const std::int64_t n = std::ssize(group.cells);
    return n > min_cells && n_cells - n > min_cells;
  });
}

/// Every group against all others within each category, one table for each pair of the two.
std::vector<io::NamedTable> one_vs_all_within(std::span<const Posterior> posteriors,
                                              const std::vector<CellGroup>& groups,
                                              const std::vector<CellGroup>& categories,
                                              const DifferentialOptions& how) {
  std::vector<io::NamedTable> tables;
  for (const CellGroup& category : categories) {
    const std::vector<CellGroup> inside = within_cells(groups, category);
    if (!holds_a_comparison(inside, how.min_cells)) {
      log_warning("category '" + category.name + "' is left out: no group in it, or its others, has more than " +
                  std::to_string(how.min_cells) + " cells");
      continue;
    }
    for (io::NamedTable& table : one_vs_all_degenes(posteriors, inside, how)) {
      table.name = category.name + "/" + table.name;
      auto& names = std::get<std::vector<std::string>>(table.table.columns.back().values);
      std::fill(names.begin(), names.end(), table.name);
      tables.push_back(std::move(table));
    }
  }
  if (tables.empty()) {
    throw InputError({.problem = "is large enough for a comparison",
                      .field = "no category",
                      .remedy = "lower --min-cells, or leave out --within"});
  }
  return tables;
}

std::vector<io::NamedTable> compare(std::span<const Posterior> posteriors, const CellColumns& columns,
                                    const DeOptions& options, const DifferentialOptions& how) {
  const auto& rows = posteriors.front().gene_dataset().original_cells();
  const std::vector<CellGroup> groups = groups_of_column(columns.groupby, rows);
  std::vector<CellGroup> categories;
  if (columns.within) categories = groups_of_column(*columns.within, rows);
  if (options.group1.empty()) {
    if (groups.size() < 2) {
      throw InputError({.problem = "holds " + std::to_string(groups.size()) + " group of cells, but two are needed",
                        .file = options.data,
                        .field = "obs column '" + options.groupby + "'"});
    }
    return columns.within ? one_vs_all_within(posteriors, groups, categories, how)
                          : one_vs_all_degenes(posteriors, groups, how);
  }
  refuse_common_names(options);
  const CellGroup group1 = chosen_group(groups, options.group1, "--group1", options.groupby);
  const CellGroup group2 = options.group2.empty() ? all_others(groups, group1)
                                                  : chosen_group(groups, options.group2, "--group2", options.groupby);
  if (columns.within) return within_cluster_degenes(posteriors, categories, group1, group2, how);
  std::vector<io::NamedTable> tables(1);
  tables.front() = {.name = group1.name + " vs " + group2.name,
                    .table = differential_expression_score(posteriors, group1, group2, how)};
  return tables;
}

/// Batches of the model by name.
std::optional<std::vector<std::int64_t>> batches_of(const std::string& list, const GeneExpressionDataset& dataset,
                                                    const char* option) {
  if (list.empty()) return std::nullopt;
  std::vector<std::int64_t> batches;
  const std::vector<std::string>& known = dataset.batch_names();
  for (const std::string& name : split_list(list)) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      throw InputError({.problem = "names '" + name + "', which is no batch of the model",
                        .field = option,
                        .remedy = suggest(name, known)});
    }
    batches.push_back(found - known.begin());
  }
  return batches;
}

/// @throws InputError for a gene that the model does not have
std::set<std::string> genes_to_write(const std::string& list, const std::vector<std::string>& known) {
  std::set<std::string> genes;
  for (const std::string& name : split_list(list)) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw InputError({.problem = "names '" + name + "', which is not a gene of the model",
                        .field = "--genes",
                        .remedy = suggest(name, known)});
    }
    genes.insert(name);
  }
  return genes;
}

template <class T>
void keep_rows(std::vector<T>& values, const std::vector<std::size_t>& rows) {
  std::vector<T> kept;
  for (const std::size_t row : rows) kept.push_back(std::move(values[row]));
  values = std::move(kept);
}

void keep_genes(io::Frame& table, const std::set<std::string>& genes) {
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < table.index.size(); ++row) {
    if (genes.contains(table.index[row])) rows.push_back(row);
  }
  keep_rows(table.index, rows);
  for (io::Column& column : table.columns) {
    if (auto* numbers = std::get_if<std::vector<double>>(&column.values)) keep_rows(*numbers, rows);
    if (auto* texts = std::get_if<std::vector<std::string>>(&column.values)) keep_rows(*texts, rows);
    if (auto* truth = std::get_if<io::Boolean>(&column.values)) keep_rows(truth->values, rows);
  }
}

/// How many genes were called, for people.
std::string calls_of(const io::Frame& table) {
  for (const io::Column& column : table.columns) {
    const auto* truth = std::get_if<io::Boolean>(&column.values);
    if (!truth || !column.name.starts_with("is_de_")) continue;
    const auto n = std::count(truth->values.begin(), truth->values.end(), 1);
    return with_thousands(n) + " of " + with_thousands(table.n_rows()) + " genes have " + column.name;
  }
  return with_thousands(table.n_rows()) + " genes";
}

/// Samples held at a time when memory is limited; more where the counts leave so much that they are not in doubt.
constexpr std::int64_t kSamplesWithinLimit = std::int64_t{64} << 20;

/// What is held at a time under --memory, beside the counts: samples, and what is decoded and summed up on the way.
std::int64_t sample_bytes(const DeOptions& options, std::int64_t n_genes) {
  return kSamplesWithinLimit + options.n_samples * n_genes * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t memory_for_samples(std::int64_t memory, const GeneExpressionDataset& dataset,
                                const DifferentialOptions& how) {
  if (memory == 0) return how.memory_bytes;
  const bool in_memory = !dataset.X().store();
  const bool plenty = in_memory && static_cast<std::int64_t>(dataset.X().memory_bytes()) < memory / 2;
  return plenty ? std::clamp(memory / 4, kSamplesWithinLimit, how.memory_bytes) : kSamplesWithinLimit;
}

DifferentialOptions differential_options(const DeOptions& options) {
  DifferentialOptions how;
  how.hypothesis = hypothesis_of(options);
  how.automatic_pseudocount = options.pseudocount == "auto";
  how.pairs = {.use_permutation = options.permutations > 0, .M_permutation = options.permutations};
  how.n_samples = options.n_samples;
  how.use_observed_batches = options.observed_batches;
  how.fdr_targets = parts_of_one(options.fdr, "--fdr");
  how.call_rule = parse_call_rule(options.fdr_rule);
  how.n_repetitions = options.repetitions;
  how.min_cells = options.min_cells;
  return how;
}

/// A further training. @throws InputError unless it is on the same genes, batches and labels
std::shared_ptr<Model> further_model(const std::string& run, const SavedModel& first, const DeOptions& options) {
  const SavedModel other = load_model(run);
  const auto refuse_unless = [&](bool same, const char* what) {
    if (same) return;
    throw InputError({.problem = std::string("was trained on other ") + what + " than '" + options.run + "'",
                      .file = run,
                      .field = "--more-runs",
                      .remedy = "train both on the same file, with the same options but for --seed"});
  };
  refuse_unless(other.data.gene_names == first.data.gene_names, "genes, or in another order,");
  refuse_unless(other.data.batch_key == first.data.batch_key && other.data.batch_names == first.data.batch_names,
                "batches");
  refuse_unless(other.data.labels_key == first.data.labels_key && other.data.label_names == first.data.label_names,
                "labels");
  return other.model;
}

/// Of RUN and of all further ones, each with draws of its own.
std::vector<Posterior> posteriors_of(const SavedModel& saved, const std::shared_ptr<GeneExpressionDataset>& dataset,
                                     c10::Device device, const DeOptions& options) {
  std::vector<Posterior> posteriors;
  const auto add = [&](const std::shared_ptr<Model>& model) {
    model->to(device);
    const std::string name = posteriors.empty() ? "de" : "de/run " + std::to_string(posteriors.size() + 1);
    posteriors.push_back(Posterior::of_all_cells(
        model, dataset, {.batch_size = options.batch_size, .seed = options.seed, .name = name}));
  };
  add(saved.model);
  for (const std::string& run : split_list(options.more_runs)) add(further_model(run, saved, options));
  return posteriors;
}

int de(const Arguments& arguments) {
  DeOptions options;
  CLI::App app(
      "Says which genes differ between groups of cells, by what a trained model expects of them.\n"
      "Differential expression of scVI, for two groups, or every group against all others.",
      "de");
  add_options(app, options);
  if (!parse(app, arguments)) return 0;
  apply(options.common);
  check_options(options, app);
  DifferentialOptions how = differential_options(options);
  const std::int64_t memory = parse_memory(options.memory);
  for (const std::string& output : options.outputs) const AtomicFile probe(output, overwrite_of(options.force));
  const c10::Device device = device_of(options.device);
  SavedModel saved = load_latent_model(options.run);
  const std::set<std::string> genes = genes_to_write(options.genes, saved.data.gene_names);
  io::CountFile file = open_for_model(options.data, saved, options.reading, app.count("--layer") > 0);
  const CellColumns columns = columns_of(file, options);
  const auto dataset = load_for_model(std::move(file), saved,
                                      {.drop_empty_cells = true,
                                       .with_batches = true,
                                       .keep_attributes = false,
                                       .memory = memory,
                                       .batch_size = options.batch_size,
                                       .result_bytes = sample_bytes(options, std::ssize(saved.data.gene_names))});
  how.memory_bytes = memory_for_samples(memory, *dataset, how);
  how.batchid1 = batches_of(options.batches1, *dataset, "--batches1");
  how.batchid2 = batches_of(options.batches2, *dataset, "--batches2");
  const std::vector<Posterior> posteriors = posteriors_of(saved, dataset, device, options);
  const auto progress = make_terminal_progress(!options.common.no_progress);
  how.progress = progress.get();

  std::vector<io::NamedTable> tables = compare(posteriors, columns, options, how);
  for (io::NamedTable& table : tables) {
    log_info(table.name + ": " + calls_of(table.table));
    if (!genes.empty()) keep_genes(table.table, genes);
  }
  for (const std::string& output : options.outputs) {
    if (output.ends_with(".xlsx")) {
      io::write_xlsx(output, tables, overwrite_of(options.force));
    } else {
      io::write_tsv(output, tables, overwrite_of(options.force));
    }
    log_info("wrote " + output + ": " + with_thousands(std::ssize(tables)) +
             (tables.size() == 1 ? " comparison" : " comparisons"));
  }
  return 0;
}

}  // namespace

int run_de(const Arguments& arguments) {
  return with_plain_errors(de, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_de(const scvi::app::Arguments& arguments) {
  return scvi::app::run_de(arguments);
}
