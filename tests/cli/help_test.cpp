// What a user sees who asks.

#include <sstream>

#include "files.hpp"

namespace scvi::testing {
namespace {

const std::vector<std::string> kCommands = {"info",           "convert",  "prepare", "datasets", "simulate",
                                            "plot",           "train",    "embed",   "annotate", "classify",
                                            "normalize",      "evaluate", "cluster", "de",       "loadings",
                                            "zero-inflation", "report",   "run",     "generate", "correlations"};

TEST(Help, OfTheProgramNamesEveryCommand) {
  for (const std::string word : {"--help", "-h", "help"}) {
    const auto outcome = run_ok({word});
    EXPECT_EQ(outcome.err, "");
    for (const auto& command : kCommands) EXPECT_TRUE(holds(outcome.out, "\n  " + command + " ")) << outcome.out;
  }
}

TEST(Help, WithoutACommandIsAnError) {
  const auto outcome = run({});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(holds(outcome.err, "usage: scvi COMMAND")) << outcome.err;
}

TEST(Help, VersionIsOneLine) {
  const auto outcome = run_ok({"--version"});
  EXPECT_TRUE(outcome.out.starts_with("scvi ") && std::count(outcome.out.begin(), outcome.out.end(), '\n') == 1);
  EXPECT_EQ(outcome.out.find_first_not_of("0123456789.", 5), outcome.out.size() - 1) << outcome.out;
}

TEST(Help, OfACommandNamesItsOptions) {
  std::vector<std::vector<std::string>> options = {
      {"DATA", "--quick", "--threads", "--verbosity", "--no-progress"},
      {"IN", "OUT", "--force", "--threads", "--verbosity", "--no-progress"},
      {"IN",
       "--output",
       "--report",
       "--batch-key",
       "--labels-key",
       "--missing-label",
       "--batch-names",
       "--make-unique",
       "--lower-gene-names",
       "--measurements",
       "--keep-cell-types",
       "--remove-cell-types",
       "--min-counts-per-cell",
       "--min-genes-per-cell",
       "--subsample-cells",
       "--min-counts-per-gene",
       "--min-cells-per-gene",
       "--per-batch",
       "--keep-genes",
       "--n-top-genes",
       "--gene-selection",
       "--force",
       "--threads",
       "--verbosity",
       "--no-progress"},
      {"--threads", "--verbosity", "--no-progress"},
      {"OUTPUT",
       "--kind",
       "--seed",
       "--cells-per-cluster",
       "--clusters",
       "--genes-high",
       "--overlap",
       "--weight-high",
       "--weight-low",
       "--total",
       "--batches",
       "--batch-effect",
       "--library-spread",
       "--dropout-high",
       "--dropout-low",
       "--cells",
       "--genes",
       "--density",
       "--groups",
       "--differential",
       "--lfc-min",
       "--lfc-max",
       "--up",
       "--expression-spread",
       "--dispersion",
       "--dispersion-spread",
       "--zero-inflation",
       "--from",
       "--doublets",
       "--batch-key",
       "--force",
       "--threads",
       "--verbosity",
       "--no-progress"},
      {"KIND", "curves", "map", "volcano", "heatmap", "dotplot", "loadings", "zero-inflation", "--threads",
       "--verbosity", "--no-progress"},
      {"DATA",
       "--output",
       "--model",
       "--layer",
       "--batch-key",
       "--labels-key",
       "--missing-label",
       "--n-top-genes",
       "--gene-selection",
       "--memory",
       "--make-unique",
       "--corruption",
       "--corruption-rate",
       "--split-key",
       "--train-size",
       "--test-size",
       "--epochs",
       "--batch-size",
       "--lr",
       "--eps",
       "--weight-decay",
       "--kl-warmup-epochs",
       "--kl-warmup-iterations",
       "--normalize-loss",
       "--max-nans",
       "--seed",
       "--device",
       "--metrics",
       "--frequency",
       "--benchmark",
       "--early-stopping",
       "--save-best",
       "--early-stopping-on",
       "--patience",
       "--threshold",
       "--reduce-lr-on-plateau",
       "--lr-patience",
       "--lr-factor",
       "--n-hidden",
       "--n-latent",
       "--n-layers",
       "--dropout-rate",
       "--dispersion",
       "--log-variational",
       "--reconstruction-loss",
       "--latent-distribution",
       "--checkpoint-seconds",
       "--profile",
       "--resume",
       "--force",
       "--kernel",
       "--threads",
       "--verbosity",
       "--no-progress"},
      {"RUN", "DATA", "--output", "--layer", "--memory", "--key", "--library-key", "--batch-size", "--seed",
       "--device", "--force", "--kernel", "--threads", "--verbosity", "--no-progress"},
      {"RUN", "DATA", "--output", "--layer", "--memory", "--key", "--batch-size", "--device", "--force", "--kernel",
       "--threads", "--verbosity", "--no-progress"},
      {"DATA",     "--output",    "--key",          "--force",     "--labels-key", "--unlabelled",
       "--method", "--on-latent", "--with-library", "--save",      "--train-size", "--split-key",
       "--epochs", "--lr",        "--layer",        "--memory",    "--batch-size", "--seed",
       "--device", "--kernel",    "--threads",      "--verbosity", "--no-progress"},
      {"RUN", "DATA", "--output", "--transform-batch", "--n-samples", "--genes", "--library-size", "--as-layer",
       "--memory", "--batch-size", "--seed", "--device", "--force", "--kernel", "--threads", "--verbosity",
       "--no-progress"},
      {"RUN",          "DATA",         "--json",       "--metrics",    "--layer",           "--memory",
       "--clustering", "--split-key",  "--mc-samples", "--corruption", "--corruption-rate", "--imputation-samples",
       "--batch-size", "--seed",       "--device",     "--force",      "--kernel",          "--threads",
       "--verbosity",  "--no-progress"},
      {"RUN",           "DATA",       "--output",  "--rep",       "--n-neighbors", "--resolution",
       "--cluster-key", "--min-dist", "--spread",  "--no-umap",   "--umap-epochs", "--tsne",
       "--perplexity",  "--key",      "--memory",  "--seed",      "--batch-size",  "--device",
       "--force",       "--kernel",   "--threads", "--verbosity", "--no-progress"},
      {"RUN",          "DATA",           "--output",
       "--groupby",    "--more-runs",    "--group1",
       "--group2",     "--one-vs-all",   "--within",
       "--mode",       "--delta",        "--test",
       "--change",     "--pseudocount",  "--credible-intervals",
       "--fdr",        "--fdr-rule",     "--genes",
       "--batches1",   "--batches2",     "--observed-batches",
       "--n-samples",  "--permutations", "--repetitions",
       "--min-cells",  "--layer",        "--memory",
       "--batch-size", "--seed",         "--device",
       "--force",      "--kernel",       "--threads",
       "--verbosity",  "--no-progress"},
      {"RUN", "--output", "--top", "--force", "--threads", "--verbosity", "--no-progress"},
      {"RUN", "DATA", "--output", "--threshold", "--memory", "--force", "--threads", "--verbosity", "--no-progress"},
      {"RUN", "DATA", "--output", "--de", "--scores", "--groupby", "--basis", "--color", "--title", "--markers",
       "--table-markers", "--memory", "--seed", "--force", "--threads", "--verbosity", "--no-progress"},
      {"DATA",
       "--output",
       "--batch-key",
       "--labels-key",
       "--min-genes-per-cell",
       "--min-cells-per-gene",
       "--n-top-genes",
       "--gene-selection",
       "--epochs",
       "--kl-warmup-epochs",
       "--patience",
       "--resolution",
       "--prepare",
       "--train",
       "--cluster",
       "--de",
       "--memory",
       "--seed",
       "--device",
       "--resume",
       "--force",
       "--threads",
       "--verbosity",
       "--no-progress"},
      {"RUN", "DATA", "--output", "--n-samples", "--genes", "--denoised", "--rna-size-factor", "--transform-batch",
       "--memory", "--batch-size", "--seed", "--device", "--force", "--kernel", "--threads", "--verbosity",
       "--no-progress"},
      {"RUN", "DATA", "--output", "--method", "--genes", "--n-samples", "--rna-size-factor", "--transform-batch",
       "--memory", "--batch-size", "--seed", "--device", "--force", "--kernel", "--threads", "--verbosity",
       "--no-progress"},
  };
  ASSERT_EQ(options.size(), kCommands.size());
  // How the input is read.
  for (std::size_t i = 0; i < kCommands.size(); ++i) {
    if (kCommands[i] == "datasets" || kCommands[i] == "plot" || kCommands[i] == "loadings" ||
        kCommands[i] == "report")
      continue;
    for (const std::string option : {"--format", "--layer", "--genome", "--gene-ids", "--lines-are", "--separator",
                                     "--annotation-columns", "--member"}) {
      options[i].push_back(option);
    }
  }
  for (std::size_t i = 0; i < kCommands.size(); ++i) {
    SCOPED_TRACE(kCommands[i]);
    const auto outcome = run_ok({kCommands[i], "--help"});
    EXPECT_EQ(outcome.err, "");
    EXPECT_TRUE(holds(outcome.out, "Usage: scvi " + kCommands[i] + " [OPTIONS]")) << outcome.out;
    EXPECT_EQ(run_ok({"help", kCommands[i]}).out, outcome.out);
    // Every option is there, and every option there is known to this test.
    for (const auto& option : options[i]) EXPECT_TRUE(holds(outcome.out, option)) << option;
    std::istringstream words(outcome.out);
    for (std::string line; std::getline(words, line);) {
      const std::size_t at = line.find("--");
      if (!line.starts_with("  -") || holds(line, "--help")) continue;
      const std::string option = line.substr(at, line.find_first_of(" \n", at) - at);
      EXPECT_NE(std::find(options[i].begin(), options[i].end(), option), options[i].end()) << line;
    }
  }
}

TEST(Info, DescribesEveryRealFile) {
  SCVI_REQUIRE_TEST_DATA();
  int n_files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(test_data_dir())) {
    if (entry.path().extension() != ".h5ad") continue;
    SCOPED_TRACE(entry.path());
    ++n_files;
    const io::H5adFile file(entry.path());
    const auto outcome = run_ok({"info", entry.path()});
    EXPECT_EQ(outcome.err, "");
    EXPECT_TRUE(holds(outcome.out, "cells (obs)")) << outcome.out;
    for (const auto& name : file.obs().column_names()) EXPECT_TRUE(holds(outcome.out, "\n  " + name + ": ")) << name;
    for (const auto& name : file.obsm_keys()) EXPECT_TRUE(holds(outcome.out, "obsm/" + name)) << name;
    EXPECT_TRUE(holds(outcome.out, "\nX: ")) << outcome.out;
    EXPECT_TRUE(run_ok({"info", entry.path(), "--quick"}).out.size() < outcome.out.size());
  }
  EXPECT_GE(n_files, 7);
}

TEST(Info, SaysWhatIsWrongWithValuesThatAreNoCounts) {
  const TemporaryDirectory folder;
  SmallData data = small_data(10, 4);
  data.at(1, 1) = -2;
  data.at(2, 2) = 0.5F;
  for (std::size_t gene = 0; gene < 4; ++gene) data.at(3, gene) = 0;
  write(data, folder.path("a.h5ad"));
  const auto outcome = run_ok({"info", folder.path("a.h5ad")});
  EXPECT_TRUE(holds(outcome.out, "1 values are negative") || holds(outcome.out, "1 value is negative"))
      << outcome.out;
  EXPECT_TRUE(holds(outcome.out, "NOT WHOLE NUMBERS")) << outcome.out;
  EXPECT_TRUE(holds(outcome.out, "have no counts") || holds(outcome.out, "has no counts")) << outcome.out;
}

TEST(Output, ThatCannotBeWrittenIsNoSuccess) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const TemporaryDirectory folder;
  write(small_data(5, 4), folder.path("a.h5ad"));
  RunOptions full;
  full.output_to = "/dev/full";
  expect_only_error(run({"info", folder.path("a.h5ad")}, full), {"standard output"});
}

}  // namespace
}  // namespace scvi::testing
