#include "scvi/model/model.hpp"

#include <ATen/ATen.h>

#include <cstring>
#include <map>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/core/text.hpp"

namespace scvi {
namespace {

using Type = io::NamedTensor::Type;

Type type_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return Type::float32;
    case at::kDouble:
      return Type::float64;
    case at::kHalf:
      return Type::float16;
    case at::kLong:
      return Type::int64;
    case at::kInt:
      return Type::int32;
    case at::kByte:
      return Type::uint8;
    case at::kBool:
      return Type::boolean;
    default:
      break;
  }
  throw InputError({.problem = "has an element type that cannot be saved", .field = "a tensor"});
}

at::ScalarType scalar_type(Type type) {
  switch (type) {
    case Type::float32:
      return at::kFloat;
    case Type::float64:
      return at::kDouble;
    case Type::float16:
      return at::kHalf;
    case Type::int64:
      return at::kLong;
    case Type::int32:
      return at::kInt;
    case Type::uint8:
      return at::kByte;
    case Type::boolean:
      return at::kBool;
  }
  return at::kFloat;
}

void collect_state(const torch::nn::Module& module, const std::string& prefix,
                   std::vector<std::pair<std::string, at::Tensor>>& state) {
  for (const auto& item : module.named_parameters(/*recurse=*/false))
    state.emplace_back(prefix + item.key(), item.value());
  for (const auto& item : module.named_buffers(/*recurse=*/false))
    state.emplace_back(prefix + item.key(), item.value());
  for (const auto& child : module.named_children()) collect_state(*child.value(), prefix + child.key() + ".", state);
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "(";
  for (const auto size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + ")";
}

}  // namespace

c10::Device Model::device() const {
  return named_state(*this).front().second.device();
}

std::vector<std::pair<std::string, at::Tensor>> named_state(const torch::nn::Module& module) {
  std::vector<std::pair<std::string, at::Tensor>> state;
  collect_state(module, "", state);
  return state;
}

kernel::LayerInput layer_input(const CountTensor& counts) {
  if (settings().kernel != KernelRoad::fused) return counts.dense();
  if (const auto rows = counts.device().is_cpu() ? counts.shared_csr() : nullptr) {
    return {
        {.view = {rows->n_rows(), counts.n_genes(), rows->indptr.data(), rows->indices.data(), rows->values.data()},
         .owner = rows},
        [counts] { return counts.dense(); }};
  }
  const at::Tensor& dense = counts.dense();
  if (!dense.device().is_cpu() || dense.scalar_type() != at::kFloat) return dense;
  return {kernel::sparse_rows(dense), [dense] { return dense; }};
}

kernel::LayerInput log1p(const kernel::LayerInput& counts) {
  if (counts.sparse() == nullptr) return at::log1p(counts.dense());
  const kernel::SparseRows rows = kernel::log1p(*counts.sparse());
  return {rows, [rows] { return kernel::to_dense(rows); }};
}

io::NamedTensor to_named_tensor(std::string name, const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
  io::NamedTensor result{.name = std::move(name), .type = type_of(plain), .shape = plain.sizes().vec(), .bytes = {}};
  result.bytes.resize(plain.nbytes());
  if (!result.bytes.empty()) std::memcpy(result.bytes.data(), plain.data_ptr(), result.bytes.size());
  return result;
}

at::Tensor to_tensor(const io::NamedTensor& tensor) {
  at::Tensor result = at::empty(tensor.shape, scalar_type(tensor.type));
  if (result.nbytes() != tensor.bytes.size()) {
    throw FormatError(
        {.problem = "holds another number of bytes than its shape says", .field = "tensor '" + tensor.name + "'"});
  }
  if (!tensor.bytes.empty()) std::memcpy(result.data_ptr(), tensor.bytes.data(), tensor.bytes.size());
  return result;
}

std::vector<io::NamedTensor> state_dict(const torch::nn::Module& module) {
  std::vector<io::NamedTensor> state;
  for (const auto& [name, tensor] : named_state(module)) state.push_back(to_named_tensor(name, tensor));
  return state;
}

void load_state_dict(torch::nn::Module& module, std::span<const io::NamedTensor> state, const std::string& source) {
  std::map<std::string, const io::NamedTensor*> given;
  for (const auto& tensor : state) given[tensor.name] = &tensor;
  std::vector<std::string> missing;
  const auto wanted = named_state(module);
  for (const auto& [name, tensor] : wanted) {
    const auto found = given.find(name);
    if (found == given.end()) {
      missing.push_back(name);
      continue;
    }
    if (at::IntArrayRef(found->second->shape) != tensor.sizes()) {
      throw InputError({.problem = "has shape " + shape_text(found->second->shape) + ", but the model needs " +
                                   shape_text(tensor.sizes()),
                        .file = source,
                        .field = "weight '" + name + "'"});
    }
  }
  if (!missing.empty()) {
    throw InputError({.problem = "lacks weights that the model needs: " + join_some(missing), .file = source});
  }
  std::vector<std::string> surplus;
  for (const auto& [name, tensor] : wanted) given.erase(name);
  for (const auto& [name, tensor] : given) surplus.push_back(name);
  if (!surplus.empty()) {
    throw InputError(
        {.problem = "holds weights that the model does not have: " + join_some(surplus), .file = source});
  }
  at::NoGradGuard no_grad;
  for (const auto& tensor : state) given[tensor.name] = &tensor;
  for (const auto& [name, tensor] : wanted) {
    at::Tensor target = tensor;
    target.copy_(to_tensor(*given[name]));
  }
}

}  // namespace scvi
