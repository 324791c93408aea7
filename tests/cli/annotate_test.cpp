// Training on the labels of some cells, and telling those of the others.

#include "files.hpp"

namespace scvi::testing {
namespace {

/// Two kinds of cells; the type of every fifth is known, of others "unknown" or missing.
SmallData partly_labelled() {
  SmallData data = small_data(200, 20);
  io::Categorical types{.codes = {}, .categories = {"high", "unknown", "low", "unused"}};
  for (std::int32_t cell = 0; cell < 200; ++cell) {
    const std::int32_t kind = cell % 4 < 2 ? 0 : 2;
    types.codes.push_back(cell % 5 == 0 ? kind : cell % 3 == 0 ? -1 : 1);
  }
  data.obs.push_back({.name = "type", .values = types, .missing = {}});
  return data;
}

const std::vector<std::string> kShort = {
    "--epochs", "8",    "--n-hidden",   "16",   "--n-latent",   "4",   "--batch-size",       "32",
    "--lr",     "0.01", "--labels-key", "type", "--train-size", "1.0", "--kl-warmup-epochs", "4"};

std::vector<std::string> with(std::vector<std::string> first, const std::vector<std::string>& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

class Annotate : public ::testing::Test {
 protected:
  void SetUp() override { write(partly_labelled(), folder_.path("a.h5ad")); }

  TemporaryDirectory folder_;
  RunOptions in_{.folder = folder_.path()};
};

TEST_F(Annotate, TellsTheTypeOfCellsWithoutOneAndNeverTakesThatForAType) {
  for (const std::string model : {"scanvi", "vaec"}) {
    const auto trained =
        run_ok(with({"train", "a.h5ad", "-o", model, "--model", model, "--unlabelled", "unknown"}, kShort), in_);
    EXPECT_TRUE(holds(trained.err, "2 labels (160 cells without)")) << trained.err;
    const auto facts = json_of(folder_.path(model + "/model.json"));
    EXPECT_EQ(facts.at("data").at("label_names"), (std::vector<std::string>{"high", "low"}));
    run_ok({"annotate", model, "a.h5ad", "-o", model + ".h5ad"}, in_);
    const io::H5adFile after(folder_.path(model + ".h5ad"));
    const auto obs = after.obs();
    const auto label = obs.find("scvi_label")->as_categorical();
    EXPECT_EQ(label.categories, (std::vector<std::string>{"high", "low"}));
    const auto& probability = std::get<std::vector<double>>(obs.find("scvi_label_probability")->values);
    const auto& margin = std::get<std::vector<double>>(obs.find("scvi_label_margin")->values);
    std::int64_t n_right = 0;
    for (std::size_t cell = 0; cell < 200; ++cell) {
      n_right += label.codes[cell] == (cell % 4 < 2 ? 0 : 1);
      EXPECT_GE(probability[cell], 0.5);
      EXPECT_NEAR(margin[cell], 2 * probability[cell] - 1, 1e-5);
    }
    EXPECT_GT(n_right, 190);
    // All commands take such a model and such data.
    run_ok({"embed", model, "a.h5ad", "-o", model + "-z.h5ad"}, in_);
    EXPECT_TRUE(holds(run_ok({"evaluate", model, "a.h5ad", "--metrics", "accuracy,elbo"}, in_).out, "accuracy"));
  }
}

TEST_F(Annotate, GivesTheSameWhateverTheLabelsOfTheDataSay) {
  run_ok(with({"train", "a.h5ad", "-o", "run", "--model", "scanvi", "--unlabelled", "unknown"}, kShort), in_);
  SmallData other = partly_labelled();
  other.obs.pop_back();
  write(other, folder_.path("without.h5ad"));
  other.add_column("type", std::vector<std::string>(200, "new"));
  write(other, folder_.path("new.h5ad"));
  std::vector<std::vector<double>> found;
  for (const std::string name : {"a", "without", "new"}) {
    run_ok({"annotate", "run", name + ".h5ad", "-o", name + "-out.h5ad", "--key", "told"}, in_);
    const auto obs = io::H5adFile(folder_.path(name + "-out.h5ad")).obs();
    found.push_back(std::get<std::vector<double>>(obs.find("told_probability")->values));
  }
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
  run_ok({"evaluate", "run", "new.h5ad"}, in_);
}

TEST_F(Annotate, SaysWhatIsWrong) {
  const auto trains = [&](const std::vector<std::string>& more) {
    return run(with({"train", "a.h5ad", "-o", "bad", "--epochs", "1"}, more), in_);
  };
  expect_only_error(trains({"--model", "scanvi"}), {"--labels-key"});
  expect_only_error(trains({"--model", "scanvi", "--labels-key", "type", "--unlabelled", "unknwon"}),
                    {"--unlabelled", "unknown"});
  expect_only_error(trains({"--model", "vaec", "--labels-key", "type", "--labelled-per-class", "0"}),
                    {"--labelled-per-class"});
  expect_only_error(trains({"--unlabelled", "unknown"}), {"--unlabelled"});
  run_ok({"train", "a.h5ad", "-o", "plain", "--epochs", "1"}, in_);
  expect_only_error(run({"annotate", "plain", "a.h5ad", "-o", "out.h5ad"}, in_), {"tells no labels", "scanvi"});
}

TEST_F(Annotate, RefusesASingleType) {
  SmallData one = small_data(100, 20);
  one.add_column("type", std::vector<std::string>(100, "T"));
  write(one, folder_.path("one.h5ad"));
  expect_error(run(with({"train", "one.h5ad", "-o", "bad", "--model", "scanvi"}, kShort), in_),
               {"one.h5ad", "'type'", "one label only, 'T'"});
}

}  // namespace
}  // namespace scvi::testing
