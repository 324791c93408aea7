#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "scvi/posterior/cell_array.hpp"

namespace scvi {

/// @throws InputError unless it is positive
void check_n_samples(std::int64_t n_samples);
/// @throws InputError for a position that is not that of a gene
void check_genes(const std::vector<std::int64_t>& genes, std::int64_t n_genes);

/// These columns of the last dimension; all where `genes` is empty. Contiguous.
at::Tensor of_genes(const at::Tensor& values, const std::vector<std::int64_t>& genes);

/// A SampleArray that minibatches write to, each its own cells, from any thread.
class SamplePlaces {
 public:
  /// All numbers are 0 at first. @throws InputError when there are more than memory can hold
  SamplePlaces(std::int64_t n_samples, std::int64_t n_cells, std::int64_t n_columns);

  /// Adds (samples, cells, columns), or (cells, columns) for one sample, to what is there.
  void add(std::int64_t first_sample, std::int64_t first_cell, const at::Tensor& values);
  SampleArray take() && { return std::move(array_); }

 private:
  SampleArray array_;
};

}  // namespace scvi
