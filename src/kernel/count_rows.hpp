#pragma once

// What the kernels of count likelihoods work on: one cell at a time, its means in dense memory and its counts above 0
// gathered into arrays of their own.

#include <cstdint>
#include <vector>

#include "scvi/kernel/count_nll.hpp"

namespace scvi::kernel {

inline constexpr float kCountEpsilon = 1e-8F;
inline constexpr float kLeastLogTheta = -87.0F;
inline constexpr float kMostLogTheta = 46.0F;
/// Whole counts up to this have their gamma functions by products, where theta is below kProductTheta.
inline constexpr int kLargestSmallCount = 8;
inline constexpr float kProductTheta = 8192.0F;
/// Counts beyond this are computed in float64: their terms are large and cancel each other.
inline constexpr float kLargeCount = 4096.0F;
/// Genes whose terms are added in float32 before they are put away in float64.
inline constexpr std::int64_t kGenesPerSum = 1024;
inline constexpr std::int64_t kVectorsPerSum = 16;
/// Floats of the widest vector: all scratch memory is padded to it.
inline constexpr std::int64_t kWidestVector = 16;

/// Inverse dispersions of some genes, with te = theta + 1e-8.
template <class T>
struct ThetaRow {
  T* theta = nullptr;
  T* inverse = nullptr;  ///< 1 / te
  T* log_te = nullptr;
};

/// Counts above 0 of one cell, one list an item; all padded and aligned.
template <class T>
struct PositiveCounts {
  T* count = nullptr;
  T* mean = nullptr;
  T* log_mean = nullptr;
  T* theta = nullptr;
  T* inverse = nullptr;
  T* log_te = nullptr;
  T* dropout = nullptr;  ///< in: the logit; out: the gradient by it
  T* loss = nullptr;
  T* slope = nullptr;   ///< gradient of the loss by log mean
  T* dtheta = nullptr;  ///< and by log theta
};

/// One cell of a call.
struct RowOfCounts {
  std::int64_t n_genes = 0;
  float factor = 1;  ///< of the means in the scratch
  float weight = 1;
  ThetaRow<float> theta = {};
  float* dropout = nullptr;  ///< becomes the gradient where gradients are wanted
  float* slope = nullptr;    ///< gets the gradient by log mean
  float* dtheta = nullptr;   ///< to which the weighted gradient by log theta is added
  double* slope_sum = nullptr;
};

/// Memory aligned for any vector.
class AlignedFloats {
 public:
  void resize(std::int64_t n) {
    const auto padded = static_cast<std::size_t>((n + kWidestVector - 1) / kWidestVector * kWidestVector);
    if (blocks_.size() * kWidestVector < padded) blocks_.resize(padded / kWidestVector);
  }
  float* data() { return blocks_.empty() ? nullptr : blocks_.front().values; }

 private:
  struct alignas(64) Block {
    float values[kWidestVector];
  };
  std::vector<Block> blocks_;
};

/// ThetaRows of several categories.
class ThetaTable {
 public:
  void resize(std::int64_t n_categories, std::int64_t n_genes) {
    stride_ = (n_genes + kWidestVector - 1) / kWidestVector * kWidestVector;
    memory_.resize(3 * n_categories * stride_);
  }
  ThetaRow<float> row(std::int64_t category) {
    float* const first = memory_.data() + 3 * category * stride_;
    return {first, first + stride_, first + 2 * stride_};
  }

 private:
  std::int64_t stride_ = 0;
  AlignedFloats memory_;
};

/// What one thread needs for one cell.
class RowScratch {
 public:
  PositiveCounts<float> positive = {};
  std::int64_t n_small = 0;      ///< counts at the start of the lists: whole, at most kLargestSmallCount
  std::int64_t first_other = 0;  ///< where the others begin
  std::int64_t n_other = 0;

  void prepare(std::int64_t n_genes);
  std::int64_t padded_genes() const { return padded_genes_; }
  /// (padded genes) means of the cell, up to a factor.
  float* mean() { return mean_.data(); }
  ThetaRow<float> cell_theta(std::int64_t n_genes);
  /// cell_theta() of inverse dispersions themselves.
  void fill_theta_row(const float* theta, std::int64_t n_genes);

  /// Gathers the counts above 0 of a row and takes their means out of mean(), so that they count for nothing there.
  /// @param log_mean of a gene, asked for where the likelihood is Poisson's (no theta)
  /// @return the sum of lgamma(count + 1)
  template <class LogMean>
  double gather(const CsrView& counts, std::int64_t row, const RowOfCounts& of, LogMean log_mean);
  /// Puts the means back.
  void restore_means();

  /// Computes the counts beyond kLargeCount once more, in float64.
  void redo_large_counts(CountLikelihood kind);

  /// Calls use(position in the lists, gene).
  template <class Use>
  void for_each_positive(Use use) const {
    for (std::int64_t i = 0; i < n_small; ++i) use(i, genes_[i]);
    for (std::int64_t i = first_other; i < first_other + n_other; ++i) use(i, genes_[i]);
  }

 private:
  void size_lists(std::int64_t n_counts);
  void put(std::int64_t at, std::int64_t gene, float count, const RowOfCounts& of, double log_mean);
  void pad(std::int64_t end);

  std::int64_t padded_genes_ = 0;
  std::int64_t capacity_ = 0;  ///< of each list
  AlignedFloats mean_;
  AlignedFloats theta_;
  AlignedFloats lists_;
  std::vector<float> kept_;  ///< means as they were
  std::vector<std::int32_t> genes_;
  std::vector<std::int64_t> large_;
  std::vector<float> large_dropout_;  ///< logits of the large counts, which the vectors overwrite
};

/// Sum of lgamma(x + 1) is added up from these.
double log_factorial(float count);

template <class LogMean>
double RowScratch::gather(const CsrView& counts, std::int64_t row, const RowOfCounts& of, LogMean log_mean) {
  const std::int64_t first = counts.indptr[row];
  const std::int64_t last = counts.indptr[row + 1];
  size_lists(last - first);
  // The small ones from the front, the others behind; which are which is known only here, so they go to both ends.
  n_small = 0;
  n_other = 0;
  first_other = (last - first + kWidestVector - 1) / kWidestVector * kWidestVector;
  large_.clear();
  large_dropout_.clear();
  const bool has_theta = of.theta.theta != nullptr;
  double log_factorials = 0;
  for (std::int64_t entry = first; entry < last; ++entry) {
    const float count = counts.values[entry];
    if (count == 0) continue;
    const std::int64_t gene = counts.indices[entry];
    log_factorials += log_factorial(count);
    const bool is_small = count <= kLargestSmallCount && count == static_cast<float>(static_cast<int>(count)) &&
                          (!has_theta || of.theta.theta[gene] < kProductTheta);
    const std::int64_t at = is_small ? n_small++ : first_other + n_other++;
    put(at, gene, count, of, has_theta ? 0.0 : log_mean(gene));
    if (!(count <= kLargeCount)) {
      large_.push_back(at);
      large_dropout_.push_back(positive.dropout[at]);
    }
  }
  pad(n_small);
  pad(first_other + n_other);
  return log_factorials;
}

}  // namespace scvi::kernel
