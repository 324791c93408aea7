#include "scvi/metric/leiden.hpp"

#include <igraph.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"

namespace scvi {
namespace {

static_assert(sizeof(igraph_integer_t) == sizeof(std::int64_t), "vertices are handed to igraph as they are");

void check(igraph_error_t status) {
  if (status == IGRAPH_SUCCESS) return;
  if (status == IGRAPH_ENOMEM) throw std::bad_alloc();
  throw std::runtime_error(std::string("igraph: ") + igraph_strerror(status));
}

/// igraph reports errors by what its functions return, instead of ending the program, while this lives.
class ErrorsReturned {
 public:
  ErrorsReturned() : before_(igraph_set_error_handler(igraph_error_handler_ignore)) {}
  ~ErrorsReturned() { igraph_set_error_handler(before_); }
  ErrorsReturned(const ErrorsReturned&) = delete;
  ErrorsReturned& operator=(const ErrorsReturned&) = delete;

 private:
  igraph_error_handler_t* before_;
};

class Integers {
 public:
  explicit Integers(std::int64_t size) { check(igraph_vector_int_init(&values_, size)); }
  ~Integers() { igraph_vector_int_destroy(&values_); }
  Integers(const Integers&) = delete;
  Integers& operator=(const Integers&) = delete;
  igraph_vector_int_t* get() { return &values_; }
  std::int64_t& operator[](std::int64_t i) { return VECTOR(values_)[i]; }
  std::vector<std::int64_t> copy() const {
    return {values_.stor_begin, values_.stor_begin + igraph_vector_int_size(&values_)};
  }

 private:
  igraph_vector_int_t values_;
};

class Reals {
 public:
  explicit Reals(std::int64_t size) { check(igraph_vector_init(&values_, size)); }
  ~Reals() { igraph_vector_destroy(&values_); }
  Reals(const Reals&) = delete;
  Reals& operator=(const Reals&) = delete;
  igraph_vector_t* get() { return &values_; }
  double& operator[](std::int64_t i) { return VECTOR(values_)[i]; }

 private:
  igraph_vector_t values_;
};

/// A symmetric graph as igraph knows it: each edge once, with its weight, and the sum of weights at every vertex.
class UndirectedGraph {
 public:
  explicit UndirectedGraph(const SparseGraph& graph) : weights_(count_edges(graph)), strengths_(graph.n) {
    Integers ends(2 * igraph_vector_size(weights_.get()));
    std::int64_t edge = 0;
    for (std::int64_t i = 0; i < graph.n; ++i) {
      for (std::int64_t at = graph.indptr[i]; at < graph.indptr[i + 1]; ++at) {
        strengths_[i] += graph.weights[at];
        if (graph.indices[at] <= i) continue;
        ends[2 * edge] = i;
        ends[2 * edge + 1] = graph.indices[at];
        weights_[edge++] = graph.weights[at];
      }
      total_ += strengths_[i];
    }
    check(igraph_create(&graph_, ends.get(), graph.n, IGRAPH_UNDIRECTED));
  }
  ~UndirectedGraph() { igraph_destroy(&graph_); }
  UndirectedGraph(const UndirectedGraph&) = delete;
  UndirectedGraph& operator=(const UndirectedGraph&) = delete;

  /// One round of the algorithm, from and into `membership`. @returns the quality
  double improve(Integers& membership, double resolution) {
    constexpr double kRandomness = 0.01;  // of the refinement; igraph's and leidenalg's default
    igraph_integer_t n_clusters = 0;
    double quality = 0;
    check(igraph_community_leiden(&graph_, weights_.get(), strengths_.get(), resolution / total_, kRandomness,
                                  /*start=*/true, /*n_iterations=*/1, membership.get(), &n_clusters, &quality));
    return quality;
  }

 private:
  static std::int64_t count_edges(const SparseGraph& graph) {
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < graph.n; ++i)
      count += std::ranges::count_if(graph.of(i), [&](std::int64_t other) { return other > i; });
    return count;
  }

  Reals weights_, strengths_;
  double total_ = 0;
  igraph_t graph_;
};

/// Clusters numbered in the order in which they are met.
std::vector<std::int64_t> in_order_met(const std::vector<std::int64_t>& labels) {
  constexpr std::int64_t kNone = -1;
  std::vector<std::int64_t> number(labels.size(), kNone), renumbered;
  std::int64_t next = 0;
  for (const std::int64_t label : labels) {
    if (number[label] == kNone) number[label] = next++;
    renumbered.push_back(number[label]);
  }
  return renumbered;
}

/// @param labels numbered in the order in which they are met
void number_by_size(std::vector<std::int64_t>& labels, std::int64_t n_clusters) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(n_clusters)), order(sizes.size()), place(sizes.size());
  for (const std::int64_t label : labels) ++sizes[label];
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return sizes[a] > sizes[b]; });
  for (std::int64_t i = 0; i < n_clusters; ++i) place[order[i]] = i;
  for (std::int64_t& label : labels) label = place[label];
}

void check_options(const LeidenOptions& options) {
  if (!std::isfinite(options.resolution) || options.resolution < 0)
    throw InputError({.problem = "is " + std::to_string(options.resolution) + ", but must be a number from 0",
                      .field = "resolution"});
  if (options.max_rounds < 1)
    throw InputError({.problem = "is " + std::to_string(options.max_rounds) + ", but must be at least 1",
                      .field = "number of rounds"});
}

/// What igraph takes for granted.
void check_weights(const SparseGraph& graph) {
  for (const float weight : graph.weights)
    if (!std::isfinite(weight) || weight < 0)
      throw InputError({.problem = "is " + std::to_string(weight) + ", but must be a number from 0",
                        .field = "weight of an edge"});
}

void run_rounds(const SparseGraph& graph, const LeidenOptions& options, Progress& progress, LeidenResult& result) {
  // igraph's random numbers and error handler are shared by all threads of the program.
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const ErrorsReturned errors_returned;
  check(igraph_rng_seed(igraph_rng_default(), options.seed));
  UndirectedGraph undirected(graph);
  Integers membership(graph.n);
  for (std::int64_t i = 0; i < graph.n; ++i) membership[i] = i;
  bool changed = true;
  while (changed && result.n_rounds < options.max_rounds) {
    throw_if_interrupted();
    result.quality = undirected.improve(membership, options.resolution);
    std::vector<std::int64_t> labels = in_order_met(membership.copy());
    changed = labels != result.labels;
    result.labels = std::move(labels);
    progress.update(++result.n_rounds, "");
  }
}

}  // namespace

LeidenResult leiden(const SparseGraph& graph, const LeidenOptions& options, Progress* progress) {
  check_options(options);
  check_weights(graph);
  Progress silent;
  Progress& shown = progress != nullptr ? *progress : silent;
  LeidenResult result;
  result.labels.resize(static_cast<std::size_t>(graph.n));
  std::iota(result.labels.begin(), result.labels.end(), 0);
  shown.start("clustering", options.max_rounds, "round");
  // Without weight igraph would divide by it.
  if (std::ranges::any_of(graph.weights, [](float weight) { return weight > 0; }))
    run_rounds(graph, options, shown, result);
  shown.finish();
  for (const std::int64_t label : result.labels) result.n_clusters = std::max(result.n_clusters, label + 1);
  number_by_size(result.labels, result.n_clusters);
  return result;
}

}  // namespace scvi
