#pragma once

#include <cstdint>
#include <memory>

namespace scvi {

/// Samples of the scales of genes, as comparisons of groups read them: 16 genes after the other make a tile, and
/// within a tile the numbers of one sample lie side by side, in a cache line.
class ScaleSamples {
 public:
  ScaleSamples() = default;
  /// All scales are undefined at first. @throws std::bad_alloc
  ScaleSamples(std::int64_t n_genes, std::int64_t n_samples);
  ScaleSamples(const ScaleSamples& other);
  ScaleSamples(ScaleSamples&&) = default;
  ScaleSamples& operator=(ScaleSamples other) noexcept;

  std::int64_t n_genes() const { return n_genes_; }
  std::int64_t n_samples() const { return n_samples_; }
  float at(std::int64_t gene, std::int64_t sample) const { return values_[place(gene, sample)]; }
  void set(std::int64_t gene, std::int64_t sample, float scale) { values_[place(gene, sample)] = scale; }
  /// Sets samples from `first` on. @param rows (n, n_columns), whose first column is that of gene 0
  void set_rows(std::int64_t first, const float* rows, std::int64_t n, std::int64_t n_columns);

  /// Genes of a tile; those that the last one has beyond n_genes() hold 1.
  static std::int64_t genes_per_tile();
  std::int64_t n_tiles() const;
  /// (n_samples, genes_per_tile)
  const float* tile(std::int64_t number) const;
  /// Memory for a number of samples of so many genes.
  static std::int64_t bytes(std::int64_t n_genes, std::int64_t n_samples);

 private:
  struct Free {
    void operator()(float* memory) const;
  };
  std::int64_t place(std::int64_t gene, std::int64_t sample) const;

  std::int64_t n_genes_ = 0;
  std::int64_t n_samples_ = 0;
  std::unique_ptr<float[], Free> values_;
};

}  // namespace scvi
