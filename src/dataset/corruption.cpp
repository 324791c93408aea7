#include "corruption.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "count_check.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

constexpr double kUniformKeepProbability = 0.9;
constexpr double kBinomialProbability = 0.2;

/// Chooses exactly `needed` out of `n` entries seen one after the other, each set equally likely.
class EntryChooser {
 public:
  EntryChooser(std::int64_t n, std::int64_t needed) : left_(n), needed_(needed) {}
  bool take(RandomStream& stream) {
    const bool taken = stream.uniform() * static_cast<double>(left_--) < static_cast<double>(needed_);
    needed_ -= taken;
    return taken;
  }

 private:
  std::int64_t left_;
  std::int64_t needed_;
};

std::int64_t n_corruptible(const CountMatrix& counts, Corruption corruption) {
  return corruption == Corruption::uniform ? counts.n_nonzero() : counts.n_cells() * counts.n_genes();
}

/// A copy in which every entry that may be chosen, in row order, is replaced by new_value(position, count).
template <class NewValue>
CountMatrix with_entries_replaced(const CountMatrix& counts, Corruption corruption, NewValue&& new_value) {
  CountMatrixBuilder builder(counts.n_genes(), counts.n_cells(), counts.n_nonzero());
  const bool zeros_too = corruption == Corruption::binomial;
  std::vector<float> row(static_cast<std::size_t>(counts.n_genes()));
  std::vector<std::int32_t> genes;
  std::vector<float> values;
  std::int64_t position = 0;
  for (std::int64_t cell = 0; cell < counts.n_cells(); ++cell) {
    counts.gather_dense(std::span(&cell, 1), row.data());
    genes.clear();
    values.clear();
    for (std::int64_t gene = 0; gene < counts.n_genes(); ++gene) {
      if (row[gene] == 0 && !zeros_too) continue;
      const float value = new_value(position++, row[gene]);
      if (value == 0) continue;
      genes.push_back(static_cast<std::int32_t>(gene));
      values.push_back(value);
    }
    builder.append_cell(genes, values);
  }
  CountMatrix corrupted = std::move(builder).finish();
  return counts.is_sparse() ? std::move(corrupted) : corrupted.to_dense();
}

/// (position, draw) by position. @throws InputError when the draws do not fit
std::vector<std::pair<std::int64_t, std::int64_t>> ordered_draws(const CorruptionDraws& draws, std::int64_t n,
                                                                 Corruption corruption) {
  const auto fail = [](const std::string& problem) {
    throw InputError({.problem = problem, .field = "draws of a corruption"});
  };
  if (draws.choice.size() != draws.values.size()) {
    fail("have " + std::to_string(draws.choice.size()) + " entries but " + std::to_string(draws.values.size()) +
         " values");
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> ordered;
  ordered.reserve(draws.choice.size());
  for (std::size_t i = 0; i < draws.choice.size(); ++i) {
    const std::int64_t value = draws.values[i];
    if (draws.choice[i] < 0 || draws.choice[i] >= n) {
      fail("choose entry " + std::to_string(draws.choice[i]) + " of " + std::to_string(n));
    }
    if (value < 0 || (corruption == Corruption::uniform && value > 1))
      fail("hold the value " + std::to_string(value));
    ordered.emplace_back(draws.choice[i], value);
  }
  std::sort(ordered.begin(), ordered.end());
  const auto same_entry = [](const auto& a, const auto& b) { return a.first == b.first; };
  const auto twice = std::adjacent_find(ordered.begin(), ordered.end(), same_entry);
  if (twice != ordered.end()) fail("choose entry " + std::to_string(twice->first) + " twice");
  return ordered;
}

}  // namespace

Corruption parse_corruption(std::string_view name) {
  if (name == "uniform") return Corruption::uniform;
  if (name == "binomial") return Corruption::binomial;
  throw InputError({.problem = "'" + std::string(name) + "' is unknown",
                    .field = "kind of corruption",
                    .remedy = "there are: uniform, binomial"});
}

namespace dataset_detail {

CountMatrix corrupted_copy(const CountMatrix& counts, const CorruptOptions& options) {
  counts.require_memory("damaged");
  if (!(options.rate >= 0 && options.rate <= 1)) {
    throw InputError(
        {.problem = "is " + number_text(options.rate) + ", expected 0 to 1", .field = "rate of corruption"});
  }
  const std::int64_t n = n_corruptible(counts, options.corruption);
  EntryChooser chooser(n, static_cast<std::int64_t>(std::floor(options.rate * static_cast<double>(n))));
  RandomStream stream(options.seed, "corrupt");
  const auto damaged = [&](std::int64_t, float count) {
    if (!chooser.take(stream)) return count;
    if (options.corruption == Corruption::uniform) return stream.uniform() < kUniformKeepProbability ? count : 0.0F;
    return static_cast<float>(stream.binomial(static_cast<std::int64_t>(count), kBinomialProbability));
  };
  return with_entries_replaced(counts, options.corruption, damaged);
}

CountMatrix corrupted_copy(const CountMatrix& counts, Corruption corruption, const CorruptionDraws& draws) {
  counts.require_memory("damaged");
  const auto ordered = ordered_draws(draws, n_corruptible(counts, corruption), corruption);
  auto next = ordered.begin();
  const auto replayed = [&](std::int64_t position, float count) {
    if (next == ordered.end() || next->first != position) return count;
    const auto draw = static_cast<float>((next++)->second);
    return corruption == Corruption::uniform ? count * draw : draw;
  };
  return with_entries_replaced(counts, corruption, replayed);
}

}  // namespace dataset_detail
}  // namespace scvi
