#include "scvi/kernel/label_probabilities.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

/// Probabilities that are worth a chunk of their own.
constexpr std::int64_t kChunk = 8192;

bool can_fuse(const at::Tensor& logits) {
  return settings().kernel == KernelRoad::fused && logits.dim() == 2 && is_plain_cpu_float(logits) &&
         logits.size(1) > 0;
}

/// Calls body(row) for each.
template <class Body>
void for_rows(const at::Tensor& matrix, const Body& body) {
  const std::int64_t per_chunk = std::max<std::int64_t>(1, kChunk / matrix.size(1));
  parallel_for(matrix.size(0), per_chunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(row);
  });
}

/// Writes the softmax of a row. @return the log of the sum of its exponentials
double softmax_row(const float* logits, std::int64_t n, float* probabilities) {
  const auto largest = static_cast<double>(*std::max_element(logits, logits + n));
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(logits[i]) - largest);
  for (std::int64_t i = 0; i < n; ++i) {
    probabilities[i] = static_cast<float>(std::exp(static_cast<double>(logits[i]) - largest) / sum);
  }
  return largest + std::log(sum);
}

struct LabelProbabilitiesSaved {
  static constexpr const char* kName = "LabelProbabilities";

  at::Tensor probabilities;

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted&) {
    const std::int64_t n = probabilities.size(1);
    const at::Tensor given = grads[0].contiguous();
    at::Tensor result = empty_floats(probabilities.sizes());
    for_rows(probabilities, [&](std::int64_t row) {
      const float* const p = probabilities.data_ptr<float>() + row * n;
      const float* const g = given.data_ptr<float>() + row * n;
      const double mean = std::inner_product(g, g + n, p, 0.0);
      float* const to = result.data_ptr<float>() + row * n;
      for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(p[i] * (g[i] - mean));
    });
    return {result};
  }
};

struct LabelCrossEntropySaved {
  static constexpr const char* kName = "LabelCrossEntropy";

  at::Tensor probabilities;
  Kept labels;

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted&) {
    const std::int64_t n = probabilities.size(1);
    const auto share = static_cast<float>(static_cast<double>(*grads[0].data_ptr<float>()) /
                                          static_cast<double>(probabilities.size(0)));
    const std::int64_t* const label = labels.get().data_ptr<std::int64_t>();
    at::Tensor result = empty_floats(probabilities.sizes());
    for_rows(probabilities, [&](std::int64_t row) {
      const float* const p = probabilities.data_ptr<float>() + row * n;
      float* const to = result.data_ptr<float>() + row * n;
      for (std::int64_t i = 0; i < n; ++i) to[i] = share * (p[i] - (i == label[row] ? 1.0F : 0.0F));
    });
    return {result};
  }
};

void check(const std::int64_t* labels, std::int64_t n_cells, std::int64_t n_labels) {
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    if (labels[cell] >= 0 && labels[cell] < n_labels) continue;
    throw InputError(
        {.problem = "is " + std::to_string(labels[cell]) + ", but there are " + std::to_string(n_labels) + " labels",
         .field = "the label of a cell"});
  }
}

}  // namespace

at::Tensor label_probabilities(const at::Tensor& logits) {
  if (!can_fuse(logits)) return at::softmax(logits, -1);
  auto saved = std::make_unique<LabelProbabilitiesSaved>();
  saved->probabilities = empty_floats(logits.sizes());
  const float* const from = logits.data_ptr<float>();
  float* const to = saved->probabilities.data_ptr<float>();
  const std::int64_t n = logits.size(1);
  for_rows(saved->probabilities, [&](std::int64_t row) { softmax_row(from + row * n, n, to + row * n); });
  // What it keeps must not lead back to the step itself.
  at::Tensor probabilities = saved->probabilities.detach();
  if (torch::autograd::compute_requires_grad(logits)) connect({probabilities}, std::move(saved), logits);
  return probabilities;
}

at::Tensor label_cross_entropy(const at::Tensor& logits, const at::Tensor& labels) {
  const bool readable = labels.device().is_cpu() && labels.scalar_type() == at::kLong && labels.is_contiguous();
  if (!can_fuse(logits) || !readable || labels.numel() != logits.size(0)) {
    return -at::log_softmax(logits, -1).gather(1, labels).mean();
  }
  const std::int64_t n = logits.size(1), n_cells = logits.size(0);
  const std::int64_t* const label = labels.data_ptr<std::int64_t>();
  check(label, n_cells, n);
  auto saved = std::make_unique<LabelCrossEntropySaved>();
  saved->labels = Kept(labels);
  saved->probabilities = empty_floats(logits.sizes());
  const float* const from = logits.data_ptr<float>();
  float* const to = saved->probabilities.data_ptr<float>();
  std::vector<double> costs(static_cast<std::size_t>(n_cells));
  for_rows(saved->probabilities, [&](std::int64_t row) {
    const double log_sum = softmax_row(from + row * n, n, to + row * n);
    costs[static_cast<std::size_t>(row)] = log_sum - static_cast<double>(from[row * n + label[row]]);
  });
  at::Tensor mean = empty_floats({});
  *mean.data_ptr<float>() =
      static_cast<float>(std::accumulate(costs.begin(), costs.end(), 0.0) / static_cast<double>(n_cells));
  if (torch::autograd::compute_requires_grad(logits)) connect({mean}, std::move(saved), logits);
  return mean;
}

}  // namespace scvi::kernel
