#include "scvi/report/gene_values.hpp"

#include <cmath>

#include "figures.hpp"

namespace scvi::report {
namespace {

using testing::error_of;
using testing::holds;

io::Frame var_frame() {
  return {.index_name = "_index",
          .index = {"A", "B", "C", "C"},
          .columns = {testing::text_column("symbol", {"B", "beta", "", "gamma"})}};
}

TEST(GeneNames, AreThoseOfTheIndexThenSymbols) {
  const GeneNames names(var_frame(), "", "a.h5ad");
  EXPECT_EQ(names.find("A"), 0);
  EXPECT_EQ(names.find("B"), 1) << "the index goes first";
  EXPECT_EQ(names.find("beta"), 1);
  EXPECT_EQ(names.find("gamma"), 3);
  EXPECT_EQ(names.label(1), "beta");
  EXPECT_EQ(names.label(2), "C");
  EXPECT_TRUE(holds(error_of([&] { names.find("C"); }), "several genes 'C'"));
  EXPECT_TRUE(holds(error_of([&] { names.find("betta"); }), "did you mean 'beta'?"));
}

std::unique_ptr<io::MatrixReader> small_matrix() {
  // 0 2 8
  // 0 0 0
  // 1 1 2
  return io::memory_matrix(
      {.layout = io::MatrixInfo::Layout::csr,
       .n_rows = 3,
       .n_cols = 3,
       .n_stored = 5,
       .value_type = "float32",
       .path = "X"},
      {.first_row = 0, .indptr = {0, 2, 2, 5}, .indices = {1, 2, 0, 1, 2}, .values = {2, 8, 1, 1, 2}});
}

TEST(GeneValues, AreTransformedByTheTotalOfTheCell) {
  const std::vector<std::int64_t> genes = {2, 0, 2};
  const auto matrix = small_matrix();
  const auto stored = read_gene_values(*matrix, genes, ValueTransform::as_stored, "f");
  EXPECT_EQ(stored, (std::vector<std::vector<float>>{{8, 0, 2}, {0, 0, 1}, {8, 0, 2}}));
  const auto scaled = read_gene_values(*matrix, genes, ValueTransform::per_ten_thousand, "f");
  EXPECT_EQ(scaled, (std::vector<std::vector<float>>{{8000, 0, 5000}, {0, 0, 2500}, {8000, 0, 5000}}));
  const auto logs = read_gene_values(*matrix, genes, ValueTransform::log_per_ten_thousand, "f");
  EXPECT_FLOAT_EQ(logs[0][0], static_cast<float>(std::log1p(8000.0)));
  EXPECT_FLOAT_EQ(logs[1][2], static_cast<float>(std::log1p(2500.0)));
}

TEST(GeneValues, AreNamedByWhatWasDoneToThem) {
  EXPECT_EQ(title_of(ValueTransform::log_per_ten_thousand), "log(1 + counts per 10,000)");
  EXPECT_EQ(title_of(ValueTransform::per_ten_thousand, "norm"), "norm per 10,000");
  EXPECT_EQ(title_of(ValueTransform::as_stored, "norm"), "norm");
}

TEST(GeneValues, ThatAreNoCountsAreRefusedUnlessShownAsStored) {
  const auto matrix_with = [](float value) {
    return io::memory_matrix({.layout = io::MatrixInfo::Layout::csr,
                              .n_rows = 1,
                              .n_cols = 2,
                              .n_stored = 2,
                              .value_type = "float32",
                              .path = "layers/z"},
                             {.first_row = 0, .indptr = {0, 2}, .indices = {0, 1}, .values = {1, value}});
  };
  const std::vector<std::int64_t> first = {0}, second = {1};
  const std::string message =
      error_of([&] { read_gene_values(*matrix_with(-2), first, ValueTransform::log_per_ten_thousand, "a.h5ad"); });
  for (const char* part : {"a.h5ad", "layers/z", "cell number 0", "gene number 1", "-2"}) {
    EXPECT_TRUE(holds(message, part)) << message;
  }
  EXPECT_EQ(read_gene_values(*matrix_with(-2), second, ValueTransform::as_stored, "f")[0][0], -2);
  EXPECT_THROW(read_gene_values(*matrix_with(NAN), second, ValueTransform::as_stored, "f"), InputError);
}

TEST(GroupExpression, IsTheMeanAndTheFractionOfEachGroup) {
  const auto matrix = small_matrix();
  const std::vector<std::int64_t> genes = {1, 2};
  const io::Categorical groups{.codes = {2, 2, 0}, .categories = {"z", "empty", "a"}, .ordered = false};
  const GroupExpression result =
      group_expression(*matrix, genes, {"one", "two"}, groups, ValueTransform::as_stored, "f");
  EXPECT_EQ(result.groups, (std::vector<std::string>{"z", "a"}));
  EXPECT_EQ(result.group_sizes, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(result.mean, (std::vector<double>{1, 2, 1, 4}));
  EXPECT_EQ(result.fraction, (std::vector<double>{1, 1, 0.5, 0.5}));
  const io::Categorical none{.codes = {-1, -1, -1}, .categories = {"a"}, .ordered = false};
  EXPECT_THROW(group_expression(*matrix, genes, {"one", "two"}, none, ValueTransform::as_stored, "f"), InputError);
}

}  // namespace
}  // namespace scvi::report
