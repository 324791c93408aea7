#include "torch_plan.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "scvi/core/text.hpp"
#include "scvi/io/pickle.hpp"

namespace scvi::io::torch_detail {
namespace {

/// Classes and functions that files of torch and of scvi-tools mention. None is called; the list says which content
/// is expected, so that anything else is named instead of being passed over.
bool may_construct(std::string_view module, std::string_view name) {
  using Name = std::pair<std::string_view, std::string_view>;
  static constexpr std::array kNames = {
      Name{"collections", "OrderedDict"},
      Name{"collections", "defaultdict"},
      Name{"collections", "Counter"},
      Name{"_codecs", "encode"},
      Name{"copyreg", "_reconstructor"},
      Name{"copy_reg", "_reconstructor"},
      Name{"torch", "Size"},
      Name{"torch", "device"},
      Name{"torch._tensor", "_rebuild_from_type_v2"},
      Name{"torch.serialization", "_get_layout"},
      Name{"numpy", "dtype"},
      Name{"numpy", "ndarray"},
      Name{"numpy.core.multiarray", "_reconstruct"},
      Name{"numpy._core.multiarray", "_reconstruct"},
      Name{"numpy.core.multiarray", "scalar"},
      Name{"numpy._core.multiarray", "scalar"},
      Name{"numpy.core.numeric", "_frombuffer"},
      Name{"numpy._core.numeric", "_frombuffer"},
      Name{"pandas.core.frame", "DataFrame"},
      Name{"pandas.core.series", "Series"},
      Name{"pandas.core.internals.managers", "BlockManager"},
      Name{"pandas.core.internals.managers", "SingleBlockManager"},
      Name{"pandas.core.internals.blocks", "new_block"},
      Name{"pandas._libs.internals", "_unpickle_block"},
      Name{"pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"},
  };
  static constexpr std::array<std::string_view, 8> kBuiltins = {"list",      "dict",  "set",     "frozenset",
                                                                "bytearray", "bytes", "complex", "slice"};
  static constexpr std::array<std::string_view, 4> kPackages = {"pandas.core.indexes.", "pandas.core.arrays.",
                                                                "pandas.core.dtypes.", "numpy.dtypes."};
  if (std::ranges::find(kNames, Name{module, name}) != kNames.end()) return true;
  if (module == "torch._utils") return name.starts_with("_rebuild_");
  if (module == "builtins" || module == "__builtin__") return std::ranges::find(kBuiltins, name) != kBuiltins.end();
  return std::ranges::any_of(
      kPackages, [&](std::string_view package) { return (std::string(module) + ".").starts_with(package); });
}

/// A call that makes a tensor.
struct Call {
  const pickle::Global* function = nullptr;
  const std::vector<pickle::Ref>* args = nullptr;

  const pickle::Value* arg(std::size_t i) const { return i < args->size() ? (*args)[i] : nullptr; }
  template <class T>
  const T* arg_as(std::size_t i) const {
    return arg(i) == nullptr ? nullptr : arg(i)->as<T>();
  }
};

Call call_of(const pickle::Object& object) {
  return {&object.global(), &object.arguments()};
}

bool makes_tensor(const pickle::Global& function) {
  return (function.module == "torch._utils" && function.name.starts_with("_rebuild_")) ||
         function.is("torch._tensor", "_rebuild_from_type_v2");
}

/// Reads the description of one tensor.
class TensorPlanner {
 public:
  TensorPlanner(const RecordReader& records, const std::string& path, std::string name)
      : records_(records), path_(path) {
    plan_.name = std::move(name);
  }

  TensorPlan run(const pickle::Object& object) {
    const Call call = unwrap(call_of(object));
    if (!call.function->is("torch._utils", "_rebuild_tensor_v2")) {
      fail("is made by " + call.function->qualified() + ", a kind of tensor that is not read",
           "save it as a dense tensor of a common type");
    }
    read_storage(call.arg_as<pickle::PersistentId>(0));
    plan_.offset = integer(call.arg(1), "offset");
    plan_.shape = integers(call.arg_as<pickle::Tuple>(2), "shape");
    plan_.strides = integers(call.arg_as<pickle::Tuple>(3), "strides");
    check_bounds();
    if (const auto* flags = call.arg_as<pickle::Dict>(6); flags != nullptr && !flags->items.empty()) {
      fail("is stored conjugated or negated, which is not read", "save tensor.clone() instead");
    }
    return std::move(plan_);
  }

 private:
  [[noreturn]] void fail(std::string problem, std::string_view remedy = kDamaged) const {
    fail_format(path_, describe_tensor(plan_.name), std::move(problem), remedy);
  }

  /// Parameters and tensors with attributes wrap the making of a plain tensor.
  Call unwrap(Call call) const {
    while (true) {
      if (call.function->is("torch._tensor", "_rebuild_from_type_v2")) {
        const auto* function = call.arg_as<pickle::Global>(0);
        const auto* args = call.arg_as<pickle::Tuple>(2);
        if (function == nullptr || args == nullptr) fail("is not described as torch does");
        call = {function, &args->items};
      } else if (is_parameter(*call.function)) {
        const auto* data = call.arg_as<pickle::Object>(0);
        if (data == nullptr) fail("is a parameter without a tensor");
        call = call_of(*data);
      } else {
        return call;
      }
    }
  }

  static bool is_parameter(const pickle::Global& function) {
    return function.is("torch._utils", "_rebuild_parameter") ||
           function.is("torch._utils", "_rebuild_parameter_with_state");
  }

  std::int64_t integer(const pickle::Value* value, const std::string& what) const {
    const auto* number = value == nullptr ? nullptr : value->as<std::int64_t>();
    if (number == nullptr) fail("has a " + what + " that is not a whole number");
    if (*number < 0) fail("has " + std::to_string(*number) + " in its " + what);
    return *number;
  }

  std::vector<std::int64_t> integers(const pickle::Tuple* tuple, const std::string& what) const {
    constexpr std::size_t kMostDimensions = 64;
    if (tuple == nullptr) fail("has no " + what);
    if (tuple->items.size() > kMostDimensions) fail("has " + std::to_string(tuple->items.size()) + " dimensions");
    std::vector<std::int64_t> numbers;
    for (pickle::Ref item : tuple->items) numbers.push_back(integer(item, what));
    return numbers;
  }

  void read_storage(const pickle::PersistentId* reference) {
    const auto* parts = reference == nullptr ? nullptr : reference->id->as<pickle::Tuple>();
    const auto* tag = parts != nullptr && parts->items.size() == 5 ? parts->items[0]->as<std::string>() : nullptr;
    if (tag == nullptr || *tag != "storage") fail("has no storage");
    const auto* storage_class = parts->items[1]->as<pickle::Global>();
    const auto* key = parts->items[2]->as<std::string>();
    if (storage_class == nullptr || key == nullptr) fail("has a storage without a type or key");
    plan_.kind = known_kind(*storage_class);
    plan_.record = "data/" + *key;
    plan_.storage_elements = integer(parts->items[4], "storage size");
    if (!records_.has(plan_.record))
      fail("refers to the record " + quote(plan_.record) + ", which is not in the file");
    const std::uint64_t n_bytes = records_.size(plan_.record);
    if (n_bytes % plan_.kind->stored_size == 0 &&
        n_bytes / plan_.kind->stored_size == static_cast<std::uint64_t>(plan_.storage_elements)) {
      return;
    }
    fail("refers to the record " + quote(plan_.record) + " as " + std::to_string(plan_.storage_elements) +
         " elements of " + std::to_string(plan_.kind->stored_size) + " bytes, but it has " + std::to_string(n_bytes) +
         " bytes");
  }

  const StorageKind* known_kind(const pickle::Global& storage_class) const {
    const StorageKind* kind = find_storage_kind(storage_class.name);
    if (storage_class.module != "torch" || kind == nullptr) {
      fail("is stored as " + storage_class.qualified() + ", a type that is not read",
           "convert it to float32 before saving");
    }
    return kind;
  }

  void check_bounds() {
    if (plan_.shape.size() != plan_.strides.size()) {
      fail("has " + std::to_string(plan_.shape.size()) + " dimensions but " + std::to_string(plan_.strides.size()) +
           " strides");
    }
    const auto n_elements = checked_product(plan_.shape);
    if (!n_elements) fail("has a shape of more elements than can be counted: " + describe_shape(plan_.shape));
    plan_.n_elements = *n_elements;
    if (plan_.n_elements == 0) return;
    // No step is ever taken along a dimension of size 1, so its stride may be anything.
    for (std::size_t i = 0; i < plan_.shape.size(); ++i) plan_.strides[i] *= plan_.shape[i] == 1 ? 0 : 1;
    std::int64_t left = plan_.storage_elements - 1 - plan_.offset;
    for (std::size_t i = 0; i < plan_.shape.size() && left >= 0; ++i) {
      const std::int64_t steps = std::max<std::int64_t>(plan_.shape[i] - 1, 1);
      left = plan_.strides[i] > left / steps ? -1 : left - plan_.strides[i] * steps;
    }
    if (left >= 0) return;
    fail("of shape " + describe_shape(plan_.shape) + ", strides " + describe_shape(plan_.strides) + " and offset " +
         std::to_string(plan_.offset) + " reaches beyond its storage of " + std::to_string(plan_.storage_elements) +
         " elements");
  }

  const RecordReader& records_;
  const std::string& path_;
  TensorPlan plan_;
};

/// Finds the tensors in nested dictionaries.
class StateDictWalker {
 public:
  StateDictWalker(const RecordReader& records, const std::string& path) : records_(records), path_(path) {}

  std::vector<TensorPlan> run(const pickle::Value& root) {
    const auto* object = root.as<pickle::Object>();
    if (object != nullptr && makes_tensor(object->global())) {
      fail_format(path_, "", "holds a single tensor, not a dictionary of tensors", kSaveAgain);
    }
    if (!is_dictionary(root)) fail_format(path_, "", "does not hold a dictionary of tensors", kSaveAgain);
    walk(root, "");
    return std::move(plans_);
  }

 private:
  static bool is_dictionary(const pickle::Value& value) {
    if (value.as<pickle::Dict>() != nullptr) return true;
    const auto* object = value.as<pickle::Object>();
    if (object == nullptr) return false;
    const pickle::Global& global = object->global();
    return !object->pairs.empty() || global.module == "collections" || global.name == "dict";
  }

  /// Python 2 hands the items of an OrderedDict to its constructor, as a list of pairs.
  static void append_constructor_items(const pickle::Object& object, pickle::Pairs& pairs) {
    if (!object.global().is("collections", "OrderedDict") || object.arguments().size() != 1) return;
    const auto* list = object.arguments().front()->as<pickle::List>();
    if (list == nullptr) return;
    for (pickle::Ref item : list->items) {
      const auto* as_list = item->as<pickle::List>();
      const auto* as_tuple = item->as<pickle::Tuple>();
      if (as_list != nullptr && as_list->items.size() == 2) pairs.emplace_back(as_list->items[0], as_list->items[1]);
      if (as_tuple != nullptr && as_tuple->items.size() == 2) {
        pairs.emplace_back(as_tuple->items[0], as_tuple->items[1]);
      }
    }
  }

  static pickle::Pairs pairs_of(const pickle::Value& value) {
    if (const auto* dict = value.as<pickle::Dict>()) return dict->items;
    const auto* object = value.as<pickle::Object>();
    pickle::Pairs pairs;
    append_constructor_items(*object, pairs);
    pairs.insert(pairs.end(), object->pairs.begin(), object->pairs.end());
    return pairs;
  }

  static std::string join(const std::string& prefix, const pickle::Value& key) {
    const std::string separator = prefix.empty() ? "" : "/";
    if (const auto* text = key.as<std::string>()) return prefix + separator + *text;
    if (const auto* number = key.as<std::int64_t>()) return prefix + separator + std::to_string(*number);
    return prefix + separator + "?";
  }

  static bool is_nameable(const pickle::Value& key) {
    return key.as<std::string>() != nullptr || key.as<std::int64_t>() != nullptr;
  }

  void walk(const pickle::Value& dictionary, const std::string& prefix, bool nameable = true) {
    for (const auto& [key, value] : pairs_of(dictionary)) {
      count_visit();
      const std::string name = join(prefix, *key);
      const bool named = nameable && is_nameable(*key);
      const auto* object = value->as<pickle::Object>();
      if (object != nullptr && makes_tensor(object->global())) {
        add(*object, name, named);
      } else if (is_dictionary(*value)) {
        walk(*value, name, named);
      }
    }
  }

  /// Dictionaries that share their parts can make a small file endless to walk.
  void count_visit() {
    constexpr std::int64_t kMostVisits = 4'000'000;
    if (++n_visits_ > kMostVisits)
      fail_format(path_, "", "has more than " + with_thousands(kMostVisits) + " entries", kSaveAgain);
  }

  void add(const pickle::Object& object, const std::string& name, bool named) {
    if (!named) {
      fail_format(path_, describe_tensor(name), "is kept under a key that is neither text nor a whole number",
                  kSaveAgain);
    }
    if (!names_.insert(name).second) fail_format(path_, describe_tensor(name), "is there twice", kSaveAgain);
    plans_.push_back(TensorPlanner(records_, path_, name).run(object));
    check_total(plans_.back());
  }

  /// Views of one storage may be many and large, whatever the size of the file.
  void check_total(const TensorPlan& plan) {
    constexpr std::uint64_t kAlwaysAllowed = std::uint64_t{256} << 20;
    constexpr std::uint64_t kMostOfFile = 16;
    const std::uint64_t most = std::max(kAlwaysAllowed, kMostOfFile * records_.file_size());
    const std::uint64_t left = most - total_bytes_;
    if (static_cast<std::uint64_t>(plan.n_elements) > left / element_size(plan.kind->type)) {
      fail_format(path_, describe_tensor(plan.name),
                  "of shape " + describe_shape(plan.shape) + " brings the tensors to more than " +
                      format_bytes(static_cast<double>(most)) + " in a file of " +
                      format_bytes(static_cast<double>(records_.file_size())),
                  "save tensor.clone() instead of expanded views");
    }
    total_bytes_ += static_cast<std::uint64_t>(plan.n_elements) * element_size(plan.kind->type);
  }

  const RecordReader& records_;
  const std::string& path_;
  std::vector<TensorPlan> plans_;
  std::unordered_set<std::string> names_;
  std::int64_t n_visits_ = 0;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace

std::vector<TensorPlan> plan_tensors(const RecordReader& records, const std::string& path) {
  const pickle::Document document = pickle::parse(
      records.read("data.pkl"),
      {.may_construct = may_construct, .file = path, .field = "data.pkl", .remedy = std::string(kSaveAgain)});
  return StateDictWalker(records, path).run(document.root());
}

}  // namespace scvi::io::torch_detail
