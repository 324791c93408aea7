#pragma once

#include <cstdint>
#include <string>

namespace scvi {

/// Which road the arithmetic of models takes.
enum class KernelRoad {
  fused,  ///< our own kernels, where they apply: float32 on the CPU
  aten,   ///< LibTorch's operations, one by one, on every device
};

/// The only global mutable state of the library.
struct Settings {
  std::uint64_t seed = 0;  ///< seed of every random stream that is not given one of its own
  int n_threads = 0;       ///< threads of the pool, 0: as many as this process may use. Never changes a result.
  KernelRoad kernel = KernelRoad::fused;  ///< results of the two agree but for rounding
};

Settings& settings();

/// Processors that this process may use: affinity mask and cgroup quota both respected; at least 1.
int available_processors();

/// settings().n_threads, or available_processors() where that is 0.
int effective_threads();

}  // namespace scvi
