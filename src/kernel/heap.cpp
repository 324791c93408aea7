#include "heap.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>

#if defined(__linux__) && defined(__GLIBC__)
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace scvi::kernel {

#if defined(__linux__) && defined(__GLIBC__)

namespace {

// Gradients and logits of a step are a few megabytes each.
constexpr int kLargestKept = 32 << 20;
/// Address space by which the heap grows at a time; it is no memory before it is used.
constexpr int kGrowth = 64 << 20;
constexpr std::uintptr_t kLargePage = 2 << 20;

}  // namespace

void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, kLargestKept);
  ::mallopt(M_TRIM_THRESHOLD, 4 * kLargestKept + kGrowth);
  ::mallopt(M_TOP_PAD, kGrowth);
  // Small pieces that were given back are kept by each thread already; to sort those beyond takes longer than they
  // save.
  ::mallopt(M_MXFAST, 0);
  // Makes it grow now.
  std::free(std::malloc(kLargestKept / 2));
}

void ask_for_large_pages() {
  static std::mutex mutex;
  static std::uintptr_t asked_to = 0;
  const std::lock_guard lock(mutex);
  auto* const heap_end = static_cast<std::byte*>(::sbrk(0));
  const auto end = reinterpret_cast<std::uintptr_t>(heap_end) / kLargePage * kLargePage;
  if (end <= asked_to) return;
  // What was in use before keeps its pages; where the heap is new it starts with the first that is free.
  if (asked_to == 0) {
    void* const first = std::malloc(kLargestKept / 2);
    asked_to = reinterpret_cast<std::uintptr_t>(first);
    std::free(first);
    if (asked_to >= end) return;
  }
  const std::uintptr_t begin = (asked_to + kLargePage - 1) / kLargePage * kLargePage;
  // It is a wish: a system without large pages refuses it.
  if (begin < end) {
    ::madvise(heap_end - (reinterpret_cast<std::uintptr_t>(heap_end) - begin), end - begin, MADV_HUGEPAGE);
  }
  asked_to = end;
}

#else

void keep_freed_memory() {}
void ask_for_large_pages() {}

#endif

}  // namespace scvi::kernel
