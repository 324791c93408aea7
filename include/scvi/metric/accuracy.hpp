#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace scvi {

/// How often predictions are right, under the names that scVI gives its figures.
struct Accuracy {
  double unweighted = 0;  ///< share of all cells that are right
  double weighted = 0;    ///< mean of `accuracy_classes`: each class counts alike, however few cells it has
  double worst = 0;       ///< least of `accuracy_classes`
  std::vector<std::int64_t> classes;     ///< the values among the labels, ascending
  std::vector<double> accuracy_classes;  ///< share of the cells of each class that are right (recall)
};

/// scVI's compute_accuracy_tuple. The classes are those that occur among the labels; a class that is only predicted
/// has no accuracy (the reference takes the labels for 0, 1, 2, ... without gaps).
/// @throws InputError when there are no labels, or the two differ in number
Accuracy accuracy_of(std::span<const std::int64_t> labels, std::span<const std::int64_t> predicted);

}  // namespace scvi
