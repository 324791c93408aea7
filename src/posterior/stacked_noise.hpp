#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <utility>
#include <vector>

#include "scvi/kernel/noise.hpp"

namespace scvi {

/// Draws of several Monte-Carlo samples as one draw with a leading dimension, so that how many samples are computed
/// at a time never changes a result.
class StackedNoise final : public Noise {
 public:
  explicit StackedNoise(std::vector<std::unique_ptr<Noise>> parts) : parts_(std::move(parts)) {}

  at::Tensor standard_normal(std::string_view name, at::IntArrayRef shape,
                             const at::TensorOptions& options) override {
    return stacked([&](Noise& part) { return part.standard_normal(name, shape.slice(1), options); });
  }
  at::Tensor uniform(std::string_view name, at::IntArrayRef shape, const at::TensorOptions& options) override {
    return stacked([&](Noise& part) { return part.uniform(name, shape.slice(1), options); });
  }
  at::Tensor standard_gamma(std::string_view name, const at::Tensor& concentration) override {
    return stacked_over(concentration,
                        [&](Noise& part, const at::Tensor& x) { return part.standard_gamma(name, x); });
  }
  at::Tensor poisson(std::string_view name, const at::Tensor& rate) override {
    return stacked_over(rate, [&](Noise& part, const at::Tensor& x) { return part.poisson(name, x); });
  }

 private:
  template <class Draw>
  at::Tensor stacked(Draw draw) {
    std::vector<at::Tensor> draws;
    for (const auto& part : parts_) draws.push_back(draw(*part));
    return at::stack(draws);
  }
  template <class Draw>
  at::Tensor stacked_over(const at::Tensor& parameter, Draw draw) {
    std::vector<at::Tensor> draws;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      draws.push_back(draw(*parts_[i], parameter[static_cast<std::int64_t>(i)]));
    }
    return at::stack(draws);
  }

  std::vector<std::unique_ptr<Noise>> parts_;
};

}  // namespace scvi
