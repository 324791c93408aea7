#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scvi/dataset/count_matrix.hpp"
#include "scvi/dataset/count_store.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"

/// Counts that behave as if they were on disk, with the faults and delays that a disk may have.
namespace scvi::testing {

/// Rows of a matrix in memory. Checks that one thread at a time reads, as HDF5 needs it.
class WatchedMatrix final : public io::MatrixReader {
 public:
  struct Watch {
    std::atomic<int> readers{0};
    std::atomic<bool> overlapped{false};
    std::atomic<std::int64_t> n_reads{0};
    /// Called with the first row of each read; may throw or wait.
    std::function<void(std::int64_t)> before_read{};
  };

  WatchedMatrix(CountMatrix counts, std::shared_ptr<Watch> watch)
      : counts_(std::move(counts)), watch_(std::move(watch)) {
    info_ = {.layout = io::MatrixInfo::Layout::csr,
             .n_rows = counts_.n_cells(),
             .n_cols = counts_.n_genes(),
             .n_stored = counts_.n_nonzero(),
             .value_type = "float32",
             .path = "X"};
  }

  const io::MatrixInfo& info() const override { return info_; }
  bool has_rows_on_disk() const override { return true; }
  void read_rows(std::int64_t first, std::int64_t count, io::CsrBlock& out) override {
    if (watch_->readers.fetch_add(1) != 0) watch_->overlapped = true;
    ++watch_->n_reads;
    struct Leave {
      Watch& watch;
      ~Leave() { --watch.readers; }
    } leave{*watch_};
    if (watch_->before_read) watch_->before_read(first);
    std::vector<std::int64_t> rows;
    for (std::int64_t row = first; row < std::min(first + count, info_.n_rows); ++row) rows.push_back(row);
    counts_.gather_csr(rows, out);
    out.first_row = first;
  }
  void for_each_block(const std::function<void(const io::CsrBlock&)>& use) override {
    constexpr std::int64_t kRows = 7;
    io::CsrBlock block;
    for (std::int64_t first = 0; first < info_.n_rows; first += kRows) {
      read_rows(first, kRows, block);
      use(block);
    }
  }

 private:
  io::MatrixInfo info_;
  CountMatrix counts_;
  std::shared_ptr<Watch> watch_;
};

inline StoredCells stored_cells_of(const CountMatrix& counts) {
  StoredCells cells;
  std::vector<float> values;
  for (std::int64_t cell = 0; cell < counts.n_cells(); ++cell) {
    values.clear();
    counts.for_each_nonzero(cell, [&](std::int64_t, float value) { values.push_back(value); });
    cells.append(cell, values);
  }
  return cells;
}

/// The same counts, on disk.
inline CountMatrix on_disk(const CountMatrix& counts, CountStoreOptions options,
                           std::shared_ptr<WatchedMatrix::Watch> watch = std::make_shared<WatchedMatrix::Watch>()) {
  std::vector<std::int64_t> genes;
  for (std::int64_t gene = 0; gene < counts.n_genes(); ++gene) genes.push_back(gene);
  return CountMatrix::on_disk(
      std::make_shared<const CountStore>(std::make_unique<WatchedMatrix>(counts, std::move(watch)), "cells.h5ad",
                                         stored_cells_of(counts), std::move(genes), options));
}

/// The same data set with its counts on disk; no annotation but batches and labels.
inline std::shared_ptr<GeneExpressionDataset> on_disk(
    const GeneExpressionDataset& dataset, CountStoreOptions options,
    std::shared_ptr<WatchedMatrix::Watch> watch = std::make_shared<WatchedMatrix::Watch>()) {
  auto stored = std::make_shared<GeneExpressionDataset>();
  stored->populate_from_data(on_disk(dataset.X(), options, std::move(watch)),
                             {.batch_indices = dataset.batch_indices(), .labels = dataset.labels()});
  return stored;
}

}  // namespace scvi::testing
