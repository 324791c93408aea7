#pragma once

#include <cstdint>
#include <functional>
#include <limits>

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

/// A chunk for a body whose results do not depend on the cut at all, each item coming by itself: one for each thread,
/// which spares what a chunk costs to begin, or as few for each as `most` items a chunk allow; whole multiples of
/// `least`. @pre 0 < least <= most
std::int64_t chunk_of_independent(std::int64_t n, std::int64_t least,
                                  std::int64_t most = std::numeric_limits<std::int64_t>::max());

/// A chunk of about so many items that cuts n of them evenly into an even number of chunks, which two threads share
/// alike; all of them where they are few. @pre about > 0
std::int64_t even_chunk(std::int64_t n, std::int64_t about);

}  // namespace scvi
