#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "scvi/io/hdf5.hpp"
#include "scvi/io/torch_archive.hpp"

namespace scvi::parity {

/// One file in the format of the golden cases: weights, inputs, recorded noise, expected results.
class GoldenCase {
 public:
  /// @param device where the case is replayed
  explicit GoldenCase(const std::string& path, c10::Device device = c10::Device(c10::kCPU));

  c10::Device device() const { return device_; }

  const std::string& name() const { return name_; }
  const io::Hdf5File& file() const { return file_; }
  /// The reference's name of the model, or of the kind of case: "VAE", "distributions".
  const std::string& model() const { return model_; }
  const nlohmann::json& hyperparameters() const { return hyperparameters_; }
  bool is_trajectory() const { return file_.exists("trajectory"); }
  bool has(const std::string& path) const { return file_.exists(path); }
  std::vector<std::string> children(const std::string& path) const { return file_.children(path); }
  bool is_group(const std::string& path) const { return file_.is_group(path); }

  /// A dataset as float32 (or int64 where it holds integers), on the device of the replay.
  at::Tensor tensor(const std::string& path) const;
  /// The same as float64, in main memory: what is expected.
  at::Tensor tensor64(const std::string& path) const;
  /// All datasets of a group as a state dictionary.
  std::vector<io::NamedTensor> state(const std::string& group) const;
  /// All draws below a group, by their path within it ("z", "z/mb0").
  std::map<std::string, at::Tensor> tape(const std::string& group) const;
  nlohmann::json json_attribute(const std::string& path, const std::string& name) const;
  std::string string_attribute(const std::string& path, const std::string& name) const;
  /// How far the reference's own float32 and float64 runs are apart there; 0 where not recorded.
  double reference_error(const std::string& path) const;

 private:
  void collect(const std::string& group, const std::string& prefix, std::map<std::string, at::Tensor>& found) const;

  io::Hdf5File file_;
  c10::Device device_;
  std::string name_;
  std::string model_;
  nlohmann::json hyperparameters_;
};

}  // namespace scvi::parity
