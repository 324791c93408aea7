#include "comparison.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <iomanip>
#include <limits>

namespace scvi::parity {
namespace {

constexpr double kRule = 1e-4;
constexpr double kReferenceErrors = 10;

double largest(const at::Tensor& tensor) {
  return tensor.numel() == 0 ? 0 : tensor.abs().max().item<double>();
}

}  // namespace

void Comparison::add(std::string quantity, double deviation, double allowed) {
  // Written so that a NaN fails.
  const bool passed = deviation <= allowed;
  if (!passed) ++n_failed_;
  rows_.push_back({std::move(quantity), deviation, allowed, passed});
}

void Comparison::by_rule(const GoldenCase& golden, const std::string& path, const at::Tensor& got) {
  loosely(golden, path, got, kRule);
}

void Comparison::loosely(const GoldenCase& golden, const std::string& path, const at::Tensor& got, double relative) {
  const at::Tensor expected = golden.tensor64(path);
  if (!got.defined() || got.sizes() != expected.sizes()) {
    add(path + " (shape)", std::numeric_limits<double>::infinity(), 0);
    return;
  }
  const double deviation = largest(got.detach().to(at::kCPU, at::kDouble) - expected);
  add(path, deviation, relative * largest(expected) + kReferenceErrors * golden.reference_error(path));
}

void Comparison::element_wise(const std::string& quantity, const at::Tensor& got, const at::Tensor& expected,
                              double relative, double absolute) {
  if (got.sizes() != expected.sizes()) {
    add(quantity + " (shape)", std::numeric_limits<double>::infinity(), 0);
    return;
  }
  const at::Tensor result = got.detach().to(at::kCPU, at::kDouble);
  const at::Tensor same = at::logical_or(result == expected, at::logical_and(result.isnan(), expected.isnan()));
  const at::Tensor in_units = (result - expected).abs() / (relative * expected.abs() + absolute);
  add(quantity + " (in units of what is allowed)", largest(at::where(same, at::zeros_like(in_units), in_units)), 1);
}

void Comparison::fact(const std::string& quantity, bool holds) {
  add(quantity, holds ? 0 : 1, 0);
}

void Comparison::print(std::ostream& out) const {
  for (const auto& row : rows_) {
    out << (row.passed ? "  ok    " : "  FAIL  ") << std::scientific << std::setprecision(2) << row.deviation
        << "  allowed " << row.allowed << "  " << row.quantity << "\n";
  }
}

}  // namespace scvi::parity
