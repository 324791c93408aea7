// `scvi generate`, `scvi correlations` and the imputation scores of `scvi evaluate`.

#include <cmath>
#include <sstream>

#include "files.hpp"

namespace scvi::testing {
namespace {

class Generate : public ::testing::Test {
 protected:
  void SetUp() override {
    write(data_, folder_.path("data.h5ad"));
    run_ok({"train", "data.h5ad", "-o", "run", "--batch-key", "batch", "--epochs", "3", "--no-progress"}, in_);
  }

  SmallData generated(const std::vector<std::string>& options) {
    std::vector<std::string> words = {"generate", "run", "data.h5ad", "-o", "out.h5ad", "--force"};
    words.insert(words.end(), options.begin(), options.end());
    run_ok(words, in_);
    return read(folder_.path("out.h5ad"));
  }

  /// A square table of numbers with names on both sides.
  std::vector<std::vector<double>> correlations(const std::vector<std::string>& options, std::size_t n_genes) {
    std::vector<std::string> words = {"correlations", "run",     "data.h5ad",    "-o",
                                      "out.tsv",      "--force", "--no-progress"};
    words.insert(words.end(), options.begin(), options.end());
    run_ok(words, in_);
    std::istringstream in(bytes_of(folder_.path("out.tsv")));
    std::string line, name;
    std::getline(in, line);
    EXPECT_EQ(std::count(line.begin(), line.end(), '\t'), static_cast<std::ptrdiff_t>(n_genes));
    std::vector<std::vector<double>> rows;
    while (std::getline(in, line)) {
      std::istringstream fields(line);
      fields >> name;
      std::vector<double>& row = rows.emplace_back();
      for (double value; fields >> value;) row.push_back(value);
      EXPECT_EQ(row.size(), n_genes);
    }
    EXPECT_EQ(rows.size(), n_genes);
    return rows;
  }

  void refuses(const std::vector<std::string>& words, const std::vector<std::string>& parts) const {
    const Untouched untouched(folder_.path());
    expect_error(run(words, in_), parts);
  }

  SmallData data_ = small_data(90, 14);
  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(Generate, DrawsWholeCountsForEveryCell) {
  const SmallData out = generated({});
  EXPECT_EQ(out.cells, data_.cells);
  EXPECT_EQ(out.genes, data_.genes);
  ASSERT_EQ(out.obs.size(), 1U);
  EXPECT_EQ(out.obs[0].text(1), "b");
  double sum = 0;
  for (const float value : out.values) {
    ASSERT_TRUE(value >= 0 && value == std::floor(value)) << value;
    sum += value;
  }
  EXPECT_GT(sum, 0);
  EXPECT_NE(out.values, data_.values);
  EXPECT_EQ(io::H5adFile(folder_.path("out.h5ad")).uns_strings("scvi_generate/kind"),
            std::vector<std::string>{"counts"});
}

TEST_F(Generate, RepeatsCellsWhereThereAreSeveralSamples) {
  const SmallData three = generated({"--n-samples", "3", "--genes", "gene9,gene2"});
  ASSERT_EQ(three.cells.size(), 270U);
  EXPECT_EQ(three.genes, (std::vector<std::string>{"gene9", "gene2"}));
  EXPECT_EQ(three.cells[3], "cell1-1");
  EXPECT_EQ(three.cells[5], "cell1-3");
  ASSERT_EQ(three.obs.size(), 3U);
  EXPECT_EQ(three.obs[0].text(5), "b");
  EXPECT_EQ(three.obs[1].name, "scvi_cell");
  EXPECT_EQ(three.obs[1].text(5), "cell1");
  EXPECT_EQ(three.obs[2].text(5), "3");
}

TEST_F(Generate, DrawsTheSameForAnyNumberOfThreadsAndAnotherForAnotherSeed) {
  const auto once = generated({"--threads", "1"}).values;
  EXPECT_EQ(generated({"--threads", "3"}).values, once);
  EXPECT_NE(generated({"--seed", "1"}).values, once);
}

TEST_F(Generate, DrawsRatesAtOneLibrarySize) {
  const SmallData out = generated({"--denoised", "--rna-size-factor", "200", "--n-samples", "20"});
  double sum = 0;
  for (const float value : out.values) sum += value;
  EXPECT_NEAR(sum / static_cast<double>(out.cells.size()), 200, 10);
  EXPECT_NE(generated({"--denoised", "--transform-batch", "a"}).values,
            generated({"--denoised", "--transform-batch", "b"}).values);
}

TEST_F(Generate, RefusesWhatMakesNoSense) {
  const std::vector<std::string> words = {"generate", "run", "data.h5ad", "-o"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = words;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  refuses(with({"new.tsv"}), {"new.tsv", ".h5ad"});
  refuses(with({"new.h5ad", "--transform-batch", "a"}), {"--transform-batch", "--denoised"});
  refuses(with({"new.h5ad", "--rna-size-factor", "10"}), {"--rna-size-factor", "--denoised"});
  refuses(with({"new.h5ad", "--denoised", "--transform-batch", "a,b"}), {"--transform-batch", "one"});
  refuses(with({"new.h5ad", "--denoised", "--transform-batch", "c"}), {"'c'", "--transform-batch"});
  refuses(with({"new.h5ad", "--genes", "gene99"}), {"'gene99'", "--genes"});
  refuses(with({"data.h5ad"}), {"data.h5ad", "exists"});
}

TEST_F(Generate, CorrelationsAreThoseOfTheGenesAskedFor) {
  for (const std::string method : {"pearson", "spearman"}) {
    const auto all = correlations({"--method", method, "--n-samples", "3"}, 14);
    for (std::size_t i = 0; i < 14; ++i) {
      EXPECT_EQ(all[i][i], 1);
      for (std::size_t j = 0; j < 14; ++j) {
        EXPECT_EQ(all[i][j], all[j][i]);
        EXPECT_LE(std::abs(all[i][j]), 1);
      }
    }
    EXPECT_EQ(correlations({"--method", method, "--genes", "gene3,gene1", "--threads", "3"}, 2)[0][0], 1);
  }
  EXPECT_NE(correlations({"--transform-batch", "a"}, 14), correlations({"--transform-batch", "all"}, 14));
}

TEST_F(Generate, CorrelationsAreWrittenAsH5ad) {
  const auto table = correlations({"--genes", "gene3,gene1"}, 2);
  run_ok({"correlations", "run", "data.h5ad", "-o", "matrix.h5ad", "--genes", "gene3,gene1", "--no-progress"}, in_);
  const SmallData matrix = read(folder_.path("matrix.h5ad"));
  EXPECT_EQ(matrix.cells, (std::vector<std::string>{"gene3", "gene1"}));
  EXPECT_EQ(matrix.genes, matrix.cells);
  EXPECT_NEAR(matrix.values[1], table[0][1], 1e-6);
}

TEST_F(Generate, CorrelationsAreRefusedForWhatMakesNoSense) {
  refuses({"correlations", "run", "data.h5ad", "-o", "out.png"}, {"out.png", ".tsv"});
  refuses({"correlations", "run", "data.h5ad", "-o", "out.tsv", "--method", "kendall"}, {"--method", "kendall"});
  refuses({"correlations", "run", "data.h5ad", "-o", "out.tsv", "--genes", "gene1,gene1"}, {"'gene1'", "twice"});
  refuses({"correlations", "run", "data.h5ad", "-o", "out.tsv", "--memory", "1K"}, {"--memory"});
}

TEST_F(Generate, ImputationIsScoredOnCountsThatAreCorruptedFirst) {
  const auto scores = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"evaluate",
                                      "run",
                                      "data.h5ad",
                                      "--json",
                                      "-",
                                      "--metrics",
                                      "imputation_median_score,imputation_mean_score",
                                      "--no-progress"};
    words.insert(words.end(), more.begin(), more.end());
    return nlohmann::json::parse(run_ok(words, in_).out)["all"];
  };
  const auto uniform = scores({});
  EXPECT_GT(uniform["imputation_median_score"].get<double>(), 0);
  const auto binomial = scores({"--corruption", "binomial", "--corruption-rate", "0.5", "--imputation-samples", "2"});
  EXPECT_GT(binomial["imputation_mean_score"].get<double>(), 0);
  EXPECT_NE(binomial, uniform);
  EXPECT_EQ(scores({"--corruption-rate", "0"})["imputation_mean_score"].get<double>(), 0);
  refuses({"evaluate", "run", "data.h5ad", "--corruption", "gaussian"}, {"--corruption", "gaussian"});
  refuses({"evaluate", "run", "data.h5ad", "--corruption-rate", "1.5"}, {"--corruption-rate", "1.5"});
}

}  // namespace
}  // namespace scvi::testing
