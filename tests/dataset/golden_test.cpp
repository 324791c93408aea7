// The states of a data set that scVI 0.6.3 itself produced: shared/golden/dataset_preprocessing.h5.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "scvi/core/random.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/io/hdf5.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using Numbers = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

std::vector<float> dense_of(const CountMatrix& matrix) {
  Numbers cells(static_cast<std::size_t>(matrix.n_cells()));
  std::iota(cells.begin(), cells.end(), 0);
  std::vector<float> out(static_cast<std::size_t>(matrix.n_cells() * matrix.n_genes()));
  matrix.gather_dense(cells, out.data());
  return out;
}

/// "first_genes" is stored as a JSON list of plain names.
Names names_of_json(const std::string& json) {
  Names names;
  for (std::size_t at = json.find('"'); at != std::string::npos; at = json.find('"', at + 1)) {
    const std::size_t end = json.find('"', at + 1);
    names.push_back(json.substr(at + 1, end - at - 1));
    at = end;
  }
  return names;
}

class DatasetGolden : public ::testing::TestWithParam<bool> {
 protected:
  static std::string path() { return testing::golden_dir() + "/dataset_preprocessing.h5"; }

  void SetUp() override {
    if (!std::filesystem::exists(path())) GTEST_SKIP() << "NO GOLDEN CASES: " << path() << " is missing";
    file_ = io::Hdf5File::open(path());
  }

  Numbers numbers(const std::string& name) const { return file_.read<std::int64_t>(name).values; }

  /// The input as the golden cases' data set held it, sparse or dense.
  GeneExpressionDataset fresh(const std::string& batches = "batch_indices", const std::string& labels = "labels",
                              bool reference = false) const {
    const auto X = file_.read<float>("inputs/X");
    CountMatrix counts = CountMatrix::from_dense(X.shape[0], X.shape[1], X.values);
    if (GetParam()) counts = counts.to_sparse();
    PopulateOptions options;
    options.batch_indices = numbers("inputs/" + batches);
    options.labels = numbers("inputs/" + labels);
    options.gene_names = file_.read_strings("expected/populate/gene_names").values;
    options.reference_0_6_3 = reference;
    GeneExpressionDataset dataset;
    dataset.populate_from_data(std::move(counts), std::move(options));
    return dataset;
  }

  void expect_close(const std::vector<float>& got, const std::string& name) const {
    const std::vector<float> expected = file_.read<float>(name).values;
    ASSERT_EQ(got.size(), expected.size()) << name;
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-6) << name << " of cell " << i;
  }

  void expect_state(const GeneExpressionDataset& dataset, const std::string& group) const {
    const std::string at = "expected/" + group;
    EXPECT_EQ(dense_of(dataset.X()), file_.read<float>(at + "/X").values);
    EXPECT_EQ(dataset.batch_indices(), numbers(at + "/batch_indices"));
    EXPECT_EQ(dataset.labels(), numbers(at + "/labels"));
    EXPECT_EQ(dataset.gene_names(), file_.read_strings(at + "/gene_names").values);
    EXPECT_EQ(dataset.original_cells(), numbers(at + "/kept_cells"));
    EXPECT_EQ(dataset.original_genes(), numbers(at + "/kept_genes"));
    EXPECT_EQ(dataset.n_batches(), file_.attribute_number<std::int64_t>(at, "n_batches"));
    EXPECT_EQ(dataset.n_labels(), file_.attribute_number<std::int64_t>(at, "n_labels"));
    expect_close(dataset.local_means(), at + "/local_means");
    expect_close(dataset.local_vars(), at + "/local_vars");
  }

  io::Hdf5File file_;
};

TEST_P(DatasetGolden, Populate) {
  expect_state(fresh(), "populate");
}

TEST_P(DatasetGolden, PopulateWithNoncontiguousCategories) {
  const std::string group = "populate_noncontiguous_categories";
  expect_state(fresh("noncontiguous_batch", "noncontiguous_labels", true), group);
  // By default every batch has its library size: the reference leaves zeros for batch numbers >= the number of
  // batches.
  const auto dataset = fresh("noncontiguous_batch", "noncontiguous_labels");
  expect_close(dataset.local_means(), "expected/populate/local_means");
  expect_close(dataset.local_vars(), "expected/populate/local_vars");
  EXPECT_EQ(dataset.batch_indices(), numbers("expected/" + group + "/batch_indices"));
  EXPECT_EQ(dataset.batch_names(), (Names{"2", "5", "8"}));
  EXPECT_EQ(dataset.cell_types(), (Names{"5", "7", "9"}));
}

TEST_P(DatasetGolden, FilterCellsByCount) {
  auto dataset = fresh();
  dataset.filter_cells_by_count(file_.attribute_number<double>("expected/filter_cells_by_count", "min_count"));
  expect_state(dataset, "filter_cells_by_count");
  dataset = fresh();
  dataset.filter_cells_by_count();
  expect_state(dataset, "filter_cells_by_count_1");
}

TEST_P(DatasetGolden, FilterGenesByCount) {
  auto dataset = fresh();
  dataset.filter_genes_by_count(file_.attribute_number<double>("expected/filter_genes_by_count", "min_count"));
  expect_state(dataset, "filter_genes_by_count");
  dataset = fresh();
  const std::string per_batch = "filter_genes_by_count_per_batch";
  dataset.filter_genes_by_count(file_.attribute_number<double>("expected/" + per_batch, "min_count"), true);
  expect_state(dataset, per_batch);
}

TEST_P(DatasetGolden, ReorderGenes) {
  auto dataset = fresh();
  const Names first = names_of_json(file_.attribute_string("expected/reorder_genes", "first_genes"));
  ASSERT_EQ(first, (Names{"g03", "g13", "g07", "g19"}));
  dataset.reorder_genes(first);
  expect_state(dataset, "reorder_genes");
  dataset = fresh();
  dataset.reorder_genes(first, true);
  expect_state(dataset, "reorder_genes_drop");
}

TEST_P(DatasetGolden, SubsampleGenesByVariance) {
  auto dataset = fresh();
  dataset.subsample_genes({.new_n_genes = 10, .mode = GeneSelectionMode::variance});
  expect_state(dataset, "subsample_genes_variance");
  dataset = fresh();
  dataset.subsample_genes({.new_ratio_genes = 0.4, .mode = GeneSelectionMode::variance});
  expect_state(dataset, "subsample_genes_variance_ratio0.4");
}

// The ties among the totals of these cells are broken as NumPy's sort breaks them.
TEST_P(DatasetGolden, SubsampleCells) {
  auto dataset = fresh();
  dataset.subsample_cells(file_.attribute_number<std::int64_t>("expected/subsample_cells", "size"));
  expect_state(dataset, "subsample_cells");
}

TEST_P(DatasetGolden, CorruptWithRecordedDraws) {
  for (const auto& [name, corruption] :
       {std::pair{"corrupt_uniform", Corruption::uniform}, std::pair{"corrupt_binomial", Corruption::binomial}}) {
    auto dataset = fresh();
    const std::string noise = std::string("noise/") + name;
    const CorruptionDraws draws{numbers(noise + "/choice"), numbers(noise + "/binomial")};
    dataset.corrupt(corruption, draws);
    const std::string at = std::string("expected/") + name;
    EXPECT_EQ(dense_of(dataset.corrupted_X()), file_.read<float>(at + "/corrupted_X").values) << name;
    const double rate = file_.attribute_number<double>(at, "rate");
    const double n = corruption == Corruption::uniform ? static_cast<double>(dataset.X().n_nonzero()) : 44 * 30;
    EXPECT_EQ(draws.choice.size(), static_cast<std::size_t>(std::floor(rate * n))) << name;
  }
}

TEST_P(DatasetGolden, TrainTestValidationPermutations) {
  const Names cases = file_.children("expected/train_test_validation");
  ASSERT_EQ(cases.size(), 9U);
  for (const std::string& name : cases) {
    const std::string at = "expected/train_test_validation/" + name;
    const auto n = file_.attribute_number<std::int64_t>(at, "n");
    EXPECT_EQ(numpy_permutation(0, n), numbers(at + "/permutation")) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Storage, DatasetGolden, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Sparse" : "Dense"; });

}  // namespace
}  // namespace scvi
