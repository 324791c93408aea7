#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi {

/// The counts of some cells, (n_cells, n_genes). They stay sparse until somebody asks for the dense tensor, which is
/// then made once.
class CountTensor {
 public:
  CountTensor() = default;
  /// @param dense (n_cells, n_genes), floating point
  explicit CountTensor(at::Tensor dense);
  /// @param rows in compressed form, float32
  CountTensor(io::CsrBlock rows, std::int64_t n_genes, c10::Device device);

  std::int64_t n_cells() const { return n_cells_; }
  std::int64_t n_genes() const { return n_genes_; }
  /// (n_cells, n_genes) on the device of the minibatch.
  const at::Tensor& dense() const;
  /// The rows in compressed form, or nullptr when these counts came dense.
  const io::CsrBlock* csr() const { return rows_.get(); }

 private:
  std::int64_t n_cells_ = 0;
  std::int64_t n_genes_ = 0;
  c10::Device device_ = c10::Device(c10::kCPU);
  std::shared_ptr<const io::CsrBlock> rows_;
  mutable at::Tensor dense_;
};

/// What a model sees of some cells in one step.
struct MiniBatch {
  std::vector<std::int64_t> cells;  ///< positions in the data set; empty when made from tensors
  CountTensor counts;               ///< (n_cells, n_genes)
  at::Tensor local_l_mean;          ///< (n_cells, 1) mean of the library-size prior, natural log
  at::Tensor local_l_var;           ///< (n_cells, 1) its variance
  at::Tensor batch_index;           ///< (n_cells, 1) int64
  at::Tensor labels;                ///< (n_cells, 1) int64

  std::int64_t size() const { return counts.n_cells(); }
};

struct MiniBatchOptions {
  c10::Device device = c10::Device(c10::kCPU);
  bool corrupted = false;  ///< counts from the data set's corrupted version
};

/// @throws InputError when corrupted counts are asked for and there are none
MiniBatch make_minibatch(const GeneExpressionDataset& dataset, std::span<const std::int64_t> cells,
                         const MiniBatchOptions& options = {});

/// What becomes of a last minibatch that is too small for batch norm (fewer than three cells).
enum class TailPolicy {
  join,  ///< it joins the minibatch before it; no cell is ever lost
  keep,  ///< it is a minibatch of its own; right for evaluation
  skip,  ///< it is left out, as the reference does in training
};

/// Fewest cells of a training minibatch.
inline constexpr std::int64_t kSmallestMinibatch = 3;

/// Cuts an order of cells into minibatches. @pre batch_size > 0
std::vector<std::span<const std::int64_t>> cut_into_minibatches(std::span<const std::int64_t> order,
                                                                std::int64_t batch_size, TailPolicy tail);

}  // namespace scvi
