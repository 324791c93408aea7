// `scvi prepare`: what it writes is what was asked for, says what it dropped, and trains.

#include "files.hpp"

namespace scvi::testing {
namespace {

class PrepareCommand : public ::testing::Test {
 protected:
  PrepareCommand() {
    SmallData first = small_data(20, 10);
    SmallData second = small_data(12, 10, 2);
    for (std::size_t gene = 0; gene < 10; ++gene) second.genes[gene] = "gene" + std::to_string(gene + 2);
    std::vector<std::string> types;
    for (std::size_t cell = 0; cell < 20; ++cell) types.push_back(cell < 10 ? "T cell" : "B cell");
    first.add_column("type", types);
    second.add_column("kind", std::vector<std::string>(12, "B cell"));
    write(first, at("first.h5ad"));
    write(second, at("second.h5ad"));
  }

  std::string at(const std::string& name) const { return folder_.path(name); }

  TemporaryDirectory folder_;
};

TEST_F(PrepareCommand, PutsFilesTogetherAndReportsIt) {
  const auto outcome = run_ok({"prepare", at("first.h5ad"), at("second.h5ad"), "-o", at("ready.h5ad"), "--labels-key",
                               "type,kind", "--report", at("report.json")});
  const SmallData data = read(at("ready.h5ad"));
  EXPECT_EQ(data.cells.size(), 32U);
  EXPECT_EQ(data.genes,
            (std::vector<std::string>{"gene2", "gene3", "gene4", "gene5", "gene6", "gene7", "gene8", "gene9"}));
  const io::H5adFile file(at("ready.h5ad"));
  EXPECT_EQ(file.obs().find("batch")->text(0), "first");
  EXPECT_EQ(file.obs().find("batch")->text(31), "second");
  EXPECT_EQ(file.obs().find("original_batch")->text(1), "b");
  EXPECT_EQ(file.obs().find("cell_type")->as_categorical().categories,
            (std::vector<std::string>{"B cell", "T cell"}));
  EXPECT_TRUE(holds(outcome.out, "first: kept 8 of 10 genes and 20 of 20 cells")) << outcome.out;
  EXPECT_TRUE(holds(outcome.out, "genes dropped: gene10, gene11")) << outcome.out;
  const auto report = json_of(at("report.json"));
  EXPECT_EQ(report.at("n_cells"), 32);
  EXPECT_EQ(report.at("inputs")[0].at("dropped_genes"), (std::vector<std::string>{"gene0", "gene1"}));
  EXPECT_EQ(report.at("batches"), (std::vector<std::string>{"first", "second"}));
}

TEST_F(PrepareCommand, KeepsTheBatchesOfFilesApart) {
  run_ok({"prepare", at("first.h5ad"), at("second.h5ad"), "-o", at("ready.h5ad"), "--batch-key", "batch",
          "--batch-names", "mouse,man"});
  EXPECT_EQ(io::H5adFile(at("ready.h5ad")).obs().find("batch")->as_categorical().categories,
            (std::vector<std::string>{"a (mouse)", "b (mouse)", "a (man)", "b (man)"}));
}

TEST_F(PrepareCommand, SelectsCellsAndGenes) {
  write_bytes(at("genes.txt"), "gene3\r\ngene1\n\ngene5\n");
  const auto outcome =
      run_ok({"prepare", at("first.h5ad"), "-o", at("ready.h5ad"), "--labels-key", "type", "--keep-cell-types",
              "T cell", "--subsample-cells", "6", "--keep-genes", at("genes.txt"), "--report", at("report.json")});
  const SmallData data = read(at("ready.h5ad"));
  EXPECT_EQ(data.cells.size(), 6U);
  EXPECT_EQ(data.genes, (std::vector<std::string>{"gene3", "gene1", "gene5"}));
  const auto report = json_of(at("report.json"));
  ASSERT_EQ(report.at("steps").size(), 3U);
  EXPECT_EQ(report.at("steps")[0].at("n_cells_dropped"), 10);
  EXPECT_EQ(report.at("steps")[2].at("n_genes_dropped"), 7);
}

TEST_F(PrepareCommand, WhatItWritesTrains) {
  run_ok({"prepare", at("first.h5ad"), at("second.h5ad"), "-o", at("ready.h5ad"), "--n-top-genes", "5",
          "--gene-selection", "variance"});
  run_ok(
      {"train", at("ready.h5ad"), "--batch-key", "batch", "--output", at("run"), "--epochs", "1", "--no-progress"});
  EXPECT_EQ(json_of(at("run/model.json")).dump().find("null"), std::string::npos);
}

TEST_F(PrepareCommand, WritesLoomToo) {
  run_ok({"prepare", at("first.h5ad"), "-o", at("ready.loom"), "--min-counts-per-cell", "1"});
  const auto info = run_ok({"info", at("ready.loom")});
  EXPECT_TRUE(holds(info.out, "20 cells x 10 genes, loom 3.0.0")) << info.out;
}

TEST_F(PrepareCommand, RealProteinsAreCutToWhatBothFilesHave) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string folder = test_data_dir() + "/pbmc_citeseq/";
  for (const auto& [choice, n_proteins] : {std::pair{"intersection", 14}, std::pair{"union", 29}}) {
    run_ok({"prepare", folder + "pbmc_5k_protein_v3.h5ad", folder + "pbmc_10k_protein_v3.h5ad", "-o", at("both.h5ad"),
            "--make-unique", "--measurements", choice, "--force"});
    const io::H5adFile file(at("both.h5ad"));
    EXPECT_EQ(file.n_obs(), 400);
    EXPECT_EQ(file.table("protein_expression").columns.size(), n_proteins) << choice;
  }
}

TEST_F(PrepareCommand, RefusesWhatItCannotDo) {
  write_bytes(at("there.json"), "{}");
  const Untouched untouched(folder_.path(""));
  const auto prepare = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"prepare", at("first.h5ad"), "-o", at("out.h5ad"), "--verbosity", "warning"});
    return run(words);
  };
  expect_only_error(prepare({"--batch-key", "bacth"}), {"'bacth'", "'batch'"});
  expect_only_error(prepare({"--batch-key", "a,b"}), {"--batch-key", "2 names for 1 files"});
  expect_only_error(prepare({"--keep-genes", "gene1,gone"}), {"gone"});
  expect_only_error(prepare({"--labels-key", "type", "--remove-cell-types", "T cel"}), {"T cel", "'T cell'"});
  expect_only_error(prepare({"--min-counts-per-cell", "100000"}), {"no cell"});
  expect_only_error(prepare({"--report", at("there.json")}), {"there.json", "--force"});
  expect_only_error(prepare({"--n-top-genes", "0"}), {"--n-top-genes"});
  expect_only_error(run({"prepare", at("first.h5ad"), "-o", at("out.csv")}), {"out.csv"});
  expect_only_error(run({"prepare", "-o", at("out.h5ad")}), {"IN"});
}

}  // namespace
}  // namespace scvi::testing
