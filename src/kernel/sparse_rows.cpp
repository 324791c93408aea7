#include "scvi/kernel/sparse_rows.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "scvi/core/parallel.hpp"
#include "scvi/kernel/sparse_linear.hpp"

namespace scvi::kernel {
namespace {

/// Memory behind a view.
struct Arrays {
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices;
  std::vector<float> values;
};

/// Values beside the other arrays of somebody else.
struct OtherValues {
  std::unique_ptr<float[]> values;
  std::shared_ptr<const void> rest;
};

constexpr std::int64_t kRowsPerChunk = 32;

}  // namespace

SparseRows log1p(const SparseRows& rows) {
  if (rows.view.n_rows == 0) return rows;
  const std::int64_t first = rows.view.indptr[0];
  const std::int64_t n = rows.n_entries();
  auto logs = std::make_shared<OtherValues>();
  logs->values = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(n));
  logs->rest = rows.owner;
  log1p_values(rows.view.values + first, n, logs->values.get());
  SparseRows result;
  result.view = rows.view;
  // The offsets count from the first entry of the whole.
  result.view.values = logs->values.get() - first;
  result.owner = std::move(logs);
  return result;
}

SparseRows select_rows(const SparseRows& from, const at::Tensor& rows) {
  const at::Tensor chosen = rows.reshape(-1).contiguous();
  const std::int64_t* row = chosen.data_ptr<std::int64_t>();
  const std::int64_t n_rows = chosen.numel();
  const CsrView& view = from.view;
  auto arrays = std::make_shared<Arrays>();
  arrays->indptr.resize(static_cast<std::size_t>(n_rows) + 1);
  for (std::int64_t i = 0; i < n_rows; ++i) {
    arrays->indptr[i + 1] = arrays->indptr[i] + view.indptr[row[i] + 1] - view.indptr[row[i]];
  }
  arrays->indices.resize(static_cast<std::size_t>(arrays->indptr.back()));
  arrays->values.resize(arrays->indices.size());
  parallel_for(n_rows, kRowsPerChunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = view.indptr[row[i]], last = view.indptr[row[i] + 1], to = arrays->indptr[i];
      std::copy(view.indices + first, view.indices + last, arrays->indices.data() + to);
      std::copy(view.values + first, view.values + last, arrays->values.data() + to);
    }
  });
  SparseRows result;
  result.view = {n_rows, view.n_columns, arrays->indptr.data(), arrays->indices.data(), arrays->values.data()};
  result.owner = std::move(arrays);
  return result;
}

SparseRows sparse_rows(const at::Tensor& dense) {
  const at::Tensor whole = dense.contiguous();
  const std::int64_t n_rows = whole.size(0);
  const std::int64_t n_columns = whole.size(1);
  auto arrays = std::make_shared<Arrays>();
  arrays->indptr.push_back(0);
  const float* value = whole.data_ptr<float>();
  for (std::int64_t row = 0; row < n_rows; ++row) {
    for (std::int64_t column = 0; column < n_columns; ++column, ++value) {
      if (*value == 0) continue;
      arrays->indices.push_back(static_cast<std::int32_t>(column));
      arrays->values.push_back(*value);
    }
    arrays->indptr.push_back(static_cast<std::int64_t>(arrays->values.size()));
  }
  SparseRows result;
  result.view = {n_rows, n_columns, arrays->indptr.data(), arrays->indices.data(), arrays->values.data()};
  result.owner = std::move(arrays);
  return result;
}

at::Tensor to_dense(const SparseRows& rows) {
  const CsrView& view = rows.view;
  at::Tensor dense = at::zeros({view.n_rows, view.n_columns}, at::kFloat);
  float* const out = dense.data_ptr<float>();
  parallel_for(view.n_rows, kRowsPerChunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t at = view.indptr[row]; at < view.indptr[row + 1]; ++at) {
        out[row * view.n_columns + view.indices[at]] = view.values[at];
      }
    }
  });
  return dense;
}

}  // namespace scvi::kernel
