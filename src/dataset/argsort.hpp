#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace scvi::dataset_detail {

/// Positions that put `keys` in increasing order, equal keys ordered as by `numpy.argsort` with its default sort (the
/// introspective sort without vector instructions), whose ties decide which cells and genes scVI keeps: quicksort
/// with the median of three as pivot, the smaller part first, insertion sort for 16 items and fewer. @pre no NaN
inline std::vector<std::int64_t> numpy_argsort(std::span<const double> keys) {
  constexpr std::int64_t kInsertionSpan = 16;
  struct Range {
    std::int64_t first;
    std::int64_t last;
    int depth_left;
  };
  std::vector<std::int64_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  const auto less = [&](std::int64_t a, std::int64_t b) { return keys[order[a]] < keys[order[b]]; };
  const auto swap = [&](std::int64_t a, std::int64_t b) { std::swap(order[a], order[b]); };

  const auto partition = [&](const Range& range) {
    const std::int64_t middle = range.first + (range.last - range.first) / 2;
    if (less(middle, range.first)) swap(middle, range.first);
    if (less(range.last, middle)) swap(range.last, middle);
    if (less(middle, range.first)) swap(middle, range.first);
    const double pivot = keys[order[middle]];
    swap(middle, range.last - 1);
    std::int64_t low = range.first;
    std::int64_t high = range.last - 1;
    while (true) {
      while (keys[order[++low]] < pivot) continue;
      while (pivot < keys[order[--high]]) continue;
      if (low >= high) break;
      swap(low, high);
    }
    swap(low, range.last - 1);
    return low;
  };
  const auto insertion_sort = [&](const Range& range) {
    for (std::int64_t next = range.first + 1; next <= range.last; ++next) {
      const std::int64_t moved = order[next];
      std::int64_t at = next;
      for (; at > range.first && keys[moved] < keys[order[at - 1]]; --at) order[at] = order[at - 1];
      order[at] = moved;
    }
  };

  const auto n = static_cast<std::int64_t>(keys.size());
  std::vector<Range> pending{{0, n - 1, 2 * static_cast<int>(std::bit_width(keys.size()))}};
  while (!pending.empty()) {
    Range range = pending.back();
    pending.pop_back();
    while (range.last - range.first > kInsertionSpan && range.depth_left > 0) {
      const std::int64_t pivot = partition(range);
      const Range below{range.first, pivot - 1, range.depth_left - 1};
      const Range above{pivot + 1, range.last, range.depth_left - 1};
      const bool below_is_smaller = pivot - range.first < range.last - pivot;
      pending.push_back(below_is_smaller ? above : below);
      range = below_is_smaller ? below : above;
    }
    if (range.last - range.first <= kInsertionSpan) {
      insertion_sort(range);
    } else {
      std::stable_sort(order.begin() + range.first, order.begin() + range.last + 1,
                       [&](std::int64_t a, std::int64_t b) { return keys[a] < keys[b]; });
    }
  }
  return order;
}

/// The first `count` positions of the decreasing order, `numpy.argsort(keys)[::-1][:count]`.
inline std::vector<std::int64_t> numpy_largest(std::span<const double> keys, std::int64_t count) {
  std::vector<std::int64_t> order = numpy_argsort(keys);
  std::reverse(order.begin(), order.end());
  order.resize(static_cast<std::size_t>(std::min<std::int64_t>(count, static_cast<std::int64_t>(order.size()))));
  return order;
}

}  // namespace scvi::dataset_detail
