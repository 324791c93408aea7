#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plot.hpp"

namespace scvi::report {

/// Finds places for labels near their points so that none covers another or leaves an area. Where a place farther off
/// must do, a thin line leads to it.
class LabelPlacer {
 public:
  /// @param marks points that labels had better not cover
  LabelPlacer(const Rect& area, std::span<const Point> marks) : area_(area), marks_(marks.begin(), marks.end()) {}

  /// Draws a label beside a point. @return whether there was room
  bool beside(Canvas& canvas, Point point, const std::string& text, const TextStyle& style);
  /// Draws a label on a point, or as near as there is room. @return whether there was any
  bool on(Canvas& canvas, Point point, const std::string& text, const TextStyle& style);

 private:
  Rect area_;
  std::vector<Point> marks_;
  std::vector<Rect> taken_;
  std::vector<Point> lines_;  // on the lines that were drawn

  bool is_free(const Rect& place) const;
  std::int64_t covered_marks(const Rect& place) const;
  /// Whether a line to a place would cross another label, or the place covers another's line.
  bool crosses(Point point, Point end, const Rect& place) const;
};

}  // namespace scvi::report
