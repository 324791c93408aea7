#include "label_placement.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace scvi::report {
namespace {

/// From the middle of its place.
Rect around(Point center, double width, double height) {
  return {center.x - width / 2, center.y - height / 2, width, height};
}

double height_of(const TextStyle& style) {
  return style.size * 1.2;
}

bool holds(const Rect& place, Point point) {
  return point.x > place.x && point.x < place.right() && point.y > place.y && point.y < place.bottom();
}

/// Where a line from a point to its label ends.
Point end_of_line(Point point, const Rect& place) {
  return {std::clamp(point.x, place.x + 1, place.right() - 1), std::clamp(point.y, place.y + 1, place.bottom() - 1)};
}

/// A line as points, for questions of what lies on it.
std::vector<Point> points_between(Point begin, Point end) {
  constexpr int kPieces = 16;
  std::vector<Point> points;
  for (int i = 1; i < kPieces; ++i) {
    const double part = static_cast<double>(i) / kPieces;
    points.push_back({begin.x + part * (end.x - begin.x), begin.y + part * (end.y - begin.y)});
  }
  return points;
}

void draw_at(Canvas& canvas, const Rect& place, const std::string& text, TextStyle style) {
  style.anchor = Anchor::middle;
  style.centered = true;
  canvas.text({place.x + place.width / 2, place.y + place.height / 2}, text, style);
}

}  // namespace

bool LabelPlacer::is_free(const Rect& place) const {
  const bool inside =
      place.x >= area_.x && place.right() <= area_.right() && place.y >= area_.y && place.bottom() <= area_.bottom();
  return inside && std::ranges::none_of(taken_, [&](const Rect& other) { return other.overlaps(place); });
}

std::int64_t LabelPlacer::covered_marks(const Rect& place) const {
  return std::ranges::count_if(marks_, [&](Point mark) { return holds(place, mark); });
}

bool LabelPlacer::crosses(Point point, Point end, const Rect& place) const {
  const std::vector<Point> line = points_between(point, end);
  const auto crossed = [&](const Rect& other) {
    return std::ranges::any_of(line, [&](Point on_line) { return holds(other, on_line); });
  };
  return std::ranges::any_of(taken_, crossed) ||
         std::ranges::any_of(lines_, [&](Point on_line) { return holds(place, on_line); });
}

bool LabelPlacer::beside(Canvas& canvas, Point point, const std::string& text, const TextStyle& style) {
  const double width = text_width(text, style) + 4, height = height_of(style);
  std::optional<Rect> best;
  double least_cost = INFINITY;
  double best_distance = 0;
  // Right and left first: there a label is read with its point.
  for (const double distance : {5.0, 12.0, 20.0, 30.0, 42.0, 56.0, 72.0}) {
    constexpr int kDirections = 24;
    for (int i = 0; i < kDirections; ++i) {
      const double angle = 2 * std::numbers::pi * i / kDirections;
      const Point center = {point.x + std::cos(angle) * (distance + width / 2),
                            point.y - std::sin(angle) * (distance + height / 2)};
      const Rect place = around(center, width, height);
      if (!is_free(place) || crosses(point, end_of_line(point, place), place)) continue;
      const double cost = distance + 8 * static_cast<double>(covered_marks(place)) + 3 * std::abs(std::sin(angle));
      if (cost >= least_cost) continue;
      least_cost = cost;
      best_distance = distance;
      best = place;
    }
  }
  if (!best) return false;
  constexpr double kNear = 6;
  if (best_distance > kNear) {
    const Point end = end_of_line(point, *best);
    canvas.line({point, end}, {.color = kMutedInk, .width = 0.6});
    for (const Point& on_line : points_between(point, end)) lines_.push_back(on_line);
  }
  draw_at(canvas, *best, text, style);
  taken_.push_back(*best);
  return true;
}

bool LabelPlacer::on(Canvas& canvas, Point point, const std::string& text, const TextStyle& style) {
  const double width = text_width(text, style) + 4, height = height_of(style);
  // A text near the edge is moved inside first.
  const Point wanted = {
      std::clamp(point.x, area_.x + width / 2, std::max(area_.x + width / 2, area_.right() - width / 2)),
      std::clamp(point.y, area_.y + height / 2, std::max(area_.y + height / 2, area_.bottom() - height / 2))};
  Rect place = around(wanted, width, height);
  constexpr int kTries = 600;
  for (int i = 1; i < kTries && !is_free(place); ++i) {
    // Outward on a spiral, flat as texts are.
    const double distance = 3 * std::sqrt(i);
    const double angle = 2.4 * i;
    place =
        around({wanted.x + 1.5 * distance * std::cos(angle), wanted.y + distance * std::sin(angle)}, width, height);
  }
  if (!is_free(place)) return false;
  if (!holds(place, point)) canvas.line({point, end_of_line(point, place)}, {.color = kInk, .width = 0.7});
  draw_at(canvas, place, text, style);
  taken_.push_back(place);
  return true;
}

}  // namespace scvi::report
