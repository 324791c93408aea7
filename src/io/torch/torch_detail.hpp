#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scvi/io/torch_archive.hpp"

/// What reading and writing of torch archives share.
namespace scvi::io::torch_detail {

inline constexpr std::string_view kSaveAgain = "save it again in Python with torch.save(model.state_dict(), path)";
inline constexpr std::string_view kDamaged = "the file is damaged or truncated; fetch or save it again";

/// Product of the sizes, or nothing when one is negative or the sizes other than 0 have a product that does not fit.
std::optional<std::int64_t> checked_product(std::span<const std::int64_t> sizes);

/// "(3, 4)", as Python writes it.
std::string describe_shape(std::span<const std::int64_t> shape);
/// A name out of a file as a message may show it: on one line and not endless.
std::string quote(std::string_view name);
/// "tensor 'z_encoder.weight'".
std::string describe_tensor(std::string_view name);
[[noreturn]] void fail_format(const std::string& path, std::string field, std::string problem,
                              std::string_view remedy);

/// How torch names an element type, and how its values come out.
struct StorageKind {
  std::string_view name;  ///< class in module torch
  std::size_t stored_size;
  NamedTensor::Type type;
  std::vector<std::byte> (*convert)(std::vector<std::byte>&&);
};

/// The kind of that name, or nullptr.
const StorageKind* find_storage_kind(std::string_view name);
/// The kind in which a type is written.
const StorageKind& storage_kind(NamedTensor::Type type);

/// A tensor as the pickle describes it, all numbers checked against its record.
struct TensorPlan {
  std::string name;
  const StorageKind* kind = nullptr;
  std::string record;
  std::int64_t storage_elements = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  std::int64_t n_elements = 0;

  bool is_contiguous() const {
    if (n_elements == 0) return true;
    std::int64_t expected = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      if (shape[i] == 1) continue;
      if (strides[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }
};

}  // namespace scvi::io::torch_detail
