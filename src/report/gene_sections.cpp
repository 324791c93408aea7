#include "gene_sections.hpp"

#include <utility>
#include <vector>

#include "scvi/report/loadings_figure.hpp"
#include "scvi/report/zero_inflation_figure.hpp"
#include "table_columns.hpp"

namespace scvi::report {
namespace {

/// The genes at either end of each factor.
PageTable table_of(const LoadingsTable& loadings) {
  constexpr std::int64_t kGenes = 20;
  PageTable table{.id = "loadings",
                  .caption = "The " + std::to_string(kGenes) +
                             " genes at either end of each factor. The table of `scvi loadings` has all genes.",
                  .rows = {.index_name = "gene", .index = {}, .columns = {}},
                  .row_word = "genes"};
  std::vector<std::string> factors;
  std::vector<double> values;
  for (const Factor& factor : loadings.factors) {
    for (const std::size_t gene : extreme_genes(factor, kGenes)) {
      table.rows.index.push_back(loadings.genes[gene]);
      factors.push_back(factor.name);
      values.push_back(factor.loading[gene]);
    }
  }
  table.rows.columns = {column("factor", std::move(factors)), column("loading", std::move(values))};
  return table;
}

/// All genes, by batch or label where the model tells them apart.
PageTable table_of(const ZeroInflationTable& genes) {
  PageTable table{.id = "zero-inflation",
                  .caption = "Zero inflation of each gene.",
                  .rows = {.index_name = "gene", .index = {}, .columns = {}},
                  .row_word = "genes"};
  std::vector<std::string> groups, called;
  std::vector<double> probability, mean;
  for (const ZeroInflationGroup& group : genes.groups) {
    table.rows.index.insert(table.rows.index.end(), group.genes.begin(), group.genes.end());
    groups.insert(groups.end(), group.genes.size(), group.name);
    for (const std::uint8_t is_called : group.called) called.emplace_back(is_called != 0 ? "yes" : "no");
    probability.insert(probability.end(), group.probability.begin(), group.probability.end());
    mean.insert(mean.end(), group.mean_count.begin(), group.mean_count.end());
  }
  const bool has_means = mean.size() == probability.size();
  auto& columns = table.rows.columns;
  if (genes.groups.size() > 1) columns.push_back(column("group", std::move(groups)));
  columns.push_back(column("probability", std::move(probability)));
  columns.push_back(column("called", std::move(called)));
  if (has_means) columns.push_back(column("mean count", std::move(mean)));
  return table;
}

}  // namespace

void add_factors(Page& page, const std::string& path) {
  const LoadingsTable loadings = read_loadings(path);
  page.section("Factors");
  page.figure(draw_loadings(loadings),
              "What each factor of the latent space means: the genes whose log frequency a step along it changes "
              "most. Factors come in no order, and the sign of one means nothing.");
  page.table(table_of(loadings));
}

void add_zero_inflation(Page& page, const std::string& path) {
  const ZeroInflationTable genes = read_zero_inflation(path);
  page.section("Zero inflation");
  page.figure(
      draw_zero_inflation(genes),
      "How probable it is that the zeros of a gene are more than a negative binomial explains. Where the mean "
      "count is below 1, too many genes are called.");
  page.table(table_of(genes));
}

}  // namespace scvi::report
