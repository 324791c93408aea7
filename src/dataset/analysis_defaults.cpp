#include "scvi/dataset/analysis_defaults.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <string_view>

namespace scvi {
namespace {

constexpr std::int64_t kLargestPanel = 5000;
constexpr std::int64_t kGenesWorthChoosing = 3000;
constexpr std::int64_t kTopGenes = 2000;
constexpr std::int64_t kEpochs = 400;
constexpr std::int64_t kLeastEpochs = 8;
constexpr std::int64_t kMostEpochs = 2000;
constexpr double kCellsOfEpochs = 20000;
/// Fewer leave a model half trained: batches apart, a bound that still falls (docs/fidelity.md).
constexpr std::int64_t kLeastMinibatches = 6000;
constexpr std::int64_t kMinibatch = 128;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// The first name that some column has, in the order of the names.
template <std::size_t kNames>
std::string first_of(const std::array<std::string_view, kNames>& names, std::span<const std::string> columns) {
  for (const std::string_view name : names) {
    const auto found =
        std::ranges::find_if(columns, [&](const std::string& column) { return lower(column) == name; });
    if (found != columns.end()) return *found;
  }
  return "";
}

}  // namespace

FilterDefaults filter_defaults(std::int64_t n_genes) {
  if (n_genes <= kLargestPanel) return {};
  return {.min_genes_per_cell = 200, .min_cells_per_gene = 3};
}

TrainingDefaults training_defaults(std::int64_t n_cells, std::int64_t n_genes) {
  const std::int64_t cells = std::max<std::int64_t>(n_cells, 1);
  const auto for_many = static_cast<std::int64_t>(std::round(kCellsOfEpochs / static_cast<double>(cells) * kEpochs));
  const std::int64_t minibatches = (cells + kMinibatch - 1) / kMinibatch;
  const std::int64_t for_few = (kLeastMinibatches + minibatches - 1) / minibatches;
  const std::int64_t n_epochs = cells >= static_cast<std::int64_t>(kCellsOfEpochs)
                                    ? std::max(for_many, kLeastEpochs)
                                    : std::clamp(for_few, kEpochs, kMostEpochs);
  return {.n_top_genes = n_genes > kGenesWorthChoosing ? kTopGenes : 0,
          .n_epochs = n_epochs,
          .kl_warmup_epochs = n_epochs / 4,
          .patience = std::max<std::int64_t>(10, n_epochs / 10),
          .frequency = std::max<std::int64_t>(1, n_epochs / 100)};
}

std::string likely_batch_column(std::span<const std::string> columns) {
  return first_of(std::array<std::string_view, 4>{"batch", "batch_id", "batchid", "batch_indices"}, columns);
}

std::string likely_labels_column(std::span<const std::string> columns) {
  return first_of(std::array<std::string_view, 9>{"cell_type", "celltype", "cell_types", "cell_line", "labels",
                                                  "cluster", "clusters", "louvain", "leiden"},
                  columns);
}

}  // namespace scvi
