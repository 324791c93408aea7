// The main job as a user does it: train, embed, evaluate.

#include <cmath>

#include "files.hpp"
#include "scvi/metric/clustering.hpp"
#include "scvi/metric/kmeans.hpp"

namespace scvi::testing {
namespace {

/// STARmap (genes x cells, as loom keeps it) as .h5ad.
SmallData starmap() {
  const auto loom = io::Hdf5File::open(test_data_dir() + "/starmap/mpfc-starmap.loom");
  SmallData data;
  data.genes = loom.read_strings("row_attrs/Gene").values;
  const auto matrix = loom.read<float>("matrix");
  const auto n_cells = static_cast<std::size_t>(matrix.shape.at(1));
  data.values.resize(data.genes.size() * n_cells);
  for (std::size_t cell = 0; cell < n_cells; ++cell) data.cells.push_back("cell" + std::to_string(cell));
  for (std::size_t gene = 0; gene < data.genes.size(); ++gene) {
    for (std::size_t cell = 0; cell < n_cells; ++cell) data.at(cell, gene) = matrix.values[gene * n_cells + cell];
  }
  data.obs.push_back({.name = "BatchID", .values = loom.read<double>("col_attrs/BatchID").values, .missing = {}});
  data.add_column("Clusters", loom.read_strings("col_attrs/Clusters").values);
  return data;
}

/// Every dataset and attribute of `before` is in `after` with the same values, but for the list of obs columns.
void expect_untouched(const io::Hdf5File& before, const io::Hdf5File& after, const std::string& path = "/") {
  ASSERT_EQ(after.kind(path), before.kind(path)) << path;
  for (const auto& name : before.attribute_names(path)) {
    ASSERT_TRUE(after.has_attribute(path, name)) << path << " " << name;
    const auto expected = before.attribute_info(path, name);
    const bool grows = path == "/obs" && name == "column-order";
    if (expected.value_class != io::Hdf5Class::text || grows) continue;
    EXPECT_EQ(after.attribute_strings(path, name), before.attribute_strings(path, name)) << path << " " << name;
  }
  if (before.is_dataset(path)) {
    const auto expected = before.info(path);
    const auto is = after.info(path);
    EXPECT_EQ(is.shape, expected.shape) << path;
    EXPECT_EQ(is.type_name, expected.type_name) << path;
    if (expected.value_class == io::Hdf5Class::text) {
      EXPECT_EQ(after.read_strings(path).values, before.read_strings(path).values) << path;
    } else if (expected.is_numeric()) {
      EXPECT_EQ(after.read<double>(path).values, before.read<double>(path).values) << path;
    }
    return;
  }
  for (const auto& child : before.children(path)) {
    expect_untouched(before, after, path == "/" ? "/" + child : path + "/" + child);
  }
}

/// The output of `scvi embed`: all of the input, a finite latent space, and positive library sizes, cell by cell.
void expect_embedding(const std::string& input, const std::string& output, std::int64_t n_latent) {
  expect_untouched(io::Hdf5File::open(input), io::Hdf5File::open(output));
  const io::H5adFile before(input);
  const io::H5adFile after(output);
  EXPECT_EQ(after.obs().index, before.obs().index);
  const auto latent = after.obsm("X_scVI");
  EXPECT_EQ(latent.n_rows, before.n_obs());
  EXPECT_EQ(latent.n_cols, n_latent);
  for (const double value : latent.values) ASSERT_TRUE(std::isfinite(value));
  const io::Column* library = after.obs().find("library_size");
  ASSERT_NE(library, nullptr);
  for (const double value : std::get<std::vector<double>>(library->values)) ASSERT_GT(value, 0);
}

void expect_scores(const nlohmann::json& scores, const std::string& set, std::int64_t n_cells) {
  ASSERT_TRUE(scores.contains(set)) << scores;
  EXPECT_EQ(scores[set]["n_cells"], n_cells);
  for (const char* metric : {"elbo", "reconstruction_error", "marginal_ll"}) {
    ASSERT_TRUE(scores[set].contains(metric)) << set;
    EXPECT_EQ(scores[set][metric].is_number(), n_cells > 0) << set << " " << metric << " " << scores[set][metric];
  }
  // The ELBO bounds the marginal likelihood, and has the reconstruction error as a part.
  if (n_cells == 0) return;
  EXPECT_GT(scores[set]["elbo"], scores[set]["marginal_ll"]) << set;
  EXPECT_GT(scores[set]["elbo"], scores[set]["reconstruction_error"]) << set;
}

TEST(Pipeline, StarmapIsTrainedEmbeddedAndEvaluatedByBatch) {
  SCVI_REQUIRE_TEST_DATA();
  const TemporaryDirectory folder;
  const SmallData data = starmap();
  ASSERT_EQ(data.cells.size(), 3704U);
  write(data, folder.path("starmap.h5ad"));
  const RunOptions in{.folder = folder.path()};

  const auto trained = run_ok({"train", "starmap.h5ad", "--output", "run", "--batch-key", "BatchID", "--labels-key",
                               "Clusters", "--epochs", "4", "--kl-warmup-epochs", "2", "--no-progress"},
                              in);
  EXPECT_TRUE(holds(trained.err, "158 genes, 3 batches")) << trained.err;
  EXPECT_EQ(listing(folder.path("run")),
            (std::vector<std::string>{"arguments.json", "history.tsv", "log.txt", "model.json", "weights.pt"}));
  run_ok({"embed", "run", "starmap.h5ad", "--output", "embedded.h5ad"}, in);
  expect_embedding(folder.path("starmap.h5ad"), folder.path("embedded.h5ad"), 10);

  const auto printed = run_ok({"evaluate", "run", "starmap.h5ad", "--json", "scores.json", "--mc-samples", "5"}, in);
  EXPECT_TRUE(holds(printed.out, "reconstruction_error")) << printed.out;
  const auto scores = json_of(folder.path("scores.json"));
  const std::int64_t n_all = scores["all"]["n_cells"];
  const std::int64_t n_train = n_all * 4 / 5;
  EXPECT_LE(n_all, 3704);
  expect_scores(scores, "train", n_train);
  expect_scores(scores, "test", n_all - n_train);
  expect_scores(scores, "validation", 0);
  expect_scores(scores, "all", n_all);
  EXPECT_EQ(listing(folder.path()),
            (std::vector<std::string>{"embedded.h5ad", "run", "scores.json", "starmap.h5ad"}));
}

TEST(Pipeline, MixologyIsSplitAsTheFileSays) {
  SCVI_REQUIRE_TEST_DATA();
  const TemporaryDirectory folder;
  const std::string data = test_data_dir() + "/mixology/mixology_3cl.h5ad";
  const io::H5adFile file(data);
  std::int64_t n_train = 0;
  for (std::int64_t cell = 0; cell < file.n_obs(); ++cell) n_train += file.obs().find("split")->text(cell) == "train";
  ASSERT_GT(n_train, 0);

  run_ok({"train", data, "-o", folder.path("run"), "--batch-key", "batch", "--labels-key", "cell_line", "--split-key",
          "split", "--n-top-genes", "300", "--epochs", "3", "--no-progress"});
  const auto evaluate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"evaluate", folder.path("run"), data, "--mc-samples", "2", "--json", "-"};
    words.insert(words.end(), more.begin(), more.end());
    return nlohmann::json::parse(run_ok(words).out);
  };
  const auto scores = evaluate({});
  expect_scores(scores, "train", n_train);
  expect_scores(scores, "test", file.n_obs() - n_train);
  expect_scores(scores, "validation", 0);
  expect_scores(scores, "all", file.n_obs());
  EXPECT_EQ(evaluate({"--split-key", "split"}), scores);

  // Three epochs are too few for clusters, but classifiers tell cell lines apart.
  const std::vector<std::string> names = {"knn_accuracy", "svm_accuracy", "random_forest_accuracy"};
  const auto annotated = evaluate({"--metrics", names[0] + "," + names[1] + "," + names[2] + ",nmi"});
  for (const std::string set : {"train", "test", "all"})
    for (const std::string& name : names) EXPECT_GT(annotated.at(set).at(name), 0.9) << set << ", " << name;
  EXPECT_TRUE(annotated.at("validation").at("svm_accuracy").is_null());
  const auto by_mixture = evaluate({"--metrics", "svm_accuracy,nmi", "--clustering", "gmm", "--threads", "1"});
  EXPECT_EQ(by_mixture.at("test").at("svm_accuracy"), annotated.at("test").at("svm_accuracy"));
  EXPECT_NE(by_mixture.at("all").at("nmi"), annotated.at("all").at("nmi"));

  const auto model = json_of(folder.path("run/model.json"));
  for (const std::int64_t row : model["data"]["train_rows"]) EXPECT_EQ(file.obs().find("split")->text(row), "train");
  run_ok({"embed", folder.path("run"), data, "-o", folder.path("out.h5ad"), "--key", "X_mine"});
  EXPECT_EQ(io::H5adFile(folder.path("out.h5ad")).obsm("X_mine").n_rows, file.n_obs());
}

/// Agreement of k-means on the latent space with the known clusters.
double ari_of(const std::string& path) {
  const io::H5adFile file(path);
  const auto latent = file.obsm("X_scVI");
  const auto truth = file.obs().find("cell_type")->as_categorical();
  const std::vector<std::int64_t> labels(truth.codes.begin(), truth.codes.end());
  const auto found = kmeans(Points(latent.values, latent.n_rows, latent.n_cols), std::ssize(truth.categories));
  return adjusted_rand_index(labels, found.labels);
}

TEST(Pipeline, SimulatedClustersAreFoundInTheLatentSpaceInSpiteOfBatches) {
  const TemporaryDirectory folder;
  const RunOptions in{.folder = folder.path()};
  run_ok({"simulate", "sim.h5ad", "--cells-per-cluster", "120", "--batches", "2", "--batch-effect", "0.5", "--total",
          "150", "--seed", "3"},
         in);
  run_ok({"train", "sim.h5ad", "-o", "run", "--batch-key", "batch", "--epochs", "25", "--kl-warmup-epochs", "10",
          "--no-progress"},
         in);
  run_ok({"embed", "run", "sim.h5ad", "-o", "out.h5ad"}, in);
  expect_embedding(folder.path("sim.h5ad"), folder.path("out.h5ad"), 10);
  EXPECT_GT(ari_of(folder.path("out.h5ad")), 0.9);
}

TEST(Pipeline, ProfileSaysWhereTheTimeWentOnEitherRoad) {
  const TemporaryDirectory folder;
  const RunOptions in{.folder = folder.path()};
  write(small_data(60, 12), folder.path("a.h5ad"));
  for (const std::string road : {"fused", "aten"}) {
    const auto outcome = run_ok({"train", "a.h5ad", "-o", road, "--batch-key", "batch", "--epochs", "2", "--profile",
                                 "--kernel", road, "--no-progress"},
                                in);
    EXPECT_TRUE(holds(outcome.out, "step: backward")) << outcome.out;
    EXPECT_EQ(holds(outcome.out, "heads: likelihood"), road == "fused") << outcome.out;
  }
}

TEST(Pipeline, CellsTheModelHasNotSeenAreEvaluatedAsOneSet) {
  const TemporaryDirectory folder;
  const RunOptions in{.folder = folder.path()};
  write(small_data(60, 12), folder.path("a.h5ad"));
  write(small_data(37, 12, 2), folder.path("b.h5ad"));
  run_ok({"train", "a.h5ad", "-o", "run", "--batch-key", "batch", "--epochs", "2", "--no-progress"}, in);
  const auto outcome = run_ok({"evaluate", "run", "b.h5ad", "--json", "-", "--mc-samples", "3"}, in);
  const auto scores = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(scores.size(), 1U);
  expect_scores(scores, "all", 37);
  EXPECT_TRUE(holds(outcome.err, "not the cells that the model was trained on")) << outcome.err;
}

TEST(Pipeline, ScoresAreTheSameForTheSameSeedAndAnyNumberOfThreads) {
  const TemporaryDirectory folder;
  const RunOptions in{.folder = folder.path()};
  write(small_data(300, 12), folder.path("a.h5ad"));
  run_ok({"train", "a.h5ad", "-o", "run", "--epochs", "2", "--no-progress"}, in);
  const auto evaluate = [&](const std::string& seed, const std::string& threads) {
    return run_ok({"evaluate", "run", "a.h5ad", "--json", "-", "--mc-samples", "3", "--seed", seed, "--threads",
                   threads},
                  in)
        .out;
  };
  const std::string scores = evaluate("1", "1");
  EXPECT_EQ(evaluate("1", "2"), scores);
  EXPECT_NE(evaluate("2", "2"), scores);
}

TEST(Simulate, EveryKindIsReadableAndReproducible) {
  const TemporaryDirectory folder;
  const RunOptions in{.folder = folder.path()};
  for (const std::string kind : {"corr", "zi", "plain", "large", "zinb"}) {
    SCOPED_TRACE(kind);
    const auto simulate = [&](const std::string& name, const std::string& seed) {
      run_ok({"simulate", name, "--kind", kind, "--seed", seed, "--cells", "500", "--genes", "40", "--force"}, in);
      return read(folder.path(name)).values;
    };
    const auto values = simulate("a.h5ad", "5");
    EXPECT_EQ(simulate("b.h5ad", "5"), values);
    EXPECT_NE(simulate("c.h5ad", "6"), values);
    const auto described = run_ok({"info", "a.h5ad"}, in);
    EXPECT_TRUE(holds(described.out, "batch: ")) << described.out;
    EXPECT_FALSE(holds(described.out, "NOT ")) << described.out;
  }
}

TEST(Simulate, FoldChangesAreWrittenWithTheGenes) {
  const TemporaryDirectory folder;
  const RunOptions in{.folder = folder.path()};
  run_ok({"simulate", "a.h5ad", "--kind",         "zinb", "--cells",   "60", "--genes",   "50",
          "--groups", "2",      "--differential", "0.1",  "--lfc-min", "1",  "--lfc-max", "2",
          "--up",     "1",      "--batches",      "2",    "--total",   "500"},
         in);
  const io::H5adFile file(folder.path("a.h5ad"));
  const io::Frame& var = file.var();
  ASSERT_NE(var.find("lfc_group_1"), nullptr);
  int changed = 0;
  for (const double lfc : std::get<std::vector<double>>(var.find("lfc_group_1")->values)) {
    changed += lfc != 0;
    EXPECT_TRUE(lfc == 0 || (lfc >= 1 && lfc <= 2)) << lfc;
  }
  EXPECT_EQ(changed, 5);
  EXPECT_NE(var.find("scale_group_0"), nullptr);
  expect_error(run({"simulate", "b.h5ad", "--kind", "zinb", "--differential", "2"}, in), {"share_differential", "2"});
}

}  // namespace
}  // namespace scvi::testing
