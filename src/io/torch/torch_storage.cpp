#include <algorithm>
#include <cstring>
#include <limits>

#include "scvi/core/error.hpp"
#include "torch_detail.hpp"

namespace scvi::io::torch_detail {
namespace {

using Type = NamedTensor::Type;

template <class From, class To>
std::vector<std::byte> convert_each(const std::vector<std::byte>& bytes, To (*one)(From)) {
  std::vector<std::byte> out(bytes.size() / sizeof(From) * sizeof(To));
  for (std::size_t i = 0; i < bytes.size() / sizeof(From); ++i) {
    From from;
    std::memcpy(&from, bytes.data() + i * sizeof(From), sizeof(From));
    const To to = one(from);
    std::memcpy(out.data() + i * sizeof(To), &to, sizeof(To));
  }
  return out;
}

std::vector<std::byte> keep(std::vector<std::byte>&& bytes) {
  return bytes;
}

/// bfloat16 is the upper half of a float32.
std::vector<std::byte> widen_bfloat16(std::vector<std::byte>&& bytes) {
  return convert_each<std::uint16_t, std::uint32_t>(bytes,
                                                    [](std::uint16_t half) { return std::uint32_t{half} << 16; });
}

std::vector<std::byte> widen_int8(std::vector<std::byte>&& bytes) {
  return convert_each<std::int8_t, std::int32_t>(bytes, [](std::int8_t value) { return std::int32_t{value}; });
}

std::vector<std::byte> widen_int16(std::vector<std::byte>&& bytes) {
  return convert_each<std::int16_t, std::int32_t>(bytes, [](std::int16_t value) { return std::int32_t{value}; });
}

/// A bool that is neither 0 nor 1 is undefined behaviour wherever it is read.
std::vector<std::byte> normalise_boolean(std::vector<std::byte>&& bytes) {
  for (std::byte& value : bytes) value = std::byte{value != std::byte{0}};
  return bytes;
}

/// The first kind of a type is the one to write.
constexpr std::array kStorageKinds = {
    StorageKind{"FloatStorage", 4, Type::float32, keep},
    StorageKind{"DoubleStorage", 8, Type::float64, keep},
    StorageKind{"HalfStorage", 2, Type::float16, keep},
    StorageKind{"LongStorage", 8, Type::int64, keep},
    StorageKind{"IntStorage", 4, Type::int32, keep},
    StorageKind{"ByteStorage", 1, Type::uint8, keep},
    StorageKind{"BoolStorage", 1, Type::boolean, normalise_boolean},
    StorageKind{"BFloat16Storage", 2, Type::float32, widen_bfloat16},
    StorageKind{"ShortStorage", 2, Type::int32, widen_int16},
    StorageKind{"CharStorage", 1, Type::int32, widen_int8},
};

}  // namespace

const StorageKind* find_storage_kind(std::string_view name) {
  const auto* found = std::ranges::find(kStorageKinds, name, &StorageKind::name);
  return found == kStorageKinds.end() ? nullptr : found;
}

const StorageKind& storage_kind(Type type) {
  return *std::ranges::find(kStorageKinds, type, &StorageKind::type);
}

std::optional<std::int64_t> checked_product(std::span<const std::int64_t> sizes) {
  std::int64_t product = 1;
  for (const std::int64_t size : sizes) {
    if (size < 0) return std::nullopt;
    if (size == 0) continue;
    if (product > std::numeric_limits<std::int64_t>::max() / size) return std::nullopt;
    product *= size;
  }
  return std::ranges::find(sizes, 0) == sizes.end() ? product : 0;
}

std::string describe_shape(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::string quote(std::string_view name) {
  constexpr std::size_t kLongest = 200;
  std::string shown(name.substr(0, kLongest));
  std::ranges::replace_if(
      shown, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return "'" + shown + (name.size() > kLongest ? "..." : "") + "'";
}

std::string describe_tensor(std::string_view name) {
  return "tensor " + quote(name);
}

[[noreturn]] void fail_format(const std::string& path, std::string field, std::string problem,
                              std::string_view remedy) {
  throw FormatError(
      {.problem = std::move(problem), .file = path, .field = std::move(field), .remedy = std::string(remedy)});
}

}  // namespace scvi::io::torch_detail
