#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include <hwy/aligned_allocator.h>

#include "count_terms.hpp"
#include "fetcher.hpp"
#include "float_array.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/kernel/count_nll.hpp"

namespace scvi::kernel {

// Between these the float32 vectors hold everything; a count above zero outside of them goes through float64.
inline constexpr float kSmallestTheta = 1.5e-8F;
inline constexpr float kLargestLogTheta = 55;
inline constexpr float kLargestTheta = 7e23F;
inline constexpr float kLargestVectorMean = 1e9F;
inline constexpr float kLargestVectorCount = 1e9F;
/// Means above are cut, so that quotients stay finite.
inline constexpr double kLargestMean = 1e28;

/// Numbers of a row in scratch memory: whole vectors of any instruction set.
constexpr std::int64_t padded(std::int64_t n) {
  return (n + 15) / 16 * 16;
}

/// theta and 1 / (theta + eps) for every row of a dispersion that several cells share.
struct DispersionTable {
  DispersionTable(std::int64_t n_rows, std::int64_t n_genes)
      : stride(padded(n_genes)),
        theta(float_array(n_rows * stride)),
        inverse(float_array(n_rows * stride)),
        regular(static_cast<std::size_t>(n_rows)) {}

  std::int64_t stride;
  FloatArray theta;
  FloatArray inverse;
  std::vector<char> regular;  ///< whether all values of a row are finite
};

/// The dispersions of one row of parameters.
struct RowDispersion {
  const float* values = nullptr;   ///< as the caller gave them
  const float* theta = nullptr;    ///< padded
  const float* inverse = nullptr;  ///< padded
  bool regular = false;
};

/// A call, whichever of the public functions it came through.
struct CountJob {
  CountLikelihood likelihood;
  CsrView counts;
  const double* log_factorials;
  std::int64_t n_rows;
  const std::int64_t* count_row;
  const float* scale_logits;  ///< or null, and `mean` is there
  const float* library;
  const float* mean;
  const float* dropout;
  Dispersion<float> dispersion;
  bool dispersions_are_logs;
  const CountNllGradients<float>* gradients;  ///< or null
  float* nll;                                 ///< or null, and `log_likelihood` is there
  float* log_likelihood;
  const DispersionTable* table;  ///< or null: each row makes its own

  std::int64_t count_row_of(std::int64_t row) const { return count_row == nullptr ? row : count_row[row]; }

  std::int64_t dispersion_row(std::int64_t row) const {
    if (dispersion.rows == DispersionRows::per_cell) return row;
    return dispersion.rows == DispersionRows::shared ? 0 : dispersion.category[count_row_of(row)];
  }

  void write(std::int64_t row, double value) const {
    if (nll != nullptr) nll[row] = static_cast<float>(value);
    if (log_likelihood != nullptr) log_likelihood[row] = static_cast<float>(-value);
  }
};

/// An array in the memory of RowScratch.
template <class T>
class ScratchArray {
 public:
  T* get() const { return data_; }
  T& operator[](std::int64_t i) const { return data_[i]; }

 private:
  friend struct RowScratch;
  T* data_ = nullptr;
};

/// Counts of a row that are above zero and of one kind, with what comes of them; as many as n, with room behind.
struct NonzeroEntries {
  std::int64_t n = 0;
  ScratchArray<std::int32_t> columns;
  ScratchArray<float> counts, mean, by_log_mu, by_dropout, by_log_theta;
};

/// Whole numbers up to 4, whole numbers from 5 to 8, all others.
enum NonzeroKind { kSmall, kMedium, kGeneral, kNonzeroKinds };

/// Memory for one row at a time: all arrays in one piece.
struct RowScratch {
  explicit RowScratch(std::int64_t n_genes) {
    constexpr std::int64_t kArrays = 4 + 6 * kNonzeroKinds;
    // An odd number of cache lines each, so that equal places of the arrays do not contend for the same ones.
    const std::int64_t lines = chunk_count(padded(n_genes) + 32, kLine) | 1;
    const std::int64_t bytes = lines * kLine * static_cast<std::int64_t>(sizeof(float));
    memory = hwy::AllocateAligned<std::uint8_t>(static_cast<std::size_t>(kArrays * bytes));
    if (memory == nullptr) throw std::bad_alloc();
    std::uint8_t* at = memory.get();
    const auto place = [&](auto& array) {
      array.data_ = reinterpret_cast<decltype(array.data_)>(at);
      at += bytes;
    };
    for (auto* array : {&means, &theta, &inverse, &theta_gradient}) place(*array);
    for (NonzeroEntries& of : nonzeros) {
      place(of.columns);
      for (auto* array : {&of.counts, &of.mean, &of.by_log_mu, &of.by_dropout, &of.by_log_theta}) place(*array);
    }
  }

  hwy::AlignedFreeUniquePtr<std::uint8_t[]> memory;
  ScratchArray<float> means;  ///< mu, or a multiple of it
  ScratchArray<float> theta, inverse, theta_gradient;
  std::array<NonzeroEntries, kNonzeroKinds> nonzeros;
};

/// Appends a count to a list without a branch: it is written in any case and stays if it is kept.
class CountList {
 public:
  explicit CountList(NonzeroEntries& entries)
      : entries_(entries), columns_(entries.columns.get()), counts_(entries.counts.get()) {}
  CountList(const CountList&) = delete;
  CountList& operator=(const CountList&) = delete;
  ~CountList() { entries_.n = n_; }

  void append(std::int32_t column, float count, bool keep) {
    columns_[n_] = column;
    counts_[n_] = count;
    n_ += keep ? 1 : 0;
  }

 private:
  NonzeroEntries& entries_;
  std::int32_t* columns_;
  float* counts_;
  std::int64_t n_ = 0;
};

/// Sorts the counts of a row above zero by kind.
inline void classify_counts(const CsrView& counts, std::int64_t row, RowScratch& scratch) {
  constexpr float kWholeFrom = 12582912;  // 1.5 2^23: to add and subtract it rounds to a whole number
  auto& [small_entries, medium_entries, general_entries] = scratch.nonzeros;
  CountList small(small_entries), medium(medium_entries), general(general_entries);
  for (std::int64_t i = counts.indptr[row]; i < counts.indptr[row + 1]; ++i) {
    const std::int32_t column = counts.indices[i];
    const float x = counts.values[i];
    const bool above_zero = !(x <= kLargestZero);
    const bool whole = (x + kWholeFrom) - kWholeFrom == x;
    const bool to_4 = whole & (x <= 4), to_8 = whole & (x <= 8);
    small.append(column, x, above_zero & to_4);
    medium.append(column, x, to_8 & !to_4);
    general.append(column, x, above_zero & !to_8);
  }
}

/// Gradients of log theta summed over the cells of a chunk, a row for each category that occurs in it.
class ThetaSums {
 public:
  explicit ThetaSums(std::int64_t n_genes) : stride_(padded(n_genes)) {}

  float* of(std::int64_t category) {
    const auto found = std::find(categories_.begin(), categories_.end(), category);
    if (found != categories_.end()) return rows_[static_cast<std::size_t>(found - categories_.begin())].get();
    categories_.push_back(category);
    rows_.push_back(float_array(stride_));
    std::fill_n(rows_.back().get(), stride_, 0.0F);
    return rows_.back().get();
  }

  /// Adds the genes [begin, end) to rows of `n_genes` numbers.
  void add_to(float* sums, std::int64_t n_genes, std::int64_t begin, std::int64_t end) const {
    for (std::size_t i = 0; i < categories_.size(); ++i) {
      const float* row = rows_[i].get();
      float* sum = sums + categories_[i] * n_genes;
      for (std::int64_t j = begin; j < end; ++j) sum[j] += row[j];
    }
  }

 private:
  std::int64_t stride_;
  std::vector<std::int64_t> categories_;
  std::vector<FloatArray> rows_;
};

}  // namespace scvi::kernel
