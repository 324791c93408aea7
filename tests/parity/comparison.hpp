#pragma once

#include <ATen/core/Tensor.h>

#include <ostream>
#include <string>
#include <vector>

#include "golden_case.hpp"

namespace scvi::parity {

/// Collects how far results are from the expected ones.
class Comparison {
 public:
  /// The rule of the golden cases: max |got - expected| <= 1e-4 max |expected| + 10 * the reference's own error.
  void by_rule(const GoldenCase& golden, const std::string& path, const at::Tensor& got);
  /// max |got - expected| <= relative * max |expected| + 10 * the reference's own error.
  void loosely(const GoldenCase& golden, const std::string& path, const at::Tensor& got, double relative);
  /// Element by element: |got - expected| <= relative |expected| + absolute; the same infinities and NaN.
  void element_wise(const std::string& quantity, const at::Tensor& got, const at::Tensor& expected, double relative,
                    double absolute);
  /// A deviation that was worked out elsewhere.
  void at_most(const std::string& quantity, double deviation, double allowed) { add(quantity, deviation, allowed); }
  /// Something that is either so or not.
  void fact(const std::string& quantity, bool holds);

  bool passed() const { return n_failed_ == 0; }
  std::size_t n_compared() const { return rows_.size(); }
  std::size_t n_failed() const { return n_failed_; }
  /// A line for each quantity: worst deviation, what is allowed, verdict.
  void print(std::ostream& out) const;

 private:
  struct Row {
    std::string quantity;
    double deviation;
    double allowed;
    bool passed;
  };
  void add(std::string quantity, double deviation, double allowed);

  std::vector<Row> rows_;
  std::size_t n_failed_ = 0;
};

}  // namespace scvi::parity
