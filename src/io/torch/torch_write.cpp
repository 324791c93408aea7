#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "torch_records.hpp"

namespace scvi::io {

using namespace torch_detail;

namespace {

/// Writes the pickle that Python's pickler makes of an OrderedDict of tensors, instruction for instruction, with one
/// memo slot for each object that it would remember.
class StateDictPickler {
 public:
  std::string run(std::span<const NamedTensor> tensors) {
    out_ = "\x80\x02";
    put_global("collections", "OrderedDict");
    out_ += ")R";
    memoize();
    for (std::size_t first = 0; first < tensors.size(); first += kBatch) {
      put_batch(tensors.subspan(first, std::min(kBatch, tensors.size() - first)), first);
    }
    return std::move(out_) + ".";
  }

 private:
  static constexpr std::size_t kBatch = 1000;

  template <class T>
  void put_raw(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
  }

  void put_with_index(char opcode_of_byte, char opcode_of_word, std::uint32_t index) {
    if (index <= 0xFF) {
      out_ += opcode_of_byte;
      put_raw(static_cast<std::uint8_t>(index));
    } else {
      out_ += opcode_of_word;
      put_raw(index);
    }
  }

  void memoize() { put_with_index('q', 'r', n_memoized_++); }

  /// Puts what is equal to an earlier one as a reference to it. Returns whether it was.
  bool put_known(const std::string& what) {
    const auto known = known_.find(what);
    if (known != known_.end()) {
      put_with_index('h', 'j', known->second);
      return true;
    }
    known_.emplace(what, n_memoized_);
    return false;
  }

  void put_global(std::string_view module, std::string_view name) {
    const std::string instruction = "c" + std::string(module) + "\n" + std::string(name) + "\n";
    if (put_known(instruction)) return;
    out_ += instruction;
    memoize();
  }

  void put_text(std::string_view text) {
    out_ += 'X';
    put_raw(static_cast<std::uint32_t>(text.size()));
    out_ += text;
    memoize();
  }

  void put_shared_text(const std::string& text) {
    if (!put_known("X" + text)) put_text(text);
  }

  void put_integer(std::int64_t value) {
    if (value <= 0xFF) {
      out_ += 'K';
      put_raw(static_cast<std::uint8_t>(value));
    } else if (value <= 0xFFFF) {
      out_ += 'M';
      put_raw(static_cast<std::uint16_t>(value));
    } else if (value <= std::numeric_limits<std::int32_t>::max()) {
      out_ += 'J';
      put_raw(static_cast<std::int32_t>(value));
    } else {
      put_long(value);
    }
  }

  void put_long(std::int64_t value) {
    // The fewest bytes whose top bit is clear, as the top bit is the sign.
    const int n_bytes = (std::bit_width(static_cast<std::uint64_t>(value)) + 8) / 8;
    out_ += '\x8a';
    out_ += static_cast<char>(n_bytes);
    out_.append(reinterpret_cast<const char*>(&value), static_cast<std::size_t>(n_bytes));
  }

  void put_tuple(std::span<const std::int64_t> values) {
    constexpr std::string_view kShort = ")\x85\x86\x87";
    if (values.size() >= kShort.size()) out_ += '(';
    for (const std::int64_t value : values) put_integer(value);
    out_ += values.size() < kShort.size() ? kShort[values.size()] : 't';
    if (!values.empty()) memoize();
  }

  void put_storage(const NamedTensor& tensor, std::size_t index) {
    out_ += '(';
    put_shared_text("storage");
    put_global("torch", storage_kind(tensor.type).name);
    put_text(std::to_string(index));
    put_shared_text("cpu");
    put_integer(tensor.n_elements());
    out_ += 't';
    memoize();
    out_ += 'Q';
  }

  static std::vector<std::int64_t> contiguous_strides(const std::vector<std::int64_t>& shape) {
    std::vector<std::int64_t> strides(shape.size());
    std::int64_t stride = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      strides[i] = stride;
      stride *= std::max<std::int64_t>(shape[i], 1);
    }
    return strides;
  }

  void put_tensor(const NamedTensor& tensor, std::size_t index) {
    put_global("torch._utils", "_rebuild_tensor_v2");
    out_ += '(';
    put_storage(tensor, index);
    put_integer(0);
    put_tuple(tensor.shape);
    put_tuple(contiguous_strides(tensor.shape));
    out_ += '\x89';
    put_global("collections", "OrderedDict");
    out_ += ")R";
    memoize();
    out_ += 't';
    memoize();
    out_ += 'R';
    memoize();
  }

  void put_batch(std::span<const NamedTensor> tensors, std::size_t first) {
    if (tensors.size() > 1) out_ += '(';
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      put_text(tensors[i].name);
      put_tensor(tensors[i], first + i);
    }
    out_ += tensors.size() > 1 ? 'u' : 's';
  }

  std::string out_;
  std::uint32_t n_memoized_ = 0;
  std::unordered_map<std::string, std::uint32_t> known_;
};

void check_writable(std::span<const NamedTensor> tensors) {
  std::unordered_set<std::string_view> names;
  for (const NamedTensor& tensor : tensors) {
    const std::string field = describe_tensor(tensor.name);
    if (!names.insert(tensor.name).second) throw InputError({.problem = "is given twice", .field = field});
    if (!is_valid_utf8(tensor.name)) throw InputError({.problem = "has a name that is not UTF-8", .field = field});
    const auto n_elements = static_cast<std::uint64_t>(tensor.n_elements());
    const std::uint64_t size = element_size(tensor.type);
    if (tensor.bytes.size() % size == 0 && tensor.bytes.size() / size == n_elements) continue;
    throw InputError({.problem = "of shape " + describe_shape(tensor.shape) + " has " +
                                 std::to_string(tensor.bytes.size()) + " bytes instead of " +
                                 std::to_string(n_elements) + " times " + std::to_string(size),
                      .field = field});
  }
}

}  // namespace

void write_torch_archive(const std::string& path, std::span<const NamedTensor> tensors) {
  check_writable(tensors);
  const std::string description = StateDictPickler().run(tensors);
  constexpr std::string_view kByteOrder = "little";
  constexpr std::string_view kVersion = "3\n";
  RecordWriter writer(path);
  writer.add("data.pkl", description.data(), description.size());
  writer.add("byteorder", kByteOrder.data(), kByteOrder.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    writer.add("data/" + std::to_string(i), tensors[i].bytes.data(), tensors[i].bytes.size());
  }
  writer.add("version", kVersion.data(), kVersion.size());
  writer.close();
}

}  // namespace scvi::io
