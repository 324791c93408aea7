#include "scvi/metric/approximate_neighbors.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "nearest_heap.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kPointsAtOnce = 256;

/// Points whose values of one coordinate lie side by side, for distances from one point to all of them.
class Columns {
 public:
  Columns() = default;
  /// @param rows (any, dim), row-major, of which those of `members` are taken
  Columns(const std::vector<double>& rows, std::int64_t dim, std::span<const std::int64_t> members)
      : n_(static_cast<std::int64_t>(members.size())), dim_(dim), values_(static_cast<std::size_t>(n_ * dim)) {
    for (std::int64_t i = 0; i < n_; ++i)
      for (std::int64_t d = 0; d < dim; ++d) values_[d * n_ + i] = rows[members[i] * dim + d];
  }

  std::int64_t n() const { return n_; }

  void squared_distances(const double* point, std::vector<double>& out) const {
    out.assign(static_cast<std::size_t>(n_), 0);
    double* const sums = out.data();
    for (std::int64_t d = 0; d < dim_; ++d) {
      const double* const coordinate = values_.data() + d * n_;
      const double value = point[d];
      for (std::int64_t i = 0; i < n_; ++i) sums[i] += (value - coordinate[i]) * (value - coordinate[i]);
    }
  }

 private:
  std::int64_t n_ = 0;
  std::int64_t dim_ = 0;
  std::vector<double> values_;
};

std::vector<std::int64_t> numbers_below(std::int64_t n) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// The place of the least value, the first of equals.
std::int64_t place_of_least(const std::vector<double>& values) {
  return std::min_element(values.begin(), values.end()) - values.begin();
}

/// The nearest centre of each of `members`.
std::vector<std::int64_t> nearest_centers(const std::vector<double>& rows, std::int64_t dim,
                                          std::span<const std::int64_t> members, const Columns& centers) {
  std::vector<std::int64_t> nearest(members.size());
  parallel_for(std::ssize(nearest), kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    std::vector<double> squared;
    for (std::int64_t i = begin; i < end; ++i) {
      centers.squared_distances(rows.data() + members[i] * dim, squared);
      nearest[i] = place_of_least(squared);
    }
  });
  return nearest;
}

/// Centres for the groups, (count, dim): random points, moved by a few rounds of k-means on a sample. They need not
/// be good.
std::vector<double> make_centers(const std::vector<double>& rows, std::int64_t n, std::int64_t dim,
                                 std::int64_t count, std::uint64_t seed) {
  constexpr std::int64_t kSamplePerCenter = 20;
  constexpr int kRounds = 3;
  RandomStream random(seed, "approximate_neighbors");
  const std::vector<std::int64_t> sample =
      random.sample_without_replacement(n, std::min(n, count * kSamplePerCenter));
  std::vector<double> centers;
  for (std::int64_t c = 0; c < count; ++c)
    centers.insert(centers.end(), rows.begin() + sample[c] * dim, rows.begin() + (sample[c] + 1) * dim);
  const std::vector<std::int64_t> all = numbers_below(count);
  for (int round = 0; round < kRounds; ++round) {
    const auto nearest = nearest_centers(rows, dim, sample, Columns(centers, dim, all));
    std::vector<double> sums(centers.size());
    std::vector<double> sizes(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < sample.size(); ++i) {
      ++sizes[nearest[i]];
      for (std::int64_t d = 0; d < dim; ++d) sums[nearest[i] * dim + d] += rows[sample[i] * dim + d];
    }
    for (std::int64_t i = 0; i < count * dim; ++i)
      if (sizes[i / dim] > 0) centers[i] = sums[i] / sizes[i / dim];
  }
  return centers;
}

/// The points by their nearest centre.
struct Groups {
  Columns centers;
  std::vector<std::vector<std::int64_t>> members;  // ascending
  std::vector<Columns> values;

  Groups(const std::vector<double>& rows, std::int64_t n, std::int64_t dim, std::uint64_t seed) {
    const auto count = std::min(n, 2 * static_cast<std::int64_t>(std::sqrt(static_cast<double>(n))));
    const std::vector<double> places = make_centers(rows, n, dim, count, seed);
    const auto nearest = nearest_centers(rows, dim, numbers_below(n), Columns(places, dim, numbers_below(count)));
    std::vector<std::vector<std::int64_t>> around(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < n; ++i) around[nearest[i]].push_back(i);
    std::vector<std::int64_t> center_of;
    for (std::int64_t center = 0; center < count; ++center) {
      for (auto& part : parts_of(around[center], n / count)) {
        members.push_back(std::move(part));
        center_of.push_back(center);
      }
    }
    centers = Columns(places, dim, center_of);
    for (const auto& of_group : members) values.emplace_back(rows, dim, of_group);
  }

 private:
  /// Where many points are equal, or nearly, one centre gets them all: without a limit each would search all others.
  static std::vector<std::vector<std::int64_t>> parts_of(const std::vector<std::int64_t>& group,
                                                         std::int64_t usual_size) {
    constexpr std::int64_t kTimesUsual = 8, kSmall = 256;
    const std::int64_t most = std::max(kTimesUsual * usual_size, kSmall);
    std::vector<std::vector<std::int64_t>> parts;
    for (std::int64_t begin = 0; begin < std::ssize(group); begin += most)
      parts.emplace_back(group.begin() + begin, group.begin() + std::min(begin + most, std::ssize(group)));
    return parts;
  }
};

void store(NearestHeap& heap, std::int64_t point, Neighbors& found) {
  std::int64_t at = point * found.k;
  for (const auto& [squared, index] : heap.sorted()) {
    found.indices[at] = index;
    found.distances[at++] = std::sqrt(squared);
  }
}

/// Searches the groups whose centres are nearest to a point.
class GroupSearch {
 public:
  GroupSearch(const Groups& groups, std::int64_t n_groups_searched, std::int64_t k)
      : groups_(groups), n_groups_searched_(n_groups_searched), k_(k) {}

  NearestHeap run(const double* point, std::int64_t self) {
    groups_.centers.squared_distances(point, squared_);
    order_.clear();
    // Where numbers overflow, a distance may be none; those groups come last.
    constexpr double kFar = std::numeric_limits<double>::infinity();
    for (std::size_t group = 0; group < squared_.size(); ++group)
      order_.emplace_back(std::isnan(squared_[group]) ? kFar : squared_[group], group);
    const auto n_first = std::min(std::ssize(order_), n_groups_searched_);
    std::partial_sort(order_.begin(), order_.begin() + n_first, order_.end());
    NearestHeap heap(k_);
    std::int64_t n_seen = 0;
    // Among equal points nothing can be nearer than what is found first.
    for (std::int64_t i = 0; i < n_first && heap.bound() != 0; ++i)
      n_seen += search(order_[i].second, point, self, heap);
    // Groups differ in size: a point needs k others in any case.
    std::sort(order_.begin() + n_first, order_.end());
    for (auto i = n_first; i < std::ssize(order_) && n_seen <= k_; ++i)
      n_seen += search(order_[i].second, point, self, heap);
    return heap;
  }

 private:
  std::int64_t search(std::size_t group, const double* point, std::int64_t self, NearestHeap& heap) {
    groups_.values[group].squared_distances(point, squared_);
    const auto& members = groups_.members[group];
    for (std::size_t i = 0; i < members.size(); ++i)
      if (!(squared_[i] > heap.bound()) && members[i] != self) heap.offer({squared_[i], members[i]});
    return std::ssize(members);
  }

  const Groups& groups_;
  std::int64_t n_groups_searched_;
  std::int64_t k_;
  std::vector<double> squared_;
  std::vector<std::pair<double, std::size_t>> order_;
};

void search_groups(const std::vector<double>& rows, std::int64_t dim, const Groups& groups,
                   std::int64_t n_groups_searched, Neighbors& found) {
  // Points of one group search the same groups, while these are in the cache.
  std::vector<std::int64_t> order;
  for (const auto& group : groups.members) order.insert(order.end(), group.begin(), group.end());
  constexpr std::int64_t kSearchedAtOnce = 64;
  parallel_for(std::ssize(order), kSearchedAtOnce, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    GroupSearch search(groups, n_groups_searched, found.k);
    for (std::int64_t i = begin; i < end; ++i) {
      NearestHeap heap = search.run(rows.data() + order[i] * dim, order[i]);
      store(heap, order[i], found);
    }
  });
}

double squared_distance(const double* a, const double* b, std::int64_t dim) {
  double sum = 0;
  for (std::int64_t d = 0; d < dim; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return sum;
}

/// Neighbours of the nearest neighbours of a point that are not its neighbours yet, ascending.
void unseen_around(const Neighbors& known, std::int64_t point, std::vector<std::int64_t>& unseen) {
  constexpr std::int64_t kReach = 20;
  const auto reach = static_cast<std::size_t>(std::min(known.k, kReach));
  unseen.clear();
  for (const std::int64_t near : known.of(point).first(reach)) {
    const auto further = known.of(near).first(reach);
    unseen.insert(unseen.end(), further.begin(), further.end());
  }
  std::sort(unseen.begin(), unseen.end());
  unseen.erase(std::unique(unseen.begin(), unseen.end()), unseen.end());
  std::vector<std::int64_t> own(known.of(point).begin(), known.of(point).end());
  own.push_back(point);
  std::sort(own.begin(), own.end());
  std::erase_if(unseen, [&](std::int64_t i) { return std::binary_search(own.begin(), own.end(), i); });
}

Neighbors refined(const std::vector<double>& rows, std::int64_t dim, const Neighbors& known) {
  Neighbors better = known;
  parallel_for(known.n, kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    std::vector<std::int64_t> unseen;
    for (std::int64_t point = begin; point < end; ++point) {
      NearestHeap heap(known.k);
      const double* const place = rows.data() + point * dim;
      for (const std::int64_t near : known.of(point))
        heap.offer({squared_distance(place, rows.data() + near * dim, dim), near});
      unseen_around(known, point, unseen);
      for (const std::int64_t other : unseen)
        heap.offer({squared_distance(place, rows.data() + other * dim, dim), other});
      store(heap, point, better);
    }
  });
  return better;
}

void check(const Points& points, std::int64_t k, const ApproximateNeighborsOptions& options) {
  const std::int64_t most = std::max<std::int64_t>(points.n() - 1, 0);
  if (k < 0 || k > most)
    throw InputError(
        {.problem = "is " + std::to_string(k) + ", but there are " + std::to_string(most) + " to choose from",
         .field = "number of neighbours",
         .remedy = "give a number from 0 to " + std::to_string(most)});
  if (options.n_groups_searched < 1 || options.n_refinements < 0)
    throw InputError({.problem = "are " + std::to_string(options.n_groups_searched) + " groups and " +
                                 std::to_string(options.n_refinements) +
                                 " refinements, but at least 1 and 0 are needed",
                      .field = "approximate neighbours"});
}

}  // namespace

Neighbors approximate_neighbors(const Points& points, std::int64_t k, const ApproximateNeighborsOptions& options) {
  check(points, k, options);
  const std::int64_t n = points.n(), dim = points.dim();
  const std::vector<double> rows = points.to_double();
  Neighbors found{.n = n, .k = k, .indices = {}, .distances = {}};
  found.indices.resize(static_cast<std::size_t>(n * k));
  found.distances.resize(found.indices.size());
  if (found.indices.empty()) return found;
  search_groups(rows, dim, Groups(rows, n, dim, options.seed), options.n_groups_searched, found);
  for (int round = 0; round < options.n_refinements; ++round) found = refined(rows, dim, found);
  return found;
}

Neighbors neighbors_of_any(const Points& points, std::int64_t k, std::uint64_t seed) {
  if (points.n() <= kExactNeighborsLimit) return nearest_neighbors(points, k);
  ApproximateNeighborsOptions options;
  options.seed = seed;
  return approximate_neighbors(points, k, options);
}

}  // namespace scvi
