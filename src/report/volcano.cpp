#include "scvi/report/volcano.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "arrange.hpp"
#include "label_placement.hpp"
#include "plot.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"

namespace scvi::report {
namespace {

constexpr Color kHigher = rgb(0xD55E00);
constexpr Color kLower = rgb(0x0072B2);
constexpr Color kNotCalled = rgb(0xB8B8B8);

/// A gene that can be shown.
struct Mark {
  std::size_t gene;
  double change;
  double evidence;
  bool called;
};

/// Genes with numbers, and the widest finite change.
struct Marks {
  std::vector<Mark> marks;
  double widest = 0;
  double least = INFINITY;
  double most = -INFINITY;
};

Marks marks_of(const Comparison& comparison, const VolcanoOptions& options) {
  Marks result;
  const std::vector<double>& evidence = options.probability ? comparison.probability : comparison.bayes_factor;
  for (std::size_t i = 0; i < comparison.genes.size(); ++i) {
    const double change = comparison.change[i];
    if (std::isnan(change) || !is_drawable(evidence[i])) continue;
    result.marks.push_back({i, change, evidence[i], comparison.called[i] != 0});
    if (is_drawable(change)) result.widest = std::max(result.widest, std::abs(change));
    result.least = std::min(result.least, evidence[i]);
    result.most = std::max(result.most, evidence[i]);
  }
  if (result.marks.empty()) {
    throw InputError(
        {.problem = "has no gene with numbers to show", .field = "comparison '" + comparison.name + "'"});
  }
  if (result.widest == 0) result.widest = 1;
  for (Mark& mark : result.marks) {
    if (!is_drawable(mark.change)) mark.change = std::copysign(result.widest, mark.change);
  }
  return result;
}

/// The genes to name: those that were called (or, where none was, a few), by evidence and then by change. As long as
/// both directions have some, they take turns.
std::vector<Mark> to_label(std::vector<Mark> marks, std::int64_t n) {
  constexpr std::int64_t kFew = 5;
  if (std::ranges::any_of(marks, &Mark::called)) {
    std::erase_if(marks, [](const Mark& mark) { return !mark.called; });
  } else {
    n = std::min(n, kFew);
  }
  std::ranges::stable_sort(marks, [](const Mark& a, const Mark& b) {
    if (a.evidence != b.evidence) return a.evidence > b.evidence;
    return std::abs(a.change) > std::abs(b.change);
  });
  std::vector<Mark> directions[2];
  for (const Mark& mark : marks) directions[mark.change > 0].push_back(mark);
  std::vector<Mark> chosen;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    for (const auto& direction : directions) {
      if (i < direction.size() && std::ssize(chosen) < n) chosen.push_back(direction[i]);
    }
  }
  return chosen;
}

class VolcanoPanel {
 public:
  VolcanoPanel(const Comparison& comparison, const DifferentialTable& table, const VolcanoOptions& options)
      : comparison_(comparison), table_(table), options_(options), marks_(marks_of(comparison, options)) {
    x_ = padded_scale(-marks_.widest, marks_.widest, 0.06);
    y_ = padded_scale(std::min(marks_.least, 0.0), marks_.most, 0.08);
    first_ = options.first_group.empty() ? comparison.name : options.first_group;
    second_ = options.second_group.empty() ? "others" : options.second_group;
  }

  Canvas draw() {
    const auto y_ticks = round_ticks(y_.least, options_.probability ? std::min(1.0, y_.most) : y_.most);
    const std::string y_title = options_.probability ? "probability of a difference" : "Bayes factor (natural log)";
    area_ = {left_axis_width(y_ticks, y_title), kTitleHeight + kSubtitleHeight, options_.width, options_.height};
    x_.begin = area_.x;
    x_.end = area_.right();
    y_.begin = area_.bottom();
    y_.end = area_.y;
    Canvas canvas(area_.right() + 10, area_.bottom() + kBottomAxisHeight);
    canvas.line({{x_(0), area_.y}, {x_(0), area_.bottom()}}, {.color = kGridColor});
    draw_genes(canvas);
    draw_labels(canvas);
    draw_captions(canvas);
    draw_left_axis(canvas, area_, y_, y_ticks, y_title);
    draw_bottom_axis(canvas, area_, x_, round_ticks(x_.least, x_.most), table_.change_title);
    return canvas;
  }

 private:
  static constexpr double kSubtitleHeight = 16;
  static constexpr double kCalledRadius = 2.4;
  const Comparison& comparison_;
  const DifferentialTable& table_;
  const VolcanoOptions& options_;
  Marks marks_;
  Scale x_;
  Scale y_;
  Rect area_;
  std::string first_;
  std::string second_;

  static Color color_of(const Mark& mark) { return mark.change > 0 ? kHigher : kLower; }
  std::string title_of(const Mark& mark) const {
    return comparison_.genes[mark.gene] + ": " + table_.change_title + " " +
           short_number(comparison_.change[mark.gene]) + ", Bayes factor " +
           short_number(comparison_.bayes_factor[mark.gene]);
  }
  Point place(const Mark& mark) const { return {x_(mark.change), y_(mark.evidence)}; }

  void draw_genes(Canvas& canvas) const {
    Dots others{.area = area_, .dots = {}, .radius = 1.7};
    Dots called{.area = area_, .dots = {}, .radius = kCalledRadius};
    for (const Mark& mark : marks_.marks) {
      const Point at = place(mark);
      (mark.called ? called : others)
          .dots.push_back(
              {static_cast<float>(at.x), static_cast<float>(at.y), mark.called ? color_of(mark) : kNotCalled});
    }
    canvas.dots(std::move(others));
    constexpr std::int64_t kMostWithTitles = 1000;
    if (std::ssize(called.dots) > kMostWithTitles) return canvas.dots(std::move(called));
    for (const Mark& mark : marks_.marks) {
      if (mark.called) canvas.circle(place(mark), kCalledRadius, color_of(mark), {}, title_of(mark));
    }
  }

  void draw_labels(Canvas& canvas) const {
    const std::vector<Mark> labelled = to_label(marks_.marks, options_.n_labels);
    std::vector<Point> avoided;
    for (const Mark& mark : marks_.marks) {
      if (mark.called) avoided.push_back(place(mark));
    }
    for (const Mark& mark : labelled) avoided.push_back(place(mark));
    LabelPlacer placer(area_, avoided);
    TextStyle style = kSmallStyle;
    style.halo = true;
    for (const Mark& mark : labelled) {
      placer.beside(canvas, place(mark), shortened(comparison_.genes[mark.gene], style, 120), style);
    }
  }

  std::string count_of(bool higher) const {
    return with_thousands(std::ranges::count_if(
        marks_.marks, [&](const Mark& mark) { return mark.called && (mark.change > 0) == higher; }));
  }

  void draw_captions(Canvas& canvas) const {
    const std::string title = first_.empty() ? "Differential expression" : first_ + " against " + second_;
    const std::string called = "called: " + table_.call_title;
    const double room_for_title = area_.width - text_width(called, kSmallStyle) - 10;
    draw_title(canvas, {area_.x, area_.y - kSubtitleHeight, room_for_title, area_.height}, title);
    canvas.text({area_.right(), area_.y - kSubtitleHeight - 9}, called,
                anchored(colored(kSmallStyle, kMutedInk), Anchor::end));
    const std::string first = first_.empty() ? "the first group" : first_;
    TextStyle style = kSmallStyle;
    style.bold = true;
    const double room = area_.width / 2 - 6;
    const auto caption = [&](bool higher) {
      const std::string group = higher ? first : second_;
      const std::string begin = count_of(higher) + " higher in ";
      return begin + shortened(group, style, room - text_width(begin, style));
    };
    canvas.text({area_.x, area_.y - 7}, caption(false), colored(style, kLower));
    canvas.text({area_.right(), area_.y - 7}, caption(true), anchored(colored(style, kHigher), Anchor::end));
  }
};

}  // namespace

Canvas draw_volcano(const DifferentialTable& table, const VolcanoOptions& options) {
  if (table.comparisons.empty()) throw InputError({.problem = "holds no comparison", .field = "the table"});
  std::vector<Canvas> panels;
  for (const Comparison& comparison : table.comparisons) {
    panels.push_back(VolcanoPanel(comparison, table, options).draw());
  }
  return arranged(panels, options.columns);
}

}  // namespace scvi::report
