#include "scvi/loader/split.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

std::string spelled(const SplitSize& size) {
  if (const auto* count = std::get_if<std::int64_t>(&size)) return std::to_string(*count) + " cells";
  std::string text = std::to_string(std::get<double>(size));
  text.erase(text.find_last_not_of('0') + 1);
  return text + (text.back() == '.' ? "0" : "");
}

[[noreturn]] void refuse(const SplitSize& size, const char* which, std::int64_t n_cells, const char* remedy) {
  throw InputError({.problem = "of " + spelled(size) + " cannot be met with " + std::to_string(n_cells) + " cells",
                    .field = which,
                    .remedy = remedy});
}

std::int64_t cells_of(const SplitSize& size, std::int64_t n_cells, bool round_up, const char* which) {
  if (const auto* count = std::get_if<std::int64_t>(&size)) {
    if (*count <= 0 || *count > n_cells) refuse(size, which, n_cells, "give a number from 1 to the number of cells");
    return *count;
  }
  const double share = std::get<double>(size);
  if (!(share > 0 && share <= 1)) refuse(size, which, n_cells, "give a share between 0 and 1, or a number of cells");
  const double cells = share * static_cast<double>(n_cells);
  return static_cast<std::int64_t>(round_up ? std::ceil(cells) : std::floor(cells));
}

}  // namespace

Split train_test_validation_split(std::int64_t n_cells, const SplitOptions& options) {
  const std::int64_t n_train = cells_of(options.train_size, n_cells, false, "train size");
  const std::int64_t n_test =
      options.test_size ? cells_of(*options.test_size, n_cells, true, "test size") : n_cells - n_train;
  if (n_train == 0) refuse(options.train_size, "train size", n_cells, "give a larger share");
  if (n_train + n_test > n_cells) {
    refuse(*options.test_size, "test size (beside the train size)", n_cells, "make one of the two smaller");
  }
  const auto order = numpy_permutation(options.seed, n_cells);
  Split split;
  split.test.assign(order.begin(), order.begin() + n_test);
  split.train.assign(order.begin() + n_test, order.begin() + n_test + n_train);
  split.validation.assign(order.begin() + n_test + n_train, order.end());
  return split;
}

Split split_by_label(std::span<const std::int64_t> labels, const SplitOptions& options) {
  std::map<std::int64_t, std::vector<std::int64_t>> cells_of_label;
  std::int64_t n_labelled = 0;
  for (const std::int64_t cell : numpy_permutation(options.seed, std::ssize(labels))) {
    if (labels[cell] < 0) continue;
    cells_of_label[labels[cell]].push_back(cell);
    ++n_labelled;
  }
  // Shares of all, so that numbers of cells are met but for the rounding.
  const Split whole = train_test_validation_split(n_labelled, options);
  const auto part = [&](std::size_t of_all, std::int64_t n) {
    return static_cast<double>(of_all) / static_cast<double>(n_labelled) * static_cast<double>(n);
  };
  Split split;
  for (const auto& [label, cells] : cells_of_label) {
    const std::int64_t n = std::ssize(cells);
    // A little less, so that a whole number stays one.
    constexpr double kRounding = 1e-9;
    const auto n_train = static_cast<std::int64_t>(std::ceil(part(whole.train.size(), n) - kRounding));
    const auto n_test = std::min(
        n - n_train,
        options.test_size ? static_cast<std::int64_t>(std::floor(part(whole.test.size(), n) + kRounding)) : n);
    split.train.insert(split.train.end(), cells.begin(), cells.begin() + n_train);
    split.test.insert(split.test.end(), cells.begin() + n_train, cells.begin() + n_train + n_test);
    split.validation.insert(split.validation.end(), cells.begin() + n_train + n_test, cells.end());
  }
  return split;
}

Split split_from_labels(std::span<const std::string> labels, const std::string& key) {
  Split split;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto cell = static_cast<std::int64_t>(i);
    if (labels[i] == "train") {
      split.train.push_back(cell);
    } else if (labels[i] == "test") {
      split.test.push_back(cell);
    } else if (labels[i] == "validation") {
      split.validation.push_back(cell);
    } else {
      throw InputError({.problem = "is '" + labels[i] + "', but a split knows train, test and validation only",
                        .field = "obs['" + key + "'] of cell number " + std::to_string(i + 1)});
    }
  }
  if (split.train.empty()) {
    throw InputError({.problem = "marks no cell as train", .field = "obs['" + key + "']"});
  }
  return split;
}

SplitSize parse_split_size(const std::string& text, const std::string& option) {
  const char* end = text.data() + text.size();
  std::int64_t count = 0;
  if (auto [rest, error] = std::from_chars(text.data(), end, count); error == std::errc() && rest == end)
    return count;
  double share = 0;
  if (auto [rest, error] = std::from_chars(text.data(), end, share); error == std::errc() && rest == end)
    return share;
  throw InputError(
      {.problem = "is '" + text + "', which is neither a share such as 0.9 nor a number of cells", .field = option});
}

}  // namespace scvi
