// `scvi de`: which genes differ between groups of cells.

#include <cmath>
#include <map>
#include <sstream>

#include "files.hpp"
#include "scvi/io/xlsx.hpp"

namespace scvi::testing {
namespace {

using Row = std::map<std::string, std::string>;

/// A table of text by the names of its columns.
std::vector<Row> read_tsv(const std::string& path) {
  std::istringstream in(bytes_of(path));
  const auto fields = [](const std::string& line) {
    std::vector<std::string> parts;
    std::istringstream words(line);
    for (std::string word; std::getline(words, word, '\t');) parts.push_back(word);
    return parts;
  };
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> names = fields(line);
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    const std::vector<std::string> values = fields(line);
    EXPECT_EQ(values.size(), names.size()) << line;
    Row& row = rows.emplace_back();
    for (std::size_t i = 0; i < std::min(names.size(), values.size()); ++i) row[names[i]] = values[i];
  }
  return rows;
}

/// Small data in groups p, q and r, and a model of it.
class De : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::string> kinds, donors;
    for (std::size_t cell = 0; cell < data_.cells.size(); ++cell) {
      kinds.emplace_back(cell == 0 ? "lonely" : cell % 4 < 2 ? "p" : cell % 8 < 4 ? "q" : "r");
      donors.emplace_back(cell < 45 ? "d1" : "d2");
    }
    data_.add_column("kind", kinds);
    data_.add_column("donor", donors);
    write(data_, folder_.path("a.h5ad"));
    run_ok({"train", "a.h5ad", "-o", "run", "--batch-key", "batch", "--epochs", "3", "--no-progress"}, in_);
  }

  std::vector<std::string> words(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"de",   "run",         "a.h5ad", "--groupby",
                                    "kind", "--n-samples", "200",    "--no-progress"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<Row> table(const std::vector<std::string>& more, const std::string& name = "de.tsv") const {
    std::vector<std::string> all = words(more);
    all.insert(all.end(), {"-o", name, "--force"});
    run_ok(all, in_);
    return read_tsv(folder_.path(name));
  }
  void refuses(const std::vector<std::string>& more, const std::vector<std::string>& parts) const {
    const Untouched untouched(folder_.path());
    std::vector<std::string> all = words(more);
    if (std::find(more.begin(), more.end(), "-o") == more.end()) all.insert(all.end(), {"-o", "out.tsv"});
    expect_error(run(all, in_), parts);
  }

  SmallData data_ = small_data(90, 14);
  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(De, ComparesTwoGroups) {
  const auto rows = table({"--group1", "p", "--group2", "q"});
  ASSERT_EQ(rows.size(), data_.genes.size());
  for (const Row& row : rows) {
    EXPECT_NEAR(std::stod(row.at("proba_de")) + std::stod(row.at("proba_not_de")), 1, 1e-6);
    EXPECT_TRUE(row.contains("is_de_fdr_0.05") && row.contains("pseudocount") && !row.contains("clusters"));
    double sum = 0, n = 0;
    for (std::size_t cell = 1; cell < data_.cells.size(); ++cell) {
      if (cell % 4 >= 2) continue;
      sum += data_.at(cell, static_cast<std::size_t>(std::stoi(row.at("gene").substr(4))));
      n += 1;
    }
    EXPECT_NEAR(std::stod(row.at("raw_mean1")), sum / n, 1e-6);
  }
}

TEST_F(De, TakesSamplesOfSeveralTrainings) {
  run_ok({"train", "a.h5ad", "-o", "second", "--batch-key", "batch", "--epochs", "3", "--seed", "1", "--no-progress"},
         in_);
  run_ok({"train", "a.h5ad", "-o", "no batches", "--epochs", "1", "--no-progress"}, in_);
  std::map<std::string, double> mean;
  for (const Row& row : table({"--group1", "p", "--pseudocount", "0", "--test", "two-sided"})) {
    mean[row.at("gene")] = std::stod(row.at("scale1")) / 2;
    EXPECT_FALSE(row.contains("proba_de_spread"));
  }
  for (const Row& row : table({"--group1", "p", "--pseudocount", "0", "--more-runs", "second"})) {
    EXPECT_GE(std::stod(row.at("scale1")), mean.at(row.at("gene")));
    EXPECT_TRUE(row.contains("proba_de_spread") && row.contains("lfc_mean_spread"));
  }
  refuses({"--more-runs", "no batches"}, {"no batches", "other batches than 'run'"});
  refuses({"--more-runs", "nothing"}, {"nothing"});
}

TEST_F(De, CallsGenesByTheRuleAskedFor) {
  for (const Row& row : table({"--group1", "p", "--fdr-rule", "each", "--fdr", "0.3"})) {
    EXPECT_EQ(row.at("is_de_each_0.3") == "True", std::stod(row.at("proba_de")) >= 0.7) << row.at("proba_de");
  }
  refuses({"--fdr-rule", "some"}, {"--fdr-rule", "some"});
}

TEST_F(De, ComparesOneGroupWithAllOthers) {
  const auto alone = table({"--group1", "p"});
  const auto named = table({"--group1", "p", "--group2", "q,r,lonely"});
  std::map<std::string, std::string> means;
  for (const Row& row : alone) means[row.at("gene")] = row.at("raw_mean2");
  for (const Row& row : named) EXPECT_EQ(row.at("raw_mean2"), means[row.at("gene")]);
}

TEST_F(De, ComparesEveryGroupAndNamesThoseThatAreTooSmall) {
  std::vector<std::string> all = words({"-o", "all.tsv"});
  const auto outcome = run_ok(all, in_);
  EXPECT_TRUE(holds(outcome.err, "group 'lonely' has only 1 cell")) << outcome.err;
  const auto rows = read_tsv(folder_.path("all.tsv"));
  std::map<std::string, int> clusters;
  for (const Row& row : rows) clusters[row.at("clusters")] += 1;
  EXPECT_EQ(clusters, (std::map<std::string, int>{{"p", 14}, {"q", 14}, {"r", 14}}));
}

TEST_F(De, ComparesWithinEachCategory) {
  const auto rows = table({"--group1", "p", "--within", "donor", "--min-cells", "5"});
  std::map<std::string, int> clusters;
  for (const Row& row : rows) clusters[row.at("clusters")] += 1;
  EXPECT_EQ(clusters, (std::map<std::string, int>{{"d1", 14}, {"d2", 14}}));
  const auto all = table({"--within", "donor", "--min-cells", "5"});
  clusters.clear();
  for (const Row& row : all) clusters[row.at("clusters")] += 1;
  EXPECT_EQ(clusters.size(), 6U);
  EXPECT_EQ(clusters["d1/p"], 14);
  const auto outcome = run(words({"--within", "donor", "--min-cells", "40", "-o", "none.tsv"}), in_);
  expect_error(outcome, {"no category", "--min-cells"});
  EXPECT_TRUE(holds(outcome.err, "category 'd1' is left out")) << outcome.err;
}

TEST_F(De, WritesASheetForEachComparison) {
  const auto rows = table({}, "de.tsv");
  run_ok(words({"-o", "de.xlsx"}), in_);
  const io::XlsxFile file(folder_.path("de.xlsx"));
  EXPECT_EQ(file.sheets(), (std::vector<std::string>{"p", "q", "r"}));
  std::size_t line = 14;
  file.for_each_row("q", [&](const io::XlsxRow& row) {
    if (row.number == 1) return;
    EXPECT_EQ(io::text_of(row.cells[0]), rows[line].at("gene"));
    EXPECT_NEAR(std::get<double>(row.cells[1]), std::stod(rows[line].at("proba_de")), 1e-6);
    ++line;
  });
  EXPECT_EQ(line, 28U);
}

TEST_F(De, GivesTheSameBytesForAnyNumberOfThreads) {
  table({"--threads", "1"}, "one.tsv");
  table({"--threads", "3"}, "three.tsv");
  EXPECT_EQ(bytes_of(folder_.path("one.tsv")), bytes_of(folder_.path("three.tsv")));
  table({"--seed", "5"}, "seed.tsv");
  EXPECT_NE(bytes_of(folder_.path("one.tsv")), bytes_of(folder_.path("seed.tsv")));
}

TEST_F(De, TakesTheModesAndOptionsOfTheReference) {
  const auto vanilla = table({"--mode", "vanilla", "--group1", "p", "--group2", "q", "--permutations", "300"});
  EXPECT_TRUE(vanilla[0].contains("proba_m1") && !vanilla[0].contains("lfc_mean"));
  EXPECT_FALSE(vanilla[0].contains("is_de_fdr_0.05"));
  const auto change = table({"--group1", "p", "--group2", "q", "--test", "two-sided", "--pseudocount", "0",
                             "--credible-intervals", "0.5,0.94", "--fdr", "", "--batches1", "a", "--batches2", "b"});
  EXPECT_TRUE(change[0].contains("lfc_confidence_interval_0.94_max") && !change[0].contains("pseudocount"));
  const auto few = table({"--group1", "p", "--genes", "gene3,gene5", "--repetitions", "2", "--observed-batches"});
  EXPECT_EQ(few.size(), 2U);
  EXPECT_TRUE(few[0].contains("proba_de_spread"));
}

TEST_F(De, RefusesWhatCannotBeCompared) {
  refuses({"--group1", "pp", "--group2", "q"}, {"--group1", "'pp'", "kind", "p"});
  refuses({"--group1", "p", "--group2", "s"}, {"--group2", "'s'"});
  refuses({"--group1", "p", "--group2", "q,p"}, {"--group2", "'p'", "overlap"});
  refuses({"--group1", "p", "--group2", "lonely"}, {"group 'lonely' has 1 cell", "at least 2"});
  refuses({"--group1", "p,q,r,lonely"}, {"all others", "no cell"});
  refuses({"--group2", "q"}, {"--group2", "needs --group1"});
  refuses({"--one-vs-all", "--group1", "p"}, {"--one-vs-all"});
  refuses({"--groupby", "knd"}, {"a.h5ad", "obs has no column 'knd'", "kind"});
  refuses({"--within", "donors"}, {"obs has no column 'donors'", "donor"});
  refuses({"--min-cells", "1000"}, {"min_cells"});
  refuses({"--batches1", "c", "--group1", "p"}, {"--batches1", "'c'"});
  refuses({"--batches1", "a"}, {"--batches1", "--batches2"});
  refuses({"--observed-batches", "--batches1", "a", "--group1", "p"}, {"--observed-batches"});
  refuses({"--genes", "gene3,gene99"}, {"--genes", "'gene99'", "not a gene of the model"});
}

TEST_F(De, RefusesOptionsAndOutputsBeforeAnyWork) {
  refuses({"-o", "out.txt"}, {"--output", ".tsv or .xlsx"});
  refuses({"-o", "no/such/out.tsv"}, {"no/such", "does not exist"});
  refuses({"--mode", "chnge"}, {"--mode", "change"});
  refuses({"--delta", "-1"}, {"--delta", "-1"});
  refuses({"--pseudocount", "much"}, {"--pseudocount", "'much'"});
  refuses({"--fdr", "5"}, {"--fdr", "'5'"});
  refuses({"--credible-intervals", "0.5,x"}, {"--credible-intervals", "'x'"});
  table({}, "there.tsv");
  const std::string before = bytes_of(folder_.path("there.tsv"));
  refuses({"-o", "there.tsv"}, {"there.tsv", "exists", "--force"});
  EXPECT_EQ(bytes_of(folder_.path("there.tsv")), before);
  const auto missing = run({"de", "run", "a.h5ad", "-o", "x.tsv"}, in_);
  expect_only_error(missing, {"--groupby", "required"});
}

/// Area under the precision-recall curve of a ranking.
double average_precision(const std::vector<bool>& hits) {
  double found = 0, sum = 0;
  for (std::size_t i = 0; i < hits.size(); ++i) {
    if (!hits[i]) continue;
    found += 1;
    sum += found / static_cast<double>(i + 1);
  }
  return sum / found;
}

TEST(DeCalibration, FindsTheGenesThatWereChangedAndFewOthers) {
  constexpr std::int64_t kCells = 700;
  constexpr std::int64_t kGenes = 120;
  constexpr std::int64_t kChanged = 24;
  SmallData data;
  RandomStream random(11, "known fold changes");
  std::vector<std::string> kinds;
  std::vector<double> mean, fold;
  for (std::int64_t gene = 0; gene < kGenes; ++gene) {
    data.genes.push_back("gene" + std::to_string(gene));
    mean.push_back(std::exp(0.5 + 0.8 * random.standard_normal()));
    fold.push_back(gene >= kChanged ? 1 : gene % 2 == 0 ? 3 : 1.0 / 3);
  }
  for (std::int64_t cell = 0; cell < kCells; ++cell) {
    data.cells.push_back("cell" + std::to_string(cell));
    kinds.emplace_back(cell % 2 == 0 ? "treated" : "control");
    const double library = std::exp(0.3 * random.standard_normal());
    for (std::int64_t gene = 0; gene < kGenes; ++gene) {
      const double rate = mean[gene] * (cell % 2 == 0 ? fold[gene] : 1) * library * random.standard_gamma(4) / 4;
      data.values.push_back(static_cast<float>(random.poisson(rate)));
    }
  }
  data.add_column("kind", kinds);
  const TemporaryDirectory folder;
  const RunOptions in{.folder = folder.path()};
  write(data, folder.path("a.h5ad"));
  run_ok({"train", "a.h5ad", "-o", "run", "--epochs", "60", "--no-progress", "--n-hidden", "64"}, in);
  run_ok({"de", "run", "a.h5ad", "--groupby", "kind", "--group1", "treated", "--group2", "control", "-o", "de.tsv",
          "--no-progress"},
         in);
  std::vector<bool> hits;
  int called = 0, wrongly = 0, right_direction = 0;
  for (const Row& row : read_tsv(folder.path("de.tsv"))) {
    const auto gene = std::stoi(row.at("gene").substr(4));
    hits.push_back(gene < kChanged);
    if (hits.back()) right_direction += (std::stod(row.at("lfc_mean")) > 0) == (gene % 2 == 0);
    if (row.at("is_de_fdr_0.05") != "True") continue;
    called += 1;
    wrongly += gene >= kChanged;
  }
  // By chance: 0.2.
  EXPECT_GT(average_precision(hits), 0.9);
  EXPECT_EQ(right_direction, kChanged);
  EXPECT_GT(called, 0);
  EXPECT_LE(wrongly, called / 5);
}

}  // namespace
}  // namespace scvi::testing
