#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "scvi/kernel/csr_transposed.hpp"
#include "scvi/kernel/csr_view.hpp"

namespace scvi::kernel {

/// Sparse float32 rows on the CPU that several layers and their backward passes share; never changed. Cheap to copy.
struct SparseRows {
  CsrView view{};
  std::shared_ptr<const void> owner{};  ///< of the memory behind the view
  /// The same by columns: of use to all layers that read the rows, and made when the first one asks transposed().
  std::shared_ptr<std::optional<CsrTransposed>> by_columns = std::make_shared<std::optional<CsrTransposed>>();

  CsrView transposed() const {
    if (!*by_columns) by_columns->emplace(view);
    return (*by_columns)->view();
  }

  std::int64_t n_entries() const { return view.n_rows == 0 ? 0 : view.indptr[view.n_rows] - view.indptr[0]; }
};

/// The same rows with log(1 + value) in place of each value.
SparseRows log1p(const SparseRows& rows);
/// These rows in this order; they may repeat.
/// @param rows int64 positions below the number of rows
SparseRows select_rows(const SparseRows& from, const at::Tensor& rows);
/// The values of a tensor (rows, columns) that are not 0. @pre float32 on the CPU
SparseRows sparse_rows(const at::Tensor& dense);
/// (rows, columns) float32.
at::Tensor to_dense(const SparseRows& rows);

/// What a layer reads: a dense tensor, or sparse rows, which become dense only where an operation needs that.
class LayerInput {
 public:
  /// @param dense (..., features)
  LayerInput(at::Tensor dense) : dense_(std::move(dense)) {}  // NOLINT: a tensor is an input as it stands
  /// @param make_dense gives the same values as a tensor (rows, columns); called at most once
  LayerInput(SparseRows rows, std::function<at::Tensor()> make_dense)
      : rows_(std::move(rows)), make_dense_(std::move(make_dense)) {}

  /// Sparse rows worth being read as such, or nullptr.
  const SparseRows* sparse() const { return rows_ ? &*rows_ : nullptr; }
  const at::Tensor& dense() const {
    if (!dense_.defined()) dense_ = make_dense_();
    return dense_;
  }
  /// Of an input in two dimensions.
  std::int64_t n_rows() const { return rows_ ? rows_->view.n_rows : dense_.size(0); }
  std::int64_t n_features() const { return rows_ ? rows_->view.n_columns : dense_.size(-1); }

 private:
  std::optional<SparseRows> rows_;
  std::function<at::Tensor()> make_dense_;
  mutable at::Tensor dense_;
};

}  // namespace scvi::kernel
