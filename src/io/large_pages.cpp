#include "large_pages.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace scvi::io {

void ask_for_large_pages(void* begin, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(begin);
  const std::uintptr_t first = (address + kLargePage - 1) / kLargePage * kLargePage;
  const std::uintptr_t last = (address + bytes) / kLargePage * kLargePage;
  // It is a mere hint: a system that does not take it leaves things as they are.
  if (first < last) (void)::madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

}  // namespace scvi::io
