#include "scvi/report/cell_map_figure.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "arrange.hpp"
#include "label_placement.hpp"
#include "plot.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"
#include "scvi/core/text.hpp"

namespace scvi::report {
namespace {

constexpr double kAxisTitleRoom = 22;
constexpr double kLegendGap = 18;

/// Cells on the page: the same for every panel.
struct Layout {
  Rect area;
  double radius = 1;
  std::vector<float> x;
  std::vector<float> y;
};

void check(const CellMapFigure& figure) {
  if (figure.x.empty() || figure.panels.empty()) {
    throw InputError({.problem = "holds no cells to show", .field = "the map"});
  }
  for (std::size_t i = 0; i < figure.x.size(); ++i) {
    if (is_drawable(figure.x[i]) && is_drawable(figure.y[i])) continue;
    throw InputError(
        {.problem = "has no place: a coordinate is not finite", .field = "cell number " + std::to_string(i)});
  }
}

/// Discs that together would fill about a third of the map, but neither specks nor plates.
double radius_for(std::size_t n_cells, const Rect& area) {
  const double each = 0.35 * area.width * area.height / static_cast<double>(n_cells);
  return std::clamp(std::sqrt(each / 3.14159), 0.55, 3.2);
}

Layout layout_of(const CellMapFigure& figure, const CellMapFigureOptions& options) {
  const auto [left, right] = std::ranges::minmax(figure.x);
  const auto [low, high] = std::ranges::minmax(figure.y);
  Scale x = padded_scale(left, right), y = padded_scale(low, high);
  // Distances mean the same along both axes, as far as the panel's shape allows.
  constexpr double kNarrowest = 0.55;
  const double across = x.most - x.least, up = y.most - y.least;
  const double width = options.panel_size * std::clamp(across / up, kNarrowest, 1.0);
  const double height = options.panel_size * std::clamp(up / across, kNarrowest, 1.0);
  const double unit = std::min(width / across, height / up);
  Layout layout{
      .area = {kAxisTitleRoom, kTitleHeight, width, height}, .radius = options.point_radius, .x = {}, .y = {}};
  const Point middle = {layout.area.x + width / 2, layout.area.y + height / 2};
  const double x_middle = (x.least + x.most) / 2, y_middle = (y.least + y.most) / 2;
  for (std::size_t i = 0; i < figure.x.size(); ++i) {
    layout.x.push_back(static_cast<float>(middle.x + (figure.x[i] - x_middle) * unit));
    layout.y.push_back(static_cast<float>(middle.y - (figure.y[i] - y_middle) * unit));
  }
  if (layout.radius <= 0) layout.radius = radius_for(figure.x.size(), layout.area);
  return layout;
}

/// Two short arrows in the corner: the directions of a map have names, but no scale.
void draw_directions(Canvas& canvas, const Rect& area, const CellMapFigure& figure) {
  constexpr double kLength = 44, kHead = 6, kHalf = 2.6;
  const Point corner = {area.x - 6, area.bottom() + 6};
  const Stroke stroke = {.color = kMutedInk, .width = 1.1};
  canvas.line({{corner.x, corner.y - kLength}, corner, {corner.x + kLength, corner.y}}, stroke);
  canvas.polygon({{corner.x + kLength + kHead, corner.y},
                  {corner.x + kLength, corner.y - kHalf},
                  {corner.x + kLength, corner.y + kHalf}},
                 kMutedInk);
  canvas.polygon({{corner.x, corner.y - kLength - kHead},
                  {corner.x - kHalf, corner.y - kLength},
                  {corner.x + kHalf, corner.y - kLength}},
                 kMutedInk);
  TextStyle style = colored(kSmallStyle, kMutedInk);
  canvas.text({corner.x, corner.y + 12}, shortened(figure.x_title, style, area.width), style);
  style.rotation = 90;
  canvas.text({corner.x - 5, corner.y}, shortened(figure.y_title, style, area.height), style);
}

void add_dot(Dots& dots, const Layout& layout, std::int64_t cell, Color color) {
  dots.dots.push_back({layout.x[cell], layout.y[cell], color});
}

Dots empty_dots(const Layout& layout) {
  const Rect& area = layout.area;
  return {.area = {area.x - 4, area.y - 4, area.width + 8, area.height + 8}, .dots = {}, .radius = layout.radius};
}

// ---- categories

std::vector<std::int64_t> sizes_of(const CategoryColors& colors) {
  std::vector<std::int64_t> sizes(colors.categories.size());
  for (const std::int32_t code : colors.codes) {
    if (code >= 0) ++sizes[code];
  }
  return sizes;
}

void draw_cells(Canvas& canvas, const Layout& layout, const CategoryColors& colors,
                const std::vector<std::int64_t>& order) {
  Dots dots = empty_dots(layout);
  for (const std::int64_t cell : order) {
    if (colors.codes[cell] < 0) add_dot(dots, layout, cell, kMissingColor);
  }
  for (const std::int64_t cell : order) {
    if (colors.codes[cell] >= 0) add_dot(dots, layout, cell, category_color(colors.codes[cell]));
  }
  canvas.dots(std::move(dots));
}

float median(std::vector<float> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// The cell nearest to the medians: these may lie between the parts of a category, where none of its cells is.
Point middle_of(const std::vector<float>& x, const std::vector<float>& y) {
  const float x_median = median(x), y_median = median(y);
  std::size_t nearest = 0;
  double least = INFINITY;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double distance = std::hypot(x[i] - x_median, y[i] - y_median);
    if (distance < least) nearest = i;
    least = std::min(least, distance);
  }
  return {x[nearest], y[nearest]};
}

void draw_labels(Canvas& canvas, const Layout& layout, const CategoryColors& colors) {
  std::vector<std::vector<float>> x(colors.categories.size()), y(colors.categories.size());
  for (std::size_t cell = 0; cell < colors.codes.size(); ++cell) {
    if (colors.codes[cell] < 0) continue;
    x[colors.codes[cell]].push_back(layout.x[cell]);
    y[colors.codes[cell]].push_back(layout.y[cell]);
  }
  LabelPlacer placer(layout.area, {});
  constexpr std::size_t kMany = 15;
  const bool many = x.size() > kMany;
  TextStyle style = {.size = many ? 10.0 : 11.0, .bold = true};
  style.halo = true;
  const double longest = many ? 100 : 150;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i].empty()) continue;
    placer.on(canvas, middle_of(x[i], y[i]), shortened(colors.categories[i], style, longest), style);
  }
}

Legend legend_of(const CategoryColors& colors, double height) {
  std::vector<LegendEntry> entries;
  const std::vector<std::int64_t> sizes = sizes_of(colors);
  std::int64_t n_missing = std::ssize(colors.codes);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    n_missing -= sizes[i];
    if (sizes[i] > 0) {
      entries.push_back(
          {category_color(static_cast<std::int64_t>(i)), colors.categories[i], with_thousands(sizes[i])});
    }
  }
  if (n_missing > 0) entries.push_back({kMissingColor, "no value", with_thousands(n_missing)});
  return {std::move(entries), height};
}

Canvas draw_panel(const CellMapFigure& figure, const Layout& layout, const CellMapPanel& panel,
                  const CategoryColors& colors, const CellMapFigureOptions& options) {
  if (std::ssize(colors.categories) > kMostCategoryColors) {
    throw InputError({.problem = "has " + with_thousands(std::ssize(colors.categories)) +
                                 " categories, but at most " + std::to_string(kMostCategoryColors) +
                                 " can be told apart by colour",
                      .field = "'" + panel.title + "'"});
  }
  const Rect& area = layout.area;
  const Legend legend = options.legend ? legend_of(colors, area.height + 12) : Legend();
  const double right = area.right() + (options.legend ? kLegendGap + legend.width() : 4);
  Canvas canvas(right, std::max(area.bottom() + kAxisTitleRoom, area.y + legend.height()));
  draw_title(canvas, {area.x, area.y, right - area.x, area.height}, panel.title);
  draw_directions(canvas, area, figure);
  draw_cells(canvas, layout, colors,
             RandomStream(options.seed, "order of cells").permutation(std::ssize(colors.codes)));
  if (options.labels) draw_labels(canvas, layout, colors);
  legend.draw(canvas, {area.right() + kLegendGap, area.y});
  return canvas;
}

// ---- numbers

/// The numbers between which colours change.
struct ShownRange {
  double least = 0;
  double most = 0;
  bool clipped_below = false;
  bool clipped_above = false;
};

ShownRange range_of(const NumberColors& colors, double percentile) {
  std::vector<double> sorted;
  for (const double value : colors.values) {
    if (is_drawable(value)) sorted.push_back(value);
  }
  if (sorted.empty()) return {};
  std::ranges::sort(sorted);
  const auto at = [&](double part) {
    return sorted[static_cast<std::size_t>(std::lround(part / 100 * static_cast<double>(sorted.size() - 1)))];
  };
  ShownRange range{.least = sorted.front() < 0 ? at(100 - percentile) : sorted.front(), .most = at(percentile)};
  // A gene that few cells have would be all clipped away.
  if (range.most <= range.least) range = {.least = sorted.front(), .most = sorted.back()};
  constexpr double kNearZero = 0.05;
  if (range.least > 0 && range.least < kNearZero * range.most) range.least = 0;
  range.clipped_below = range.least > sorted.front();
  range.clipped_above = range.most < sorted.back();
  return range;
}

void draw_cells(Canvas& canvas, const Layout& layout, const NumberColors& colors, const ShownRange& range,
                std::vector<std::int64_t> order) {
  const std::vector<double>& values = colors.values;
  Dots dots = empty_dots(layout);
  std::erase_if(order, [&](std::int64_t cell) {
    const bool missing = !is_drawable(values[cell]);
    if (missing) add_dot(dots, layout, cell, kMissingColor);
    return missing;
  });
  std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) { return values[a] < values[b]; });
  const double width = range.most - range.least;
  for (const std::int64_t cell : order) {
    add_dot(dots, layout, cell, sequential_color(width > 0 ? (values[cell] - range.least) / width : 0));
  }
  canvas.dots(std::move(dots));
}

Canvas draw_panel(const CellMapFigure& figure, const Layout& layout, const CellMapPanel& panel,
                  const NumberColors& colors, const CellMapFigureOptions& options) {
  const Rect& area = layout.area;
  const double right = area.right() + kLegendGap + kColorBarWidth;
  Canvas canvas(right, area.bottom() + kAxisTitleRoom);
  draw_title(canvas, {area.x, area.y, right - area.x, area.height}, panel.title);
  draw_directions(canvas, area, figure);
  const ShownRange range = range_of(colors, options.clip_percentile);
  draw_cells(canvas, layout, colors, range,
             RandomStream(options.seed, "order of cells").permutation(std::ssize(colors.values)));
  const double height = std::min(220.0, 0.7 * area.height);
  draw_color_bar(canvas, {area.right() + kLegendGap, area.y}, height,
                 {.title = colors.title,
                  .least = range.least,
                  .most = range.most,
                  .clipped_below = range.clipped_below,
                  .clipped_above = range.clipped_above,
                  .color = sequential_color});
  return canvas;
}

}  // namespace

Canvas draw_cell_map(const CellMapFigure& figure, const CellMapFigureOptions& options) {
  return draw_cell_maps({figure}, options);
}

Canvas draw_cell_maps(const std::vector<CellMapFigure>& figures, const CellMapFigureOptions& options) {
  std::vector<Canvas> panels;
  for (const CellMapFigure& figure : figures) {
    check(figure);
    const Layout layout = layout_of(figure, options);
    for (const CellMapPanel& panel : figure.panels) {
      panels.push_back(std::visit(
          [&](const auto& colors) { return draw_panel(figure, layout, panel, colors, options); }, panel.colors));
    }
  }
  return arranged(panels, options.columns);
}

}  // namespace scvi::report
