#include "scvi/report/expression_figures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "plot.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"

namespace scvi::report {
namespace {

constexpr double kTile = 18;
constexpr double kSmallTile = 12;
constexpr std::int64_t kMostLargeTiles = 60;
constexpr double kStrip = 6;  // width of a strip of colours
constexpr double kStripGap = 4;
constexpr double kLongestColumnLabel = 140;  // upright
constexpr double kSideGap = 22;
constexpr double kSideHeight = 150;  // of a colour bar, however low the tiles are
constexpr double kSideTitle = 18;

void check(const GroupExpression& expression) {
  const auto refuse = [](const std::string& field, const std::string& problem, const std::string& remedy = "") {
    throw InputError({.problem = problem, .field = field, .remedy = remedy});
  };
  const std::int64_t n_groups = std::ssize(expression.groups), n_genes = std::ssize(expression.genes);
  if (n_groups == 0 || n_genes == 0) refuse("the figure", "has no groups or no genes to show");
  if (n_genes > kMostGenes) {
    refuse(with_thousands(n_genes) + " genes", "are more than a figure can show",
           "choose at most " + with_thousands(kMostGenes));
  }
  if (n_groups > kMostGroups) {
    refuse(with_thousands(n_groups) + " groups", "are more than a figure can show",
           "choose a column with at most " + with_thousands(kMostGroups));
  }
}

/// What is coloured, in numbers, (groups, genes), with how.
struct Shading {
  std::vector<double> values;
  ColorBar bar;

  Color color(std::size_t i) const {
    const double width = bar.most - bar.least;
    return bar.color(width > 0 ? (values[i] - bar.least) / width : 0);
  }
};

/// The values of one gene over the groups, standardised in place.
void standardize(std::vector<double>& values, std::size_t gene, std::size_t n_genes, Standardization how) {
  double least = INFINITY, most = -INFINITY, sum = 0;
  std::size_t n = 0;
  for (std::size_t i = gene; i < values.size(); i += n_genes, ++n) {
    least = std::min(least, values[i]);
    most = std::max(most, values[i]);
    sum += values[i];
  }
  const double mean = sum / static_cast<double>(n);
  double squares = 0;
  for (std::size_t i = gene; i < values.size(); i += n_genes) squares += (values[i] - mean) * (values[i] - mean);
  const bool is_z = how == Standardization::z_score;
  const double shift = is_z ? mean : least;
  const double unit = is_z ? std::sqrt(squares / static_cast<double>(n)) : most - least;
  for (std::size_t i = gene; i < values.size(); i += n_genes) {
    values[i] = unit > 0 ? (values[i] - shift) / unit : 0;
  }
}

Color diverging_of_part(double part) {
  return diverging_color(2 * part - 1);
}

Shading shading_of(const GroupExpression& expression, Standardization how) {
  Shading shading{.values = expression.mean, .bar = {}};
  const std::size_t n_genes = expression.genes.size();
  if (how != Standardization::none) {
    for (std::size_t gene = 0; gene < n_genes; ++gene) standardize(shading.values, gene, n_genes, how);
  }
  const auto [least, most] = std::ranges::minmax(shading.values);
  if (how == Standardization::z_score) {
    // The same on both sides, so that no change is white.
    const double size = std::max({-least, most, 1e-9});
    shading.bar = {.title = "z-score of mean " + expression.value_title,
                   .least = -size,
                   .most = size,
                   .color = diverging_of_part};
  } else if (how == Standardization::range) {
    shading.bar = {.title = "mean " + expression.value_title + ", 0 to 1 for each gene",
                   .least = 0,
                   .most = 1,
                   .color = sequential_color_on_white};
  } else {
    shading.bar = {.title = "mean " + expression.value_title,
                   .least = std::min(0.0, least),
                   .most = most,
                   .color = sequential_color_on_white};
  }
  return shading;
}

/// One side of a table: names, and colours beside them.
struct Side {
  std::vector<std::string> names;
  std::vector<std::int64_t> groups;  // whose colour each has; -1: none. Empty: no strip
};

/// A table of tiles with its names, rows downward.
class TileTable {
 public:
  TileTable(const GroupExpression& expression, const ExpressionFigureOptions& options)
      : genes_are_rows_(options.genes_are_rows), n_genes_(expression.genes.size()) {
    const bool colored = options.group_colors && std::ssize(expression.groups) <= kMostCategoryColors;
    Side groups{.names = expression.groups, .groups = {}};
    Side genes{.names = expression.genes, .groups = {}};
    if (colored) {
      for (std::int64_t i = 0; i < std::ssize(expression.groups); ++i) groups.groups.push_back(i);
      genes.groups = expression.gene_groups;
    }
    rows_ = genes_are_rows_ ? genes : groups;
    columns_ = genes_are_rows_ ? groups : genes;
    tile_width_ = tile_for(columns_);
    tile_height_ = tile_for(rows_);
    const double left = longest(rows_, kLongestLabel) + strip_room(rows_) + kStripGap;
    area_ = {kMargin + left, kMargin + strip_room(columns_), tile_width_ * static_cast<double>(columns_.names.size()),
             tile_height_ * static_cast<double>(rows_.names.size())};
  }

  const Rect& area() const { return area_; }
  double tile() const { return std::min(tile_width_, tile_height_); }
  double bottom() const { return area_.bottom() + longest(columns_, kLongestColumnLabel) + 2 * kStripGap; }
  Rect tile(std::size_t group, std::size_t gene) const {
    const auto row = static_cast<double>(genes_are_rows_ ? gene : group);
    const auto column = static_cast<double>(genes_are_rows_ ? group : gene);
    return {area_.x + column * tile_width_, area_.y + row * tile_height_, tile_width_, tile_height_};
  }
  std::size_t n_rows() const { return rows_.names.size(); }
  std::size_t n_columns() const { return columns_.names.size(); }

  void draw_names(Canvas& canvas) const {
    TextStyle style = centered(anchored(style_for(tile_height_), Anchor::end));
    for (std::size_t row = 0; row < rows_.names.size(); ++row) {
      const double y = area_.y + (static_cast<double>(row) + 0.5) * tile_height_;
      draw_name(canvas, {area_.x - strip_room(rows_) - kStripGap, y}, rows_.names[row], style, kLongestLabel);
      const Rect strip = {area_.x - strip_room(rows_), area_.y + static_cast<double>(row) * tile_height_, kStrip,
                          tile_height_};
      draw_strip(canvas, rows_, row, strip);
    }
    style = centered(anchored(style_for(tile_width_), Anchor::end));
    style.rotation = 90;
    for (std::size_t column = 0; column < columns_.names.size(); ++column) {
      const double x = area_.x + (static_cast<double>(column) + 0.5) * tile_width_;
      draw_name(canvas, {x, area_.bottom() + kStripGap + 2}, columns_.names[column], style, kLongestColumnLabel);
      const Rect strip = {area_.x + static_cast<double>(column) * tile_width_, area_.y - strip_room(columns_),
                          tile_width_, kStrip};
      draw_strip(canvas, columns_, column, strip);
    }
  }

 private:
  bool genes_are_rows_;
  std::size_t n_genes_;
  Side rows_;
  Side columns_;
  double tile_width_ = 0;
  double tile_height_ = 0;
  Rect area_;

  static double tile_for(const Side& side) { return std::ssize(side.names) <= kMostLargeTiles ? kTile : kSmallTile; }
  static TextStyle style_for(double tile) { return {.size = tile < kTile ? 9.0 : 11.0}; }
  static double strip_room(const Side& side) { return side.groups.empty() ? 0 : kStrip + kStripGap; }
  static double longest(const Side& side, double limit) {
    double width = 0;
    for (const std::string& name : side.names) {
      width = std::max(width, std::min(limit, text_width(name, style_for(tile_for(side)))));
    }
    return width;
  }
  static void draw_name(Canvas& canvas, Point at, const std::string& name, const TextStyle& style, double longest) {
    const std::string shown = shortened(name, style, longest);
    canvas.text(at, shown, style, shown == name ? "" : name);
  }
  static void draw_strip(Canvas& canvas, const Side& side, std::size_t i, const Rect& area) {
    if (!side.groups.empty() && side.groups[i] >= 0) canvas.box(area, category_color(side.groups[i]));
  }
};

std::string title_of_tile(const GroupExpression& expression, std::size_t group, std::size_t gene) {
  const std::size_t i = group * expression.genes.size() + gene;
  return expression.groups[group] + ", " + expression.genes[gene] + ": mean " + short_number(expression.mean[i]) +
         ", in " + short_number(100 * expression.fraction[i]) + " % of cells";
}

/// A page for a table with something as wide as `side` on its right.
Canvas page_for(const TileTable& table, double side, double side_height) {
  const double height = std::max(table.bottom(), table.area().y + side_height + 8) + kMargin;
  return {std::ceil(table.area().right() + kSideGap + side + kMargin), std::ceil(height)};
}

/// So many tiles are an image in an .svg, too.
constexpr std::int64_t kMostVectorTiles = 10'000;

void draw_tiles(Canvas& canvas, const TileTable& table, const GroupExpression& expression, const Shading& shading) {
  const std::size_t n_genes = expression.genes.size();
  const bool is_image = std::ssize(shading.values) > kMostVectorTiles;
  Image image{.area = table.area(),
              .width = static_cast<std::int64_t>(table.n_columns()),
              .height = static_cast<std::int64_t>(table.n_rows()),
              .pixels = std::vector<Color>(shading.values.size())};
  for (std::size_t i = 0; i < shading.values.size(); ++i) {
    const Rect tile = table.tile(i / n_genes, i % n_genes);
    if (!is_image) {
      canvas.box(tile, shading.color(i), {}, title_of_tile(expression, i / n_genes, i % n_genes));
      continue;
    }
    const auto row = std::lround((tile.y - table.area().y) / tile.height);
    const auto column = std::lround((tile.x - table.area().x) / tile.width);
    image.pixels[static_cast<std::size_t>(row * image.width + column)] = shading.color(i);
  }
  if (is_image) canvas.image(std::move(image));
}

/// Discs of a dot plot: their area is the fraction of cells.
struct DotSizes {
  double largest_fraction = 1;
  double largest_radius = 8;

  double radius(double fraction) const { return largest_radius * std::sqrt(fraction / largest_fraction); }
};

DotSizes dot_sizes(const GroupExpression& expression, double tile) {
  const double most = std::ranges::max(expression.fraction);
  // Quarters of these are round numbers for the legend.
  for (const double largest : {0.04, 0.08, 0.2, 0.4, 0.6, 0.8}) {
    if (most <= largest) return {.largest_fraction = largest, .largest_radius = 0.47 * tile};
  }
  return {.largest_fraction = 1, .largest_radius = 0.47 * tile};
}

constexpr int kLegendDots = 4;

void draw_size_legend(Canvas& canvas, Point at, const DotSizes& sizes) {
  canvas.text({at.x, at.y + 8}, "cells with the gene", centered(kSmallStyle));
  for (int i = 1; i <= kLegendDots; ++i) {
    const double fraction = sizes.largest_fraction * i / kLegendDots;
    const double y = at.y + kSideTitle + (i - 0.5) * kTile;
    canvas.circle({at.x + kTile / 2, y}, sizes.radius(fraction), kMutedInk);
    canvas.text({at.x + kTile + 6, y}, short_number(100 * fraction) + " %", centered(kSmallStyle));
  }
}

void draw_grid(Canvas& canvas, const TileTable& table) {
  const Rect& area = table.area();
  const Stroke stroke = {.color = kGridColor, .width = 0.8};
  for (std::size_t row = 0; row < table.n_rows(); ++row) {
    const double y = area.y + (static_cast<double>(row) + 0.5) * area.height / static_cast<double>(table.n_rows());
    canvas.line({{area.x, y}, {area.right(), y}}, stroke);
  }
  for (std::size_t column = 0; column < table.n_columns(); ++column) {
    const double x =
        area.x + (static_cast<double>(column) + 0.5) * area.width / static_cast<double>(table.n_columns());
    canvas.line({{x, area.y}, {x, area.bottom()}}, stroke);
  }
}

}  // namespace

Standardization parse_standardization(const std::string& name) {
  if (name == "none") return Standardization::none;
  if (name == "z-score") return Standardization::z_score;
  if (name == "range") return Standardization::range;
  const std::vector<std::string> known = {"none", "z-score", "range"};
  throw InputError({.problem = "is '" + name + "'", .field = "the standardisation", .remedy = suggest(name, known)});
}

Canvas draw_heat_map(const GroupExpression& expression, const ExpressionFigureOptions& options) {
  check(expression);
  const TileTable table(expression, options);
  const Shading shading = shading_of(expression, options.standardization);
  const double height = std::clamp(table.area().height, kSideHeight, 220.0);
  Canvas canvas = page_for(table, kColorBarWidth, height);
  draw_tiles(canvas, table, expression, shading);
  table.draw_names(canvas);
  draw_color_bar(canvas, {table.area().right() + kSideGap, table.area().y}, height, shading.bar);
  return canvas;
}

Canvas draw_dot_plot(const GroupExpression& expression, const ExpressionFigureOptions& options) {
  check(expression);
  const TileTable table(expression, options);
  const Shading shading = shading_of(expression, options.standardization);
  const DotSizes sizes = dot_sizes(expression, table.tile());
  const double legend_height = kSideTitle + kLegendDots * kTile;
  const double bar_height = kSideHeight;
  const double legend_width = std::max(kColorBarWidth, text_width("cells with the gene", kSmallStyle));
  Canvas canvas = page_for(table, legend_width, legend_height + kGap + bar_height);
  draw_grid(canvas, table);
  for (std::size_t i = 0; i < shading.values.size(); ++i) {
    const std::size_t group = i / expression.genes.size(), gene = i % expression.genes.size();
    const double radius = sizes.radius(expression.fraction[i]);
    if (radius <= 0) continue;
    const Rect tile = table.tile(group, gene);
    canvas.circle({tile.x + tile.width / 2, tile.y + tile.height / 2}, radius, shading.color(i),
                  Stroke{.color = kMutedInk, .width = 0.5}, title_of_tile(expression, group, gene));
  }
  table.draw_names(canvas);
  const double side = table.area().right() + kSideGap;
  draw_size_legend(canvas, {side, table.area().y}, sizes);
  draw_color_bar(canvas, {side, table.area().y + legend_height + kGap}, bar_height, shading.bar);
  return canvas;
}

}  // namespace scvi::report
