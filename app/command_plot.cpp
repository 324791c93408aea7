#include <algorithm>
#include <array>
#include <iostream>

#include "cli.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/report/cell_map_figure.hpp"
#include "scvi/report/expression_figures.hpp"
#include "scvi/report/expression_source.hpp"
#include "scvi/report/loadings_figure.hpp"
#include "scvi/report/save_figure.hpp"
#include "scvi/report/training_curves.hpp"
#include "scvi/report/volcano.hpp"
#include "scvi/report/zero_inflation_figure.hpp"

namespace scvi::app {
namespace {

/// What every figure has.
struct FigureOptions {
  std::string output;
  double dpi = report::kDefaultDpi;
  int columns = 0;
  bool force = false;
  CommonOptions common;
};

/// How values of genes are had.
struct ValueOptions {
  std::string layer;
  std::string gene_symbols;
  bool no_log = false;
  bool as_stored = false;

  report::ValueTransform transform() const {
    if (as_stored) return report::ValueTransform::as_stored;
    return no_log ? report::ValueTransform::per_ten_thousand : report::ValueTransform::log_per_ten_thousand;
  }
};

void add_figure_options(CLI::App& app, FigureOptions& options, bool has_panels) {
  app.add_option("--output,-o", options.output, "the figure to write: .svg or .png")->required()->check(not_empty());
  app.add_option("--dpi", options.dpi, "dots per inch of a .png, and of very many points in an .svg")
      ->check(number(10, 1200))
      ->capture_default_str();
  if (has_panels) {
    app.add_option("--panels-per-row", options.columns, "panels side by side (0: as many as look well)")
        ->check(whole_number(0, 100))
        ->capture_default_str();
  }
  add_force_option(app, options.force);
  add_common_options(app, options.common);
}

void add_value_options(CLI::App& app, ValueOptions& options) {
  app.add_option("--layer", options.layer, "the matrix for genes: X, raw, or a layer such as scvi_normalized");
  app.add_option("--gene-symbols", options.gene_symbols,
                 "var column with symbols, by which genes may be named, too (default: gene_symbols and the like)");
  app.add_flag("--no-log", options.no_log, "values per 10,000 of a cell, without the logarithm of 1 + x");
  app.add_flag("--as-stored", options.as_stored, "values as the matrix holds them, neither scaled nor logarithms");
}

/// Reads the arguments and refuses what cannot be written before the work, not after.
/// @return false when only help was asked for
bool ready(CLI::App& app, const Arguments& arguments, const FigureOptions& options) {
  if (!parse(app, arguments)) return false;
  apply(options.common);
  report::figure_format_of(options.output);
  const AtomicFile probe(options.output, overwrite_of(options.force));
  return true;
}

void refuse_both(const CLI::App& app, const char* one, const char* other) {
  if (app.count(one) > 0 && app.count(other) > 0) {
    throw InputError({.problem = "cannot be given together", .field = std::string(one) + " and " + other});
  }
}

int finish(const report::Canvas& canvas, const FigureOptions& options, const std::string& what) {
  report::save_figure(options.output, canvas, overwrite_of(options.force), options.dpi);
  log_info("wrote " + options.output + ": " + what);
  return 0;
}

std::string counted(std::int64_t n, const std::string& what) {
  return with_thousands(n) + " " + what + (n == 1 ? "" : "s");
}

int plot_curves(const Arguments& arguments) {
  std::string run;
  std::string series;
  std::int64_t first_epoch = 0;
  report::TrainingCurvesOptions draw;
  FigureOptions options;
  CLI::App app(
      "Draws what was recorded while a model was trained, over the epochs; the best epoch is marked where early\n"
      "stopping or --save-best looked for one.\n\n"
      "  scvi plot curves RUN -o curves.svg",
      "plot curves");
  app.add_option("RUN", run, "the folder that `scvi train` wrote, or its history.tsv")
      ->required()
      ->check(not_empty());
  app.add_option(
      "--series", series,
      "metrics (elbo) or columns of history.tsv (train_loss, lr) to show, a panel each (default: all metrics, "
      "or train_loss)");
  app.add_option("--first-epoch", first_epoch,
                 "fit the axis of values to the epochs from this one on (default: all, but for a steep beginning)")
      ->check(whole_number(0));
  app.add_flag("--log", draw.log_scale, "logarithmic axis of values");
  add_figure_options(app, options, true);
  if (!ready(app, arguments, options)) return 0;
  if (app.count("--first-epoch") > 0) draw.first_epoch = first_epoch;
  draw.columns = options.columns;
  const report::TrainingCurves curves = report::read_training_curves(run, split_list(series));
  return finish(report::draw_training_curves(curves, draw), options, counted(std::ssize(curves.panels), "panel"));
}

struct MapCommand {
  std::string data;
  std::vector<std::string> axes = {"1,2"};
  bool no_legend = false;
  report::CellMapSource source;
  ValueOptions values;
  report::CellMapFigureOptions draw;
  FigureOptions options;
};

void add_map_options(CLI::App& app, MapCommand& command) {
  app.add_option("DATA", command.data, "the .h5ad file")->required()->check(not_empty());
  app.add_option("--color", command.source.colors,
                 "obs column, a column of a space in obsm (X_scVI:1), or else a gene; again for more panels")
      ->allow_extra_args(false)
      ->check(not_empty());
  app.add_option("--basis", command.source.basis, "the space in obsm")->check(not_empty())->capture_default_str();
  app.add_option("--axes", command.axes, "which two of its columns, counted from 1; again for more panels")
      ->allow_extra_args(false)
      ->capture_default_str();
  add_value_options(app, command.values);
  app.add_flag("--labels", command.draw.labels, "write the names of categories on the map");
  app.add_flag("--no-legend", command.no_legend, "leave out the list of categories");
  app.add_option("--clip", command.draw.clip_percentile,
                 "percentile of values from which on all have the last colour")
      ->check(number(50, 100))
      ->capture_default_str();
  app.add_option("--point-size", command.draw.point_radius, "radius of a cell in pixels (0: by the number of cells)")
      ->check(number(0, 20))
      ->capture_default_str();
  app.add_option("--seed", command.draw.seed, "seed of the order in which cells are drawn")
      ->check(whole_number(0))
      ->capture_default_str();
  add_figure_options(app, command.options, true);
}

/// "1,2" as columns counted from 0.
void set_axes(const std::string& axes, report::CellMapSource& source) {
  const std::vector<std::string> columns = split_list(axes);
  for (const std::string& column : columns) {
    if (const std::string problem = whole_number(1, 100000)(column); !problem.empty()) {
      throw InputError({.problem = problem, .field = "--axes"});
    }
  }
  if (columns.size() != 2)
    throw InputError({.problem = "is '" + axes + "', but must be two numbers", .field = "--axes"});
  source.first_axis = std::stoi(columns[0]) - 1;
  source.second_axis = std::stoi(columns[1]) - 1;
}

int plot_map(const Arguments& arguments) {
  MapCommand command;
  CLI::App app(
      "Draws the cells of a file where a UMAP or another space of obsm has them, coloured by columns of obs or by\n"
      "genes. Genes are shown as log(1 + x) of x = counts per 10,000 of the cell.\n\n"
      "  scvi plot map cells.h5ad --color leiden --color CD3E -o map.png",
      "plot map");
  add_map_options(app, command);
  if (!ready(app, arguments, command.options)) return 0;
  refuse_both(app, "--no-log", "--as-stored");
  command.source.layer = command.values.layer;
  command.source.gene_symbols = command.values.gene_symbols;
  command.source.transform = command.values.transform();
  command.draw.legend = !command.no_legend;
  command.draw.columns = command.options.columns;
  const io::H5adFile file(command.data);
  std::vector<report::CellMapFigure> figures;
  for (const std::string& axes : command.axes) {
    set_axes(axes, command.source);
    figures.push_back(report::read_cell_map(file, command.source));
  }
  const std::int64_t n_panels = std::ssize(figures) * std::ssize(figures.front().panels);
  return finish(report::draw_cell_maps(figures, command.draw), command.options,
                counted(std::ssize(figures.front().x), "cell") + " in " + counted(n_panels, "panel"));
}

int plot_volcano(const Arguments& arguments) {
  std::string path;
  std::string group;
  std::string y = "bayes-factor";
  report::VolcanoOptions draw;
  FigureOptions options;
  CLI::App app(
      "Draws the genes of a table of `scvi de` by their change and the evidence for it, a panel for each "
      "comparison.\n\n"
      "  scvi plot volcano DE.tsv --group 3 -o volcano.svg",
      "plot volcano");
  app.add_option("TABLE", path, "the .tsv that `scvi de` wrote")->required()->check(not_empty());
  app.add_option("--group", group, "show this comparison alone, as the column `clusters` names it");
  app.add_option("--group1", draw.first_group, "what the first group is called (default: as the column `clusters`)");
  app.add_option("--group2", draw.second_group, "what the second group is called (default: others)");
  app.add_option("--evidence", y, "up the axis: bayes-factor or probability")
      ->check(one_of({"bayes-factor", "probability"}))
      ->capture_default_str();
  app.add_option("--labels", draw.n_labels, "genes to name in a panel, as far as there is room")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  add_figure_options(app, options, true);
  if (!ready(app, arguments, options)) return 0;
  draw.probability = y == "probability";
  draw.columns = options.columns;
  report::DifferentialTable table = report::read_differential_table(path);
  if (app.count("--group") > 0) table = report::with_comparison(table, group, path);
  constexpr std::int64_t kMostPanels = 60;
  if (std::ssize(table.comparisons) > kMostPanels) {
    throw InputError({.problem = "holds " + with_thousands(std::ssize(table.comparisons)) + " comparisons",
                      .file = path,
                      .remedy = "choose one with --group"});
  }
  return finish(report::draw_volcano(table, draw), options, counted(std::ssize(table.comparisons), "panel"));
}

struct ExpressionCommand {
  std::string data;
  std::string groupby;
  std::string genes;
  std::string differential;
  std::int64_t top = 5;
  std::string standardize;
  ValueOptions values;
  report::ExpressionFigureOptions draw;
  FigureOptions options;
};

void add_expression_options(CLI::App& app, ExpressionCommand& command) {
  app.add_option("DATA", command.data, "the .h5ad file")->required()->check(not_empty());
  app.add_option("--groupby", command.groupby, "obs column that holds the groups of cells")
      ->required()
      ->check(not_empty());
  app.add_option("--genes", command.genes, "genes to show: a,b,c, or a file with one in a line")->check(not_empty());
  app.add_option("--de", command.differential,
                 "a .tsv of `scvi de`: show the first genes that are higher in each group")
      ->check(not_empty());
  app.add_option("--top", command.top, "with --de: how many of each group")
      ->check(whole_number(1, report::kMostGenes))
      ->capture_default_str();
  app.add_option("--standardize", command.standardize,
                 "what is done to the means of each gene: none, z-score, or range (0 to 1)")
      ->check(one_of({"none", "z-score", "range"}))
      ->capture_default_str();
  app.add_flag("--swap-axes", command.draw.genes_are_rows, "genes downward and groups across");
  add_value_options(app, command.values);
  add_figure_options(app, command.options, false);
}

/// @return false when only help was asked for
bool read_expression_options(CLI::App& app, const Arguments& arguments, ExpressionCommand& command) {
  add_expression_options(app, command);
  if (!ready(app, arguments, command.options)) return false;
  refuse_both(app, "--no-log", "--as-stored");
  refuse_both(app, "--genes", "--de");
  if (command.genes.empty() && command.differential.empty()) {
    throw InputError({.problem = "is missing", .field = "--genes", .remedy = "name genes, or a table with --de"});
  }
  if (command.differential.empty() && app.count("--top") > 0) {
    throw InputError({.problem = "is of no use without --de", .field = "--top"});
  }
  command.draw.standardization = report::parse_standardization(command.standardize);
  return true;
}

report::GroupExpression expression_for(const ExpressionCommand& command) {
  report::ExpressionSource source{.groupby = command.groupby,
                                  .genes = {},
                                  .layer = command.values.layer,
                                  .transform = command.values.transform(),
                                  .gene_symbols = command.values.gene_symbols};
  if (command.differential.empty()) {
    source.genes = {{.group = "", .genes = list_or_file(command.genes)}};
  } else {
    source.genes = report::top_markers(report::read_differential_table(command.differential), command.top);
  }
  return report::read_group_expression(io::H5adFile(command.data), source);
}

std::string what_is_shown(const report::GroupExpression& expression) {
  return counted(std::ssize(expression.groups), "group") + " x " + counted(std::ssize(expression.genes), "gene");
}

int plot_heat_map(const Arguments& arguments) {
  ExpressionCommand command;
  command.standardize = "z-score";
  CLI::App app(
      "Draws the mean expression of genes in groups of cells as a heat map. Means are of log(1 + x), x = counts per\n"
      "10,000 of the cell.\n\n"
      "  scvi plot heatmap cells.h5ad --groupby leiden --de DE.tsv --top 5 -o markers.svg",
      "plot heatmap");
  if (!read_expression_options(app, arguments, command)) return 0;
  const report::GroupExpression expression = expression_for(command);
  return finish(report::draw_heat_map(expression, command.draw), command.options, what_is_shown(expression));
}

int plot_dot_plot(const Arguments& arguments) {
  ExpressionCommand command;
  command.standardize = "none";
  CLI::App app(
      "Draws a disc for each gene and group of cells: its area is the part of the cells that have the gene, its "
      "colour\n"
      "the mean expression, of log(1 + x), x = counts per 10,000 of the cell.\n\n"
      "  scvi plot dotplot cells.h5ad --groupby leiden --genes CD3E,MS4A1,NKG7 -o dots.svg",
      "plot dotplot");
  if (!read_expression_options(app, arguments, command)) return 0;
  const report::GroupExpression expression = expression_for(command);
  return finish(report::draw_dot_plot(expression, command.draw), command.options, what_is_shown(expression));
}

int plot_loadings(const Arguments& arguments) {
  std::string path;
  report::LoadingsFigureOptions draw;
  FigureOptions options;
  CLI::App app(
      "Draws the genes at the two ends of each factor of an LDVAE: its highest and its lowest loadings.\n\n"
      "  scvi plot loadings loadings.tsv -o loadings.svg",
      "plot loadings");
  app.add_option("TABLE", path, "the .tsv that `scvi loadings` wrote")->required()->check(not_empty());
  app.add_option("--top", draw.n_genes, "genes at either end of each factor")
      ->check(whole_number(1, report::kMostExtremeGenes))
      ->capture_default_str();
  add_figure_options(app, options, true);
  if (!ready(app, arguments, options)) return 0;
  draw.columns = options.columns;
  const report::LoadingsTable table = report::read_loadings(path);
  return finish(report::draw_loadings(table, draw), options, counted(std::ssize(table.factors), "panel"));
}

int plot_zero_inflation(const Arguments& arguments) {
  std::string path;
  report::ZeroInflationFigureOptions draw;
  FigureOptions options;
  CLI::App app(
      "Draws how many genes have which probability of zero inflation and, if the table has mean counts, the\n"
      "probability of each gene against its mean count; a panel for each batch or label that was told apart.\n\n"
      "  scvi plot zero-inflation zi.tsv -o zi.svg",
      "plot zero-inflation");
  app.add_option("TABLE", path, "the .tsv that `scvi zero-inflation` wrote")->required()->check(not_empty());
  app.add_option("--labels", draw.n_labels, "called genes to name in a panel, as far as there is room")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  add_figure_options(app, options, true);
  if (!ready(app, arguments, options)) return 0;
  draw.columns = options.columns;
  const report::ZeroInflationTable table = report::read_zero_inflation(path);
  const auto n_genes = std::ssize(table.groups.front().genes);
  return finish(report::draw_zero_inflation(table, draw), options,
                counted(n_genes, "gene") + " in " + counted(std::ssize(table.groups), "group"));
}

struct Kind {
  const char* name;
  const char* usage;
  const char* what;
  int (*run)(const Arguments&);
};

constexpr std::array<Kind, 7> kKinds = {{
    {"curves", "RUN", "what was recorded while a model was trained", plot_curves},
    {"map", "DATA --color KEY_OR_GENE", "cells on a UMAP or the like, coloured", plot_map},
    {"volcano", "DE.tsv", "genes by their change and the evidence for it", plot_volcano},
    {"heatmap", "DATA --groupby KEY --genes a,b,c", "mean expression of genes in groups", plot_heat_map},
    {"dotplot", "DATA --groupby KEY --genes a,b,c", "the same, with the part of cells that have a gene",
     plot_dot_plot},
    {"loadings", "LOADINGS.tsv", "the genes at the ends of each factor of an LDVAE", plot_loadings},
    {"zero-inflation", "ZI.tsv", "how probable zero inflation is, by AutoZI", plot_zero_inflation},
}};

int show_kinds(const Arguments& arguments) {
  std::string text = "Draws a figure as .svg or .png:\n\n";
  for (const Kind& kind : kKinds) {
    const std::string usage = std::string("scvi plot ") + kind.name + " " + kind.usage;
    text += "  " + usage + std::string(52 - usage.size(), ' ') + kind.what + "\n";
  }
  text += "\n`scvi plot KIND --help` tells more.";
  CommonOptions common;
  std::string kind;
  CLI::App app(text, "plot");
  app.add_option("KIND", kind, "one of these")->required();
  add_common_options(app, common);
  parse(app, arguments);
  return 0;
}

}  // namespace

int run_plot(const Arguments& arguments) {
  if (arguments.empty() || arguments.front().starts_with('-')) return show_kinds(arguments);
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) {
    if (arguments.front() == kind.name) return kind.run(Arguments(arguments.begin() + 1, arguments.end()));
    names.emplace_back(kind.name);
  }
  throw InputError({.problem = "knows no figure '" + arguments.front() + "'",
                    .field = "scvi plot",
                    .remedy = suggest(arguments.front(), names)});
}

}  // namespace scvi::app
