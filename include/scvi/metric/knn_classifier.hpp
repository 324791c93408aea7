#pragma once

#include <cstdint>
#include <vector>

#include "scvi/metric/labelled_points.hpp"

namespace scvi {

/// How much the vote of a neighbour counts.
enum class NeighborWeights {
  uniform,  ///< one each
  distance  ///< 1 / distance; where some are at distance 0, these vote alone, with one each
};

struct KnnClassifierOptions {
  std::int64_t k = 5;  ///< neighbours that vote
  NeighborWeights weights = NeighborWeights::uniform;
};

/// The votes for each point, as shares of all that were cast for it.
struct NeighborVotes {
  std::vector<std::int64_t> classes;  ///< the labels that training points bear, ascending
  std::vector<double> shares;         ///< (n, n_classes), row-major
};

/// How the k nearest training points of each point vote; knn_classify() takes the label with the largest share.
/// @throws as knn_classify()
NeighborVotes knn_votes(const LabelledPoints& train, const Points& points, const KnnClassifierOptions& options = {});

/// The label that most of the k nearest training points bear; of equals, the smallest label. Neighbours are exact,
/// and at equal distance the training point with the smaller index comes first. A training point that is classified
/// is its own neighbour. Time grows with the product of both numbers of points.
/// @throws InputError unless 1 <= k <= train.points.n(), and when sizes do not fit; Interrupted
std::vector<std::int64_t> knn_classify(const LabelledPoints& train, const Points& points,
                                       const KnnClassifierOptions& options = {});

}  // namespace scvi
