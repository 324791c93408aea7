#include "scvi/dataset/loess.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "count_check.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi {
namespace {

using dataset_detail::number_text;

constexpr std::int64_t kMinNeighbors = 3;  // what a parabola needs
constexpr double kBorder = 0.005;          // how far the grid reaches beyond the points, as a part of their range
constexpr double kSameDirection = 1e-7;    // below this a power of x adds nothing to the lower ones

/// Points in increasing order of x.
struct Points {
  std::vector<double> x;
  std::vector<double> y;
  std::int64_t size() const { return static_cast<std::int64_t>(x.size()); }
};

/// The curve at one place.
struct LocalFit {
  double value = 0;
  double slope = 0;
};

/// First of the `count` points nearest to `at`.
std::int64_t first_neighbor(const Points& points, double at, std::int64_t count) {
  std::int64_t low = 0;
  std::int64_t high = points.size() - count;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (at - points.x[middle] > points.x[middle + count] - at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

using Column = std::vector<double>;

double dot(const Column& a, const Column& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Least squares by modified Gram-Schmidt; a column that the ones before it explain gets coefficient 0.
std::array<double, 3> least_squares(std::array<Column, 3>& columns, Column& target) {
  std::array<std::array<double, 3>, 3> r{};
  std::array<double, 3> projection{};
  for (std::size_t k = 0; k < 3; ++k) {
    const double length = std::sqrt(dot(columns[k], columns[k]));
    for (std::size_t j = 0; j < k; ++j) {
      if (r[j][j] == 0) continue;
      r[j][k] = dot(columns[j], columns[k]);
      for (std::size_t i = 0; i < target.size(); ++i) columns[k][i] -= r[j][k] * columns[j][i];
    }
    const double rest = std::sqrt(dot(columns[k], columns[k]));
    if (!(rest > kSameDirection * length)) continue;
    r[k][k] = rest;
    for (double& item : columns[k]) item /= rest;
    projection[k] = dot(columns[k], target);
    for (std::size_t i = 0; i < target.size(); ++i) target[i] -= projection[k] * columns[k][i];
  }
  std::array<double, 3> coefficients{};
  for (std::size_t k = 3; k-- > 0;) {
    if (r[k][k] == 0) continue;
    double sum = projection[k];
    for (std::size_t j = k + 1; j < 3; ++j) sum -= r[k][j] * coefficients[j];
    coefficients[k] = sum / r[k][k];
  }
  return coefficients;
}

LocalFit fit_at(const Points& points, double at, std::int64_t n_neighbors) {
  const std::int64_t first = first_neighbor(points, at, n_neighbors);
  const std::int64_t last = first + n_neighbors;
  double reach = std::max(at - points.x[first], points.x[last - 1] - at);
  // All neighbours in one place weigh the same, wherever that is.
  if (points.x[first] == points.x[last - 1]) reach = 2 * reach + 1;
  std::array<Column, 3> powers;
  Column target;
  for (std::int64_t i = first; i < last; ++i) {
    const double offset = (points.x[i] - at) / reach;
    const double distance = std::abs(offset);
    if (distance >= 1) continue;
    const double weight = std::pow(1 - distance * distance * distance, 1.5);  // square root of the tricube weight
    powers[0].push_back(weight);
    powers[1].push_back(weight * offset);
    powers[2].push_back(weight * offset * offset);
    target.push_back(weight * points.y[i]);
  }
  const std::array<double, 3> coefficients = least_squares(powers, target);
  return {coefficients[0], coefficients[1] / reach};
}

/// Borders of the cells, in increasing order: cells of more than `most` points are cut at their median point.
std::vector<double> cell_borders(const Points& points, std::int64_t most) {
  struct Cell {
    std::int64_t first;
    std::int64_t last;  // inclusive
    double low;
    double high;
  };
  const double smallest = points.x.front();
  const double largest = points.x.back();
  const double border =
      kBorder * std::max(largest - smallest, 1e-3 * std::max(std::abs(smallest), std::abs(largest)) + 1e-30);
  std::vector<double> borders{smallest - border, largest + border};
  std::vector<Cell> pending{{0, points.size() - 1, borders[0], borders[1]}};
  while (!pending.empty()) {
    const Cell cell = pending.back();
    pending.pop_back();
    if (cell.last - cell.first + 1 <= most) continue;
    std::int64_t middle = (cell.first + cell.last + 2) / 2 - 1;
    while (middle > cell.first && points.x[middle - 1] == points.x[middle]) --middle;
    const double cut = points.x[middle];
    if (cut == cell.low || cut == cell.high) continue;
    borders.push_back(cut);
    pending.push_back({cell.first, middle, cell.low, cut});
    pending.push_back({middle + 1, cell.last, cut, cell.high});
  }
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  return borders;
}

/// The cubic with the values and slopes of two fits `width` apart, at the part t of the way.
double blend(const LocalFit& left, const LocalFit& right, double width, double t) {
  const double s = 1 - t;
  return (1 + 2 * t) * s * s * left.value + t * s * s * width * left.slope + t * t * (3 - 2 * t) * right.value -
         t * t * s * width * right.slope;
}

std::vector<LocalFit> fits_at(const Points& points, std::span<const double> places, std::int64_t n_neighbors) {
  std::vector<LocalFit> fits(places.size());
  parallel_for(static_cast<std::int64_t>(places.size()), 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) fits[i] = fit_at(points, places[i], n_neighbors);
  });
  return fits;
}

void check(std::span<const double> x, std::span<const double> y, const LoessOptions& options) {
  const auto fail = [](const std::string& field, const std::string& problem) {
    throw InputError({.problem = problem, .field = field});
  };
  if (x.size() != y.size()) {
    fail("loess", "is given " + std::to_string(x.size()) + " x and " + std::to_string(y.size()) + " y");
  }
  if (!(options.span > 0 && options.span <= 1)) {
    fail("span of loess", "is " + number_text(options.span) + ", expected more than 0 and at most 1");
  }
  if (!(options.cell >= 0 && std::isfinite(options.cell))) {
    fail("cell of loess", "is " + number_text(options.cell) + ", expected 0 or more");
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]) || !std::isfinite(y[i])) fail("loess", "point " + std::to_string(i) + " is not finite");
  }
}

}  // namespace

std::vector<double> loess_fit(std::span<const double> x, std::span<const double> y, const LoessOptions& options) {
  check(x, y, options);
  const auto n = static_cast<std::int64_t>(x.size());
  if (n == 0) return {};
  std::vector<std::int64_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] < x[b]; });
  Points points;
  for (const std::int64_t i : order) {
    points.x.push_back(x[i]);
    points.y.push_back(y[i]);
  }
  const double share = static_cast<double>(n) * options.span;
  const std::int64_t n_neighbors = std::min(n, std::max(kMinNeighbors, static_cast<std::int64_t>(share + 1e-5)));

  std::vector<double> fitted(x.size());
  if (options.cell == 0) {
    const std::vector<LocalFit> fits = fits_at(points, points.x, n_neighbors);
    for (std::int64_t i = 0; i < n; ++i) fitted[order[i]] = fits[i].value;
    return fitted;
  }
  const std::vector<double> borders =
      cell_borders(points, std::max<std::int64_t>(1, static_cast<std::int64_t>(share * options.cell)));
  const std::vector<LocalFit> fits = fits_at(points, borders, n_neighbors);
  std::size_t right = 1;
  for (std::int64_t i = 0; i < n; ++i) {
    while (right + 1 < borders.size() && points.x[i] >= borders[right]) ++right;
    const double width = borders[right] - borders[right - 1];
    fitted[order[i]] = blend(fits[right - 1], fits[right], width, (points.x[i] - borders[right - 1]) / width);
  }
  return fitted;
}

}  // namespace scvi
