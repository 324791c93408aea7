#include "scvi/metric/assignment.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kNone = -1;

/// Adds rows one by one, each along the path of least reduced cost through the rows assigned before (Kuhn 1955,
/// Jonker and Volgenant 1987). Potentials keep all reduced costs non-negative. @pre n_rows <= n_columns
class AssignmentSolver {
 public:
  /// @param cost (row, column) -> cost
  template <class Cost>
  AssignmentSolver(std::int64_t n_rows, std::int64_t n_columns, Cost cost)
      : row_potential_(n_rows),
        column_potential_(n_columns),
        row_of_column_(n_columns, kNone),
        path_cost_(n_columns),
        column_before_(n_columns),
        settled_(n_columns) {
    for (std::int64_t row = 0; row < n_rows; ++row) add_row(row, cost);
  }

  /// The row of every column, kNone for those left over.
  const std::vector<std::int64_t>& row_of_column() const { return row_of_column_; }

 private:
  template <class Cost>
  void add_row(std::int64_t new_row, Cost cost) {
    const std::int64_t n_columns = static_cast<std::int64_t>(path_cost_.size());
    path_cost_.assign(path_cost_.size(), std::numeric_limits<double>::infinity());
    settled_.assign(settled_.size(), false);
    std::int64_t row = new_row;
    std::int64_t last = kNone;
    double length = 0;
    while (row != kNone) {
      std::int64_t next = kNone;
      for (std::int64_t column = 0; column < n_columns; ++column) {
        if (settled_[column]) continue;
        const double through = length + cost(row, column) - row_potential_[row] - column_potential_[column];
        if (through < path_cost_[column]) {
          path_cost_[column] = through;
          column_before_[column] = last;
        }
        if (next == kNone || path_cost_[column] < path_cost_[next]) next = column;
      }
      length = path_cost_[next];
      settled_[next] = true;
      last = next;
      row = row_of_column_[next];
    }
    shift_potentials(new_row, last, length);
    for (; last != kNone; last = column_before_[last])
      row_of_column_[last] = column_before_[last] == kNone ? new_row : row_of_column_[column_before_[last]];
  }

  void shift_potentials(std::int64_t new_row, std::int64_t end, double length) {
    row_potential_[new_row] += length;
    for (std::size_t column = 0; column < settled_.size(); ++column) {
      if (!settled_[column] || static_cast<std::int64_t>(column) == end) continue;
      row_potential_[row_of_column_[column]] += length - path_cost_[column];
      column_potential_[column] -= length - path_cost_[column];
    }
  }

  std::vector<double> row_potential_, column_potential_;
  std::vector<std::int64_t> row_of_column_;
  std::vector<double> path_cost_;
  std::vector<std::int64_t> column_before_;
  std::vector<bool> settled_;
};

}  // namespace

std::vector<std::int64_t> linear_sum_assignment(std::span<const double> cost, std::int64_t n_rows,
                                                std::int64_t n_columns) {
  if (n_rows < 0 || n_columns < 0 || static_cast<std::int64_t>(cost.size()) != n_rows * n_columns)
    throw InputError({.problem = "of " + std::to_string(n_rows) + " rows and " + std::to_string(n_columns) +
                                 " columns has " + std::to_string(cost.size()) + " values",
                      .field = "cost matrix"});
  for (const double value : cost)
    if (!std::isfinite(value))
      throw InputError({.problem = "holds a value that is not finite", .field = "cost matrix"});
  std::vector<std::int64_t> column_of_row(static_cast<std::size_t>(n_rows), kNone);
  if (n_rows <= n_columns) {
    const AssignmentSolver solver(n_rows, n_columns,
                                  [&](std::int64_t r, std::int64_t c) { return cost[r * n_columns + c]; });
    for (std::int64_t column = 0; column < n_columns; ++column)
      if (solver.row_of_column()[column] != kNone) column_of_row[solver.row_of_column()[column]] = column;
    return column_of_row;
  }
  const AssignmentSolver solver(n_columns, n_rows,
                                [&](std::int64_t c, std::int64_t r) { return cost[r * n_columns + c]; });
  return solver.row_of_column();
}

}  // namespace scvi
