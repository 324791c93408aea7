#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace scvi::io {

/// A tensor by name, as Python's `torch.save(state_dict)` stores it: contiguous, row-major, little-endian.
struct NamedTensor {
  enum class Type { float32, float64, float16, int64, int32, uint8, boolean };
  std::string name;
  Type type = Type::float32;
  std::vector<std::int64_t> shape;  ///< empty: a scalar
  std::vector<std::byte> bytes;

  std::int64_t n_elements() const;
};

/// Bytes of one element.
std::size_t element_size(NamedTensor::Type type);

/// Writes a dictionary of tensors that Python's `torch.load` opens (also with weights_only=True), in the order given:
/// a zip of stored records holding a protocol-2 pickle of an OrderedDict. Equal content gives equal bytes.
/// Writes straight to `path`; callers hand in a temporary name.
void write_torch_archive(const std::string& path, std::span<const NamedTensor> tensors);

/// Reads what write_torch_archive or Python's `torch.save` of a (possibly nested) state dictionary wrote:
/// dictionaries of tensors come out flat, nested names joined by '/'; entries that are not tensors are left out.
/// Nothing in the file is executed. @throws FormatError for anything else or a damaged file
std::vector<NamedTensor> read_torch_archive(const std::string& path);

}  // namespace scvi::io
