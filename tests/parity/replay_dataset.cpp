#include "dataset_cases.hpp"
#include "replay.hpp"
#include "scvi/loader/split.hpp"

namespace scvi::parity {
namespace {

using Numbers = std::vector<std::int64_t>;

void replay_split(const GoldenCase& golden, const std::string& at, Comparison& comparison) {
  const io::Hdf5File& file = golden.file();
  // "null" is stored as text.
  const auto size = [&](const char* name) -> std::optional<SplitSize> {
    const io::Hdf5Class kind = file.attribute_info(at, name).value_class;
    if (kind == io::Hdf5Class::integer) return SplitSize(file.attribute_number<std::int64_t>(at, name));
    if (kind == io::Hdf5Class::real) return SplitSize(file.attribute_number<double>(at, name));
    return std::nullopt;
  };
  SplitOptions options;
  options.train_size = size("train_size").value();
  options.test_size = size("test_size");
  const Split split = train_test_validation_split(file.attribute_number<std::int64_t>(at, "n"), options);
  const auto expect = [&](const std::string& name, const Numbers& got) {
    comparison.fact(at + "/" + name, got == file.read<std::int64_t>(at + "/" + name).values);
  };
  expect("train", split.train);
  expect("test", split.test);
  expect("validation", split.validation);
}

void add(const std::vector<DatasetQuantity>& quantities, const std::string& storage, Comparison& comparison) {
  for (const DatasetQuantity& quantity : quantities) {
    comparison.at_most(quantity.path + storage, quantity.deviation, quantity.allowed);
  }
}

}  // namespace

void replay_dataset(const GoldenCase& golden, Comparison& comparison) {
  add(replay_dataset_operations(golden.file(), false), " (dense)", comparison);
  add(replay_dataset_operations(golden.file(), true), " (sparse)", comparison);
  for (const std::string& name : golden.children("expected/train_test_validation")) {
    replay_split(golden, "expected/train_test_validation/" + name, comparison);
  }
}

}  // namespace scvi::parity
