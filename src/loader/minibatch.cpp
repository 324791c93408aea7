#include "scvi/loader/minibatch.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "scvi/core/error.hpp"
#include "scvi/core/profile.hpp"

namespace scvi {
namespace {

/// Whether nobody but the caller can see the memory of a tensor, and it has this shape and type.
bool is_free_for(const at::Tensor& tensor, at::IntArrayRef shape, at::ScalarType type) {
  return tensor.defined() && tensor.use_count() == 1 && tensor.storage().use_count() == 1 && tensor.is_cpu() &&
         tensor.scalar_type() == type && tensor.sizes() == shape && tensor.is_contiguous();
}

/// A tensor in main memory with any content. @param memory taken where it fits and is free
at::Tensor host_tensor(at::Tensor memory, at::IntArrayRef shape, at::ScalarType type) {
  return is_free_for(memory, shape, type) ? std::move(memory) : at::empty(shape, type);
}

/// One number per cell, (n_cells, 1).
template <class T, class ValueOf>
at::Tensor column(std::span<const std::int64_t> cells, ValueOf value_of, c10::Device device, at::Tensor memory) {
  at::Tensor result = host_tensor(std::move(memory), {std::ssize(cells), 1}, c10::CppTypeToScalarType<T>::value);
  T* out = result.data_ptr<T>();
  for (const std::int64_t cell : cells) *out++ = static_cast<T>(value_of(cell));
  return result.to(device);
}

template <class T>
at::Tensor column(std::span<const std::int64_t> cells, const std::vector<T>& values, c10::Device device,
                  at::Tensor memory) {
  return column<T>(
      cells, [&](std::int64_t cell) { return values[cell]; }, device, std::move(memory));
}

at::Tensor measurement_rows(const CellMeasurement& measurement, std::span<const std::int64_t> cells,
                            c10::Device device, at::Tensor memory) {
  const auto n_columns = std::ssize(measurement.columns);
  at::Tensor result = host_tensor(std::move(memory), {std::ssize(cells), n_columns}, at::kFloat);
  auto* out = result.data_ptr<float>();
  for (const std::int64_t cell : cells)
    out = std::copy_n(measurement.data.begin() + cell * n_columns, n_columns, out);
  return result.to(device);
}

[[noreturn]] void refuse_text(const std::string& attribute) {
  throw InputError({.problem = "holds text, which no tensor can",
                    .field = "cell attribute '" + attribute + "'",
                    .remedy = "make its values categories or numbers"});
}

at::Tensor attribute_column(const io::Column& attribute, std::span<const std::int64_t> cells, c10::Device device,
                            at::Tensor memory) {
  const auto whole = [&](const auto& values) {
    const auto value_of = [&](std::int64_t cell) {
      if (attribute.is_missing(cell)) {
        throw InputError({.problem = "has no value in cell number " + std::to_string(cell + 1),
                          .field = "cell attribute '" + attribute.name + "'"});
      }
      return values[cell];
    };
    return column<std::int64_t>(cells, value_of, device, std::move(memory));
  };
  const auto real = [&](const std::vector<double>& values) {
    const auto value_of = [&](std::int64_t cell) { return attribute.is_missing(cell) ? std::nan("") : values[cell]; };
    return column<float>(cells, value_of, device, std::move(memory));
  };
  const auto code = [&](const std::vector<std::int32_t>& codes) {
    const auto value_of = [&](std::int64_t cell) { return codes[cell]; };
    return column<std::int64_t>(cells, value_of, device, std::move(memory));
  };
  if (const auto* values = std::get_if<std::vector<double>>(&attribute.values)) return real(*values);
  if (const auto* values = std::get_if<std::vector<std::int64_t>>(&attribute.values)) return whole(*values);
  if (const auto* values = std::get_if<io::Boolean>(&attribute.values)) return whole(values->values);
  if (const auto* values = std::get_if<io::Categorical>(&attribute.values)) return code(values->codes);
  refuse_text(attribute.name);
}

const CountMatrix& counts_of(const GeneExpressionDataset& dataset, const std::string& version) {
  return version.empty() ? dataset.X() : dataset.dataset_version(version);
}

CountTensor gather_counts(const CountMatrix& counts, std::span<const std::int64_t> cells,
                          const MiniBatchOptions& options, CountTensor::Memory memory) {
  // Only kernels on the CPU take sparse rows; for a GPU whoever makes minibatches ahead makes them dense, too.
  if (counts.is_sparse() && !options.dense && options.device.is_cpu()) {
    counts.gather_csr(cells, memory.rows);
    return CountTensor(std::move(memory.rows), counts.n_genes(), options.device, std::move(memory.dense));
  }
  at::Tensor dense = host_tensor(std::move(memory.dense), {std::ssize(cells), counts.n_genes()}, at::kFloat);
  counts.gather_dense(cells, dense.data_ptr<float>());
  return CountTensor(dense.to(options.device));
}

}  // namespace

CountTensor::CountTensor(at::Tensor dense)
    : n_cells_(dense.size(0)), n_genes_(dense.size(1)), device_(dense.device()), dense_(std::move(dense)) {}

CountTensor::CountTensor(io::CsrBlock rows, std::int64_t n_genes, c10::Device device, at::Tensor memory)
    : n_cells_(rows.n_rows()),
      n_genes_(n_genes),
      device_(device),
      rows_(std::make_shared<io::CsrBlock>(std::move(rows))),
      memory_(std::move(memory)) {}

const at::Tensor& CountTensor::dense() const {
  if (dense_.defined()) return dense_;
  at::Tensor host = host_tensor(std::move(memory_), {n_cells_, n_genes_}, at::kFloat);
  auto* out = host.data_ptr<float>();
  // Not at::zeros(), which may start threads of its own.
  std::fill_n(out, host.numel(), 0.0F);
  for (std::int64_t cell = 0; cell < n_cells_; ++cell) {
    for (std::int64_t at = rows_->indptr[cell]; at < rows_->indptr[cell + 1]; ++at) {
      out[cell * n_genes_ + rows_->indices[at]] = rows_->values[at];
    }
  }
  dense_ = host.to(device_);
  return dense_;
}

CountTensor::Memory CountTensor::release() && {
  Memory memory;
  if (rows_ && rows_.use_count() == 1) memory.rows = std::move(*rows_);
  memory.dense = std::move(dense_.defined() ? dense_ : memory_);
  *this = CountTensor();
  return memory;
}

void check_minibatch_options(const GeneExpressionDataset& dataset, const MiniBatchOptions& options) {
  counts_of(dataset, options.version);
  for (const auto& name : options.measurements) dataset.cell_measurement(name);
  for (const auto& name : options.attributes) {
    if (std::holds_alternative<std::vector<std::string>>(dataset.cell_attribute(name).values)) refuse_text(name);
  }
}

MiniBatch make_minibatch(const GeneExpressionDataset& dataset, std::span<const std::int64_t> cells,
                         const MiniBatchOptions& options, MiniBatch recycled) {
  const ProfileSection section("minibatch");
  const c10::Device device = options.device;
  MiniBatch batch;
  batch.cells = std::move(recycled.cells);
  batch.cells.assign(cells.begin(), cells.end());
  batch.counts =
      gather_counts(counts_of(dataset, options.version), cells, options, std::move(recycled.counts).release());
  batch.local_l_mean = column(cells, dataset.local_means(), device, std::move(recycled.local_l_mean));
  batch.local_l_var = column(cells, dataset.local_vars(), device, std::move(recycled.local_l_var));
  batch.batch_index = column(cells, dataset.batch_indices(), device, std::move(recycled.batch_index));
  batch.labels = column(cells, dataset.labels(), device, std::move(recycled.labels));
  for (const auto& name : options.measurements) {
    batch.measurements[name] =
        measurement_rows(dataset.cell_measurement(name), cells, device, std::move(recycled.measurements[name]));
  }
  for (const auto& name : options.attributes) {
    batch.attributes[name] =
        attribute_column(dataset.cell_attribute(name), cells, device, std::move(recycled.attributes[name]));
  }
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
