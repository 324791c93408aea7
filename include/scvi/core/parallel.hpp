#pragma once

#include <cstdint>
#include <functional>

namespace scvi {

/// Runs `body(begin, end)` over [0, n) cut into chunks of `chunk` items (the last one may be smaller).
/// The cut depends on `n` and `chunk` alone, never on the number of threads, so a body that writes only to its own
/// range, or to a slot of its own chunk, gives the same bits for any thread count. The caller works too. The first
/// exception thrown by a body (in chunk order) reaches the caller after all running chunks have ended.
/// Nested calls run on the calling thread. @pre chunk > 0
void parallel_for(std::int64_t n, std::int64_t chunk, const std::function<void(std::int64_t, std::int64_t)>& body);

/// Number of chunks that parallel_for makes of n items.
constexpr std::int64_t chunk_count(std::int64_t n, std::int64_t chunk) {
  return (n + chunk - 1) / chunk;
}

}  // namespace scvi
