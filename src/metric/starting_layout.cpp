#include "starting_layout.hpp"

#include <algorithm>
#include <cmath>

#include "lanczos.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kRowsAtOnce = 4096;
constexpr std::int64_t kAxes = 2;

/// Takes each column's mean from it.
void centre(std::vector<double>& rows, std::int64_t n, std::int64_t dim) {
  std::vector<double> means(static_cast<std::size_t>(dim));
  for (std::int64_t i = 0; i < n * dim; ++i) means[i % dim] += rows[i] / static_cast<double>(n);
  for (std::int64_t i = 0; i < n * dim; ++i) rows[i] -= means[i % dim];
}

/// X'(X v) with X (n, dim): sums over fixed chunks of rows, added in order.
void covariance_product(const std::vector<double>& rows, std::int64_t n, const std::vector<double>& in,
                        std::vector<double>& out) {
  const std::int64_t dim = std::ssize(in);
  std::vector<std::vector<double>> parts(static_cast<std::size_t>(chunk_count(n, kRowsAtOnce)));
  parallel_for(n, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double>& part = parts[begin / kRowsAtOnce];
    part.assign(in.size(), 0);
    for (std::int64_t row = begin; row < end; ++row) {
      const double* const x = rows.data() + row * dim;
      double along = 0;
      for (std::int64_t d = 0; d < dim; ++d) along += x[d] * in[d];
      for (std::int64_t d = 0; d < dim; ++d) part[d] += along * x[d];
    }
  });
  for (const auto& part : parts)
    for (std::int64_t d = 0; d < dim; ++d) out[d] += part[d];
}

}  // namespace

std::vector<double> principal_layout(const Points& points, std::uint64_t seed) {
  const std::int64_t n = points.n(), dim = points.dim();
  std::vector<double> rows = points.to_double();
  centre(rows, n, dim);
  constexpr std::int64_t kSteps = 100;
  const EigenPairs axes = largest_eigenpairs(
      dim, [&](const auto& in, auto& out) { covariance_product(rows, n, in, out); }, kAxes, kSteps, {}, seed);
  std::vector<double> layout(static_cast<std::size_t>(n * kAxes));
  for (std::size_t axis = 0; axis < axes.vectors.size(); ++axis)
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t d = 0; d < dim; ++d) layout[i * kAxes + axis] += rows[i * dim + d] * axes.vectors[axis][d];
  return layout;
}

std::vector<double> spectral_layout(const SparseGraph& graph, std::uint64_t seed) {
  std::vector<double> root_of_degree(static_cast<std::size_t>(graph.n));
  double total = 0;
  for (std::int64_t i = 0; i < graph.n; ++i) {
    double degree = 0;
    for (const float weight : graph.weights_of(i)) degree += weight;
    root_of_degree[i] = std::sqrt(degree);
    total += degree;
  }
  // D^(-1/2) W D^(-1/2) has the Laplacian's eigenvectors, the other way round; the first of them is known.
  std::vector<double> first = root_of_degree;
  for (double& value : first) value /= std::sqrt(total);
  const auto product = [&](const std::vector<double>& in, std::vector<double>& out) {
    parallel_for(graph.n, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto others = graph.of(i);
        const auto weights = graph.weights_of(i);
        double sum = 0;
        for (std::size_t j = 0; j < others.size(); ++j) sum += weights[j] * in[others[j]] / root_of_degree[others[j]];
        out[i] = sum / root_of_degree[i];
      }
    });
  };
  // As many steps as time and memory allow; a rough answer will do.
  constexpr std::int64_t kFewest = 50, kMost = 250, kValues = 20'000'000;
  const std::int64_t n_steps = std::clamp(kValues / graph.n, kFewest, kMost);
  const EigenPairs found = largest_eigenpairs(graph.n, product, kAxes, n_steps, {first}, seed);
  std::vector<double> layout(static_cast<std::size_t>(graph.n * kAxes));
  const double scale = std::sqrt(static_cast<double>(graph.n));
  for (std::size_t axis = 0; axis < found.vectors.size(); ++axis)
    for (std::int64_t i = 0; i < graph.n; ++i) layout[i * kAxes + axis] = found.vectors[axis][i] * scale;
  return layout;
}

}  // namespace scvi
