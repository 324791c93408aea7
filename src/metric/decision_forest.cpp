#include "decision_forest.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

/// Where a node is cut in two, and how well: the sum over both sides of the squared sizes of the classes over the
/// size of the side, which is largest where Gini's impurity is least.
struct Split {
  std::int64_t column = -1;
  double threshold = 0;
  double quality = -std::numeric_limits<double>::infinity();
};

/// Half way between two values, but below the larger one.
double between(double low, double high) {
  const double middle = low / 2 + high / 2;
  return middle < high && middle >= low ? middle : low;
}

/// Sizes of the classes on one side of a cut, and the sum of their squares. All are whole numbers, so sums are exact.
class Side {
 public:
  explicit Side(std::vector<double> sizes) : sizes_(std::move(sizes)) {
    for (const double size : sizes_) {
      total_ += size;
      squares_ += size * size;
    }
  }
  void add(std::int64_t code, double weight) {
    squares_ += weight * (2 * sizes_[code] + weight);
    sizes_[code] += weight;
    total_ += weight;
  }
  double quality() const { return squares_ / total_; }

 private:
  std::vector<double> sizes_;
  double total_ = 0;
  double squares_ = 0;
};

}  // namespace

/// Grows one tree.
class DecisionForest::Growth {
 public:
  Growth(const TrainingPoints& cells, std::int64_t tree, std::int64_t max_depth, std::uint64_t seed)
      : cells_(cells),
        tree_(tree),
        max_depth_(max_depth),
        seed_(seed),
        weights_(static_cast<std::size_t>(cells.n)),
        columns_(static_cast<std::size_t>(cells.dim)) {
    RandomStream random(seed, "random forest sample", {static_cast<std::uint64_t>(tree), 0});
    for (std::int64_t i = 0; i < cells.n; ++i) ++weights_[random.below(static_cast<std::uint64_t>(cells.n))];
    for (std::int64_t i = 0; i < cells.n; ++i)
      if (weights_[i] > 0) members_.push_back(i);
    std::iota(columns_.begin(), columns_.end(), 0);
  }

  Tree run() {
    constexpr std::uint64_t kRoot = 1;
    grow(members_, 0, kRoot);
    return std::move(grown_);
  }

 private:
  /// @param way 1 for the root; 2 way and 2 way + 1 for what is left and right of a node. @returns the node
  std::int64_t grow(std::span<std::int64_t> members, std::int64_t depth, std::uint64_t way) {
    const auto at = std::ssize(grown_.nodes);
    const std::vector<double> sizes = class_sizes(members);
    const double total = std::accumulate(sizes.begin(), sizes.end(), 0.0);
    grown_.nodes.emplace_back();
    for (const double size : sizes) grown_.shares.push_back(static_cast<float>(size / total));
    const bool is_pure = std::ranges::find(sizes, total) != sizes.end();
    if (is_pure || depth == max_depth_) return at;
    const Split split = best_split(members, sizes, way);
    if (split.column == kNone) return at;
    const auto middle = std::partition(members.begin(), members.end(), [&](std::int64_t point) {
      return cells_.row(point)[split.column] <= split.threshold;
    });
    const auto left = grow({members.begin(), middle}, depth + 1, 2 * way);
    const auto right = grow({middle, members.end()}, depth + 1, 2 * way + 1);
    grown_.nodes[at] = {.threshold = split.threshold, .column = split.column, .left = left, .right = right};
    return at;
  }

  std::vector<double> class_sizes(std::span<const std::int64_t> members) const {
    std::vector<double> sizes(static_cast<std::size_t>(cells_.n_classes()));
    for (const std::int64_t point : members) sizes[cells_.codes[point]] += weights_[point];
    return sizes;
  }

  /// The best cut along sqrt(n_columns) random columns, and along more of them until one has two values.
  Split best_split(std::span<const std::int64_t> members, const std::vector<double>& sizes, std::uint64_t way) {
    const auto wanted = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::sqrt(cells_.dim)));
    RandomStream random(seed_, "random forest split", {static_cast<std::uint64_t>(tree_), way});
    Split best;
    std::vector<std::int64_t> swaps;
    for (std::int64_t i = 0; i < cells_.dim && (i < wanted || best.column == kNone); ++i) {
      swaps.push_back(i + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(cells_.dim - i))));
      std::swap(columns_[i], columns_[swaps.back()]);
      look_along(columns_[i], members, sizes, best);
    }
    // The next draw must not depend on which nodes came before.
    while (!swaps.empty()) {
      std::swap(columns_[swaps.size() - 1], columns_[swaps.back()]);
      swaps.pop_back();
    }
    return best;
  }

  /// Puts the best cut along a column in the place of `best` where it is better.
  void look_along(std::int64_t column, std::span<const std::int64_t> members, const std::vector<double>& sizes,
                  Split& best) {
    sorted_.clear();
    for (const std::int64_t point : members) sorted_.emplace_back(cells_.row(point)[column], point);
    std::sort(sorted_.begin(), sorted_.end());
    Side left(std::vector<double>(sizes.size())), right(sizes);
    for (std::size_t i = 0; i + 1 < sorted_.size(); ++i) {
      const auto [value, point] = sorted_[i];
      left.add(cells_.codes[point], weights_[point]);
      right.add(cells_.codes[point], -weights_[point]);
      const double next = sorted_[i + 1].first;
      const double quality = left.quality() + right.quality();
      if (value < next && quality > best.quality)
        best = {.column = column, .threshold = between(value, next), .quality = quality};
    }
  }

  const TrainingPoints& cells_;
  std::int64_t tree_;
  std::int64_t max_depth_;
  std::uint64_t seed_;
  std::vector<double> weights_;        // how often each point was drawn
  std::vector<std::int64_t> members_;  // points that were drawn at all
  std::vector<std::int64_t> columns_;  // ascending between two draws
  std::vector<std::pair<double, std::int64_t>> sorted_;
  Tree grown_;
};

DecisionForest::DecisionForest(const TrainingPoints& cells, std::int64_t n_trees, std::int64_t max_depth,
                               std::uint64_t seed)
    : n_classes_(cells.n_classes()), trees_(static_cast<std::size_t>(n_trees)) {
  parallel_for(n_trees, 1, [&](std::int64_t tree, std::int64_t) {
    throw_if_interrupted();
    trees_[tree] = Growth(cells, tree, max_depth, seed).run();
  });
}

std::span<const float> DecisionForest::shares(std::int64_t tree, const double* point, std::int64_t max_depth) const {
  const std::vector<Node>& nodes = trees_[tree].nodes;
  std::int64_t at = 0;
  for (std::int64_t depth = 0; depth < max_depth && nodes[at].column != kNone; ++depth)
    at = point[nodes[at].column] <= nodes[at].threshold ? nodes[at].left : nodes[at].right;
  return std::span(trees_[tree].shares)
      .subspan(static_cast<std::size_t>(at * n_classes_), static_cast<std::size_t>(n_classes_));
}

}  // namespace scvi
