#include "scvi/report/ticks.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace scvi::report {
namespace {

constexpr const char* kMinus = "\u2212";

/// A number with so many digits behind the point, groups of three digits before it kept apart.
std::string fixed(double value, int decimals) {
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(value),
                                 std::chars_format::fixed, decimals);
  std::string digits(buffer.data(), end.ptr);
  const std::size_t whole = std::min(digits.find('.'), digits.size());
  for (std::size_t at = whole; at > 3; at -= 3) digits.insert(at - 3, ",");
  const bool is_zero = digits.find_first_not_of("0.,") == std::string::npos;
  return (value < 0 && !is_zero ? kMinus : "") + digits;
}

/// "2e-7".
std::string scientific(double value, int digits) {
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(value),
                                 std::chars_format::scientific, std::max(0, digits - 1));
  std::string text(buffer.data(), end.ptr);
  const std::size_t e = text.find('e');
  std::string mantissa = text.substr(0, e);
  if (mantissa.find('.') != std::string::npos) {
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.back() == '.') mantissa.pop_back();
  }
  const bool negative = text[e + 1] == '-';
  const std::string exponent = text.substr(std::min(text.find_first_not_of('0', e + 2), text.size() - 1));
  return (value < 0 ? kMinus : "") + mantissa + "e" + (negative ? kMinus : "") + exponent;
}

constexpr double kLargestPlain = 1e7;
constexpr double kSmallestPlain = 1e-4;

std::vector<std::string> labels_of(const std::vector<double>& values, double step) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  const bool plain = largest < kLargestPlain && step >= kSmallestPlain;
  const auto power_of = [](double value) { return static_cast<int>(std::floor(std::log10(value) + 1e-9)); };
  const int decimals = std::max(0, -power_of(step));
  const int digits = largest > 0 ? power_of(largest) - power_of(step) + 1 : 1;
  std::vector<std::string> labels;
  for (const double value : values) {
    labels.push_back(plain ? fixed(value, decimals) : value == 0 ? "0" : scientific(value, std::min(digits, 9)));
  }
  return labels;
}

/// The 1, 2, 5 or 10 times a power of ten that cuts a range into about so many parts.
double round_step(double range, int about) {
  const double rough = range / std::max(1, about);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double times = rough / power;
  return power * (times < 1.5 ? 1 : times < 3.2 ? 2 : times < 7.2 ? 5 : 10);
}

}  // namespace

std::string short_number(double value, int digits) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? std::string(kMinus) + "inf" : "inf";
  if (value == 0) return "0";
  const double size = std::abs(value);
  if (size >= kLargestPlain || size < kSmallestPlain) return scientific(value, digits);
  const int before_point = static_cast<int>(std::floor(std::log10(size))) + 1;
  std::string text = fixed(value, std::max(0, digits - before_point));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

std::vector<Tick> round_ticks(double least, double most, int about) {
  // A single value, or a range that doubles cannot cut.
  const double size = std::max(std::abs(least), std::abs(most));
  if (!(most - least > size * 1e-12) || !std::isfinite(most - least)) return {{least, short_number(least)}};
  const double step = round_step(most - least, about);
  const double slack = step * 1e-6;
  std::vector<double> values;
  const auto first = static_cast<std::int64_t>(std::ceil((least - slack) / step));
  const auto last = static_cast<std::int64_t>(std::floor((most + slack) / step));
  for (std::int64_t i = first; i <= last; ++i) values.push_back(static_cast<double>(i) * step);
  const std::vector<std::string> labels = labels_of(values, step);
  std::vector<Tick> ticks;
  for (std::size_t i = 0; i < values.size(); ++i) {
    ticks.push_back({std::clamp(values[i], least, most), labels[i]});
  }
  return ticks;
}

std::vector<Tick> log_ticks(double least, double most, int about) {
  const int first = static_cast<int>(std::floor(std::log10(least) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(most) - 1e-9));
  const auto within = [&](const std::vector<double>& factors, int every) {
    std::vector<Tick> ticks;
    for (int power = first; power <= last; power += every) {
      for (const double factor : factors) {
        const double value = factor * std::pow(10, power);
        if (value >= least * (1 - 1e-9) && value <= most * (1 + 1e-9))
          ticks.push_back({value, short_number(value, 1)});
      }
    }
    return ticks;
  };
  const int every = std::max(1, (last - first + about - 1) / std::max(1, about));
  std::vector<Tick> ticks = within({1}, every);
  if (std::ssize(ticks) < 3) ticks = within({1}, 1);
  if (std::ssize(ticks) < 3) ticks = within({1, 2, 5}, 1);
  // Less than a factor of three or so is as good as linear.
  return std::ssize(ticks) < 2 ? round_ticks(least, most, about) : ticks;
}

}  // namespace scvi::report
