// `scvi embed` on cells and genes that stand otherwise than in training.

#include <cmath>

#include "files.hpp"

namespace scvi::testing {
namespace {

class Embed : public ::testing::Test {
 protected:
  void SetUp() override {
    write(data_, folder_.path("train.h5ad"));
    run_ok({"train", "train.h5ad", "-o", "run", "--batch-key", "batch", "--epochs", "3", "--no-progress"}, in_);
  }

  /// The latent space of a file, one row a cell.
  std::vector<double> latent_of(const SmallData& data, const std::string& name) {
    write(data, folder_.path(name));
    run_ok({"embed", "run", name, "-o", "of_" + name}, in_);
    const io::H5adFile file(folder_.path("of_" + name));
    EXPECT_EQ(file.obs().index, data.cells);
    const auto latent = file.obsm("X_scVI");
    EXPECT_EQ(latent.n_rows, std::ssize(data.cells));
    return latent.values;
  }

  static void expect_near(const std::vector<double>& values, const std::vector<double>& expected) {
    ASSERT_EQ(values.size(), expected.size());
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], expected[i], 1e-4) << i;
  }

  const SmallData data_ = small_data(90, 14);
  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(Embed, GenesInAnotherOrderAndSurplusGenesChangeNothing) {
  const auto expected = latent_of(data_, "same.h5ad");
  double spread = 0;
  for (const double value : expected) spread = std::max(spread, std::abs(value));
  ASSERT_GT(spread, 0.01);

  auto genes = in_order(data_.genes.size());
  std::reverse(genes.begin(), genes.end());
  std::swap(genes[2], genes[9]);
  SmallData shuffled = arranged(data_, in_order(data_.cells.size()), genes);
  expect_near(latent_of(shuffled, "shuffled.h5ad"), expected);

  SmallData more = small_data(90, 20, 7);
  for (std::size_t gene = 0; gene < more.genes.size(); ++gene) {
    more.genes[gene] = gene < 14 ? data_.genes[gene] : "surplus" + std::to_string(gene);
    for (std::size_t cell = 0; cell < 90 && gene < 14; ++cell) {
      more.at(cell, gene) = data_.values[cell * data_.genes.size() + gene];
    }
  }
  genes = in_order(more.genes.size());
  std::rotate(genes.begin(), genes.begin() + 8, genes.end());
  expect_near(latent_of(arranged(more, in_order(90), genes), "more.h5ad"), expected);
}

TEST_F(Embed, RowsFollowTheOrderOfTheFile) {
  const auto expected = latent_of(data_, "same.h5ad");
  const std::size_t n_latent = expected.size() / data_.cells.size();
  auto cells = in_order(data_.cells.size());
  std::reverse(cells.begin(), cells.end());
  cells.resize(40);
  const auto latent = latent_of(arranged(data_, cells, in_order(data_.genes.size())), "some.h5ad");
  for (std::size_t row = 0; row < cells.size(); ++row) {
    for (std::size_t i = 0; i < n_latent; ++i) {
      ASSERT_NEAR(latent[row * n_latent + i], expected[cells[row] * n_latent + i], 1e-4) << row;
    }
  }
}

TEST_F(Embed, MissingGenesAreCountedAndNamedOnOneLine) {
  auto genes = in_order(data_.genes.size());
  genes.erase(genes.begin() + 3, genes.begin() + 6);
  write(arranged(data_, in_order(data_.cells.size()), genes), folder_.path("fewer.h5ad"));
  const Untouched untouched(folder_.path());
  for (const std::string command : {"embed", "evaluate"}) {
    std::vector<std::string> words = {command, "run", "fewer.h5ad"};
    if (command == "embed") words.insert(words.end(), {"-o", "out.h5ad"});
    expect_only_error(run(words, in_), {"fewer.h5ad", "3 of 14 are missing: gene3, gene4, gene5"});
  }
}

TEST_F(Embed, AGeneThatIsThereTwiceIsNotGuessed) {
  SmallData data = data_;
  data.genes[4] = data.genes[9];
  write(data, folder_.path("twice.h5ad"));
  const Untouched untouched(folder_.path());
  expect_only_error(run({"embed", "run", "twice.h5ad", "-o", "out.h5ad"}, in_),
                    {"twice.h5ad", "gene9", "more than once"});
}

TEST_F(Embed, CellsWithoutCountsGetARowToo) {
  SmallData data = data_;
  for (const std::size_t cell : {0, 17}) {
    for (std::size_t gene = 0; gene < data.genes.size(); ++gene) data.at(cell, gene) = 0;
  }
  const auto latent = latent_of(data, "empty.h5ad");
  for (const double value : latent) ASSERT_TRUE(std::isfinite(value));
  const auto outcome = run_ok({"evaluate", "run", "empty.h5ad", "--json", "-", "--mc-samples", "2"}, in_);
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["all"]["n_cells"], 88);
}

TEST_F(Embed, TheBatchOfTheCellsIsNotNeeded) {
  const auto expected = latent_of(data_, "same.h5ad");
  SmallData data = data_;
  data.obs.clear();
  expect_near(latent_of(data, "plain.h5ad"), expected);
}

TEST_F(Embed, EvaluatingNeedsBatchesThatTheModelKnows) {
  SmallData data = data_;
  std::get<std::vector<std::string>>(data.obs[0].values)[5] = "c";
  write(data, folder_.path("other.h5ad"));
  const Untouched untouched(folder_.path());
  expect_error(run({"evaluate", "run", "other.h5ad"}, in_), {"batch", "'c'", "not seen"});
  data.obs.clear();
  write(data, folder_.path("other.h5ad"));
  expect_only_error(run({"evaluate", "run", "other.h5ad"}, in_), {"other.h5ad", "obs has no column 'batch'"});
}

TEST_F(Embed, AFileCanBeEmbeddedIntoItself) {
  write(data_, folder_.path("own.h5ad"));
  expect_only_error(run({"embed", "run", "own.h5ad", "-o", "own.h5ad"}, in_), {"own.h5ad", "exists", "--force"});
  run_ok({"embed", "run", "own.h5ad", "-o", "own.h5ad", "--force"}, in_);
  EXPECT_EQ(io::H5adFile(folder_.path("own.h5ad")).obsm("X_scVI").n_rows, 90);
  run_ok({"embed", "run", "own.h5ad", "-o", "own.h5ad", "--force", "--batch-size", "7", "--threads", "1"}, in_);
  EXPECT_EQ(read(folder_.path("own.h5ad")).values, data_.values);
}

TEST_F(Embed, CountsOfALayerAreUsedWhereTheyAreAskedFor) {
  const auto expected = latent_of(data_, "same.h5ad");
  // X holds something else, the layer the counts.
  SmallData other = data_;
  for (float& value : other.values) value = std::log1p(value);
  write(other, folder_.path("layered.h5ad"));
  {
    auto file = io::Hdf5File::open_for_update(folder_.path("layered.h5ad"));
    const std::int64_t shape[] = {std::ssize(data_.cells), std::ssize(data_.genes)};
    if (!file.exists("layers")) {
      file.create_group("layers");
      file.set_attribute("layers", "encoding-type", "dict");
      file.set_attribute("layers", "encoding-version", "0.1.0");
    }
    file.write<float>("layers/counts", data_.values, shape);
    file.set_attribute("layers/counts", "encoding-type", "array");
    file.set_attribute("layers/counts", "encoding-version", "0.2.0");
    file.close();
  }
  run_ok({"embed", "run", "layered.h5ad", "-o", "out.h5ad", "--layer", "counts"}, in_);
  expect_near(io::H5adFile(folder_.path("out.h5ad")).obsm("X_scVI").values, expected);
  // The layer that a model was trained on is what it takes from then on.
  run_ok({"train", "layered.h5ad", "-o", "run2", "--layer", "counts", "--batch-key", "batch", "--epochs", "3",
          "--no-progress"},
         in_);
  EXPECT_EQ(bytes_of(folder_.path("run2/weights.pt")), bytes_of(folder_.path("run/weights.pt")));
  run_ok({"embed", "run2", "layered.h5ad", "-o", "out2.h5ad"}, in_);
  expect_near(io::H5adFile(folder_.path("out2.h5ad")).obsm("X_scVI").values, expected);
}

}  // namespace
}  // namespace scvi::testing
