#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi {

/// The counts of some cells, (n_cells, n_genes). They stay sparse until somebody asks for the dense tensor, which is
/// then made once.
class CountTensor {
 public:
  /// Memory of counts that are no longer needed.
  struct Memory {
    io::CsrBlock rows;
    at::Tensor dense;
  };

  CountTensor() = default;
  /// @param dense (n_cells, n_genes), floating point
  explicit CountTensor(at::Tensor dense);
  /// @param rows in compressed form, float32
  /// @param memory for the dense tensor; used where it has the right shape and nobody else holds it
  CountTensor(io::CsrBlock rows, std::int64_t n_genes, c10::Device device, at::Tensor memory = {});

  std::int64_t n_cells() const { return n_cells_; }
  std::int64_t n_genes() const { return n_genes_; }
  c10::Device device() const { return device_; }
  /// (n_cells, n_genes) on the device of the minibatch.
  const at::Tensor& dense() const;
  /// The rows in compressed form, or nullptr when these counts came dense.
  const io::CsrBlock* csr() const { return rows_.get(); }
  /// The same for somebody who goes on reading them; their memory is then not used again.
  std::shared_ptr<const io::CsrBlock> shared_csr() const { return rows_; }
  /// Gives up the counts and hands out their memory, as far as nobody else holds it.
  Memory release() &&;

 private:
  std::int64_t n_cells_ = 0;
  std::int64_t n_genes_ = 0;
  c10::Device device_ = c10::Device(c10::kCPU);
  std::shared_ptr<io::CsrBlock> rows_;
  mutable at::Tensor memory_;
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
  /// By name, (n_cells, n_columns) float32; those that MiniBatchOptions asks for.
  std::map<std::string, at::Tensor> measurements = {};
  /// Further cell attributes by name, (n_cells, 1): float32 for real numbers, int64 for whole numbers, truth values
  /// and the codes of categories (-1: missing); those that MiniBatchOptions asks for.
  std::map<std::string, at::Tensor> attributes = {};

  std::int64_t size() const { return counts.n_cells(); }
};

/// The version of the counts that GeneExpressionDataset::corrupt() makes.
inline constexpr const char* kCorruptedVersion = "corrupted_X";

struct MiniBatchOptions {
  c10::Device device = c10::Device(c10::kCPU);
  std::string version = {};  ///< of the counts: a registered one such as kCorruptedVersion; "": X
  /// Make the dense tensor at once, and it alone. Default: so for a GPU; on the CPU sparse counts come as compressed
  /// rows, and the dense tensor is made when it is asked for.
  bool dense = false;
  std::vector<std::string> measurements = {};  ///< names of cell measurements
  std::vector<std::string> attributes = {};    ///< names of cell attributes
};

/// @throws InputError when the data set lacks what the options name, or an attribute is text
void check_minibatch_options(const GeneExpressionDataset& dataset, const MiniBatchOptions& options);

/// @param cells positions in the data set, any order, repeats allowed
/// @param recycled a minibatch that is no longer needed: its memory is used again as far as nobody else holds it
/// @throws InputError as check_minibatch_options(), or when a whole number or truth value is missing in a cell
MiniBatch make_minibatch(const GeneExpressionDataset& dataset, std::span<const std::int64_t> cells,
                         const MiniBatchOptions& options = {}, MiniBatch recycled = {});

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
