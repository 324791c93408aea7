#include "scvi/metric/cell_map.hpp"

#include <gtest/gtest.h>

#include <string>

#include "clouds.hpp"
#include "scvi/core/error.hpp"
#include "scvi/metric/clustering.hpp"

namespace scvi {
namespace {

using testing::Clouds;

CellMapOptions quick() {
  CellMapOptions options;
  options.n_epochs = 20;
  return options;
}

class Steps : public Progress {
 public:
  void start(std::string_view what, std::int64_t, std::string_view) override { begun.emplace_back(what); }
  void finish() override { ++finished; }
  std::vector<std::string> begun;
  std::size_t finished = 0;
};

TEST(CellMap, HoldsGraphsClustersAndMapsOfAllCells) {
  const Clouds clouds(300, 5, 3, 6);
  CellMapOptions options = quick();
  options.with_tsne = true;
  const CellMap map = map_cells(clouds.points(), options);
  EXPECT_EQ(map.distances.n_edges(), 300 * 14);
  EXPECT_GT(map.connectivities.n_edges(), 300 * 14);
  EXPECT_EQ(map.clusters.labels.size(), 300u);
  EXPECT_EQ(map.umap.size(), 600u);
  EXPECT_EQ(map.tsne.size(), 600u);
  // No cluster holds cells of two clouds.
  std::vector<std::int64_t> cloud_of(map.clusters.n_clusters, -1);
  for (std::size_t i = 0; i < 300; ++i) {
    std::int64_t& cloud = cloud_of[map.clusters.labels[i]];
    if (cloud < 0) cloud = clouds.labels[i];
    EXPECT_EQ(cloud, clouds.labels[i]);
  }
}

TEST(CellMap, LeavesOutWhatIsNotAskedFor) {
  const Clouds clouds(60, 3, 2, 6);
  CellMapOptions options = quick();
  EXPECT_TRUE(map_cells(clouds.points(), options).tsne.empty());
  options.with_umap = false;
  options.min_dist = 99;
  EXPECT_TRUE(map_cells(clouds.points(), options).umap.empty());
}

TEST(CellMap, TellsItsSteps) {
  const Clouds clouds(60, 3, 2, 6);
  CellMapOptions options = quick();
  options.with_tsne = true;
  Steps steps;
  map_cells(clouds.points(), options, &steps);
  EXPECT_EQ(steps.begun, (std::vector<std::string>{"finding neighbours", "clustering", "starting the UMAP", "UMAP",
                                                   "starting the t-SNE", "t-SNE"}));
  EXPECT_EQ(steps.finished, steps.begun.size());
}

TEST(CellMap, MapsTheFewestCellsThereCanBe) {
  CellMapOptions options = quick();
  options.n_neighbors = 2;
  const std::vector<double> rows = {0, 1, 5};
  const CellMap two = map_cells(Points(std::span(rows).first(2), 2, 1), options);
  EXPECT_EQ(two.clusters.labels, (std::vector<std::int64_t>{0, 0}));
  EXPECT_EQ(two.umap.size(), 4u);
  EXPECT_EQ(map_cells(Points(rows, 3, 1), options).umap.size(), 6u);
  options.n_neighbors = 3;
  EXPECT_EQ(map_cells(Points(rows, 3, 1), options).connectivities.n_edges(), 6);
}

TEST(CellMap, SaysWhenThereAreTooFewCells) {
  const std::vector<double> rows = {0, 1, 5};
  const auto message = [&](std::int64_t n_neighbors, std::int64_t n) -> std::string {
    CellMapOptions options;
    options.n_neighbors = n_neighbors;
    try {
      map_cells(Points(std::span(rows).first(n), n, 1), options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message(15, 3).find("only 3 cells; use at most 3"), std::string::npos) << message(15, 3);
  EXPECT_NE(message(15, 1).find("only 1 cells"), std::string::npos) << message(15, 1);
  EXPECT_NE(message(15, 0), "");
  EXPECT_NE(message(1, 3).find("at least 2"), std::string::npos) << message(1, 3);
}

TEST(CellMap, RefusesBeforeTheWork) {
  const Clouds clouds(60, 3, 2, 6);
  const auto expect_refused = [&](const CellMapOptions& options) {
    Steps steps;
    EXPECT_THROW(map_cells(clouds.points(), options, &steps), InputError);
    EXPECT_TRUE(steps.begun.empty());
  };
  expect_refused({.min_dist = 2});
  expect_refused({.resolution = -1});
  expect_refused({.n_epochs = -1});
  expect_refused({.with_tsne = true, .perplexity = 0});
}

}  // namespace
}  // namespace scvi
