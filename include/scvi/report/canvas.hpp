#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scvi/report/color.hpp"

namespace scvi::report {

// Lengths are pixels of 1/96 inch, x to the right and y down.

struct Point {
  double x = 0;
  double y = 0;
};

struct Rect {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;

  double right() const { return x + width; }
  double bottom() const { return y + height; }
  bool overlaps(const Rect& other) const {
    return x < other.right() && other.x < right() && y < other.bottom() && other.y < bottom();
  }
};

struct Stroke {
  Color color = kInk;
  double width = 1;
  bool dashed = false;
};

/// Which part of a text lies at its point.
enum class Anchor { start, middle, end };

struct TextStyle {
  double size = 11;
  bool bold = false;
  Color color = kInk;
  Anchor anchor = Anchor::start;
  double rotation = 0;    ///< degrees, anticlockwise
  bool centered = false;  ///< the point is at half the height of capitals; else on the baseline
  bool halo = false;      ///< a white edge, for text on top of data
};

/// Width of a text without its rotation. Fonts are measured the same way whatever the figure is written as.
double text_width(std::string_view text, const TextStyle& style);
/// The text, or as much of its beginning and end as fits into `width` with an ellipsis between: long names often
/// differ in their last characters alone.
std::string shortened(const std::string& text, const TextStyle& style, double width);

// What can be drawn. Where there is a `title`, an .svg shows it when the mouse rests on the shape.

struct Line {
  std::vector<Point> points;
  Stroke stroke;
};
struct Box {
  Rect area;
  std::optional<Color> fill;
  std::optional<Stroke> stroke;
  std::string title;
};
struct Circle {
  Point center;
  double radius = 0;
  std::optional<Color> fill;
  std::optional<Stroke> stroke;
  std::string title;
};
struct Polygon {
  std::vector<Point> points;
  Color fill;
};
struct Text {
  Point at;  ///< on the baseline
  std::string text;
  TextStyle style;
  std::string title;
};
struct Dot {
  float x = 0;
  float y = 0;
  Color color;
};
/// Many small discs of one size, later ones on top; what leaves `area` is cut off. Up to kMostVectorDots are shapes
/// in an .svg, more of them an image.
struct Dots {
  Rect area;
  std::vector<Dot> dots;
  double radius = 1;
};
/// Pixels (height, width), each four bytes red, green, blue, opacity, stretched over an area.
struct Image {
  Rect area;
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<Color> pixels;
};
/// What follows is cut off at the edge of an area, up to the next Unclip. Clips are not nested.
struct Clip {
  Rect area;
};
struct Unclip {};

using Shape = std::variant<Line, Box, Circle, Polygon, Text, Dots, Image, Clip, Unclip>;

inline constexpr std::int64_t kMostVectorDots = 5000;

/// A white page and what is drawn on it, in order. Figures are drawn here once; save_figure.hpp writes them.
class Canvas {
 public:
  Canvas(double width, double height) : width_(width), height_(height) {}

  double width() const { return width_; }
  double height() const { return height_; }
  const std::vector<Shape>& shapes() const { return shapes_; }

  void line(std::vector<Point> points, const Stroke& stroke);
  void box(const Rect& area, std::optional<Color> fill, std::optional<Stroke> stroke = {},
           const std::string& title = "");
  void circle(Point center, double radius, std::optional<Color> fill, std::optional<Stroke> stroke = {},
              const std::string& title = "");
  void polygon(std::vector<Point> points, Color fill);
  /// Bytes that are no UTF-8 and control characters are replaced.
  void text(Point at, const std::string& text, const TextStyle& style, const std::string& title = "");
  void dots(Dots dots);
  void image(Image image);
  void clip(const Rect& area);
  void unclip();
  /// Everything on another canvas, moved.
  void place(const Canvas& other, Point at);

 private:
  double width_;
  double height_;
  std::vector<Shape> shapes_;
};

/// The rectangle that a text covers on the page, rotation included.
Rect extent_of(const Text& text);

}  // namespace scvi::report
