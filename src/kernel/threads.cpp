#include "scvi/kernel/threads.hpp"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <mutex>

#include "heap.hpp"

namespace scvi::kernel {

void use_own_threads() {
  static std::once_flag once;
  std::call_once(once, [] {
    at::set_num_threads(1);
    keep_freed_memory();
    // OpenBLAS built on pthreads keeps a count of its own, out of ATen's reach; other BLAS lack this symbol.
    using SetThreads = void (*)(int);
    if (auto set_threads = reinterpret_cast<SetThreads>(::dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) {
      set_threads(1);
    }
  });
  ask_for_large_pages();
}

}  // namespace scvi::kernel
