#pragma once

#include <ATen/ATen.h>

#include "scvi/model/model.hpp"

namespace scvi::testing {

/// Whether two models have the same weights and buffers, wherever they are.
inline bool same_bits(const Model& a, const Model& b) {
  const auto of_a = named_state(a);
  const auto of_b = named_state(b);
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    if (!at::equal(of_a[i].second.cpu(), of_b[i].second.cpu())) return false;
  }
  return of_a.size() == of_b.size();
}

}  // namespace scvi::testing
