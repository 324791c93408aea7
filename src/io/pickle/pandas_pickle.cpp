#include "scvi/io/pandas_pickle.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "numpy_pickle.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/pickle.hpp"

namespace scvi::io {
namespace {

using pickled::Budget;
using pickled::entry_of;
using pickled::object_named;
using pickled::Place;
using pickled::Scalar;

template <std::size_t n>
bool is_among(std::string_view name, const std::array<std::string_view, n>& names) {
  return std::ranges::find(names, name) != names.end();
}

/// Classes and functions that plain data is made by. None is called; the list says which content is expected.
bool may_construct(std::string_view module, std::string_view name) {
  static constexpr std::array<std::string_view, 3> kBuiltins{"slice", "bytes", "bytearray"};
  static constexpr std::array<std::string_view, 4> kNumpy{"_reconstruct", "_frombuffer", "scalar", "dtype"};
  static constexpr std::array<std::string_view, 6> kNumpyModules{"numpy",
                                                                 "numpy.core.multiarray",
                                                                 "numpy._core.multiarray",
                                                                 "numpy.core.numeric",
                                                                 "numpy._core.numeric",
                                                                 "numpy.multiarray"};
  static constexpr std::array<std::string_view, 20> kPandas{"DataFrame",
                                                            "Series",
                                                            "BlockManager",
                                                            "SingleBlockManager",
                                                            "_unpickle_block",
                                                            "new_block",
                                                            "_new_Index",
                                                            "Categorical",
                                                            "CategoricalDtype",
                                                            "StringArray",
                                                            "StringDtype",
                                                            "IntegerArray",
                                                            "FloatingArray",
                                                            "BooleanArray",
                                                            "BooleanDtype",
                                                            "PandasArray",
                                                            "DatetimeArray",
                                                            "TimedeltaArray",
                                                            "__pyx_unpickle_NDArrayBacked",
                                                            "NumpyExtensionArray"};
  if (module == "builtins" || module == "__builtin__") return is_among(name, kBuiltins);
  if (module == "_codecs") return name == "encode";
  if (module == "copyreg" || module == "copy_reg") return name == "_reconstructor";
  if (is_among(module, kNumpyModules)) return is_among(name, kNumpy);
  const bool of_pandas = module == "pandas" || module == "pandas.arrays" || module.starts_with("pandas.core.") ||
                         module.starts_with("pandas._libs.");
  const bool is_width =
      (name.starts_with("Int") || name.starts_with("UInt") || name.starts_with("Float")) && name.ends_with("Dtype");
  return of_pandas && (is_width || is_among(name, kPandas));
}

/// Decodes what pandas makes of arrays.
class Decoder {
 public:
  Decoder(Place place, std::int64_t n_values) : place_(std::move(place)), budget_(n_values) {}

  static bool is_frame(const pickle::Value& value) {
    return object_named(value, "DataFrame") != nullptr || object_named(value, "Series") != nullptr;
  }

  Frame frame(const pickle::Value& value) {
    if (const auto* series = object_named(value, "Series")) return frame_of_series(*series);
    if (const auto* object = object_named(value, "DataFrame")) return frame_of_blocks(*object);
    throw InputError({.problem = "is no table", .file = place_.file, .field = place_.field});
  }

  PickledArray array(const pickle::Value& value) {
    if (is_frame(value))
      throw InputError({.problem = "is a table, no array", .file = place_.file, .field = place_.field});
    if (const auto* list = value.as<pickle::List>()) return array_of_items(list->items);
    if (const auto* tuple = value.as<pickle::Tuple>()) return array_of_items(tuple->items);
    if (object_named(value, "_new_Index") != nullptr) return one_dimensional(index(value));
    if (pickled::is_array(value)) return pickled::decode_array(value, budget_, place_);
    if (is_extension(value)) return one_dimensional(extension(value));
    return {{}, pickled::column_of({pickled::decode_scalar(value, place_)})};
  }

 private:
  Place place_;
  Budget budget_;

  [[noreturn]] void fail(std::string problem, std::string remedy = "") const {
    place_.fail(std::move(problem), std::move(remedy));
  }
  [[noreturn]] void fail_for_age() const {
    fail("is not laid out as pandas 0.14 and later do", "load it in Python and save it with a newer pandas");
  }

  static PickledArray one_dimensional(Column column) {
    const std::int64_t size = column.size();
    return {{size}, std::move(column)};
  }

  PickledArray array_of_items(const std::vector<pickle::Ref>& items) {
    budget_.spend(std::ssize(items), place_);
    std::vector<Scalar> values;
    for (pickle::Ref item : items) values.push_back(pickled::decode_scalar(*item, place_));
    return one_dimensional(pickled::column_of(values));
  }

  // Indices.

  static std::string name_in(const pickle::Value* state, std::string_view key) {
    const pickle::Ref name = state == nullptr ? nullptr : entry_of(*state, key);
    const auto* text = name == nullptr ? nullptr : name->as<std::string>();
    return text == nullptr ? "" : *text;
  }

  Column index(const pickle::Value& value) {
    const auto* object = object_named(value, "_new_Index");
    if (object == nullptr || object->arguments().size() != 2) fail("has an index that is none");
    const auto* kind = object->arguments()[0]->as<pickle::Global>();
    const pickle::Value& state = *object->arguments()[1];
    if (kind == nullptr || state.as<pickle::Dict>() == nullptr) fail("has an index that is none");
    if (kind->name == "MultiIndex")
      fail("has an index of several levels, which is not read", "save it after reset_index()");
    const pickle::Ref data = entry_of(state, "data");
    Column column = kind->name == "RangeIndex" ? range(state) : data == nullptr ? no_index() : values(*data);
    column.name = name_in(&state, "name");
    return column;
  }

  [[noreturn]] Column no_index() const { fail("has an index without names"); }

  std::int64_t number_in(const pickle::Value& state, std::string_view key) const {
    const pickle::Ref found = entry_of(state, key);
    const auto* number = found == nullptr ? nullptr : found->as<std::int64_t>();
    if (number == nullptr) fail("has an index of numbers without a " + std::string(key));
    return *number;
  }

  Column range(const pickle::Value& state) {
    const std::int64_t start = number_in(state, "start");
    const std::int64_t stop = number_in(state, "stop");
    const std::int64_t step = number_in(state, "step");
    std::int64_t length = 0;
    if (step == 0 || step == INT64_MIN ||
        __builtin_sub_overflow(step > 0 ? stop : start, step > 0 ? start : stop, &length))
      fail("has an index of numbers beyond all bounds");
    const std::int64_t stride = step > 0 ? step : -step;
    length = length <= 0 ? 0 : 1 + (length - 1) / stride;
    budget_.spend(length, place_);
    std::vector<std::int64_t> numbers;
    for (std::int64_t at = 0; at < length; ++at) numbers.push_back(start + at * step);
    return {.name = "", .values = std::move(numbers), .missing = {}};
  }

  static std::vector<std::string> texts_of(const Column& column) {
    std::vector<std::string> texts;
    for (std::int64_t row = 0; row < column.size(); ++row) texts.push_back(column.text(row));
    return texts;
  }

  // Values.

  static bool is_extension(const pickle::Value& value) {
    static constexpr std::array<std::string_view, 10> kNames{
        "Categorical", "StringArray",         "IntegerArray",  "FloatingArray",  "BooleanArray",
        "PandasArray", "NumpyExtensionArray", "DatetimeArray", "TimedeltaArray", "__pyx_unpickle_NDArrayBacked"};
    const auto* object = value.as<pickle::Object>();
    return object != nullptr && is_among(pickled::class_of(*object).name, kNames);
  }

  /// One dimension of numbers, text or categories.
  Column values(const pickle::Value& value) {
    if (is_extension(value)) return extension(value);
    PickledArray array = pickled::decode_array(value, budget_, place_);
    if (array.shape.size() != 1)
      fail("has " + std::to_string(array.shape.size()) + " dimensions where one is expected");
    return std::move(array.column);
  }

  Column extension(const pickle::Value& value) {
    const auto& object = *value.as<pickle::Object>();
    const pickle::Global* kind = &pickled::class_of(object);
    if (kind->name == "__pyx_unpickle_NDArrayBacked")
      kind = object.arguments().empty() ? nullptr : object.arguments()[0]->as<pickle::Global>();
    if (kind == nullptr || object.state == nullptr) fail("has a column without content");
    if (kind->name == "Categorical") return categorical(*object.state);
    if (kind->name.find("String") != std::string::npos || kind->name == "PandasArray" ||
        kind->name == "NumpyExtensionArray")
      return values(*backing_array(*object.state));
    if (kind->name == "IntegerArray" || kind->name == "FloatingArray" || kind->name == "BooleanArray")
      return masked(*object.state);
    fail("has a column of " + kind->qualified() + ", which is not read", "convert it to numbers or text");
  }

  /// The plain array in the state of an array that wraps one: a tuple of type and array, or a dictionary.
  pickle::Ref backing_array(const pickle::Value& state) const {
    if (const auto* tuple = state.as<pickle::Tuple>())
      for (pickle::Ref part : tuple->items)
        if (pickled::is_array(*part)) return part;
    for (const char* key : {"_ndarray", "_codes"})
      if (pickle::Ref found = entry_of(state, key); found != nullptr && pickled::is_array(*found)) return found;
    fail("has a column without values");
  }

  Column masked(const pickle::Value& state) {
    const pickle::Ref data = entry_of(state, "_data");
    const pickle::Ref mask = entry_of(state, "_mask");
    if (data == nullptr || mask == nullptr || is_extension(*data) || is_extension(*mask))
      fail("has a nullable column without values");
    Column column = values(*data);
    const Column flags = values(*mask);
    const auto* truths = std::get_if<Boolean>(&flags.values);
    if (truths == nullptr || flags.size() != column.size()) fail("has a mask that does not fit its column");
    const bool any = std::ranges::any_of(truths->values, [](std::uint8_t flag) { return flag != 0; });
    if (any) column.missing = truths->values;
    return column;
  }

  Column categorical(const pickle::Value& state) {
    const Column codes = values(*backing_array(state));
    const auto* numbers = std::get_if<std::vector<std::int64_t>>(&codes.values);
    if (numbers == nullptr) fail("has categories without codes");
    const auto [categories, ordered] = categories_of(state);
    if (object_named(*categories, "_new_Index") == nullptr) fail("has categories without names");
    Categorical result;
    result.categories = texts_of(index(*categories));
    result.ordered = ordered;
    const auto n_categories = static_cast<std::int64_t>(result.categories.size());
    for (const std::int64_t code : *numbers) {
      if (code < -1 || code >= n_categories)
        fail("holds the code " + std::to_string(code) + ", but there are " + std::to_string(n_categories) +
             " categories");
      result.codes.push_back(static_cast<std::int32_t>(code));
    }
    return {.name = "", .values = std::move(result), .missing = {}};
  }

  static bool is_true(const pickle::Value* value) {
    const auto* truth = value == nullptr ? nullptr : value->as<bool>();
    return truth != nullptr && *truth;
  }

  /// The index of categories and whether they are ordered: part of the type, or (before pandas 0.21) of the column.
  std::pair<pickle::Ref, bool> categories_of(const pickle::Value& state) const {
    pickle::Ref type = entry_of(state, "_dtype");
    if (const auto* tuple = state.as<pickle::Tuple>())
      for (pickle::Ref part : tuple->items)
        if (object_named(*part, "CategoricalDtype") != nullptr) type = part;
    if (const auto* object = type == nullptr ? nullptr : object_named(*type, "CategoricalDtype")) {
      if (object->state != nullptr)
        if (pickle::Ref found = entry_of(*object->state, "categories"))
          return {found, is_true(entry_of(*object->state, "ordered"))};
      if (!object->arguments().empty())
        return {object->arguments()[0], object->arguments().size() > 1 && is_true(object->arguments()[1])};
    }
    if (pickle::Ref found = entry_of(state, "_categories")) return {found, is_true(entry_of(state, "_ordered"))};
    fail("has categories without names");
  }

  // Tables.

  struct Block {
    pickle::Ref values;
    pickle::Ref places;
  };
  struct Manager {
    std::vector<Block> blocks;
    std::vector<pickle::Ref> axes;
  };

  static std::vector<pickle::Ref> items_of(const pickle::Value* value) {
    if (value == nullptr) return {};
    if (const auto* list = value->as<pickle::List>()) return list->items;
    if (const auto* tuple = value->as<pickle::Tuple>()) return tuple->items;
    return {};
  }

  /// pandas 1.3 and later: manager(blocks, axes).
  Manager manager_of_arguments(const pickle::Object& object) const {
    Manager manager;
    const std::vector<pickle::Ref>& args = object.arguments();
    std::vector<pickle::Ref> blocks = items_of(args[0]);
    manager.axes = items_of(args[1]);
    if (object_named(*args[0], "_unpickle_block") != nullptr) blocks = {args[0]};
    if (object_named(*args[1], "_new_Index") != nullptr) manager.axes = {args[1]};
    for (pickle::Ref item : blocks) {
      const auto* block = item->as<pickle::Object>();
      const std::string_view name = block == nullptr ? "" : std::string_view(block->global().name);
      if ((name != "_unpickle_block" && name != "new_block") || block->arguments().size() < 2)
        fail("has a block that is none");
      manager.blocks.push_back({block->arguments()[0], block->arguments()[1]});
    }
    return manager;
  }

  /// Before: a state of four, the last of them {"0.14.1": {"axes": ..., "blocks": ...}}.
  Manager manager_of_state(const pickle::Value* state) const {
    Manager manager;
    const std::vector<pickle::Ref> parts = items_of(state);
    const pickle::Ref layout = parts.size() < 4 ? nullptr : entry_of(*parts[3], "0.14.1");
    if (layout == nullptr) fail_for_age();
    manager.axes = items_of(entry_of(*layout, "axes"));
    for (pickle::Ref block : items_of(entry_of(*layout, "blocks"))) {
      const Block found{entry_of(*block, "values"), entry_of(*block, "mgr_locs")};
      if (found.values == nullptr || found.places == nullptr) fail("has a block that is none");
      manager.blocks.push_back(found);
    }
    return manager;
  }

  Manager manager_of(const pickle::Object& table, std::string_view kind, std::size_t n_axes) const {
    pickle::Ref inner = table.state;
    for (const char* key : {"_data", "_mgr"})
      if (table.state != nullptr && entry_of(*table.state, key) != nullptr) inner = entry_of(*table.state, key);
    const auto* object = inner == nullptr ? nullptr : object_named(*inner, kind);
    if (object == nullptr) fail_for_age();
    Manager manager =
        object->arguments().size() >= 2 ? manager_of_arguments(*object) : manager_of_state(object->state);
    if (manager.axes.size() != n_axes)
      fail("has " + std::to_string(manager.axes.size()) + " axes where " + std::to_string(n_axes) + " are expected");
    return manager;
  }

  Frame frame_with_index(const pickle::Value& axis) {
    Frame frame;
    const Column names = index(axis);
    if (!names.name.empty()) frame.index_name = names.name;
    frame.index = texts_of(names);
    return frame;
  }

  Frame frame_of_series(const pickle::Object& series) {
    const Manager manager = manager_of(series, "SingleBlockManager", 1);
    if (manager.blocks.size() != 1) fail("has " + std::to_string(manager.blocks.size()) + " blocks of values");
    Frame frame = frame_with_index(*manager.axes[0]);
    Column column = values(*manager.blocks[0].values);
    check_length(column, frame);
    column.name = name_in(series.state, "_name");
    if (column.name.empty()) column.name = name_in(series.state, "name");
    if (column.name.empty()) column.name = "values";
    frame.columns.push_back(std::move(column));
    return frame;
  }

  void check_length(const Column& column, const Frame& frame) const {
    if (column.size() == frame.n_rows()) return;
    fail("has " + std::to_string(column.size()) + " values for " + std::to_string(frame.n_rows()) + " rows");
  }

  Frame frame_of_blocks(const pickle::Object& object) {
    const Manager manager = manager_of(object, "BlockManager", 2);
    Frame frame = frame_with_index(*manager.axes[1]);
    const std::vector<std::string> names = texts_of(index(*manager.axes[0]));
    frame.columns.resize(names.size());
    std::vector<bool> filled(names.size(), false);
    for (const Block& block : manager.blocks) {
      std::vector<Column> columns = columns_of(*block.values, frame.n_rows());
      const std::vector<std::int64_t> places = places_of(*block.places, std::ssize(columns));
      for (std::size_t at = 0; at < columns.size(); ++at) {
        const std::int64_t place = places[at];
        if (place < 0 || place >= std::ssize(names) || filled[static_cast<std::size_t>(place)])
          fail("has two blocks for column " + std::to_string(place) + ", or no such column");
        check_length(columns[at], frame);
        columns[at].name = names[static_cast<std::size_t>(place)];
        frame.columns[static_cast<std::size_t>(place)] = std::move(columns[at]);
        filled[static_cast<std::size_t>(place)] = true;
      }
    }
    const auto hole = std::ranges::find(filled, false);
    if (hole != filled.end())
      fail("has no values for column '" + names[static_cast<std::size_t>(hole - filled.begin())] + "'");
    return frame;
  }

  /// The columns that one block holds: the rows of a matrix, or a column of a kind of its own.
  std::vector<Column> columns_of(const pickle::Value& value, std::int64_t n_rows) {
    if (is_extension(value)) return {extension(value)};
    const PickledArray array = pickled::decode_array(value, budget_, place_);
    if (array.shape.size() != 2 || array.shape[1] != n_rows)
      fail("has a block whose shape does not fit its " + std::to_string(n_rows) + " rows");
    budget_.spend(array.shape[0], place_);
    std::vector<Column> columns;
    for (std::int64_t at = 0; at < array.shape[0]; ++at)
      columns.push_back(part_of(array.column, at * n_rows, n_rows));
    return columns;
  }

  static Column part_of(const Column& column, std::int64_t first, std::int64_t count) {
    const auto slice = [&](const auto& all) {
      return std::decay_t<decltype(all)>(all.begin() + first, all.begin() + first + count);
    };
    Column part{.name = "", .values = {}, .missing = {}};
    if (!column.missing.empty()) part.missing = slice(column.missing);
    if (std::ranges::none_of(part.missing, [](std::uint8_t flag) { return flag != 0; })) part.missing.clear();
    part.values = std::visit(
        [&](const auto& all) -> Column::Values {
          if constexpr (requires { all.codes; })
            return all;
          else if constexpr (requires { all.values; })
            return Boolean{slice(all.values)};
          else
            return slice(all);
        },
        column.values);
    return part;
  }

  /// Which columns a block holds: a slice, or a list of numbers.
  std::vector<std::int64_t> places_of(const pickle::Value& value, std::int64_t count) {
    std::vector<std::int64_t> places;
    if (const auto* object = object_named(value, "slice")) {
      if (object->arguments().size() != 3) fail("has a slice that is none");
      const auto* start = object->arguments()[0]->as<std::int64_t>();
      const auto* step = object->arguments()[2]->as<std::int64_t>();
      std::int64_t place = start == nullptr ? 0 : *start;
      const std::int64_t stride = step == nullptr ? 1 : *step;
      if (std::max(std::abs(place / 2), std::abs(stride / 2)) > (std::int64_t{1} << 31))
        fail("has a slice that is none");
      for (std::int64_t at = 0; at < count; ++at, place += stride) places.push_back(place);
    } else {
      places = pickled::decode_integers(value, budget_, place_);
    }
    if (std::ssize(places) != count)
      fail("has " + std::to_string(places.size()) + " places for the " + std::to_string(count) +
           " columns of a block");
    return places;
  }
};

std::string key_text(const pickle::Value& key) {
  if (const auto* text = key.as<std::string>()) return *text;
  if (const auto* number = key.as<std::int64_t>()) return std::to_string(*number);
  return "?";
}

}  // namespace

struct PandasPickle::Impl {
  Impl(std::string file_name, const std::string& bytes) : name(std::move(file_name)), n_bytes(std::ssize(bytes)) {
    document = pickle::parse(std::as_bytes(std::span(bytes)),
                             {.may_construct = may_construct,
                              .file = name,
                              .remedy = "load it in Python, if you trust it, and save plain data frames and arrays"});
    if (document.root().as<pickle::Dict>() == nullptr) {
      keys = {""};
      values = {&document.root()};
    } else {
      list(document.root(), "");
    }
  }

  std::string name;
  std::int64_t n_bytes;
  pickle::Document document;
  std::vector<std::string> keys;
  std::vector<pickle::Ref> values;
  std::int64_t n_visits = 0;

  /// Dictionaries that share their parts can make a small file endless to walk.
  void list(const pickle::Value& dictionary, const std::string& prefix) {
    constexpr std::int64_t kMostVisits = 100'000;
    constexpr std::size_t kLongestKey = 4096;
    for (const auto& [key, value] : dictionary.as<pickle::Dict>()->items) {
      const std::string path = prefix + key_text(*key);
      if (++n_visits > kMostVisits || path.size() > kLongestKey)
        throw FormatError(
            {.problem = "has more than " + with_thousands(kMostVisits) + " entries or one with an endless name",
             .file = name});
      if (value->as<pickle::Dict>() != nullptr) {
        list(*value, path + "/");
        if (!value->as<pickle::Dict>()->items.empty()) continue;
      }
      keys.push_back(path);
      values.push_back(value);
    }
  }

  const pickle::Value& at(const std::string& key) const {
    // The last of several counts, as in Python.
    for (std::size_t i = keys.size(); i-- > 0;)
      if (keys[i] == key) return *values[i];
    throw InputError({.problem = "has no '" + key + "'", .file = name, .remedy = suggest(key, keys)});
  }

  Decoder decoder(const std::string& key) const {
    constexpr std::int64_t kAlwaysAllowed = std::int64_t{1} << 20;
    return {{name, key.empty() ? "the pickled object" : "'" + key + "'"}, kAlwaysAllowed + 16 * n_bytes};
  }
};

namespace {

std::string read_whole(const std::string& path) {
  constexpr std::uintmax_t kLargest = std::uintmax_t{1} << 30;
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (!error && size > kLargest)
    throw FormatError({.problem = "has " + format_bytes(static_cast<double>(size)) + ", more than the " +
                                  format_bytes(static_cast<double>(kLargest)) + " that are read",
                       .file = path});
  return read_file(path);
}

}  // namespace

PandasPickle::PandasPickle(const std::string& path) : PandasPickle(path, read_whole(path)) {}
PandasPickle::PandasPickle(const std::string& name, const std::string& bytes)
    : impl_(std::make_unique<Impl>(name, bytes)) {}
PandasPickle::~PandasPickle() = default;
PandasPickle::PandasPickle(PandasPickle&&) noexcept = default;
PandasPickle& PandasPickle::operator=(PandasPickle&&) noexcept = default;

const std::vector<std::string>& PandasPickle::keys() const {
  return impl_->keys;
}
bool PandasPickle::is_frame(const std::string& key) const {
  return Decoder::is_frame(impl_->at(key));
}
Frame PandasPickle::frame(const std::string& key) const {
  return impl_->decoder(key).frame(impl_->at(key));
}
PickledArray PandasPickle::array(const std::string& key) const {
  return impl_->decoder(key).array(impl_->at(key));
}

}  // namespace scvi::io
