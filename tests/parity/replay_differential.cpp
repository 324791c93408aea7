#include <ATen/ATen.h>

#include <algorithm>

#include "replay.hpp"
#include "scvi/model/model.hpp"
#include "scvi/posterior/differential_expression.hpp"

namespace scvi::parity {
namespace {

using nlohmann::json;

std::shared_ptr<GeneExpressionDataset> dataset_of(const GoldenCase& golden) {
  const auto counts = golden.file().read<float>("inputs/x");
  PopulateOptions options;
  options.batch_indices = golden.file().read<std::int64_t>("inputs/batch_index").values;
  auto dataset = std::make_shared<GeneExpressionDataset>();
  dataset->populate_from_data(CountMatrix::from_dense(static_cast<std::int64_t>(counts.shape[0]),
                                                      static_cast<std::int64_t>(counts.shape[1]), counts.values),
                              options);
  return dataset;
}

/// The samples of both groups, those of the second behind those of the first.
ScaleSamples samples_of(const GoldenCase& golden) {
  const at::Tensor both =
      at::cat({golden.tensor("inputs/scale1"), golden.tensor("inputs/scale2")}).cpu().contiguous();
  ScaleSamples samples(both.size(1), both.size(0));
  samples.set_rows(0, both.data_ptr<float>(), both.size(0), both.size(1));
  return samples;
}

GroupSamples group_of(const GoldenCase& golden, const std::string& batches, std::int64_t first, bool observed) {
  GroupSamples group;
  for (const double batch : golden.file().read<double>(batches).values) {
    group.samples.push_back(first + std::ssize(group.samples));
    group.batches.push_back(observed ? -1 : static_cast<std::int64_t>(batch));
  }
  return group;
}

HypothesisOptions hypothesis_of(const json& options) {
  HypothesisOptions hypothesis;
  hypothesis.mode = parse_differential_mode(options.value("mode", "vanilla"));
  hypothesis.delta = options.value("delta", hypothesis.delta);
  hypothesis.cred_interval_lvls = options.value("cred_interval_lvls", std::vector<double>{});
  return hypothesis;
}

void compare_columns(const GoldenCase& golden, const std::string& at, const BayesFactors& got,
                     Comparison& comparison) {
  const auto expect = [&](const std::string& name, const std::vector<double>& values) {
    comparison.by_rule(golden, at + "/" + name, at::tensor(values, at::kDouble));
  };
  const bool change = got.mode == DifferentialMode::change;
  std::vector<double> otherwise;
  for (const double p : got.proba) otherwise.push_back(1 - p);
  expect(change ? "proba_de" : "proba_m1", got.proba);
  expect(change ? "proba_not_de" : "proba_m2", otherwise);
  expect("bayes_factor", got.bayes_factor);
  expect("scale1", got.scale1);
  expect("scale2", got.scale2);
  if (!change) return;
  expect("lfc_mean", got.change.mean);
  expect("lfc_median", got.change.median);
  expect("lfc_std", got.change.std);
  expect("lfc_min", got.change.min);
  expect("lfc_max", got.change.max);
  for (const CredibleIntervals& interval : got.change.intervals) {
    const std::string name = "lfc_confidence_interval_" + json(interval.level).dump();
    expect(name + "_min", interval.lower);
    expect(name + "_max", interval.upper);
  }
}

void replay_factors(const GoldenCase& golden, const std::string& at, const ScaleSamples& samples,
                    Comparison& comparison) {
  const json options = golden.json_attribute(at, "options");
  const bool observed = options.value("use_observed_batches", false);
  GroupComparison compared;
  compared.group1 = group_of(golden, at + "/batch1", 0, observed);
  compared.group2 = group_of(golden, at + "/batch2", samples.n_samples() / 2, observed);
  PairOptions pairs;
  pairs.use_permutation = options.value("use_permutation", false);
  pairs.M_permutation = options.value("M_permutation", pairs.M_permutation);
  const PickSamples recorded = [&](int group, std::int64_t block, std::int64_t, std::int64_t) {
    const std::string tape = "noise/" + golden.string_attribute(at, "noise");
    return golden.file()
        .read<std::int64_t>(tape + "/pick" + std::to_string(group) + "_" + std::to_string(block))
        .values;
  };
  compared.pairs = make_pairs(compared.group1, compared.group2, pairs, recorded);
  compared.options = hypothesis_of(options);
  compare_columns(golden, at, bayes_factors(samples, {&compared, 1}).front(), comparison);
}

void replay_intervals(const GoldenCase& golden, Comparison& comparison) {
  std::vector<float> samples;
  for (const double value : golden.file().read<double>("inputs/ci_samples").values) {
    samples.push_back(static_cast<float>(value));
  }
  std::sort(samples.begin(), samples.end());
  const std::string at = "expected/credible_intervals";
  std::vector<double> got;
  const auto levels = golden.file().read<double>(at + "/levels").values;
  for (const double level : levels) {
    const auto [lower, upper] = credible_interval(samples, level);
    got.insert(got.end(), {lower, upper});
  }
  comparison.by_rule(golden, at + "/values", at::tensor(got, at::kDouble).view({std::ssize(levels), 2}));
}

void replay_raw_counts(const GoldenCase& golden, Comparison& comparison) {
  const auto marked = [&](const std::string& path) {
    std::vector<std::int64_t> cells;
    const auto marks = golden.file().read<std::int64_t>(path).values;
    for (std::size_t cell = 0; cell < marks.size(); ++cell) {
      if (marks[cell] != 0) cells.push_back(static_cast<std::int64_t>(cell));
    }
    return cells;
  };
  const RawCountsProperties raw =
      dataset_of(golden)->raw_counts_properties(marked("inputs/idx1"), marked("inputs/idx2"));
  const auto expect = [&](const std::string& name, const std::vector<double>& values) {
    comparison.by_rule(golden, "expected/raw_counts_properties/" + name, at::tensor(values, at::kDouble));
  };
  expect("mean1", raw.mean1);
  expect("mean2", raw.mean2);
  expect("nonz1", raw.nonz1);
  expect("nonz2", raw.nonz2);
  expect("norm_mean1", raw.norm_mean1);
  expect("norm_mean2", raw.norm_mean2);
}

}  // namespace

void replay_differential(const GoldenCase& golden, Comparison& comparison) {
  const ScaleSamples samples = samples_of(golden);
  for (const std::string& name : golden.children("expected")) {
    if (golden.file().has_attribute("expected/" + name, "options")) {
      replay_factors(golden, "expected/" + name, samples, comparison);
    }
  }
  replay_intervals(golden, comparison);
  replay_raw_counts(golden, comparison);
}

void replay_scale_sampler(const GoldenCase& golden, Comparison& comparison) {
  const auto model = model_of(golden);
  load_state_dict(*model, golden.state("weights"), golden.name());
  const auto dataset = dataset_of(golden);
  const std::string at = "expected/scale_sampler";
  const auto visits = golden.file().read<std::int64_t>("inputs/visit_order");
  const auto n_batches = static_cast<std::int64_t>(visits.shape[0]);
  const auto n_visits = static_cast<std::int64_t>(visits.shape[1]);
  const auto draws = golden.tape("noise/" + golden.string_attribute(at, "noise"));
  std::vector<float> scale;
  for (std::int64_t batch = 0; batch < n_batches; ++batch) {
    const auto first = visits.values.begin() + batch * n_visits;
    Posterior posterior(model, dataset, {first, first + n_visits}, {.batch_size = 16});
    posterior.set_noise([&](std::string_view, std::int64_t minibatch, std::int64_t) {
      const std::string suffix = "/b" + std::to_string(batch) + "/mb" + std::to_string(minibatch);
      return std::make_unique<RecordedNoise>(draws, suffix);
    });
    const std::vector<float> rows = posterior.get_sample_scale({.transform_batch = {batch}}).values;
    scale.insert(scale.end(), rows.begin(), rows.end());
  }
  comparison.by_rule(golden, at + "/scale", at::tensor(scale).view({n_batches * n_visits, dataset->nb_genes()}));

  const auto selection = golden.file().read<std::int64_t>("inputs/selection").values;
  const auto sampled = scale_sampler(Posterior::of_all_cells(model, dataset), selection,
                                     {.n_samples = golden.file().attribute_number<std::int64_t>(at, "n_samples")});
  std::vector<double> batches(sampled.batches.begin(), sampled.batches.end());
  comparison.by_rule(golden, at + "/batch", at::tensor(batches, at::kDouble));
}

}  // namespace scvi::parity
