#include "scvi/kernel/softmax.hpp"

#include <ATen/ATen.h>

#include "scvi/core/settings.hpp"
#include "scvi/kernel/softmax_rows.hpp"

namespace scvi::kernel {
namespace {

bool is_plain(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat;
}

bool can_fuse(const at::Tensor& logits, const at::Tensor& log_factor) {
  if (settings().kernel != KernelRoad::fused || at::GradMode::is_enabled()) return false;
  if (!is_plain(logits) || !logits.is_contiguous() || logits.size(-1) == 0) return false;
  if (!log_factor.defined()) return true;
  return is_plain(log_factor) && log_factor.numel() == logits.numel() / logits.size(-1);
}

}  // namespace

ScaleAndRate softmax(const at::Tensor& logits, const at::Tensor& log_factor) {
  ScaleAndRate result;
  if (!can_fuse(logits, log_factor)) {
    result.scale = at::softmax(logits, -1);
    if (log_factor.defined()) result.rate = at::exp(log_factor) * result.scale;
    return result;
  }
  result.scale = at::empty_like(logits);
  SoftmaxRows<float> rows{.n_rows = logits.numel() / logits.size(-1),
                          .n_columns = logits.size(-1),
                          .logits = logits.data_ptr<float>(),
                          .scale = result.scale.data_ptr<float>()};
  at::Tensor factors;
  if (log_factor.defined()) {
    factors = log_factor.contiguous();
    result.rate = at::empty_like(logits);
    rows.log_factor = factors.data_ptr<float>();
    rows.rate = result.rate.data_ptr<float>();
  }
  softmax_rows(rows);
  return result;
}

}  // namespace scvi::kernel
