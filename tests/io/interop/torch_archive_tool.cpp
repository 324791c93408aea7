// What check_torch_archive.py runs.
//   torch_archive_tool write FILE JSON   writes a sample archive, and what it holds as JSON
//   torch_archive_tool dump FILE JSON    reads an archive and writes what it holds as JSON
// JSON: a list of {"name", "dtype", "shape", "hex"}, in the order of the file.

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "scvi/core/error.hpp"
#include "scvi/io/torch_archive.hpp"

namespace {

using scvi::io::NamedTensor;
using Type = NamedTensor::Type;

std::string dtype(Type type) {
  switch (type) {
    case Type::float32:
      return "float32";
    case Type::float64:
      return "float64";
    case Type::float16:
      return "float16";
    case Type::int64:
      return "int64";
    case Type::int32:
      return "int32";
    case Type::uint8:
      return "uint8";
    case Type::boolean:
      return "bool";
  }
  return "";
}

template <class T>
NamedTensor make(std::string name, Type type, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  NamedTensor tensor{.name = std::move(name), .type = type, .shape = std::move(shape), .bytes = {}};
  tensor.bytes.resize(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = std::sin(static_cast<float>(i));
  return values;
}

/// Names and shapes as in scVI, every type and rank, and enough tensors to need all widths of memo indices and more
/// than one batch of a pickled dictionary.
std::vector<NamedTensor> sample() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<NamedTensor> tensors = {
      make("z_encoder.encoder.fc_layers.Layer 0.0.weight", Type::float32, {128, 100}, ramp(12800)),
      make("z_encoder.encoder.fc_layers.Layer 0.1.num_batches_tracked", Type::int64, {},
           std::vector<std::int64_t>{9'000'000'000}),
      make("px_r", Type::float32, {7}, std::vector<float>{0, -0.0F, kInfinity, -kInfinity, NAN, 1e-42F, 3e38F}),
      make("four dimensions", Type::float64, {2, 3, 1, 2}, std::vector<double>(12, 0.1)),
      make("half", Type::float16, {1, 2}, std::vector<std::uint16_t>{0x3C00, 0x7BFF}),
      make("int32", Type::int32, {2}, std::vector<std::int32_t>{-1, 1 << 30}),
      make("bytes", Type::uint8, {3}, std::vector<std::uint8_t>{0, 128, 255}),
      make("truth", Type::boolean, {2}, std::vector<std::uint8_t>{1, 0}),
      make("no rows", Type::float32, {0, 3}, std::vector<float>{}),
      make("wide", Type::uint8, {70000}, std::vector<std::uint8_t>(70000, 7)),
      make("grüße", Type::float32, {300}, ramp(300)),
  };
  while (tensors.size() < 2001) {
    const auto i = static_cast<float>(tensors.size());
    tensors.push_back(make("many." + std::to_string(tensors.size()), Type::float32, {1}, std::vector<float>{i}));
  }
  return tensors;
}

std::string hex(const std::vector<std::byte>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

void write_json(const std::string& path, const std::vector<NamedTensor>& tensors) {
  nlohmann::json list = nlohmann::json::array();
  for (const NamedTensor& tensor : tensors) {
    list.push_back(
        {{"name", tensor.name}, {"dtype", dtype(tensor.type)}, {"shape", tensor.shape}, {"hex", hex(tensor.bytes)}});
  }
  std::ofstream(path) << list;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string command = argv[1];
  try {
    if (command == "write") {
      const std::vector<NamedTensor> tensors = sample();
      scvi::io::write_torch_archive(argv[2], tensors);
      write_json(argv[3], tensors);
    } else {
      write_json(argv[3], scvi::io::read_torch_archive(argv[2]));
    }
  } catch (const scvi::Error& error) {
    std::cerr << error.what() << '\n';
    return 3;
  }
  return 0;
}
