#include "scvi/posterior/cell_map_file.hpp"

#include <gtest/gtest.h>

#include "scvi/io/hdf5.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

/// Six cells on a line, mapped and stored.
class CellMapFile : public ::testing::Test {
 protected:
  CellMapFile() {
    options_.n_neighbors = 3;
    options_.n_epochs = 5;
    options_.resolution = 0.7;
    options_.seed = 9;
  }

  io::H5adAdditions additions(const CellMapNames& names = {}) const {
    const std::vector<double> rows = {0, 1, 2, 50, 51, 52};
    return additions_of(map_cells(Points(rows, 6, 1), options_), options_, names);
  }

  io::Hdf5File stored(const CellMapNames& names) const {
    io::H5adContents contents;
    const io::H5adAdditions added = additions(names);
    contents.obs.index = {"a", "b", "c", "d", "e", "f"};
    contents.obs.columns = added.obs;
    contents.obsm = added.obsm;
    contents.obsp = added.obsp;
    contents.uns = added.uns;
    io::write_h5ad(folder_.path("map.h5ad"), contents, Overwrite::replace);
    return io::Hdf5File::open(folder_.path("map.h5ad"));
  }

  CellMapOptions options_;
  testing::TemporaryDirectory folder_;
};

TEST_F(CellMapFile, NamesClustersAsTextBySize) {
  const io::H5adAdditions added = additions();
  ASSERT_EQ(added.obs.size(), 1u);
  EXPECT_EQ(added.obs[0].name, "leiden");
  const auto& clusters = std::get<io::Categorical>(added.obs[0].values);
  EXPECT_EQ(clusters.codes, (std::vector<std::int32_t>{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(clusters.categories, (std::vector<std::string>{"0", "1"}));
}

TEST_F(CellMapFile, SaysHowItWasMadeWhereScanpyLooks) {
  const io::Hdf5File file = stored({.representation = "X_z", .clusters = "groups"});
  EXPECT_EQ(file.read_string("uns/neighbors/connectivities_key"), "connectivities");
  EXPECT_EQ(file.read_string("uns/neighbors/distances_key"), "distances");
  EXPECT_EQ(file.read_string("uns/neighbors/params/use_rep"), "X_z");
  EXPECT_EQ(file.read_scalar<std::int64_t>("uns/neighbors/params/n_neighbors"), 3);
  EXPECT_EQ(file.read_scalar<std::int64_t>("uns/neighbors/params/random_state"), 9);
  EXPECT_EQ(file.read_scalar<double>("uns/groups/params/resolution"), 0.7);
  EXPECT_NEAR(file.read_scalar<double>("uns/umap/params/a"), 0.583, 0.001);
  EXPECT_TRUE(file.exists("obs/groups/codes"));
  EXPECT_EQ(file.read<float>("obsp/distances/data").values.size(), 12u);
  EXPECT_EQ(file.read<float>("obsm/X_umap").shape, (std::vector<std::int64_t>{6, 2}));
}

TEST_F(CellMapFile, HoldsOnlyTheMapsThatWereMade) {
  options_.with_umap = false;
  EXPECT_TRUE(additions().obsm.empty());
  options_.with_tsne = true;
  const io::H5adAdditions added = additions();
  ASSERT_EQ(added.obsm.size(), 1u);
  EXPECT_EQ(added.obsm[0].first, "X_tsne");
  EXPECT_EQ(added.obsm[0].second.n_rows, 6);
}

}  // namespace
}  // namespace scvi
