#include "scvi/dataset/doublets.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

using Pair = std::array<std::int64_t, 2>;

std::vector<Pair> draw_pairs(const GeneExpressionDataset& cells, const DoubletOptions& options) {
  std::vector<std::vector<std::int64_t>> members(static_cast<std::size_t>(cells.n_batches()));
  std::vector<std::size_t> place;  // of each cell among the members of its batch
  for (std::int64_t cell = 0; cell < cells.nb_cells(); ++cell) {
    auto& batch = members[static_cast<std::size_t>(cells.batch_indices()[cell])];
    place.push_back(batch.size());
    batch.push_back(cell);
  }
  std::vector<std::int64_t> firsts;
  for (const auto& batch : members) {
    if (batch.size() > 1) firsts.insert(firsts.end(), batch.begin(), batch.end());
  }
  if (firsts.empty()) {
    throw InputError({.problem = "has no batch with two cells, so no doublets can be made of it",
                      .field = "the data set",
                      .remedy = "give more cells, or no batches"});
  }
  RandomStream random(options.seed, "doublets");
  std::vector<Pair> pairs(static_cast<std::size_t>(options.n_doublets > 0 ? options.n_doublets : cells.nb_cells()));
  for (Pair& pair : pairs) {
    const std::int64_t first = firsts[random.below(firsts.size())];
    const auto& batch = members[static_cast<std::size_t>(cells.batch_indices()[first])];
    // One of the others: the places behind the first cell's move up.
    const std::size_t other = random.below(batch.size() - 1);
    pair = {first, batch[other + (other >= place[static_cast<std::size_t>(first)] ? 1 : 0)]};
  }
  return pairs;
}

/// Appends the sum of two cells, whose genes are in order.
void append_sum(const CountMatrix& counts, const Pair& pair, CountMatrixBuilder& builder) {
  std::vector<std::pair<std::int32_t, float>> other;
  counts.for_each_nonzero(
      pair[1], [&](std::int64_t gene, float value) { other.emplace_back(static_cast<std::int32_t>(gene), value); });
  std::vector<std::int32_t> genes;
  std::vector<float> values;
  auto next = other.begin();
  const auto add = [&](std::int32_t gene, float value) {
    genes.push_back(gene);
    values.push_back(value);
  };
  counts.for_each_nonzero(pair[0], [&](std::int64_t gene, float value) {
    for (; next != other.end() && next->first < gene; ++next) add(next->first, next->second);
    const bool both = next != other.end() && next->first == gene;
    add(static_cast<std::int32_t>(gene), both ? value + next->second : value);
    if (both) ++next;
  });
  for (; next != other.end(); ++next) add(next->first, next->second);
  builder.append_cell(genes, values);
}

CountMatrix sums_of(const CountMatrix& counts, const std::vector<Pair>& pairs) {
  CountMatrixBuilder builder(counts.n_genes(), std::ssize(pairs));
  for (const Pair& pair : pairs) {
    throw_if_interrupted();
    append_sum(counts, pair, builder);
  }
  return std::move(builder).finish();
}

std::string name_of(const GeneExpressionDataset& cells, std::int64_t cell) {
  return cells.cell_names().empty() ? std::to_string(cell) : cells.cell_names()[static_cast<std::size_t>(cell)];
}

/// Everything beside the counts.
PopulateOptions annotation_of(const GeneExpressionDataset& cells, const std::vector<Pair>& pairs) {
  PopulateOptions all;
  all.batch_indices = cells.batch_indices();
  all.batch_names = cells.batch_names();
  all.gene_names = cells.gene_names();
  std::vector<std::string> kinds, origins;
  for (std::int64_t cell = 0; cell < cells.nb_cells(); ++cell) {
    all.cell_names.push_back(name_of(cells, cell));
    kinds.emplace_back("singlet");
    origins.emplace_back();
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    all.cell_names.push_back("doublet" + std::to_string(i + 1));
    all.batch_indices.push_back(cells.batch_indices()[pairs[i][0]]);
    kinds.emplace_back("doublet");
    origins.push_back(name_of(cells, pairs[i][0]) + " + " + name_of(cells, pairs[i][1]));
  }
  all.cell_attributes = {{.name = "doublet", .values = std::move(kinds), .missing = {}},
                         {.name = "doublet_of", .values = std::move(origins), .missing = {}}};
  for (const std::string& name : cells.gene_attribute_names()) {
    if (name != "gene_names") all.gene_attributes.push_back(cells.gene_attribute(name));
  }
  all.remap_attributes = false;
  all.check_counts = false;
  return all;
}

}  // namespace

GeneExpressionDataset with_simulated_doublets(const GeneExpressionDataset& cells, const DoubletOptions& options) {
  if (options.n_doublets < 0)
    throw InputError({.problem = "is " + std::to_string(options.n_doublets) + ", but cannot be negative",
                      .field = "the number of doublets"});
  cells.X().require_memory("made doublets of");
  const std::vector<Pair> pairs = draw_pairs(cells, options);
  const CountMatrix doublets = sums_of(cells.X(), pairs);
  const CountMatrix* parts[] = {&cells.X(), &doublets};
  GeneExpressionDataset result;
  result.populate_from_data(CountMatrix::concatenate(parts), annotation_of(cells, pairs));
  return result;
}

}  // namespace scvi
