#include "told_labels.hpp"

#include <algorithm>
#include <functional>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/convert.hpp"
#include "scvi/io/write_table.hpp"

namespace scvi::app {
namespace {

bool is_table(const std::string& path) {
  return path.ends_with(".tsv") || path.ends_with(".xlsx");
}

std::vector<io::Column> columns_of(const ToldLabels& told, const std::vector<std::string>& label_names,
                                   const std::string& key) {
  io::Categorical labels{.codes = {}, .categories = label_names};
  for (const std::int64_t label : told.labels) labels.codes.push_back(static_cast<std::int32_t>(label));
  std::vector<io::Column> columns = {{.name = key, .values = std::move(labels), .missing = {}}};
  const std::int64_t n_labels = told.probabilities.n_columns;
  if (n_labels == 0) return columns;
  std::vector<double> best, margin;
  for (std::int64_t cell = 0; cell < told.probabilities.n_cells; ++cell) {
    const auto first = told.probabilities.values.begin() + cell * n_labels;
    std::vector<float> row(first, first + n_labels);
    std::nth_element(row.begin(), row.begin() + 1, row.end(), std::greater<>());
    best.push_back(row[0]);
    margin.push_back(static_cast<double>(row[0]) - row[1]);
  }
  columns.push_back({.name = key + "_probability", .values = std::move(best), .missing = {}});
  columns.push_back({.name = key + "_margin", .values = std::move(margin), .missing = {}});
  return columns;
}

void write_table(std::vector<io::Column> columns, const std::vector<std::string>& cell_names,
                 const ToldLabelsOutput& output) {
  const io::NamedTable table{.name = "labels",
                             .table = {.index_name = "cell", .index = cell_names, .columns = std::move(columns)}};
  const bool workbook = output.path.ends_with(".xlsx");
  (workbook ? io::write_xlsx : io::write_tsv)(output.path, {&table, 1}, overwrite_of(output.force));
}

}  // namespace

void add_told_labels_options(CLI::App& app, ToldLabelsOutput& output) {
  app.add_option("--output,-o", output.path,
                 "the .h5ad file to write, a copy of the data, or a table of the cells: .tsv or .xlsx")
      ->required()
      ->check(not_empty());
  app.add_option("--key", output.key, "obs column for the label; KEY_probability and KEY_margin follow it")
      ->check(not_empty())
      ->capture_default_str();
  add_force_option(app, output.force);
}

void check_output(const ToldLabelsOutput& output) {
  const AtomicFile probe(output.path, overwrite_of(output.force));
}

void write_told_labels(const ToldLabels& told, const std::vector<std::string>& label_names,
                       const GeneExpressionDataset& dataset, const std::string& data, const CountsInput& reading,
                       const ToldLabelsOutput& output) {
  std::vector<io::Column> columns = columns_of(told, label_names, output.key);
  std::string written = output.key;
  if (columns.size() > 1) written += ", " + output.key + "_probability and " + output.key + "_margin";
  if (is_table(output.path)) {
    write_table(std::move(columns), dataset.cell_names(), output);
  } else {
    written = "obs/" + written;
    io::H5adAdditions additions;
    additions.obs = std::move(columns);
    io::copy_counts_with(data, output.path, additions, open_options(reading), overwrite_of(output.force));
  }
  log_info("wrote " + output.path + ": " + written + " of " + with_thousands(std::ssize(told.labels)) + " cells (" +
           std::to_string(label_names.size()) + " labels)");
}

}  // namespace scvi::app
