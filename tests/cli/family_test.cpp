// The models beside VAE on the command line: `scvi train --model ldvae|autozi`, `scvi loadings`, `scvi
// zero-inflation`.

#include <cmath>
#include <map>
#include <sstream>

#include "files.hpp"

namespace scvi::testing {
namespace {

/// A table as text, without the line of names.
struct Table {
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> rows;
};

Table table_of(const std::string& path) {
  Table table;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> fields;
    std::istringstream text(line + "\t");
    for (std::string field; std::getline(text, field, '\t');) fields.push_back(field);
    if (table.names.empty()) {
      table.names = fields;
    } else {
      table.rows.push_back(fields);
    }
  }
  return table;
}

class Family : public ::testing::Test {
 protected:
  void SetUp() override {
    data_.add_column("type", [&] {
      std::vector<std::string> types;
      for (std::size_t cell = 0; cell < data_.cells.size(); ++cell)
        types.push_back(cell % 4 < 2 ? "first" : "second");
      return types;
    }());
    write(data_, at("a.h5ad"));
  }
  std::string at(const std::string& name) const { return folder_.path(name); }
  void train(const std::string& run, std::vector<std::string> more) {
    std::vector<std::string> words = {"train",         "a.h5ad",       "-o",   run,        "--batch-key",
                                      "batch",         "--labels-key", "type", "--epochs", "4",
                                      "--no-progress", "--n-hidden",   "16"};
    words.insert(words.end(), more.begin(), more.end());
    run_ok(words, in_);
  }

  SmallData data_ = small_data(90, 14);
  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(Family, LoadingsTellTheTwoKindsOfGenesApart) {
  train("run", {"--model", "ldvae", "--n-latent", "3", "--epochs", "60"});
  const auto outcome = run_ok({"loadings", "run", "-o", "loadings.tsv", "--top", "2"}, in_);
  const Table table = table_of(at("loadings.tsv"));
  EXPECT_EQ(table.names, (std::vector<std::string>{"gene", "Z_0", "Z_1", "Z_2"}));
  ASSERT_EQ(table.rows.size(), 14U);
  double apart = 0;
  for (std::size_t factor = 1; factor <= 3; ++factor) {
    double difference = 0;
    for (std::size_t gene = 0; gene < 14; ++gene) {
      EXPECT_EQ(table.rows[gene][0], "gene" + std::to_string(gene));
      difference += (gene < 7 ? 1 : -1) * std::stod(table.rows[gene][factor]) / 7;
    }
    apart = std::max(apart, std::abs(difference));
  }
  EXPECT_GT(apart, 0.1);
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 6);
  EXPECT_TRUE(holds(outcome.out, "Z_2\thighest\tgene")) << outcome.out;
  expect_only_error(run({"loadings", "run", "-o", "loadings.tsv"}, in_), {"loadings.tsv", "exists", "--force"});
  EXPECT_EQ(run_ok({"loadings", "run", "-o", "loadings.xlsx", "--top", "0"}, in_).out, "");
}

TEST_F(Family, EveryCommandTakesTheModels) {
  for (const std::string model : {"ldvae", "autozi"}) {
    SCOPED_TRACE(model);
    train(model, {"--model", model});
    run_ok({"embed", model, "a.h5ad", "-o", model + ".h5ad"}, in_);
    EXPECT_EQ(io::H5adFile(at(model + ".h5ad")).obsm("X_scVI").n_rows, 90);
    run_ok({"normalize", model, "a.h5ad", "-o", model + ".tsv", "--transform-batch", "all"}, in_);
    const auto outcome = run_ok(
        {"evaluate", model, "a.h5ad", "--mc-samples", "5", "--metrics", "elbo,reconstruction_error,marginal_ll"},
        in_);
    EXPECT_TRUE(holds(outcome.out, "marginal_ll")) << outcome.out;
    run_ok({"de", model, "a.h5ad", "-o", model + "_de.tsv", "--groupby", "type", "--group1", "first"}, in_);
  }
}

TEST_F(Family, ZeroInflationIsWrittenForEveryGene) {
  train("run", {"--model", "autozi"});
  run_ok({"zero-inflation", "run", "-o", "zi.tsv"}, in_);
  Table table = table_of(at("zi.tsv"));
  EXPECT_EQ(table.names,
            (std::vector<std::string>{"gene", "zero_inflation_probability", "is_zero_inflated", "alpha", "beta"}));
  ASSERT_EQ(table.rows.size(), 14U);
  for (const auto& row : table.rows) {
    const double p = std::stod(row[1]);
    EXPECT_EQ(row[2], p > 0.5 ? "True" : "False");
    EXPECT_EQ(p > 0.5, std::stod(row[3]) < std::stod(row[4]));
  }
  run_ok({"zero-inflation", "run", "a.h5ad", "-o", "zi2.tsv", "--threshold", "1"}, in_);
  table = table_of(at("zi2.tsv"));
  ASSERT_EQ(table.names.back(), "mean_count");
  for (std::size_t gene = 0; gene < 14; ++gene) {
    double sum = 0;
    for (std::size_t cell = 0; cell < 90; ++cell) sum += data_.values[cell * 14 + gene];
    EXPECT_NEAR(std::stod(table.rows[gene][5]), sum / 90, 1e-6);
    EXPECT_EQ(table.rows[gene][2], "False");
  }
}

TEST_F(Family, ZeroInflationIsWrittenForEveryLabel) {
  train("run",
        {"--model", "autozi", "--zero-inflation", "gene-label", "--alpha-prior", "none", "--beta-prior", "none"});
  run_ok({"zero-inflation", "run", "a.h5ad", "-o", "zi.tsv"}, in_);
  const Table table = table_of(at("zi.tsv"));
  ASSERT_EQ(table.rows.size(), 28U);
  EXPECT_EQ(table.names[1], "label");
  EXPECT_EQ(table.rows[3][1], "first");
  EXPECT_EQ(table.rows[17][1], "second");
  EXPECT_EQ(table.rows[17][0], "gene3");
  double sum = 0, n = 0;
  for (std::size_t cell = 0; cell < 90; ++cell) {
    if (cell % 4 < 2) continue;
    sum += data_.values[cell * 14 + 3];
    ++n;
  }
  EXPECT_NEAR(std::stod(table.rows[17].back()), sum / n, 1e-6);
  SmallData bare = data_;
  bare.obs.pop_back();
  write(bare, at("bare.h5ad"));
  expect_only_error(run({"zero-inflation", "run", "bare.h5ad", "-o", "b.tsv"}, in_),
                    {"bare.h5ad", "'type'", "labels"});
}

TEST_F(Family, OtherModelsAndOptionsAreRefusedInOneLine) {
  train("run", {});
  expect_only_error(run({"loadings", "run", "-o", "l.tsv"}, in_), {"run", "'vae'", "--model ldvae"});
  expect_only_error(run({"zero-inflation", "run", "-o", "z.tsv"}, in_), {"run", "'vae'", "--model autozi"});
  expect_only_error(run({"train", "a.h5ad", "-o", "r", "--model", "autozi", "--alpha-prior", "1"}, in_),
                    {"--alpha-prior", "'1'", "none or a number"});
  expect_error(run({"train", "a.h5ad", "-o", "r", "--model", "autozi", "--zero-inflation", "gene-label"}, in_),
               {"zero_inflation", "--labels-key"});
  expect_only_error(run({"train", "a.h5ad", "-o", "r", "--model", "ldvae", "--n-layers", "2"}, in_), {"--n-layers"});
}

}  // namespace
}  // namespace scvi::testing
