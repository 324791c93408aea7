#include "scvi/io/count_file.hpp"

#include <algorithm>
#include <utility>

namespace scvi::io {
namespace {

constexpr std::int64_t kEntriesPerBlock = 1'000'000;  // 8 MB

class MemoryMatrix final : public MatrixReader {
 public:
  MemoryMatrix(MatrixInfo info, CsrBlock rows) : info_(std::move(info)), rows_(std::move(rows)) {}

  const MatrixInfo& info() const override { return info_; }

  void read_rows(std::int64_t first, std::int64_t count, CsrBlock& out) override {
    out.clear();
    first = std::clamp<std::int64_t>(first, 0, info_.n_rows);
    const std::int64_t end = first + std::clamp<std::int64_t>(count, 0, info_.n_rows - first);
    const std::int64_t begin_entry = rows_.indptr[first];
    const std::int64_t end_entry = rows_.indptr[end];
    out.first_row = first;
    out.indptr.resize(static_cast<std::size_t>(end - first) + 1);
    for (std::int64_t row = first; row <= end; ++row) out.indptr[row - first] = rows_.indptr[row] - begin_entry;
    out.indices.assign(rows_.indices.begin() + begin_entry, rows_.indices.begin() + end_entry);
    out.values.assign(rows_.values.begin() + begin_entry, rows_.values.begin() + end_entry);
  }

  void for_each_block(const std::function<void(const CsrBlock&)>& use) override {
    CsrBlock block;
    std::int64_t first = 0;
    while (first < info_.n_rows) {
      const auto limit = std::upper_bound(rows_.indptr.begin() + first + 1, rows_.indptr.end(),
                                          rows_.indptr[first] + kEntriesPerBlock);
      const std::int64_t end = std::max<std::int64_t>(first + 1, limit - rows_.indptr.begin() - 1);
      read_rows(first, end - first, block);
      use(block);
      first = end;
    }
  }

 private:
  MatrixInfo info_;
  CsrBlock rows_;
};

}  // namespace

std::unique_ptr<MatrixReader> memory_matrix(MatrixInfo info, CsrBlock rows) {
  return std::make_unique<MemoryMatrix>(std::move(info), std::move(rows));
}

}  // namespace scvi::io
