#include "plot.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

namespace scvi::report {
namespace {

constexpr double kTickLength = 4;
constexpr double kLineHeight = 17;
constexpr double kSwatch = 5;       // radius
constexpr double kSwatchRoom = 16;  // from its left edge to the label
constexpr double kRemarkGap = 8;
constexpr double kColumnGap = 18;

/// The words of a text; a sum like "1 + counts" is one.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  bool goes_on = false;
  for (std::string word; stream >> word; goes_on = word == "+") {
    if (!words.empty() && (goes_on || word == "+")) {
      words.back() += " " + word;
    } else {
      words.push_back(word);
    }
  }
  return words;
}

/// A text in lines of a width, broken between words; one that is longer is shortened.
std::vector<std::string> wrapped(const std::string& text, const TextStyle& style, double width) {
  std::vector<std::string> lines;
  for (const std::string& word : words_of(text)) {
    const std::string longer = lines.empty() ? word : lines.back() + " " + word;
    if (lines.empty() || text_width(longer, style) > width) {
      lines.push_back(shortened(word, style, width));
    } else {
      lines.back() = longer;
    }
  }
  return lines;
}

/// Numbers at the ends of a bar that stand for all beyond them, too; ticks that are too near give way.
void mark_clipped_ends(std::vector<Tick>& ticks, const ColorBar& bar) {
  const double near = (bar.most - bar.least) / 12;
  const auto replace = [&](double end, const char* sign) {
    std::erase_if(ticks, [&](const Tick& tick) { return std::abs(tick.value - end) < near; });
    ticks.push_back({end, sign + short_number(end)});
  };
  if (bar.clipped_above) replace(bar.most, "\u2265 ");
  if (bar.clipped_below) replace(bar.least, "\u2264 ");
}

}  // namespace

TextStyle anchored(TextStyle style, Anchor anchor) {
  style.anchor = anchor;
  return style;
}

TextStyle colored(TextStyle style, Color color) {
  style.color = color;
  return style;
}

TextStyle centered(TextStyle style) {
  style.centered = true;
  return style;
}

double Scale::operator()(double value) const {
  const auto place = [this](double v) { return is_log ? std::log(v) : v; };
  return begin + (end - begin) * (place(value) - place(least)) / (place(most) - place(least));
}

Scale padded_scale(double least, double most, double padding) {
  const double range = most - least;
  const double room = range > 0 ? padding * range : std::max(std::abs(least) * 0.05, 0.5);
  return {.least = least - room, .most = most + room};
}

void draw_title(Canvas& canvas, const Rect& area, const std::string& title) {
  const std::string shown = shortened(title, kTitleStyle, area.width);
  canvas.text({area.x, area.y - 9}, shown, kTitleStyle, shown == title ? "" : title);
}

void draw_bottom_axis(Canvas& canvas, const Rect& area, const Scale& x, const std::vector<Tick>& ticks,
                      const std::string& title) {
  canvas.line({{area.x, area.bottom()}, {area.right(), area.bottom()}}, {});
  for (const Tick& tick : ticks) {
    const double at = x(tick.value);
    canvas.line({{at, area.bottom()}, {at, area.bottom() + kTickLength}}, {});
    canvas.text({at, area.bottom() + 15}, tick.label, anchored(kSmallStyle, Anchor::middle));
  }
  const std::string shown = shortened(title, kLabelStyle, area.width + 20);
  canvas.text({area.x + area.width / 2, area.bottom() + 33}, shown, anchored(kLabelStyle, Anchor::middle));
}

double left_axis_width(const std::vector<Tick>& ticks, const std::string& title) {
  double widest = 0;
  for (const Tick& tick : ticks) widest = std::max(widest, text_width(tick.label, kSmallStyle));
  return widest + kTickLength + (title.empty() ? 6 : 26);
}

void draw_left_axis(Canvas& canvas, const Rect& area, const Scale& y, const std::vector<Tick>& ticks,
                    const std::string& title) {
  canvas.line({{area.x, area.y}, {area.x, area.bottom()}}, {});
  for (const Tick& tick : ticks) {
    const double at = y(tick.value);
    canvas.line({{area.x - kTickLength, at}, {area.x, at}}, {});
    canvas.text({area.x - kTickLength - 3, at}, tick.label, centered(anchored(kSmallStyle, Anchor::end)));
  }
  if (title.empty()) return;
  TextStyle upright = anchored(kLabelStyle, Anchor::middle);
  upright.rotation = 90;
  const std::string shown = shortened(title, upright, area.height + 20);
  canvas.text({area.x - left_axis_width(ticks, title) + 11, area.y + area.height / 2}, shown, upright);
}

Legend::Legend(std::vector<LegendEntry> entries, double height) : entries_(std::move(entries)) {
  const auto fitting = static_cast<std::size_t>(std::max(1.0, std::floor(height / kLineHeight)));
  const std::size_t n_columns = (entries_.size() + fitting - 1) / fitting;
  if (n_columns == 0) return;
  n_lines_ = (entries_.size() + n_columns - 1) / n_columns;
  for (std::size_t first = 0; first < entries_.size(); first += n_lines_) {
    double label = 0, remark = 0;
    for (std::size_t i = first; i < std::min(entries_.size(), first + n_lines_); ++i) {
      label = std::max(label, std::min(kLongestLabel, text_width(entries_[i].label, kLabelStyle)));
      remark = std::max(remark, kRemarkGap + text_width(entries_[i].remark, kSmallStyle));
    }
    column_widths_.push_back(kSwatchRoom + label + remark);
    width_ += column_widths_.back() + (first > 0 ? kColumnGap : 0);
  }
  height_ = kLineHeight * static_cast<double>(n_lines_);
}

void Legend::draw(Canvas& canvas, Point at) const {
  double left = at.x;
  for (std::size_t column = 0; column < column_widths_.size(); ++column) {
    for (std::size_t line = 0; line < n_lines_ && column * n_lines_ + line < entries_.size(); ++line) {
      const LegendEntry& entry = entries_[column * n_lines_ + line];
      const double y = at.y + kLineHeight * (static_cast<double>(line) + 0.5);
      canvas.circle({left + kSwatch, y}, kSwatch, entry.color);
      const std::string shown = shortened(entry.label, kLabelStyle, kLongestLabel);
      canvas.text({left + kSwatchRoom, y}, shown, centered(kLabelStyle), shown == entry.label ? "" : entry.label);
      canvas.text({left + column_widths_[column], y}, entry.remark,
                  centered(anchored(colored(kSmallStyle, kMutedInk), Anchor::end)));
    }
    left += column_widths_[column] + kColumnGap;
  }
}

void draw_color_bar(Canvas& canvas, Point at, double height, const ColorBar& bar) {
  constexpr double kWidth = 14, kTitleLine = 13, kTitleGap = 5;
  constexpr std::int64_t kPixels = 256;
  const std::vector<std::string> title = wrapped(bar.title, kSmallStyle, kColorBarWidth);
  for (std::size_t i = 0; i < title.size(); ++i) {
    canvas.text({at.x, at.y + kTitleLine * (static_cast<double>(i) + 0.75)}, title[i], kSmallStyle);
  }
  const double top = kTitleLine * static_cast<double>(title.size()) + kTitleGap;
  const Rect area = {at.x, at.y + top, kWidth, height - top};
  Image image{.area = area, .width = 1, .height = kPixels, .pixels = {}};
  for (std::int64_t i = 0; i < kPixels; ++i) {
    image.pixels.push_back(bar.color(1 - static_cast<double>(i) / (kPixels - 1)));
  }
  canvas.image(std::move(image));
  const Scale y = {.least = bar.least, .most = bar.most, .begin = area.bottom(), .end = area.y};
  const bool is_one = !(bar.most > bar.least);
  auto ticks = round_ticks(bar.least, bar.most, std::max(2, static_cast<int>(area.height / 30)));
  if (bar.clipped_above || bar.clipped_below) mark_clipped_ends(ticks, bar);
  for (const Tick& tick : ticks) {
    const double place = is_one ? area.y + area.height / 2 : y(tick.value);
    canvas.line({{area.right(), place}, {area.right() + 3, place}}, {});
    canvas.text({area.right() + 6, place}, tick.label, centered(kSmallStyle));
  }
}

}  // namespace scvi::report
