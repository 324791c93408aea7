#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "training_points.hpp"

namespace scvi {

/// Trees that were each grown on a sample of the training points.
///
/// The draws at a node depend on seed, tree and the way to the node alone. So the first trees of a forest are the
/// forest of fewer trees, and its trees, seen down to a lesser depth, are those that would have been grown to it: one
/// forest answers for a whole grid of both.
class DecisionForest {
 public:
  static constexpr std::int64_t kMostDepth = 62;

  DecisionForest() = default;
  /// @param max_depth splits between the root and a leaf, from 0 to kMostDepth. @throws Interrupted
  DecisionForest(const TrainingPoints& cells, std::int64_t n_trees, std::int64_t max_depth, std::uint64_t seed);

  std::int64_t n_trees() const { return std::ssize(trees_); }
  /// The share of each class in the node in which a point ends within `max_depth` splits: (n_classes).
  std::span<const float> shares(std::int64_t tree, const double* point, std::int64_t max_depth) const;

 private:
  static constexpr std::int64_t kNone = -1;

  struct Node {
    double threshold = 0;         ///< values up to it go left
    std::int64_t column = kNone;  ///< kNone: a leaf
    std::int64_t left = kNone;
    std::int64_t right = kNone;
  };
  struct Tree {
    std::vector<Node> nodes;    ///< the root first
    std::vector<float> shares;  ///< (n_nodes, n_classes)
  };
  class Growth;

  std::int64_t n_classes_ = 0;
  std::vector<Tree> trees_;
};

}  // namespace scvi
