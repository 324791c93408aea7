#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace scvi {

/// A share of the cells (0 to 1) or a number of cells.
using SplitSize = std::variant<double, std::int64_t>;

/// How cells are divided; the counterpart of `Trainer.train_test_validation`.
struct SplitOptions {
  SplitSize train_size = 0.8;               ///< 1.0: every cell trains
  std::optional<SplitSize> test_size = {};  ///< default: all cells that do not train
  std::uint32_t seed = 0;                   ///< of the permutation, the same as numpy's RandomState
};

/// Cells (positions in the data set) of the three sets; validation is what the other two leave over.
struct Split {
  std::vector<std::int64_t> train;
  std::vector<std::int64_t> test;
  std::vector<std::int64_t> validation;
};

/// The reference's split of n cells: n_train = floor(share n), n_test = ceil(share n) or the rest; of a permutation
/// the first n_test cells test, the next n_train train. @throws InputError when the sizes cannot be met
Split train_test_validation_split(std::int64_t n_cells, const SplitOptions& options);

/// A split of the cells that have a label, with the same shares of each label: of so many cells the first of a
/// permutation, their number rounded up, train, so that a label with one cell is learned; the next, rounded down,
/// test. Cells with a negative label are in no set.
/// @throws InputError when the sizes cannot be met by the cells that have a label
Split split_by_label(std::span<const std::int64_t> labels, const SplitOptions& options);

/// The split that a column of the data spells out, one of "train", "test", "validation" per cell.
/// @param key name of the column, for messages
/// @throws InputError for any other value or when no cell trains
Split split_from_labels(std::span<const std::string> labels, const std::string& key);

/// "0.9" is a share, "4000" a number of cells. "1" is all cells only if written "1.0". @throws InputError
SplitSize parse_split_size(const std::string& text, const std::string& option);

}  // namespace scvi
