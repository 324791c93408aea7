#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// Python pickles (protocols 0 to 5) read as plain data. Nothing in a pickle is looked up, imported or executed:
/// names of classes and functions stay names, and what a pickle would call becomes a record of the call.
namespace scvi::io::pickle {

struct Value;
/// Another value of the same document; lives as long as the Document. Several values may refer to one.
using Ref = const Value*;
using Pairs = std::vector<std::pair<Ref, Ref>>;

struct None {};

/// A whole number beyond 64 bits: two's complement, least significant byte first.
struct BigInteger {
  std::string bytes;
};

/// `bytes` or `bytearray`, or a Python 2 string that is not UTF-8.
struct Bytes {
  std::string data;
};

struct List {
  std::vector<Ref> items;
};

struct Tuple {
  std::vector<Ref> items;
};

/// `set` or `frozenset`, in the order of the file.
struct Set {
  std::vector<Ref> items;
};

/// In the order of the file. A key may come twice (the last one counts in Python).
struct Dict {
  Pairs items;
};

/// The name of a class or function: `collections.OrderedDict`.
struct Global {
  std::string module;
  std::string name;

  std::string qualified() const { return module + "." + name; }
  bool is(std::string_view of_module, std::string_view of_name) const {
    return module == of_module && name == of_name;
  }
};

/// What Python would have made by calling `callable` with `args`, and what it would then have put into it.
struct Object {
  Ref callable = nullptr;  ///< always a Global
  Ref args = nullptr;      ///< always a Tuple
  Ref kwargs = nullptr;    ///< a Dict, or nullptr
  Ref state = nullptr;     ///< what `__setstate__` would get, or nullptr
  std::vector<Ref> items;  ///< appended, as to a list or a set
  Pairs pairs;             ///< set, as in a dictionary

  const Global& global() const;
  const std::vector<Ref>& arguments() const;
};

/// A reference to something kept outside of the pickle, such as a storage of a torch archive.
struct PersistentId {
  Ref id = nullptr;
};

struct Value {
  std::variant<None, bool, std::int64_t, double, std::string, BigInteger, Bytes, List, Tuple, Set, Dict, Global,
               Object, PersistentId>
      data;

  /// The value as a T, or nullptr when it is something else.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
};

/// A parsed pickle. No value contains itself, and none is nested deeper than Options::max_depth, so recursion over it
/// ends; but as values are shared, a walk along all paths may be exponentially longer than the document.
class Document {
 public:
  const Value& root() const { return *root_; }

 private:
  friend class Parser;
  std::deque<Value> values_;
  Ref root_ = nullptr;
};

struct Options {
  /// Whether a pickle may make an Object from this name (module, name). Nothing is called either way; refusing says
  /// which content is expected. Default: none. Names that are merely mentioned need no permission.
  std::function<bool(std::string_view, std::string_view)> may_construct = {};
  std::int64_t max_values = 8'000'000;  ///< values and references to them, in all; one takes about 100 bytes
  std::int64_t max_depth = 200;         ///< of nesting
  std::string file = {};                ///< for messages: the file that holds the pickle
  std::string field = "pickle";         ///< for messages: where in it
  std::string remedy = {};              ///< for messages: what to do about a name that may_construct refuses
};

/// Reads the one pickle that `bytes` holds.
/// @throws FormatError when it is damaged or truncated, goes on after its end, exceeds a limit, contains itself,
///         would construct something that is not permitted, or uses extension codes or out-of-band buffers
Document parse(std::span<const std::byte> bytes, const Options& options);

}  // namespace scvi::io::pickle
