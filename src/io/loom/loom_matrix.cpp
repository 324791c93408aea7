#include "loom_matrix.hpp"

#include <algorithm>
#include <limits>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/text.hpp"

namespace scvi::io::loom {
namespace {

/// Values in a window of cells, all genes together.
constexpr std::int64_t kWindowValues = 2 << 20;
/// Where chunks hold more cells than such a window, so many values, lest every chunk be unpacked too often.
constexpr std::int64_t kWideWindowValues = 16 << 20;
/// Values read at a time.
constexpr std::int64_t kStripValues = 2 << 20;

class GenesByCells final : public MatrixReader {
 public:
  GenesByCells(std::shared_ptr<const Hdf5File> file, const std::string& path)
      : file_(std::move(file)), dataset_(file_->open_dataset(path)) {
    dataset_.require_numbers();
    const Hdf5Info& found = dataset_.info();
    if (found.shape.size() != 2)
      fail(path, "has " + std::to_string(found.shape.size()) + " dimensions where a matrix is expected");
    info_.layout = MatrixInfo::Layout::dense;
    info_.n_rows = found.shape[1];
    info_.n_cols = found.shape[0];
    info_.n_stored = found.size();
    info_.value_type = found.type_name;
    info_.path = path;
    if (info_.n_cols >= std::numeric_limits<std::int32_t>::max())
      fail(path, "has " + with_thousands(info_.n_cols) + " genes, more than are supported");
    dataset_.require_plausible(stored_value_bytes());
    choose_window();
  }

  const MatrixInfo& info() const override { return info_; }

  void read_rows(std::int64_t first, std::int64_t count, CsrBlock& out) override {
    if (first < 0 || count < 0)
      throw InputError({.problem = "cells " + std::to_string(first) + " + " + std::to_string(count) + " do not exist",
                        .file = file_->path(),
                        .field = info_.path});
    count = std::clamp<std::int64_t>(info_.n_rows - first, 0, count);
    out.clear();
    out.first_row = first;
    for (std::int64_t done = 0; done < count;) {
      throw_if_interrupted();
      // Windows end where chunks do, so that few are unpacked twice.
      const std::int64_t to_boundary = window_ - (first + done) % window_;
      const std::int64_t cells = std::min(to_boundary, count - done);
      append_window(first + done, cells, out);
      done += cells;
    }
  }

  void for_each_block(const std::function<void(const CsrBlock&)>& use) override {
    CsrBlock block;
    for (std::int64_t first = 0; first < info_.n_rows; first += window_) {
      read_rows(first, window_, block);
      use(block);
    }
  }

 private:
  struct Entry {
    std::int32_t cell;  ///< in the window
    std::int32_t gene;
    float value;
  };

  std::shared_ptr<const Hdf5File> file_;
  Hdf5Dataset dataset_;
  MatrixInfo info_;
  std::int64_t window_ = 1;  ///< cells
  std::vector<float> strip_;
  std::vector<Entry> entries_;

  [[noreturn]] void fail(const std::string& path, std::string problem) const {
    throw FormatError({.problem = std::move(problem), .file = file_->path(), .field = path});
  }

  std::int64_t stored_value_bytes() const {
    std::int64_t per_chunk = 1;
    for (const std::int64_t extent : dataset_.info().chunk) per_chunk *= std::max<std::int64_t>(extent, 1);
    return std::max<std::int64_t>(dataset_.chunk_bytes() / per_chunk, 1);
  }

  std::int64_t chunk_extent(std::size_t axis) const {
    const std::vector<std::int64_t>& chunk = dataset_.info().chunk;
    return chunk.empty() ? 1 : std::max<std::int64_t>(chunk[axis], 1);
  }

  void choose_window() {
    const std::int64_t genes = std::max<std::int64_t>(info_.n_cols, 1);
    const std::int64_t chunk = std::min(chunk_extent(1), std::max<std::int64_t>(info_.n_rows, 1));
    window_ = std::max<std::int64_t>(kWindowValues / genes, 1);
    if (window_ >= chunk) {
      window_ = window_ / chunk * chunk;
    } else {
      const std::int64_t affordable = std::clamp<std::int64_t>(kWideWindowValues / genes, 1, chunk);
      const std::int64_t pieces = (chunk + affordable - 1) / affordable;
      window_ = (chunk + pieces - 1) / pieces;
    }
  }

  void append_window(std::int64_t first, std::int64_t cells, CsrBlock& out) {
    entries_.clear();
    const std::int64_t chunk = chunk_extent(0);
    std::int64_t genes = std::max<std::int64_t>(kStripValues / cells, 1);
    if (genes > chunk) genes = genes / chunk * chunk;
    for (std::int64_t gene = 0; gene < info_.n_cols; gene += genes)
      collect_strip(gene, std::min(genes, info_.n_cols - gene), first, cells);
    distribute(cells, out);
  }

  void collect_strip(std::int64_t first_gene, std::int64_t genes, std::int64_t first, std::int64_t cells) {
    strip_.resize(static_cast<std::size_t>(genes * cells));
    dataset_.read_block(first_gene, genes, first, cells, strip_.data());
    const float* value = strip_.data();
    for (std::int64_t gene = first_gene; gene < first_gene + genes; ++gene)
      for (std::int64_t cell = 0; cell < cells; ++cell, ++value)
        if (*value != 0)
          entries_.push_back({static_cast<std::int32_t>(cell), static_cast<std::int32_t>(gene), *value});
  }

  /// Entries come gene by gene, so those of each cell are in order already.
  void distribute(std::int64_t cells, CsrBlock& out) const {
    std::vector<std::int64_t> next(static_cast<std::size_t>(cells) + 1, 0);
    for (const Entry& entry : entries_) ++next[static_cast<std::size_t>(entry.cell) + 1];
    next[0] = out.indptr.back();
    for (std::size_t cell = 1; cell < next.size(); ++cell) {
      next[cell] += next[cell - 1];
      out.indptr.push_back(next[cell]);
    }
    out.indices.resize(static_cast<std::size_t>(out.indptr.back()));
    out.values.resize(out.indices.size());
    for (const Entry& entry : entries_) {
      const auto slot = static_cast<std::size_t>(next[static_cast<std::size_t>(entry.cell)]++);
      out.indices[slot] = entry.gene;
      out.values[slot] = entry.value;
    }
  }
};

}  // namespace

std::unique_ptr<MatrixReader> open_matrix(std::shared_ptr<const Hdf5File> file, const std::string& dataset) {
  return std::make_unique<GenesByCells>(std::move(file), dataset);
}

}  // namespace scvi::io::loom
