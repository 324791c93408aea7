#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "samples.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/kernel/matrix_product.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi {
namespace {

/// Rows whose products are added in float32 before they join the sums in float64.
constexpr std::int64_t kRowsAtATime = 4096;

/// Sums of products of all pairs of columns, from which correlations follow; rows come in any number of pieces.
class PairSums {
 public:
  explicit PairSums(std::int64_t n_columns)
      : n_(n_columns),
        shift_(static_cast<std::size_t>(n_columns)),
        sums_(static_cast<std::size_t>(n_columns)),
        products_(static_cast<std::size_t>(n_columns * n_columns)),
        piece_products_(products_.size()) {}

  /// @param rows (n_rows, n_columns), which are changed
  void add(float* rows, std::int64_t n_rows) {
    for (std::int64_t first = 0; first < n_rows; first += kRowsAtATime) {
      throw_if_interrupted();
      add_piece(rows + first * n_, std::min(kRowsAtATime, n_rows - first));
    }
  }

  /// Adds `weight` times the correlations to (n_columns, n_columns) numbers.
  void add_correlations(double weight, std::vector<double>& to) const {
    const auto covariance = [&](std::int64_t i, std::int64_t j) {
      return products_[i * n_ + j] - sums_[i] * sums_[j] / static_cast<double>(n_rows_);
    };
    for (std::int64_t i = 0; i < n_; ++i) {
      for (std::int64_t j = 0; j < n_; ++j) {
        const double variances = covariance(i, i) * covariance(j, j);
        const double value =
            variances > 0 ? covariance(i, j) / std::sqrt(variances) : std::numeric_limits<double>::quiet_NaN();
        to[i * n_ + j] += weight * (i == j && variances > 0 ? 1 : std::clamp(value, -1.0, 1.0));
      }
    }
  }

 private:
  void add_piece(float* rows, std::int64_t n_rows) {
    if (n_rows_ == 0) take_shift(rows, n_rows);
    n_rows_ += n_rows;
    parallel_for(n_rows, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        for (std::int64_t j = 0; j < n_; ++j) rows[row * n_ + j] -= shift_[j];
      }
    });
    for (std::int64_t row = 0; row < n_rows; ++row) {
      for (std::int64_t j = 0; j < n_; ++j) sums_[j] += rows[row * n_ + j];
    }
    const kernel::MatrixView<const float> view{rows, n_rows, n_, n_};
    kernel::matrix_product(view.transposed(), view, nullptr, {piece_products_.data(), n_, n_, n_});
    for (std::size_t i = 0; i < products_.size(); ++i) products_[i] += piece_products_[i];
  }

  /// Numbers near the middle of each column, off which all are taken so that little cancels later.
  void take_shift(const float* rows, std::int64_t n_rows) {
    for (std::int64_t j = 0; j < n_; ++j) {
      double sum = 0;
      for (std::int64_t row = 0; row < n_rows; ++row) sum += rows[row * n_ + j];
      shift_[j] = static_cast<float>(sum / static_cast<double>(n_rows));
    }
  }

  std::int64_t n_;
  std::int64_t n_rows_ = 0;
  std::vector<float> shift_;
  std::vector<double> sums_;
  std::vector<double> products_;
  std::vector<float> piece_products_;
};

/// Replaces each column by the ranks of its numbers, equal ones sharing the mean of theirs, as numbers from -1 to 1.
void rank_columns(std::vector<float>& rows, std::int64_t n_columns) {
  const std::int64_t n_rows = std::ssize(rows) / n_columns;
  parallel_for(n_columns, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> column(static_cast<std::size_t>(n_rows));
    std::vector<std::int64_t> order(column.size());
    for (std::int64_t j = begin; j < end; ++j) {
      throw_if_interrupted();
      for (std::int64_t row = 0; row < n_rows; ++row) column[row] = rows[row * n_columns + j];
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return column[a] < column[b]; });
      for (std::int64_t first = 0, last; first < n_rows; first = last) {
        last = first + 1;
        while (last < n_rows && column[order[last]] == column[order[first]]) ++last;
        const double rank = static_cast<double>(first + last) / static_cast<double>(n_rows) - 1;
        for (std::int64_t i = first; i < last; ++i) rows[order[i] * n_columns + j] = static_cast<float>(rank);
      }
    }
  });
}

}  // namespace

void Posterior::for_each_denoised_block(const DenoisedOptions& options, std::int64_t first_draw,
                                        std::int64_t n_minibatches,
                                        const std::function<void(std::vector<float>&)>& use) const {
  const std::int64_t n_genes = n_columns(options.genes);
  std::vector<float> rows;
  std::int64_t begin = 0;
  const auto make_room = [&] {
    const std::int64_t n_cells = std::min(n_minibatches * options_.batch_size, nb_cells() - begin);
    rows.resize(static_cast<std::size_t>(n_cells * options.n_samples * n_genes));
  };
  const auto fill = [&](std::int64_t i, std::int64_t cell, const MiniBatch& batch) {
    for_each_denoised(batch, i, options, first_draw, [&](std::int64_t sample, const at::Tensor& values) {
      const at::Tensor part = values.to(at::kCPU, at::kFloat).contiguous();
      const std::int64_t row = (cell - begin) * options.n_samples + sample * batch.size();
      std::memcpy(rows.data() + row * n_genes, part.data_ptr<float>(), part.nbytes());
    });
  };
  make_room();
  for_each_stretch("correlations", n_minibatches, fill, [&](std::int64_t first, std::int64_t n_cells) {
    use(rows);
    begin = first + n_cells;
    make_room();
  });
}

CellArray Posterior::generate_feature_correlation_matrix(const CorrelationOptions& options) const {
  DenoisedOptions denoised{.n_samples = options.n_samples,
                           .rna_size_factor = options.rna_size_factor,
                           .transform_batch = {},
                           .genes = options.genes};
  check(denoised);
  for (const std::int64_t batch : options.transform_batch) check_batch(batch);
  const bool ranked = options.type == CorrelationType::spearman;
  const std::int64_t n_genes = n_columns(options.genes);
  const std::int64_t all = std::max<std::int64_t>(chunk_count(nb_cells(), options_.batch_size), 1);
  const std::int64_t few = std::max<std::int64_t>(kRowsAtATime / options_.batch_size / options.n_samples, 1);
  const std::size_t n_batches = std::max<std::size_t>(options.transform_batch.size(), 1);
  std::vector<double> mean(static_cast<std::size_t>(n_genes * n_genes));
  for (std::size_t b = 0; b < n_batches; ++b) {
    if (!options.transform_batch.empty()) denoised.transform_batch = options.transform_batch[b];
    PairSums sums(n_genes);
    const std::int64_t first_draw = static_cast<std::int64_t>(b) * options.n_samples;
    for_each_denoised_block(denoised, first_draw, ranked ? all : std::min(few, all), [&](std::vector<float>& rows) {
      if (ranked) rank_columns(rows, n_genes);
      sums.add(rows.data(), std::ssize(rows) / n_genes);
    });
    sums.add_correlations(1 / static_cast<double>(n_batches), mean);
  }
  return {.n_cells = n_genes, .n_columns = n_genes, .values = std::vector<float>(mean.begin(), mean.end())};
}

}  // namespace scvi
