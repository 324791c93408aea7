#include "scvi/report/run_report.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>

#include "cell_summary.hpp"
#include "gene_sections.hpp"
#include "run_summary.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/delimited.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/report/cell_map_figure.hpp"
#include "scvi/report/differential_table.hpp"
#include "scvi/report/expression_figures.hpp"
#include "scvi/report/expression_source.hpp"
#include "scvi/report/training_curves.hpp"
#include "scvi/report/volcano.hpp"
#include "table_columns.hpp"

namespace scvi::report {
namespace {

/// More comparisons than this make a volcano plot each that nobody looks at.
constexpr std::int64_t kMostVolcanoes = 24;
/// Genes side by side that can still be read.
constexpr std::int64_t kMostFigureGenes = 60;
/// A cluster with this share of its cells in one batch is that batch's own.
constexpr double kOneBatch = 0.95;
constexpr std::int64_t kFewCells = 20;

std::string short_number(double value) {
  if (std::abs(value) >= 1000) return with_thousands(std::llround(value));
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 3).ptr;
  return {text, end};
}

std::string percent(double part, double whole) {
  return short_number(whole > 0 ? 100 * part / whole : 0) + " %";
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

/// What the page is about, read once.
struct Findings {
  io::H5adFile cells;
  RunSummary run;
  CellTotals totals;
  io::Categorical clusters;
  std::optional<DifferentialTable> markers;
};

const io::Column& obs_column(const io::H5adFile& file, const std::string& name) {
  if (const io::Column* column = file.obs().find(name)) return *column;
  throw InputError({.problem = "has no column '" + name + "'",
                    .file = file.path(),
                    .field = "obs",
                    .remedy = suggest(name, file.obs().column_names())});
}

Findings find(const RunReportSource& source) {
  Findings findings{.cells = io::H5adFile(source.cells),
                    .run = read_run_summary(source.run),
                    .totals = {},
                    .clusters = {},
                    .markers = {}};
  findings.clusters = obs_column(findings.cells, source.groupby).as_categorical();
  findings.totals = read_cell_totals(findings.cells, findings.run.layer);
  if (!source.markers.empty()) findings.markers = read_differential_table(source.markers);
  return findings;
}

/// A column that the model was trained with, if the file still has it.
const io::Column* trained_column(const Findings& findings, const std::string& key) {
  return key.empty() ? nullptr : findings.cells.obs().find(key);
}

void add_data(Page& page, const Findings& findings) {
  page.section("Data");
  const auto n_cells = static_cast<double>(findings.cells.n_obs());
  const auto n_genes = static_cast<double>(findings.cells.n_vars());
  std::vector<double> genes_per_cell(findings.totals.n_genes.begin(), findings.totals.n_genes.end());
  std::vector<std::pair<std::string, std::string>> facts = {
      {"Cells", with_thousands(findings.cells.n_obs())},
      {"Genes", with_thousands(findings.cells.n_vars())},
      {"Counts above zero", percent(static_cast<double>(findings.totals.n_nonzero), n_cells * n_genes)},
      {"Median counts of a cell", short_number(median(findings.totals.counts))},
      {"Median genes of a cell", short_number(median(std::move(genes_per_cell)))}};
  if (!findings.run.layer.empty()) facts.emplace_back("Counts from", findings.run.layer);
  if (!findings.run.batch_key.empty()) {
    facts.emplace_back("Batches",
                       std::to_string(findings.run.n_batches) + " (obs column '" + findings.run.batch_key + "')");
  }
  if (!findings.run.labels_key.empty()) {
    facts.emplace_back("Labels",
                       std::to_string(findings.run.n_labels) + " (obs column '" + findings.run.labels_key + "')");
  }
  page.facts(facts);
}

/// The weight of the KL divergence at the end, if the history has it.
std::optional<double> last_kl_weight(const std::string& run) {
  const std::string path = run + "/history.tsv";
  if (!std::filesystem::exists(path)) return {};
  const io::Frame history = io::read_table(path, {.separator = '\t'});
  const io::Column* weights = history.find("kl_weight");
  if (weights == nullptr) return {};
  const std::vector<double> values = numbers_of(*weights, path);
  const auto last = std::find_if(values.rbegin(), values.rend(), [](double value) { return std::isfinite(value); });
  return last == values.rend() ? std::nullopt : std::optional(*last);
}

void add_scores(Page& page, const std::string& path) {
  const ScoreTable scores = read_scores(path);
  io::Frame rows{.index_name = "metric", .index = scores.metrics, .columns = {}};
  for (std::size_t set = 0; set < scores.sets.size(); ++set) {
    std::vector<double> values;
    for (const auto& row : scores.values) values.push_back(row[set]);
    rows.columns.push_back(column(scores.sets[set] + " cells", std::move(values)));
  }
  PageTable table{.id = "scores",
                  .caption =
                      "Scores. elbo, reconstruction_error and marginal_ll are negative, per cell: less is better. "
                      "ari and nmi compare clusters of the latent space with the labels (1: equal), silhouette "
                      "says how far apart labels lie, entropy_batch_mixing how well batches mix (0: not at all, "
                      "0.69: two batches completely).",
                  .rows = std::move(rows),
                  .row_word = "metrics"};
  page.table(table);
}

void add_model(Page& page, const Findings& findings, const RunReportSource& source) {
  const RunSummary& run = findings.run;
  page.section("Model");
  std::vector<std::pair<std::string, std::string>> facts = {
      {"Model", run.model},
      {"Genes of the model", with_thousands(run.n_genes)},
      {"Training and test cells", with_thousands(run.n_train) + " and " + with_thousands(run.n_test)}};
  for (const auto& [name, value] : run.hyperparameters) facts.emplace_back(name, value);
  page.facts(facts);
  const TrainingCurves curves = read_training_curves(source.run);
  const auto weight = last_kl_weight(source.run);
  if (weight && *weight < 0.99) {
    page.warning(
        "Training ended while the weight of the KL divergence was " + short_number(*weight) +
        " of 1. Batches may be mixed poorly, and differential expression is too sure of itself: train longer, "
        "or warm up faster (--kl-warmup-epochs).");
  }
  page.figure(draw_training_curves(curves),
              "Training: less is better. Test cells took no part in it; where their curve "
              "rises while that of the training cells falls, the model overfits.");
  if (!source.scores.empty()) add_scores(page, source.scores);
}

CellMapPanel panel_of_totals(const CellTotals& totals) {
  NumberColors colors{.values = {}, .title = "log10 of counts"};
  for (const double count : totals.counts) colors.values.push_back(count > 0 ? std::log10(count) : std::nan(""));
  return {.title = "Counts of a cell", .colors = std::move(colors)};
}

/// A column that names groups, numbers included. Nothing where they are too many to be told apart.
std::optional<CellMapPanel> panel_of_groups(const Findings& findings, const std::string& key) {
  const io::Column* column = trained_column(findings, key);
  if (column == nullptr) return {};
  io::Categorical groups = column->as_categorical();
  if (std::ssize(groups.categories) > kMostCategoryColors) return {};
  return CellMapPanel{.title = key, .colors = CategoryColors{std::move(groups.codes), std::move(groups.categories)}};
}

void add_map(Page& page, const Findings& findings, const RunReportSource& source) {
  page.section("Map");
  CellMapFigure figure = read_cell_map(findings.cells, {.basis = source.basis, .colors = source.colors});
  std::vector<CellMapPanel> panels;
  std::set<std::string> shown(source.colors.begin(), source.colors.end());
  for (const std::string& key : {source.groupby, findings.run.batch_key, findings.run.labels_key}) {
    if (!shown.insert(key).second) continue;
    if (auto panel = panel_of_groups(findings, key)) panels.push_back(std::move(*panel));
  }
  if (!source.colors.empty()) std::ranges::move(figure.panels, std::back_inserter(panels));
  panels.push_back(panel_of_totals(findings.totals));
  figure.panels = std::move(panels);
  page.figure(draw_cell_map(figure, {.columns = 2}),
              "Every dot is a cell; cells that the model finds alike lie near each other. Distances between groups "
              "far apart mean little.");
}

/// A column of shares for each category, so few that they can be read side by side.
void add_shares(io::Frame& rows, const CrossTable& table, const std::string& key) {
  constexpr std::size_t kMostColumns = 12;
  if (table.categories.size() > kMostColumns) return;
  for (std::int64_t category = 0; category < std::ssize(table.categories); ++category) {
    std::vector<double> shares;
    for (std::int64_t group = 0; group < std::ssize(table.groups); ++group) {
      shares.push_back(100.0 * static_cast<double>(table.count(group, category)) /
                       static_cast<double>(table.sizes[static_cast<std::size_t>(group)]));
    }
    rows.columns.push_back(
        column(key + " " + table.categories[static_cast<std::size_t>(category)] + ", %", std::move(shares)));
  }
}

/// The most frequent label of each cluster and how frequent it is.
void add_top_labels(io::Frame& rows, const CrossTable& table, const std::string& key) {
  std::vector<std::string> names;
  std::vector<double> shares;
  for (std::int64_t group = 0; group < std::ssize(table.groups); ++group) {
    std::int64_t best = 0;
    for (std::int64_t category = 1; category < std::ssize(table.categories); ++category) {
      if (table.count(group, category) > table.count(group, best)) best = category;
    }
    const std::int64_t count = table.categories.empty() ? 0 : table.count(group, best);
    names.push_back(count > 0 ? table.categories[static_cast<std::size_t>(best)] : "");
    shares.push_back(100.0 * static_cast<double>(count) /
                     static_cast<double>(table.sizes[static_cast<std::size_t>(group)]));
  }
  rows.columns.push_back(column("most frequent " + key, std::move(names)));
  rows.columns.push_back(column("its share, %", std::move(shares)));
}

void warn_of_clusters(Page& page, const CrossTable& table, const std::string& batch_key) {
  std::vector<std::string> small, alone;
  for (std::int64_t group = 0; group < std::ssize(table.groups); ++group) {
    const std::int64_t size = table.sizes[static_cast<std::size_t>(group)];
    if (size < kFewCells) small.push_back(table.groups[static_cast<std::size_t>(group)]);
    for (std::int64_t category = 0; table.categories.size() > 1 && category < std::ssize(table.categories);
         ++category) {
      if (static_cast<double>(table.count(group, category)) < kOneBatch * static_cast<double>(size)) continue;
      alone.push_back(table.groups[static_cast<std::size_t>(group)] + " (" +
                      table.categories[static_cast<std::size_t>(category)] + ")");
    }
  }
  if (!small.empty()) {
    page.warning("Fewer than " + std::to_string(kFewCells) + " cells are in: " + join_some(small) +
                 ". What is said of them is uncertain.");
  }
  if (!alone.empty()) {
    page.warning("Nearly all cells come from one " + batch_key + " in: " + join_some(alone) +
                 ". That is biology of that batch, or a batch effect that was left.");
  }
}

std::vector<double> medians_of(const io::Categorical& clusters, const CrossTable& table,
                               const std::vector<double>& values) {
  std::vector<double> medians;
  for (const std::string& group : table.groups) {
    const auto code =
        static_cast<std::int32_t>(std::ranges::find(clusters.categories, group) - clusters.categories.begin());
    std::vector<double> own;
    for (std::size_t cell = 0; cell < values.size(); ++cell) {
      if (clusters.codes[cell] == code) own.push_back(values[cell]);
    }
    medians.push_back(median(std::move(own)));
  }
  return medians;
}

void add_clusters(Page& page, const Findings& findings, const RunReportSource& source) {
  page.section("Clusters");
  const io::Categorical none{.codes = std::vector<std::int32_t>(findings.clusters.codes.size(), -1),
                             .categories = {}};
  const io::Column* batches = trained_column(findings, findings.run.batch_key);
  const io::Column* labels = trained_column(findings, findings.run.labels_key);
  const CrossTable by_batch = cross_table(findings.clusters, batches ? batches->as_categorical() : none);
  warn_of_clusters(page, by_batch, findings.run.batch_key);
  PageTable table{.id = "clusters",
                  .caption = "Clusters (obs column '" + source.groupby + "').",
                  .rows = {.index_name = source.groupby, .index = by_batch.groups, .columns = {}},
                  .row_word = "clusters"};
  std::vector<double> shares;
  for (const std::int64_t size : by_batch.sizes) {
    shares.push_back(100.0 * static_cast<double>(size) / static_cast<double>(findings.cells.n_obs()));
  }
  const std::vector<double> genes(findings.totals.n_genes.begin(), findings.totals.n_genes.end());
  auto& columns = table.rows.columns;
  columns.push_back(column("cells", by_batch.sizes));
  columns.push_back(column("of all, %", std::move(shares)));
  columns.push_back(column("median counts", medians_of(findings.clusters, by_batch, findings.totals.counts)));
  columns.push_back(column("median genes", medians_of(findings.clusters, by_batch, genes)));
  if (labels) {
    add_top_labels(table.rows, cross_table(findings.clusters, labels->as_categorical()), findings.run.labels_key);
  }
  add_shares(table.rows, by_batch, findings.run.batch_key);
  page.table(table);
}

/// The first genes of each comparison, whichever way they change.
PageTable table_of(const DifferentialTable& markers, std::int64_t n) {
  PageTable table{.id = "markers",
                  .caption = "The first " + std::to_string(n) +
                             " genes of each cluster against all other cells, the most evident first. The table of "
                             "`scvi de` has all genes and more columns.",
                  .rows = {.index_name = "gene", .index = {}, .columns = {}},
                  .help = {{"change", markers.change_title},
                           {"Bayes factor", "natural log odds that the gene differs"},
                           {"probability", "that the gene differs"},
                           {"called", markers.call_title}},
                  .row_word = "genes"};
  std::vector<std::string> clusters, called;
  std::vector<double> change, factor, probability;
  for (const Comparison& comparison : markers.comparisons) {
    for (std::size_t i = 0; i < comparison.genes.size() && static_cast<std::int64_t>(i) < n; ++i) {
      table.rows.index.push_back(comparison.genes[i]);
      clusters.push_back(comparison.name);
      change.push_back(comparison.change[i]);
      factor.push_back(comparison.bayes_factor[i]);
      probability.push_back(comparison.probability[i]);
      called.emplace_back(comparison.called[i] != 0 ? "yes" : "no");
    }
  }
  table.rows.columns = {column("cluster", std::move(clusters)), column("change", std::move(change)),
                        column("probability", std::move(probability)), column("Bayes factor", std::move(factor)),
                        column("called", std::move(called))};
  return table;
}

/// So many genes of each cluster that all together can be read.
std::int64_t genes_each(std::int64_t wanted, std::int64_t n_groups) {
  return std::clamp<std::int64_t>(kMostFigureGenes / std::max<std::int64_t>(n_groups, 1), 1, wanted);
}

void add_markers(Page& page, const Findings& findings, const RunReportSource& source) {
  page.section("Markers");
  if (!findings.markers) {
    page.paragraph("There are no two clusters to compare.");
    return;
  }
  const auto n_groups = std::ssize(findings.markers->comparisons);
  const std::int64_t n = genes_each(source.n_markers, n_groups);
  const std::vector<Markers> top = top_markers(*findings.markers, n);
  if (std::ranges::any_of(top, [](const Markers& markers) { return !markers.genes.empty(); })) {
    const GroupExpression expression =
        read_group_expression(findings.cells, {.groupby = source.groupby, .genes = top, .layer = findings.run.layer});
    page.figure(
        draw_dot_plot(expression),
        "Genes that mark clusters (up to " + std::to_string(n) +
            " each): the size of a disc is the part of the cells that express a gene, its colour how strongly.");
    page.figure(draw_heat_map(expression, {.standardization = Standardization::range}),
                "The same genes, each from its lowest cluster (0) to its highest (1).");
  }
  if (n_groups <= kMostVolcanoes) {
    page.figure(draw_volcano(*findings.markers, {.n_labels = 8, .width = 300, .height = 240}),
                "Change and evidence for all genes, one cluster a panel. In colour: called different (" +
                    findings.markers->call_title + ").");
  }
  page.table(table_of(*findings.markers, source.n_table_markers));
}

void add_method(Page& page, const Findings& findings, const RunReportSource& source) {
  page.section("How it was made");
  std::vector<std::pair<std::string, std::string>> facts = {{"Software", findings.run.software},
                                                            {"Counts", findings.run.source}};
  for (const auto& [name, value] : findings.run.training) facts.emplace_back(name, value);
  page.facts(facts);
  if (source.commands.empty()) return;
  page.paragraph("The same commands give the same numbers on the same machine, whatever the number of threads.");
  std::string lines;
  for (const std::string& command : source.commands) lines += command + "\n";
  page.code(lines);
}

}  // namespace

TrainedWith trained_with(const std::string& run) {
  const RunSummary summary = read_run_summary(run);
  return {.model = summary.model, .batches = summary.n_batches > 1, .labels = summary.n_labels > 0};
}

Page run_report(const RunReportSource& source) {
  const Findings findings = find(source);
  Page page(source.title.empty() ? file_name(source.cells) : source.title,
            with_thousands(findings.cells.n_obs()) + " cells, " + with_thousands(findings.cells.n_vars()) +
                " genes, " + std::to_string(cross_table(findings.clusters, findings.clusters).groups.size()) +
                " clusters");
  add_data(page, findings);
  add_model(page, findings, source);
  add_map(page, findings, source);
  add_clusters(page, findings, source);
  add_markers(page, findings, source);
  if (!source.loadings.empty()) add_factors(page, source.loadings);
  if (!source.zero_inflation.empty()) add_zero_inflation(page, source.zero_inflation);
  add_method(page, findings, source);
  return page;
}

}  // namespace scvi::report
