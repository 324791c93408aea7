#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include <hwy/aligned_allocator.h>

namespace scvi::kernel {

/// Scratch memory that vectors may be loaded from.
using FloatArray = hwy::AlignedFreeUniquePtr<float[]>;

/// At least n numbers, of any value.
inline FloatArray float_array(std::int64_t n) {
  auto array = hwy::AllocateAligned<float>(static_cast<std::size_t>(std::max<std::int64_t>(16, n)));
  if (array == nullptr) throw std::bad_alloc();
  return array;
}

}  // namespace scvi::kernel
