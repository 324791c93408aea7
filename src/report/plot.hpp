#pragma once

// What figures have in common: axes, titles, legends and colour bars.

#include <functional>
#include <string>
#include <vector>

#include "scvi/report/canvas.hpp"
#include "scvi/report/ticks.hpp"

namespace scvi::report {

inline constexpr double kMargin = 14;  ///< around a figure
inline constexpr double kGap = 24;     ///< between panels
inline constexpr TextStyle kTitleStyle = {.size = 13, .bold = true};
inline constexpr TextStyle kLabelStyle = {.size = 11.5};
inline constexpr TextStyle kSmallStyle = {.size = 10};
inline constexpr double kTitleHeight = 24;
inline constexpr double kBottomAxisHeight = 42;  ///< ticks and title below a plot
inline constexpr double kLongestLabel = 210;     ///< longer names are shortened

/// Whether a number can be shown on an axis: finite, and with room to compute with.
inline bool is_drawable(double value) {
  constexpr double kLargest = 1e100;
  return value > -kLargest && value < kLargest;
}

/// The same style with something changed.
TextStyle anchored(TextStyle style, Anchor anchor);
TextStyle colored(TextStyle style, Color color);
TextStyle centered(TextStyle style);

/// Numbers to places on the page.
struct Scale {
  double least = 0;
  double most = 1;
  double begin = 0;  ///< where `least` lies
  double end = 1;    ///< where `most` lies
  bool is_log = false;

  double operator()(double value) const;
};

/// A range with some room at both ends; around a single value, too.
Scale padded_scale(double least, double most, double padding = 0.04);

/// The title of a panel above its area, shortened to its width.
void draw_title(Canvas& canvas, const Rect& area, const std::string& title);
void draw_bottom_axis(Canvas& canvas, const Rect& area, const Scale& x, const std::vector<Tick>& ticks,
                      const std::string& title);
/// @param title "": none
void draw_left_axis(Canvas& canvas, const Rect& area, const Scale& y, const std::vector<Tick>& ticks,
                    const std::string& title);
/// Width that draw_left_axis() takes beside the area.
double left_axis_width(const std::vector<Tick>& ticks, const std::string& title);

/// One line of a legend.
struct LegendEntry {
  Color color;
  std::string label;
  std::string remark;  ///< beside it, muted: a count
};

/// A legend laid out: in as many columns as a height asks for.
class Legend {
 public:
  Legend() = default;
  Legend(std::vector<LegendEntry> entries, double height);

  double width() const { return width_; }
  double height() const { return height_; }
  void draw(Canvas& canvas, Point at) const;

 private:
  std::vector<LegendEntry> entries_;
  std::vector<double> column_widths_;
  std::size_t n_lines_ = 0;
  double width_ = 0;
  double height_ = 0;
};

/// A bar of colours with the numbers they stand for, upright.
struct ColorBar {
  std::string title;  ///< above it
  double least = 0;
  double most = 1;
  bool clipped_below = false;  ///< lower values have the lowest colour
  bool clipped_above = false;
  std::function<Color(double part)> color;  ///< of 0 to 1
};
inline constexpr double kColorBarWidth = 112;  ///< with numbers and title
/// @param height of the bar and its title
void draw_color_bar(Canvas& canvas, Point at, double height, const ColorBar& bar);

}  // namespace scvi::report
