#include "scvi/posterior/scale_samples.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "scvi/core/parallel.hpp"
#include "scvi/kernel/gene_tiles.hpp"

namespace scvi {
namespace {

using kernel::kTileGenes;

constexpr std::int64_t kCacheLine = 64;
constexpr std::int64_t kPage = 4096;
/// Memory that is asked for at a time.
constexpr std::int64_t kStretch = std::int64_t{8} << 20;

std::int64_t tiles_of(std::int64_t n_genes) {
  return (n_genes + kTileGenes - 1) / kTileGenes;
}

/// Asks the system for memory before it is touched: page by page, on first touch, takes longer than filling it.
void make_present(float* memory, std::int64_t bytes) {
#ifdef MADV_POPULATE_WRITE
  parallel_for(bytes, kStretch, [&](std::int64_t begin, std::int64_t end) {
    // Only advice: a system that does not know it, or has other pages, gives the memory later.
    madvise(reinterpret_cast<char*>(memory) + begin, static_cast<std::size_t>(end - begin), MADV_POPULATE_WRITE);
  });
#endif
}

/// Memory of any content.
float* allocated(std::int64_t bytes) {
  const std::int64_t unit = bytes < kStretch ? kCacheLine : kPage;
  const std::int64_t size = (std::max(bytes, unit) + unit - 1) / unit * unit;
  void* memory = std::aligned_alloc(static_cast<std::size_t>(unit), static_cast<std::size_t>(size));
  if (memory == nullptr) throw std::bad_alloc();
  if (unit == kPage) make_present(static_cast<float*>(memory), size);
  return static_cast<float*>(memory);
}

}  // namespace

void ScaleSamples::Free::operator()(float* memory) const {
  std::free(memory);
}

ScaleSamples::ScaleSamples(std::int64_t n_genes, std::int64_t n_samples)
    : n_genes_(n_genes), n_samples_(n_samples), values_(allocated(bytes(n_genes, n_samples))) {
  for (std::int64_t gene = n_genes; gene < tiles_of(n_genes) * kTileGenes; ++gene) {
    for (std::int64_t sample = 0; sample < n_samples; ++sample) set(gene, sample, 1.0F);
  }
}

ScaleSamples::ScaleSamples(const ScaleSamples& other) : ScaleSamples(other.n_genes_, other.n_samples_) {
  std::copy_n(other.values_.get(), tiles_of(n_genes_) * kTileGenes * n_samples_, values_.get());
}

ScaleSamples& ScaleSamples::operator=(ScaleSamples other) noexcept {
  std::swap(n_genes_, other.n_genes_);
  std::swap(n_samples_, other.n_samples_);
  std::swap(values_, other.values_);
  return *this;
}

std::int64_t ScaleSamples::place(std::int64_t gene, std::int64_t sample) const {
  return (gene / kTileGenes * n_samples_ + sample) * kTileGenes + gene % kTileGenes;
}

void ScaleSamples::set_rows(std::int64_t first, const float* rows, std::int64_t n, std::int64_t n_columns) {
  for (std::int64_t gene = 0; gene < n_genes_; gene += kTileGenes) {
    float* to = values_.get() + place(gene, first);
    const std::int64_t n_here = std::min(kTileGenes, n_genes_ - gene);
    if (n_here == kTileGenes) {
      for (std::int64_t row = 0; row < n; ++row) {
        std::copy_n(rows + row * n_columns + gene, kTileGenes, to + row * kTileGenes);
      }
    } else {
      for (std::int64_t row = 0; row < n; ++row)
        std::copy_n(rows + row * n_columns + gene, n_here, to + row * kTileGenes);
    }
  }
}

std::int64_t ScaleSamples::genes_per_tile() {
  return kTileGenes;
}

std::int64_t ScaleSamples::n_tiles() const {
  return tiles_of(n_genes_);
}

const float* ScaleSamples::tile(std::int64_t number) const {
  return values_.get() + number * n_samples_ * kTileGenes;
}

std::int64_t ScaleSamples::bytes(std::int64_t n_genes, std::int64_t n_samples) {
  return tiles_of(n_genes) * kTileGenes * n_samples * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace scvi
