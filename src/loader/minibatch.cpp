#include "scvi/loader/minibatch.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

at::Tensor column(std::span<const std::int64_t> cells, const std::vector<std::int64_t>& values, c10::Device device) {
  at::Tensor result = at::empty({static_cast<std::int64_t>(cells.size()), 1}, at::kLong);
  std::int64_t* out = result.data_ptr<std::int64_t>();
  for (const std::int64_t cell : cells) *out++ = values[cell];
  return result.to(device);
}

at::Tensor column(std::span<const std::int64_t> cells, const std::vector<float>& values, c10::Device device) {
  at::Tensor result = at::empty({static_cast<std::int64_t>(cells.size()), 1}, at::kFloat);
  float* out = result.data_ptr<float>();
  for (const std::int64_t cell : cells) *out++ = values[cell];
  return result.to(device);
}

}  // namespace

CountTensor::CountTensor(at::Tensor dense)
    : n_cells_(dense.size(0)), n_genes_(dense.size(1)), device_(dense.device()), dense_(std::move(dense)) {}

CountTensor::CountTensor(io::CsrBlock rows, std::int64_t n_genes, c10::Device device)
    : n_cells_(rows.n_rows()),
      n_genes_(n_genes),
      device_(device),
      rows_(std::make_shared<const io::CsrBlock>(std::move(rows))) {}

const at::Tensor& CountTensor::dense() const {
  if (dense_.defined()) return dense_;
  at::Tensor host = at::zeros({n_cells_, n_genes_}, at::kFloat);
  float* out = host.data_ptr<float>();
  for (std::int64_t cell = 0; cell < n_cells_; ++cell) {
    for (std::int64_t at = rows_->indptr[cell]; at < rows_->indptr[cell + 1]; ++at) {
      out[cell * n_genes_ + rows_->indices[at]] = rows_->values[at];
    }
  }
  dense_ = host.to(device_);
  return dense_;
}

MiniBatch make_minibatch(const GeneExpressionDataset& dataset, std::span<const std::int64_t> cells,
                         const MiniBatchOptions& options) {
  if (options.corrupted && !dataset.has_corrupted_X()) {
    throw InputError(
        {.problem = "has no corrupted counts", .field = "the data set", .remedy = "call corrupt() first"});
  }
  const CountMatrix& counts = options.corrupted ? dataset.corrupted_X() : dataset.X();
  MiniBatch batch;
  batch.cells.assign(cells.begin(), cells.end());
  if (counts.is_sparse()) {
    io::CsrBlock rows;
    counts.gather_csr(cells, rows);
    batch.counts = CountTensor(std::move(rows), counts.n_genes(), options.device);
  } else {
    at::Tensor dense = at::empty({static_cast<std::int64_t>(cells.size()), counts.n_genes()}, at::kFloat);
    counts.gather_dense(cells, dense.data_ptr<float>());
    batch.counts = CountTensor(dense.to(options.device));
  }
  batch.local_l_mean = column(cells, dataset.local_means(), options.device);
  batch.local_l_var = column(cells, dataset.local_vars(), options.device);
  batch.batch_index = column(cells, dataset.batch_indices(), options.device);
  batch.labels = column(cells, dataset.labels(), options.device);
  return batch;
}

std::vector<std::span<const std::int64_t>> cut_into_minibatches(std::span<const std::int64_t> order,
                                                                std::int64_t batch_size, TailPolicy tail) {
  std::vector<std::span<const std::int64_t>> minibatches;
  const auto size = static_cast<std::int64_t>(order.size());
  for (std::int64_t first = 0; first < size; first += batch_size) {
    minibatches.push_back(order.subspan(first, std::min(batch_size, size - first)));
  }
  if (minibatches.empty() || std::ssize(minibatches.back()) >= kSmallestMinibatch || tail == TailPolicy::keep) {
    return minibatches;
  }
  const std::int64_t tail_size = std::ssize(minibatches.back());
  if (tail == TailPolicy::skip) {
    minibatches.pop_back();
  } else if (minibatches.size() > 1) {
    minibatches.pop_back();
    const std::int64_t before = std::ssize(minibatches.back());
    minibatches.back() = order.subspan(size - tail_size - before);
  }
  return minibatches;
}

}  // namespace scvi
