#include "scvi/report/expression_source.hpp"

#include <algorithm>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/report/expression_figures.hpp"
#include "table_columns.hpp"

namespace scvi::report {
namespace {

io::Categorical groups_of(const io::H5adFile& file, const std::string& key) {
  const io::Column* column = file.obs().find(key);
  if (!column) {
    throw InputError({.problem = "has no column '" + key + "'",
                      .file = file.path(),
                      .field = "obs",
                      .remedy = suggest(key, file.obs().column_names())});
  }
  io::Categorical groups = with_used_categories(column->as_categorical());
  if (std::ssize(groups.categories) > kMostGroups) {
    throw InputError({.problem = "has " + with_thousands(std::ssize(groups.categories)) +
                                 " categories, but a figure can show " + std::to_string(kMostGroups) + " at most",
                      .file = file.path(),
                      .field = "obs column '" + key + "'",
                      .remedy = "choose a column with fewer"});
  }
  return groups;
}

/// The genes of all markers in a row.
struct GeneList {
  std::vector<std::int64_t> columns;
  std::vector<std::string> labels;
  std::vector<std::string> marked;  ///< the group that each marks
};

GeneList genes_of(const io::H5adFile& file, const ExpressionSource& source) {
  const GeneNames names(file.var_of(source.layer), source.gene_symbols, file.path());
  GeneList list;
  for (const Markers& markers : source.genes) {
    for (const std::string& gene : markers.genes) {
      list.columns.push_back(names.find(gene));
      list.labels.push_back(names.label(list.columns.back()));
      list.marked.push_back(markers.group);
    }
  }
  if (list.columns.empty() || std::ssize(list.columns) > kMostGenes) {
    throw InputError({.problem = "are " + with_thousands(std::ssize(list.columns)) +
                                 ", but a figure can show from 1 to " + with_thousands(kMostGenes),
                      .field = "the genes to show"});
  }
  return list;
}

}  // namespace

GroupExpression read_group_expression(const io::H5adFile& file, const ExpressionSource& source) {
  const io::Categorical groups = groups_of(file, source.groupby);
  GeneList genes = genes_of(file, source);
  const auto matrix = file.matrix(source.layer);
  GroupExpression expression =
      group_expression(*matrix, genes.columns, std::move(genes.labels), groups, source.transform, file.path());
  const bool is_layer = !source.layer.empty() && source.layer != "X" && !source.layer.starts_with("raw");
  expression.value_title = title_of(source.transform, is_layer ? source.layer : "counts");
  for (const std::string& group : genes.marked) {
    const auto found = std::ranges::find(expression.groups, group);
    expression.gene_groups.push_back(found == expression.groups.end() ? -1 : found - expression.groups.begin());
  }
  if (std::ranges::all_of(expression.gene_groups, [](std::int64_t group) { return group < 0; })) {
    expression.gene_groups.clear();
  }
  return expression;
}

}  // namespace scvi::report
