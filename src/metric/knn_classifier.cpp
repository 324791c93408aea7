#include "scvi/metric/knn_classifier.hpp"

#include <algorithm>
#include <string>

#include "classes.hpp"
#include "scvi/core/error.hpp"
#include "scvi/metric/neighbors.hpp"

namespace scvi {
namespace {

/// @param distances nearest first
double vote(std::span<const double> distances, std::size_t neighbor, NeighborWeights weights) {
  if (weights == NeighborWeights::uniform) return 1;
  if (distances[0] == 0) return distances[neighbor] == 0 ? 1 : 0;
  return 1 / distances[neighbor];
}

}  // namespace

std::vector<std::int64_t> knn_classify(const LabelledPoints& train, const Points& points,
                                       const KnnClassifierOptions& options) {
  if (std::ssize(train.labels) != train.points.n())
    throw InputError({.problem = "are " + std::to_string(train.labels.size()) + " for " +
                                 std::to_string(train.points.n()) + " cells",
                      .field = "labels"});
  if (options.k < 1)
    throw InputError(
        {.problem = "is " + std::to_string(options.k) + ", but must be at least 1", .field = "number of neighbours"});
  const Neighbors neighbors = nearest_neighbors(train.points, points, options.k);
  const std::vector<std::int64_t> classes = distinct({train.labels.begin(), train.labels.end()});
  const std::vector<std::int64_t> codes = codes_of(train.labels, classes);
  std::vector<std::int64_t> predicted;
  predicted.reserve(static_cast<std::size_t>(neighbors.n));
  std::vector<double> votes(classes.size());
  for (std::int64_t i = 0; i < neighbors.n; ++i) {
    std::fill(votes.begin(), votes.end(), 0.0);
    const auto distances =
        std::span(neighbors.distances)
            .subspan(static_cast<std::size_t>(i * neighbors.k), static_cast<std::size_t>(neighbors.k));
    const auto nearest = neighbors.of(i);
    for (std::size_t j = 0; j < nearest.size(); ++j) votes[codes[nearest[j]]] += vote(distances, j, options.weights);
    predicted.push_back(classes[std::max_element(votes.begin(), votes.end()) - votes.begin()]);
  }
  return predicted;
}

}  // namespace scvi
