#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli.hpp"
#include "counts_input.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/align_genes.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/dataset/prepare.hpp"
#include "scvi/dataset/write_dataset.hpp"
#include "scvi/io/convert.hpp"

namespace scvi::app {
namespace {

using json = nlohmann::ordered_json;

struct PrepareCommand {
  std::vector<std::string> inputs;
  std::string output;
  std::string report;
  CountsInput reading;
  LoadOptions load;
  std::string batch_keys;
  std::string labels_keys;
  std::string batch_names;
  std::string keep_cell_types;
  std::string remove_cell_types;
  std::string keep_genes;
  std::string measurements = "intersection";
  std::string gene_selection = "seurat_v3";
  bool make_unique = false;
  bool force = false;
  PrepareOptions prepare;
  CommonOptions common;
};

void add_annotation_options(CLI::App& app, PrepareCommand& command) {
  const char* group = "Annotation";
  app.add_option("--batch-key", command.batch_keys,
                 "obs column with the batch of each cell, or one a file: a,b (none: each file is a batch)")
      ->group(group);
  app.add_option("--labels-key", command.labels_keys,
                 "obs column with the cell type of each cell, or one a file: a,b; none: the file has no such column, "
                 "and its cells are 'undefined'")
      ->group(group);
  app.add_option("--missing-label", command.load.missing_label, "cell type given to cells that have none")
      ->group(group);
  app.add_option("--batch-names", command.batch_names, "what the files are called, a,b,... (default: their names)")
      ->group(group);
  app.add_flag("--make-unique", command.make_unique, "number gene names that occur more than once")->group(group);
  app.add_flag("--lower-gene-names", command.prepare.lower_gene_names, "small letters in gene names")->group(group);
  app.add_option("--measurements", command.measurements,
                 "tables beside the counts, as proteins, of several files: keep the columns that all have "
                 "(intersection), any has (union), or no table (none)")
      ->check(one_of({"intersection", "union", "none"}))
      ->capture_default_str()
      ->group(group);
}

void add_cell_options(CLI::App& app, PrepareCommand& command) {
  const char* group = "Cells";
  PrepareOptions& prepare = command.prepare;
  app.add_option("--keep-cell-types", command.keep_cell_types, "keep the cells of these types: a,b")->group(group);
  app.add_option("--remove-cell-types", command.remove_cell_types, "remove the cells of these types: a,b")
      ->group(group);
  app.add_option("--min-counts-per-cell", prepare.min_counts_per_cell, "remove cells with a smaller total count")
      ->check(number(0))
      ->group(group);
  app.add_option("--min-genes-per-cell", prepare.min_genes_per_cell, "remove cells that have counts of fewer genes")
      ->check(whole_number(0))
      ->group(group);
  app.add_option("--subsample-cells", prepare.subsample_cells, "keep this many cells, those with the largest totals")
      ->check(whole_number(1))
      ->group(group);
}

void add_gene_options(CLI::App& app, PrepareCommand& command) {
  const char* group = "Genes";
  PrepareOptions& prepare = command.prepare;
  app.add_option("--min-counts-per-gene", prepare.min_counts_per_gene, "remove genes with a smaller total count")
      ->check(number(0))
      ->group(group);
  app.add_option("--min-cells-per-gene", prepare.min_cells_per_gene, "remove genes with counts in fewer cells")
      ->check(whole_number(0))
      ->group(group);
  app.add_flag("--per-batch", prepare.per_batch, "a gene must pass these two in every batch")->group(group);
  app.add_option("--keep-genes", command.keep_genes,
                 "keep these genes, in this order: a,b, or a file with one a line")
      ->group(group);
  app.add_option("--n-top-genes", prepare.n_top_genes, "keep this many of the most variable genes")
      ->check(whole_number(1))
      ->group(group);
  app.add_option("--gene-selection", command.gene_selection,
                 "how they are chosen: " + join_some(available_gene_selection_modes(), 20))
      ->check(one_of(available_gene_selection_modes()))
      ->capture_default_str()
      ->group(group);
}

constexpr const char* kNoColumn = "none";
/// The type of cells of a data set without types.
constexpr const char* kUndefined = "undefined";

/// One name for each file: the only one for all, or one each.
std::vector<std::string> one_each(const std::string& text, const char* option, std::size_t n_files) {
  std::vector<std::string> names = split_list(text);
  if (names.empty()) return std::vector<std::string>(n_files);
  if (names.size() == 1) return std::vector<std::string>(n_files, names.front());
  if (names.size() == n_files) return names;
  throw InputError({.problem = "has " + std::to_string(names.size()) + " names for " + std::to_string(n_files) +
                               " files, but must have one, or one each",
                    .field = option});
}

/// "donor1" for "data/donor1.h5ad" and "data/donor1.csv.gz".
std::string stem_of(const std::string& path) {
  std::filesystem::path file(path);
  if (file.filename().empty()) file = file.parent_path();
  const std::string name = file.filename().string();
  const std::size_t dot = std::filesystem::is_directory(file) ? std::string::npos : name.find('.', 1);
  return name.substr(0, dot);
}

std::vector<std::string> names_of_inputs(const PrepareCommand& command) {
  std::vector<std::string> names = split_list(command.batch_names);
  if (names.empty()) {
    for (const std::string& input : command.inputs) names.push_back(stem_of(input));
    return make_names_unique(std::move(names));
  }
  if (names.size() == command.inputs.size() && repeated_names(names).empty()) return names;
  throw InputError(
      {.problem = "must name each of the " + std::to_string(command.inputs.size()) + " files, each differently",
       .field = "--batch-names"});
}

std::vector<GeneExpressionDataset> load_inputs(const PrepareCommand& command) {
  const std::size_t n_files = command.inputs.size();
  const std::vector<std::string> batch_keys = one_each(command.batch_keys, "--batch-key", n_files);
  const std::vector<std::string> labels_keys = one_each(command.labels_keys, "--labels-key", n_files);
  io::OpenCountsOptions open = open_options(command.reading);
  open.tables = command.measurements != "none";
  std::vector<GeneExpressionDataset> inputs;
  for (std::size_t i = 0; i < n_files; ++i) {
    LoadOptions load = command.load;
    load.batch_key = batch_keys[i];
    load.labels_key = labels_keys[i] == kNoColumn ? "" : labels_keys[i];
    load.on_duplicate_genes = command.make_unique ? DuplicateGenes::make_unique : DuplicateGenes::error;
    inputs.push_back(load_counts(io::open_counts(command.inputs[i], open), load));
    log_info("read " + command.inputs[i] + ": " + with_thousands(inputs.back().nb_cells()) + " cells x " +
             with_thousands(inputs.back().nb_genes()) + " genes");
  }
  return inputs;
}

json json_of(const PrepareReport& report, const PrepareCommand& command, const GeneExpressionDataset& dataset) {
  json result = {{"output", command.output},
                 {"n_cells", report.n_cells},
                 {"n_genes", report.n_genes},
                 {"batches", dataset.batch_names()},
                 {"cell_types", dataset.cell_types()}};
  result["inputs"] = json::array();
  for (std::size_t i = 0; i < command.inputs.size(); ++i) {
    json input = {{"file", command.inputs[i]}};
    if (i < report.merge.inputs.size()) {
      const MergeReport::Input& merged = report.merge.inputs[i];
      input.update({{"name", merged.name},
                    {"n_cells", merged.n_cells},
                    {"n_cells_kept", merged.n_cells_kept},
                    {"n_genes", merged.n_genes},
                    {"n_genes_kept", merged.n_genes_kept},
                    {"dropped_genes", merged.dropped_genes},
                    {"dropped_cell_attributes", merged.dropped_cell_attributes}});
    }
    result["inputs"].push_back(std::move(input));
  }
  result["steps"] = json::array();
  for (const PrepareStep& step : report.steps) {
    result["steps"].push_back({{"what", step.what},
                               {"n_cells_dropped", step.dropped_cells.size()},
                               {"n_genes_dropped", step.dropped_genes.size()},
                               {"dropped_cells", step.dropped_cells},
                               {"dropped_genes", step.dropped_genes}});
  }
  return result;
}

void print_report(const PrepareReport& report, const PrepareCommand& command, const GeneExpressionDataset& dataset) {
  if (!report.merge.inputs.empty()) std::cout << report.merge.text() << "\n";
  for (const PrepareStep& step : report.steps) {
    std::cout << step.what << ": dropped " << with_thousands(std::ssize(step.dropped_cells)) << " cells, "
              << with_thousands(std::ssize(step.dropped_genes)) << " genes\n";
  }
  std::cout << command.output << ": " << with_thousands(report.n_cells) << " cells x "
            << with_thousands(report.n_genes) << " genes\n";
  const bool has_batches = dataset.batch_names().size() > 1;
  if (has_batches) std::cout << "  batch: " << join_some(dataset.batch_names()) << "\n";
  const std::vector<std::string>& types = dataset.cell_types();
  const bool labelled = types != std::vector<std::string>{kUndefined};
  if (labelled) std::cout << "  cell_type: " << join_some(types) << "\n";
  std::cout << "  train with: scvi train " << command.output << (has_batches ? " --batch-key batch" : "")
            << (labelled ? " --labels-key cell_type" : "") << " --output RUN\n";
  if (labelled && std::ranges::find(types, kUndefined) != types.end()) {
    std::cout << "  and to tell the types of the others: --model scanvi --unlabelled " << kUndefined << "\n";
  }
}

bool read_arguments(const Arguments& arguments, PrepareCommand& command) {
  CLI::App app(
      "Makes a file for `scvi train` of one or several files of counts: chooses cells and genes, puts files "
      "together,\n"
      "and says what was kept and dropped. Of several files the genes that all of them have are kept.\n\n"
      "  scvi prepare cells.h5ad -o ready.h5ad --batch-key donor --n-top-genes 2000\n"
      "  scvi prepare run1/ run2.h5 run3.csv.gz -o ready.h5ad --min-genes-per-cell 200",
      "prepare");
  app.add_option("IN", command.inputs, kAnyCounts)->required()->check(not_empty());
  app.add_option("--output,-o", command.output, "the file to write: .h5ad or .loom")->required()->check(not_empty());
  app.add_option("--report", command.report, "write what was kept and dropped to this file, as JSON")
      ->check(not_empty());
  add_input_options(app, command.reading);
  add_annotation_options(app, command);
  add_cell_options(app, command);
  add_gene_options(app, command);
  add_force_option(app, command.force);
  add_common_options(app, command.common);
  if (!parse(app, arguments)) return false;
  PrepareOptions& prepare = command.prepare;
  prepare.measurement_union = command.measurements == "union";
  prepare.keep_cell_types = split_list(command.keep_cell_types);
  prepare.remove_cell_types = split_list(command.remove_cell_types);
  prepare.gene_selection = parse_gene_selection_mode(command.gene_selection);
  if (!command.keep_genes.empty()) prepare.keep_genes = list_or_file(command.keep_genes);
  prepare.dataset_names = names_of_inputs(command);
  return true;
}

}  // namespace

int run_prepare(const Arguments& arguments) {
  PrepareCommand command;
  if (!read_arguments(arguments, command)) return 0;
  apply(command.common);
  // Refuse what cannot be written before the work, not after.
  io::output_format_of(command.output);
  const Overwrite overwrite = overwrite_of(command.force);
  { const AtomicFile probe(command.output, overwrite); }
  std::optional<AtomicFile> report_file;
  if (!command.report.empty()) report_file.emplace(command.report, overwrite);

  PrepareReport report;
  const GeneExpressionDataset dataset = prepare(load_inputs(command), command.prepare, report);
  write_dataset(dataset, command.output, overwrite);
  if (report_file) {
    const std::string text = json_of(report, command, dataset).dump(1) + "\n";
    report_file->write(text.data(), text.size());
    report_file->commit();
  }
  print_report(report, command, dataset);
  return 0;
}

}  // namespace scvi::app
