// Data that cannot be used: one clear line, exit status 2, nothing left behind.

#include <cmath>
#include <limits>

#include "files.hpp"

namespace scvi::testing {
namespace {

class BadData : public ::testing::Test {
 protected:
  BadData() {
    std::filesystem::create_directory(folder_.path("data"));
    std::filesystem::create_directory(folder_.path("out"));
  }

  std::string at(const std::string& name) const { return folder_.path("data/" + name); }

  Outcome train(const std::string& path, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"train",    path, "--output",     folder_.path("out/run"),
                                      "--epochs", "1",  "--no-progress"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }

  /// The whole file through HDF5's eyes, changed by `change`.
  void edit(const std::string& name, const std::function<void(io::Hdf5File&)>& change) const {
    auto file = io::Hdf5File::open_for_update(at(name));
    change(file);
    file.close();
  }

  void expect_no_output() const { EXPECT_EQ(listing(folder_.path("out")), std::vector<std::string>{}); }

  const TemporaryDirectory folder_;
};

TEST_F(BadData, FilesThatHoldNoCounts) {
  write_bytes(at("text.h5ad"), "these words\nare no table\n");
  write_bytes(at("empty.h5ad"), "");
  const struct {
    std::string path;
    std::vector<std::string> parts;
  } cases[] = {
      {at("text.h5ad"), {"text.h5ad", "line 2", "a count is expected"}},
      {at("empty.h5ad"), {"empty.h5ad", "empty"}},
      {at("missing.h5ad"), {"missing.h5ad", "No such file"}},
      {folder_.path("data"), {folder_.path("data"), "holds no matrix.mtx"}},
      {"", {"DATA", "empty"}},
  };
  for (const auto& [path, parts] : cases) {
    SCOPED_TRACE(path);
    expect_only_error(run({"info", path}), parts);
    expect_only_error(train(path), parts);
  }
  expect_no_output();
}

TEST_F(BadData, Hdf5FilesOfAnotherKindSayWhatTheyHold) {
  io::Hdf5File file = io::Hdf5File::create(at("other.h5ad"));
  file.create_group("weather");
  file.create_group("stations");
  file.close();
  expect_only_error(train(at("other.h5ad")), {"other.h5ad", "weather", "stations", ".h5ad", ".loom"});
  expect_only_error(run({"info", at("other.h5ad")}), {"other.h5ad", "weather"});
  expect_no_output();
}

TEST_F(BadData, FilesCutOffAnywhereAreRefused) {
  write(small_data(120, 30), at("whole.h5ad"));
  const std::string whole = bytes_of(at("whole.h5ad"));
  constexpr std::size_t kPlaces = 40;
  for (std::size_t place = 0; place < kPlaces; ++place) {
    const std::size_t size = whole.size() * place / kPlaces;
    SCOPED_TRACE(size);
    write_bytes(at("cut.h5ad"), whole.substr(0, size));
    expect_only_error(run({"info", at("cut.h5ad")}), {"cut.h5ad"});
    if (place % 10 == 5) expect_only_error(train(at("cut.h5ad")), {"cut.h5ad"});
  }
  write_bytes(at("cut.h5ad"), whole.substr(0, whole.size() - 1));
  expect_only_error(train(at("cut.h5ad")), {"cut.h5ad"});
  expect_no_output();
}

TEST_F(BadData, OverwrittenBytesNeverCrash) {
  write(small_data(60, 12), at("whole.h5ad"));
  const std::string whole = bytes_of(at("whole.h5ad"));
  RandomStream random(3, "flips");
  for (int trial = 0; trial < 60; ++trial) {
    std::string bytes = whole;
    const std::size_t at_byte = random.below(bytes.size() - 16);
    for (std::size_t i = 0; i < 8; ++i) bytes[at_byte + i] = static_cast<char>(random.below(256));
    SCOPED_TRACE(at_byte);
    write_bytes(at("odd.h5ad"), bytes);
    const auto outcome = run({"info", at("odd.h5ad")});
    EXPECT_TRUE(outcome.status == 0 || outcome.status == 2) << outcome.status << outcome.err;
  }
}

TEST_F(BadData, WithoutXOrWithAnotherShape) {
  write(small_data(12, 6), at("a.h5ad"));
  edit("a.h5ad", [](io::Hdf5File& file) { file.remove("X"); });
  expect_only_error(train(at("a.h5ad")), {"a.h5ad", "X"});
  run_ok({"info", at("a.h5ad")});

  write(small_data(12, 6), at("b.h5ad"));
  edit("b.h5ad", [](io::Hdf5File& file) {
    const std::int64_t shape[] = {11, 6};
    file.remove("X");
    file.write<float>("X", std::vector<float>(66, 1.0F), shape);
    file.set_attribute("X", "encoding-type", "array");
    file.set_attribute("X", "encoding-version", "0.2.0");
  });
  expect_only_error(train(at("b.h5ad")), {"b.h5ad", "X", "11", "12"});
  expect_no_output();
}

TEST_F(BadData, ValuesThatAreNoCountsAreNamedByCellAndGene) {
  const struct {
    float value;
    std::string part;
  } cases[] = {{-3, "is -3, but counts cannot be negative"},
               {std::numeric_limits<float>::quiet_NaN(), "NaN"},
               {std::numeric_limits<float>::infinity(), "infinite"}};
  for (const auto& [value, part] : cases) {
    for (const bool dense : {false, true}) {
      SCOPED_TRACE(part);
      SmallData data = small_data(30, 8);
      data.dense = dense;
      data.at(17, 5) = value;
      write(data, at("a.h5ad"));
      expect_only_error(train(at("a.h5ad")), {"a.h5ad", "'cell17'", "'gene5'", part});
    }
  }
  expect_no_output();
}

TEST_F(BadData, NormalisedDataAreUsedWithAWarning) {
  SmallData data = small_data(40, 8);
  for (float& value : data.values) value = std::log1p(value);
  data.at(0, 0) = 1;
  write(data, at("log.h5ad"));
  const auto outcome = train(at("log.h5ad"));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "warning: ")) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, " % of the non-zero values are not whole numbers")) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "'cell0'") && holds(outcome.err, "'gene1'")) << outcome.err;
}

TEST_F(BadData, EmptyCellsAreLeftOutAndSaid) {
  SmallData data = small_data(40, 8);
  for (const std::size_t cell : {3, 20, 39}) {
    for (std::size_t gene = 0; gene < 8; ++gene) data.at(cell, gene) = 0;
  }
  // The split of the file goes by cell, whatever was left out before it.
  std::vector<std::string> split(40, "train");
  split[2] = split[21] = "test";
  split[3] = "neither";
  data.add_column("split", split);
  write(data, at("a.h5ad"));
  const auto outcome = train(at("a.h5ad"), {"--split-key", "split"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "left out 3 of 40 cells")) << outcome.err;
  EXPECT_EQ(json_of(folder_.path("out/run/model.json"))["data"]["test_rows"], (std::vector<int>{2, 21}));
  run_ok({"embed", folder_.path("out/run"), at("a.h5ad"), "-o", folder_.path("out/b.h5ad")});
  EXPECT_EQ(io::H5adFile(folder_.path("out/b.h5ad")).obsm("X_scVI").n_rows, 40);
}

TEST_F(BadData, OnlyEmptyCells) {
  SmallData data = small_data(20, 8);
  std::fill(data.values.begin(), data.values.end(), 0.0F);
  write(data, at("a.h5ad"));
  expect_only_error(train(at("a.h5ad")), {"a.h5ad", "no cell has a total count of 1"});
  expect_no_output();
}

TEST_F(BadData, DuplicateGenesNeedAWord) {
  SmallData data = small_data(30, 8);
  data.genes[6] = data.genes[2];
  write(data, at("a.h5ad"));
  expect_only_error(train(at("a.h5ad")), {"a.h5ad", "not unique", "gene2", "--make-unique"});
  expect_no_output();
  const auto outcome = train(at("a.h5ad"), {"--make-unique"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(json_of(folder_.path("out/run/model.json"))["data"]["gene_names"][6], "gene2-1");
  // What was made unique once is made unique again.
  run_ok({"embed", folder_.path("out/run"), at("a.h5ad"), "-o", folder_.path("out/b.h5ad")});
}

TEST_F(BadData, SmallDataWorkDownToThreeTrainingCells) {
  const auto sizes = [&](std::int64_t n_cells, std::int64_t n_genes, const std::vector<std::string>& more) {
    write(small_data(n_cells, n_genes), at("a.h5ad"));
    auto outcome = train(at("a.h5ad"), more);
    std::filesystem::remove_all(folder_.path("out/run"));
    return outcome;
  };
  for (const auto& [n_cells, n_genes] : {std::pair{50, 9}, {4, 9}, {60, 1}}) {
    const auto outcome = sizes(n_cells, n_genes, {"--batch-key", "batch"});
    EXPECT_EQ(outcome.status, 0) << n_cells << " x " << n_genes << ": " << outcome.err;
  }
  EXPECT_EQ(sizes(3, 9, {"--train-size", "1.0"}).status, 0);
  expect_error(sizes(3, 9, {}), {"training set", "2 cells", "at least 3"});
  expect_error(sizes(2, 9, {"--train-size", "1.0"}), {"training set", "2 cells", "at least 3"});
  expect_error(sizes(1, 9, {"--train-size", "1.0"}), {"training set", "1 cells", "at least 3"});
  expect_error(sizes(1, 9, {}), {"train size", "1 cells"});
  expect_no_output();
}

TEST_F(BadData, ABatchMayHaveOneCell) {
  SmallData data = small_data(40, 9);
  std::vector<std::string> batches(40, "big");
  batches[7] = "tiny";
  data.obs.clear();
  data.add_column("batch", batches);
  write(data, at("a.h5ad"));
  const auto expect_works = [&] {
    EXPECT_EQ(train(at("a.h5ad"), {"--batch-key", "batch"}).status, 0);
    const std::string run = folder_.path("out/run");
    const auto scores = run_ok({"evaluate", run, at("a.h5ad"), "--json", "-", "--mc-samples", "3"}).out;
    const auto all = nlohmann::json::parse(scores)["all"];
    EXPECT_TRUE(all["elbo"].is_number() && all["marginal_ll"].is_number()) << scores;
    std::filesystem::remove_all(run);
  };
  expect_works();
  batches[9] = "tiny, too";
  data.obs.clear();
  data.add_column("batch", batches);
  write(data, at("a.h5ad"));
  expect_works();
}

TEST_F(BadData, ColumnsOfObs) {
  SmallData data = small_data(30, 8);
  std::vector<std::string> split(30, "train");
  split[4] = "tset";
  data.add_column("split", split);
  data.add_column("same", std::vector<std::string>(30, "test"));
  io::Categorical types{std::vector<std::int32_t>(30, 0), {"T", "B"}, false};
  types.codes[11] = -1;
  data.obs.push_back({.name = "types", .values = types, .missing = {}});
  write(data, at("a.h5ad"));
  const struct {
    std::vector<std::string> options;
    std::vector<std::string> parts;
  } cases[] = {
      {{"--batch-key", "bacth"}, {"a.h5ad", "no column 'bacth'", "did you mean 'batch'?"}},
      {{"--labels-key", "tpyes"}, {"a.h5ad", "no column 'tpyes'", "did you mean 'types'?"}},
      {{"--split-key", "splits"}, {"a.h5ad", "no column 'splits'", "did you mean 'split'?"}},
      {{"--layer", "counts"}, {"a.h5ad", "no 'counts'"}},
      {{"--split-key", "split"}, {"a.h5ad", "'split'", "'cell4'", "'tset'", "train, test or validation"}},
      {{"--split-key", "same"}, {"'same'", "no cell as train"}},
      {{"--labels-key", "types"}, {"a.h5ad", "'types'", "1 of 30 cells", "'cell11'", "--missing-label"}},
      {{"--batch-key", "types"}, {"a.h5ad", "'types'", "1 of 30 cells", "'cell11'"}},
  };
  for (const auto& [options, parts] : cases) {
    SCOPED_TRACE(options[1]);
    expect_only_error(train(at("a.h5ad"), options), parts);
    expect_no_output();
  }
  EXPECT_EQ(train(at("a.h5ad"), {"--labels-key", "types", "--missing-label", "unknown"}).status, 0);
  EXPECT_EQ(json_of(folder_.path("out/run/model.json"))["data"]["label_names"],
            (std::vector<std::string>{"T", "unknown"}));
  // The same cells can be evaluated without saying so again.
  run_ok({"evaluate", folder_.path("out/run"), at("a.h5ad"), "--metrics", "elbo"});
}

TEST_F(BadData, ASplitMayStandInAnyColumn) {
  // Names that the program uses for itself.
  for (const std::string name : {"labels", "batch_indices", "batch"}) {
    SCOPED_TRACE(name);
    SmallData data = small_data(30, 8);
    std::vector<std::string> split(30, "train");
    split[4] = "test";
    data.obs.clear();
    data.add_column(name, split);
    write(data, at("a.h5ad"));
    EXPECT_EQ(train(at("a.h5ad"), {"--split-key", name, "--batch-key", name}).status, 0);
    const std::string run = folder_.path("out/run");
    EXPECT_EQ(json_of(run + "/model.json")["data"]["test_rows"], std::vector<int>{4});
    const auto scores =
        run_ok({"evaluate", run, at("a.h5ad"), "--split-key", name, "--json", "-", "--metrics", "elbo"});
    EXPECT_EQ(nlohmann::json::parse(scores.out)["test"]["n_cells"], 1);
    std::filesystem::remove_all(run);
  }
}

}  // namespace
}  // namespace scvi::testing
