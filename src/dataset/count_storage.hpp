#pragma once

// How count matrices keep their entries: the smallest type that holds them, and steps that several operations share.

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "scvi/core/error.hpp"

namespace scvi::count_storage {

inline constexpr std::int64_t kEntriesPerChunk = 1 << 16;
inline constexpr std::int64_t kMaxGenesIn16Bits = 65536;

/// Cells of one parallel chunk, so that a chunk is worth handing to a thread.
inline std::int64_t cells_per_chunk(std::int64_t entries_per_cell) {
  return std::max<std::int64_t>(1, kEntriesPerChunk / std::max<std::int64_t>(1, entries_per_cell));
}

template <class T>
bool fits(float value) {
  if constexpr (std::is_same_v<T, float>) return true;
  return value >= 0 && value <= static_cast<float>(std::numeric_limits<T>::max()) && value == std::trunc(value);
}

/// Position in the variant of values (0: 8 bits, 1: 16 bits, 2: float32) of the smallest type, from `width` on, that
/// holds all of `values`.
template <class T>
std::size_t width_needed(std::span<const T> values, std::size_t width = 0) {
  for (const T value : values) {
    const auto number = static_cast<float>(value);
    if (width == 0 && !fits<std::uint8_t>(number)) width = 1;
    if (width == 1 && !fits<std::uint16_t>(number)) width = 2;
    if (width == 2) break;
  }
  return width;
}

template <class To, class From>
std::vector<To> converted(const std::vector<From>& from) {
  std::vector<To> to;
  to.reserve(from.capacity());
  for (const From value : from) to.push_back(static_cast<To>(value));
  return to;
}

/// Stores the values in the type at position `width` of their variant; what was reserved stays reserved.
template <class Values>
void set_width(Values& values, std::size_t width) {
  if (values.index() == width) return;
  values = std::visit(
      [&](const auto& old) -> Values {
        if (width == 0) return converted<std::uint8_t>(old);
        if (width == 1) return converted<std::uint16_t>(old);
        return converted<float>(old);
      },
      values);
}

template <class Values>
void narrow(Values& values) {
  constexpr std::uint16_t kLargest8Bit = std::numeric_limits<std::uint8_t>::max();
  if (const auto* wide = std::get_if<std::vector<std::uint16_t>>(&values)) {
    const bool needed = std::any_of(wide->begin(), wide->end(), [](std::uint16_t v) { return v > kLargest8Bit; });
    if (!needed) set_width(values, 0);
  } else if (const auto* wider = std::get_if<std::vector<float>>(&values)) {
    set_width(values, width_needed<float>(*wider));
  }
}

template <class Indices>
Indices empty_indices(std::int64_t n_genes) {
  if (n_genes <= kMaxGenesIn16Bits) return std::vector<std::uint16_t>{};
  return std::vector<std::int32_t>{};
}

/// new_gene[old gene], -1 for those left out.
inline std::vector<std::int32_t> new_positions(std::span<const std::int64_t> genes, std::int64_t n_genes) {
  std::vector<std::int32_t> new_gene(static_cast<std::size_t>(n_genes), -1);
  for (std::size_t i = 0; i < genes.size(); ++i) {
    assert(genes[i] >= 0 && genes[i] < n_genes && new_gene[genes[i]] == -1);
    new_gene[genes[i]] = static_cast<std::int32_t>(i);
  }
  return new_gene;
}

/// Puts the entries of one row into the order of their genes.
template <class Index, class Value>
void sort_entries(Index* genes, Value* values, std::int64_t n, std::vector<std::pair<Index, Value>>& buffer) {
  if (std::is_sorted(genes, genes + n)) return;
  buffer.clear();
  for (std::int64_t i = 0; i < n; ++i) buffer.emplace_back(genes[i], values[i]);
  std::sort(buffer.begin(), buffer.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::int64_t i = 0; i < n; ++i) std::tie(genes[i], values[i]) = buffer[static_cast<std::size_t>(i)];
}

inline std::size_t checked_product(std::int64_t n_cells, std::int64_t n_genes) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(n_cells, n_genes, &product)) {
    throw InputError({.problem = "has " + std::to_string(n_cells) + " x " + std::to_string(n_genes) +
                                 " entries, more than a dense matrix can hold",
                      .field = "count matrix"});
  }
  return static_cast<std::size_t>(product);
}

inline void check_shape(std::int64_t n_cells, std::int64_t n_genes) {
  if (n_cells < 0 || n_genes < 0 || n_genes > std::numeric_limits<std::int32_t>::max()) {
    throw InputError({.problem = "has the impossible shape " + std::to_string(n_cells) + " cells x " +
                                 std::to_string(n_genes) + " genes",
                      .field = "count matrix"});
  }
}

/// Offsets must be `n_rows + 1`, start at 0, never decrease and end at the number of entries.
inline void check_offsets(std::span<const std::int64_t> indptr, std::int64_t n_rows, std::size_t n_indices,
                          std::size_t n_values) {
  const auto fail = [](std::string problem) {
    throw InputError({.problem = std::move(problem), .field = "count matrix, indptr"});
  };
  if (indptr.size() != static_cast<std::size_t>(n_rows) + 1) {
    fail("has " + std::to_string(indptr.size()) + " entries, expected " + std::to_string(n_rows + 1));
  }
  if (indptr.front() != 0) fail("starts at " + std::to_string(indptr.front()) + " instead of 0");
  const auto drop = std::is_sorted_until(indptr.begin(), indptr.end());
  if (drop != indptr.end()) fail("decreases at cell " + std::to_string(drop - indptr.begin() - 1));
  if (n_indices != n_values || static_cast<std::size_t>(indptr.back()) != n_values) {
    fail("ends at " + std::to_string(indptr.back()) + ", but there are " + std::to_string(n_indices) +
         " indices and " + std::to_string(n_values) + " values");
  }
}

}  // namespace scvi::count_storage
