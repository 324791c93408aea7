#pragma once

#include <string>
#include <vector>

namespace scvi::report {

/// A mark on an axis.
struct Tick {
  double value = 0;
  std::string label;
};

/// Marks at multiples of 1, 2 or 5 times a power of ten, all within [least, most], about as many as asked for.
/// @pre both are finite and least <= most
std::vector<Tick> round_ticks(double least, double most, int about = 5);

/// Marks for a logarithmic axis: powers of ten, with 2 and 5 times these where there are few. @pre 0 < least <= most
std::vector<Tick> log_ticks(double least, double most, int about = 5);

/// A number for people: "12,300", "0.004", "2e-7"; at most `digits` significant digits.
std::string short_number(double value, int digits = 3);

}  // namespace scvi::report
