#include "scvi/kernel/noise.hpp"

#include <algorithm>
#include <span>

#include "scvi/core/error.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

/// Draws that are worth a thread; whole blocks of the generator.
constexpr std::int64_t kLeastUniforms = 4096, kLeastNormals = 256;

/// Makes the draws in float32 on the CPU with `fill(stream, part, first)` and moves them to where they are wanted, so
/// that every device sees the same numbers.
template <class Fill>
at::Tensor filled(const RandomStream& stream, at::IntArrayRef shape, const at::TensorOptions& options,
                  std::int64_t least, Fill fill) {
  const ProfileSection section("noise");
  at::Tensor draws = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  float* data = draws.data_ptr<float>();
  parallel_for(draws.numel(), chunk_of_independent(draws.numel(), least), [&](std::int64_t begin, std::int64_t end) {
    fill(stream, std::span<float>(data + begin, data + end), static_cast<std::uint64_t>(begin));
  });
  return draws.to(options.device(), c10::typeMetaToScalarType(options.dtype()));
}

/// One draw per entry of `parameter`, each from a stream of its own row so that rows may be drawn by any thread.
template <class Draw>
at::Tensor drawn_by_row(std::uint64_t seed, const std::string& name, std::array<std::uint64_t, 2> position,
                        const at::Tensor& parameter, Draw draw) {
  const at::Tensor source = parameter.detach().to(at::kCPU, at::kDouble).contiguous();
  at::Tensor result = at::empty_like(source);
  const std::int64_t row_length = source.dim() == 0 ? 1 : std::max<std::int64_t>(source.size(-1), 1);
  const std::int64_t n_rows = source.numel() / row_length;
  const double* in = source.data_ptr<double>();
  double* out = result.data_ptr<double>();
  parallel_for(n_rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      RandomStream stream(seed, name + "#" + std::to_string(row), position);
      for (std::int64_t i = row * row_length; i < (row + 1) * row_length; ++i) out[i] = draw(stream, in[i]);
    }
  });
  return result.to(parameter.options().requires_grad(false));
}

}  // namespace

RandomNoise::RandomNoise(std::uint64_t seed, std::string purpose, std::array<std::uint64_t, 2> position)
    : seed_(seed), purpose_(std::move(purpose)), position_(position) {}

std::string RandomNoise::full_name(std::string_view name) const {
  return purpose_ + ":" + std::string(name);
}

at::Tensor RandomNoise::standard_normal(std::string_view name, at::IntArrayRef shape,
                                        const at::TensorOptions& options) {
  return filled(RandomStream(seed_, full_name(name), position_), shape, options, kLeastNormals,
                [](const RandomStream& stream, std::span<float> part, std::uint64_t first) {
                  stream.fill_standard_normal(part, first);
                });
}

at::Tensor RandomNoise::uniform(std::string_view name, at::IntArrayRef shape, const at::TensorOptions& options) {
  return filled(RandomStream(seed_, full_name(name), position_), shape, options, kLeastUniforms,
                [](const RandomStream& stream, std::span<float> part, std::uint64_t first) {
                  stream.fill_uniform(part, first);
                });
}

at::Tensor RandomNoise::standard_gamma(std::string_view name, const at::Tensor& concentration) {
  return drawn_by_row(seed_, full_name(name), position_, concentration,
                      [](RandomStream& stream, double shape) { return stream.standard_gamma(shape); });
}

at::Tensor RandomNoise::poisson(std::string_view name, const at::Tensor& rate) {
  return drawn_by_row(seed_, full_name(name), position_, rate,
                      [](RandomStream& stream, double mean) { return static_cast<double>(stream.poisson(mean)); });
}

RecordedNoise::RecordedNoise(std::map<std::string, at::Tensor> draws, std::string suffix)
    : draws_(std::move(draws)), suffix_(std::move(suffix)) {}

at::Tensor RecordedNoise::recorded(std::string_view name, at::IntArrayRef shape,
                                   const at::TensorOptions& options) const {
  const std::string wanted = std::string(name) + suffix_;
  const auto found = draws_.find(wanted);
  if (found == draws_.end()) throw InputError({.problem = "has no recorded draw", .field = "noise '" + wanted + "'"});
  if (found->second.sizes() != shape) {
    throw InputError(
        {.problem = "was recorded with another shape than the model asks for", .field = "noise '" + wanted + "'"});
  }
  return found->second.to(options.device(), c10::typeMetaToScalarType(options.dtype()));
}

at::Tensor RecordedNoise::standard_normal(std::string_view name, at::IntArrayRef shape,
                                          const at::TensorOptions& options) {
  return recorded(name, shape, options);
}

at::Tensor RecordedNoise::uniform(std::string_view name, at::IntArrayRef shape, const at::TensorOptions& options) {
  return recorded(name, shape, options);
}

at::Tensor RecordedNoise::standard_gamma(std::string_view name, const at::Tensor& concentration) {
  return recorded(name, concentration.sizes(), concentration.options().requires_grad(false));
}

at::Tensor RecordedNoise::poisson(std::string_view name, const at::Tensor& rate) {
  return recorded(name, rate.sizes(), rate.options().requires_grad(false));
}

}  // namespace scvi
