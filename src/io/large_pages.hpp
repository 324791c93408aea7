#pragma once

#include <cstddef>
#include <vector>

namespace scvi::io {

constexpr std::size_t kLargePage = std::size_t{2} << 20;

/// Asks the system for large pages in this memory, which nobody has written to yet. Where it grants them, filling
/// the memory for the first time costs a fraction; where not, nothing changes.
void ask_for_large_pages(void* begin, std::size_t bytes);

/// Reserves room for so many elements in an empty vector, in large pages where they are to be had.
template <class T>
void reserve_large(std::vector<T>& vector, std::size_t count) {
  vector.reserve(count);
  ask_for_large_pages(vector.data(), vector.capacity() * sizeof(T));
}

/// Gives an empty vector so many zeros, in large pages where they are to be had.
template <class T>
void resize_large(std::vector<T>& vector, std::size_t count) {
  reserve_large(vector, count);
  vector.resize(count);
}

}  // namespace scvi::io
