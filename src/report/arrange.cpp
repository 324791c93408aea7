#include "arrange.hpp"

#include <algorithm>
#include <cmath>

#include "plot.hpp"

namespace scvi::report {

Canvas arranged(const std::vector<Canvas>& panels, int columns) {
  const std::size_t n = panels.size();
  constexpr std::size_t kMostColumns = 3;
  const std::size_t square = std::min(kMostColumns, static_cast<std::size_t>(std::ceil(std::sqrt(n))));
  const std::size_t n_columns = std::min(n, columns > 0 ? static_cast<std::size_t>(columns) : square);
  const std::size_t n_rows = (n + n_columns - 1) / n_columns;
  std::vector<double> widths(n_columns), heights(n_rows);
  for (std::size_t i = 0; i < n; ++i) {
    widths[i % n_columns] = std::max(widths[i % n_columns], panels[i].width());
    heights[i / n_columns] = std::max(heights[i / n_columns], panels[i].height());
  }
  const auto total = [](const std::vector<double>& sizes) {
    double sum = 2 * kMargin + kGap * static_cast<double>(sizes.size() - 1);
    for (const double size : sizes) sum += size;
    return std::ceil(sum);
  };
  Canvas page(total(widths), total(heights));
  Point at = {kMargin, kMargin};
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t column = i % n_columns;
    page.place(panels[i], at);
    at.x += widths[column] + kGap;
    if (column + 1 < n_columns) continue;
    at = {kMargin, at.y + heights[i / n_columns] + kGap};
  }
  return page;
}

}  // namespace scvi::report
