#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scvi/metric/points.hpp"

namespace scvi {

// Labels are any integers; only their equality counts. All functions throw InputError when there are no labels, or
// when two arguments differ in length.

/// Rand index adjusted for chance (Hubert and Arabie 1985): 1 for equal partitions, around 0 for independent ones.
double adjusted_rand_index(std::span<const std::int64_t> labels, std::span<const std::int64_t> predicted);

/// Mutual information over the arithmetic mean of the two entropies, in [0, 1]; 1 when both partitions have one
/// class.
double normalized_mutual_information(std::span<const std::int64_t> labels, std::span<const std::int64_t> predicted);

struct ClusteringAccuracy {
  double accuracy = 0;                   ///< in [0, 1]
  std::vector<std::int64_t> classes;     ///< every value among labels and predictions, ascending
  std::vector<std::int64_t> assignment;  ///< the position in `classes` of the label that predicted class i stands for
};

/// Share of points whose predicted class stands for their label, under the best one-to-one matching of classes
/// (scVI's unsupervised_clustering_accuracy).
ClusteringAccuracy unsupervised_clustering_accuracy(std::span<const std::int64_t> labels,
                                                    std::span<const std::int64_t> predicted);

/// Mean silhouette coefficient (Rousseeuw 1987) of all points under Euclidean distance, in [-1, 1]. A point alone in
/// its class counts 0. O(n^2) time.
/// @throws InputError unless there are at least 2 classes and fewer classes than points
double silhouette_score(const Points& points, std::span<const std::int64_t> labels);

}  // namespace scvi
