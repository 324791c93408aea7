#include "scvi/dataset/count_matrix.hpp"

#include <algorithm>
#include <numeric>

#include "count_storage.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi {

using namespace count_storage;

CountMatrix CountMatrix::concatenate(std::span<const CountMatrix* const> parts) {
  std::vector<Part> whole;
  for (const CountMatrix* part : parts) whole.push_back({part, {}, nullptr});
  return concatenate(whole);
}

CountMatrix CountMatrix::concatenate(std::span<const Part> parts) {
  for (const Part& part : parts) part.counts->require_memory("put below others");
  if (parts.empty()) return {};
  const auto n_genes_of = [](const Part& part) {
    return part.genes.empty() ? part.counts->n_genes_ : static_cast<std::int64_t>(part.genes.size());
  };
  CountMatrix out;
  out.n_genes_ = n_genes_of(parts.front());
  out.sparse_ = std::any_of(parts.begin(), parts.end(), [](const Part& part) { return part.counts->sparse_; });
  out.indices_ = empty_indices<Indices>(out.n_genes_);
  std::size_t width = 0;
  std::int64_t n_entries = 0;
  std::int64_t n_cells = 0;
  for (const Part& part : parts) {
    if (n_genes_of(part) != out.n_genes_) {
      throw InputError({.problem = "have " + std::to_string(out.n_genes_) + " and " +
                                   std::to_string(n_genes_of(part)) + " genes, but must have the same",
                        .field = "count matrices to put together"});
    }
    width = std::max(width, part.counts->values_.index());
    n_cells += part.counts->n_cells_;
    n_entries += out.sparse_ ? n_nonzero_of(part) : part.counts->n_cells_ * out.n_genes_;
  }
  set_width(out.values_, width);
  std::visit([&](auto& values) { values.reserve(static_cast<std::size_t>(n_entries)); }, out.values_);
  if (out.sparse_) {
    out.indptr_.reserve(static_cast<std::size_t>(n_cells) + 1);
    std::visit([&](auto& indices) { indices.reserve(static_cast<std::size_t>(n_entries)); }, out.indices_);
  }
  for (const Part& part : parts) {
    out.sparse_ ? out.append_sparse(part) : out.append_dense(part);
    out.n_cells_ += part.counts->n_cells_;
    if (part.release != nullptr) *part.release = CountMatrix();
  }
  narrow(out.values_);
  return out;
}

std::int64_t CountMatrix::n_nonzero_of(const Part& part) {
  const CountMatrix& counts = *part.counts;
  if (part.genes.empty()) return counts.n_nonzero();
  const std::vector<std::int32_t> new_gene = new_positions(part.genes, counts.n_genes_);
  const std::int64_t chunk = cells_per_chunk(counts.n_genes_ / 8);
  std::vector<std::int64_t> per_chunk(static_cast<std::size_t>(chunk_count(counts.n_cells_, chunk)));
  parallel_for(counts.n_cells_, chunk, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t n = 0;
    for (std::int64_t cell = begin; cell < end; ++cell) {
      counts.for_each_nonzero(cell, [&](std::int64_t gene, float) { n += new_gene[gene] >= 0; });
    }
    per_chunk[begin / chunk] = n;
  });
  return std::accumulate(per_chunk.begin(), per_chunk.end(), std::int64_t{0});
}

void CountMatrix::append_dense(const Part& part) {
  std::visit(
      [&](auto& to, const auto& from) {
        if (part.genes.empty()) {
          to.insert(to.end(), from.begin(), from.end());
          return;
        }
        using Value = typename std::decay_t<decltype(to)>::value_type;
        for (std::int64_t cell = 0; cell < part.counts->n_cells_; ++cell) {
          const auto* row = from.data() + part.counts->first_entry(cell);
          for (const std::int64_t gene : part.genes) to.push_back(static_cast<Value>(row[gene]));
        }
      },
      values_, part.counts->values_);
}

void CountMatrix::append_sparse(const Part& part) {
  std::vector<std::int32_t> new_gene(static_cast<std::size_t>(part.counts->n_genes_));
  std::iota(new_gene.begin(), new_gene.end(), 0);
  if (!part.genes.empty()) new_gene = new_positions(part.genes, part.counts->n_genes_);
  std::visit(
      [&](auto& indices, auto& values) {
        using Index = typename std::decay_t<decltype(indices)>::value_type;
        using Value = typename std::decay_t<decltype(values)>::value_type;
        std::vector<std::pair<Index, Value>> buffer;
        for (std::int64_t cell = 0; cell < part.counts->n_cells_; ++cell) {
          const std::int64_t first = indptr_.back();
          part.counts->for_each_nonzero(cell, [&](std::int64_t gene, float count) {
            if (new_gene[gene] < 0) return;
            indices.push_back(static_cast<Index>(new_gene[gene]));
            values.push_back(static_cast<Value>(count));
          });
          indptr_.push_back(static_cast<std::int64_t>(values.size()));
          sort_entries(indices.data() + first, values.data() + first, indptr_.back() - first, buffer);
        }
      },
      indices_, values_);
}
}  // namespace scvi
