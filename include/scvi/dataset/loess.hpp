#pragma once

#include <span>
#include <vector>

namespace scvi {

struct LoessOptions {
  /// Part of the points that each local fit sees, in (0, 1]; at least three points are seen. Larger: smoother.
  double span = 0.3;
  /// How fine the grid is on which the curve is computed: a cell holds at most span * cell of the points. 0: no grid,
  /// every point gets its own local fit.
  double cell = 0.2;
};

/// Local quadratic regression of y on x with tricube weights (Cleveland and Devlin 1988), as R's
/// loess(y ~ x, degree = 2, family = "gaussian") fits it: the local fits are computed at the borders of the cells of
/// a grid that halves the points again and again, and between them the curve is the cubic with the values and slopes
/// of both ends. Where the points in reach have fewer than three different x the local fit is a line or a constant.
/// @param x,y of equal length, finite
/// @return the fitted value of each point
/// @throws InputError when the lengths differ, a value is not finite, or an option is out of range
std::vector<double> loess_fit(std::span<const double> x, std::span<const double> y, const LoessOptions& options = {});

}  // namespace scvi
