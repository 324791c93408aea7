#include "scvi/io/pickle.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "pickle_literals.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "utf8.hpp"

static_assert(std::endian::native == std::endian::little, "pickles are read in place as little-endian");

namespace scvi::io::pickle {

const Global& Object::global() const {
  return *callable->as<Global>();
}

const std::vector<Ref>& Object::arguments() const {
  return args->as<Tuple>()->items;
}

namespace {

constexpr int kNewestProtocol = 5;

/// The number that all of `text` spells, or nothing.
template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Whether the text could name a Python module or class, and is fit to be shown in a message.
bool is_plain_name(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  return !text.empty() && text.size() <= kLongest && is_valid_utf8(text) && std::ranges::none_of(text, is_control);
}

/// Two's complement, least significant byte first; an empty one is zero.
std::variant<std::int64_t, BigInteger> decode_long(std::string_view bytes) {
  if (bytes.size() > sizeof(std::int64_t)) return BigInteger{std::string(bytes)};
  const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  std::int64_t value = negative ? -1 : 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return value;
}

}  // namespace

/// The stack machine that a pickle is a program for, with every effect on the outside left out.
class Parser {
 public:
  Parser(std::string_view bytes, const Options& options) : bytes_(bytes), options_(options) {}

  Document run() {
    while (!finished_) {
      opcode_at_ = at_;
      step(read<std::uint8_t>());
    }
    if (at_ != bytes_.size()) fail("ends, but " + std::to_string(bytes_.size() - at_) + " more bytes follow");
    check_nesting();
    return std::move(document_);
  }

 private:
  using Data = decltype(Value::data);

  [[noreturn]] void fail(std::string problem, std::string remedy = "") const {
    throw FormatError({.problem = std::move(problem),
                       .file = options_.file,
                       .field = options_.field + ", byte " + std::to_string(opcode_at_) + ",",
                       .remedy = std::move(remedy)});
  }

  // Reading.

  std::string_view take(std::uint64_t size) {
    const std::uint64_t left = bytes_.size() - at_;
    if (size > left) {
      fail("needs " + std::to_string(size) + " bytes, but only " + std::to_string(left) + " are left",
           "the file is truncated or damaged");
    }
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }

  template <class T>
  T read() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  double read_big_endian_double() {
    std::uint64_t bits = 0;
    for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
    return std::bit_cast<double>(bits);
  }

  std::string_view line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("has a line without an end", "the file is truncated or damaged");
    const std::string_view text = take(end - at_);
    at_ += 1;
    return text;
  }

  std::string_view sized_by_int32() {
    const auto size = read<std::int32_t>();
    if (size < 0) fail("has a length of " + std::to_string(size));
    return take(static_cast<std::uint64_t>(size));
  }

  // The stack.

  /// Items below the last mark are out of reach until the mark is taken.
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  void check_count(std::int64_t count) const {
    if (count <= options_.max_values) return;
    fail("holds more than " + with_thousands(options_.max_values) + " values, the most that is read");
  }

  void push(Value* value) {
    check_count(++n_values_);
    stack_.push_back(value);
  }

  void mark() {
    marks_.push_back(stack_.size());
    check_count(std::ssize(marks_));
  }

  void push(Data data) {
    document_.values_.push_back(Value{std::move(data)});
    push(&document_.values_.back());
  }

  Value* top() const {
    if (stack_.size() <= floor()) fail("takes a value where there is none");
    return stack_.back();
  }

  Value* pop() {
    Value* value = top();
    stack_.pop_back();
    return value;
  }

  std::vector<Ref> pop_last(std::size_t count) {
    if (stack_.size() - floor() < count) fail("takes a value where there is none");
    std::vector<Ref> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }

  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) fail("takes a mark where there is none");
    std::vector<Ref> items = pop_last(stack_.size() - marks_.back());
    marks_.pop_back();
    return items;
  }

  Pairs pop_pairs_to_mark() {
    const std::vector<Ref> items = pop_to_mark();
    if (items.size() % 2 != 0) fail("sets a key without a value");
    Pairs pairs;
    pairs.reserve(items.size() / 2);
    for (std::size_t i = 0; i < items.size(); i += 2) pairs.emplace_back(items[i], items[i + 1]);
    return pairs;
  }

  template <class T>
  void push_items_to_mark() {
    std::vector<Ref> items = pop_to_mark();
    push(T{std::move(items)});
  }

  /// POP drops a mark where one is on top, as Python does.
  void drop() {
    if (!marks_.empty() && marks_.back() == stack_.size()) {
      marks_.pop_back();
    } else {
      pop();
    }
  }

  // Simple values.

  void push_text(std::string_view text) {
    if (!is_valid_utf8(text)) fail("has a text that is not UTF-8");
    push(std::string(text));
  }

  /// Strings of Python 2 have no encoding.
  void push_python2_string(std::string_view text) {
    if (is_valid_utf8(text)) return push(std::string(text));
    push(Bytes{std::string(text)});
  }

  void push_bytes(std::string_view data) { push(Bytes{std::string(data)}); }

  void push_quoted() {
    const auto text = unquote(line());
    if (!text) fail("has a string that is not well quoted");
    push_python2_string(*text);
  }

  void push_escaped() {
    const auto text = decode_raw_unicode_escape(line());
    if (!text) fail("has a text with a bad escape");
    push_text(*text);
  }

  void push_integer_line() {
    std::string_view text = line();
    if (text == "00" || text == "01") return push(text == "01");
    if (text.ends_with('L')) text.remove_suffix(1);
    const auto value = parse_number<std::int64_t>(text);
    if (!value) fail("has '" + std::string(text.substr(0, 40)) + "' for a whole number of at most 64 bits");
    push(*value);
  }

  void push_float_line() {
    const std::string_view text = line();
    const auto value = parse_number<double>(text);
    if (!value) fail("has '" + std::string(text.substr(0, 40)) + "' for a number");
    push(*value);
  }

  void push_long(std::string_view bytes) {
    std::visit([this](auto value) { push(std::move(value)); }, decode_long(bytes));
  }

  // The memo.

  void memoize(std::int64_t index) {
    memo_[index] = top();
    check_count(std::ssize(memo_));
  }

  void recall(std::int64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail("refers to value " + std::to_string(index) + ", which has not been stored");
    push(found->second);
  }

  std::int64_t index_line() {
    const auto index = parse_number<std::int64_t>(line());
    if (!index || *index < 0) fail("refers to a value by something that is not a number");
    return *index;
  }

  // Containers.

  void append(Value* target, std::vector<Ref> items) {
    std::vector<Ref>* into = nullptr;
    if (auto* list = std::get_if<List>(&target->data)) into = &list->items;
    if (auto* object = std::get_if<Object>(&target->data)) into = &object->items;
    if (into == nullptr) fail("appends to something that is not a list");
    into->insert(into->end(), items.begin(), items.end());
  }

  void append_one() {
    std::vector<Ref> item = pop_last(1);
    append(top(), std::move(item));
  }

  void append_to_mark() {
    std::vector<Ref> items = pop_to_mark();
    append(top(), std::move(items));
  }

  void add_to_set() {
    const std::vector<Ref> items = pop_to_mark();
    auto* set = std::get_if<Set>(&top()->data);
    if (set == nullptr) return append(top(), items);
    set->items.insert(set->items.end(), items.begin(), items.end());
  }

  void set_pairs(const Pairs& pairs) {
    Pairs* into = nullptr;
    if (auto* dict = std::get_if<Dict>(&top()->data)) into = &dict->items;
    if (auto* object = std::get_if<Object>(&top()->data)) into = &object->pairs;
    if (into == nullptr) fail("sets a key of something that is not a dictionary");
    into->insert(into->end(), pairs.begin(), pairs.end());
  }

  void set_one() {
    const std::vector<Ref> pair = pop_last(2);
    set_pairs({{pair[0], pair[1]}});
  }

  void push_dict_to_mark() {
    Pairs pairs = pop_pairs_to_mark();
    push(Dict{std::move(pairs)});
  }

  // Names and what would be made of them.

  void push_global(std::string_view module, std::string_view name) {
    if (!is_plain_name(module) || !is_plain_name(name)) fail("names a class by something that is not a name");
    push(Global{std::string(module), std::string(name)});
  }

  void push_global_lines() {
    const std::string_view module = line();
    const std::string_view name = line();
    push_global(module, name);
  }

  void push_global_from_stack() {
    const std::vector<Ref> parts = pop_last(2);
    const auto* module = parts[0]->as<std::string>();
    const auto* name = parts[1]->as<std::string>();
    if (module == nullptr || name == nullptr) fail("names a class by something that is not text");
    push_global(*module, *name);
  }

  void construct(Ref callable, Ref args, Ref kwargs = nullptr) {
    const auto* global = callable->as<Global>();
    if (global == nullptr) fail("calls something that is not a named class or function");
    if (args->as<Tuple>() == nullptr) fail("calls '" + global->qualified() + "' with something else than a tuple");
    if (kwargs != nullptr && kwargs->as<Dict>() == nullptr) {
      fail("calls '" + global->qualified() + "' with keywords that are not a dictionary");
    }
    if (!options_.may_construct || !options_.may_construct(global->module, global->name)) {
      fail("would call '" + global->qualified() + "', which plain data does not need; nothing was executed",
           options_.remedy);
    }
    push(Object{.callable = callable, .args = args, .kwargs = kwargs, .state = nullptr, .items = {}, .pairs = {}});
  }

  void construct_from_stack() {
    const std::vector<Ref> parts = pop_last(2);
    construct(parts[0], parts[1]);
  }

  void construct_with_keywords() {
    const std::vector<Ref> parts = pop_last(3);
    construct(parts[0], parts[1], parts[2]);
  }

  void construct_instance() {
    push_global_lines();
    Ref callable = pop();
    push_items_to_mark<Tuple>();
    construct(callable, pop());
  }

  void construct_to_mark() {
    std::vector<Ref> items = pop_to_mark();
    if (items.empty()) fail("makes an object without a class");
    Ref callable = items.front();
    items.erase(items.begin());
    push(Tuple{std::move(items)});
    construct(callable, pop());
  }

  void set_state() {
    Ref state = pop();
    auto* object = std::get_if<Object>(&top()->data);
    if (object == nullptr) fail("sets the state of something that is not an object");
    object->state = state;
  }

  void push_persistent_line() {
    push_text(line());
    push(PersistentId{pop()});
  }

  // The program.

  void finish() {
    document_.root_ = pop();
    if (!stack_.empty() || !marks_.empty()) fail("ends with values left over");
    finished_ = true;
  }

  void check_protocol() {
    const int protocol = read<std::uint8_t>();
    if (protocol > kNewestProtocol) {
      fail("is of protocol " + std::to_string(protocol) + ", but protocols up to " + std::to_string(kNewestProtocol) +
           " are known");
    }
  }

  /// A frame only says how much may be read ahead.
  void check_frame() {
    const auto size = read<std::uint64_t>();
    if (size > bytes_.size() - at_)
      fail("has a frame that goes on after the end", "the file is truncated or damaged");
  }

  /// The instructions of protocol 0, which are text; later ones are binary.
  void step(std::uint8_t opcode) {
    switch (opcode) {
      case '(':
        return mark();
      case '.':
        return finish();
      case '0':
        return drop();
      case '1':
        return static_cast<void>(pop_to_mark());
      case '2':
        return push(top());
      case 'F':
        return push_float_line();
      case 'I':
        return push_integer_line();
      case 'L':
        return push_integer_line();
      case 'N':
        return push(None{});
      case 'P':
        return push_persistent_line();
      case 'R':
        return construct_from_stack();
      case 'S':
        return push_quoted();
      case 'V':
        return push_escaped();
      case 'a':
        return append_one();
      case 'b':
        return set_state();
      case 'c':
        return push_global_lines();
      case 'd':
        return push_dict_to_mark();
      case 'g':
        return recall(index_line());
      case 'i':
        return construct_instance();
      case 'l':
        return push_items_to_mark<List>();
      case 'p':
        return memoize(index_line());
      case 's':
        return set_one();
      case 't':
        return push_items_to_mark<Tuple>();
      default:
        return step_protocol_1(opcode);
    }
  }

  void step_protocol_1(std::uint8_t opcode) {
    switch (opcode) {
      case 'G':
        return push(read_big_endian_double());
      case 'J':
        return push(std::int64_t{read<std::int32_t>()});
      case 'K':
        return push(std::int64_t{read<std::uint8_t>()});
      case 'M':
        return push(std::int64_t{read<std::uint16_t>()});
      case 'Q':
        return push(PersistentId{pop()});
      case 'T':
        return push_python2_string(sized_by_int32());
      case 'U':
        return push_python2_string(take(read<std::uint8_t>()));
      case 'X':
        return push_text(take(read<std::uint32_t>()));
      case ')':
        return push(Tuple{});
      case ']':
        return push(List{});
      case '}':
        return push(Dict{});
      case 'e':
        return append_to_mark();
      case 'h':
        return recall(read<std::uint8_t>());
      case 'j':
        return recall(read<std::uint32_t>());
      case 'o':
        return construct_to_mark();
      case 'q':
        return memoize(read<std::uint8_t>());
      case 'r':
        return memoize(read<std::uint32_t>());
      case 'u':
        return set_pairs(pop_pairs_to_mark());
      default:
        return step_from_protocol_2(opcode);
    }
  }

  void step_from_protocol_2(std::uint8_t opcode) {
    switch (opcode) {
      case 0x80:
        return check_protocol();
      case 0x81:
        return construct_from_stack();
      case 0x85:
        return push(Tuple{pop_last(1)});
      case 0x86:
        return push(Tuple{pop_last(2)});
      case 0x87:
        return push(Tuple{pop_last(3)});
      case 0x88:
        return push(true);
      case 0x89:
        return push(false);
      case 0x8a:
        return push_long(take(read<std::uint8_t>()));
      case 0x8b:
        return push_long(sized_by_int32());
      // Protocol 3
      case 'B':
        return push_bytes(take(read<std::uint32_t>()));
      case 'C':
        return push_bytes(take(read<std::uint8_t>()));
      // Protocol 4
      case 0x8c:
        return push_text(take(read<std::uint8_t>()));
      case 0x8d:
        return push_text(take(read<std::uint64_t>()));
      case 0x8e:
        return push_bytes(take(read<std::uint64_t>()));
      case 0x8f:
        return push(Set{});
      case 0x90:
        return add_to_set();
      case 0x91:
        return push_items_to_mark<Set>();
      case 0x92:
        return construct_with_keywords();
      case 0x93:
        return push_global_from_stack();
      case 0x94:
        return memoize(static_cast<std::int64_t>(memo_.size()));
      case 0x95:
        return check_frame();
      // Protocol 5
      case 0x96:
        return push_bytes(take(read<std::uint64_t>()));
      default:
        fail_for_opcode(opcode);
    }
  }

  [[noreturn]] void fail_for_opcode(std::uint8_t opcode) const {
    if (opcode >= 0x82 && opcode <= 0x84) fail("uses an extension code, which only its writer can know");
    if (opcode == 0x97 || opcode == 0x98) fail("refers to a buffer outside of the pickle, which is not there");
    fail("has the unknown instruction " + std::to_string(opcode), "the file is damaged, or not a pickle");
  }

  // Nesting.

  static bool is_container(const Value& value) {
    return value.as<List>() || value.as<Tuple>() || value.as<Set>() || value.as<Dict>() || value.as<PersistentId>() ||
           value.as<Object>();
  }

  static std::vector<Ref> children(const Value& value) {
    std::vector<Ref> all;
    const auto add = [&all](const std::vector<Ref>& items) { all.insert(all.end(), items.begin(), items.end()); };
    const auto add_pairs = [&all](const Pairs& pairs) {
      for (const auto& [key, item] : pairs) all.insert(all.end(), {key, item});
    };
    if (const auto* list = value.as<List>()) add(list->items);
    if (const auto* tuple = value.as<Tuple>()) add(tuple->items);
    if (const auto* set = value.as<Set>()) add(set->items);
    if (const auto* dict = value.as<Dict>()) add_pairs(dict->items);
    if (const auto* persistent = value.as<PersistentId>()) all.push_back(persistent->id);
    if (const auto* object = value.as<Object>()) {
      for (Ref part : {object->args, object->kwargs, object->state}) {
        if (part != nullptr) all.push_back(part);
      }
      add(object->items);
      add_pairs(object->pairs);
    }
    return all;
  }

  struct Visit {
    Ref value;
    std::vector<Ref> children;
    std::size_t next = 0;
    std::int64_t height = 1;
  };

  /// Refuses cycles and deep nesting of containers, without recursion of its own. A finished value keeps its height,
  /// so every value is visited once however often it is shared.
  void check_nesting() {
    constexpr std::int64_t kOpen = 0;
    std::unordered_map<Ref, std::int64_t> heights;
    std::vector<Visit> path;
    const auto enter = [&](Ref value) {
      heights[value] = kOpen;
      path.push_back({.value = value, .children = children(*value)});
      if (std::ssize(path) > options_.max_depth) fail_for_depth();
    };
    enter(document_.root_);
    while (!path.empty()) {
      Visit& visit = path.back();
      if (visit.next == visit.children.size()) {
        heights[visit.value] = visit.height;
        path.pop_back();
        continue;
      }
      Ref child = visit.children[visit.next];
      if (!is_container(*child)) {
        ++visit.next;
        continue;
      }
      const auto known = heights.find(child);
      if (known == heights.end()) {
        enter(child);
        continue;
      }
      if (known->second == kOpen) fail("holds a value that contains itself");
      visit.height = std::max(visit.height, known->second + 1);
      if (visit.height + std::ssize(path) - 1 > options_.max_depth) fail_for_depth();
      ++visit.next;
    }
  }

  [[noreturn]] void fail_for_depth() const {
    fail("is nested more than " + std::to_string(options_.max_depth) + " levels deep, the most that is read");
  }

  std::string_view bytes_;
  const Options& options_;
  std::size_t at_ = 0;
  std::size_t opcode_at_ = 0;
  bool finished_ = false;
  std::int64_t n_values_ = 0;
  std::vector<Value*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::int64_t, Value*> memo_;
  Document document_;
};

Document parse(std::span<const std::byte> bytes, const Options& options) {
  return Parser({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, options).run();
}

}  // namespace scvi::io::pickle
