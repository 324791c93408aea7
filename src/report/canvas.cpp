#include "scvi/report/canvas.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "cairo_handles.hpp"
#include "scvi/core/text.hpp"

namespace scvi::report {
namespace {

/// Half the height of capitals in DejaVu Sans, in parts of its size.
constexpr double kHalfCapital = 0.365;
constexpr double kAscent = 0.93;
constexpr double kDescent = 0.24;
constexpr const char* kEllipsis = "\u2026";
constexpr const char* kReplacement = "\uFFFD";

/// Bytes of the character at the beginning of a text; 0: it is none.
std::size_t character_length(std::string_view text) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length) {
    if (is_valid_utf8(text.substr(0, length))) return length;
  }
  return 0;
}

std::string cleaned(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (length == 0) {
      result += kReplacement;
    } else if (first < 0x20 || first == 0x7F) {
      result += ' ';
    } else if (text.starts_with("\uFFFE") || text.starts_with("\uFFFF")) {
      result += kReplacement;
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  return result;
}

/// A direction along the line of a text, and the one up from it.
struct Directions {
  Point along;
  Point up;
};

Directions directions_of(double rotation) {
  const double angle = rotation * std::numbers::pi / 180;
  return {.along = {std::cos(angle), -std::sin(angle)}, .up = {-std::sin(angle), -std::cos(angle)}};
}

void move(Rect& area, Point by) {
  area.x += by.x;
  area.y += by.y;
}
void move(std::vector<Point>& points, Point by) {
  for (Point& point : points) {
    point.x += by.x;
    point.y += by.y;
  }
}

struct Mover {
  Point by;
  void operator()(Line& line) const { move(line.points, by); }
  void operator()(Box& box) const { move(box.area, by); }
  void operator()(Circle& circle) const {
    circle.center.x += by.x;
    circle.center.y += by.y;
  }
  void operator()(Polygon& polygon) const { move(polygon.points, by); }
  void operator()(Text& text) const {
    text.at.x += by.x;
    text.at.y += by.y;
  }
  void operator()(Dots& dots) const {
    move(dots.area, by);
    for (Dot& dot : dots.dots) {
      dot.x += static_cast<float>(by.x);
      dot.y += static_cast<float>(by.y);
    }
  }
  void operator()(Image& image) const { move(image.area, by); }
  void operator()(Clip& clip) const { move(clip.area, by); }
  void operator()(Unclip&) const {}
};

}  // namespace

double text_width(std::string_view text, const TextStyle& style) {
  return measured_width(cleaned(text), style);
}

std::string shortened(const std::string& text, const TextStyle& style, double width) {
  if (text_width(text, style) <= width) return text;
  std::vector<std::size_t> ends = {0};
  while (ends.back() < text.size()) {
    ends.push_back(ends.back() +
                   std::max<std::size_t>(1, character_length(std::string_view(text).substr(ends.back()))));
  }
  const std::size_t n_characters = ends.size() - 1;
  // Most of what is kept comes from the beginning.
  const auto with = [&](std::size_t n) {
    const std::size_t n_last = n * 2 / 5;
    return text.substr(0, ends[n - n_last]) + kEllipsis + text.substr(ends[n_characters - n_last]);
  };
  std::size_t most = 0;
  for (std::size_t low = 1, high = n_characters - 1; low <= high;) {
    const std::size_t middle = (low + high) / 2;
    if (text_width(with(middle), style) <= width) {
      most = middle;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return with(most);
}

void Canvas::line(std::vector<Point> points, const Stroke& stroke) {
  shapes_.emplace_back(Line{std::move(points), stroke});
}

void Canvas::box(const Rect& area, std::optional<Color> fill, std::optional<Stroke> stroke,
                 const std::string& title) {
  shapes_.emplace_back(Box{area, fill, stroke, cleaned(title)});
}

void Canvas::circle(Point center, double radius, std::optional<Color> fill, std::optional<Stroke> stroke,
                    const std::string& title) {
  shapes_.emplace_back(Circle{center, radius, fill, stroke, cleaned(title)});
}

void Canvas::polygon(std::vector<Point> points, Color fill) {
  shapes_.emplace_back(Polygon{std::move(points), fill});
}

void Canvas::text(Point at, const std::string& text, const TextStyle& style, const std::string& title) {
  if (text.empty()) return;
  if (style.centered) {
    const Point up = directions_of(style.rotation).up;
    at.x -= up.x * kHalfCapital * style.size;
    at.y -= up.y * kHalfCapital * style.size;
  }
  shapes_.emplace_back(Text{at, cleaned(text), style, cleaned(title)});
}

void Canvas::dots(Dots dots) {
  shapes_.emplace_back(std::move(dots));
}

void Canvas::image(Image image) {
  shapes_.emplace_back(std::move(image));
}

void Canvas::clip(const Rect& area) {
  shapes_.emplace_back(Clip{area});
}

void Canvas::unclip() {
  shapes_.emplace_back(Unclip{});
}

void Canvas::place(const Canvas& other, Point at) {
  for (Shape shape : other.shapes_) {
    std::visit(Mover{at}, shape);
    shapes_.push_back(std::move(shape));
  }
}

Rect extent_of(const Text& text) {
  const TextStyle& style = text.style;
  const double width = text_width(text.text, style);
  const double begin = style.anchor == Anchor::start ? 0 : style.anchor == Anchor::middle ? -width / 2 : -width;
  const auto [along, up] = directions_of(style.rotation);
  double left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
  for (const double a : {begin, begin + width}) {
    for (const double u : {-kDescent * style.size, kAscent * style.size}) {
      const double x = text.at.x + a * along.x + u * up.x;
      const double y = text.at.y + a * along.y + u * up.y;
      left = std::min(left, x);
      right = std::max(right, x);
      top = std::min(top, y);
      bottom = std::max(bottom, y);
    }
  }
  return {left, top, right - left, bottom - top};
}

}  // namespace scvi::report
