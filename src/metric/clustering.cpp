#include "scvi/metric/clustering.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "classes.hpp"
#include "point_blocks.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/metric/assignment.hpp"

namespace scvi {
namespace {

using Labels = std::span<const std::int64_t>;

void check_same_length(std::size_t n, std::size_t other, const std::string& what) {
  if (n == 0) throw InputError({.problem = "are empty", .field = "labels"});
  if (n != other)
    throw InputError({.problem = "are " + std::to_string(n) + ", but there are " + std::to_string(other) + " " + what,
                      .field = "labels"});
}

/// How often class i of `labels` meets class j of `predicted`: only the pairs that occur, and the class sizes.
struct Contingency {
  std::vector<double> row_totals, column_totals;
  struct Cell {
    std::int64_t row, column;
    double count;
  };
  std::vector<Cell> cells;

  Contingency(Labels labels, Labels predicted) {
    check_same_length(labels.size(), predicted.size(), "predicted ones");
    const std::vector<std::int64_t> rows = distinct({labels.begin(), labels.end()});
    const std::vector<std::int64_t> columns = distinct({predicted.begin(), predicted.end()});
    row_totals.resize(rows.size());
    column_totals.resize(columns.size());
    const std::vector<std::int64_t> row = codes_of(labels, rows), column = codes_of(predicted, columns);
    std::vector<std::pair<std::int64_t, std::int64_t>> pairs(labels.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      pairs[i] = {row[i], column[i]};
      ++row_totals[row[i]];
      ++column_totals[column[i]];
    }
    std::sort(pairs.begin(), pairs.end());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (i == 0 || pairs[i] != pairs[i - 1]) cells.push_back({pairs[i].first, pairs[i].second, 0});
      ++cells.back().count;
    }
  }
};

double sum_of_squares(const std::vector<double>& counts) {
  double sum = 0;
  for (const double count : counts) sum += count * count;
  return sum;
}

/// In nats.
double entropy(const std::vector<double>& counts, double n) {
  double sum = 0;
  for (const double count : counts) sum -= count / n * std::log(count / n);
  return sum;
}

}  // namespace

double adjusted_rand_index(Labels labels, Labels predicted) {
  const Contingency table(labels, predicted);
  const double n = static_cast<double>(labels.size());
  double both = 0;
  for (const auto& cell : table.cells) both += cell.count * cell.count;
  const double in_labels = sum_of_squares(table.row_totals), in_predicted = sum_of_squares(table.column_totals);
  // Ordered pairs of points: together in both, in one only, in neither.
  const double together = both - n;
  const double only_labels = in_labels - both, only_predicted = in_predicted - both;
  const double neither = n * n - in_labels - in_predicted + both;
  if (only_labels == 0 && only_predicted == 0) return 1;
  return 2 * (together * neither - only_labels * only_predicted) /
         ((together + only_labels) * (only_labels + neither) +
          (together + only_predicted) * (only_predicted + neither));
}

double normalized_mutual_information(Labels labels, Labels predicted) {
  const Contingency table(labels, predicted);
  if (table.row_totals.size() == 1 && table.column_totals.size() == 1) return 1;
  const double n = static_cast<double>(labels.size());
  double information = 0;
  for (const auto& [row, column, count] : table.cells)
    information += count / n * std::log(count * n / (table.row_totals[row] * table.column_totals[column]));
  // Independent partitions: rounding may leave a trace on either side of 0.
  if (information <= std::numeric_limits<double>::epsilon()) return 0;
  return std::min(1.0, information / (0.5 * (entropy(table.row_totals, n) + entropy(table.column_totals, n))));
}

ClusteringAccuracy unsupervised_clustering_accuracy(Labels labels, Labels predicted) {
  check_same_length(labels.size(), predicted.size(), "predicted ones");
  ClusteringAccuracy result;
  std::vector<std::int64_t> all(labels.begin(), labels.end());
  all.insert(all.end(), predicted.begin(), predicted.end());
  result.classes = distinct(std::move(all));
  const std::int64_t k = static_cast<std::int64_t>(result.classes.size());
  const std::vector<std::int64_t> truth = codes_of(labels, result.classes),
                                  guess = codes_of(predicted, result.classes);
  std::vector<double> misses(static_cast<std::size_t>(k * k));
  for (std::size_t i = 0; i < truth.size(); ++i) --misses[guess[i] * k + truth[i]];
  result.assignment = linear_sum_assignment(misses, k, k);
  double hits = 0;
  for (std::int64_t i = 0; i < k; ++i) hits -= misses[i * k + result.assignment[i]];
  result.accuracy = hits / static_cast<double>(labels.size());
  return result;
}

namespace {

/// Points sorted by class, so that the distances to a class can be summed in one go.
struct ClassOrder {
  std::vector<double> rows;             ///< (n, dim)
  std::vector<std::int64_t> class_of;   ///< of each row, ascending
  std::vector<std::int64_t> class_end;  ///< the row after the last one of each class
  std::vector<std::int64_t> class_sizes;

  ClassOrder(const Points& points, Labels labels) {
    const std::vector<std::int64_t> classes = distinct({labels.begin(), labels.end()});
    const std::vector<std::int64_t> codes = codes_of(labels, classes);
    class_sizes.resize(classes.size());
    for (const std::int64_t code : codes) ++class_sizes[code];
    class_end.resize(classes.size());
    std::exclusive_scan(class_sizes.begin(), class_sizes.end(), class_end.begin(), std::int64_t{0});
    const std::vector<double> unsorted = points.to_double();
    rows.resize(unsorted.size());
    class_of.resize(codes.size());
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const std::int64_t place = class_end[codes[i]]++;
      class_of[place] = codes[i];
      std::copy_n(unsorted.begin() + static_cast<std::int64_t>(i) * points.dim(), points.dim(),
                  rows.begin() + place * points.dim());
    }
  }
};

/// In a fixed order that lets several additions run at once.
double sum_of(std::span<const double> values) {
  constexpr std::size_t kLanes = 8;
  double lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[i + lane];
  double sum = 0;
  for (; i < values.size(); ++i) sum += values[i];
  for (const double lane : lanes) sum += lane;
  return sum;
}

/// Adds the distances to the rows first, first + 1, ... to the sums of their classes.
void add_by_class(const ClassOrder& order, std::int64_t first, std::span<const double> distances,
                  std::vector<double>& sums) {
  const std::int64_t last = first + std::ssize(distances);
  for (std::int64_t row = first; row < last;) {
    const std::int64_t own_class = order.class_of[row];
    const std::int64_t end = std::min(last, order.class_end[own_class]);
    sums[own_class] += sum_of(distances.subspan(row - first, end - row));
    row = end;
  }
}

/// The coefficient of a point of class `own`, from the sums of its distances to the points of every class.
double silhouette(const std::vector<double>& distance_sums, const std::vector<std::int64_t>& class_sizes,
                  std::int64_t own) {
  if (class_sizes[own] == 1) return 0;
  const double within = distance_sums[own] / static_cast<double>(class_sizes[own] - 1);
  double nearest = std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < class_sizes.size(); ++c)
    if (static_cast<std::int64_t>(c) != own)
      nearest = std::min(nearest, distance_sums[c] / static_cast<double>(class_sizes[c]));
  const double larger = std::max(within, nearest);
  return larger > 0 ? (nearest - within) / larger : 0;
}

}  // namespace

double silhouette_score(const Points& points, Labels labels) {
  check_same_length(labels.size(), static_cast<std::size_t>(points.n()), "points");
  const ClassOrder order(points, labels);
  const std::int64_t n = points.n(), n_classes = static_cast<std::int64_t>(order.class_sizes.size());
  if (n_classes < 2 || n_classes >= n)
    throw InputError({.problem = "have " + std::to_string(n_classes) + " classes for " + std::to_string(n) +
                                 " points, but a silhouette needs at least 2 and fewer than points",
                      .field = "labels"});
  const PointBlocks blocks(order.rows, n, points.dim());
  std::vector<double> coefficients(static_cast<std::size_t>(n));
  constexpr std::int64_t kChunk = 64;
  parallel_for(n, kChunk, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    std::array<double, PointBlocks::kWidth> distances;
    std::vector<double> sums(order.class_sizes.size());
    for (std::int64_t i = begin; i < end; ++i) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t block = 0; block < blocks.n_blocks(); ++block) {
        blocks.squared_distances(order.rows.data() + i * points.dim(), block, distances.data());
        for (double& distance : distances) distance = std::sqrt(distance);
        add_by_class(order, block * PointBlocks::kWidth,
                     {distances.data(), static_cast<std::size_t>(blocks.size_of(block))}, sums);
      }
      coefficients[i] = silhouette(sums, order.class_sizes, order.class_of[i]);
    }
  });
  double sum = 0;
  for (const double coefficient : coefficients) sum += coefficient;
  return sum / static_cast<double>(n);
}

}  // namespace scvi
