#include "count_rows.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "special_functions.hpp"

namespace scvi::kernel {

double log_factorial(float count) {
  constexpr std::size_t kTabled = 4096;
  static const std::array<double, kTabled> table = [] {
    std::array<double, kTabled> values{};
    for (std::size_t n = 2; n < kTabled; ++n) values[n] = values[n - 1] + std::log(static_cast<double>(n));
    return values;
  }();
  if (count >= 0 && count < static_cast<float>(kTabled)) {
    const auto whole = static_cast<std::size_t>(count);
    if (static_cast<float>(whole) == count) return table[whole];
  }
  return log_gamma(static_cast<double>(count) + 1);
}

void RowScratch::prepare(std::int64_t n_genes) {
  padded_genes_ = (n_genes + kWidestVector - 1) / kWidestVector * kWidestVector;
  mean_.resize(padded_genes_);
}

ThetaRow<float> RowScratch::cell_theta(std::int64_t n_genes) {
  const std::int64_t stride = (n_genes + kWidestVector - 1) / kWidestVector * kWidestVector;
  theta_.resize(3 * stride);
  return {theta_.data(), theta_.data() + stride, theta_.data() + 2 * stride};
}

void RowScratch::fill_theta_row(const float* theta, std::int64_t n_genes) {
  const ThetaRow<float> row = cell_theta(n_genes);
  const std::int64_t padded = (n_genes + kWidestVector - 1) / kWidestVector * kWidestVector;
  const float most = std::exp(kMostLogTheta);
  for (std::int64_t gene = 0; gene < padded; ++gene) {
    const float value = gene < n_genes ? theta[gene] : 1.0F;
    row.theta[gene] = value > most ? most : value;
    const float te = row.theta[gene] + kCountEpsilon;
    row.inverse[gene] = 1 / te;
    row.log_te[gene] = std::log(te);
  }
}

void RowScratch::size_lists(std::int64_t n_counts) {
  // Both ends are padded by themselves.
  const std::int64_t needed = (n_counts + kWidestVector - 1) / kWidestVector * kWidestVector * 2;
  if (needed <= capacity_) return;
  capacity_ = needed;
  constexpr std::int64_t kLists = 10;
  lists_.resize(kLists * capacity_);
  float* next = lists_.data();
  for (float** list : {&positive.count, &positive.mean, &positive.log_mean, &positive.theta, &positive.inverse,
                       &positive.log_te, &positive.dropout, &positive.loss, &positive.slope, &positive.dtheta}) {
    *list = next;
    next += capacity_;
  }
  kept_.resize(static_cast<std::size_t>(capacity_));
  genes_.resize(static_cast<std::size_t>(capacity_));
}

void RowScratch::put(std::int64_t at, std::int64_t gene, float count, const RowOfCounts& of, double log_mean) {
  float& mean = mean_.data()[gene];
  genes_[at] = static_cast<std::int32_t>(gene);
  kept_[at] = mean;
  positive.count[at] = count;
  positive.mean[at] = mean * of.factor;
  positive.log_mean[at] = static_cast<float>(log_mean);
  if (of.theta.theta != nullptr) {
    positive.theta[at] = of.theta.theta[gene];
    positive.inverse[at] = of.theta.inverse[gene];
    positive.log_te[at] = of.theta.log_te[gene];
  }
  positive.dropout[at] = of.dropout != nullptr ? of.dropout[gene] : 0.0F;
  mean = 0;
}

/// Harmless numbers up to the end of the last vector.
void RowScratch::pad(std::int64_t end) {
  for (; end % kWidestVector != 0; ++end) {
    for (float* list : {positive.count, positive.mean, positive.theta, positive.inverse}) list[end] = 1;
    for (float* list : {positive.log_mean, positive.log_te, positive.dropout}) list[end] = 0;
  }
}

void RowScratch::restore_means() {
  for_each_positive([&](std::int64_t i, std::int64_t gene) { mean_.data()[gene] = kept_[i]; });
}

void RowScratch::redo_large_counts(CountLikelihood kind) {
  for (std::size_t k = 0; k < large_.size(); ++k) {
    const std::int64_t i = large_[k];
    const double x = positive.count[i];
    const double mu = positive.mean[i];
    if (kind == CountLikelihood::poisson) {
      positive.loss[i] = static_cast<float>(mu - x * positive.log_mean[i]);
      continue;
    }
    const PositiveTerms terms = positive_terms<double>(x, mu, positive.theta[i], large_dropout_[k], kind);
    positive.loss[i] = static_cast<float>(terms.loss);
    positive.slope[i] = static_cast<float>(terms.slope);
    positive.dtheta[i] = static_cast<float>(terms.dtheta);
  }
}

}  // namespace scvi::kernel
