// Ctrl-C, kill -9, and going on: nothing half done is ever taken for whole, and nothing is lost that can be kept.

#include "files.hpp"

namespace scvi::testing {
namespace {

namespace fs = std::filesystem;

class Interrupted : public ::testing::Test {
 protected:
  void SetUp() override { write(small_data(400, 20), folder_.path("a.h5ad")); }

  /// `scvi train` with settings that the tests share; long enough to be caught at work.
  std::vector<std::string> train(const std::string& output, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {
        "train", "a.h5ad",       "-o", output, "--batch-key", "batch", "--epochs", "60", "--kl-warmup-epochs",
        "20",    "--no-progress"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  std::string weights(const std::string& output) const { return bytes_of(folder_.path(output + "/weights.pt")); }

  /// Interrupts once training runs, and checks what a user then finds.
  void interrupt_training(const std::vector<std::string>& words, const std::string& output,
                          const std::string& sign = "training vae") {
    RunOptions options = in_;
    options.signal_when = [sign](const std::string& err) { return holds(err, sign); };
    const auto outcome = run(words, options);
    ASSERT_EQ(outcome.status, 130) << outcome.err;
    EXPECT_TRUE(holds(outcome.err, "--resume")) << outcome.err;
    EXPECT_FALSE(holds(outcome.err, "error")) << outcome.err;
    EXPECT_TRUE(fs::exists(folder_.path(output + "/checkpoint")));
    EXPECT_FALSE(fs::exists(folder_.path(output + "/model.json")));
    for (const auto& name : listing(folder_.path())) EXPECT_FALSE(name.starts_with(".")) << name;
    for (const auto& name : listing(folder_.path(output))) EXPECT_FALSE(name.starts_with(".")) << name;
  }

  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(Interrupted, ResumedTrainingEndsWithTheBitsOfAnUninterruptedOne) {
  run_ok(train("whole"), in_);
  interrupt_training(train("parts"), "parts");
  expect_only_error(run({"embed", "parts", "a.h5ad", "-o", "out.h5ad"}, in_), {"parts", "interrupted", "--resume"});
  expect_only_error(run({"evaluate", "parts", "a.h5ad"}, in_), {"parts", "interrupted", "--resume"});
  expect_only_error(run(train("parts"), in_), {"parts", "exists", "--force"});
  // Another interruption, right after going on.
  interrupt_training({"train", "a.h5ad", "--output", "parts", "--resume"}, "parts", "going on");
  const auto resumed = run_ok({"train", "a.h5ad", "--output", "parts", "--resume"}, in_);
  EXPECT_TRUE(holds(resumed.err, "going on after epoch")) << resumed.err;
  EXPECT_TRUE(holds(resumed.err, "after 60 epochs")) << resumed.err;

  EXPECT_EQ(weights("parts"), weights("whole"));
  EXPECT_EQ(bytes_of(folder_.path("parts/history.tsv")), bytes_of(folder_.path("whole/history.tsv")));
  EXPECT_EQ(listing(folder_.path("parts")), listing(folder_.path("whole")));
  run_ok({"embed", "parts", "a.h5ad", "-o", "out.h5ad"}, in_);
  expect_only_error(run({"train", "a.h5ad", "-o", "parts", "--resume"}, in_), {"parts", "finished"});
}

TEST_F(Interrupted, ResumingWorksWithMetricsAndEarlyStopping) {
  const std::vector<std::string> more = {
      "--frequency", "10", "--verbosity", "debug", "--early-stopping", "elbo", "--save-best",           "elbo",
      "--patience",  "30", "--threshold", "0.5",   "--lr-patience",    "2",    "--reduce-lr-on-plateau"};
  run_ok(train("whole", more), in_);
  interrupt_training(train("parts", more), "parts", "epoch 10: elbo_test_set");
  run_ok({"train", "a.h5ad", "-o", "parts", "--resume"}, in_);
  EXPECT_EQ(weights("parts"), weights("whole"));
  EXPECT_EQ(bytes_of(folder_.path("parts/history.tsv")), bytes_of(folder_.path("whole/history.tsv")));
}

TEST_F(Interrupted, ModelsThatTellLabelsAreResumedBitForBitToo) {
  SmallData data = small_data(400, 20);
  std::vector<std::string> types;
  for (std::size_t cell = 0; cell < 400; ++cell)
    types.emplace_back(cell % 3 == 0 ? "" : cell % 4 < 2 ? "high" : "low");
  data.add_column("type", types);
  write(data, folder_.path("labels.h5ad"));
  for (const std::string model : {"scanvi", "vaec", "classifier"}) {
    SCOPED_TRACE(model);
    const auto train_to = [&](const std::string& output) {
      std::vector<std::string> words = {"train",      "labels.h5ad", "--labels-key", "type",     "--model",
                                        model,        "-o",          output,         "--epochs", "60",
                                        "--n-hidden", "32",          "--no-progress"};
      // Long enough to be caught at work.
      if (model == "classifier") words[9] = "600";
      return words;
    };
    run_ok(train_to(model), in_);
    interrupt_training(train_to(model + "-parts"), model + "-parts", "training " + model);
    run_ok({"train", "labels.h5ad", "-o", model + "-parts", "--resume"}, in_);
    EXPECT_EQ(weights(model + "-parts"), weights(model));
    EXPECT_EQ(bytes_of(folder_.path(model + "-parts/history.tsv")), bytes_of(folder_.path(model + "/history.tsv")));
  }
}

TEST_F(Interrupted, AClassifierOfALatentSpaceIsResumedOnTheSameOne) {
  run_ok(train("vae", {"--epochs", "2"}), in_);
  const auto train_to = [&](const std::string& output) {
    return std::vector<std::string>{"train",       "a.h5ad", "--labels-key", "batch",    "--model",
                                    "classifier",  "-o",     output,         "--epochs", "1000",
                                    "--on-latent", "vae",    "--no-progress"};
  };
  run_ok(train_to("whole"), in_);
  interrupt_training(train_to("parts"), "parts", "training classifier");
  const std::vector<std::string> resume = {"train", "a.h5ad", "-o", "parts", "--resume"};
  fs::rename(folder_.path("vae"), folder_.path("first"));
  run_ok(train("vae", {"--epochs", "3"}), in_);
  expect_error(run(resume, in_), {"checkpoint", "latent space"});
  fs::remove_all(folder_.path("vae"));
  fs::rename(folder_.path("first"), folder_.path("vae"));
  run_ok(resume, in_);
  EXPECT_EQ(weights("parts"), weights("whole"));
  EXPECT_EQ(listing(folder_.path("parts")), listing(folder_.path("whole")));
}

TEST_F(Interrupted, ClassifyingLeavesNothingBehind) {
  const Untouched untouched(folder_.path());
  RunOptions options = in_;
  options.signal_when = [](const std::string& err) { return holds(err, "training classifier"); };
  const auto outcome =
      run({"classify", "a.h5ad", "-o", "out.h5ad", "--labels-key", "batch", "--epochs", "100000"}, options);
  EXPECT_EQ(outcome.status, 130) << outcome.err;
}

TEST_F(Interrupted, TheSeedDecidesAndTheThreadsDoNot) {
  run_ok(train("one", {"--threads", "1", "--seed", "4", "--epochs", "5"}), in_);
  run_ok(train("two", {"--threads", "2", "--seed", "4", "--epochs", "5"}), in_);
  run_ok(train("again", {"--threads", "2", "--seed", "4", "--epochs", "5"}), in_);
  run_ok(train("other", {"--threads", "2", "--seed", "5", "--epochs", "5"}), in_);
  EXPECT_EQ(weights("two"), weights("one"));
  EXPECT_EQ(weights("again"), weights("two"));
  EXPECT_NE(weights("other"), weights("one"));
}

TEST_F(Interrupted, ResumingWithOtherDataOrOptionsIsRefused) {
  interrupt_training(train("run"), "run");
  const std::string before = bytes_of(folder_.path("run/checkpoint/state.pt"));
  write(small_data(200, 20), folder_.path("b.h5ad"));
  expect_error(run({"train", "b.h5ad", "-o", "run", "--resume"}, in_), {"checkpoint", "another run", "160 training"});
  expect_error(run({"train", "a.h5ad", "-o", "run", "--resume", "--n-latent", "7"}, in_), {"n_latent=7"});
  expect_error(run({"train", "a.h5ad", "-o", "run", "--resume", "--seed", "9"}, in_), {"seed 9"});
  expect_only_error(run({"train", "a.h5ad", "-o", "run", "--resume", "--force"}, in_), {"--resume", "--force"});
  EXPECT_EQ(bytes_of(folder_.path("run/checkpoint/state.pt")), before);
  // More epochs than planned are welcome.
  run_ok({"train", "a.h5ad", "-o", "run", "--resume", "--epochs", "61"}, in_);
  EXPECT_EQ(json_of(folder_.path("run/model.json"))["training"]["epochs"], "61");
}

TEST_F(Interrupted, DamagedCheckpointsAreRefused) {
  interrupt_training(train("run"), "run");
  const std::vector<std::string> resume = {"train", "a.h5ad", "-o", "run", "--resume"};
  for (const std::string name : {"checkpoint/state.pt", "checkpoint/checkpoint.json", "arguments.json"}) {
    SCOPED_TRACE(name);
    const std::string path = folder_.path("run/" + name);
    const std::string whole = bytes_of(path);
    write_bytes(path, whole.substr(0, whole.size() / 2));
    expect_error(run(resume, in_), {name});
    fs::remove(path);
    expect_error(run(resume, in_), {name});
    write_bytes(path, whole);
  }
  run_ok(resume, in_);
}

TEST_F(Interrupted, TermSignalStopsAsCtrlCDoes) {
  RunOptions options = in_;
  options.signal = SIGTERM;
  options.signal_when = [](const std::string& err) { return holds(err, "training vae"); };
  EXPECT_EQ(run(train("run"), options).status, 130);
  EXPECT_TRUE(fs::exists(folder_.path("run/checkpoint")));
}

TEST_F(Interrupted, AReplacedRunStaysUntilTheNewOneHasSomethingToShow) {
  run_ok(train("run", {"--epochs", "1"}), in_);
  const std::string before = weights("run");
  RunOptions options = in_;
  options.signal = SIGKILL;
  options.signal_when = [](const std::string& err) { return holds(err, "training vae"); };
  EXPECT_EQ(run(train("run", {"--force", "--epochs", "1000"}), options).status, 137);
  EXPECT_EQ(weights("run"), before);
  run_ok({"embed", "run", "a.h5ad", "-o", "out.h5ad"}, in_);
  // The next run clears away what the killed one left.
  run_ok(train("run", {"--force", "--epochs", "1"}), in_);
  EXPECT_EQ(listing(folder_.path()), (std::vector<std::string>{"a.h5ad", "out.h5ad", "run"}));
}

TEST_F(Interrupted, KilledTrainingLeavesNoModelUnderTheFinalName) {
  RunOptions options = in_;
  options.signal = SIGKILL;
  options.signal_when = [](const std::string& err) { return holds(err, "training vae"); };
  EXPECT_EQ(run(train("run", {"--epochs", "1000"}), options).status, 137);
  EXPECT_FALSE(fs::exists(folder_.path("run")));
  run_ok(train("run", {"--epochs", "1"}), in_);
  EXPECT_EQ(listing(folder_.path()), (std::vector<std::string>{"a.h5ad", "run"}));

  // With a checkpoint in place: it is resumed as if Ctrl-C had been pressed.
  run_ok(train("whole"), in_);
  const std::string checkpoint = folder_.path("killed/checkpoint/checkpoint.json");
  options.signal_when = [checkpoint](const std::string&) { return fs::exists(checkpoint); };
  EXPECT_EQ(run(train("killed", {"--checkpoint-seconds", "0"}), options).status, 137);
  EXPECT_FALSE(fs::exists(folder_.path("killed/model.json")));
  EXPECT_EQ(run({"embed", "killed", "a.h5ad", "-o", "out.h5ad"}, in_).status, 2);
  run_ok({"train", "a.h5ad", "-o", "killed", "--resume", "--checkpoint-seconds", "600"}, in_);
  EXPECT_EQ(weights("killed"), weights("whole"));
}

TEST_F(Interrupted, EmbeddingLeavesNothingBehind) {
  // Large enough to be caught at work. Some of the cells are empty, of which the program warns once it has read them.
  run_ok({"simulate", "large.h5ad", "--kind", "large", "--cells", "20000", "--genes", "60"}, in_);
  run_ok({"train", "large.h5ad", "-o", "run", "--train-size", "200", "--test-size", "200", "--epochs", "1",
          "--no-progress"},
         in_);
  const auto embed = [&](const std::string& sign, int signal) {
    RunOptions options = in_;
    options.signal = signal;
    options.signal_when = [sign](const std::string& err) { return holds(err, sign); };
    return run({"embed", "run", "large.h5ad", "-o", "out.h5ad", "--batch-size", "16"}, options);
  };
  {
    const Untouched untouched(folder_.path());
    const auto stopped = embed("no counts", SIGINT);
    EXPECT_EQ(stopped.status, 130) << stopped.err;
    EXPECT_TRUE(holds(stopped.err, "scvi: interrupted")) << stopped.err;
  }
  // While the output is written: all or nothing.
  for (const int signal : {SIGINT, SIGKILL}) {
    const auto stopped = embed("library size:", signal);
    if (!fs::exists(folder_.path("out.h5ad"))) {
      EXPECT_EQ(stopped.status, 128 + signal) << stopped.err;
      continue;
    }
    EXPECT_EQ(io::H5adFile(folder_.path("out.h5ad")).obsm("X_scVI").n_rows, 20000);
    fs::remove(folder_.path("out.h5ad"));
  }
  // What kill -9 left is cleared away by the next.
  EXPECT_EQ(embed("never", SIGINT).status, 0);
  EXPECT_EQ(listing(folder_.path()), (std::vector<std::string>{"a.h5ad", "large.h5ad", "out.h5ad", "run"}));
}

TEST_F(Interrupted, SimulatingLeavesNothingBehind) {
  const Untouched untouched(folder_.path());
  RunOptions options = in_;
  options.signal_when = [&](const std::string&) { return listing(folder_.path()).size() > 1; };
  const auto outcome =
      run({"simulate", "large.h5ad", "--kind", "large", "--cells", "60000", "--genes", "200"}, options);
  EXPECT_EQ(outcome.status, 130) << outcome.err;
}

}  // namespace
}  // namespace scvi::testing
