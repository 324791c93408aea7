#include "scvi/kernel/threads.hpp"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>

#include <mutex>

namespace scvi::kernel {

void use_own_threads() {
  static std::once_flag once;
  std::call_once(once, [] {
    at::set_num_threads(1);
    // Gradients and logits of a step are a few megabytes each.
    constexpr int kLargestKept = 32 << 20;
    ::mallopt(M_MMAP_THRESHOLD, kLargestKept);
    ::mallopt(M_TRIM_THRESHOLD, 4 * kLargestKept);
    // OpenBLAS built on pthreads keeps a count of its own, out of ATen's reach; other BLAS lack this symbol.
    using SetThreads = void (*)(int);
    if (auto set_threads = reinterpret_cast<SetThreads>(::dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) {
      set_threads(1);
    }
  });
}

}  // namespace scvi::kernel
