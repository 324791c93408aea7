// Places that cannot be written, and runs that cannot be used.

#include <sys/mount.h>
#include <sys/stat.h>

#include "files.hpp"

namespace scvi::testing {
namespace {

namespace fs = std::filesystem;

class BadOutput : public ::testing::Test {
 protected:
  BadOutput() {
    ::chmod(folder_.path().c_str(), 0755);
    write(small_data(40, 10), folder_.path("a.h5ad"));
  }

  void train_run() const { run_ok({"train", "a.h5ad", "-o", "run", "--epochs", "1", "--no-progress"}, in_); }

  /// Every command that writes, towards `place`.
  std::vector<std::vector<std::string>> writers(const std::string& place) const {
    return {{"simulate", place + "out_sim.h5ad"},
            {"train", "a.h5ad", "-o", place + "out", "--epochs", "1"},
            {"embed", "run", "a.h5ad", "-o", place + "out.h5ad"},
            {"cluster", "run", "a.h5ad", "-o", place + "out_map.h5ad"},
            {"evaluate", "run", "a.h5ad", "--json", place + "out.json", "--mc-samples", "2"},
            {"de", "run", "a.h5ad", "--groupby", "batch", "-o", place + "out.tsv", "--n-samples", "20"}};
  }

  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(BadOutput, MissingFoldersAreNamedBeforeAnyWork) {
  train_run();
  const Untouched untouched(folder_.path());
  for (const auto& words : writers("no/such/")) {
    SCOPED_TRACE(words[0]);
    expect_only_error(run(words, in_), {"no/such", "does not exist", "make the folder first"});
  }
  for (const auto& words : writers("a.h5ad/")) {
    SCOPED_TRACE(words[0]);
    expect_only_error(run(words, in_), {"a.h5ad"});
  }
}

TEST_F(BadOutput, FoldersWithoutPermissionAreNamed) {
  train_run();
  fs::create_directory(folder_.path("locked"));
  ::chmod(folder_.path("locked").c_str(), 0555);
  RunOptions options = in_;
  options.as_nobody = ::geteuid() == 0;
  if (run({"--version"}, options).status != 0) GTEST_SKIP() << "this build cannot be run by another user";
  for (const auto& words : writers("locked/")) {
    SCOPED_TRACE(words[0]);
    expect_only_error(run(words, options), {"locked", "not writable", "Permission denied"});
  }
  EXPECT_EQ(listing(folder_.path("locked")), std::vector<std::string>{});
  // Nor a file that may not be read.
  write(small_data(5, 10), folder_.path("secret.h5ad"));
  ::chmod(folder_.path("secret.h5ad").c_str(), 0);
  expect_only_error(run({"info", "secret.h5ad"}, options), {"secret.h5ad", "Permission denied"});
}

TEST_F(BadOutput, WhatExistsIsReplacedOnlyByForce) {
  train_run();
  for (auto words : writers("")) {
    SCOPED_TRACE(words[0]);
    run_ok(words, in_);
    const auto names = listing(folder_.path());
    expect_only_error(run(words, in_), {"out", "exists already", "--force"});
    words.emplace_back("--force");
    run_ok(words, in_);
    EXPECT_EQ(listing(folder_.path()), names);
  }
}

TEST_F(BadOutput, FilesAreNotWrittenOverFoldersNorRunsOverFiles) {
  train_run();
  const Untouched untouched(folder_.path());
  expect_only_error(run({"embed", "run", "a.h5ad", "-o", "run", "--force"}, in_), {"run", "folder"});
  expect_only_error(run({"simulate", "run", "--force"}, in_), {"run", "folder"});
  expect_only_error(run({"train", "a.h5ad", "-o", "a.h5ad", "--force", "--epochs", "1"}, in_), {"a.h5ad"});
  EXPECT_EQ(read(folder_.path("a.h5ad")).cells.size(), 40U);
}

TEST_F(BadOutput, AFailedReplacementLeavesTheOldRun) {
  train_run();
  const std::string before = bytes_of(folder_.path("run/weights.pt"));
  write_bytes(folder_.path("bad.h5ad"), "nothing");
  expect_error(run({"train", "bad.h5ad", "-o", "run", "--force"}, in_), {"bad.h5ad"});
  EXPECT_EQ(bytes_of(folder_.path("run/weights.pt")), before);
  EXPECT_EQ(listing(folder_.path()), (std::vector<std::string>{"a.h5ad", "bad.h5ad", "run"}));
}

/// A file system of a few hundred kilobytes.
class SmallDisk {
 public:
  SmallDisk(const std::string& path, const std::string& size) : path_(path) {
    fs::create_directory(path);
    mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST_F(BadOutput, AFullDiskIsNamedAndLeftAsItWas) {
  const std::string disk = folder_.path("disk");
  const SmallDisk small(disk, "200k");
  if (!small.mounted()) GTEST_SKIP() << "NO FULL DISK: mounting a small tmpfs needs root; this test did not run";
  train_run();
  // Random counts do not compress, so the copy of this file is larger than the disk.
  run_ok({"simulate", "big.h5ad", "--kind", "large", "--cells", "20000", "--genes", "10"}, in_);
  const std::vector<std::string> space = {"No space left"};
  expect_error(run({"simulate", "disk/big.h5ad", "--kind", "large", "--cells", "20000", "--genes", "60"}, in_),
               space);
  EXPECT_EQ(listing(disk), std::vector<std::string>{});
  expect_error(run({"train", "a.h5ad", "-o", "disk/run", "--epochs", "1", "--n-hidden", "256", "--n-layers", "2",
                    "--no-progress"},
                   in_),
               space);
  EXPECT_EQ(listing(disk), std::vector<std::string>{});
  expect_error(run({"train", "a.h5ad", "-o", "disk/run", "--epochs", "5", "--n-hidden", "256", "--n-layers", "2",
                    "--no-progress", "--checkpoint-seconds", "0"},
                   in_),
               space);
  EXPECT_EQ(listing(disk), std::vector<std::string>{});
  run_ok({"train", "big.h5ad", "-o", "run2", "--epochs", "0"}, in_);
  expect_error(run({"embed", "run2", "big.h5ad", "-o", "disk/out.h5ad"}, in_),
               {"disk/out.h5ad", "free", "make room"});
  EXPECT_EQ(listing(disk), std::vector<std::string>{});
  std::ofstream(disk + "/filler") << std::string(400 * 1024, 'x');
  expect_error(
      run({"evaluate", "run", "a.h5ad", "--json", "disk/scores.json", "--mc-samples", "2", "--no-progress"}, in_),
      space);
  EXPECT_EQ(listing(disk), std::vector<std::string>{"filler"});
}

TEST_F(BadOutput, DamagedRunsAreRefusedByName) {
  train_run();
  const Untouched untouched(folder_.path());
  const auto expect_refused = [&](const std::vector<std::string>& parts) {
    expect_only_error(run({"embed", "run", "a.h5ad", "-o", "out.h5ad"}, in_), parts);
  };
  const std::string facts = folder_.path("run/model.json");
  const std::string weights = folder_.path("run/weights.pt");
  const std::string good_facts = bytes_of(facts);
  const std::string good_weights = bytes_of(weights);

  for (const std::size_t size : {std::size_t{0}, good_facts.size() / 2, good_facts.size() - 3}) {
    SCOPED_TRACE(size);
    write_bytes(facts, good_facts.substr(0, size));
    expect_refused({"model.json", "damaged"});
  }
  write_bytes(facts, "[1, 2, 3]");
  expect_refused({"model.json"});
  write_bytes(facts, "{\"format\": \"scvi-cpp model\"}");
  expect_refused({"model.json"});
  auto lie = nlohmann::json::parse(good_facts);
  lie["n_input"] = std::int64_t{1} << 40;
  write_bytes(facts, lie.dump());
  expect_refused({"model.json", "n_input", "1099511627776"});
  lie = nlohmann::json::parse(good_facts);
  lie["hyperparameters"]["n_hidden"] = 64;
  write_bytes(facts, lie.dump());
  expect_refused({"weights.pt"});
  lie = nlohmann::json::parse(good_facts);
  lie["format_version"] = 99;
  write_bytes(facts, lie.dump());
  expect_refused({"model.json", "newer"});
  write_bytes(facts, good_facts);

  for (const std::size_t size : {std::size_t{0}, good_weights.size() / 2, good_weights.size() - 1}) {
    SCOPED_TRACE(size);
    write_bytes(weights, good_weights.substr(0, size));
    expect_refused({"weights.pt", "damaged"});
  }
  std::string flipped = good_weights;
  flipped[flipped.size() / 3] ^= 4;
  write_bytes(weights, flipped);
  expect_refused({"weights.pt", "damaged"});
  fs::remove(weights);
  expect_refused({"weights.pt"});
  write_bytes(weights, good_weights);
  fs::rename(facts, folder_.path("run/aside"));
  expect_refused({"run", "model.json"});
  fs::rename(folder_.path("run/aside"), facts);
}

TEST_F(BadOutput, WhatIsNoRunIsRefused) {
  fs::create_directory(folder_.path("empty"));
  const Untouched untouched(folder_.path());
  for (const std::string run_name : {"empty", "a.h5ad", "missing"}) {
    SCOPED_TRACE(run_name);
    expect_only_error(run({"embed", run_name, "a.h5ad", "-o", "out.h5ad"}, in_), {run_name, "scvi train --output"});
    expect_only_error(run({"evaluate", run_name, "a.h5ad", "--json", "out.json"}, in_), {run_name});
  }
}

TEST_F(BadOutput, BadDataLeaveNoEmbeddingBehind) {
  train_run();
  SmallData data = small_data(40, 10);
  data.at(39, 9) = -1;
  write(data, folder_.path("bad.h5ad"));
  const Untouched untouched(folder_.path());
  expect_only_error(run({"embed", "run", "bad.h5ad", "-o", "out.h5ad"}, in_), {"bad.h5ad", "'cell39'", "'gene9'"});
  expect_only_error(run({"evaluate", "run", "bad.h5ad", "--json", "out.json"}, in_), {"bad.h5ad", "'cell39'"});
}

}  // namespace
}  // namespace scvi::testing
