#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace scvi {

/// The k best of the candidates offered so far: a heap with the worst of them on top.
class NearestHeap {
 public:
  /// Squared distance and index; compares by distance, then by index.
  using Candidate = std::pair<double, std::int64_t>;

  explicit NearestHeap(std::int64_t k) : k_(static_cast<std::size_t>(k)) { heap_.reserve(k_); }

  /// Offers the points first .. first + count - 1, which must come after all offered before: so one at the distance
  /// of the worst kept is no better.
  void offer(const double* squared, std::int64_t first, std::int64_t count, std::int64_t excluded) {
    if (k_ == 0) return;
    double worst = bound();
    for (std::int64_t i = 0; i < count; ++i) {
      if (squared[i] >= worst || first + i == excluded) continue;
      add({squared[i], first + i});
      worst = bound();
    }
  }

  /// Offers one point, in any order.
  void offer(const Candidate& candidate) {
    if (k_ == 0 || (heap_.size() == k_ && !(candidate < heap_.front()))) return;
    add(candidate);
  }

  /// The distance above which nothing is kept; not a number, which nothing exceeds, while there is room.
  double bound() const { return heap_.size() == k_ ? heap_.front().first : std::numeric_limits<double>::quiet_NaN(); }

  /// Nearest first; ends the use of the heap.
  const std::vector<Candidate>& sorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    return heap_;
  }

 private:
  void add(const Candidate& candidate) {
    if (heap_.size() == k_) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
    }
    heap_.push_back(candidate);
    std::push_heap(heap_.begin(), heap_.end());
  }

  std::size_t k_;
  std::vector<Candidate> heap_;
};

}  // namespace scvi
