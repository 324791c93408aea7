#pragma once

namespace scvi::kernel {

/// Makes LibTorch and its BLAS run every operation on the calling thread. Parallel work is cut into fixed chunks for
/// the pool of core/parallel.hpp instead, so that the number of threads never changes a result and two thread pools
/// never fight for the cores. Also lets malloc keep some of what is freed, for the next step needs as much again:
/// pages that go back to the system after every step cost as much as its arithmetic. Every trainer and posterior
/// calls it; calling it again costs nothing.
void use_own_threads();

}  // namespace scvi::kernel
