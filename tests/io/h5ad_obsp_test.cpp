// Graphs of cells, which writers put under obsp.

#include <gtest/gtest.h>

#include "h5ad_fixture.hpp"
#include "h5ad_legacy_fixture.hpp"
#include "scvi/io/convert.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

/// 0-1 and 1-3 of four cells.
SparseArray small_graph() {
  return {.n_rows = 4, .n_cols = 4, .indptr = {0, 1, 3, 3, 4}, .indices = {1, 0, 3, 1}, .values = {1, 1, 0.5F, 0.5F}};
}

class H5adGraphs : public ::testing::Test {
 protected:
  void expect_graph(const std::string& path, const std::string& name) const {
    const Hdf5File file = Hdf5File::open(path);
    const std::string place = "obsp/" + name;
    EXPECT_EQ(file.attribute_string(place, "encoding-type", ""), "csr_matrix");
    EXPECT_EQ(file.attribute_string(place, "encoding-version", ""), "0.1.0");
    EXPECT_EQ(file.attribute_numbers<std::int64_t>(place, "shape"), (std::vector<std::int64_t>{4, 4}));
    EXPECT_EQ(file.read<std::int64_t>(place + "/indptr").values, small_graph().indptr);
    EXPECT_EQ(file.read<std::int64_t>(place + "/indices").values, small_graph().indices);
    EXPECT_EQ(file.read<float>(place + "/data").values, small_graph().values);
    EXPECT_EQ(file.open_dataset(place + "/indptr").info().type_name, "int32");
    EXPECT_EQ(file.open_dataset(place + "/indices").info().type_name, "int32");
    EXPECT_EQ(file.open_dataset(place + "/data").info().type_name, "float32");
  }

  testing::TemporaryDirectory folder_;
  std::string input_ = folder_.path("input.h5ad");
  std::string output_ = folder_.path("output.h5ad");
};

TEST_F(H5adGraphs, AreWrittenIntoNewFiles) {
  H5adContents contents = testing::small_contents();
  contents.obsp = {{"connectivities", small_graph()}};
  write_h5ad(output_, contents, Overwrite::refuse);
  expect_graph(output_, "connectivities");
}

TEST_F(H5adGraphs, AreAddedToCopiesAndReplaced) {
  testing::write_small_h5ad(input_);
  H5adAdditions additions;
  SparseArray other = small_graph();
  other.values[0] = 9;
  additions.obsp = {{"connectivities", other}, {"distances", small_graph()}};
  copy_h5ad_with(input_, output_, additions, Overwrite::refuse);
  additions.obsp = {{"connectivities", small_graph()}};
  copy_h5ad_with(output_, input_, additions, Overwrite::replace);
  expect_graph(input_, "connectivities");
  expect_graph(input_, "distances");
}

TEST_F(H5adGraphs, AreAddedToFilesOfOlderGenerations) {
  for (const bool is_0_6 : {true, false}) {
    if (is_0_6)
      testing::write_anndata_0_6(input_);
    else
      testing::write_anndata_0_7(input_);
    const std::int64_t n = H5adFile(input_).n_obs();
    SparseArray graph{.n_rows = n, .n_cols = n, .indptr = {}, .indices = {}, .values = {}};
    graph.indptr.assign(static_cast<std::size_t>(n + 1), 0);
    H5adAdditions additions;
    additions.obsp = {{"connectivities", graph}};
    copy_h5ad_with(input_, output_, additions, Overwrite::replace);
    EXPECT_EQ(Hdf5File::open(output_).attribute_string("obsp/connectivities", "encoding-type", ""), "csr_matrix");
    EXPECT_EQ(H5adFile(output_).n_obs(), n);
  }
}

TEST_F(H5adGraphs, ThatContradictThemselvesAreRefused) {
  testing::write_small_h5ad(input_);
  const auto expect_refused = [&](auto spoil, const std::string& part) {
    H5adAdditions additions;
    additions.obsp = {{"graph", small_graph()}};
    spoil(additions.obsp[0].second);
    const std::string message =
        testing::message_of<InputError>([&] { copy_h5ad_with(input_, output_, additions, Overwrite::refuse); });
    EXPECT_NE(message.find("obsp/graph"), std::string::npos) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_FALSE(std::filesystem::exists(output_));
  };
  expect_refused([](SparseArray& graph) { graph.n_rows = 3; }, "(3, 4), but must be (4, 4)");
  expect_refused([](SparseArray& graph) { graph.indptr.pop_back(); }, "do not fit");
  expect_refused([](SparseArray& graph) { graph.indptr[1] = 4; }, "do not fit");
  expect_refused([](SparseArray& graph) { graph.indptr = {}; }, "do not fit");
  expect_refused([](SparseArray& graph) { graph.values.pop_back(); }, "do not fit");
  expect_refused([](SparseArray& graph) { graph.indices[2] = 4; }, "column 4");
  expect_refused([](SparseArray& graph) { graph.indices[2] = -1; }, "column -1");
}

}  // namespace
}  // namespace scvi::io
