// Classifiers on the command line: `scvi classify`, `scvi train --model classifier`, `scvi simulate --kind doublets`.

#include <map>
#include <sstream>

#include "files.hpp"

namespace scvi::testing {
namespace {

constexpr std::size_t kCells = 200;

/// Two kinds of cells; the type of every fifth is known, of others "unknown" or missing.
SmallData partly_labelled() {
  SmallData data = small_data(kCells, 20);
  io::Categorical types{.codes = {}, .categories = {"high", "unknown", "low", "unused"}};
  for (std::int32_t cell = 0; cell < static_cast<std::int32_t>(kCells); ++cell) {
    const std::int32_t kind = cell % 4 < 2 ? 0 : 2;
    types.codes.push_back(cell % 5 == 0 ? kind : cell % 3 == 0 ? -1 : 1);
  }
  data.obs.push_back({.name = "type", .values = types, .missing = {}});
  return data;
}

/// What was told of the cells, held against the truth.
struct Told {
  std::vector<std::string> categories;
  std::int64_t n_right = 0;
  std::vector<double> probability, margin;
};

Told told_in(const std::string& path, const std::string& key = "scvi_label") {
  const auto obs = io::H5adFile(path).obs();
  const auto labels = obs.find(key)->as_categorical();
  Told told{.categories = labels.categories, .n_right = 0, .probability = {}, .margin = {}};
  for (std::size_t cell = 0; cell < labels.codes.size(); ++cell) {
    told.n_right += labels.categories[labels.codes[cell]] == (cell % 4 < 2 ? "high" : "low");
  }
  if (obs.find(key + "_probability")) {
    told.probability = std::get<std::vector<double>>(obs.find(key + "_probability")->values);
    told.margin = std::get<std::vector<double>>(obs.find(key + "_margin")->values);
  }
  return told;
}

class Classify : public ::testing::Test {
 protected:
  void SetUp() override { write(partly_labelled(), at("a.h5ad")); }
  std::string at(const std::string& name) const { return folder_.path(name); }
  /// A VAE to read.
  void train_latent() {
    run_ok({"train", "a.h5ad", "-o", "vae", "--epochs", "15", "--n-hidden", "16", "--n-latent", "4", "--batch-size",
            "32", "--lr", "0.01", "--kl-warmup-epochs", "4", "--no-progress"},
           in_);
  }
  std::vector<std::string> classify(const std::string& output, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"classify", "a.h5ad",       "-o",      output,         "--labels-key",
                                      "type",     "--unlabelled", "unknown", "--no-progress"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(Classify, TellsTheTypeOfCellsWithoutOneFromTheirCounts) {
  const auto outcome = run_ok(classify("out.h5ad"), in_);
  const Told told = told_in(at("out.h5ad"));
  EXPECT_EQ(told.categories, (std::vector<std::string>{"high", "low"}));
  EXPECT_GT(told.n_right, 190);
  for (std::size_t cell = 0; cell < kCells; ++cell) {
    EXPECT_GE(told.probability[cell], 0.5);
    EXPECT_NEAR(told.margin[cell], 2 * told.probability[cell] - 1, 1e-5);
  }
  EXPECT_TRUE(holds(outcome.err, "160 cells had no label")) << outcome.err;
  EXPECT_TRUE(holds(outcome.out, "high   16        4         1.0000")) << outcome.out;
  EXPECT_TRUE(holds(outcome.out, "all    32        8         1.0000")) << outcome.out;
  // The labels of the data are as they were, and nothing else was left.
  EXPECT_EQ(io::H5adFile(at("out.h5ad")).obs().find("type")->text(1), "unknown");
  EXPECT_EQ(listing(folder_.path()), (std::vector<std::string>{"a.h5ad", "out.h5ad"}));
}

TEST_F(Classify, LearnsInTheLatentSpaceByEveryMethod) {
  train_latent();
  for (const std::string method : {"nn", "knn", "svm", "forest"}) {
    for (const bool with_library : {false, true}) {
      SCOPED_TRACE(method);
      std::vector<std::string> more = {"--on-latent", "vae", "--method", method, "--key", "told", "--force"};
      if (with_library) more.emplace_back("--with-library");
      const auto outcome = run_ok(classify("out.h5ad", more), in_);
      EXPECT_TRUE(holds(outcome.out, "\nall ")) << outcome.out;
      const Told told = told_in(at("out.h5ad"), "told");
      EXPECT_GT(told.n_right, 185);
      EXPECT_EQ(told.probability.empty(), method == "svm");
      for (const double p : told.probability) EXPECT_TRUE(p >= 0.5 && p <= 1 + 1e-6) << p;
    }
  }
}

TEST_F(Classify, KeepsARunThatAnnotateAndEvaluateTake) {
  train_latent();
  run_ok(classify("out.h5ad", {"--on-latent", "vae", "--with-library", "--save", "run"}), in_);
  EXPECT_EQ(json_of(at("run/model.json"))["hyperparameters"]["sampling_zl"], true);
  std::filesystem::rename(at("vae"), at("elsewhere"));
  run_ok({"annotate", "run", "a.h5ad", "-o", "again.h5ad"}, in_);
  const Told first = told_in(at("out.h5ad")), again = told_in(at("again.h5ad"));
  EXPECT_EQ(first.probability, again.probability);
  EXPECT_EQ(first.n_right, again.n_right);
  const auto scores =
      run_ok({"evaluate", "run", "a.h5ad", "--metrics", "accuracy,elbo,reconstruction_error,ari"}, in_);
  EXPECT_TRUE(holds(scores.out, "1.0000")) << scores.out;
  EXPECT_TRUE(holds(scores.err, "ari of test is left out: the model has no latent space")) << scores.err;
  // A cell with a type that only new data have is told one of those that were learned.
  SmallData query = partly_labelled();
  query.obs.pop_back();
  query.add_column("type", std::vector<std::string>(kCells, "new"));
  write(query, at("new.h5ad"));
  run_ok({"annotate", "run", "new.h5ad", "-o", "new-out.h5ad"}, in_);
  EXPECT_EQ(told_in(at("new-out.h5ad")).probability, first.probability);
  EXPECT_TRUE(holds(run_ok({"evaluate", "run", "new.h5ad", "--metrics", "accuracy"}, in_).err, "'new'"));
}

TEST_F(Classify, IsATrainedModelByItself) {
  const std::vector<std::string> train = {
      "train",   "a.h5ad",        "--model",  "classifier",  "--labels-key", "type",  "--unlabelled",
      "unknown", "--no-progress", "--epochs", "100",         "--lr",         "0.001", "--output",
      "run",     "--metrics",     "accuracy", "--frequency", "100"};
  const auto trained = run_ok(train, in_);
  EXPECT_TRUE(holds(trained.err, "training classifier on 32 cells (8 test")) << trained.err;
  run_ok({"annotate", "run", "a.h5ad", "-o", "told.h5ad"}, in_);
  run_ok(classify("out.h5ad"), in_);
  EXPECT_EQ(told_in(at("told.h5ad")).probability, told_in(at("out.h5ad")).probability);
  EXPECT_TRUE(holds(bytes_of(at("run/history.tsv")), "accuracy_test_set"));
  for (const std::string command : {"embed", "normalize", "cluster"}) {
    SCOPED_TRACE(command);
    expect_only_error(run({command, "run", "a.h5ad", "-o", "x.h5ad"}, in_), {"run", "no latent space"});
  }
  expect_only_error(run({"de", "run", "a.h5ad", "-o", "x.tsv", "--groupby", "type", "--one-vs-all"}, in_),
                    {"run", "no latent space"});
  expect_only_error(run(classify("x.h5ad", {"--on-latent", "run"}), in_), {"run", "no latent space"});
}

TEST_F(Classify, WritesATable) {
  run_ok(classify("out.tsv"), in_);
  run_ok(classify("out.h5ad"), in_);
  std::istringstream table(bytes_of(at("out.tsv")));
  std::string line;
  std::getline(table, line);
  EXPECT_EQ(line, "cell\tscvi_label\tscvi_label_probability\tscvi_label_margin");
  std::int64_t n_lines = 0;
  for (; std::getline(table, line); ++n_lines) EXPECT_TRUE(line.starts_with("cell" + std::to_string(n_lines) + "\t"));
  EXPECT_EQ(n_lines, 200);
  expect_only_error(run(classify("out.tsv"), in_), {"out.tsv", "exists", "--force"});
}

TEST_F(Classify, DoesNotDependOnThreads) {
  train_latent();
  for (const std::string method : {"nn", "forest"}) {
    run_ok(classify("one.h5ad", {"--on-latent", "vae", "--method", method, "--threads", "1", "--force"}), in_);
    run_ok(classify("two.h5ad", {"--on-latent", "vae", "--method", method, "--threads", "2", "--force"}), in_);
    EXPECT_EQ(told_in(at("one.h5ad")).probability, told_in(at("two.h5ad")).probability) << method;
  }
}

TEST_F(Classify, SaysWhatIsWrong) {
  const Untouched untouched(folder_.path());
  expect_only_error(run({"classify", "a.h5ad", "-o", "x.h5ad"}, in_), {"--labels-key"});
  expect_only_error(run(classify("x.h5ad", {"--method", "knn"}), in_), {"--method", "knn", "--on-latent"});
  expect_only_error(run(classify("x.h5ad", {"--method", "tree"}), in_), {"--method", "tree", "forest"});
  expect_only_error(run(classify("x.h5ad", {"--with-library"}), in_), {"--with-library", "--on-latent"});
  expect_only_error(run(classify("x.h5ad", {"--method", "svm", "--save", "run"}), in_), {"--save", "nn"});
  expect_only_error(run(classify("x.h5ad", {"--train-size", "half"}), in_), {"--train-size", "half"});
  expect_only_error(run(classify("x.h5ad", {"--on-latent", "missing"}), in_), {"missing"});
  expect_error(run(classify("x.h5ad", {"--labels-key", "typ"}), in_), {"a.h5ad", "'typ'", "type"});
  expect_error(run(classify("x.h5ad", {"--unlabelled", "unknwon"}), in_), {"--unlabelled", "unknown"});
  expect_only_error(run({"train", "a.h5ad", "-o", "run", "--model", "classifier", "--labels-key", "type",
                         "--on-latent", "x", "--n-top-genes", "5"},
                        in_),
                    {"--on-latent", "--n-top-genes"});
  expect_only_error(run({"train", "a.h5ad", "-o", "run", "--model", "classifier", "--labels-key", "type",
                         "--kl-warmup-epochs", "5"},
                        in_),
                    {"--kl-warmup-epochs"});
  expect_only_error(run({"train", "a.h5ad", "-o", "run", "--on-latent", "x"}, in_), {"--on-latent"});
}

TEST_F(Classify, ARunOfOtherGenesIsRefused) {
  train_latent();
  write(small_data(50, 19), at("b.h5ad"));
  SmallData other = small_data(50, 19);
  other.add_column("type", std::vector<std::string>(50, "high"));
  write(other, at("b.h5ad"));
  for (const std::string method : {"nn", "knn"}) {
    expect_error(
        run({"classify", "b.h5ad", "-o", "x.h5ad", "--labels-key", "type", "--on-latent", "vae", "--method", method},
            in_),
        {"b.h5ad", "gene19"});
  }
}

// Labels as users have them: what each kind of model that tells labels does with them.

struct Kind {
  const char* name;
  /// Words before those of the labels; what is written is called "out".
  std::vector<std::string> words;
};

class Labels : public ::testing::TestWithParam<Kind> {
 protected:
  void write_types(const std::function<std::string(std::size_t)>& type_of, const std::string& name = "a.h5ad") {
    SmallData data = small_data(100, 20);
    std::vector<std::string> types;
    for (std::size_t cell = 0; cell < 100; ++cell) types.push_back(type_of(cell));
    data.add_column("type", types);
    write(data, folder_.path(name));
  }
  static std::string kind_of(std::size_t cell) { return cell % 4 < 2 ? "high" : "low"; }
  Outcome learn(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = GetParam().words;
    words.insert(words.end(), {"--labels-key", "type", "--epochs", "3", "--no-progress", "-o", output(), "--force"});
    words.insert(words.end(), more.begin(), more.end());
    return run(words, in_);
  }
  bool is_classify() const { return GetParam().words[0] == "classify"; }
  std::string output() const { return is_classify() ? "out.h5ad" : "out"; }

  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_P(Labels, OfOneCellAreLearnedWithAWarning) {
  write_types([](std::size_t cell) { return cell == 7 ? "rare" : kind_of(cell); });
  const auto outcome = learn({"--train-size", "1.0"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "label 'rare' has one cell to learn from")) << outcome.err;
}

TEST_P(Labels, WithoutACellThatTrainsAreWarnedOf) {
  SmallData data = small_data(100, 20);
  std::vector<std::string> types, sets;
  for (std::size_t cell = 0; cell < 100; ++cell) {
    types.push_back(cell % 10 == 0 ? "held" : kind_of(cell));
    sets.emplace_back(cell % 10 == 0 ? "test" : "train");
  }
  data.add_column("type", types);
  data.add_column("set", sets);
  write(data, folder_.path("a.h5ad"));
  const auto outcome = learn({"--split-key", "set"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(holds(outcome.err, "label 'held' has no cell to learn from")) << outcome.err;
  if (is_classify()) {
    EXPECT_TRUE(holds(outcome.out, "held   0         10        ")) << outcome.out;
  }
}

TEST_P(Labels, OfASingleKindAreRefused) {
  write_types([](std::size_t) { return "T"; });
  expect_error(learn(), {"a.h5ad", "'type'", "one label only, 'T'", "--labels-key"});
  // So is one beside cells without any.
  write_types([](std::size_t cell) { return cell < 50 ? "T" : ""; });
  expect_error(learn(), {"a.h5ad", "'type'", "one label only, 'T'"});
}

TEST_P(Labels, ThatNoCellHasAreRefused) {
  write_types([](std::size_t) { return "unknown"; });
  expect_error(learn({"--unlabelled", "unknown"}), {"a.h5ad", "'type'", "labels no cell", "'unknown'"});
  write_types([](std::size_t cell) { return cell < 50 ? "unknown" : ""; });
  expect_error(learn({"--unlabelled", "unknown"}), {"a.h5ad", "'type'", "labels no cell"});
}

TEST_P(Labels, OfTooFewCellsAreRefused) {
  write_types([](std::size_t cell) { return cell < 3 ? kind_of(cell) : "unknown"; });
  EXPECT_EQ(learn({"--unlabelled", "unknown", "--train-size", "1.0"}).status, 0);
  write_types([](std::size_t cell) { return cell == 0 ? "high" : cell == 3 ? "low" : "unknown"; });
  expect_error(learn({"--unlabelled", "unknown", "--train-size", "1.0"}), {"training", "2 cells", "at least 3"});
}

TEST_P(Labels, ThatAllCellsHaveLeaveNothingToTellAndThatIsFine) {
  write_types(kind_of);
  const auto outcome = learn();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  if (is_classify()) {
    EXPECT_TRUE(holds(outcome.err, "every cell has a label already")) << outcome.err;
  }
}

TEST_P(Labels, ThatOnlyNewDataHaveAreNeverTold) {
  write_types(kind_of);
  std::vector<std::string> more;
  if (is_classify()) more = {"--save", "out"};
  const auto trained = learn(more);
  ASSERT_EQ(trained.status, 0) << trained.err;
  write_types([](std::size_t cell) { return cell % 2 == 0 ? "strange" : kind_of(cell); }, "new.h5ad");
  run_ok({"annotate", "out", "new.h5ad", "-o", "told.h5ad"}, in_);
  EXPECT_EQ(io::H5adFile(folder_.path("told.h5ad")).obs().find("scvi_label")->as_categorical().categories,
            (std::vector<std::string>{"high", "low"}));
  const auto scores = run_ok({"evaluate", "out", "new.h5ad", "--metrics", "accuracy"}, in_);
  EXPECT_TRUE(holds(scores.err, "'strange', which the model has not seen: taken for unknown")) << scores.err;
}

INSTANTIATE_TEST_SUITE_P(
    Models, Labels,
    ::testing::Values(Kind{"scanvi", {"train", "a.h5ad", "--model", "scanvi", "--n-hidden", "16"}},
                      Kind{"vaec", {"train", "a.h5ad", "--model", "vaec", "--n-hidden", "16"}},
                      Kind{"classifier", {"train", "a.h5ad", "--model", "classifier", "--n-hidden", "16"}},
                      Kind{"classify", {"classify", "a.h5ad"}}),
    [](const auto& kind) { return std::string(kind.param.name); });

class Doublets : public ::testing::Test {
 protected:
  void SetUp() override { write(small_data(60, 12), at("a.h5ad")); }
  std::string at(const std::string& name) const { return folder_.path(name); }

  const TemporaryDirectory folder_;
  const RunOptions in_{.folder = folder_.path()};
};

TEST_F(Doublets, StandBehindTheCellsOfAFile) {
  const auto outcome = run_ok(
      {"simulate", "both.h5ad", "--kind", "doublets", "--from", "a.h5ad", "--batch-key", "batch", "--doublets", "40"},
      in_);
  EXPECT_TRUE(holds(outcome.err, "100 cells x 12 genes, 40 of them doublets")) << outcome.err;
  const SmallData before = read(at("a.h5ad"));
  SmallData both = read(at("both.h5ad"));
  EXPECT_EQ(both.genes, before.genes);
  EXPECT_TRUE(std::equal(before.values.begin(), before.values.end(), both.values.begin()));
  std::map<std::string, std::size_t> row;
  for (std::size_t cell = 0; cell < both.cells.size(); ++cell) row[both.cells[cell]] = cell;
  const auto obs = io::H5adFile(at("both.h5ad")).obs();
  for (std::size_t cell = 60; cell < 100; ++cell) {
    EXPECT_EQ(obs.find("doublet")->text(cell), "doublet");
    const std::string of = obs.find("doublet_of")->text(cell);
    const std::size_t a = row.at(of.substr(0, of.find(" + "))), b = row.at(of.substr(of.find(" + ") + 3));
    EXPECT_EQ(obs.find("batch")->text(a), obs.find("batch")->text(b));
    for (std::size_t gene = 0; gene < 12; ++gene) EXPECT_EQ(both.at(cell, gene), both.at(a, gene) + both.at(b, gene));
  }
}

TEST_F(Doublets, AreToldByAClassifierOfTheLatentSpaceAndTheLibrarySize) {
  write(small_data(200, 20), at("a.h5ad"));
  run_ok({"simulate", "both.h5ad", "--kind", "doublets", "--from", "a.h5ad"}, in_);
  run_ok({"train", "a.h5ad", "-o", "vae", "--epochs", "40", "--n-hidden", "16", "--n-latent", "3", "--batch-size",
          "16", "--lr", "0.01", "--kl-warmup-epochs", "4", "--no-progress"},
         in_);
  run_ok({"classify", "both.h5ad", "--labels-key", "doublet", "--on-latent", "vae", "--with-library", "-o",
          "told.h5ad", "--no-progress", "--epochs", "200", "--lr", "0.01"},
         in_);
  const auto obs = io::H5adFile(at("told.h5ad")).obs();
  std::int64_t n_right = 0;
  for (std::int64_t cell = 0; cell < 400; ++cell) {
    n_right += obs.find("scvi_label")->text(cell) == obs.find("doublet")->text(cell);
  }
  EXPECT_GT(n_right, 340);
}

TEST_F(Doublets, NeedCellsToBeMadeOf) {
  const Untouched untouched(folder_.path());
  expect_only_error(run({"simulate", "x.h5ad", "--kind", "doublets"}, in_), {"--from"});
  expect_only_error(run({"simulate", "x.h5ad", "--from", "a.h5ad"}, in_), {"--from", "doublets"});
  expect_error(run({"simulate", "x.h5ad", "--kind", "doublets", "--from", "a.h5ad", "--batch-key", "plate"}, in_),
               {"a.h5ad", "plate"});
}

}  // namespace
}  // namespace scvi::testing
