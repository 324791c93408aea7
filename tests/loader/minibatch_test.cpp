#include "scvi/loader/minibatch.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>

#include "scvi/core/error.hpp"

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

TEST(MiniBatch, OfCorruptedCountsNeedsThem) {
  auto dataset = small_dataset(true);
  const std::vector<std::int64_t> cells = {0, 1};
  EXPECT_THROW(make_minibatch(dataset, cells, {.device = c10::kCPU, .corrupted = true}), InputError);
  dataset.corrupt({.rate = 1, .corruption = Corruption::binomial, .seed = 1});
  const MiniBatch corrupted = make_minibatch(dataset, cells, {.device = c10::kCPU, .corrupted = true});
  EXPECT_LT(corrupted.counts.dense().sum().item<float>(),
            make_minibatch(dataset, cells).counts.dense().sum().item<float>());
}

}  // namespace
}  // namespace scvi
