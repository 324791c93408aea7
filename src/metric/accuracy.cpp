#include "scvi/metric/accuracy.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "classes.hpp"
#include "scvi/core/error.hpp"

namespace scvi {

Accuracy accuracy_of(std::span<const std::int64_t> labels, std::span<const std::int64_t> predicted) {
  if (labels.empty()) throw InputError({.problem = "are empty", .field = "labels"});
  if (labels.size() != predicted.size())
    throw InputError({.problem = "are " + std::to_string(labels.size()) + ", but there are " +
                                 std::to_string(predicted.size()) + " predicted ones",
                      .field = "labels"});
  Accuracy accuracy{.classes = distinct({labels.begin(), labels.end()}), .accuracy_classes = {}};
  const std::vector<std::int64_t> codes = codes_of(labels, accuracy.classes);
  std::vector<double> sizes(accuracy.classes.size()), right(accuracy.classes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    ++sizes[codes[i]];
    right[codes[i]] += labels[i] == predicted[i];
  }
  for (std::size_t c = 0; c < sizes.size(); ++c) accuracy.accuracy_classes.push_back(right[c] / sizes[c]);
  const auto& of_classes = accuracy.accuracy_classes;
  accuracy.unweighted = std::accumulate(right.begin(), right.end(), 0.0) / static_cast<double>(labels.size());
  accuracy.weighted =
      std::accumulate(of_classes.begin(), of_classes.end(), 0.0) / static_cast<double>(of_classes.size());
  accuracy.worst = *std::min_element(of_classes.begin(), of_classes.end());
  return accuracy;
}

}  // namespace scvi
