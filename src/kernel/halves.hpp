#pragma once

#include <algorithm>
#include <cstdint>

#include "scvi/core/parallel.hpp"
#include "scvi/core/settings.hpp"

// Sums along genes whose halves are added up by themselves, whatever the number of threads: two threads then read a
// half of the weights each, which stays in its core's cache from step to step.
namespace scvi::kernel {

/// Where the second half of n terms begins: behind whole vectors.
inline std::int64_t middle_of(std::int64_t n) {
  constexpr std::int64_t kWhole = 32;
  return std::min(kWhole * chunk_count(n, 2 * kWhole), n);
}

/// Calls body(half, begin, end) for both halves of rows [begin, end), which threads share where there are more than
/// two: whole multiples of `least`, up to about `most`.
template <class Body>
void for_halves(std::int64_t n_rows, std::int64_t least, std::int64_t most, const Body& body) {
  const std::int64_t threads_each = std::max<std::int64_t>(1, effective_threads() / 2);
  const std::int64_t rows_each = std::min(most, chunk_count(n_rows, threads_each));
  const std::int64_t chunk = least * std::max<std::int64_t>(1, chunk_count(rows_each, least));
  const std::int64_t n_chunks = chunk_count(n_rows, chunk);
  parallel_for(2 * n_chunks, 1, [&](std::int64_t i, std::int64_t) {
    const std::int64_t begin = i % n_chunks * chunk;
    body(i / n_chunks, begin, std::min(begin + chunk, n_rows));
  });
}

}  // namespace scvi::kernel
