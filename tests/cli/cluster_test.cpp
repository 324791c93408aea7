// `scvi cluster`: neighbours, clusters and maps, from a trained model or from a space that the file holds.

#include <cmath>
#include <limits>

#include "files.hpp"

namespace scvi::testing {
namespace {

class Cluster : public ::testing::Test {
 protected:
  Cluster() { write(data_, folder_.path("a.h5ad")); }

  /// A file with three clouds of cells in obsm/X_space.
  void write_space(const std::string& name, std::int64_t n_cells) const {
    SmallData data = small_data(n_cells, 3);
    write(data, folder_.path(name));
    RandomStream random(1, "space");
    io::FloatArray space{.n_rows = n_cells, .n_cols = 4, .values = {}};
    for (std::int64_t i = 0; i < n_cells; ++i)
      for (std::int64_t d = 0; d < 4; ++d)
        space.values.push_back(static_cast<float>(random.standard_normal() + (i % 3 == d ? 20 : 0)));
    io::H5adAdditions additions;
    additions.obsm.emplace_back("X_space", std::move(space));
    io::copy_h5ad_with(folder_.path(name), folder_.path(name), additions, Overwrite::replace);
  }

  void spoil_space(const std::string& name, std::size_t at, float value) const {
    const io::DenseArray old = io::H5adFile(folder_.path(name)).obsm("X_space");
    io::FloatArray space{
        .n_rows = old.n_rows, .n_cols = old.n_cols, .values = {old.values.begin(), old.values.end()}};
    space.values[at] = value;
    io::H5adAdditions additions;
    additions.obsm.emplace_back("X_space", std::move(space));
    io::copy_h5ad_with(folder_.path(name), folder_.path(name), additions, Overwrite::replace);
  }

  const SmallData data_ = small_data(90, 14);
  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

/// What a file says of its graphs and clusters is sound, and is where scanpy looks.
void expect_map_of(const std::string& path, std::int64_t n_cells, const std::string& representation) {
  const io::H5adFile file(path);
  const io::Column* const leiden = file.obs().find("leiden");
  ASSERT_NE(leiden, nullptr);
  const auto& clusters = std::get<io::Categorical>(leiden->values);
  std::vector<std::int64_t> sizes(clusters.categories.size());
  for (const std::int32_t code : clusters.codes) ++sizes.at(static_cast<std::size_t>(code));
  EXPECT_TRUE(std::is_sorted(sizes.rbegin(), sizes.rend()));
  for (std::size_t i = 0; i < sizes.size(); ++i) EXPECT_EQ(clusters.categories[i], std::to_string(i));
  EXPECT_EQ(file.obsm("X_umap").n_rows, n_cells);
  EXPECT_EQ(file.obsm("X_umap").n_cols, 2);
  const io::Hdf5File raw = io::Hdf5File::open(path);
  EXPECT_EQ(raw.read_string("uns/neighbors/connectivities_key"), "connectivities");
  EXPECT_EQ(raw.read_string("uns/neighbors/distances_key"), "distances");
  EXPECT_EQ(raw.read_string("uns/neighbors/params/use_rep"), representation);
  EXPECT_EQ(raw.read_string("uns/neighbors/params/method"), "umap");
  EXPECT_EQ(raw.read_scalar<std::int64_t>("uns/neighbors/params/n_neighbors"), 15);
  EXPECT_EQ(raw.read_scalar<double>("uns/leiden/params/resolution"), 1);
  for (const std::string name : {"connectivities", "distances"}) {
    EXPECT_EQ(raw.attribute_string("obsp/" + name, "encoding-type", ""), "csr_matrix");
    EXPECT_EQ(raw.attribute_numbers<std::int64_t>("obsp/" + name, "shape"),
              (std::vector<std::int64_t>{n_cells, n_cells}));
  }
}

TEST_F(Cluster, WritesTheLatentSpaceOfAModelAndItsMap) {
  run_ok({"train", "a.h5ad", "-o", "run", "--epochs", "3", "--no-progress"}, in_);
  const auto outcome = run_ok({"cluster", "run", "a.h5ad", "-o", "out.h5ad"}, in_);
  EXPECT_TRUE(holds(outcome.err, "wrote out.h5ad: obsm/X_scVI, obs/leiden (")) << outcome.err;
  expect_map_of(folder_.path("out.h5ad"), 90, "X_scVI");
  run_ok({"embed", "run", "a.h5ad", "-o", "embedded.h5ad"}, in_);
  EXPECT_EQ(io::H5adFile(folder_.path("out.h5ad")).obsm("X_scVI").values,
            io::H5adFile(folder_.path("embedded.h5ad")).obsm("X_scVI").values);
  EXPECT_EQ(read(folder_.path("out.h5ad")).values, data_.values);
  // The embedded file gives the same clusters and map.
  run_ok({"cluster", "embedded.h5ad", "--rep", "X_scVI", "-o", "again.h5ad"}, in_);
  EXPECT_EQ(io::H5adFile(folder_.path("again.h5ad")).obsm("X_umap").values,
            io::H5adFile(folder_.path("out.h5ad")).obsm("X_umap").values);
}

TEST_F(Cluster, FindsTheCloudsOfAStoredSpace) {
  write_space("s.h5ad", 150);
  run_ok({"cluster", "s.h5ad", "--rep", "X_space", "-o", "out.h5ad", "--resolution", "0.1", "--tsne"}, in_);
  const io::H5adFile file(folder_.path("out.h5ad"));
  const io::Column& leiden = *file.obs().find("leiden");
  for (std::int64_t i = 3; i < 150; ++i) EXPECT_EQ(leiden.text(i), leiden.text(i % 3)) << i;
  EXPECT_EQ(file.obsm("X_tsne").n_rows, 150);
  EXPECT_EQ(file.obsm("X_space").n_cols, 4);
}

TEST_F(Cluster, HonoursItsOptions) {
  write_space("s.h5ad", 60);
  run_ok({"cluster", "s.h5ad", "--rep", "X_space", "-o", "out.h5ad", "--n-neighbors", "7", "--cluster-key", "groups",
          "--no-umap", "--seed", "4"},
         in_);
  const io::H5adFile file(folder_.path("out.h5ad"));
  EXPECT_NE(file.obs().find("groups"), nullptr);
  EXPECT_EQ(file.obs().find("leiden"), nullptr);
  EXPECT_EQ(file.obsm_keys(), std::vector<std::string>{"X_space"});
  const io::Hdf5File raw = io::Hdf5File::open(folder_.path("out.h5ad"));
  EXPECT_EQ(raw.open_dataset("obsp/distances/data").info().size(), 60 * 6);
  EXPECT_EQ(raw.read_scalar<std::int64_t>("uns/neighbors/params/random_state"), 4);
  EXPECT_TRUE(raw.exists("uns/groups/params"));
}

TEST_F(Cluster, IsTheSameForAnyNumberOfThreads) {
  write_space("s.h5ad", 700);
  for (const std::string threads : {"1", "4"})
    run_ok({"cluster", "s.h5ad", "--rep", "X_space", "-o", threads + ".h5ad", "--threads", threads, "--tsne",
            "--umap-epochs", "40"},
           in_);
  const io::H5adFile one(folder_.path("1.h5ad")), four(folder_.path("4.h5ad"));
  EXPECT_EQ(one.obsm("X_umap").values, four.obsm("X_umap").values);
  EXPECT_EQ(one.obsm("X_tsne").values, four.obsm("X_tsne").values);
  for (std::int64_t i = 0; i < 700; ++i)
    EXPECT_EQ(one.obs().find("leiden")->text(i), four.obs().find("leiden")->text(i));
}

TEST_F(Cluster, AFileCanBeClusteredIntoItselfAgainAndAgain) {
  write_space("s.h5ad", 60);
  expect_only_error(run({"cluster", "s.h5ad", "--rep", "X_space", "-o", "s.h5ad"}, in_), {"s.h5ad", "--force"});
  for (int i = 0; i < 2; ++i) run_ok({"cluster", "s.h5ad", "--rep", "X_space", "-o", "s.h5ad", "--force"}, in_);
  expect_map_of(folder_.path("s.h5ad"), 60, "X_space");
}

TEST_F(Cluster, SaysInOneLineWhatItCannotDo) {
  write_space("s.h5ad", 12);
  write_space("nan.h5ad", 30);
  spoil_space("nan.h5ad", 4 * 7 + 2, std::numeric_limits<float>::quiet_NaN());
  const Untouched untouched(folder_.path());
  const auto expect = [&](std::vector<std::string> words, const std::vector<std::string>& parts) {
    words.insert(words.begin(), "cluster");
    words.insert(words.end(), {"-o", "out.h5ad"});
    expect_only_error(run(words, in_), parts);
  };
  expect({"s.h5ad", "--rep", "X_space"}, {"number of neighbours", "is 15", "only 12 cells", "at most 12"});
  expect({"nan.h5ad", "--rep", "X_space"}, {"nan.h5ad", "obsm/X_space", "'cell7'", "column 2", "nan"});
  expect({"s.h5ad", "--rep", "X_spaec"}, {"s.h5ad", "X_spaec", "did you mean 'X_space'?"});
  expect({"s.h5ad"}, {"DATA", "missing", "--rep"});
  expect({"s.h5ad", "--rep", "X_space", "--memory", "1G"}, {"--memory", "of no use with --rep"});
  expect({"s.h5ad", "--rep", "X_space", "--device", "cpu"}, {"--device", "of no use with --rep"});
  expect({"run", "s.h5ad", "--rep", "X_space"}, {"RUN", "not needed with --rep"});
  expect({"no.h5ad", "--rep", "X_space"}, {"no.h5ad"});
  expect({"norun", "s.h5ad"}, {"norun"});
  expect({"s.h5ad", "--rep", "X_space", "--n-neighbors", "1"}, {"--n-neighbors", "1"});
  expect({"s.h5ad", "--rep", "X_space", "--n-neighbors", "5", "--min-dist", "3"}, {"min_dist", "spread"});
  expect({"s.h5ad", "--rep", "X_space", "--resolution", "-1"}, {"--resolution", "-1"});
  expect({"s.h5ad", "--rep", "X_space", "--perplexity", "0"}, {"--perplexity", "0"});
  expect({"s.h5ad", "--rep", "X_space", "--neighbors", "5"}, {"did you mean '--n-neighbors'?"});
}

TEST_F(Cluster, StopsCleanlyWhenInterrupted) {
  write_space("s.h5ad", 3000);
  const Untouched untouched(folder_.path());
  RunOptions options = in_;
  options.signal_when = [](const std::string& err) { return holds(err, "clustering"); };
  const auto outcome =
      run({"cluster", "s.h5ad", "--rep", "X_space", "-o", "out.h5ad", "--umap-epochs", "100000"}, options);
  EXPECT_EQ(outcome.status, 130) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "scvi: interrupted")) << outcome.err;
}

}  // namespace
}  // namespace scvi::testing
