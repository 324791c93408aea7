// Commands within --memory: counts stay on disk, results are what they are in memory.

#include "files.hpp"

namespace scvi::testing {
namespace {

class WithinMemory : public ::testing::Test {
 protected:
  /// 20,000 cells x 2,000 genes: about 12 MB of counts in memory.
  void SetUp() override {
    run_ok({"simulate", "a.h5ad", "--kind", "large", "--cells", "20000", "--genes", "2000", "--density", "0.1",
            "--verbosity", "warning"},
           in_);
  }

  std::vector<std::string> train(const std::string& output, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"train",    "a.h5ad", "-o",         output, "--batch-key",  "batch",
                                      "--epochs", "1",      "--n-hidden", "16",   "--no-progress"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  /// The least that a command says it needs, as one writes it.
  std::string least_memory(std::vector<std::string> words) const {
    words.insert(words.end(), {"--memory", "1M"});
    const auto outcome = run(words, in_);
    expect_only_error(outcome, {"--memory", "1.0 MB", "at least", "counts"});
    const std::size_t at = outcome.err.find("at least ") + 9;
    return outcome.err.substr(at, outcome.err.find(' ', at) - at);
  }

  std::string weights(const std::string& output) const { return bytes_of(folder_.path(output + "/weights.pt")); }

  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(WithinMemory, TrainsRepeatablyFromDiskAndServesInference) {
  const std::string least = least_memory(train("run"));
  const auto first = run_ok(train("run", {"--memory", least}), in_);
  EXPECT_TRUE(holds(first.err, "stay on disk")) << first.err;
  EXPECT_TRUE(holds(first.err, "shuffled within windows of")) << first.err;
  EXPECT_LE(first.peak_bytes, std::stoll(least) * 1000000) << "the promise is not kept";
  run_ok(train("again", {"--memory", least, "--threads", "7"}), in_);
  EXPECT_TRUE(weights("run") == weights("again"));

  const auto whole = run_ok(train("whole", {"--memory", "4G"}), in_);
  EXPECT_TRUE(holds(whole.err, "fit into --memory 4.0 GB")) << whole.err;
  run_ok(train("plain"), in_);
  EXPECT_TRUE(weights("whole") == weights("plain"));
  EXPECT_FALSE(weights("run") == weights("plain"));

  for (const std::string command : {"embed", "evaluate", "de"}) {
    std::vector<std::string> words = {command, "run", "a.h5ad"};
    const std::string flag = command == "evaluate" ? "--json" : "-o";
    if (command == "de") words.insert(words.end(), {"--groupby", "batch", "--n-samples", "300"});
    if (command == "evaluate") words.insert(words.end(), {"--metrics", "elbo,reconstruction_error"});
    const std::string ending = command == "de" ? ".tsv" : "";
    const auto to = [&](const std::string& name, std::vector<std::string> more) {
      more.insert(more.begin(), words.begin(), words.end());
      more.insert(more.end(), {flag, name + ending, "--no-progress"});
      return more;
    };
    const std::string enough = least_memory(to("none", {}));
    const auto stored = run_ok(to(command + "1", {"--memory", enough}), in_);
    EXPECT_TRUE(holds(stored.err, "stay on disk")) << stored.err;
    run_ok(to(command + "2", {}), in_);
    EXPECT_TRUE(bytes_of(folder_.path(command + "1" + ending)) == bytes_of(folder_.path(command + "2" + ending)))
        << command;
  }
}

TEST_F(WithinMemory, ResumesWithTheMemoryOfTheRunAndRefusesAnother) {
  const std::vector<std::string> more = {"--memory", least_memory(train("x")), "--epochs", "2"};
  run_ok(train("whole", more), in_);
  RunOptions interrupted = in_;
  interrupted.signal_when = [](const std::string& err) { return holds(err, "training vae"); };
  ASSERT_EQ(run(train("parts", more), interrupted).status, 130);
  expect_error(run({"train", "a.h5ad", "-o", "parts", "--resume", "--memory", "4G"}, in_),
               {"checkpoint.json", "windows", "--memory"});
  run_ok({"train", "a.h5ad", "-o", "parts", "--resume"}, in_);
  EXPECT_TRUE(weights("whole") == weights("parts"));
}

TEST_F(WithinMemory, ChoosesGenesFromDiskAndRefusesCorruptionThere) {
  const std::vector<std::string> genes = {"--n-top-genes", "100"};
  std::vector<std::string> limited = genes;
  limited.insert(limited.end(), {"--memory", least_memory(train("x", genes))});
  run_ok(train("chosen", limited), in_);
  run_ok(train("plain", genes), in_);
  EXPECT_TRUE(weights("chosen") == weights("plain")) << "the counts of so few genes fit into memory";
  expect_error(run(train("y", {"--memory", least_memory(train("y")), "--corruption", "uniform"}), in_),
               {"a.h5ad", "on disk", "--memory"});
}

TEST(Memory, IsRefusedWhereItIsNone) {
  for (const std::string size : {"", "x", "4X", "-1G", "0", "1e30", "4 G", "4GiGi", "nan"}) {
    if (size.empty()) continue;
    expect_only_error(run({"train", "none.h5ad", "-o", "none", "--memory", size}), {"--memory", "'" + size + "'"});
  }
}

}  // namespace
}  // namespace scvi::testing
