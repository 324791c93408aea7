#include "hdf5_matrix.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "csr_rows.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/text.hpp"

namespace scvi::io {
namespace {

/// Entries (8 bytes each) of the blocks that for_each_block hands out: 8 MB.
constexpr std::int64_t kBlockEntries = 1 << 20;
/// Least entries of the window of rows that one pass over a csc matrix collects: 64 MB.
constexpr std::int64_t kWindowEntries = 8 << 20;
/// Entries read at a time.
constexpr std::int64_t kPiece = 1 << 20;
/// Rows of a block, however empty they are.
constexpr std::int64_t kBlockRows = 1 << 20;

/// What the three layouts share: the description, and faults that name file and element.
class Hdf5MatrixReader : public MatrixReader {
 public:
  Hdf5MatrixReader(std::shared_ptr<const Hdf5File> file, MatrixInfo info)
      : file_(std::move(file)), info_(std::move(info)) {}
  const MatrixInfo& info() const override { return info_; }

 protected:
  std::shared_ptr<const Hdf5File> file_;
  MatrixInfo info_;

  [[noreturn]] void damaged(const std::string& part, const std::string& problem) const {
    throw FormatError(
        {.problem = problem, .file = file_->path(), .field = part, .remedy = "the file is damaged: get it anew"});
  }

  void check_columns_fit() const {
    if (info_.n_cols < std::numeric_limits<std::int32_t>::max()) return;
    throw FormatError({.problem = "has " + with_thousands(info_.n_cols) + " columns, more than are supported",
                       .file = file_->path(),
                       .field = info_.path});
  }

  /// Makes [first, first + count) lie within the matrix. @returns the count left
  std::int64_t clip(std::int64_t first, std::int64_t count) const {
    if (first < 0 || count < 0)
      throw InputError({.problem = "rows " + std::to_string(first) + " + " + std::to_string(count) + " do not exist",
                        .file = file_->path(),
                        .field = info_.path});
    return std::clamp<std::int64_t>(info_.n_rows - first, 0, count);
  }
};

/// Offsets, indices and values of a compressed matrix, whichever axis is compressed.
class SparseReader : public Hdf5MatrixReader {
 public:
  SparseReader(std::shared_ptr<const Hdf5File> file, const SparseParts& parts, MatrixInfo info)
      : Hdf5MatrixReader(std::move(file), std::move(info)),
        parts_(parts),
        values_(file_->open_dataset(parts.values)),
        indices_(file_->open_dataset(parts.indices)) {
    check_columns_fit();
    if (info_.n_rows > std::numeric_limits<std::int32_t>::max() && info_.layout == MatrixInfo::Layout::csc)
      damaged(info_.path, "has " + with_thousands(info_.n_rows) + " rows, more than are supported in this layout");
    check_arrays();
    info_.n_stored = values_.info().size();
    info_.value_type = values_.info().type_name;
    load_offsets();
  }

 protected:
  SparseParts parts_;
  Hdf5Dataset values_;
  Hdf5Dataset indices_;
  std::vector<std::int64_t> offsets_;

  std::int64_t compressed_extent() const {
    return info_.layout == MatrixInfo::Layout::csr ? info_.n_rows : info_.n_cols;
  }

  /// The piece [first, first + count) of the indices, checked against the extent of the axis they count.
  void read_indices(std::int64_t first, std::int64_t count, std::int32_t* out) const {
    indices_.read_range(first, count, out);
    const std::int64_t extent = info_.layout == MatrixInfo::Layout::csr ? info_.n_cols : info_.n_rows;
    // As unsigned, one comparison finds negative ones too.
    const auto limit = static_cast<std::uint32_t>(extent);
    bool good = true;
    for (std::int64_t at = 0; at < count; ++at) good &= static_cast<std::uint32_t>(out[at]) < limit;
    if (good) return;
    const std::int32_t* const bad = std::find_if(
        out, out + count, [&](std::int32_t index) { return static_cast<std::uint32_t>(index) >= limit; });
    damaged(parts_.indices, "holds " + std::to_string(*bad) + " at position " + std::to_string(first + (bad - out)) +
                                ", but indices must lie in 0.." + std::to_string(extent - 1));
  }

 private:
  void check_arrays() const {
    values_.require_numbers();
    const Hdf5Info& values = values_.info();
    const Hdf5Info& indices = indices_.info();
    if (values.shape.size() != 1) damaged(parts_.values, "is no list of numbers");
    if (indices.shape.size() != 1 || indices.value_class != Hdf5Class::integer)
      damaged(parts_.indices, "is no list of whole numbers");
    if (values.size() != indices.size())
      damaged(info_.path, "holds " + std::to_string(values.size()) + " values but " + std::to_string(indices.size()) +
                              " indices");
    values_.require_plausible();
    indices_.require_plausible();
  }

  void load_offsets() {
    const Hdf5Dataset dataset = file_->open_dataset(parts_.indptr);
    const Hdf5Info& found = dataset.info();
    if (found.shape.size() != 1 || found.value_class != Hdf5Class::integer)
      damaged(parts_.indptr, "is no list of whole numbers");
    if (found.size() - 1 != compressed_extent())
      damaged(parts_.indptr, "has " + std::to_string(found.size()) + " offsets where " +
                                 std::to_string(compressed_extent() + 1) + " are needed");
    dataset.require_plausible();
    offsets_.resize(static_cast<std::size_t>(found.size()));
    dataset.read_all(offsets_.data());
    if (offsets_.front() != 0) damaged(parts_.indptr, "begins with " + std::to_string(offsets_.front()) + ", not 0");
    const auto drop = std::adjacent_find(offsets_.begin(), offsets_.end(), std::greater<>());
    if (drop != offsets_.end())
      damaged(parts_.indptr, "decreases from " + std::to_string(drop[0]) + " to " + std::to_string(drop[1]) +
                                 " at position " + std::to_string(drop - offsets_.begin() + 1));
    if (offsets_.back() != info_.n_stored)
      damaged(parts_.indptr, "ends with " + std::to_string(offsets_.back()) + ", but there are " +
                                 std::to_string(info_.n_stored) + " stored values");
  }
};

class CsrReader : public SparseReader {
 public:
  using SparseReader::SparseReader;

  bool has_rows_on_disk() const override { return true; }

  void read_rows(std::int64_t first, std::int64_t count, CsrBlock& out) override {
    count = clip(first, count);
    out.clear();
    out.first_row = first;
    if (count == 0) return;
    const std::int64_t* const from = offsets_.data() + first;
    const std::int64_t stored = from[count] - from[0];
    out.indptr.resize(static_cast<std::size_t>(count) + 1);
    for (std::int64_t row = 0; row <= count; ++row) out.indptr[static_cast<std::size_t>(row)] = from[row] - from[0];
    out.indices.resize(static_cast<std::size_t>(stored));
    out.values.resize(static_cast<std::size_t>(stored));
    for (std::int64_t done = 0; done < stored; done += kPiece) {
      const std::int64_t piece = std::min(kPiece, stored - done);
      read_indices(from[0] + done, piece, out.indices.data() + done);
      values_.read_range(from[0] + done, piece, out.values.data() + done);
    }
    normalize_rows(out);
  }

  void for_each_block(const std::function<void(const CsrBlock&)>& use) override {
    CsrBlock block;
    for (std::int64_t first = 0; first < info_.n_rows;) {
      throw_if_interrupted();
      const auto begin = offsets_.begin() + first;
      const auto limit = std::min(offsets_.end(), begin + kBlockRows + 1);
      const auto past = std::upper_bound(begin + 1, limit, *begin + kBlockEntries);
      const std::int64_t count = std::max<std::int64_t>(past - begin - 1, 1);
      read_rows(first, count, block);
      use(block);
      first += count;
    }
  }
};

class CscReader : public SparseReader {
 public:
  using SparseReader::SparseReader;

  void read_rows(std::int64_t first, std::int64_t count, CsrBlock& out) override {
    count = clip(first, count);
    out.clear();
    out.first_row = first;
    if (count == 0) return;
    std::vector<std::int64_t> row_counts(static_cast<std::size_t>(count), 0);
    scan_indices([&](std::int64_t, const std::vector<std::int32_t>& rows) {
      for (const std::int32_t row : rows)
        if (row >= first && row < first + count) ++row_counts[static_cast<std::size_t>(row - first)];
    });
    gather(first, row_counts, out);
  }

  void for_each_block(const std::function<void(const CsrBlock&)>& use) override {
    std::vector<std::int64_t> row_counts(static_cast<std::size_t>(info_.n_rows), 0);
    scan_indices([&](std::int64_t, const std::vector<std::int32_t>& rows) {
      for (const std::int32_t row : rows) ++row_counts[static_cast<std::size_t>(row)];
    });
    // A pass unpacks the whole matrix, so a large one gets larger windows, which then go out in pieces.
    const std::int64_t window_entries = std::clamp(info_.n_stored / 8, kWindowEntries, 4 * kWindowEntries);
    CsrBlock window;
    for (std::int64_t first = 0; first < info_.n_rows;) {
      throw_if_interrupted();
      const std::int64_t count = rows_within(row_counts, first, window_entries);
      window.clear();
      window.first_row = first;
      gather(first, {row_counts.data() + first, static_cast<std::size_t>(count)}, window);
      hand_out(window, use);
      first += count;
    }
  }

 private:
  /// Rows from `first` on that hold no more than so many entries together, at least one.
  std::int64_t rows_within(std::span<const std::int64_t> row_counts, std::int64_t first, std::int64_t entries) const {
    std::int64_t count = 0;
    std::int64_t total = 0;
    while (first + count < info_.n_rows && count < kBlockRows) {
      total += row_counts[static_cast<std::size_t>(first + count)];
      if (count > 0 && total > entries) break;
      ++count;
    }
    return count;
  }

  template <class Use>
  void scan_indices(Use use) const {
    std::vector<std::int32_t> rows;
    for (std::int64_t first = 0; first < info_.n_stored; first += kPiece) {
      throw_if_interrupted();
      rows.resize(static_cast<std::size_t>(std::min(kPiece, info_.n_stored - first)));
      read_indices(first, static_cast<std::int64_t>(rows.size()), rows.data());
      use(first, rows);
    }
  }

  /// One pass: columns come in order, so every row's entries do too.
  void gather(std::int64_t first, std::span<const std::int64_t> row_counts, CsrBlock& out) const {
    const std::int64_t count = static_cast<std::int64_t>(row_counts.size());
    out.indptr.assign(1, 0);
    for (const std::int64_t stored : row_counts) out.indptr.push_back(out.indptr.back() + stored);
    out.indices.resize(static_cast<std::size_t>(out.indptr.back()));
    out.values.resize(out.indices.size());
    std::vector<std::int64_t> next(out.indptr.begin(), out.indptr.end() - 1);
    std::vector<float> values;
    std::int32_t column = 0;
    scan_indices([&](std::int64_t from, const std::vector<std::int32_t>& rows) {
      values.resize(rows.size());
      values_.read_range(from, static_cast<std::int64_t>(rows.size()), values.data());
      for (std::size_t at = 0; at < rows.size(); ++at) {
        const std::int64_t position = from + static_cast<std::int64_t>(at);
        while (offsets_[static_cast<std::size_t>(column) + 1] <= position) ++column;
        const std::int64_t row = rows[at] - first;
        if (row < 0 || row >= count) continue;
        const std::int64_t slot = next[static_cast<std::size_t>(row)]++;
        // The file may have changed since the rows were counted.
        if (slot >= out.indptr[static_cast<std::size_t>(row) + 1])
          damaged(parts_.indices, "changed while it was being read");
        out.indices[static_cast<std::size_t>(slot)] = column;
        out.values[static_cast<std::size_t>(slot)] = values[at];
      }
    });
    normalize_rows(out);
  }

  static void hand_out(const CsrBlock& window, const std::function<void(const CsrBlock&)>& use) {
    if (static_cast<std::int64_t>(window.values.size()) <= kBlockEntries) return use(window);
    CsrBlock piece;
    for (std::int64_t first = 0; first < window.n_rows();) {
      const auto begin = window.indptr.begin() + first;
      const auto past = std::upper_bound(begin + 1, window.indptr.end(), *begin + kBlockEntries);
      const std::int64_t count = std::max<std::int64_t>(past - begin - 1, 1);
      piece.first_row = window.first_row + first;
      piece.indptr.clear();
      for (std::int64_t row = 0; row <= count; ++row) piece.indptr.push_back(begin[row] - begin[0]);
      piece.indices.assign(window.indices.begin() + begin[0], window.indices.begin() + begin[count]);
      piece.values.assign(window.values.begin() + begin[0], window.values.begin() + begin[count]);
      use(piece);
      first += count;
    }
  }
};

class DenseReader : public Hdf5MatrixReader {
 public:
  DenseReader(std::shared_ptr<const Hdf5File> file, const std::string& dataset, MatrixInfo info)
      : Hdf5MatrixReader(std::move(file), std::move(info)), dataset_(file_->open_dataset(dataset)) {
    dataset_.require_numbers();
    const std::vector<std::int64_t>& shape = dataset_.info().shape;
    if (shape.size() != 2)
      damaged(info_.path, "has " + std::to_string(shape.size()) + " dimensions where a matrix is expected");
    info_.layout = MatrixInfo::Layout::dense;
    info_.n_rows = shape[0];
    info_.n_cols = shape[1];
    info_.n_stored = dataset_.info().size();
    info_.value_type = dataset_.info().type_name;
    check_columns_fit();
  }

  bool has_rows_on_disk() const override { return true; }

  void read_rows(std::int64_t first, std::int64_t count, CsrBlock& out) override {
    count = clip(first, count);
    out.clear();
    out.first_row = first;
    const std::int64_t step = rows_for(4 * kPiece);
    for (std::int64_t done = 0; done < count;) {
      // Steps end where chunks do, so that none is unpacked twice.
      const std::int64_t to_boundary = step - (first + done) % step;
      const std::int64_t rows = std::min(to_boundary, count - done);
      append_rows(first + done, rows, out);
      done += rows;
    }
  }

  void for_each_block(const std::function<void(const CsrBlock&)>& use) override {
    CsrBlock block;
    const std::int64_t step = rows_for(kBlockEntries);
    for (std::int64_t first = 0; first < info_.n_rows; first += step) {
      throw_if_interrupted();
      read_rows(first, step, block);
      use(block);
    }
  }

 private:
  Hdf5Dataset dataset_;
  std::vector<float> buffer_;

  /// Rows that make up about so many values: whole chunks where that is possible.
  std::int64_t rows_for(std::int64_t n_values) const {
    const std::int64_t rows =
        std::clamp<std::int64_t>(n_values / std::max<std::int64_t>(info_.n_cols, 1), 1, kBlockRows);
    const std::int64_t chunk = dataset_.info().chunk.empty() ? 1 : dataset_.info().chunk[0];
    return rows > chunk ? rows / chunk * chunk : rows;
  }

  void append_rows(std::int64_t first, std::int64_t count, CsrBlock& out) {
    buffer_.resize(static_cast<std::size_t>(count * info_.n_cols));
    if (!buffer_.empty()) dataset_.read_rows(first, count, buffer_.data());
    for (std::int64_t row = 0; row < count; ++row) {
      const float* const values = buffer_.data() + row * info_.n_cols;
      for (std::int64_t column = 0; column < info_.n_cols; ++column) {
        if (values[column] == 0) continue;
        out.indices.push_back(static_cast<std::int32_t>(column));
        out.values.push_back(values[column]);
      }
      out.indptr.push_back(static_cast<std::int64_t>(out.values.size()));
    }
  }
};

}  // namespace

std::unique_ptr<MatrixReader> open_sparse_matrix(std::shared_ptr<const Hdf5File> file, const SparseParts& parts,
                                                 MatrixInfo info) {
  if (info.layout == MatrixInfo::Layout::csc)
    return std::make_unique<CscReader>(std::move(file), parts, std::move(info));
  return std::make_unique<CsrReader>(std::move(file), parts, std::move(info));
}

std::unique_ptr<MatrixReader> open_dense_matrix(std::shared_ptr<const Hdf5File> file, const std::string& dataset,
                                                MatrixInfo info) {
  return std::make_unique<DenseReader>(std::move(file), dataset, std::move(info));
}

}  // namespace scvi::io
