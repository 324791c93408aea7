#include "scvi/report/training_curves.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "arrange.hpp"
#include "plot.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/delimited.hpp"
#include "table_columns.hpp"

namespace scvi::report {
namespace {

struct CellSet {
  const char* suffix;
  const char* name;
};
constexpr std::array<CellSet, 4> kCellSets = {{{"_train_set", "training cells"},
                                               {"_test_set", "test cells"},
                                               {"_validation_set", "validation cells"},
                                               {"_all", "all cells"}}};

std::string title_of(const std::string& metric) {
  static const std::map<std::string, std::string> titles = {{"elbo", "Negative ELBO per cell"},
                                                            {"reconstruction_error", "Reconstruction error per cell"},
                                                            {"train_loss", "Training loss"},
                                                            {"kl_weight", "Weight of the KL divergence"},
                                                            {"lr", "Learning rate"}};
  if (const auto found = titles.find(metric); found != titles.end()) return found->second;
  std::string title = metric;
  std::ranges::replace(title, '_', ' ');
  return title;
}

/// "elbo_test_set" as its metric and what the cells are called; ("lr", "") for a column of no set.
std::pair<std::string, std::string> metric_of(const std::string& column) {
  for (const CellSet& set : kCellSets) {
    if (column.ends_with(set.suffix)) {
      return {column.substr(0, column.size() - std::string_view(set.suffix).size()), set.name};
    }
  }
  return {column, ""};
}

Curve curve_of(const io::Column& column, const std::vector<double>& epochs, const std::string& file) {
  const std::vector<double> values = numbers_of(column, file);
  Curve curve{.name = metric_of(column.name).second, .epochs = {}, .values = {}};
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i]) || !is_drawable(epochs[i])) continue;
    curve.epochs.push_back(epochs[i]);
    curve.values.push_back(values[i]);
  }
  return curve;
}

std::vector<std::string> metrics_of(const io::Frame& table) {
  std::vector<std::string> metrics;
  for (const std::string& column : table.column_names()) {
    const auto [metric, set] = metric_of(column);
    if (!set.empty() && std::ranges::find(metrics, metric) == metrics.end()) metrics.push_back(metric);
  }
  return metrics.empty() ? std::vector<std::string>{"train_loss"} : metrics;
}

/// The columns of a metric, or the column of that name.
CurvePanel panel_of(const std::string& name, const io::Frame& table, const std::vector<double>& epochs,
                    const std::string& file) {
  const bool is_column = table.find(name) != nullptr;
  const auto [metric, set] = metric_of(name);
  CurvePanel panel{.title = title_of(is_column ? metric : name), .curves = {}};
  for (const io::Column& column : table.columns) {
    if (column.name != "epoch" && (is_column ? column.name == name : metric_of(column.name).first == name)) {
      panel.curves.push_back(curve_of(column, epochs, file));
    }
  }
  if (panel.curves.empty()) {
    std::vector<std::string> known = metrics_of(table);
    for (const std::string& column : table.column_names()) known.push_back(column);
    throw InputError(
        {.problem = "has no column and no metric '" + name + "'", .file = file, .remedy = suggest(name, known)});
  }
  return panel;
}

/// What the model's description says; nothing where there is none.
std::optional<double> best_epoch_of(const std::string& run) {
  const std::string file = run + "/model.json";
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    const auto facts = nlohmann::json::parse(read_file(file));
    const std::string text = facts.at("training").value("best_epoch", "");
    double epoch = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), epoch);
    if (error == std::errc() && rest == text.data() + text.size()) return epoch;
    return std::nullopt;
  } catch (const nlohmann::json::exception& error) {
    throw FormatError({.problem = std::string("is damaged: ") + error.what(), .file = file});
  }
}

// ---- drawing

struct Range {
  double least = INFINITY;
  double most = -INFINITY;
  bool empty() const { return least > most; }
  double size() const { return most - least; }
  void take(double value) {
    if (!is_drawable(value)) return;
    least = std::min(least, value);
    most = std::max(most, value);
  }
};

Range values_from(const CurvePanel& panel, double first_epoch) {
  Range range;
  for (const Curve& curve : panel.curves) {
    for (std::size_t i = 0; i < curve.values.size(); ++i) {
      if (curve.epochs[i] >= first_epoch) range.take(curve.values[i]);
    }
  }
  return range;
}

Range epochs_of(const CurvePanel& panel) {
  Range range;
  for (const Curve& curve : panel.curves) {
    for (const double epoch : curve.epochs) range.take(epoch);
  }
  return range;
}

/// The values that the axis covers.
Range shown_values(const CurvePanel& panel, const TrainingCurvesOptions& options) {
  if (options.first_epoch) {
    const Range range = values_from(panel, static_cast<double>(*options.first_epoch));
    if (!range.empty()) return range;
  }
  const Range all = values_from(panel, -INFINITY);
  const Range epochs = epochs_of(panel);
  if (options.first_epoch || options.log_scale || epochs.empty()) return all;
  // The fall of the first epochs often is many times what happens afterwards.
  constexpr double kFlat = 3, kFirstPart = 0.1;
  const Range later = values_from(panel, epochs.least + std::max(2.0, std::ceil(kFirstPart * epochs.size())));
  return !later.empty() && later.size() > 0 && all.size() > kFlat * later.size() ? later : all;
}

void check(const CurvePanel& panel, const TrainingCurvesOptions& options) {
  const Range values = values_from(panel, -INFINITY);
  if (values.empty()) {
    throw InputError({.problem = "has no values to show", .field = "'" + panel.title + "'"});
  }
  if (options.log_scale && values.least <= 0) {
    throw InputError({.problem = "holds " + short_number(values.least) + ", which a logarithmic axis cannot show",
                      .field = "'" + panel.title + "'",
                      .remedy = "leave the logarithm out"});
  }
}

void draw_curve(Canvas& canvas, const Curve& curve, const Scale& x, const Scale& y, Color color) {
  constexpr double kFarOff = 1e5;  // in pixels: more than a figure has, less than coordinates can be
  std::vector<Point> points;
  const auto finish = [&] {
    if (points.size() > 1) canvas.line(points, {.color = color, .width = 1.8});
    if (points.size() == 1) canvas.circle(points.front(), 2, color);
    points.clear();
  };
  for (std::size_t i = 0; i < curve.values.size(); ++i) {
    if (is_drawable(curve.values[i])) {
      points.push_back({x(curve.epochs[i]), std::clamp(y(curve.values[i]), -kFarOff, kFarOff)});
    } else {
      finish();
    }
  }
  finish();
}

void draw_best_epoch(Canvas& canvas, const Rect& area, double at, double epoch) {
  canvas.line({{at, area.y}, {at, area.bottom()}}, {.color = kMutedInk, .width = 1, .dashed = true});
  const std::string text = "best: epoch " + short_number(epoch, 9);
  const bool left = at + text_width(text, kSmallStyle) + 8 > area.right();
  TextStyle style = anchored(colored(kSmallStyle, kMutedInk), left ? Anchor::end : Anchor::start);
  style.halo = true;
  canvas.text({at + (left ? -5 : 5), area.y + 11}, text, style);
}

/// Names of the curves in a row below the title.
void draw_names(Canvas& canvas, const Rect& area, const CurvePanel& panel) {
  double at = area.x;
  for (std::size_t i = 0; i < panel.curves.size(); ++i) {
    const std::string& name = panel.curves[i].name;
    if (name.empty()) continue;
    const Color color = category_color(static_cast<std::int64_t>(i));
    canvas.line({{at, area.y - 10}, {at + 16, area.y - 10}}, {.color = color, .width = 2.5});
    canvas.text({at + 21, area.y - 10}, name, centered(kSmallStyle));
    at += 21 + text_width(name, kSmallStyle) + 16;
  }
}

Canvas draw_panel(const CurvePanel& panel, const std::optional<double>& best_epoch,
                  const TrainingCurvesOptions& options) {
  check(panel, options);
  const Range values = shown_values(panel, options);
  const Range epochs = epochs_of(panel);
  Scale x = padded_scale(epochs.least, epochs.most, 0.02);
  Scale y = padded_scale(values.least, values.most, 0.06);
  if (options.log_scale) y = {.least = values.least / 1.05, .most = values.most * 1.05, .is_log = true};
  const auto x_ticks = round_ticks(std::max(0.0, x.least), x.most, 6);
  const auto y_ticks = options.log_scale ? log_ticks(y.least, y.most) : round_ticks(y.least, y.most);
  const double left = left_axis_width(y_ticks, "");
  const double names_height = panel.curves.front().name.empty() ? 0 : 18;
  const Rect area = {left, kTitleHeight + names_height, options.width, options.height};
  x.begin = area.x;
  x.end = area.right();
  y.begin = area.bottom();
  y.end = area.y;
  Canvas canvas(area.right() + 10, area.bottom() + kBottomAxisHeight);
  for (const Tick& tick : y_ticks) {
    canvas.line({{area.x, y(tick.value)}, {area.right(), y(tick.value)}}, {.color = kGridColor});
  }
  canvas.clip(area);
  for (std::size_t i = panel.curves.size(); i-- > 0;) {
    draw_curve(canvas, panel.curves[i], x, y, category_color(static_cast<std::int64_t>(i)));
  }
  canvas.unclip();
  if (best_epoch && *best_epoch >= epochs.least && *best_epoch <= epochs.most) {
    draw_best_epoch(canvas, area, x(*best_epoch), *best_epoch);
  }
  draw_title(canvas, {area.x, area.y - names_height, area.width, area.height}, panel.title);
  draw_names(canvas, area, panel);
  draw_left_axis(canvas, area, y, y_ticks, "");
  draw_bottom_axis(canvas, area, x, x_ticks, "epoch");
  return canvas;
}

}  // namespace

TrainingCurves read_training_curves(const std::string& run, const std::vector<std::string>& names) {
  const bool is_folder = std::filesystem::is_directory(run);
  const std::string file = is_folder ? run + "/history.tsv" : run;
  if (is_folder && !std::filesystem::exists(file)) {
    throw InputError(
        {.problem = "holds no history.tsv", .file = run, .remedy = "name a folder that `scvi train` wrote"});
  }
  const io::Frame table = io::read_table(file, {.separator = '\t', .index_column = -1});
  const io::Column* epoch = table.find("epoch");
  if (!epoch) throw FormatError({.problem = "has no column 'epoch'", .file = file});
  const std::vector<double> epochs = numbers_of(*epoch, file);
  TrainingCurves curves;
  for (const std::string& name : names.empty() ? metrics_of(table) : names) {
    curves.panels.push_back(panel_of(name, table, epochs, file));
  }
  if (is_folder) curves.best_epoch = best_epoch_of(run);
  return curves;
}

Canvas draw_training_curves(const TrainingCurves& curves, const TrainingCurvesOptions& options) {
  if (curves.panels.empty()) throw InputError({.problem = "holds no curves to draw", .field = "the history"});
  std::vector<Canvas> panels;
  for (const CurvePanel& panel : curves.panels) panels.push_back(draw_panel(panel, curves.best_epoch, options));
  return arranged(panels, options.columns);
}

}  // namespace scvi::report
