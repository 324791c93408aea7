#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace scvi {

/// Points of the plane in squares within squares, for forces that fall with distance (Barnes and Hut 1986).
class QuadTree {
 public:
  using Place = std::array<double, 2>;

  explicit QuadTree(std::span<const Place> places);

  struct Repulsion {
    Place force{};   ///< sum over all points j of q^2 (place - y_j), with q = 1 / (1 + |place - y_j|^2)
    double sum = 0;  ///< sum of q over all points, the one at `place` itself included
  };
  /// A square of which the side is less than theta times its distance counts as so many points at their centre.
  Repulsion repulsion(const Place& place, double theta) const;

 private:
  struct Node {
    Place centre{};
    double n_points = 0;
    double squared_side = 0;  // 0: nothing smaller within
    std::int64_t next = 0;    // the node that follows when those within are passed over
  };

  void add(std::span<Place> places, const Place& low, double side, int depth);

  std::vector<Node> nodes_;
};

}  // namespace scvi
