#pragma once

namespace scvi::kernel {

/// Makes LibTorch and its BLAS run every operation on the calling thread. Parallel work is cut into fixed chunks for
/// the pool of core/parallel.hpp instead, so that the number of threads never changes a result and two thread pools
/// never fight for the cores. Also lets malloc keep some of what is freed, in large pages where the system has them.
/// Every trainer and posterior calls it, and training again as the heap grows; it costs nothing then.
void use_own_threads();

}  // namespace scvi::kernel
