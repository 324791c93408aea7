#include "scvi/report/loadings_figure.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "arrange.hpp"
#include "plot.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/delimited.hpp"
#include "table_columns.hpp"

namespace scvi::report {
namespace {

constexpr Color kPositive = rgb(0xD55E00);
constexpr Color kNegative = rgb(0x0072B2);
constexpr double kBarsWidth = 150;
constexpr double kRow = 15;
constexpr double kBar = 10;
constexpr double kBetweenEnds = 10;
constexpr double kLongestGene = 120;
constexpr double kNameGap = 6;

void check(const LoadingsTable& table, const LoadingsFigureOptions& options) {
  const auto n_factors = std::ssize(table.factors);
  if (table.genes.empty() || n_factors == 0) {
    throw InputError({.problem = "holds no genes or no factors", .field = "the table of loadings"});
  }
  if (n_factors > kMostFactors) {
    throw InputError({.problem = "are more than a figure can show, " + std::to_string(kMostFactors),
                      .field = with_thousands(n_factors) + " factors"});
  }
  if (options.n_genes < 1 || options.n_genes > kMostExtremeGenes) {
    throw InputError({.problem = "must be 1 to " + std::to_string(kMostExtremeGenes) + ", but is " +
                                 std::to_string(options.n_genes),
                      .field = "the number of genes at either end"});
  }
}

/// How far from 0 the bars reach.
double longest_bar(const LoadingsTable& table) {
  double longest = 0;
  for (const Factor& factor : table.factors) {
    for (const double loading : factor.loading) longest = std::max(longest, std::abs(loading));
  }
  return longest > 0 ? longest : 1;
}

class FactorPanel {
 public:
  FactorPanel(const LoadingsTable& table, std::size_t factor, std::int64_t n_genes, double longest_bar)
      : table_(table), factor_(table.factors[factor]), column_(factor + 1), shown_(extreme_genes(factor_, n_genes)) {
    double names = 0;
    for (const std::size_t gene : shown_) names = std::max(names, text_width(table.genes[gene], kSmallStyle));
    const double rows = kRow * static_cast<double>(shown_.size()) + (n_high() < shown_.size() ? kBetweenEnds : 0);
    area_ = {std::min(names, kLongestGene) + kNameGap, kTitleHeight, kBarsWidth, rows};
    x_ = padded_scale(-longest_bar, longest_bar, 0.02);
    x_.begin = area_.x;
    x_.end = area_.right();
  }

  Canvas draw() const {
    Canvas canvas(area_.right() + 10, area_.bottom() + kBottomAxisHeight);
    canvas.line({{x_(0), area_.y}, {x_(0), area_.bottom()}}, {.color = kGridColor});
    for (std::size_t row = 0; row < shown_.size(); ++row) draw_gene(canvas, row);
    draw_captions(canvas);
    draw_bottom_axis(canvas, area_, x_, round_ticks(x_.least, x_.most, 4), "loading");
    return canvas;
  }

 private:
  const LoadingsTable& table_;
  const Factor& factor_;
  std::size_t column_;  // of the latent space, counted from 1
  std::vector<std::size_t> shown_;
  Rect area_;
  Scale x_;

  std::size_t n_high() const { return (shown_.size() + 1) / 2; }

  void draw_gene(Canvas& canvas, std::size_t row) const {
    const std::string& gene = table_.genes[shown_[row]];
    const double loading = factor_.loading[shown_[row]];
    const double y = area_.y + kRow * (static_cast<double>(row) + 0.5) + (row < n_high() ? 0 : kBetweenEnds);
    const std::string shown = shortened(gene, kSmallStyle, kLongestGene);
    canvas.text({area_.x - kNameGap, y}, shown, centered(anchored(kSmallStyle, Anchor::end)),
                shown == gene ? "" : gene);
    const double end = x_(loading);
    canvas.box({std::min(x_(0), end), y - kBar / 2, std::abs(end - x_(0)), kBar}, loading > 0 ? kPositive : kNegative,
               {}, gene + ": " + short_number(loading));
  }

  /// The name, and which axis of a map of the latent space the factor is.
  void draw_captions(Canvas& canvas) const {
    const TextStyle muted = colored(kSmallStyle, kMutedInk);
    const std::string axis = "axis " + std::to_string(column_);
    draw_title(canvas, {area_.x, area_.y, area_.width - text_width(axis, muted) - 8, 0}, factor_.name);
    canvas.text({area_.right(), area_.y - 9}, axis, anchored(muted, Anchor::end));
  }
};

/// Panels are wider than high, so that more stand side by side than below each other.
int columns_for(std::size_t n_factors) {
  return std::min(5, static_cast<int>(std::ceil(std::sqrt(2 * static_cast<double>(n_factors)))));
}

}  // namespace

LoadingsTable read_loadings(const std::string& path) {
  const io::Frame frame = io::read_table(path, {.separator = '\t'});
  LoadingsTable table{.genes = frame.index, .factors = {}};
  for (const io::Column& column : frame.columns) {
    Factor& factor = table.factors.emplace_back(Factor{.name = column.name, .loading = numbers_of(column, path)});
    const auto missing = std::ranges::find_if_not(factor.loading, is_drawable);
    if (missing == factor.loading.end()) continue;
    throw FormatError({.problem = "holds no loading of gene '" + table.genes[missing - factor.loading.begin()] + "'",
                       .file = path,
                       .field = "column '" + column.name + "'",
                       .remedy = "give a table (.tsv) that `scvi loadings` wrote"});
  }
  if (table.genes.empty() || table.factors.empty()) {
    throw FormatError(
        {.problem = "holds no loadings", .file = path, .remedy = "give a table (.tsv) that `scvi loadings` wrote"});
  }
  return table;
}

std::vector<std::size_t> extreme_genes(const Factor& factor, std::int64_t n) {
  std::vector<std::size_t> order(factor.loading.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](auto a, auto b) { return factor.loading[a] > factor.loading[b]; });
  const std::int64_t surplus = std::ssize(order) - 2 * n;
  if (surplus > 0) order.erase(order.begin() + n, order.begin() + n + surplus);
  return order;
}

Canvas draw_loadings(const LoadingsTable& table, const LoadingsFigureOptions& options) {
  check(table, options);
  const double longest = longest_bar(table);
  std::vector<Canvas> panels;
  for (std::size_t factor = 0; factor < table.factors.size(); ++factor) {
    panels.push_back(FactorPanel(table, factor, options.n_genes, longest).draw());
  }
  return arranged(panels, options.columns > 0 ? options.columns : columns_for(panels.size()));
}

}  // namespace scvi::report
