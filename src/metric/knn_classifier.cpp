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

NeighborVotes knn_votes(const LabelledPoints& train, const Points& points, const KnnClassifierOptions& options) {
  if (std::ssize(train.labels) != train.points.n())
    throw InputError({.problem = "are " + std::to_string(train.labels.size()) + " for " +
                                 std::to_string(train.points.n()) + " cells",
                      .field = "labels"});
  if (options.k < 1)
    throw InputError(
        {.problem = "is " + std::to_string(options.k) + ", but must be at least 1", .field = "number of neighbours"});
  const Neighbors neighbors = nearest_neighbors(train.points, points, options.k);
  NeighborVotes votes{.classes = distinct({train.labels.begin(), train.labels.end()}), .shares = {}};
  const std::vector<std::int64_t> codes = codes_of(train.labels, votes.classes);
  votes.shares.resize(static_cast<std::size_t>(neighbors.n) * votes.classes.size());
  for (std::int64_t i = 0; i < neighbors.n; ++i) {
    const auto row =
        std::span(votes.shares).subspan(static_cast<std::size_t>(i) * votes.classes.size(), votes.classes.size());
    const auto distances =
        std::span(neighbors.distances)
            .subspan(static_cast<std::size_t>(i * neighbors.k), static_cast<std::size_t>(neighbors.k));
    const auto nearest = neighbors.of(i);
    double cast = 0;
    for (std::size_t j = 0; j < nearest.size(); ++j) {
      const double weight = vote(distances, j, options.weights);
      row[static_cast<std::size_t>(codes[nearest[j]])] += weight;
      cast += weight;
    }
    for (double& share : row) share /= cast;
  }
  return votes;
}

std::vector<std::int64_t> knn_classify(const LabelledPoints& train, const Points& points,
                                       const KnnClassifierOptions& options) {
  const NeighborVotes votes = knn_votes(train, points, options);
  const auto n_classes = std::ssize(votes.classes);
  std::vector<std::int64_t> predicted;
  predicted.reserve(static_cast<std::size_t>(points.n()));
  for (std::int64_t i = 0; i < points.n(); ++i) {
    const auto first = votes.shares.begin() + i * n_classes;
    predicted.push_back(votes.classes[static_cast<std::size_t>(std::max_element(first, first + n_classes) - first)]);
  }
  return predicted;
}

}  // namespace scvi
