#include "scvi/loader/minibatch.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "scvi/core/error.hpp"
#include "with_gpu.hpp"

namespace scvi {
namespace {

std::vector<std::size_t> cut_sizes(std::int64_t n, std::int64_t batch_size, TailPolicy tail) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::vector<std::size_t> sizes;
  std::int64_t next = 0;
  for (const auto& part : cut_into_minibatches(order, batch_size, tail)) {
    sizes.push_back(part.size());
    for (const auto cell : part) EXPECT_EQ(cell, next++);
  }
  return sizes;
}

using Sizes = std::vector<std::size_t>;

TEST(CutIntoMinibatches, JoinsATailOfOneOrTwoCellsAndLosesNone) {
  EXPECT_EQ(cut_sizes(12, 4, TailPolicy::join), (Sizes{4, 4, 4}));
  EXPECT_EQ(cut_sizes(9, 4, TailPolicy::join), (Sizes{4, 5}));
  EXPECT_EQ(cut_sizes(10, 4, TailPolicy::join), (Sizes{4, 6}));
  EXPECT_EQ(cut_sizes(11, 4, TailPolicy::join), (Sizes{4, 4, 3}));
  EXPECT_EQ(cut_sizes(2, 4, TailPolicy::join), (Sizes{2}));
  EXPECT_TRUE(cut_sizes(0, 4, TailPolicy::join).empty());
}

TEST(CutIntoMinibatches, KeepsOrSkipsTheTailWhenTold) {
  EXPECT_EQ(cut_sizes(9, 4, TailPolicy::keep), (Sizes{4, 4, 1}));
  EXPECT_EQ(cut_sizes(9, 4, TailPolicy::skip), (Sizes{4, 4}));
  EXPECT_EQ(cut_sizes(11, 4, TailPolicy::skip), (Sizes{4, 4, 3}));
}

GeneExpressionDataset small_dataset(bool sparse) {
  const std::vector<float> counts = {1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 0, 6};
  const CountMatrix dense = CountMatrix::from_dense(4, 3, counts);
  GeneExpressionDataset dataset;
  PopulateOptions options;
  options.batch_indices = {0, 1, 1, 0};
  options.labels = {2, 0, 1, 2};
  dataset.populate_from_data(sparse ? dense.to_sparse() : dense, options);
  return dataset;
}

TEST(MiniBatch, HoldsTheRowsThatWereAskedForFromSparseAndDenseCountsAlike) {
  for (const bool sparse : {true, false}) {
    const auto dataset = small_dataset(sparse);
    const MiniBatch batch = make_minibatch(dataset, std::vector<std::int64_t>{2, 0});
    const std::vector<float> expected = {4, 0, 5, 1, 0, 2};
    EXPECT_TRUE(at::equal(batch.counts.dense(), at::tensor(expected).view({2, 3})));
    EXPECT_EQ(batch.counts.csr() != nullptr, sparse);
    EXPECT_EQ(batch.size(), 2);
    EXPECT_EQ(batch.batch_index[0].item<std::int64_t>(), 1);
    EXPECT_EQ(batch.labels[1].item<std::int64_t>(), 2);
    EXPECT_FLOAT_EQ(batch.local_l_mean[0].item<float>(), dataset.local_means()[2]);
    EXPECT_FLOAT_EQ(batch.local_l_var[1].item<float>(), dataset.local_vars()[0]);
  }
}

TEST(MiniBatch, IsTheSameWhetherTheDenseTensorIsMadeAtOnceOrWhenAskedFor) {
  const std::vector<std::int64_t> cells = {3, 1, 3};
  for (const bool sparse : {true, false}) {
    const auto dataset = small_dataset(sparse);
    const MiniBatch at_once = make_minibatch(dataset, cells, {.dense = true});
    EXPECT_EQ(at_once.counts.csr(), nullptr);
    EXPECT_TRUE(at::equal(at_once.counts.dense(), make_minibatch(dataset, cells).counts.dense()));
  }
}

using MiniBatchOnGpu = testing::WithGpu;

TEST_F(MiniBatchOnGpu, HoldsTheSameNumbers) {
  const std::vector<std::int64_t> cells = {3, 1, 3};
  for (const bool sparse : {true, false}) {
    const auto dataset = small_dataset(sparse);
    const MiniBatch here = make_minibatch(dataset, cells);
    MiniBatch there = make_minibatch(dataset, cells, {.device = gpu_});
    // What another minibatch has left does no harm.
    there = make_minibatch(dataset, cells, {.device = gpu_}, std::move(there));
    EXPECT_EQ(there.counts.device(), gpu_);
    EXPECT_TRUE(at::equal(there.counts.dense().cpu(), here.counts.dense()));
    EXPECT_TRUE(at::equal(there.batch_index.cpu(), here.batch_index));
    EXPECT_TRUE(at::equal(there.labels.cpu(), here.labels));
    EXPECT_TRUE(at::equal(there.local_l_mean.cpu(), here.local_l_mean));
    EXPECT_TRUE(at::equal(there.local_l_var.cpu(), here.local_l_var));
  }
}

TEST(MiniBatch, TakesItsCountsFromAnyRegisteredVersion) {
  auto dataset = small_dataset(true);
  const std::vector<std::int64_t> cells = {0, 1};
  EXPECT_THROW(make_minibatch(dataset, cells, {.version = kCorruptedVersion}), InputError);
  dataset.corrupt({.rate = 1, .corruption = Corruption::binomial, .seed = 1});
  const MiniBatch corrupted = make_minibatch(dataset, cells, {.version = kCorruptedVersion});
  EXPECT_LT(corrupted.counts.dense().sum().item<float>(),
            make_minibatch(dataset, cells).counts.dense().sum().item<float>());

  const std::vector<float> sevens(12, 7);
  dataset.register_dataset_version("imputed", CountMatrix::from_dense(4, 3, sevens));
  const MiniBatch imputed = make_minibatch(dataset, cells, {.version = "imputed"});
  EXPECT_TRUE(at::equal(imputed.counts.dense(), at::full({2, 3}, 7.0F)));
}

/// With proteins and one further attribute of each kind.
GeneExpressionDataset annotated_dataset() {
  auto dataset = small_dataset(true);
  dataset.initialize_cell_measurement({.name = "protein_expression",
                                       .data = {10, 11, 20, 21, 30, 31, 40, 41},
                                       .columns_attr_name = "protein_names",
                                       .columns = {"CD3", "CD4"}});
  const auto add = [&](const char* name, io::Column::Values values) {
    dataset.initialize_cell_attribute({.name = name, .values = std::move(values), .missing = {}});
  };
  add("age", std::vector<double>{0.5, 1.5, 2.5, 3.5});
  add("plate", std::vector<std::int64_t>{7, 8, 9, 7});
  add("doublet", io::Boolean{{0, 1, 0, 1}});
  add("tissue", io::Categorical{.codes = {0, -1, 1, 0}, .categories = {"lung", "skin"}});
  add("barcode", std::vector<std::string>{"A", "C", "G", "T"});
  return dataset;
}

TEST(MiniBatch, CarriesTheMeasurementsAndAttributesThatAreAskedFor) {
  const auto dataset = annotated_dataset();
  const std::vector<std::int64_t> cells = {2, 1};
  const MiniBatch batch = make_minibatch(
      dataset, cells, {.measurements = {"protein_expression"}, .attributes = {"age", "plate", "doublet", "tissue"}});
  const std::vector<float> proteins = {30, 31, 20, 21};
  EXPECT_TRUE(at::equal(batch.measurements.at("protein_expression"), at::tensor(proteins).view({2, 2})));
  const auto whole = [](std::int64_t a, std::int64_t b) {
    return at::tensor(std::vector<std::int64_t>{a, b}).view({2, 1});
  };
  EXPECT_TRUE(at::equal(batch.attributes.at("age"), at::tensor(std::vector<float>{2.5, 1.5}).view({2, 1})));
  EXPECT_TRUE(at::equal(batch.attributes.at("plate"), whole(9, 8)));
  EXPECT_TRUE(at::equal(batch.attributes.at("doublet"), whole(0, 1)));
  EXPECT_TRUE(at::equal(batch.attributes.at("tissue"), whole(1, -1)));
  EXPECT_TRUE(make_minibatch(dataset, cells).measurements.empty());
  EXPECT_TRUE(make_minibatch(dataset, cells).attributes.empty());
}

TEST(MiniBatch, RefusesAnnotationThatIsAbsentOrText) {
  const auto dataset = annotated_dataset();
  EXPECT_THROW(check_minibatch_options(dataset, {.version = "imputed"}), InputError);
  EXPECT_THROW(check_minibatch_options(dataset, {.measurements = {"protein"}}), InputError);
  EXPECT_THROW(check_minibatch_options(dataset, {.attributes = {"weight"}}), InputError);
  EXPECT_THROW(check_minibatch_options(dataset, {.attributes = {"barcode"}}), InputError);
  EXPECT_NO_THROW(check_minibatch_options(dataset, {.measurements = {"protein_expression"}, .attributes = {"age"}}));
}

TEST(MiniBatch, HasNoNumberForAMissingRealValueAndRefusesAMissingWholeOne) {
  auto dataset = small_dataset(true);
  dataset.initialize_cell_attribute(
      {.name = "age", .values = std::vector<double>{1, 2, 3, 4}, .missing = {0, 1, 0, 0}});
  dataset.initialize_cell_attribute(
      {.name = "plate", .values = std::vector<std::int64_t>{1, 2, 3, 4}, .missing = {0, 1, 0, 0}});
  const std::vector<std::int64_t> missing = {1};
  EXPECT_TRUE(std::isnan(make_minibatch(dataset, missing, {.attributes = {"age"}}).attributes["age"].item<float>()));
  EXPECT_THROW(make_minibatch(dataset, missing, {.attributes = {"plate"}}), InputError);
  EXPECT_NO_THROW(make_minibatch(dataset, std::vector<std::int64_t>{0}, {.attributes = {"plate"}}));
}

TEST(MiniBatch, UsesMemoryAgainThatNobodyElseHolds) {
  const auto dataset = annotated_dataset();
  const MiniBatchOptions options{.measurements = {"protein_expression"}};
  MiniBatch first = make_minibatch(dataset, std::vector<std::int64_t>{0, 1}, options);
  const void* dense = first.counts.dense().data_ptr();
  const void* rows = first.counts.csr()->values.data();
  const void* labels = first.labels.data_ptr();
  const void* proteins = first.measurements.at("protein_expression").data_ptr();
  const MiniBatch second = make_minibatch(dataset, std::vector<std::int64_t>{1, 0}, options, std::move(first));
  EXPECT_EQ(second.counts.dense().data_ptr(), dense);
  EXPECT_EQ(second.counts.csr()->values.data(), rows);
  EXPECT_EQ(second.labels.data_ptr(), labels);
  EXPECT_EQ(second.measurements.at("protein_expression").data_ptr(), proteins);
  EXPECT_TRUE(at::equal(second.counts.dense(), at::tensor(std::vector<float>{0, 3, 0, 1, 0, 2}).view({2, 3})));
}

TEST(MiniBatch, LeavesMemoryAloneThatSomebodyHolds) {
  const auto dataset = small_dataset(true);
  const std::vector<std::int64_t> cells = {0, 1};
  const std::vector<std::int64_t> others = {2, 3};
  const at::Tensor expected = make_minibatch(dataset, cells).counts.dense();
  for (const bool dense : {true, false}) {
    const MiniBatchOptions options{.dense = dense};
    MiniBatch batch = make_minibatch(dataset, cells, options);
    const at::Tensor tensor = batch.counts.dense();
    batch = make_minibatch(dataset, others, options, std::move(batch));
    batch.counts.dense();
    EXPECT_TRUE(at::equal(tensor, expected));

    batch = make_minibatch(dataset, cells, options);
    const at::Tensor view = batch.counts.dense().detach().view({6});  // another tensor on the same storage
    batch = make_minibatch(dataset, others, options, std::move(batch));
    batch.counts.dense();
    EXPECT_TRUE(at::equal(view, expected.view({6})));
  }
  MiniBatch batch = make_minibatch(dataset, cells);
  const CountTensor counts = batch.counts;
  batch = make_minibatch(dataset, others, {}, std::move(batch));
  EXPECT_EQ(counts.csr()->values, (std::vector<float>{1, 2, 3}));
}

}  // namespace
}  // namespace scvi
