// `scvi run` and `scvi report`: the whole way, stopped and gone on with, and what they leave when something is wrong.

#include "files.hpp"
#include "scvi/core/atomic_file.hpp"

namespace scvi::testing {
namespace {

namespace fs = std::filesystem;

class Run : public ::testing::Test {
 protected:
  void SetUp() override {
    SmallData data = small_data(160, 20);
    std::vector<std::string> types;
    for (int cell = 0; cell < 160; ++cell) types.push_back(cell % 4 < 2 ? "<b>one</b>" : "two");
    data.add_column("cell_type", types);
    write(data, folder_.path("a.h5ad"));
  }

  static std::vector<std::string> words(const std::string& data, const std::string& output,
                                        const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"run", data, "-o", output, "--no-progress"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  std::string text(const std::string& name) const { return bytes_of(folder_.path(name)); }

  void expect_whole(const std::string& output) const {
    for (const char* name :
         {"report.html", "cells.h5ad", "model/model.json", "markers.tsv", "markers.xlsx", "scores.json", "run.json",
          "log.txt", "figures/training.svg", "figures/training.png", "figures/map.svg", "figures/map.png",
          "figures/markers_dotplot.svg", "figures/markers_heatmap.png", "figures/volcano.svg"}) {
      EXPECT_TRUE(fs::exists(folder_.path(output + "/" + name))) << name;
    }
    EXPECT_FALSE(fs::exists(folder_.path(output + "/counts.h5ad")));
  }

  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

const std::vector<std::string> kShort = {"--epochs", "20", "--kl-warmup-epochs", "5"};

TEST_F(Run, GoesTheWholeWayAndPrintsEveryStep) {
  const auto outcome = run_ok(words("a.h5ad", "out", kShort), in_);
  expect_whole("out");
  for (const char* part : {"batches: obs column 'batch'", "labels: obs column 'cell_type'", "$ scvi prepare a.h5ad ",
                           "$ scvi train out/counts.h5ad ", "$ scvi cluster out/model ", "$ scvi evaluate out/model ",
                           "$ scvi de out/model ", "$ scvi plot map out/cells.h5ad "}) {
    EXPECT_TRUE(holds(outcome.err, part)) << part << "\n" << outcome.err;
  }
  const io::H5adFile cells(folder_.path("out/cells.h5ad"));
  EXPECT_EQ(cells.n_obs(), 160);
  EXPECT_NE(cells.obs().find("leiden"), nullptr);
  EXPECT_EQ(cells.obsm("X_umap").n_cols, 2);
  const std::string page = text("out/report.html");
  for (const char* part : {"<h1>a.h5ad</h1>", "160 cells, 20 genes", "id=\"scores\"", "id=\"clusters\"",
                           "id=\"markers\"", "entropy_batch_mixing", "scvi train out/counts.h5ad"}) {
    EXPECT_TRUE(holds(page, part)) << part;
  }
  EXPECT_FALSE(holds(page, "<b>one"));
  EXPECT_TRUE(holds(page, "&lt;b&gt;one"));
}

TEST_F(Run, GivesTheSameBytesForAnyNumberOfThreads) {
  run_ok(words("a.h5ad", "one", {"--epochs", "6", "--threads", "1"}), in_);
  fs::rename(folder_.path("one"), folder_.path("first"));
  run_ok(words("a.h5ad", "one", {"--epochs", "6", "--threads", "3"}), in_);
  for (const char* name : {"markers.tsv", "scores.json", "figures/map.svg", "figures/volcano.png"}) {
    EXPECT_EQ(text(std::string("first/") + name), text(std::string("one/") + name)) << name;
  }
}

TEST_F(Run, LeavesTheColumnsOutThatAreNotWanted) {
  const auto outcome =
      run_ok(words("a.h5ad", "out", {"--epochs", "4", "--batch-key", "none", "--labels-key", "none"}), in_);
  EXPECT_FALSE(holds(outcome.err, "entropy_batch_mixing")) << outcome.err;
  EXPECT_FALSE(holds(outcome.err, "--color batch")) << outcome.err;
  EXPECT_FALSE(holds(text("out/scores.json"), "ari"));
}

TEST_F(Run, MergesFilesAsBatches) {
  write(small_data(60, 20, 2), folder_.path("b.h5ad"));
  run_ok({"run", "a.h5ad", "b.h5ad", "-o", "out", "--batch-key", "none", "--labels-key", "none", "--epochs", "4",
          "--no-progress"},
         in_);
  EXPECT_EQ(io::H5adFile(folder_.path("out/cells.h5ad")).n_obs(), 220);
}

TEST_F(Run, HandsFurtherOptionsOn) {
  const auto outcome = run_ok(
      words("a.h5ad", "out", {"--epochs", "4", "--train", "--n-latent 3 --lr 0.01", "--cluster", "--n-neighbors 7"}),
      in_);
  EXPECT_TRUE(holds(outcome.err, "--n-latent 3 --lr 0.01")) << outcome.err;
  EXPECT_EQ(io::H5adFile(folder_.path("out/cells.h5ad")).obsm("X_scVI").n_cols, 3);
}

TEST_F(Run, GoesOnAfterAnInterruptionWithTheSameResult) {
  run_ok(words("a.h5ad", "out", {"--epochs", "60"}), in_);
  fs::rename(folder_.path("out"), folder_.path("whole"));
  RunOptions options = in_;
  options.signal_when = [](const std::string& err) { return holds(err, "training vae"); };
  const auto stopped = run(words("a.h5ad", "out", {"--epochs", "60"}), options);
  ASSERT_EQ(stopped.status, 130) << stopped.err;
  EXPECT_TRUE(holds(stopped.err, "scvi run --output out --resume")) << stopped.err;
  EXPECT_FALSE(holds(stopped.err, "error")) << stopped.err;
  expect_only_error(run(words("a.h5ad", "out"), in_), {"out", "exists", "--resume", "--force"});
  run_ok({"run", "-o", "out", "--resume", "--no-progress"}, in_);
  expect_whole("out");
  for (const char* name : {"markers.tsv", "scores.json", "figures/map.svg"}) {
    EXPECT_EQ(text(std::string("whole/") + name), text(std::string("out/") + name)) << name;
  }
  // Finished: nothing is left to do, and nothing changes.
  const std::string page = text("out/report.html");
  run_ok({"run", "-o", "out", "--resume", "--no-progress"}, in_);
  EXPECT_EQ(text("out/report.html"), page);
}

TEST_F(Run, LeavesNothingWhenTheFirstStepFails) {
  const std::vector<std::string> quietly = {"--verbosity", "warning"};
  expect_only_error(run(words("absent.h5ad", "out", quietly), in_), {"absent.h5ad"});
  EXPECT_FALSE(fs::exists(folder_.path("out")));
  write_file_atomically(folder_.path("bad.h5ad"), "not HDF5");
  expect_only_error(run(words("bad.h5ad", "out", quietly), in_), {"bad.h5ad"});
  EXPECT_FALSE(fs::exists(folder_.path("out")));
  expect_only_error(run(words("a.h5ad", "out", {"--batch-key", "btch", "--verbosity", "warning"}), in_),
                    {"btch", "batch"});
  EXPECT_FALSE(fs::exists(folder_.path("out")));
}

TEST_F(Run, KeepsWhatIsFinishedWhenALaterStepFails) {
  const auto outcome = run(words("a.h5ad", "out", {"--train", "--n-latnt 3"}), in_);
  EXPECT_EQ(outcome.status, 2);
  EXPECT_TRUE(holds(outcome.err, "--n-latent")) << outcome.err;
  EXPECT_TRUE(fs::exists(folder_.path("out/counts.h5ad")));
}

TEST_F(Run, ReplacesItsOwnFoldersAlone) {
  fs::create_directories(folder_.path("mine"));
  write_file_atomically(folder_.path("mine/thesis.txt"), "years of work");
  expect_only_error(run(words("a.h5ad", "mine", {"--force"}), in_), {"mine", "not a folder that `scvi run` made"});
  EXPECT_TRUE(fs::exists(folder_.path("mine/thesis.txt")));
  expect_only_error(run({"run", "-o", "mine", "--resume"}, in_), {"mine", "run.json"});
  expect_only_error(run({"run", "-o", "new"}, in_), {"DATA"});
  EXPECT_FALSE(fs::exists(folder_.path("new")));
}

TEST_F(Run, EndsWellWhereThereIsNothingToCompare) {
  write(small_data(12, 6), folder_.path("few.h5ad"));
  const auto outcome = run_ok(words("few.h5ad", "out", {"--epochs", "3"}), in_);
  EXPECT_TRUE(holds(outcome.err, "no two clusters")) << outcome.err;
  EXPECT_TRUE(fs::exists(folder_.path("out/report.html")));
  EXPECT_FALSE(fs::exists(folder_.path("out/markers.tsv")));
}

TEST_F(Run, ReportComputesWhatTheDataLack) {
  run_ok({"train", "a.h5ad", "-o", "model", "--batch-key", "batch", "--epochs", "10", "--no-progress"}, in_);
  run_ok({"report", "model", "a.h5ad", "-o", "page.html", "--no-progress"}, in_);
  EXPECT_EQ(listing(folder_.path()), (std::vector<std::string>{"a.h5ad", "model", "page.html"}));
  EXPECT_TRUE(holds(text("page.html"), "id=\"markers\""));
  expect_only_error(run({"report", "model", "a.h5ad", "-o", "page.html"}, in_), {"page.html", "exists"});
  // With everything at hand nothing is computed.
  run_ok({"cluster", "model", "a.h5ad", "-o", "cells.h5ad", "--no-progress"}, in_);
  run_ok({"de", "model", "cells.h5ad", "--groupby", "leiden", "-o", "de.tsv", "-o", "de.xlsx", "--no-progress"}, in_);
  run_ok({"evaluate", "model", "cells.h5ad", "--json", "s.json", "--metrics", "elbo", "--no-progress"}, in_);
  const auto outcome = run_ok({"report", "model", "cells.h5ad", "-o", "again.html", "--de", "de.tsv", "--scores",
                               "s.json", "--color", "gene3", "--title", "Mine"},
                              in_);
  EXPECT_FALSE(holds(outcome.err, "$ scvi")) << outcome.err;
  EXPECT_TRUE(holds(text("again.html"), "<h1>Mine</h1>"));
  EXPECT_TRUE(holds(text("again.html"), "gene3"));
}

TEST_F(Run, TellsWhatModelsSayOfGenes) {
  std::vector<std::string> more = kShort;
  more.insert(more.end(), {"--train", "--model ldvae"});
  run_ok(words("a.h5ad", "out", more), in_);
  expect_whole("out");
  for (const char* name : {"loadings.tsv", "figures/loadings.svg", "figures/loadings.png"}) {
    EXPECT_TRUE(fs::exists(folder_.path(std::string("out/") + name))) << name;
  }
  EXPECT_TRUE(holds(text("out/report.html"), "id=\"loadings\""));
  EXPECT_TRUE(holds(text("out/report.html"), "scvi loadings out/model"));
  run_ok({"train", "a.h5ad", "-o", "model", "--model", "autozi", "--epochs", "5", "--no-progress"}, in_);
  run_ok({"report", "model", "out/cells.h5ad", "-o", "page.html", "--no-progress", "--memory", "1G"}, in_);
  EXPECT_TRUE(holds(text("page.html"), "id=\"zero-inflation\""));
}

TEST_F(Run, ReportSaysWhatIsWrong) {
  run_ok({"train", "a.h5ad", "-o", "model", "--epochs", "2", "--no-progress"}, in_);
  run_ok({"cluster", "model", "a.h5ad", "-o", "cells.h5ad", "--no-progress"}, in_);
  write_file_atomically(folder_.path("bad.json"), "{\"train\": 3");
  write_file_atomically(folder_.path("bad.tsv"), "gene\tx\na\t1\n");
  expect_only_error(run({"report", "absent", "cells.h5ad", "-o", "p.html"}, in_), {"absent"});
  expect_only_error(run({"report", "model", "absent.h5ad", "-o", "p.html"}, in_), {"absent.h5ad"});
  const std::vector<std::string> known = {"report", "model", "cells.h5ad", "-o", "p.html"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), known.begin(), known.end());
    return run(more, in_);
  };
  expect_only_error(with({"--scores", "bad.json", "--de", "bad.tsv"}), {"bad"});
  expect_only_error(with({"--basis", "X_absent"}), {"X_absent"});
  EXPECT_FALSE(fs::exists(folder_.path("p.html")));
  for (const auto& name : listing(folder_.path())) EXPECT_FALSE(holds(name, "p.html")) << name;
}

}  // namespace
}  // namespace scvi::testing
