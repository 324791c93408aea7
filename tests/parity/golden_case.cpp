#include "golden_case.hpp"

#include <ATen/ATen.h>

#include <cstring>

#include "scvi/model/model.hpp"

namespace scvi::parity {
namespace {

template <class T>
at::Tensor read_as(const io::Hdf5File& file, const std::string& path, at::ScalarType type) {
  const auto array = file.read<T>(path);
  at::Tensor result = at::empty(array.shape, type);
  if (!array.values.empty()) std::memcpy(result.data_ptr(), array.values.data(), result.nbytes());
  return result;
}

}  // namespace

GoldenCase::GoldenCase(const std::string& path, c10::Device device)
    : file_(io::Hdf5File::open(path)),
      device_(device),
      name_(file_.attribute_string("/", "case")),
      model_(file_.attribute_string("/", "model")),
      hyperparameters_(nlohmann::json::parse(file_.attribute_string("/", "hyperparameters"))) {}

at::Tensor GoldenCase::tensor(const std::string& path) const {
  const bool whole = file_.info(path).value_class == io::Hdf5Class::integer;
  return (whole ? read_as<std::int64_t>(file_, path, at::kLong) : read_as<float>(file_, path, at::kFloat))
      .to(device_);
}

at::Tensor GoldenCase::tensor64(const std::string& path) const {
  return read_as<double>(file_, path, at::kDouble);
}

void GoldenCase::collect(const std::string& group, const std::string& prefix,
                         std::map<std::string, at::Tensor>& found) const {
  for (const auto& child : file_.children(group)) {
    const std::string path = group + "/" + child;
    if (file_.is_group(path)) {
      collect(path, prefix + child + "/", found);
    } else {
      found[prefix + child] = tensor(path);
    }
  }
}

std::map<std::string, at::Tensor> GoldenCase::tape(const std::string& group) const {
  std::map<std::string, at::Tensor> found;
  collect(group, "", found);
  return found;
}

std::vector<io::NamedTensor> GoldenCase::state(const std::string& group) const {
  std::vector<io::NamedTensor> state;
  for (const auto& [name, value] : tape(group)) state.push_back(to_named_tensor(name, value));
  return state;
}

nlohmann::json GoldenCase::json_attribute(const std::string& path, const std::string& name) const {
  return nlohmann::json::parse(file_.attribute_string(path, name));
}

std::string GoldenCase::string_attribute(const std::string& path, const std::string& name) const {
  return file_.attribute_string(path, name);
}

double GoldenCase::reference_error(const std::string& path) const {
  if (!file_.has_attribute(path, "f64_max_abs_diff")) return 0;
  return file_.attribute_number<double>(path, "f64_max_abs_diff");
}

}  // namespace scvi::parity
