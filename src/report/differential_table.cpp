#include "scvi/report/differential_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/delimited.hpp"
#include "table_columns.hpp"

namespace scvi::report {
namespace {

constexpr const char* kCallPrefix = "is_de_";  // and the rule: is_de_fdr_0.05, is_de_each_0.05
constexpr double kCallingBayesFactor = 3;

/// The columns of a table, whichever mode wrote it.
struct Columns {
  std::vector<double> change;
  std::vector<double> bayes_factor;
  std::vector<double> probability;
  std::vector<std::uint8_t> called;
  std::string call_title;
};

std::vector<double> column_of(const io::Frame& table, const std::string& name, const std::string& file) {
  if (const io::Column* column = table.find(name)) return numbers_of(*column, file);
  throw FormatError({.problem = "has no column '" + name + "'",
                     .file = file,
                     .remedy = "give a table (.tsv) that `scvi de` wrote"});
}

const io::Column* call_column(const io::Frame& table) {
  const auto found =
      std::ranges::find_if(table.columns, [](const io::Column& c) { return c.name.starts_with(kCallPrefix); });
  return found == table.columns.end() ? nullptr : &*found;
}

void call_by_bayes_factor(Columns& columns) {
  for (const double factor : columns.bayes_factor) columns.called.push_back(factor > kCallingBayesFactor);
  columns.call_title = "Bayes factor above 3";
}

Columns change_columns(const io::Frame& table, const std::string& file) {
  Columns columns{.change = column_of(table, "lfc_mean", file),
                  .bayes_factor = column_of(table, "bayes_factor", file),
                  .probability = column_of(table, "proba_de", file),
                  .called = {},
                  .call_title = {}};
  const io::Column* calls = call_column(table);
  if (!calls) {
    call_by_bayes_factor(columns);
    return columns;
  }
  const auto* truth = std::get_if<io::Boolean>(&calls->values);
  if (!truth) {
    throw FormatError({.problem = "holds other than True and False", .file = file, .field = "'" + calls->name + "'"});
  }
  columns.called = truth->values;
  columns.call_title = "false discovery rate " + calls->name.substr(calls->name.rfind('_') + 1);
  return columns;
}

Columns vanilla_columns(const io::Frame& table, const std::string& file) {
  Columns columns{.change = {},
                  .bayes_factor = column_of(table, "bayes_factor", file),
                  .probability = column_of(table, "proba_m1", file),
                  .called = {},
                  .call_title = {}};
  const std::vector<double> scale1 = column_of(table, "scale1", file), scale2 = column_of(table, "scale2", file);
  for (std::size_t i = 0; i < scale1.size(); ++i) columns.change.push_back(std::log2(scale1[i] / scale2[i]));
  for (double& factor : columns.bayes_factor) factor = std::abs(factor);
  for (double& probability : columns.probability) probability = std::max(probability, 1 - probability);
  call_by_bayes_factor(columns);
  return columns;
}

Comparison& comparison_of(DifferentialTable& table, std::map<std::string, std::size_t>& known,
                          const std::string& name) {
  const auto [found, is_new] = known.emplace(name, table.comparisons.size());
  if (is_new)
    table.comparisons.push_back(
        {.name = name, .genes = {}, .change = {}, .bayes_factor = {}, .probability = {}, .called = {}});
  return table.comparisons[found->second];
}

}  // namespace

DifferentialTable read_differential_table(const std::string& path) {
  const io::Frame frame = io::read_table(path, {.separator = '\t'});
  const bool is_change = frame.find("lfc_mean") != nullptr;
  const Columns columns = is_change ? change_columns(frame, path) : vanilla_columns(frame, path);
  const io::Column* names = frame.find("clusters");
  DifferentialTable table{.comparisons = {},
                          .change_title = is_change ? "mean log2 fold change" : "log2 ratio of mean expression",
                          .call_title = columns.call_title};
  std::map<std::string, std::size_t> known;
  for (std::int64_t row = 0; row < frame.n_rows(); ++row) {
    Comparison& comparison = comparison_of(table, known, names ? names->text(row) : "");
    comparison.genes.push_back(frame.index[row]);
    comparison.change.push_back(columns.change[row]);
    comparison.bayes_factor.push_back(columns.bayes_factor[row]);
    comparison.probability.push_back(columns.probability[row]);
    comparison.called.push_back(columns.called[row]);
  }
  if (table.comparisons.empty()) throw FormatError({.problem = "holds no genes", .file = path});
  return table;
}

DifferentialTable with_comparison(const DifferentialTable& table, const std::string& name, const std::string& file) {
  std::vector<std::string> names;
  for (const Comparison& comparison : table.comparisons) {
    if (comparison.name == name) {
      return {.comparisons = {comparison}, .change_title = table.change_title, .call_title = table.call_title};
    }
    names.push_back(comparison.name);
  }
  throw InputError(
      {.problem = "holds no comparison of '" + name + "'", .file = file, .remedy = suggest(name, names)});
}

std::vector<Markers> top_markers(const DifferentialTable& table, std::int64_t n) {
  std::vector<Markers> markers;
  std::set<std::string> taken;
  for (const Comparison& comparison : table.comparisons) {
    Markers& group = markers.emplace_back(Markers{.group = comparison.name, .genes = {}});
    for (std::size_t i = 0; i < comparison.genes.size() && std::ssize(group.genes) < n; ++i) {
      if (comparison.change[i] > 0 && taken.insert(comparison.genes[i]).second)
        group.genes.push_back(comparison.genes[i]);
    }
  }
  return markers;
}

}  // namespace scvi::report
