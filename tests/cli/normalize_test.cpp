// `scvi normalize` on a small model.

#include <cmath>
#include <sstream>

#include "files.hpp"

namespace scvi::testing {
namespace {

class Normalize : public ::testing::Test {
 protected:
  void SetUp() override {
    write(data_, folder_.path("data.h5ad"));
    run_ok({"train", "data.h5ad", "-o", "run", "--batch-key", "batch", "--epochs", "3", "--no-progress"}, in_);
  }

  SmallData normalized(const std::vector<std::string>& options, const std::string& data = "data.h5ad") {
    std::vector<std::string> words = {"normalize", "run", data, "-o", "out.h5ad", "--force"};
    words.insert(words.end(), options.begin(), options.end());
    run_ok(words, in_);
    return read(folder_.path("out.h5ad"));
  }

  static void expect_near(const std::vector<float>& values, const std::vector<float>& expected, double relative) {
    ASSERT_EQ(values.size(), expected.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(values[i], expected[i], relative * expected[i]) << i;
    }
  }

  const SmallData data_ = small_data(90, 14);
  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(Normalize, WritesFrequenciesOfEveryGeneInEveryCell) {
  const SmallData out = normalized({});
  EXPECT_EQ(out.cells, data_.cells);
  EXPECT_EQ(out.genes, data_.genes);
  ASSERT_EQ(out.obs.size(), 1U);
  EXPECT_EQ(out.obs[0].text(1), "b");
  for (std::size_t cell = 0; cell < 90; ++cell) {
    double sum = 0;
    for (std::size_t gene = 0; gene < 14; ++gene) sum += out.values[cell * 14 + gene];
    ASSERT_NEAR(sum, 1, 1e-4);
  }
  EXPECT_EQ(io::H5adFile(folder_.path("out.h5ad")).uns_strings("scvi_normalize/transform_batch"),
            std::vector<std::string>{"own"});
}

TEST_F(Normalize, MultipliesByTheLibrarySize) {
  const auto once = normalized({}).values;
  auto expected = once;
  for (float& value : expected) value *= 1e4F;
  expect_near(normalized({"--library-size", "1e4"}).values, expected, 1e-6);
  // With its own library size every cell keeps its frequencies.
  const auto latent = normalized({"--library-size", "latent"}).values;
  for (std::size_t cell = 0; cell < 90; ++cell) {
    const float size = latent[cell * 14] / once[cell * 14];
    for (std::size_t gene = 0; gene < 14; ++gene) {
      ASSERT_NEAR(latent[cell * 14 + gene], size * once[cell * 14 + gene], 1e-5 * latent[cell * 14 + gene]);
    }
  }
}

TEST_F(Normalize, DecodesAsTheBatchesThatAreNamed) {
  const auto own = normalized({});
  const auto a = normalized({"--transform-batch", "a"});
  const auto b = normalized({"--transform-batch", "b"});
  for (std::size_t cell = 0; cell < 90; ++cell) {
    const auto& same = cell % 2 == 0 ? a : b;
    for (std::size_t gene = 0; gene < 14; ++gene) {
      ASSERT_EQ(own.values[cell * 14 + gene], same.values[cell * 14 + gene]);
    }
  }
  const auto all = normalized({"--transform-batch", "all", "--n-samples", "200"}).values;
  EXPECT_EQ(normalized({"--transform-batch", "a,b", "--n-samples", "200"}).values, all);
  const auto mean_a = normalized({"--transform-batch", "a", "--n-samples", "200"}).values;
  const auto mean_b = normalized({"--transform-batch", "b", "--n-samples", "200"}).values;
  std::vector<float> middle;
  for (std::size_t i = 0; i < all.size(); ++i) middle.push_back((mean_a[i] + mean_b[i]) / 2);
  expect_near(all, middle, 0.1);
}

TEST_F(Normalize, NeedsNoBatchesWhereTheyAreChosen) {
  const auto expected = normalized({"--transform-batch", "b"}).values;
  SmallData data = data_;
  data.obs.clear();
  write(data, folder_.path("plain.h5ad"));
  EXPECT_EQ(normalized({"--transform-batch", "b"}, "plain.h5ad").values, expected);
  expect_only_error(run({"normalize", "run", "plain.h5ad", "-o", "other.h5ad"}, in_),
                    {"plain.h5ad", "obs has no column 'batch'"});
}

TEST_F(Normalize, KeepsTheGenesThatAreNamed) {
  const auto all = normalized({});
  const auto some = normalized({"--genes", "gene7,gene0"});
  EXPECT_EQ(some.genes, (std::vector<std::string>{"gene7", "gene0"}));
  for (std::size_t cell = 0; cell < 90; ++cell) {
    ASSERT_EQ(some.values[cell * 2], all.values[cell * 14 + 7]);
    ASSERT_EQ(some.values[cell * 2 + 1], all.values[cell * 14]);
  }
  write_bytes(folder_.path("genes.txt"), "gene7\n\ngene0\n");
  EXPECT_EQ(normalized({"--genes", "genes.txt"}).values, some.values);
}

TEST_F(Normalize, WritesALayerIntoACopyWhoseGenesStandOtherwise) {
  const auto expected = normalized({});
  auto genes = in_order(14);
  std::reverse(genes.begin(), genes.end());
  write(arranged(data_, in_order(90), genes), folder_.path("turned.h5ad"));
  run_ok({"normalize", "run", "turned.h5ad", "-o", "turned.h5ad", "--force", "--as-layer", "scvi"}, in_);
  const io::H5adFile file(folder_.path("turned.h5ad"));
  EXPECT_EQ(file.layers(), std::vector<std::string>{"scvi"});
  std::vector<float> layer(90 * 14);
  file.matrix("scvi")->for_each_block([&](const io::CsrBlock& block) {
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      for (auto i = block.indptr[row]; i < block.indptr[row + 1]; ++i) {
        layer[(block.first_row + row) * 14 + 13 - block.indices[i]] = block.values[i];
      }
    }
  });
  expect_near(layer, expected.values, 1e-5);
  EXPECT_EQ(read(folder_.path("turned.h5ad")).at(3, 0), data_.values[3 * 14 + 13]);
}

TEST_F(Normalize, WritesALayerBesideCountsOfAnyFormat) {
  const auto expected = normalized({});
  run_ok({"convert", "data.h5ad", "data.loom"}, in_);
  run_ok({"normalize", "run", "data.loom", "-o", "of_loom.h5ad", "--as-layer", "scvi"}, in_);
  EXPECT_EQ(io::H5adFile(folder_.path("of_loom.h5ad")).layers(), std::vector<std::string>{"scvi"});
  EXPECT_EQ(read(folder_.path("of_loom.h5ad")).values, data_.values);
}

TEST_F(Normalize, WritesTables) {
  const auto expected = normalized({"--genes", "gene1,gene2"});
  for (const std::string ending : {"tsv", "csv"}) {
    run_ok({"normalize", "run", "data.h5ad", "-o", "out." + ending, "--genes", "gene1,gene2"}, in_);
    std::istringstream lines(bytes_of(folder_.path("out." + ending)));
    std::string line;
    std::getline(lines, line);
    const std::string separator = ending == "tsv" ? "\t" : ",";
    EXPECT_EQ(line, "cell" + separator + "gene1" + separator + "gene2");
    for (std::size_t cell = 0; cell < 90; ++cell) {
      std::getline(lines, line);
      const std::size_t first = line.find(separator), second = line.rfind(separator);
      ASSERT_EQ(line.substr(0, first), data_.cells[cell]);
      ASSERT_EQ(std::stof(line.substr(first + 1)), expected.values[cell * 2]);
      ASSERT_EQ(std::stof(line.substr(second + 1)), expected.values[cell * 2 + 1]);
    }
    EXPECT_FALSE(std::getline(lines, line));
  }
}

TEST_F(Normalize, GivesTheSameFileForAnyNumberOfThreadsAndBytes) {
  const std::vector<std::string> words = {"normalize", "run", "data.h5ad",    "--n-samples", "3",
                                          "--seed",    "5",   "--batch-size", "16",          "-o"};
  const auto bytes = [&](const std::string& name, const std::vector<std::string>& more) {
    auto all = words;
    all.push_back(name);
    all.insert(all.end(), more.begin(), more.end());
    run_ok(all, in_);
    return bytes_of(folder_.path(name));
  };
  const std::string expected = bytes("one.h5ad", {"--threads", "1"});
  EXPECT_TRUE(bytes("two.h5ad", {"--threads", "2"}) == expected);
  EXPECT_TRUE(bytes("less.h5ad", {"--memory", "500M"}) == expected);
}

TEST_F(Normalize, AnswersWhatItCannotDoOnOneLine) {
  run_ok({"train", "data.h5ad", "-o", "run0", "--epochs", "1", "--no-progress"}, in_);
  write(arranged(data_, in_order(90), in_order(10)), folder_.path("fewer.h5ad"));
  SmallData more = small_data(90, 16);
  write(more, folder_.path("more.h5ad"));
  write_bytes(folder_.path("there.h5ad"), "something");
  const Untouched untouched(folder_.path());
  const auto refused = [&](const std::vector<std::string>& words, const std::vector<std::string>& parts) {
    std::vector<std::string> all = {"normalize"};
    all.insert(all.end(), words.begin(), words.end());
    expect_only_error(run(all, in_), parts);
  };
  refused({"run", "data.h5ad", "-o", "x.h5ad", "--transform-batch", "c"}, {"--transform-batch", "'c'", "a, b"});
  refused({"run", "data.h5ad", "-o", "x.h5ad", "--transform-batch", "a,bb"}, {"--transform-batch", "'bb'"});
  refused({"run0", "data.h5ad", "-o", "x.h5ad", "--transform-batch", "a"}, {"--transform-batch", "with batches"});
  refused({"run", "data.h5ad", "-o", "x.h5ad", "--genes", "gene3,Gene44"}, {"--genes", "'Gene44'", "gene4"});
  refused({"run", "data.h5ad", "-o", "x.h5ad", "--genes", "gene3,gene3"}, {"--genes", "'gene3' twice"});
  refused({"run", "fewer.h5ad", "-o", "x.h5ad"}, {"fewer.h5ad", "4 of 14 are missing"});
  refused({"run", "more.h5ad", "-o", "x.h5ad", "--as-layer", "n"}, {"--as-layer", "'gene14'"});
  refused({"run", "data.h5ad", "-o", "x.h5ad", "--as-layer", "n", "--genes", "gene1"}, {"--as-layer", "--genes"});
  refused({"run", "data.h5ad", "-o", "x.tsv", "--as-layer", "n"}, {"--as-layer", ".h5ad"});
  refused({"run", "data.h5ad", "-o", "x.txt"}, {"x.txt", ".tsv"});
  refused({"run", "data.h5ad", "-o", "there.h5ad"}, {"there.h5ad", "exists", "--force"});
  for (const char* size : {"0", "nan", "1x", ""}) {
    refused({"run", "data.h5ad", "-o", "x.h5ad", "--library-size", size}, {"--library-size"});
  }
  refused({"run", "data.h5ad", "-o", "x.h5ad", "--n-samples", "0"}, {"--n-samples"});
  refused({"nowhere", "data.h5ad", "-o", "x.h5ad"}, {"nowhere"});
}

}  // namespace
}  // namespace scvi::testing
