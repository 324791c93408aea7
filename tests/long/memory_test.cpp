// Peak memory of whole runs, which the kernel counts: the same on a busy machine.

#include <gtest/gtest.h>

#include <filesystem>

#include "cli/program.hpp"
#include "scvi/io/h5ad.hpp"

namespace scvi {
namespace {

/// Bytes of a file's X in compressed form: 64-bit offsets, 32-bit indices, float32 values.
std::int64_t csr_bytes(const std::string& path) {
  const io::H5adFile file(path);
  const io::MatrixInfo info = file.matrix()->info();
  return 8 * info.n_stored + 8 * (info.n_rows + 1);
}

class LargeData : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::run_ok(
        {"simulate", cells_, "--kind", "large", "--cells", "100000", "--genes", "720", "--verbosity", "warning"});
    counts_ = csr_bytes(cells_);
    libraries_ = testing::run_ok({"train", "--help"}).peak_bytes;
  }

  testing::TemporaryDirectory folder_;
  std::string cells_ = folder_.path("cells.h5ad");
  std::string run_ = folder_.path("run");
  std::int64_t counts_ = 0;
  std::int64_t libraries_ = 0;  // of the process with LibTorch, before it has any data
};

TEST_F(LargeData, TrainingAndEmbeddingTakeOneAndAHalfTimesTheCountsAndTheModel) {
  const testing::Outcome train = testing::run_ok({"train", cells_, "-o", run_, "--batch-key", "batch", "--epochs",
                                                  "1", "--no-progress", "--verbosity", "warning"});
  const testing::Outcome embed =
      testing::run_ok({"embed", run_, cells_, "-o", folder_.path("out.h5ad"), "--verbosity", "warning"});
  // Weights, gradients, two moments of Adam and the copy that is saved.
  const auto model = 5 * static_cast<std::int64_t>(std::filesystem::file_size(run_ + "/weights.pt"));
  const std::int64_t allowed = libraries_ + counts_ * 3 / 2 + model;
  RecordProperty("train_megabytes", std::to_string(train.peak_bytes / 1000000));
  EXPECT_LE(train.peak_bytes, allowed) << "counts " << counts_ << ", libraries " << libraries_;
  EXPECT_LE(embed.peak_bytes, allowed) << "counts " << counts_ << ", libraries " << libraries_;
}

}  // namespace
}  // namespace scvi
