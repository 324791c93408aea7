#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace scvi {

/// Where a model's random draws come from. A model never makes random numbers itself: it asks for a draw by name,
/// each name at most once per Noise. So a run can be repeated bit for bit, resumed in the middle, or replayed from a
/// file.
class Noise {
 public:
  virtual ~Noise() = default;
  /// Draws of Normal(0, 1).
  virtual at::Tensor standard_normal(std::string_view name, at::IntArrayRef shape,
                                     const at::TensorOptions& options) = 0;
  /// Draws of Uniform[0, 1).
  virtual at::Tensor uniform(std::string_view name, at::IntArrayRef shape, const at::TensorOptions& options) = 0;
  /// Draws of Gamma(concentration, rate 1), one per entry; no gradient is attached.
  virtual at::Tensor standard_gamma(std::string_view name, const at::Tensor& concentration) = 0;
  /// Draws of Poisson(rate), one per entry.
  virtual at::Tensor poisson(std::string_view name, const at::Tensor& rate) = 0;
};

/// Noise from the Philox streams of core/random.hpp: a draw depends on seed, purpose, position and name alone.
class RandomNoise final : public Noise {
 public:
  /// @param purpose what the draws are for: "training", "elbo/test_set"
  /// @param position where in it, e.g. {epoch, minibatch}
  RandomNoise(std::uint64_t seed, std::string purpose, std::array<std::uint64_t, 2> position = {0, 0});

  at::Tensor standard_normal(std::string_view name, at::IntArrayRef shape, const at::TensorOptions& options) override;
  at::Tensor uniform(std::string_view name, at::IntArrayRef shape, const at::TensorOptions& options) override;
  at::Tensor standard_gamma(std::string_view name, const at::Tensor& concentration) override;
  at::Tensor poisson(std::string_view name, const at::Tensor& rate) override;

 private:
  std::string full_name(std::string_view name) const;

  std::uint64_t seed_;
  std::string purpose_;
  std::array<std::uint64_t, 2> position_;
};

/// Noise played back from recorded draws. @throws InputError for a name that was not recorded or has another shape
class RecordedNoise final : public Noise {
 public:
  /// @param draws by name
  /// @param suffix appended to every name that is asked for, e.g. "/mb0"
  explicit RecordedNoise(std::map<std::string, at::Tensor> draws, std::string suffix = "");

  at::Tensor standard_normal(std::string_view name, at::IntArrayRef shape, const at::TensorOptions& options) override;
  at::Tensor uniform(std::string_view name, at::IntArrayRef shape, const at::TensorOptions& options) override;
  at::Tensor standard_gamma(std::string_view name, const at::Tensor& concentration) override;
  at::Tensor poisson(std::string_view name, const at::Tensor& rate) override;

 private:
  at::Tensor recorded(std::string_view name, at::IntArrayRef shape, const at::TensorOptions& options) const;

  std::map<std::string, at::Tensor> draws_;
  std::string suffix_;
};

}  // namespace scvi
