#include "numpy_pickle.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "utf8.hpp"

namespace scvi::io::pickled {

void Place::fail(std::string problem, std::string remedy) const {
  throw FormatError({.problem = std::move(problem), .file = file, .field = field, .remedy = std::move(remedy)});
}

void Budget::spend(std::int64_t n_values, const Place& place) {
  if (n_values < 0 || n_values > left_) place.fail("has more values than a file of its size can hold");
  left_ -= n_values;
}

const pickle::Global& class_of(const pickle::Object& object) {
  // Protocols 0 and 1 make objects by a function that is given the class.
  if (object.global().name == "_reconstructor" && !object.arguments().empty())
    if (const auto* given = object.arguments().front()->as<pickle::Global>()) return *given;
  return object.global();
}

const pickle::Object* object_named(const pickle::Value& value, std::string_view name) {
  const auto* object = value.as<pickle::Object>();
  return object != nullptr && class_of(*object).name == name ? object : nullptr;
}

pickle::Ref entry_of(const pickle::Value& dictionary, std::string_view key) {
  const auto* dict = dictionary.as<pickle::Dict>();
  if (dict == nullptr) return nullptr;
  pickle::Ref found = nullptr;
  for (const auto& [name, value] : dict->items)
    if (const auto* text = name->as<std::string>(); text != nullptr && *text == key) found = value;
  return found;
}

namespace {

/// Bytes from text that stands for them, one character each.
std::string latin1_bytes(const std::string& text, const Place& place) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto lead = static_cast<unsigned char>(text[at]);
    if (lead < 0x80) {
      bytes += text[at];
    } else if (lead == 0xC2 || lead == 0xC3) {
      bytes += static_cast<char>((lead << 6 | (static_cast<unsigned char>(text[++at]) & 0x3F)) & 0xFF);
    } else {
      place.fail("has bytes that are none");
    }
  }
  return bytes;
}

/// Protocols before 3 have no bytes of their own.
std::string decode_bytes(const pickle::Value& value, const Place& place) {
  if (const auto* bytes = value.as<pickle::Bytes>()) return bytes->data;
  if (const auto* text = value.as<std::string>()) return *text;
  const auto* object = value.as<pickle::Object>();
  if (object == nullptr) place.fail("has no bytes where they should be");
  const std::string& name = object->global().name;
  const std::vector<pickle::Ref>& args = object->arguments();
  if (name == "encode" && !args.empty())
    if (const auto* text = args[0]->as<std::string>()) return latin1_bytes(*text, place);
  if ((name == "bytes" || name == "bytearray") && args.empty()) return "";
  // bytearray(b"..."), or bytearray("...", "latin-1") of Python 2.
  if (name == "bytearray" && args.size() == 2)
    if (const auto* text = args[0]->as<std::string>()) return latin1_bytes(*text, place);
  if ((name == "bytes" || name == "bytearray") && args.size() == 1 && args[0]->as<pickle::Object>() == nullptr)
    return decode_bytes(*args[0], place);
  place.fail("has no bytes where they should be");
}

struct DType {
  char kind = 'O';  ///< as numpy's: b i u f S U O
  std::int64_t size = 0;
  bool swapped = false;
};

DType decode_dtype(const pickle::Value& value, const Place& place) {
  const auto* object = object_named(value, "dtype");
  const auto* name =
      object == nullptr || object->arguments().empty() ? nullptr : object->arguments()[0]->as<std::string>();
  if (name == nullptr || name->empty()) place.fail("has no type of values");
  DType type{.kind = name->front(), .size = 0, .swapped = false};
  const auto [end, error] = std::from_chars(name->data() + 1, name->data() + name->size(), type.size);
  const bool known = std::string_view("biufSUO").find(type.kind) != std::string_view::npos;
  if (!known || (type.kind != 'O' && (error != std::errc() || end != name->data() + name->size())) || type.size < 0 ||
      type.size > std::numeric_limits<std::int32_t>::max())
    place.fail("holds values of numpy's type '" + name->substr(0, 40) + "', which is not read",
               "convert them to numbers or text");
  if (type.kind == 'U') type.size *= 4;
  const auto* state = object->state == nullptr ? nullptr : object->state->as<pickle::Tuple>();
  const auto* order = state == nullptr || state->items.size() < 2 ? nullptr : state->items[1]->as<std::string>();
  type.swapped = order != nullptr && *order == ">";
  return type;
}

/// What a pickled array consists of.
struct Parts {
  DType type;
  std::vector<std::int64_t> shape;
  std::int64_t size = 1;
  bool fortran = false;
  pickle::Ref data = nullptr;
};

std::vector<std::int64_t> decode_shape(const pickle::Value& value, const Place& place) {
  constexpr std::size_t kMostDimensions = 32;
  std::vector<std::int64_t> shape;
  // A single number stands for one dimension.
  if (const auto* extent = value.as<std::int64_t>())
    shape.push_back(*extent);
  else if (const auto* tuple = value.as<pickle::Tuple>(); tuple != nullptr && tuple->items.size() <= kMostDimensions)
    for (pickle::Ref item : tuple->items) {
      const auto* extent_of_tuple = item->as<std::int64_t>();
      if (extent_of_tuple == nullptr) place.fail("has a shape that is none");
      shape.push_back(*extent_of_tuple);
    }
  else
    place.fail("has a shape that is none");
  for (const std::int64_t extent : shape)
    if (extent < 0) place.fail("has " + std::to_string(extent) + " in its shape");
  return shape;
}

void measure(Parts& parts, Budget& budget, const Place& place) {
  for (const std::int64_t extent : parts.shape)
    if (__builtin_mul_overflow(parts.size, extent, &parts.size)) place.fail("has a shape beyond all bounds");
  budget.spend(parts.size, place);
}

Parts parts_of(const pickle::Object& object, Budget& budget, const Place& place) {
  Parts parts;
  const std::vector<pickle::Ref>& args = object.arguments();
  const std::string& function = object.global().name;
  if (function == "_frombuffer" && args.size() == 4) {
    const auto* order = args[3]->as<std::string>();
    parts.type = decode_dtype(*args[1], place);
    parts.shape = decode_shape(*args[2], place);
    parts.fortran = order != nullptr && *order == "F";
    parts.data = args[0];
  } else if (function == "scalar" && args.size() == 2) {
    parts.type = decode_dtype(*args[0], place);
    parts.data = args[1];
  } else {
    const auto* state = object.state == nullptr ? nullptr : object.state->as<pickle::Tuple>();
    if (state == nullptr || state->items.size() < 4) place.fail("is an array without content");
    // In front of the four stands a version, save in the oldest.
    const std::size_t first = state->items.size() - 4;
    const auto* fortran = state->items[first + 2]->as<bool>();
    parts.shape = decode_shape(*state->items[first], place);
    parts.type = decode_dtype(*state->items[first + 1], place);
    parts.fortran = fortran != nullptr && *fortran;
    parts.data = state->items[first + 3];
  }
  measure(parts, budget, place);
  return parts;
}

template <class T>
T load(const char* at, bool swapped) {
  std::array<char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), at, sizeof(T));
  if (swapped) std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<T>(bytes);
}

double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  double value = 0;
  if (exponent == 0x1F)
    value = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  else
    value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

template <class T>
std::vector<std::int64_t> whole_numbers(std::string_view bytes, bool swapped, const Place& place) {
  std::vector<std::int64_t> values;
  values.reserve(bytes.size() / sizeof(T));
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    const T value = load<T>(bytes.data() + at, swapped);
    if (std::cmp_greater(value, std::numeric_limits<std::int64_t>::max()))
      place.fail("holds " + std::to_string(value) + ", which is beyond 64-bit whole numbers");
    values.push_back(static_cast<std::int64_t>(value));
  }
  return values;
}

Column::Values integers(const DType& type, std::string_view bytes, const Place& place) {
  const bool is_signed = type.kind == 'i';
  switch (type.size) {
    case 1:
      return is_signed ? whole_numbers<std::int8_t>(bytes, type.swapped, place)
                       : whole_numbers<std::uint8_t>(bytes, type.swapped, place);
    case 2:
      return is_signed ? whole_numbers<std::int16_t>(bytes, type.swapped, place)
                       : whole_numbers<std::uint16_t>(bytes, type.swapped, place);
    case 4:
      return is_signed ? whole_numbers<std::int32_t>(bytes, type.swapped, place)
                       : whole_numbers<std::uint32_t>(bytes, type.swapped, place);
    case 8:
      return is_signed ? whole_numbers<std::int64_t>(bytes, type.swapped, place)
                       : whole_numbers<std::uint64_t>(bytes, type.swapped, place);
    default:
      place.fail("holds whole numbers of " + std::to_string(type.size) + " bytes");
  }
}

Column::Values reals(const DType& type, std::string_view bytes, const Place& place) {
  if (type.size != 2 && type.size != 4 && type.size != 8)
    place.fail("holds numbers of " + std::to_string(type.size) + " bytes, which are not read");
  std::vector<double> values;
  for (std::size_t at = 0; at < bytes.size(); at += static_cast<std::size_t>(type.size)) {
    const char* const from = bytes.data() + at;
    values.push_back(type.size == 8   ? load<double>(from, type.swapped)
                     : type.size == 4 ? static_cast<double>(load<float>(from, type.swapped))
                                      : half_to_double(load<std::uint16_t>(from, type.swapped)));
  }
  return values;
}

std::string wide_text(std::string_view characters, bool swapped, const Place& place) {
  std::string text;
  std::size_t end = characters.size();
  while (end > 0 && load<std::uint32_t>(characters.data() + end - 4, false) == 0) end -= 4;
  for (std::size_t at = 0; at < end; at += 4) {
    const auto code = load<std::uint32_t>(characters.data() + at, swapped);
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) place.fail("holds text with a character that is none");
    append_utf8(text, code);
  }
  return text;
}

/// Text of fixed length, filled up with zeros.
Column::Values texts(const DType& type, std::int64_t size, std::string_view bytes, const Place& place) {
  std::vector<std::string> values;
  for (std::int64_t at = 0; at < size; ++at) {
    std::string_view item =
        bytes.substr(static_cast<std::size_t>(at * type.size), static_cast<std::size_t>(type.size));
    if (type.kind == 'U') {
      values.push_back(wide_text(item, type.swapped, place));
      continue;
    }
    item = item.substr(0, item.find_last_not_of('\0') + 1);
    values.push_back(valid_utf8(item));
  }
  return values;
}

Column numbers_or_texts(const Parts& parts, const Place& place) {
  const std::string bytes = decode_bytes(*parts.data, place);
  if (static_cast<std::int64_t>(bytes.size()) != parts.size * parts.type.size)
    place.fail("has " + std::to_string(bytes.size()) + " bytes for " + std::to_string(parts.size) + " values of " +
               std::to_string(parts.type.size));
  Column column;
  switch (parts.type.kind) {
    case 'b': {
      if (parts.type.size != 1) place.fail("holds truth values of more than a byte");
      Boolean truths;
      for (const char byte : bytes) truths.values.push_back(byte != 0);
      column.values = std::move(truths);
      break;
    }
    case 'f':
      column.values = reals(parts.type, bytes, place);
      break;
    case 'S':
    case 'U':
      column.values = texts(parts.type, parts.size, bytes, place);
      break;
    default:
      column.values = integers(parts.type, bytes, place);
  }
  return column;
}

Column objects(const Parts& parts, const Place& place) {
  const auto* list = parts.data->as<pickle::List>();
  const std::size_t n_items = list == nullptr ? 0 : list->items.size();
  if (list == nullptr || static_cast<std::int64_t>(n_items) != parts.size)
    place.fail("has " + std::to_string(n_items) + " objects for " + std::to_string(parts.size) + " values");
  std::vector<Scalar> values;
  for (pickle::Ref item : list->items) values.push_back(decode_scalar(*item, place));
  return column_of(values);
}

template <class T>
std::vector<T> reordered(const std::vector<T>& values, std::span<const std::int64_t> from) {
  std::vector<T> out;
  out.reserve(values.size());
  for (const std::int64_t at : from) out.push_back(values[static_cast<std::size_t>(at)]);
  return out;
}

/// Where each value in row-major order lies in column-major order.
std::vector<std::int64_t> column_major_places(const std::vector<std::int64_t>& shape, std::int64_t size) {
  std::vector<std::int64_t> strides;
  std::int64_t stride = 1;
  for (const std::int64_t extent : shape) {
    strides.push_back(stride);
    stride *= extent;
  }
  std::vector<std::int64_t> places;
  std::vector<std::int64_t> at(shape.size(), 0);
  std::int64_t place = 0;
  for (std::int64_t count = 0; count < size; ++count) {
    places.push_back(place);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      place += strides[axis];
      if (++at[axis] < shape[axis]) break;
      place -= at[axis] * strides[axis];
      at[axis] = 0;
    }
  }
  return places;
}

void to_row_major(Column& column, const Parts& parts) {
  if (!parts.fortran || parts.shape.size() < 2) return;
  const std::vector<std::int64_t> places = column_major_places(parts.shape, parts.size);
  std::visit(
      [&](auto& values) {
        if constexpr (requires { values.codes; })
          values.codes = reordered(values.codes, places);
        else if constexpr (requires { values.values; })
          values.values = reordered(values.values, places);
        else
          values = reordered(values, places);
      },
      column.values);
  if (!column.missing.empty()) column.missing = reordered(column.missing, places);
}

}  // namespace

bool is_array(const pickle::Value& value) {
  return object_named(value, "_reconstruct") != nullptr || object_named(value, "_frombuffer") != nullptr;
}

PickledArray decode_array(const pickle::Value& array, Budget& budget, const Place& place) {
  const auto* object = array.as<pickle::Object>();
  if (object == nullptr || !(is_array(array) || object_named(array, "scalar"))) place.fail("is no array");
  const Parts parts = parts_of(*object, budget, place);
  PickledArray decoded{parts.shape, parts.type.kind == 'O' ? objects(parts, place) : numbers_or_texts(parts, place)};
  to_row_major(decoded.column, parts);
  return decoded;
}

Scalar decode_scalar(const pickle::Value& value, const Place& place) {
  if (value.as<pickle::None>() != nullptr) return {};
  if (const auto* truth = value.as<bool>()) return *truth;
  if (const auto* whole = value.as<std::int64_t>()) return *whole;
  if (const auto* text = value.as<std::string>()) return *text;
  if (const auto* bytes = value.as<pickle::Bytes>()) return valid_utf8(bytes->data);
  if (const auto* real = value.as<double>()) return std::isnan(*real) ? Scalar{} : Scalar{*real};
  if (const auto* global = value.as<pickle::Global>(); global != nullptr && global->module.starts_with("pandas"))
    if (global->name == "NA" || global->name == "NaT") return {};
  if (object_named(value, "encode") != nullptr) return valid_utf8(decode_bytes(value, place));
  if (object_named(value, "scalar") != nullptr) {
    Budget one(1);
    const Column column = decode_array(value, one, place).column;
    if (column.is_missing(0)) return {};
    if (const auto* truths = std::get_if<Boolean>(&column.values)) return truths->values[0] != 0;
    if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) return whole->front();
    if (const auto* reals = std::get_if<std::vector<double>>(&column.values)) return reals->front();
    return column.text(0);
  }
  const auto* global = value.as<pickle::Global>();
  const auto* object = value.as<pickle::Object>();
  const std::string what = global != nullptr   ? "the name '" + global->qualified() + "'"
                           : object != nullptr ? "an object of '" + class_of(*object).qualified() + "'"
                                               : "a value";
  place.fail("holds " + what + " where numbers or text are expected");
}

namespace {

template <class T>
bool all_are(const std::vector<Scalar>& values) {
  return std::ranges::all_of(values, [](const Scalar& value) {
    return std::holds_alternative<std::monostate>(value) || std::holds_alternative<T>(value);
  });
}

template <class T>
std::vector<T> plain_values(const std::vector<Scalar>& values) {
  std::vector<T> out;
  for (const Scalar& value : values) {
    const auto* given = std::get_if<T>(&value);
    out.push_back(given == nullptr ? T{} : *given);
  }
  return out;
}

std::vector<double> as_reals(const std::vector<Scalar>& values) {
  std::vector<double> out;
  for (const Scalar& value : values) {
    if (const auto* whole = std::get_if<std::int64_t>(&value))
      out.push_back(static_cast<double>(*whole));
    else
      out.push_back(std::holds_alternative<double>(value) ? std::get<double>(value)
                                                          : std::numeric_limits<double>::quiet_NaN());
  }
  return out;
}

std::string text_of(const Scalar& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (std::holds_alternative<std::monostate>(value)) return "";
  return column_of({value}).text(0);
}

}  // namespace

Column column_of(const std::vector<Scalar>& values) {
  Column column;
  bool any_missing = false;
  for (const Scalar& value : values) {
    column.missing.push_back(std::holds_alternative<std::monostate>(value));
    any_missing |= column.missing.back() != 0;
  }
  if (!any_missing) column.missing.clear();
  const bool all_numbers = std::ranges::none_of(values, [](const Scalar& value) {
    return std::holds_alternative<std::string>(value) || std::holds_alternative<bool>(value);
  });
  const bool none_known = column.missing.size() == values.size() &&
                          std::ranges::all_of(column.missing, [](std::uint8_t flag) { return flag != 0; });
  if (none_known || all_are<std::string>(values)) {
    column.values = plain_values<std::string>(values);
  } else if (all_are<bool>(values)) {
    Boolean truths;
    for (const bool truth : plain_values<bool>(values)) truths.values.push_back(truth);
    column.values = std::move(truths);
  } else if (all_are<std::int64_t>(values)) {
    column.values = plain_values<std::int64_t>(values);
  } else if (all_numbers) {
    column.values = as_reals(values);
  } else {
    std::vector<std::string> mixed;
    for (const Scalar& value : values) mixed.push_back(text_of(value));
    column.values = std::move(mixed);
  }
  return column;
}

std::vector<std::int64_t> decode_integers(const pickle::Value& value, Budget& budget, const Place& place) {
  if (const auto* list = value.as<pickle::List>()) {
    budget.spend(std::ssize(list->items), place);
    std::vector<std::int64_t> numbers;
    for (pickle::Ref item : list->items) {
      const auto* number = item->as<std::int64_t>();
      if (number == nullptr) place.fail("holds something else where whole numbers are expected");
      numbers.push_back(*number);
    }
    return numbers;
  }
  Column column = decode_array(value, budget, place).column;
  auto* numbers = std::get_if<std::vector<std::int64_t>>(&column.values);
  if (numbers == nullptr) place.fail("holds something else where whole numbers are expected");
  return std::move(*numbers);
}

}  // namespace scvi::io::pickled
