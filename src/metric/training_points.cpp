#include "training_points.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "classes.hpp"
#include "scvi/core/error.hpp"

namespace scvi {
namespace {

/// Classes numbered in the order in which they are met.
std::vector<std::int64_t> numbered_as_met(const TrainingPoints& cells) {
  constexpr std::int64_t kNone = -1;
  std::vector<std::int64_t> number(cells.classes.size(), kNone), renumbered;
  std::int64_t next = 0;
  for (const std::int64_t code : cells.codes) {
    if (number[code] == kNone) number[code] = next++;
    renumbered.push_back(number[code]);
  }
  return renumbered;
}

void check_folds(const std::vector<std::int64_t>& sizes, std::int64_t n_folds) {
  const std::int64_t largest = *std::max_element(sizes.begin(), sizes.end());
  if (n_folds < 2)
    throw InputError(
        {.problem = "is " + std::to_string(n_folds) + ", but must be at least 2", .field = "number of folds"});
  if (largest < n_folds)
    throw InputError({.problem = "is " + std::to_string(n_folds) + ", but the largest class has only " +
                                 std::to_string(largest) + " cells to learn from",
                      .field = "number of folds"});
}

}  // namespace

TrainingPoints::TrainingPoints(const LabelledPoints& cells)
    : n(cells.points.n()),
      dim(cells.points.dim()),
      rows(cells.points.to_double()),
      classes(distinct({cells.labels.begin(), cells.labels.end()})),
      codes(codes_of(cells.labels, classes)) {
  if (n == 0) throw InputError({.problem = "are none", .field = "cells to learn from"});
  if (std::ssize(codes) != n)
    throw InputError({.problem = "are " + std::to_string(codes.size()) + " for " + std::to_string(n) + " cells",
                      .field = "labels"});
}

TrainingPoints TrainingPoints::subset(std::span<const std::int64_t> members) const {
  TrainingPoints some;
  some.n = std::ssize(members);
  some.dim = dim;
  some.classes = classes;
  some.rows.reserve(members.size() * static_cast<std::size_t>(dim));
  for (const std::int64_t member : members) {
    some.rows.insert(some.rows.end(), row(member), row(member) + dim);
    some.codes.push_back(codes[member]);
  }
  return some;
}

std::vector<double> rows_to_classify(const Points& points, std::int64_t dim) {
  if (points.dim() != dim)
    throw InputError({.problem = "have " + std::to_string(points.dim()) +
                                 " columns, but the classifier learned from " + std::to_string(dim),
                      .field = "points to classify"});
  return points.to_double();
}

std::vector<Fold> stratified_folds(const TrainingPoints& cells, std::int64_t n_folds) {
  const std::vector<std::int64_t> met = numbered_as_met(cells);
  std::vector<std::int64_t> sizes(cells.classes.size());
  for (const std::int64_t code : met) ++sizes[code];
  check_folds(sizes, n_folds);
  // Were the points in the order of their classes, point i would be in fold i % n_folds: so each fold gets as many of
  // a class as lie in its places. Within the class, the first points go to the first fold.
  std::vector<std::vector<std::int64_t>> left(sizes.size(), std::vector<std::int64_t>(n_folds));
  std::int64_t place = 0;
  for (std::size_t code = 0; code < sizes.size(); ++code)
    for (std::int64_t i = 0; i < sizes[code]; ++i) ++left[code][place++ % n_folds];
  std::vector<Fold> folds(static_cast<std::size_t>(n_folds));
  std::vector<std::int64_t> current(sizes.size());
  for (std::int64_t point = 0; point < cells.n; ++point) {
    const std::int64_t code = met[point];
    while (left[code][current[code]] == 0) ++current[code];
    --left[code][current[code]];
    for (std::int64_t fold = 0; fold < n_folds; ++fold)
      (fold == current[code] ? folds[fold].predicted : folds[fold].learned).push_back(point);
  }
  return folds;
}

std::vector<double> mean_over_folds(const std::vector<double>& scores, std::int64_t n_folds) {
  std::vector<double> means;
  for (auto first = scores.begin(); first != scores.end(); first += n_folds)
    means.push_back(std::accumulate(first, first + n_folds, 0.0) / static_cast<double>(n_folds));
  return means;
}

std::int64_t place_of_best(const std::vector<double>& scores) {
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

}  // namespace scvi
