#include "scvi/posterior/differential_expression.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "scale_sampling.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

using namespace differential_detail;

constexpr std::int64_t kFewestCells = 2;

/// One bar for sets of samples that each report as if they were alone.
class SharedProgress final : public Progress {
 public:
  SharedProgress(Progress* whole, std::int64_t total) : whole_(whole) {
    if (whole_) whole_->start("drawing samples", total, "sample");
  }
  ~SharedProgress() override {
    if (whole_) whole_->finish();
  }
  void start(std::string_view, std::int64_t total, std::string_view) override { total_ = total; }
  void update(std::int64_t done, std::string_view) override {
    if (whole_) whole_->update(before_ + done, "");
  }
  void finish() override { before_ += std::exchange(total_, 0); }

 private:
  Progress* whole_;
  std::int64_t before_ = 0;
  std::int64_t total_ = 0;
};

/// Mean of what several groups have, by their sizes.
std::vector<double> mean_over(const std::vector<std::size_t>& members, std::span<const CellGroup> groups,
                              const std::vector<RawCountsOfGroup>& of_groups,
                              std::vector<double> RawCountsOfGroup::*what) {
  std::vector<double> mean((of_groups[members.front()].*what).size());
  double n_cells = 0;
  for (const std::size_t group : members) {
    const auto n = static_cast<double>(groups[group].cells.size());
    n_cells += n;
    for (std::size_t gene = 0; gene < mean.size(); ++gene) mean[gene] += n * (of_groups[group].*what)[gene];
  }
  for (double& value : mean) value /= n_cells;
  return mean;
}

/// Answers contrasts between groups of cells.
class Comparison {
 public:
  Comparison(const Posterior& posterior, std::span<const CellGroup> groups, std::span<const Contrast> contrasts,
             const DifferentialOptions& options)
      : posterior_(posterior), groups_(groups), contrasts_(contrasts), options_(options) {
    check_options();
    const bool change = options_.hypothesis.mode == DifferentialMode::change;
    automatic_pseudocount_ = change && options_.automatic_pseudocount;
    if (options_.all_stats || automatic_pseudocount_) {
      std::vector<std::span<const std::int64_t>> cells;
      for (const CellGroup& group : groups_) cells.emplace_back(group.cells);
      raw_counts_ = posterior_.gene_dataset().raw_counts_of_groups(cells);
    }
    pseudocounts_.assign(contrasts_.size(), options_.hypothesis.pseudocount);
    for (std::int64_t repetition = 0; repetition < options_.n_repetitions; ++repetition) {
      plans_.emplace_back(posterior_, groups_, contrasts_, options_, static_cast<std::uint64_t>(repetition));
    }
    compute();
  }

  std::vector<BayesFactors> take_factors() && { return std::move(repetitions_.front()); }

  /// The table of a contrast.
  io::Frame table(std::size_t contrast) const;

 private:
  void check_options() const;
  void compute();
  std::vector<BayesFactors> factors_of(std::size_t repetition, Progress& progress);
  ScaleSamples samples_of(const SamplingPlan& plan, std::int64_t first_gene, std::int64_t n_genes,
                          std::uint64_t repetition, Progress& progress);
  void remember_mean(const CellArray& scale);
  void choose_pseudocounts(const SamplingPlan& plan);
  std::vector<double> mean_of_side(const SamplingPlan& plan, std::size_t contrast, int side) const;
  std::int64_t genes_at_a_time(const SamplingPlan& plan) const;
  std::vector<double> spread(std::size_t contrast, const std::vector<double>& (*what)(const BayesFactors&)) const;

  const Posterior& posterior_;
  std::span<const CellGroup> groups_;
  std::span<const Contrast> contrasts_;
  const DifferentialOptions& options_;
  bool automatic_pseudocount_ = false;
  std::vector<RawCountsOfGroup> raw_counts_;
  std::vector<SamplingPlan> plans_;                     // one for each repetition
  std::vector<std::vector<double>> mean_scales_;        // of each set, per gene
  std::vector<double> pseudocounts_;                    // of each contrast
  std::vector<std::vector<BayesFactors>> repetitions_;  // for each, one for each contrast
};

void Comparison::check_options() const {
  check(options_.hypothesis);
  const auto at_least_one = [](std::int64_t value, const char* field) {
    if (value >= 1) return;
    throw InputError({.problem = "is " + std::to_string(value) + ", but must be at least 1", .field = field});
  };
  at_least_one(options_.n_samples, "n_samples");
  at_least_one(options_.n_repetitions, "n_repetitions");
  at_least_one(options_.memory_bytes, "memory_bytes");
  if (options_.pairs.use_permutation) at_least_one(options_.pairs.M_permutation, "M_permutation");
  for (const double target : options_.fdr_targets) call_by_expected_fdr({}, target);
}

std::int64_t Comparison::genes_at_a_time(const SamplingPlan& plan) const {
  const std::int64_t bytes_of_gene = plan.n_samples() * static_cast<std::int64_t>(sizeof(float));
  return std::clamp<std::int64_t>(options_.memory_bytes / bytes_of_gene, 1, posterior_.gene_dataset().nb_genes());
}

void Comparison::compute() {
  const std::int64_t n_genes = posterior_.gene_dataset().nb_genes();
  std::int64_t total = 0;
  for (const SamplingPlan& plan : plans_) {
    const std::int64_t genes = genes_at_a_time(plan);
    total += plan.n_samples() * ((n_genes + genes - 1) / genes);
  }
  SharedProgress progress(options_.progress, total);
  for (std::size_t repetition = 0; repetition < plans_.size(); ++repetition) {
    repetitions_.push_back(factors_of(repetition, progress));
  }
}

std::vector<BayesFactors> Comparison::factors_of(std::size_t repetition, Progress& progress) {
  const SamplingPlan& plan = plans_[repetition];
  const std::int64_t n_genes = posterior_.gene_dataset().nb_genes();
  const std::int64_t step = genes_at_a_time(plan);
  std::vector<BayesFactors> factors(contrasts_.size());
  for (std::int64_t first = 0; first < n_genes; first += step) {
    const ScaleSamples samples = samples_of(plan, first, std::min(step, n_genes - first), repetition, progress);
    if (first == 0 && repetition == 0 && automatic_pseudocount_) choose_pseudocounts(plan);
    for (std::size_t i = 0; i < contrasts_.size(); ++i) {
      RandomStream draws(posterior_.options().seed,
                         "posterior/" + posterior_.options().name + "/differential/" + contrasts_[i].name + "/pairs",
                         {repetition, 0});
      const PickSamples pick = [&](int, std::int64_t, std::int64_t n, std::int64_t count) {
        std::vector<std::int64_t> picked(static_cast<std::size_t>(count));
        for (std::int64_t& at : picked) at = static_cast<std::int64_t>(draws.below(static_cast<std::uint64_t>(n)));
        return picked;
      };
      const GroupSamples samples1 = plan.samples1(i);
      const GroupSamples samples2 = plan.samples2(i);
      const SamplePairs pairs = make_pairs(samples1, samples2, options_.pairs, pick);
      HypothesisOptions hypothesis = options_.hypothesis;
      hypothesis.pseudocount = pseudocounts_[i];
      append_genes(factors[i], bayes_factors(samples, samples1, samples2, pairs, hypothesis));
    }
  }
  return factors;
}

ScaleSamples Comparison::samples_of(const SamplingPlan& plan, std::int64_t first_gene, std::int64_t n_genes,
                                    std::uint64_t repetition, Progress& progress) {
  ScaleSamples samples{.n_genes = n_genes, .n_samples = plan.n_samples(), .values = {}};
  samples.values.resize(static_cast<std::size_t>(n_genes * plan.n_samples()));
  for (std::size_t set = 0; set < plan.sets().size(); ++set) {
    const DecodedSet decoded = decode(posterior_, plan.sets()[set], repetition, &progress);
    if (first_gene == 0 && repetition == 0 && automatic_pseudocount_) remember_mean(decoded.scale);
    scatter(decoded, first_gene, plan.offset(set), samples);
  }
  return samples;
}

void Comparison::remember_mean(const CellArray& scale) {
  std::vector<double>& mean = mean_scales_.emplace_back(static_cast<std::size_t>(scale.n_columns));
  for (std::int64_t row = 0; row < scale.n_cells; ++row) {
    const float* values = scale.values.data() + row * scale.n_columns;
    for (std::int64_t gene = 0; gene < scale.n_columns; ++gene) mean[gene] += values[gene];
  }
  for (double& value : mean) value /= static_cast<double>(scale.n_cells);
}

std::vector<double> Comparison::mean_of_side(const SamplingPlan& plan, std::size_t contrast, int side) const {
  std::vector<double> mean(static_cast<std::size_t>(posterior_.gene_dataset().nb_genes()));
  double n_samples = 0;
  for (const auto& [set, share] : plan.shares_of(contrast, side)) {
    n_samples += static_cast<double>(share);
    for (std::size_t gene = 0; gene < mean.size(); ++gene) {
      mean[gene] += static_cast<double>(share) * mean_scales_[set][gene];
    }
  }
  for (double& value : mean) value /= n_samples;
  return mean;
}

void Comparison::choose_pseudocounts(const SamplingPlan& plan) {
  for (std::size_t i = 0; i < contrasts_.size(); ++i) {
    const auto mean1 = mean_over(contrasts_[i].first, groups_, raw_counts_, &RawCountsOfGroup::mean);
    const auto mean2 = mean_over(contrasts_[i].second, groups_, raw_counts_, &RawCountsOfGroup::mean);
    pseudocounts_[i] = suggested_pseudocount(mean1, mean_of_side(plan, i, 1), mean2, mean_of_side(plan, i, 2));
  }
}

/// Standard deviation of a column over the repetitions.
std::vector<double> Comparison::spread(std::size_t contrast,
                                       const std::vector<double>& (*what)(const BayesFactors&)) const {
  const auto n = static_cast<double>(repetitions_.size());
  std::vector<double> result(what(repetitions_.front()[contrast]).size());
  for (std::size_t gene = 0; gene < result.size(); ++gene) {
    double mean = 0;
    for (const auto& repetition : repetitions_) mean += what(repetition[contrast])[gene] / n;
    double squares = 0;
    for (const auto& repetition : repetitions_) squares += std::pow(what(repetition[contrast])[gene] - mean, 2);
    result[gene] = std::sqrt(squares / (n - 1));
  }
  return result;
}

const std::vector<double>& proba_of(const BayesFactors& factors) {
  return factors.proba;
}

const std::vector<double>& mean_change_of(const BayesFactors& factors) {
  return factors.change.mean;
}

std::string shortest(double value) {
  std::array<char, 40> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

/// A table that is filled column by column, in an order of its own.
class TableBuilder {
 public:
  TableBuilder(const GeneExpressionDataset& dataset, const std::vector<double>& by_largest)
      : order_(by_largest.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return by_largest[a] > by_largest[b]; });
    const std::vector<std::string>& names = dataset.gene_names();
    for (const std::size_t gene : order_) {
      frame_.index.push_back(names.empty() ? std::to_string(gene) : names[gene]);
    }
    frame_.index_name = "gene";
  }

  void add(std::string name, const std::vector<double>& values) {
    std::vector<double> sorted;
    sorted.reserve(order_.size());
    for (const std::size_t gene : order_) sorted.push_back(values[gene]);
    frame_.columns.push_back({.name = std::move(name), .values = std::move(sorted), .missing = {}});
  }
  void add(std::string name, double value) { add(std::move(name), std::vector<double>(order_.size(), value)); }
  void add(std::string name, const std::vector<bool>& values) {
    io::Boolean sorted;
    for (const std::size_t gene : order_) sorted.values.push_back(values[gene]);
    frame_.columns.push_back({.name = std::move(name), .values = std::move(sorted), .missing = {}});
  }
  io::Frame finish() && { return std::move(frame_); }

 private:
  std::vector<std::size_t> order_;
  io::Frame frame_;
};

void add_factors(TableBuilder& table, const BayesFactors& factors) {
  const bool change = factors.mode == DifferentialMode::change;
  std::vector<double> otherwise;
  for (const double p : factors.proba) otherwise.push_back(1.0 - p);
  table.add(change ? "proba_de" : "proba_m1", factors.proba);
  table.add(change ? "proba_not_de" : "proba_m2", otherwise);
  table.add("bayes_factor", factors.bayes_factor);
  table.add("scale1", factors.scale1);
  table.add("scale2", factors.scale2);
  if (!change) return;
  table.add("lfc_mean", factors.change.mean);
  table.add("lfc_median", factors.change.median);
  table.add("lfc_std", factors.change.std);
  table.add("lfc_min", factors.change.min);
  table.add("lfc_max", factors.change.max);
  for (const CredibleIntervals& interval : factors.change.intervals) {
    constexpr std::size_t kReferenceDigits = 5;
    const std::string name = "lfc_confidence_interval_" + shortest(interval.level).substr(0, kReferenceDigits);
    table.add(name + "_min", interval.lower);
    table.add(name + "_max", interval.upper);
  }
}

io::Frame Comparison::table(std::size_t contrast) const {
  const BayesFactors& factors = repetitions_.front()[contrast];
  const bool change = factors.mode == DifferentialMode::change;
  TableBuilder table(posterior_.gene_dataset(), change ? factors.proba : factors.bayes_factor);
  add_factors(table, factors);
  if (options_.all_stats) {
    const auto add_raw = [&](const std::string& name, std::vector<double> RawCountsOfGroup::*what) {
      table.add(name + "1", mean_over(contrasts_[contrast].first, groups_, raw_counts_, what));
      table.add(name + "2", mean_over(contrasts_[contrast].second, groups_, raw_counts_, what));
    };
    add_raw("raw_mean", &RawCountsOfGroup::mean);
    add_raw("non_zeros_proportion", &RawCountsOfGroup::nonz);
    add_raw("raw_normalized_mean", &RawCountsOfGroup::norm_mean);
  }
  if (change && pseudocounts_[contrast] > 0) table.add("pseudocount", pseudocounts_[contrast]);
  for (const double target : options_.fdr_targets) {
    if (change) table.add("is_de_fdr_" + shortest(target), call_by_expected_fdr(factors.proba, target));
  }
  if (repetitions_.size() > 1) {
    table.add(change ? "proba_de_spread" : "proba_m1_spread", spread(contrast, proba_of));
    if (change) table.add("lfc_mean_spread", spread(contrast, mean_change_of));
  }
  return std::move(table).finish();
}

/// Marks the cells of a group, each at most once. @throws InputError for one that another group has
void mark_cells(const Posterior& posterior, const CellGroup& group, std::vector<std::uint8_t>& taken) {
  for (const std::int64_t cell : group.cells) {
    if (taken[cell]++ == 0) continue;
    const std::vector<std::string>& names = posterior.gene_dataset().cell_names();
    throw InputError({.problem = "shares " +
                                 (names.empty() ? "cell " + std::to_string(cell) : "'" + names[cell] + "'") +
                                 " with another group, or holds it twice",
                      .field = "group '" + group.name + "'",
                      .remedy = "compare groups without a cell in common"});
  }
}

/// @throws InputError when groups share a cell or a name, or one has fewer than `least` cells
void check_groups(const Posterior& posterior, std::span<const CellGroup> groups, std::int64_t least) {
  std::vector<std::uint8_t> taken(static_cast<std::size_t>(posterior.gene_dataset().nb_cells()));
  std::set<std::string> names;
  for (const CellGroup& group : groups) {
    check_group(posterior, group, least);
    mark_cells(posterior, group, taken);
    if (names.insert(group.name).second) continue;
    throw InputError({.problem = "is the name of two groups", .field = "'" + group.name + "'"});
  }
}

std::string size_of(const CellGroup& group) {
  const std::size_t n = group.cells.size();
  return "group '" + group.name + "' has only " + std::to_string(n) + (n == 1 ? " cell" : " cells");
}

/// Warns of a group whose cells say little.
void warn_if_small(const CellGroup& group, const DifferentialOptions& options) {
  if (std::ssize(group.cells) > options.min_cells) return;
  log_warning(size_of(group) + ": the model's answer rests on few cells");
}

bool large_enough(std::int64_t n_cells, const DifferentialOptions& options) {
  return n_cells > options.min_cells && n_cells >= kFewestCells;
}

Comparison compare_two(const Posterior& posterior, std::span<const CellGroup, 2> groups,
                       std::span<const Contrast, 1> contrast, const DifferentialOptions& options) {
  check_groups(posterior, groups, kFewestCells);
  for (const CellGroup& group : groups) warn_if_small(group, options);
  return Comparison(posterior, groups, contrast, options);
}

Contrast first_against_second(std::string name) {
  return {.name = std::move(name), .first = {0}, .second = {1}};
}

io::NamedTable named_result(const std::string& name, io::Frame table) {
  const auto n = static_cast<std::size_t>(table.n_rows());
  table.columns.push_back({.name = "clusters", .values = std::vector<std::string>(n, name), .missing = {}});
  return {.name = name, .table = std::move(table)};
}

[[noreturn]] void refuse_for_size(const DifferentialOptions& options) {
  throw InputError({.problem = "has more than " + std::to_string(options.min_cells) + " cells on both sides",
                    .field = "no comparison",
                    .remedy = "lower min_cells, or compare larger groups"});
}

CellGroup common_cells(const CellGroup& cluster, const CellGroup& group, const std::vector<std::uint8_t>& in_group) {
  CellGroup common{.name = cluster.name + "/" + group.name, .cells = {}};
  for (const std::int64_t cell : cluster.cells) {
    if (in_group[cell]) common.cells.push_back(cell);
  }
  return common;
}

}  // namespace

BayesFactors get_bayes_factors(const Posterior& posterior, const CellGroup& group1, const CellGroup& group2,
                               const DifferentialOptions& options) {
  DifferentialOptions statistics_alone = options;
  statistics_alone.all_stats = false;
  const std::array groups = {group1, group2};
  const std::array contrast = {first_against_second("pair")};
  return std::move(compare_two(posterior, groups, contrast, statistics_alone).take_factors().front());
}

io::Frame differential_expression_score(const Posterior& posterior, const CellGroup& group1, const CellGroup& group2,
                                        const DifferentialOptions& options) {
  const std::array groups = {group1, group2};
  const std::array contrast = {first_against_second("pair")};
  return compare_two(posterior, groups, contrast, options).table(0);
}

std::vector<io::NamedTable> one_vs_all_degenes(const Posterior& posterior, std::span<const CellGroup> groups,
                                               const DifferentialOptions& options) {
  if (options.batchid1 != options.batchid2) {
    throw InputError({.problem = "must be the same when every group is compared with all others",
                      .field = "batchid1 and batchid2"});
  }
  check_groups(posterior, groups, 1);
  std::int64_t n_cells = 0;
  for (const CellGroup& group : groups) n_cells += std::ssize(group.cells);
  std::vector<Contrast> contrasts;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::int64_t n = std::ssize(groups[i].cells);
    if (!large_enough(n, options)) {
      log_warning(size_of(groups[i]) + ": it is not compared itself, only counted among the others");
      continue;
    }
    if (!large_enough(n_cells - n, options)) continue;
    Contrast& contrast = contrasts.emplace_back(Contrast{.name = groups[i].name, .first = {i}, .second = {}});
    for (std::size_t other = 0; other < groups.size(); ++other) {
      if (other != i) contrast.second.push_back(other);
    }
  }
  if (contrasts.empty()) refuse_for_size(options);
  const Comparison comparison(posterior, groups, contrasts, options);
  std::vector<io::NamedTable> results;
  for (std::size_t i = 0; i < contrasts.size(); ++i) {
    results.push_back(named_result(contrasts[i].name, comparison.table(i)));
  }
  return results;
}

std::vector<io::NamedTable> within_cluster_degenes(const Posterior& posterior, std::span<const CellGroup> clusters,
                                                   const CellGroup& group1, const CellGroup& group2,
                                                   const DifferentialOptions& options) {
  const std::array both = {group1, group2};
  check_groups(posterior, clusters, 1);
  check_groups(posterior, both, 1);
  std::array<std::vector<std::uint8_t>, 2> in_group;
  for (std::size_t i = 0; i < both.size(); ++i) {
    in_group[i].resize(static_cast<std::size_t>(posterior.gene_dataset().nb_cells()));
    mark_cells(posterior, both[i], in_group[i]);
  }
  std::vector<io::NamedTable> results;
  for (const CellGroup& cluster : clusters) {
    const std::array groups = {common_cells(cluster, group1, in_group[0]),
                               common_cells(cluster, group2, in_group[1])};
    const bool fine = std::all_of(groups.begin(), groups.end(), [&](const CellGroup& group) {
      return large_enough(std::ssize(group.cells), options);
    });
    if (!fine) {
      log_warning("cluster '" + cluster.name + "' is left out: it has " + std::to_string(groups[0].cells.size()) +
                  " cells of '" + group1.name + "' and " + std::to_string(groups[1].cells.size()) + " of '" +
                  group2.name + "'");
      continue;
    }
    const std::array contrast = {first_against_second("within/" + cluster.name)};
    const Comparison comparison(posterior, groups, contrast, options);
    results.push_back(named_result(cluster.name, comparison.table(0)));
  }
  if (results.empty()) refuse_for_size(options);
  return results;
}

std::vector<CellGroup> groups_of_column(const io::Column& column, std::span<const std::int64_t> cells) {
  const io::Categorical categories = column.as_categorical();
  std::vector<CellGroup> groups;
  for (const std::string& name : categories.categories) groups.push_back({.name = name, .cells = {}});
  for (std::size_t position = 0; position < cells.size(); ++position) {
    const std::int32_t code = categories.codes[cells[position]];
    if (code >= 0) groups[code].cells.push_back(static_cast<std::int64_t>(position));
  }
  std::erase_if(groups, [](const CellGroup& group) { return group.cells.empty(); });
  return groups;
}

std::vector<CellGroup> groups_of_labels(const GeneExpressionDataset& dataset) {
  std::vector<CellGroup> groups;
  for (const std::string& name : dataset.cell_types()) groups.push_back({.name = name, .cells = {}});
  for (std::int64_t cell = 0; cell < dataset.nb_cells(); ++cell) {
    const std::int64_t label = dataset.labels()[cell];
    if (label >= 0) groups[label].cells.push_back(cell);
  }
  std::erase_if(groups, [](const CellGroup& group) { return group.cells.empty(); });
  return groups;
}

CellGroup merged_groups(std::span<const CellGroup> groups, std::string name) {
  CellGroup merged{.name = std::move(name), .cells = {}};
  for (const CellGroup& group : groups) {
    merged.cells.insert(merged.cells.end(), group.cells.begin(), group.cells.end());
  }
  return merged;
}

}  // namespace scvi
