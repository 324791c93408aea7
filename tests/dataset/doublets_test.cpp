#include "scvi/dataset/doublets.hpp"

#include <gtest/gtest.h>

#include <set>

#include "scvi/core/error.hpp"
#include "scvi/dataset/synthetic.hpp"

namespace scvi {
namespace {

GeneExpressionDataset cells_of_two_batches() {
  return synthetic_dataset_corr({.n_cells_cluster = 10, .n_genes_high = 5, .n_batches = 2, .seed = 4}).dataset;
}

std::vector<float> row(const GeneExpressionDataset& dataset, std::int64_t cell) {
  std::vector<float> values(static_cast<std::size_t>(dataset.nb_genes()));
  dataset.X().gather_dense(std::vector<std::int64_t>{cell}, values.data());
  return values;
}

const std::vector<std::string>& texts(const GeneExpressionDataset& dataset, const char* name) {
  return std::get<std::vector<std::string>>(dataset.cell_attribute(name).values);
}

TEST(SimulatedDoublets, AreTheSumsOfTwoCellsOfTheirBatch) {
  const auto cells = cells_of_two_batches();
  const auto both = with_simulated_doublets(cells, {.n_doublets = 25, .seed = 1});
  const std::int64_t n = cells.nb_cells();
  ASSERT_EQ(both.nb_cells(), n + 25);
  for (std::int64_t cell = 0; cell < n; ++cell) {
    EXPECT_EQ(row(both, cell), row(cells, cell));
    EXPECT_EQ(texts(both, "doublet")[cell], "singlet");
    EXPECT_EQ(texts(both, "doublet_of")[cell], "");
    EXPECT_EQ(both.batch_indices()[cell], cells.batch_indices()[cell]);
  }
  for (std::int64_t cell = n; cell < n + 25; ++cell) {
    EXPECT_EQ(texts(both, "doublet")[cell], "doublet");
    const std::string& of = texts(both, "doublet_of")[cell];
    const auto first = std::stoll(of), second = std::stoll(of.substr(of.find(" + ") + 3));
    ASSERT_NE(first, second);
    for (const auto parent : {first, second}) EXPECT_EQ(cells.batch_indices()[parent], both.batch_indices()[cell]);
    const auto a = row(cells, first), b = row(cells, second), sum = row(both, cell);
    for (std::size_t gene = 0; gene < sum.size(); ++gene) EXPECT_EQ(sum[gene], a[gene] + b[gene]);
  }
}

TEST(SimulatedDoublets, AreAsManyAsCellsUnlessTold) {
  const auto cells = cells_of_two_batches();
  EXPECT_EQ(with_simulated_doublets(cells).nb_cells(), 2 * cells.nb_cells());
}

TEST(SimulatedDoublets, FollowTheSeed) {
  const auto cells = cells_of_two_batches();
  const auto of = [&](std::uint64_t seed) {
    return texts(with_simulated_doublets(cells, {.n_doublets = 30, .seed = seed}), "doublet_of");
  };
  EXPECT_EQ(of(3), of(3));
  EXPECT_NE(of(3), of(4));
}

TEST(SimulatedDoublets, AreDrawnFromAllCells) {
  const auto cells = cells_of_two_batches();
  const auto both = with_simulated_doublets(cells, {.n_doublets = 2000});
  std::set<std::string> parents;
  for (const std::string& of : texts(both, "doublet_of")) {
    if (of.empty()) continue;
    parents.insert(of.substr(0, of.find(' ')));
    parents.insert(of.substr(of.find(" + ") + 3));
  }
  EXPECT_EQ(std::ssize(parents), cells.nb_cells());
}

TEST(SimulatedDoublets, NeedTwoCellsOfABatch) {
  GeneExpressionDataset lonely;
  lonely.populate_from_data(CountMatrix::from_dense(2, 2, std::vector<float>{1, 2, 3, 4}),
                            PopulateOptions{.batch_indices = {0, 1}});
  EXPECT_THROW(with_simulated_doublets(lonely), InputError);
  EXPECT_THROW(with_simulated_doublets(cells_of_two_batches(), {.n_doublets = -1}), InputError);
}

}  // namespace
}  // namespace scvi
