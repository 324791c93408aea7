#include "quad_tree.hpp"

#include <algorithm>

namespace scvi {

QuadTree::QuadTree(std::span<const Place> places) {
  if (places.empty()) return;
  std::vector<Place> sorted(places.begin(), places.end());
  Place low = sorted[0], high = sorted[0];
  for (const Place& place : sorted) {
    for (std::size_t d = 0; d < 2; ++d) {
      low[d] = std::min(low[d], place[d]);
      high[d] = std::max(high[d], place[d]);
    }
  }
  nodes_.reserve(2 * sorted.size());
  add(sorted, low, std::max(high[0] - low[0], high[1] - low[1]), 0);
}

void QuadTree::add(std::span<Place> places, const Place& low, double side, int depth) {
  constexpr int kDeepest = 40;  // where points are as good as equal
  if (places.empty()) return;
  const std::size_t at = nodes_.size();
  Node node{.n_points = static_cast<double>(places.size())};
  for (const Place& place : places)
    for (std::size_t d = 0; d < 2; ++d) node.centre[d] += place[d] / node.n_points;
  if (places.size() == 1) node.centre = places[0];
  const bool is_leaf = places.size() == 1 || depth == kDeepest || side == 0;
  node.squared_side = is_leaf ? 0 : side * side;
  nodes_.push_back(node);
  if (!is_leaf) {
    const double half = side / 2;
    const Place middle = {low[0] + half, low[1] + half};
    const auto begin = places.begin(), end = places.end();
    const auto right = std::partition(begin, end, [&](const Place& place) { return place[0] < middle[0]; });
    const auto left_top = std::partition(begin, right, [&](const Place& place) { return place[1] < middle[1]; });
    const auto right_top = std::partition(right, end, [&](const Place& place) { return place[1] < middle[1]; });
    add({begin, left_top}, low, half, depth + 1);
    add({left_top, right}, {low[0], middle[1]}, half, depth + 1);
    add({right, right_top}, {middle[0], low[1]}, half, depth + 1);
    add({right_top, end}, middle, half, depth + 1);
  }
  nodes_[at].next = static_cast<std::int64_t>(nodes_.size());
}

QuadTree::Repulsion QuadTree::repulsion(const Place& place, double theta) const {
  Repulsion result;
  const double squared_theta = theta * theta;
  for (std::int64_t at = 0; at < std::ssize(nodes_);) {
    const Node& node = nodes_[at];
    const double x = place[0] - node.centre[0], y = place[1] - node.centre[1];
    const double squared = x * x + y * y;
    if (node.squared_side > 0 && node.squared_side >= squared_theta * squared) {
      ++at;
      continue;
    }
    const double q = 1 / (1 + squared);
    result.sum += node.n_points * q;
    result.force[0] += node.n_points * q * q * x;
    result.force[1] += node.n_points * q * q * y;
    at = node.next;
  }
  return result;
}

}  // namespace scvi
