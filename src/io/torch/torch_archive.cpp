#include "scvi/io/torch_archive.hpp"

#include <bit>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "scvi/core/error.hpp"
#include "torch_plan.hpp"

static_assert(std::endian::native == std::endian::little, "records are copied as they lie in the file");

namespace scvi::io {

using namespace torch_detail;

namespace {

using Type = NamedTensor::Type;

/// The elements of the tensor one after the other. @pre the plan lies within the storage
std::vector<std::byte> gather(const TensorPlan& plan, const std::vector<std::byte>& storage) {
  const std::size_t size = plan.kind->stored_size;
  std::vector<std::byte> out(static_cast<std::size_t>(plan.n_elements) * size);
  if (out.empty()) return out;
  if (plan.is_contiguous()) {
    std::memcpy(out.data(), storage.data() + static_cast<std::size_t>(plan.offset) * size, out.size());
    return out;
  }
  std::vector<std::int64_t> position(plan.shape.size(), 0);
  std::int64_t from = plan.offset;
  for (std::size_t to = 0; to < out.size(); to += size) {
    std::memcpy(out.data() + to, storage.data() + static_cast<std::size_t>(from) * size, size);
    for (std::size_t i = plan.shape.size(); i-- > 0;) {
      from += plan.strides[i];
      if (++position[i] < plan.shape[i]) break;
      from -= plan.strides[i] * plan.shape[i];
      position[i] = 0;
    }
  }
  return out;
}

/// Reads each record once, however many tensors share it, and keeps it no longer than needed.
class TensorReader {
 public:
  TensorReader(const RecordReader& records, std::span<const TensorPlan> plans) : records_(records) {
    for (const TensorPlan& plan : plans) ++uses_[plan.record];
  }

  NamedTensor read(TensorPlan plan) {
    const bool last_use = --uses_[plan.record] == 0;
    std::vector<std::byte>& storage = storages_.try_emplace(plan.record).first->second;
    if (storage.empty()) storage = records_.read(plan.record);
    const bool is_whole = plan.is_contiguous() && plan.offset == 0 && plan.n_elements == plan.storage_elements;
    std::vector<std::byte> bytes = last_use && is_whole ? std::move(storage) : gather(plan, storage);
    if (last_use) storages_.erase(plan.record);
    return {.name = std::move(plan.name),
            .type = plan.kind->type,
            .shape = std::move(plan.shape),
            .bytes = plan.kind->convert(std::move(bytes))};
  }

 private:
  const RecordReader& records_;
  std::unordered_map<std::string, std::int64_t> uses_;
  std::unordered_map<std::string, std::vector<std::byte>> storages_;
};

void check_byte_order(const RecordReader& records, const std::string& path) {
  if (!records.has("byteorder")) return;
  const std::vector<std::byte> order = records.read("byteorder");
  const std::string_view text(reinterpret_cast<const char*>(order.data()), order.size());
  if (text == "little") return;
  fail_format(path, "", "was written on a machine of another byte order", "save it again on a little-endian machine");
}

}  // namespace

std::size_t element_size(NamedTensor::Type type) {
  switch (type) {
    case Type::float64:
    case Type::int64:
      return 8;
    case Type::float32:
    case Type::int32:
      return 4;
    case Type::float16:
      return 2;
    case Type::uint8:
    case Type::boolean:
      return 1;
  }
  return 0;
}

std::int64_t NamedTensor::n_elements() const {
  const auto product = checked_product(shape);
  if (!product) {
    throw InputError(
        {.problem = "has the impossible shape " + describe_shape(shape), .field = describe_tensor(name)});
  }
  return *product;
}

std::vector<NamedTensor> read_torch_archive(const std::string& path) {
  const RecordReader records(path);
  if (records.has("constants.pkl")) {
    fail_format(path, "", "is a TorchScript program, not a dictionary of tensors", kSaveAgain);
  }
  check_byte_order(records, path);
  const std::vector<TensorPlan> plans = plan_tensors(records, path);
  TensorReader reader(records, plans);
  std::vector<NamedTensor> tensors;
  tensors.reserve(plans.size());
  for (const TensorPlan& plan : plans) tensors.push_back(reader.read(plan));
  return tensors;
}

}  // namespace scvi::io
