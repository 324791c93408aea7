// The states of a data set that scVI 0.6.3 itself produced: shared/golden/{dataset_preprocessing,hvg_*}.h5. The same
// replay as scvi-parity's, without LibTorch.

#include <gtest/gtest.h>

#include <set>

#include "parity/dataset_cases.hpp"
#include "scvi/core/random.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using Numbers = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

class DatasetGolden : public ::testing::TestWithParam<bool> {
 protected:
  static bool found(const std::string& name) {
    return std::filesystem::exists(testing::golden_dir() + "/" + name + ".h5");
  }
  static io::Hdf5File open(const std::string& name) {
    return io::Hdf5File::open(testing::golden_dir() + "/" + name + ".h5");
  }

  /// All within what is allowed, and no group of the case left out.
  static void expect_within(const std::vector<parity::DatasetQuantity>& quantities, const io::Hdf5File& file) {
    std::set<std::string> groups;
    for (const parity::DatasetQuantity& quantity : quantities) {
      EXPECT_LE(quantity.deviation, quantity.allowed) << quantity.path;
      const std::size_t begin = quantity.path.find('/') + 1;
      groups.insert(quantity.path.substr(begin, quantity.path.find_first_of("/@", begin) - begin));
    }
    for (const std::string& group : file.children("expected")) {
      EXPECT_TRUE(groups.contains(group) || group == "train_test_validation") << group << " is not replayed";
    }
  }
};

#define REQUIRE_GOLDEN(name) \
  if (!found(name)) GTEST_SKIP() << "NO GOLDEN CASES: " << (name) << ".h5 is missing in " << testing::golden_dir()

TEST_P(DatasetGolden, EveryOperationGivesTheStateThatTheReferenceHas) {
  REQUIRE_GOLDEN("dataset_preprocessing");
  const io::Hdf5File file = open("dataset_preprocessing");
  expect_within(parity::replay_dataset_operations(file, GetParam()), file);
}

TEST_P(DatasetGolden, GeneSelectionChoosesTheGenesThatTheReferenceDoes) {
  REQUIRE_GOLDEN("hvg_seurat_v3");
  const io::Hdf5File file = open("hvg_seurat_v3");
  expect_within(parity::replay_gene_selection(file, GetParam()), file);
}

// The reference leaves zeros for batch numbers >= the number of batches.
TEST_P(DatasetGolden, ByDefaultEveryBatchHasItsLibrarySizeWhateverItsNumber) {
  REQUIRE_GOLDEN("dataset_preprocessing");
  const io::Hdf5File file = open("dataset_preprocessing");
  const auto numbers = [&](const std::string& path) { return file.read<std::int64_t>(path).values; };
  const auto X = file.read<float>("inputs/X");
  PopulateOptions options;
  options.batch_indices = numbers("inputs/noncontiguous_batch");
  options.labels = numbers("inputs/noncontiguous_labels");
  GeneExpressionDataset dataset;
  dataset.populate_from_data(CountMatrix::from_dense(X.shape[0], X.shape[1], X.values), options);
  const std::vector<float> means = file.read<float>("expected/populate/local_means").values;
  const std::vector<float> vars = file.read<float>("expected/populate/local_vars").values;
  for (std::size_t cell = 0; cell < means.size(); ++cell) {
    EXPECT_NEAR(dataset.local_means()[cell], means[cell], 1e-6) << cell;
    EXPECT_NEAR(dataset.local_vars()[cell], vars[cell], 1e-6) << cell;
  }
  EXPECT_EQ(dataset.batch_indices(), numbers("expected/populate_noncontiguous_categories/batch_indices"));
  EXPECT_EQ(dataset.batch_names(), (Names{"2", "5", "8"}));
  EXPECT_EQ(dataset.cell_types(), (Names{"5", "7", "9"}));
}

TEST_P(DatasetGolden, TrainTestValidationPermutations) {
  REQUIRE_GOLDEN("dataset_preprocessing");
  const io::Hdf5File file = open("dataset_preprocessing");
  const Names cases = file.children("expected/train_test_validation");
  ASSERT_EQ(cases.size(), 9U);
  for (const std::string& name : cases) {
    const std::string at = "expected/train_test_validation/" + name;
    const auto n = file.attribute_number<std::int64_t>(at, "n");
    EXPECT_EQ(numpy_permutation(0, n), file.read<std::int64_t>(at + "/permutation").values) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Storage, DatasetGolden, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Sparse" : "Dense"; });

}  // namespace
}  // namespace scvi
