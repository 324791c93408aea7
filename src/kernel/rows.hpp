#pragma once

#include <cstdint>

namespace scvi::kernel {

/// Dense rows that somebody else holds.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride;
  T* operator[](std::int64_t row) const { return data + row * stride; }
};

struct Range {
  std::int64_t begin, end;
};

}  // namespace scvi::kernel
