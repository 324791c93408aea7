// `scvi convert`: what goes in comes out, whole or not at all.

#include "real_counts.hpp"
#include "scvi/io/loom.hpp"
#include "scvi/io/open_counts.hpp"

namespace scvi::testing {
namespace {

class Convert : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return folder_.path(name); }

  TemporaryDirectory folder_;
};

/// The counts of any file.
std::vector<float> values_of(io::MatrixReader& matrix) {
  std::vector<float> values(static_cast<std::size_t>(matrix.info().n_rows * matrix.info().n_cols));
  matrix.for_each_block([&](const io::CsrBlock& block) {
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      for (auto i = block.indptr[row]; i < block.indptr[row + 1]; ++i) {
        values[(block.first_row + row) * matrix.info().n_cols + block.indices[i]] = block.values[i];
      }
    }
  });
  return values;
}

void expect_equal(const io::CountFile& a, const io::CountFile& b) {
  EXPECT_EQ(a.obs.index, b.obs.index);
  EXPECT_EQ(a.var.index, b.var.index);
  for (const auto& [before, after] : {std::pair{&a.obs, &b.obs}, std::pair{&a.var, &b.var}}) {
    ASSERT_EQ(before->column_names(), after->column_names());
    for (const io::Column& column : before->columns) {
      for (std::int64_t row = 0; row < column.size(); ++row) {
        ASSERT_EQ(column.text(row), after->find(column.name)->text(row)) << column.name << " of row " << row;
      }
    }
  }
  EXPECT_EQ(values_of(*a.counts), values_of(*b.counts));
  ASSERT_EQ(a.tables.size(), b.tables.size());
  for (const io::CellTable& table : a.tables) {
    const auto same = [&](const io::CellTable& other) { return other.name == table.name; };
    const auto found = std::find_if(b.tables.begin(), b.tables.end(), same);
    ASSERT_NE(found, b.tables.end()) << table.name;
    EXPECT_EQ(found->columns, table.columns);
    EXPECT_EQ(found->values.values, table.values.values);
  }
}

TEST_F(Convert, H5adToLoomAndBackIsTheSame) {
  SCVI_REQUIRE_TEST_DATA();
  for (const std::string name : {"osmfish/osmfish_cortex.h5ad", "pbmc_citeseq/pbmc_5k_protein_v3.h5ad"}) {
    const std::string from = test_data_dir() + "/" + name;
    run_ok({"convert", from, at("a.loom"), "--force"});
    run_ok({"convert", at("a.loom"), at("a.h5ad"), "--force"});
    const io::CountFile before = io::open_h5ad(from);
    const io::CountFile after = io::open_h5ad(at("a.h5ad"));
    EXPECT_EQ(values_of(*before.counts), values_of(*after.counts)) << name;
    EXPECT_EQ(before.obs.index, after.obs.index);
    EXPECT_EQ(before.var.index, after.var.index);
    EXPECT_EQ(before.obs.columns.size(), after.obs.columns.size());
    ASSERT_EQ(before.tables.size(), after.tables.size());
    for (std::size_t i = 0; i < before.tables.size(); ++i) {
      EXPECT_EQ(before.tables[i].values.values, after.tables[i].values.values);
      EXPECT_EQ(before.tables[i].columns, after.tables[i].columns);
    }
  }
}

TEST_F(Convert, LoomToH5adKeepsAttributesTablesAndWhatIsSaidOfTheFile) {
  SCVI_REQUIRE_TEST_DATA();
  for (const std::string name : {"starmap/mpfc-starmap.loom", "fixtures/Cortex.loom", "fixtures/retina.loom"}) {
    const std::string from = test_data_dir() + "/" + name;
    run_ok({"convert", from, at("a.h5ad"), "--force"});
    SCOPED_TRACE(name);
    expect_equal(io::open_loom(from), io::open_h5ad(at("a.h5ad")));
  }
  run_ok({"convert", test_data_dir() + "/starmap/mpfc-starmap.loom", at("b.h5ad")});
  const io::H5adFile file(at("b.h5ad"));
  const auto keys = file.uns_keys();
  EXPECT_NE(std::find(keys.begin(), keys.end(), "LOOM_SPEC_VERSION"), keys.end()) << "global attributes are in uns";
}

TEST_F(Convert, H5adToH5adIsACopyOfEverything) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string from = test_data_dir() + "/mixology/mixology_3cl.h5ad";
  run_ok({"convert", from, at("copy.h5ad")});
  const auto elements = [](const std::string& path) {
    std::string all;
    for (const auto& element : io::H5adFile(path).elements()) all += element.path + ": " + element.description + "\n";
    return all;
  };
  EXPECT_EQ(elements(at("copy.h5ad")), elements(from));
  expect_equal(io::open_h5ad(from), io::open_h5ad(at("copy.h5ad")));
}

TEST_F(Convert, EveryRealFileBecomesH5adWithTheSameCounts) {
  SCVI_REQUIRE_TEST_DATA();
  for (const auto& file : kRealCounts) {
    const std::string from = test_data_dir() + "/" + file.path;
    SCOPED_TRACE(from);
    std::vector<std::string> words = {"convert", from, at("a.h5ad"), "--force"};
    words.insert(words.end(), file.options.begin(), file.options.end());
    run_ok(words);
    const auto info = run_ok({"info", at("a.h5ad"), "--quick"});
    EXPECT_TRUE(holds(info.out, ": " + std::string(file.shape) + "\n")) << info.out;
  }
}

TEST_F(Convert, TextTenXAndH5adOfTheSameCountsAreEqual) {
  SCVI_REQUIRE_TEST_DATA();
  run_ok({"convert", test_data_dir() + "/mixology/sc_celseq2.count.csv.gz", at("a.h5ad")});
  const io::CountFile table = io::open_h5ad(at("a.h5ad"));
  EXPECT_EQ(values_of(*table.counts),
            values_of(*io::open_counts(test_data_dir() + "/mixology/sc_celseq2.count.csv.gz").counts));
  run_ok({"convert", test_data_dir() + "/fixtures/10X/neuron_9k/filtered_gene_bc_matrices", at("folder.h5ad")});
  run_ok(
      {"convert", test_data_dir() + "/fixtures/10X/neuron_9k/filtered_gene_bc_matrices.tar.gz", at("archive.h5ad")});
  expect_equal(io::open_h5ad(at("folder.h5ad")), io::open_h5ad(at("archive.h5ad")));
}

TEST_F(Convert, ProteinsOfTenXGoToObsm) {
  SCVI_REQUIRE_TEST_DATA();
  run_ok({"convert", test_data_dir() + "/fixtures/10X/pbmc_10k_protein_v3/filtered_feature_bc_matrix.tar.gz",
          at("a.h5ad")});
  const io::CellTable proteins = io::H5adFile(at("a.h5ad")).table("protein_expression");
  EXPECT_EQ(proteins.values.n_rows, 1024);
  EXPECT_GT(proteins.columns.size(), 0U);
}

TEST_F(Convert, WhatIsNotKeptIsSaid) {
  SCVI_REQUIRE_TEST_DATA();
  const auto outcome = run_ok(
      {"convert", test_data_dir() + "/pretrained/scvi-tools-1.x/exp_activation_totalvi/adata.h5ad", at("a.loom")});
  EXPECT_TRUE(holds(outcome.err, "warning: not in ")) << outcome.err;
}

TEST_F(Convert, ValuesNeedNotBeCounts) {
  SmallData data = small_data(3, 3);
  data.at(1, 1) = -2.5;
  write(data, at("a.h5ad"));
  run_ok({"convert", at("a.h5ad"), at("a.loom")});
  EXPECT_EQ(values_of(*io::LoomFile(at("a.loom")).matrix())[4], -2.5F);
}

TEST_F(Convert, NamesThatClashOrHoldSlashesAreChanged) {
  SmallData data = small_data(2, 2);
  io::LoomContents contents;
  contents.obs.index = data.cells;
  contents.var.index = data.genes;
  contents.obs.columns = {{"_index", std::vector<std::int64_t>{1, 2}, {}}};
  contents.next_rows = [done = false](io::CsrBlock& block) mutable {
    if (done) return false;
    block.indptr = {0, 1, 1};
    block.indices = {1};
    block.values = {4};
    return done = true;
  };
  contents.obs.columns[0].name = "index";
  io::write_loom(at("a.loom"), contents, Overwrite::refuse);
  run_ok({"convert", at("a.loom"), at("a.h5ad")});
  EXPECT_EQ(io::H5adFile(at("a.h5ad")).obs().find("index")->text(1), "2");
}

TEST_F(Convert, RefusesWhatItCannotDo) {
  write(small_data(4, 3), at("a.h5ad"));
  write(small_data(4, 3), at("there.loom"));
  write_bytes(at("no.h5ad"), "nothing");
  const Untouched untouched(folder_.path(""));
  expect_only_error(run({"convert", at("a.h5ad"), at("b.csv")}), {"b.csv", ".h5ad or .loom"});
  expect_only_error(run({"convert", at("a.h5ad"), at("there.loom")}), {"there.loom", "--force"});
  expect_only_error(run({"convert", at("absent.h5ad"), at("b.loom")}), {"absent.h5ad"});
  expect_only_error(run({"convert", at("a.h5ad"), at("b.loom"), "--layer", "count"}), {"count"});
  expect_only_error(run({"convert", at("a.h5ad"), at("b.loom"), "--format", "lom"}), {"--format", "'loom'"});
  expect_only_error(run({"convert", at("no.h5ad"), at("b.loom"), "--format", "h5ad"}), {"no.h5ad"});
}

TEST_F(Convert, AnInterruptLeavesNothingBehind) {
  SCVI_REQUIRE_TEST_DATA();
  const Untouched untouched(folder_.path(""));
  const auto outcome = run({"convert", test_data_dir() + "/mixology/mixology_3cl.h5ad", at("b.loom")},
                           {.signal_when = [&](const std::string&) { return listing(folder_.path("")).size() > 0; }});
  EXPECT_EQ(outcome.status, 130) << outcome.err;
}

}  // namespace
}  // namespace scvi::testing
