#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "scvi/kernel/sparse_rows.hpp"

namespace scvi::kernel {

/// A layer whose parts run as one operation: linear with one-hot categories, batch norm, ReLU, dropout. Weights are
/// held input-major: a tensor (out, in) whose memory is the contiguous (in, out), so that a sparse input and a
/// category pick consecutive numbers.
struct FullyConnected {
  /// One-hot columns behind the input's features, given by their indices.
  struct Category {
    at::Tensor index;    ///< (rows, 1) int64
    std::int64_t n = 0;  ///< columns
  };
  struct BatchNorm {
    at::Tensor weight, bias;               ///< (out)
    at::Tensor running_mean, running_var;  ///< (out); moved in training
    double momentum = 0.01;
    double eps = 1e-3;
    bool training = true;  ///< statistics of these rows, else the running ones
  };

  at::Tensor weight;     ///< (out, in), the features' columns first
  at::Tensor bias = {};  ///< (out), or undefined
  std::vector<Category> categories = {};
  std::optional<BatchNorm> batch_norm = {};
  bool relu = true;
  at::Tensor dropout_draws = {};  ///< (rows, out) uniform in [0, 1); undefined: no dropout
  double dropout_rate = 0;        ///< an element is kept where its draw is at least this
  /// That a dense input comes out of a ReLU: its gradient is not computed where it is zero.
  bool input_is_rectified = false;
};

/// Whether fully_connected() takes this: settings() ask for the fused road, and everything is float32 on the CPU and
/// laid out as said above, the input in two dimensions.
bool can_fuse(const LayerInput& x, const FullyConnected& layer);

/// (rows, out), differentiable in x, weight, bias and batch norm's weight and bias. @pre can_fuse(x, layer)
/// @throws InputError for a category index out of range
at::Tensor fully_connected(const LayerInput& x, const FullyConnected& layer);

/// Makes the form in which layers will read x, so that several threads may give it to layers at the same time.
void make_ready(const LayerInput& x);

/// What the backward pass of such layers will ask for, in pieces that several threads may do while others read x.
/// Whoever asks for them must see that all are done. Empty where nothing will be differentiated.
std::vector<std::function<void()>> chores_of_backward(const LayerInput& x);

/// A tensor (out, in) of zeros, or of the values of `like`, in input-major memory.
at::Tensor input_major(const at::Tensor& like);

}  // namespace scvi::kernel
