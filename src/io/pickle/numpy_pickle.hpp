#pragma once

// Arrays of numpy and values of Python as pickles keep them.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "scvi/io/pandas_pickle.hpp"
#include "scvi/io/pickle.hpp"

namespace scvi::io::pickled {

/// For messages: where something lies.
struct Place {
  std::string file;
  std::string field;

  [[noreturn]] void fail(std::string problem, std::string remedy = "") const;
};

/// Values that may still be decoded, counted down: parts of a pickle may be shared without end.
class Budget {
 public:
  explicit Budget(std::int64_t n_values) : left_(n_values) {}
  void spend(std::int64_t n_values, const Place& place);

 private:
  std::int64_t left_;
};

/// A plain value of Python; monostate where it is missing (None, nan, pandas.NA).
using Scalar = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

/// The class that an object is of, or the function that makes it.
const pickle::Global& class_of(const pickle::Object& object);
/// Whether the value is an object made by a class or function of that name. (Which modules may be named is settled
/// when the pickle is parsed.)
const pickle::Object* object_named(const pickle::Value& value, std::string_view name);
/// The entry of a dictionary, or nullptr.
pickle::Ref entry_of(const pickle::Value& dictionary, std::string_view key);

bool is_array(const pickle::Value& value);
PickledArray decode_array(const pickle::Value& array, Budget& budget, const Place& place);
/// @throws FormatError when it is no plain value
Scalar decode_scalar(const pickle::Value& value, const Place& place);
/// The values as a column of the narrowest kind that holds them all: truth values, whole numbers, numbers, text.
Column column_of(const std::vector<Scalar>& values);
/// Whole numbers of an array or list. @throws FormatError when it holds anything else
std::vector<std::int64_t> decode_integers(const pickle::Value& value, Budget& budget, const Place& place);

}  // namespace scvi::io::pickled
