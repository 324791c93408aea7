// Options that cannot be meant: one line that names the option, its value and what it should be, before any work.

#include "files.hpp"

namespace scvi::testing {
namespace {

struct Case {
  std::vector<std::string> options;
  std::vector<std::string> parts;
};

class BadOption : public ::testing::Test {
 protected:
  BadOption() { write(small_data(40, 10), folder_.path("a.h5ad")); }

  /// `command` with each of the options says why not, and leaves nothing behind.
  void expect_all(const std::vector<std::string>& command, const std::vector<Case>& cases) const {
    const Untouched untouched(folder_.path());
    for (const auto& [options, parts] : cases) {
      std::string trace;
      for (const auto& option : options) trace += " " + option;
      SCOPED_TRACE(trace);
      std::vector<std::string> words = command;
      words.insert(words.end(), options.begin(), options.end());
      expect_only_error(run(words, in_), parts);
    }
  }

  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(BadOption, OfTheProgram) {
  expect_all({}, {{{"trian"}, {"'trian'", "did you mean 'train'?"}},
                  {{"paint"}, {"'paint'", "info, convert, prepare", "train, embed, annotate, classify"}},
                  {{"--verison"}, {"'--verison'", "did you mean '--version'?"}},
                  {{""}, {"knows no command ''"}}});
}

TEST_F(BadOption, MissingOrMisspelt) {
  expect_all({"train"},
             {{{}, {"DATA is required", "scvi train --help"}},
              {{"a.h5ad"}, {"--output is required", "scvi train --help"}},
              {{"--output", "run"}, {"DATA is required"}},
              {{"a.h5ad", "--output"}, {"--output needs a value"}},
              {{"a.h5ad", "b.h5ad", "-o", "run"}, {"'b.h5ad'"}},
              {{"a.h5ad", "-o", ""}, {"--output", "empty"}},
              {{"a.h5ad", "-o", "run", "--n-lattent", "5"}, {"'--n-lattent'", "did you mean '--n-latent'?"}},
              {{"a.h5ad", "--n-lattent=5"}, {"'--n-lattent'", "did you mean '--n-latent'?"}},
              {{"a.h5ad", "-o", "run", "--qqq"}, {"'--qqq'", "--help"}},
              {{"a.h5ad", "-o", "run", "-x"}, {"'-x'"}},
              {{"a.h5ad", "-o", "run", "--resume"}, {"run", "no interrupted run"}}});
  expect_all({"embed"}, {{{}, {"RUN is required"}},
                         {{"run"}, {"DATA is required"}},
                         {{"run", "a.h5ad"}, {"--output is required"}},
                         {{"run", "a.h5ad", "--outptu", "b"}, {"did you mean '--output'?"}}});
  expect_all({"evaluate"}, {{{}, {"RUN is required"}}, {{"run"}, {"DATA is required"}}});
  expect_all({"simulate"}, {{{}, {"OUTPUT is required"}}, {{"b.h5ad", "--knd", "zi"}, {"did you mean '--kind'?"}}});
  expect_all({"info"}, {{{}, {"DATA is required"}}, {{"a.h5ad", "--quik"}, {"did you mean '--quick'?"}}});
}

TEST_F(BadOption, OfTheModel) {
  expect_all({"train", "a.h5ad", "-o", "run"},
             {{{"--n-latent", "0"}, {"--n-latent", "'0'", "from 1"}},
              {{"--n-latent", "-1"}, {"--n-latent", "'-1'", "from 1"}},
              {{"--n-latent", "abc"}, {"--n-latent", "'abc'", "whole number"}},
              {{"--n-latent", "2.5"}, {"--n-latent", "'2.5'", "whole number"}},
              {{"--n-layers", "0"}, {"--n-layers", "'0'"}},
              {{"--n-hidden", "100000000"}, {"--n-hidden", "to 65536"}},
              {{"--dropout-rate", "2"}, {"--dropout-rate", "'2'", "from 0 to"}},
              {{"--dropout-rate", "nan"}, {"--dropout-rate", "'nan'"}},
              {{"--dispersion", "genes"}, {"--dispersion", "'genes'", "did you mean 'gene'?"}},
              {{"--log-variational", "maybe"}, {"--log-variational", "'maybe'"}},
              {{"--reconstruction-loss", "gauss"}, {"--reconstruction-loss", "zinb, nb, poisson"}},
              {{"--model", "vea"}, {"'vea'", "did you mean 'vae'?"}},
              {{"--model="}, {"model"}}});
}

TEST_F(BadOption, OfTraining) {
  expect_all({"train", "a.h5ad", "-o", "run"},
             {{{"--epochs", "-1"}, {"--epochs", "'-1'", "at least 0"}},
              {{"--epochs", "many"}, {"--epochs", "'many'", "whole number"}},
              {{"--batch-size", "1"}, {"--batch-size", "'1'", "from 3"}},
              {{"--batch-size", "99999999999999999999"}, {"--batch-size", "whole number"}},
              {{"--lr", "0"}, {"--lr", "'0'", "larger than 0"}},
              {{"--lr", "nan"}, {"--lr", "'nan'", "larger than 0"}},
              {{"--lr", "fast"}, {"--lr", "'fast'"}},
              {{"--eps", "-1"}, {"--eps", "'-1'"}},
              {{"--weight-decay", "-1"}, {"--weight-decay", "'-1'"}},
              {{"--seed", "-1"}, {"--seed", "'-1'", "at least 0"}},
              {{"--kl-warmup-epochs", "0"}, {"--kl-warmup-epochs", "'0'"}},
              {{"--kl-warmup-iterations", "1.5"}, {"--kl-warmup-iterations", "'1.5'"}},
              {{"--normalize-loss", "yes"}, {"--normalize-loss", "'yes'"}},
              {{"--max-nans", "0"}, {"--max-nans", "'0'"}},
              {{"--threads", "-1"}, {"--threads", "'-1'", "from 0"}},
              {{"--verbosity", "loud"}, {"'loud'", "warning"}},
              {{"--device", "gpu"}, {"--device", "'gpu'", "cpu"}},
              {{"--device", "cuda:"}, {"--device", "'cuda:'", "cuda:NUMBER"}},
              {{"--device", "cuda:-1"}, {"--device", "'cuda:-1'", "cuda:NUMBER"}},
              {{"--device", "cuda:1x"}, {"--device", "'cuda:1x'", "cuda:NUMBER"}},
              {{"--device", "cuda:128"}, {"--device", "'cuda:128'", "cuda:NUMBER"}},
              // No machine has that many, and many have none.
              {{"--device", "cuda:127"}, {"--device", "cuda:127", "GPU"}},
              {{"--checkpoint-seconds", "-1"}, {"--checkpoint-seconds", "'-1'"}},
              {{"--threshold", "abc"}, {"--threshold", "'abc'"}}});
}

TEST_F(BadOption, OfTheDataAndTheMetrics) {
  expect_all({"train", "a.h5ad", "-o", "run"},
             {{{"--train-size", "abc"}, {"--train-size", "'abc'"}},
              {{"--test-size", "abc"}, {"--test-size", "'abc'"}},
              {{"--n-top-genes", "-5"}, {"--n-top-genes", "'-5'"}},
              {{"--gene-selection", "varianz"}, {"--gene-selection", "did you mean 'variance'?"}},
              {{"--corruption", "unifrom"}, {"--corruption", "did you mean 'uniform'?"}},
              {{"--corruption-rate", "2"}, {"--corruption-rate", "'2'", "from 0 to 1"}},
              {{"--metrics", "elbow"}, {"'elbow'", "did you mean 'elbo'?"}},
              {{"--early-stopping", "elbow"}, {"'elbow'", "did you mean 'elbo'?"}},
              {{"--save-best", "elbow"}, {"'elbow'", "did you mean 'elbo'?"}},
              {{"--early-stopping-on", "test"}, {"--early-stopping-on", "'test'", "test_set"}},
              {{"--patience", "-1"}, {"--patience", "'-1'"}}});
  expect_all({"evaluate", "run", "a.h5ad"}, {{{"--metrics", "elbo,elbow"}, {"'elbow'", "did you mean 'elbo'?"}},
                                             {{"--metrics", "svm"}, {"'svm'", "svm_accuracy"}},
                                             {{"--clustering", "gmn"}, {"--clustering", "'gmn'"}},
                                             {{"--mc-samples", "0"}, {"--mc-samples", "'0'"}},
                                             {{"--batch-size", "0"}, {"--batch-size", "'0'"}},
                                             {{"--seed", "x"}, {"--seed", "'x'"}}});
  expect_all({"embed", "run", "a.h5ad", "-o", "b.h5ad"}, {{{"--batch-size", "0"}, {"--batch-size", "'0'"}}});
}

TEST_F(BadOption, SizesOfSetsThatTheDataCannotMeet) {
  const Untouched untouched(folder_.path());
  const auto train = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"train", "a.h5ad", "-o", "run"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words, in_);
  };
  expect_error(train({"--train-size", "0"}), {"train size", "0 cells", "40 cells"});
  expect_error(train({"--train-size", "41"}), {"train size", "41 cells", "40 cells"});
  expect_error(train({"--train-size", "2"}), {"training set", "2 cells", "at least 3"});
  expect_error(train({"--train-size", "1.5"}), {"train size", "1.5"});
  expect_error(train({"--train-size", "30", "--test-size", "11"}), {"test size", "11 cells"});
  expect_error(train({"--train-size", "1.0", "--early-stopping", "elbo"}), {"test_set", "no cells"});
}

TEST_F(BadOption, OfSimulation) {
  expect_all({"simulate", "b.h5ad"}, {{{"--clusters", "0"}, {"--clusters", "'0'"}},
                                      {{"--cells-per-cluster", "-3"}, {"--cells-per-cluster", "'-3'"}},
                                      {{"--kind", "zip"}, {"--kind", "'zip'"}},
                                      {{"--overlap", "25"}, {"25"}},
                                      {{"--total", "-1"}, {"-1"}},
                                      {{"--weight-low", "abc"}, {"--weight-low", "'abc'"}},
                                      {{"--seed", "abc"}, {"--seed", "'abc'"}},
                                      {{"--kind", "large", "--density", "2"}, {"density", "2"}}});
}

TEST_F(BadOption, NoEpochsGiveAnUntrainedModelThatWorks) {
  run_ok({"train", "a.h5ad", "-o", "run", "--epochs", "0"}, in_);
  run_ok({"embed", "run", "a.h5ad", "-o", "b.h5ad"}, in_);
  run_ok({"evaluate", "run", "a.h5ad", "--mc-samples", "2"}, in_);
}

TEST_F(BadOption, TheLastOfTwoCountsAndWordsAfterTwoDashesAreNoOptions) {
  write(small_data(40, 10), folder_.path("-odd.h5ad"));
  run_ok({"train", "-o", "run", "--n-latent", "4", "--epochs", "1", "--n-latent=6", "--", "-odd.h5ad"}, in_);
  EXPECT_EQ(json_of(folder_.path("run/model.json"))["hyperparameters"]["n_latent"], 6);
}

}  // namespace
}  // namespace scvi::testing
