#include "scvi/report/zero_inflation_figure.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

#include "arrange.hpp"
#include "label_placement.hpp"
#include "plot.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/delimited.hpp"
#include "table_columns.hpp"

namespace scvi::report {
namespace {

constexpr Color kCalled = rgb(0xD55E00);
constexpr Color kNotCalled = rgb(0x9A9A9A);
constexpr double kPanelWidth = 360;
constexpr double kPanelHeight = 260;
constexpr double kSubtitleHeight = 16;
constexpr const char* kProbability = "probability of zero inflation";

// ---- reading

const io::Column& column_of(const io::Frame& frame, const std::string& name, const std::string& file) {
  if (const io::Column* column = frame.find(name)) return *column;
  throw FormatError({.problem = "has no column '" + name + "'",
                     .file = file,
                     .remedy = "give a table (.tsv) that `scvi zero-inflation` wrote"});
}

std::vector<double> probabilities(const io::Frame& frame, const std::string& file) {
  const std::string name = "zero_inflation_probability";
  std::vector<double> values = numbers_of(column_of(frame, name, file), file);
  for (std::size_t row = 0; row < values.size(); ++row) {
    if (values[row] >= 0 && values[row] <= 1) continue;
    throw FormatError({.problem = "holds no probability of gene '" + frame.index[row] + "'",
                       .file = file,
                       .field = "column '" + name + "'"});
  }
  return values;
}

std::vector<std::uint8_t> calls(const io::Frame& frame, const std::string& file) {
  const io::Column& column = column_of(frame, "is_zero_inflated", file);
  if (const auto* truth = std::get_if<io::Boolean>(&column.values)) return truth->values;
  throw FormatError({.problem = "holds other than True and False", .file = file, .field = "'" + column.name + "'"});
}

const io::Column* group_column(const io::Frame& frame) {
  const io::Column* label = frame.find("label");
  return label ? label : frame.find("batch");
}

// ---- drawing

std::string count_of_called(const std::vector<std::uint8_t>& called) {
  const auto n = std::ranges::count(called, 1);
  char percent[32];
  std::snprintf(percent, sizeof percent, " (%.1f %%)",
                100 * static_cast<double>(n) / static_cast<double>(std::max<std::size_t>(called.size(), 1)));
  return with_thousands(n) + " of " + with_thousands(std::ssize(called)) + percent;
}

void draw_captions(Canvas& canvas, const Rect& area, const std::string& title, const std::string& caption) {
  draw_title(canvas, {area.x, area.y - kSubtitleHeight, area.width, area.height}, title);
  TextStyle style = colored(kSmallStyle, kCalled);
  style.bold = true;
  canvas.text({area.x, area.y - 7}, caption, style);
}

/// How many genes have which probability, those that are called apart.
Canvas draw_histogram(const ZeroInflationTable& table) {
  constexpr std::size_t kBins = 20;
  std::array<std::int64_t, kBins> all{}, called{};
  std::vector<std::uint8_t> calls;
  for (const ZeroInflationGroup& group : table.groups) {
    for (std::size_t gene = 0; gene < group.genes.size(); ++gene) {
      const auto bin = std::min(kBins - 1, static_cast<std::size_t>(group.probability[gene] * kBins));
      ++all[bin];
      called[bin] += group.called[gene];
    }
    calls.insert(calls.end(), group.called.begin(), group.called.end());
  }
  const auto most = static_cast<double>(std::ranges::max(all));
  const std::string y_title = table.groups.size() > 1 ? "genes in a group" : "genes";
  const auto y_ticks = round_ticks(0, most);
  const Rect area = {left_axis_width(y_ticks, y_title), kTitleHeight + kSubtitleHeight, kPanelWidth, kPanelHeight};
  const Scale x = {.least = 0, .most = 1, .begin = area.x, .end = area.right()};
  const Scale y = {.least = 0, .most = 1.04 * most, .begin = area.bottom(), .end = area.y};
  Canvas canvas(area.right() + 10, area.bottom() + kBottomAxisHeight);
  const auto bar = [&](std::size_t bin, std::int64_t from, std::int64_t to, Color color, const std::string& what) {
    if (to == from) return;
    const double left = x(static_cast<double>(bin) / kBins), right = x(static_cast<double>(bin + 1) / kBins);
    const double top = y(static_cast<double>(to));
    canvas.box({left + 0.5, top, right - left - 1, y(static_cast<double>(from)) - top}, color, {},
               with_thousands(to - from) + what);
  };
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    bar(bin, 0, called[bin], kCalled, " called zero-inflated");
    bar(bin, called[bin], all[bin], kNotCalled, " not called");
  }
  draw_captions(canvas, area, table.groups.size() > 1 ? "All groups" : "Genes",
                count_of_called(calls) + " called zero-inflated");
  draw_left_axis(canvas, area, y, y_ticks, y_title);
  draw_bottom_axis(canvas, area, x, round_ticks(0, 1), kProbability);
  return canvas;
}

/// The range of mean counts above zero of all groups.
Scale scale_of_means(const ZeroInflationTable& table) {
  double least = kEnoughExpression, most = kEnoughExpression;
  for (const ZeroInflationGroup& group : table.groups) {
    for (const double mean : group.mean_count) {
      if (!(mean > 0) || !is_drawable(mean)) continue;
      least = std::min(least, mean);
      most = std::max(most, mean);
    }
  }
  constexpr double kRoom = 1.25;
  return {.least = least / kRoom, .most = most * kRoom, .is_log = true};
}

/// Genes of a group by mean count and probability.
class GenesPanel {
 public:
  GenesPanel(const ZeroInflationGroup& group, const Scale& x, std::int64_t n_labels)
      : group_(group), x_(x), n_labels_(n_labels) {
    y_ = padded_scale(0, 1, 0.05);
    area_ = {left_axis_width(round_ticks(0, 1), kProbability), kTitleHeight + kSubtitleHeight, kPanelWidth,
             kPanelHeight};
    x_.begin = area_.x;
    x_.end = area_.right();
    y_.begin = area_.bottom();
    y_.end = area_.y;
    for (std::size_t gene = 0; gene < group_.genes.size(); ++gene) {
      if (group_.mean_count[gene] >= 0 && is_drawable(group_.mean_count[gene])) shown_.push_back(gene);
    }
  }

  Canvas draw() const {
    Canvas canvas(area_.right() + 10, area_.bottom() + kBottomAxisHeight);
    const double enough = x_(kEnoughExpression);
    canvas.line({{enough, area_.y}, {enough, area_.bottom()}}, {.color = kMutedInk, .dashed = true});
    draw_genes(canvas);
    draw_names(canvas);
    draw_captions(canvas, area_, group_.name.empty() ? "Genes by their expression" : group_.name, caption());
    draw_left_axis(canvas, area_, y_, round_ticks(0, 1), kProbability);
    draw_bottom_axis(canvas, area_, x_, log_ticks(x_.least, x_.most), "mean count (dashed: 1)");
    return canvas;
  }

 private:
  static constexpr double kRadius = 2.2;
  const ZeroInflationGroup& group_;
  Scale x_;
  Scale y_;
  std::int64_t n_labels_;
  Rect area_;
  std::vector<std::size_t> shown_;

  /// Genes without a count lie on the edge.
  Point place(std::size_t gene) const {
    return {x_(std::max(group_.mean_count[gene], x_.least)), y_(group_.probability[gene])};
  }
  bool is_expressed(std::size_t gene) const { return group_.mean_count[gene] > kEnoughExpression; }

  std::string caption() const {
    std::vector<std::uint8_t> expressed;
    for (const std::size_t gene : shown_) {
      if (is_expressed(gene)) expressed.push_back(group_.called[gene]);
    }
    return "with a mean above 1: " + count_of_called(expressed) + " called";
  }

  void draw_genes(Canvas& canvas) const {
    Dots dots{.area = area_, .dots = {}, .radius = kRadius};
    for (const bool called : {false, true}) {
      for (const std::size_t gene : shown_) {
        if ((group_.called[gene] != 0) != called) continue;
        const Point at = place(gene);
        dots.dots.push_back({static_cast<float>(at.x), static_cast<float>(at.y), called ? kCalled : kNotCalled});
      }
    }
    canvas.dots(std::move(dots));
  }

  void draw_names(Canvas& canvas) const {
    std::vector<std::size_t> named;
    std::vector<Point> marks;
    for (const std::size_t gene : shown_) {
      marks.push_back(place(gene));
      if (group_.called[gene] != 0 && is_expressed(gene)) named.push_back(gene);
    }
    std::ranges::stable_sort(named, [&](auto a, auto b) { return group_.mean_count[a] > group_.mean_count[b]; });
    LabelPlacer placer(area_, marks);
    TextStyle style = kSmallStyle;
    style.halo = true;
    for (std::size_t i = 0; i < named.size() && static_cast<std::int64_t>(i) < n_labels_; ++i) {
      placer.beside(canvas, place(named[i]), shortened(group_.genes[named[i]], style, 120), style);
    }
  }
};

}  // namespace

ZeroInflationTable read_zero_inflation(const std::string& path) {
  const io::Frame frame = io::read_table(path, {.separator = '\t'});
  const std::vector<double> probability = probabilities(frame, path);
  const std::vector<std::uint8_t> called = calls(frame, path);
  const io::Column* means = frame.find("mean_count");
  const std::vector<double> mean_count = means ? numbers_of(*means, path) : std::vector<double>();
  const io::Column* names = group_column(frame);
  ZeroInflationTable table;
  std::map<std::string, std::size_t> known;
  for (std::size_t row = 0; row < probability.size(); ++row) {
    const std::string name = names ? names->text(static_cast<std::int64_t>(row)) : "";
    const auto [found, is_new] = known.emplace(name, table.groups.size());
    if (is_new) {
      table.groups.push_back({.name = name, .genes = {}, .probability = {}, .called = {}, .mean_count = {}});
    }
    ZeroInflationGroup& group = table.groups[found->second];
    group.genes.push_back(frame.index[row]);
    group.probability.push_back(probability[row]);
    group.called.push_back(called[row]);
    if (means) group.mean_count.push_back(mean_count[row]);
  }
  if (table.groups.empty()) throw FormatError({.problem = "holds no genes", .file = path});
  return table;
}

Canvas draw_zero_inflation(const ZeroInflationTable& table, const ZeroInflationFigureOptions& options) {
  if (table.groups.empty()) throw InputError({.problem = "holds no genes", .field = "the table of zero inflation"});
  if (std::ssize(table.groups) > kMostZeroInflationGroups) {
    throw InputError({.problem = "are more than a figure can show, " + std::to_string(kMostZeroInflationGroups),
                      .field = with_thousands(std::ssize(table.groups)) + " groups"});
  }
  std::vector<Canvas> panels = {draw_histogram(table)};
  const Scale means = scale_of_means(table);
  for (const ZeroInflationGroup& group : table.groups) {
    if (!group.mean_count.empty()) panels.push_back(GenesPanel(group, means, options.n_labels).draw());
  }
  return arranged(panels, options.columns);
}

}  // namespace scvi::report
