#include "scvi/io/torch_archive.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <string>

#include "scvi/core/error.hpp"
#include "testing.hpp"

using namespace std::string_literals;

namespace scvi::io {
namespace {

using Type = NamedTensor::Type;
using Sizes = std::vector<std::int64_t>;

template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <class T>
NamedTensor make(std::string name, Type type, Sizes shape, const std::vector<T>& values) {
  NamedTensor tensor{.name = std::move(name), .type = type, .shape = std::move(shape), .bytes = {}};
  tensor.bytes.resize(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

template <class T>
std::vector<T> values_of(const NamedTensor& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_contents(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::vector<NamedTensor> read_bytes(std::string_view bytes) {
  const testing::TemporaryDirectory folder;
  write_contents(folder.path("x.pt"), bytes);
  return read_torch_archive(folder.path("x.pt"));
}

::testing::AssertionResult refused(std::string_view bytes, const std::string& because) {
  try {
    read_bytes(bytes);
  } catch (const FormatError& error) {
    const std::string message = error.what();
    if (message.find(because) != std::string::npos) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << message;
  }
  return ::testing::AssertionFailure() << "was read";
}

void expect_equal(const std::vector<NamedTensor>& found, const std::vector<NamedTensor>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].name, expected[i].name);
    EXPECT_EQ(found[i].type, expected[i].type) << found[i].name;
    EXPECT_EQ(found[i].shape, expected[i].shape) << found[i].name;
    EXPECT_EQ(found[i].bytes, expected[i].bytes) << found[i].name;
  }
}

std::vector<NamedTensor> every_type() {
  return {
      make("z_encoder.encoder.fc_layers.Layer 0.0.weight", Type::float32, {2, 3},
           std::vector<float>{0, 1, 2, 3, 4, 5}),
      make("z_encoder.encoder.fc_layers.Layer 0.1.num_batches_tracked", Type::int64, {},
           std::vector<std::int64_t>{1'234'567'890'123}),
      make("double", Type::float64, {1, 2, 1}, std::vector<double>{0.1, -1e300}),
      make("half", Type::float16, {2}, std::vector<std::uint16_t>{0x3C00, 0x7BFF}),
      make("int", Type::int32, {2}, std::vector<std::int32_t>{-1, 1 << 30}),
      make("byte", Type::uint8, {3}, std::vector<std::uint8_t>{0, 128, 255}),
      make("truth", Type::boolean, {2, 1, 1, 1}, std::vector<std::uint8_t>{1, 0}),
      make("nothing", Type::float32, {0, 3}, std::vector<float>{}),
      make("größe", Type::float32, {}, std::vector<float>{-0.0F}),
  };
}

std::vector<NamedTensor> two_tensors() {
  std::vector<NamedTensor> tensors = every_type();
  tensors.resize(2);
  return tensors;
}

// A zip file made by hand, so that it can lie.

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0);
  }
  return ~crc;
}

struct Record {
  std::string name;
  std::string data;
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
  std::int64_t claimed_size = -1;  ///< -1: the truth
};

std::string make_zip(const std::vector<Record>& records) {
  std::string file;
  std::string directory;
  for (const Record& record : records) {
    const auto size = static_cast<std::uint32_t>(record.data.size());
    const auto claimed = record.claimed_size < 0 ? size : static_cast<std::uint32_t>(record.claimed_size);
    const std::string common = raw<std::uint16_t>(10) + raw(record.flags) + raw(record.method) +
                               raw<std::uint32_t>(0x00210000) + raw(crc32(record.data)) + raw(claimed) +
                               raw(claimed) + raw(static_cast<std::uint16_t>(record.name.size())) +
                               raw<std::uint16_t>(0);
    directory += "PK\x01\x02" + raw<std::uint16_t>(10) + common + std::string(10, '\0') +
                 raw(static_cast<std::uint32_t>(file.size())) + record.name;
    file += "PK\x03\x04" + common + record.name + record.data;
  }
  const auto n_records = static_cast<std::uint16_t>(records.size());
  return file + directory + "PK\x05\x06" + std::string(4, '\0') + raw(n_records) + raw(n_records) +
         raw(static_cast<std::uint32_t>(directory.size())) + raw(static_cast<std::uint32_t>(file.size())) +
         std::string(2, '\0');
}

// Pickles of tensors made by hand, for the same reason.

std::string text(const std::string& value) {
  return "X" + raw(static_cast<std::uint32_t>(value.size())) + value;
}
std::string integer(std::int64_t value) {
  return "\x8a\x08" + raw(value);
}
std::string tuple(const std::vector<std::string>& items) {
  return std::accumulate(items.begin(), items.end(), "("s) + "t";
}
std::string integers(const Sizes& values) {
  std::vector<std::string> items;
  for (const std::int64_t value : values) items.push_back(integer(value));
  return tuple(items);
}
std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string all = "}(";
  for (const auto& [key, value] : items) all += text(key) + value;
  return all + "u";
}
std::string storage(const std::string& kind, const std::string& key, std::int64_t numel) {
  return tuple({text("storage"), "ctorch\n" + kind + "\n", text(key), text("cpu"), integer(numel)}) + "Q";
}
const std::string kNoHooks = "ccollections\nOrderedDict\n)R";
std::string tensor(const std::string& of_storage, std::int64_t offset, const Sizes& shape, const Sizes& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n" +
         tuple({of_storage, integer(offset), integers(shape), integers(strides), "\x89", kNoHooks}) + "R";
}

const std::string kSixFloats = raw(std::vector<float>{0, 1, 2, 3, 4, 5});
const std::string kStorage = storage("FloatStorage", "0", 6);

/// An archive of torch with this value in data.pkl and six floats, 0 to 5, as storage "0".
std::string archive(const std::string& value, std::vector<Record> more = {}) {
  std::vector<Record> records = {{"a/data.pkl", "\x80\x02" + value + "."}, {"a/data/0", kSixFloats}};
  records.insert(records.end(), more.begin(), more.end());
  return make_zip(records);
}
std::string archive_of(const std::string& one_tensor, std::vector<Record> more = {}) {
  return archive(dict({{"t", one_tensor}}), std::move(more));
}
std::vector<float> floats_of(const std::string& one_tensor) {
  return values_of<float>(read_bytes(archive_of(one_tensor)).at(0));
}

TEST(TorchArchive, GivesBackEveryTypeAndShapeInOrder) {
  const testing::TemporaryDirectory folder;
  write_torch_archive(folder.path("w.pt"), every_type());
  expect_equal(read_torch_archive(folder.path("w.pt")), every_type());
}

TEST(TorchArchive, GivesBackMoreTensorsThanOneBatchOfThePickle) {
  for (const std::size_t count : {0, 1, 2, 999, 1000, 1001, 2001}) {
    std::vector<NamedTensor> tensors;
    for (std::size_t i = 0; i < count; ++i) {
      tensors.push_back(
          make("t"s.append(std::to_string(i)), Type::int32, {1}, std::vector{static_cast<std::int32_t>(i)}));
    }
    const testing::TemporaryDirectory folder;
    write_torch_archive(folder.path("w.pt"), tensors);
    expect_equal(read_torch_archive(folder.path("w.pt")), tensors);
  }
}

TEST(TorchArchive, EqualContentGivesEqualBytesInAnyTimeZone) {
  const testing::TemporaryDirectory folder;
  const char* zone = std::getenv("TZ");
  const std::string before = zone == nullptr ? "" : zone;
  write_torch_archive(folder.path("a.pt"), every_type());
  ::setenv("TZ", "Asia/Tokyo", 1);
  ::tzset();
  write_torch_archive(folder.path("b.pt"), every_type());
  zone == nullptr ? ::unsetenv("TZ") : ::setenv("TZ", before.c_str(), 1);
  ::tzset();
  EXPECT_EQ(contents(folder.path("a.pt")), contents(folder.path("b.pt")));
}

struct LocalRecord {
  std::string name;
  std::size_t data_at;
  std::uint32_t size;
  std::uint16_t method;
};

/// The records that follow one another from the start of a zip file.
std::vector<LocalRecord> local_records(const std::string& file) {
  std::vector<LocalRecord> records;
  std::size_t at = 0;
  const auto number = [&file, &at]<class T>(T, std::size_t offset) {
    T value;
    std::memcpy(&value, file.data() + at + offset, sizeof(T));
    return value;
  };
  while (file.compare(at, 4, "PK\x03\x04") == 0) {
    const std::size_t name_size = number(std::uint16_t{}, 26);
    const std::size_t extra_size = number(std::uint16_t{}, 28);
    const auto size = number(std::uint32_t{}, 18);
    const std::size_t data_at = at + 30 + name_size + extra_size;
    records.push_back({file.substr(at + 30, name_size), data_at, size, number(std::uint16_t{}, 8)});
    at = data_at + size;
  }
  return records;
}

TEST(TorchArchive, WritesTheRecordsThatTorchWrites) {
  const testing::TemporaryDirectory folder;
  write_torch_archive(folder.path("w.pt"), two_tensors());
  const std::string file = contents(folder.path("w.pt"));
  std::map<std::string, std::string> records;
  for (const LocalRecord& record : local_records(file)) {
    records[record.name] = file.substr(record.data_at, record.size);
    EXPECT_EQ(record.method, 0) << record.name << " is compressed";
    EXPECT_EQ(record.data_at % 64, 0U) << record.name << " is not aligned";
  }
  EXPECT_EQ(records.size(), 5U);
  EXPECT_EQ(records["archive/version"], "3\n");
  EXPECT_EQ(records["archive/byteorder"], "little");
  EXPECT_EQ(records["archive/data/0"], kSixFloats);
  EXPECT_EQ(records["archive/data/1"], raw(std::int64_t{1'234'567'890'123}));
}

TEST(TorchArchive, WritesThePickleThatTorchWrites) {
  const testing::TemporaryDirectory folder;
  const std::vector<NamedTensor> tensors = {
      make("a b.weight", Type::float32, {2, 3}, std::vector<float>{0, 1, 2, 3, 4, 5}),
      make("s", Type::int64, {}, std::vector<std::int64_t>{3})};
  write_torch_archive(folder.path("w.pt"), tensors);
  // data.pkl of torch.save(OrderedDict([("a b.weight", torch.arange(6.).reshape(2, 3)), ("s", torch.tensor(3))]))
  // by torch 1.13
  const std::string expected =
      "\x80\x02"
      "ccollections\nOrderedDict\nq\0)Rq\x01(X\x0a\0\0\0a b.weightq\x02"
      "ctorch._utils\n_rebuild_tensor_v2\n"
      "q\x03((X\x07\0\0\0storageq\x04"
      "ctorch\nFloatStorage\nq\x05X\x01\0\0\0"
      "0q\x06X\x03\0\0\0cpuq\x07K\x06tq\x08QK\0"
      "K\x02K\x03\x86q\x09K\x03K\x01\x86q\x0a\x89h\0)Rq\x0btq\x0cRq\x0dX\x01\0\0\0sq\x0eh\x03((h\x04"
      "ctorch\nLongStorage"
      "\nq\x0fX\x01\0\0\0"
      "1q\x10h\x07K\x01tq\x11QK\0))\x89h\0)Rq\x12tq\x13Rq\x14u."s;
  const std::string file = contents(folder.path("w.pt"));
  const LocalRecord pickle = local_records(file).at(0);
  EXPECT_EQ(pickle.name, "archive/data.pkl");
  EXPECT_EQ(file.substr(pickle.data_at, pickle.size), expected);
}

TEST(TorchArchive, WritingReplacesWhatThePathHeld) {
  const testing::TemporaryDirectory folder;
  write_torch_archive(folder.path("w.pt"), every_type());
  write_torch_archive(folder.path("w.pt"), two_tensors());
  expect_equal(read_torch_archive(folder.path("w.pt")), two_tensors());
}

TEST(TorchArchive, WritingRefusesTensorsThatContradictThemselves) {
  const testing::TemporaryDirectory folder;
  const auto write = [&](const std::vector<NamedTensor>& tensors) {
    write_torch_archive(folder.path("w.pt"), tensors);
  };
  const std::vector<float> two = {1, 2};
  EXPECT_THROW(write({make("t", Type::float32, {3}, two)}), InputError);
  EXPECT_THROW(write({make("t", Type::float64, {2}, two)}), InputError);
  EXPECT_THROW(write({make("t", Type::float32, {-1, -2}, two)}), InputError);
  EXPECT_THROW(write({make("t", Type::float32, {0, std::int64_t{1} << 62, 4}, std::vector<float>{})}), InputError);
  EXPECT_THROW(write({make("t", Type::float32, {2}, two), make("t", Type::float32, {2}, two)}), InputError);
  EXPECT_THROW(write({make("\xff", Type::float32, {2}, two)}), InputError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(TorchArchive, WritingToAMissingFolderIsAnIoError) {
  const testing::TemporaryDirectory folder;
  EXPECT_THROW(write_torch_archive(folder.path("no/w.pt"), every_type()), IoError);
}

TEST(TorchArchive, CountsElements) {
  EXPECT_EQ((NamedTensor{.name = "t", .shape = {2, 3}, .bytes = {}}).n_elements(), 6);
  EXPECT_EQ((NamedTensor{.name = "t", .shape = {}, .bytes = {}}).n_elements(), 1);
  EXPECT_EQ((NamedTensor{.name = "t", .shape = {2, 0}, .bytes = {}}).n_elements(), 0);
  EXPECT_EQ(element_size(Type::float16), 2U);
  EXPECT_EQ(element_size(Type::int64), 8U);
  EXPECT_EQ(element_size(Type::boolean), 1U);
}

// Reading what torch.save wrote: real models of scvi-tools. The numbers are those of torch.load.

struct Pretrained {
  std::string path;
  std::size_t n_tensors;
  std::string first_name;
  double first_sum;
  std::string last_name;
  double last_sum;
  Sizes last_shape;
};

class PretrainedModel : public ::testing::TestWithParam<Pretrained> {
 protected:
  std::string path() const { return testing::test_data_dir() + "/pretrained/" + GetParam().path; }
};

double sum_of(const NamedTensor& tensor) {
  const std::vector<float> values = values_of<float>(tensor);
  return std::accumulate(values.begin(), values.end(), 0.0);
}

TEST_P(PretrainedModel, GivesTheTensorsThatTorchLoads) {
  SCVI_REQUIRE_TEST_DATA();
  const std::vector<NamedTensor> tensors = read_torch_archive(path());
  ASSERT_EQ(tensors.size(), GetParam().n_tensors);
  EXPECT_EQ(tensors.front().name, "model_state_dict/" + GetParam().first_name);
  EXPECT_EQ(tensors.back().name, "model_state_dict/" + GetParam().last_name);
  EXPECT_EQ(tensors.back().shape, GetParam().last_shape);
  EXPECT_NEAR(sum_of(tensors.front()), GetParam().first_sum, 1e-9);
  EXPECT_NEAR(sum_of(tensors.back()), GetParam().last_sum, 1e-9);
  const auto counter = std::ranges::find_if(
      tensors, [](const NamedTensor& t) { return t.name.ends_with("fc_layers.Layer 0.1.num_batches_tracked"); });
  ASSERT_NE(counter, tensors.end());
  EXPECT_EQ(counter->type, Type::int64);
  EXPECT_EQ(counter->shape, Sizes{});
}

TEST_P(PretrainedModel, SurvivesWritingAndReading) {
  SCVI_REQUIRE_TEST_DATA();
  const testing::TemporaryDirectory folder;
  const std::vector<NamedTensor> tensors = read_torch_archive(path());
  write_torch_archive(folder.path("w.pt"), tensors);
  expect_equal(read_torch_archive(folder.path("w.pt")), tensors);
}

TEST_P(PretrainedModel, IsRefusedWhenTruncated) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string whole = contents(path());
  for (std::size_t step = 0; step < 100; ++step) {
    EXPECT_THROW(read_bytes(std::string_view(whole).substr(0, whole.size() * step / 100)), FormatError)
        << step << " %";
  }
  EXPECT_THROW(read_bytes(std::string_view(whole).substr(0, whole.size() - 1)), FormatError);
}

INSTANTIATE_TEST_SUITE_P(
    TorchArchive, PretrainedModel,
    ::testing::Values(Pretrained{"scvi-tools-0.15/0150_scvi/model.pt",
                                 36,
                                 "px_r",
                                 3.8352721938863397,
                                 "decoder.px_dropout_decoder.bias",
                                 0.4846468518371694,
                                 {100}},
                      Pretrained{"scvi-tools-0.15/0150_totalvi/model.pt",
                                 74,
                                 "background_pro_alpha",
                                 390.50471782684326,
                                 "decoder.py_background_decoder.fc_layers.Layer 0.0.bias",
                                 0.07606040639802814,
                                 {100}},
                      Pretrained{"scvi-tools-1.x/exp_activation_totalvi/model.pt",
                                 73,
                                 "background_pro_alpha",
                                 391.63018465042114,
                                 "decoder.py_background_decoder.fc_layers.Layer 0.0.bias",
                                 -0.5037805657775607,
                                 {100}},
                      Pretrained{"scvi-tools-1.x/pre_logits_fix_scanvi/model.pt",
                                 68,
                                 "px_r",
                                 -7.612580900953617,
                                 "decoder_z1_z2.var_decoder.bias",
                                 0.1327761597931385,
                                 {10}}),
    [](const auto& info) {
      return std::filesystem::path(info.param.path).parent_path().filename().string().substr(0, 40);
    });

// Views, types and nesting.

TEST(TorchArchive, ReadsViews) {
  EXPECT_EQ(floats_of(tensor(kStorage, 0, {2, 3}, {3, 1})), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(floats_of(tensor(kStorage, 0, {3, 2}, {1, 3})), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(floats_of(tensor(kStorage, 3, {3}, {1})), (std::vector<float>{3, 4, 5}));
  EXPECT_EQ(floats_of(tensor(kStorage, 1, {2, 2}, {0, 4})), (std::vector<float>{1, 5, 1, 5}));
  EXPECT_EQ(floats_of(tensor(kStorage, 5, {}, {})), (std::vector<float>{5}));
  EXPECT_EQ(floats_of(tensor(kStorage, 0, {2, 1, 2}, {2, 99, 1})), (std::vector<float>{0, 1, 2, 3}));
  EXPECT_EQ(floats_of(tensor(kStorage, 2, {0, 3}, {3, 1})), std::vector<float>{});
}

TEST(TorchArchive, AStrideThatIsNeverTakenMayBeAnything) {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(floats_of(tensor(kStorage, 0, {1, 2, 1, 2}, {kHuge, 1, kHuge, 3})), (std::vector<float>{0, 3, 1, 4}));
}

TEST(TorchArchive, ReadsStoragesThatTensorsShare) {
  const auto tensors = read_bytes(archive(dict({{"whole", tensor(kStorage, 0, {6}, {1})},
                                                {"part", tensor(kStorage, 4, {2}, {1})},
                                                {"again", tensor(kStorage, 0, {6}, {1})}})));
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(tensors[0].bytes, tensors[2].bytes);
  EXPECT_EQ(values_of<float>(tensors[0]), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values_of<float>(tensors[1]), (std::vector<float>{4, 5}));
}

NamedTensor read_stored_as(const std::string& kind, std::int64_t numel, const std::string& bytes) {
  return read_bytes(archive_of(tensor(storage(kind, "1", numel), 0, {numel}, {1}), {{"a/data/1", bytes}})).at(0);
}

TEST(TorchArchive, WidensTypesThatHaveNoCounterpart) {
  const auto brain = read_stored_as("BFloat16Storage", 3, raw(std::vector<std::uint16_t>{0x3F80, 0xC049, 0x7F80}));
  EXPECT_EQ(brain.type, Type::float32);
  EXPECT_EQ(values_of<float>(brain), (std::vector<float>{1.0F, -3.140625F, std::numeric_limits<float>::infinity()}));
  const auto small = read_stored_as("CharStorage", 2, raw(std::vector<std::int8_t>{-5, 7}));
  EXPECT_EQ(small.type, Type::int32);
  EXPECT_EQ(values_of<std::int32_t>(small), (std::vector<std::int32_t>{-5, 7}));
  const auto medium = read_stored_as("ShortStorage", 2, raw(std::vector<std::int16_t>{-500, 700}));
  EXPECT_EQ(values_of<std::int32_t>(medium), (std::vector<std::int32_t>{-500, 700}));
}

TEST(TorchArchive, TruthValuesAreZeroOrOne) {
  EXPECT_EQ(values_of<std::uint8_t>(read_stored_as("BoolStorage", 3, "\x00\x01\xff"s)),
            (std::vector<std::uint8_t>{0, 1, 1}));
}

TEST(TorchArchive, TypesThatAreNotReadAreNamed) {
  const auto stored_as = [](const std::string& kind) {
    return archive_of(tensor(storage(kind, "0", 6), 0, {6}, {1}));
  };
  EXPECT_TRUE(refused(stored_as("ComplexFloatStorage"), "tensor 't' is stored as torch.ComplexFloatStorage"));
  EXPECT_TRUE(refused(stored_as("NoStorage"), "torch.NoStorage"));
}

TEST(TorchArchive, ReadsParametersAndTensorsWithAttributes) {
  const std::string plain = tensor(kStorage, 1, {2}, {1});
  const std::string parameter = "ctorch._utils\n_rebuild_parameter\n" + tuple({plain, "\x88", kNoHooks}) + "R";
  EXPECT_EQ(floats_of(parameter), (std::vector<float>{1, 2}));
  const std::string arguments = tuple({kStorage, integer(4), integers({2}), integers({1}), "\x89", kNoHooks});
  const std::string typed =
      "ctorch._tensor\n_rebuild_from_type_v2\n" +
      tuple({"ctorch._utils\n_rebuild_tensor_v2\n", "ctorch\nTensor\n", arguments, dict({{"note", "N"}})}) + "R";
  EXPECT_EQ(floats_of(typed), (std::vector<float>{4, 5}));
}

TEST(TorchArchive, NestedDictionariesComeOutFlatAndOtherEntriesAreLeftOut) {
  const std::string t = tensor(kStorage, 0, {1}, {1});
  const std::string ordered = "ccollections\nOrderedDict\n)R(" + text("w") + t + "u}" + text("_metadata") + "}sb";
  const std::string python2_ordered = "ccollections\nOrderedDict\n(](](" + text("v") + t + "eetR";
  const std::string numbered = "}(" + integer(7) + t + "u";
  const auto tensors = read_bytes(archive(dict({{"model", ordered},
                                                {"epoch", integer(3)},
                                                {"state", numbered},
                                                {"deep", dict({{"er", dict({{"x", t}})}})},
                                                {"list", "](" + t + "e"},
                                                {"old", python2_ordered},
                                                {"empty", "}"},
                                                {"nothing", "N"}})));
  std::vector<std::string> names;
  for (const NamedTensor& one : tensors) names.push_back(one.name);
  EXPECT_EQ(names, (std::vector<std::string>{"model/w", "state/7", "deep/er/x", "old/v"}));
}

TEST(TorchArchive, KeysThatAreNeitherTextNorNumberAreLeftOutUnlessTheyHoldTensors) {
  const std::string t = tensor(kStorage, 0, {1}, {1});
  EXPECT_TRUE(read_bytes(archive("}(N" + dict({{"x", "N"}}) + "u")).empty());
  EXPECT_TRUE(refused(archive("}(N" + dict({{"x", t}}) + "u"), "tensor '?/x' is kept under a key"));
  EXPECT_TRUE(refused(archive("}(N" + t + "u"), "tensor '?'"));
}

TEST(TorchArchive, NamesThatFallTogetherAreRefused) {
  const std::string t = tensor(kStorage, 0, {1}, {1});
  EXPECT_TRUE(refused(archive(dict({{"x/y", t}, {"x", dict({{"y", t}})}})), "tensor 'x/y' is there twice"));
}

// What must be refused.

TEST(TorchArchive, CodeIsNotExecutedButNamed) {
  const testing::TemporaryDirectory folder;
  const std::string trap = folder.path("trap");
  EXPECT_TRUE(refused(archive("cos\nsystem\n" + tuple({text("touch " + trap)}) + "R"), "'os.system'"));
  EXPECT_TRUE(refused(archive("cposix\nsystem\n" + tuple({text("touch " + trap)}) + "R"), "'posix.system'"));
  EXPECT_TRUE(refused(archive(dict({{"x", "cbuiltins\neval\n" + tuple({text("1")}) + "R"}})), "'builtins.eval'"));
  EXPECT_TRUE(refused(archive(dict({{"x", "c__builtin__\ngetattr\n)R"}})), "'__builtin__.getattr'"));
  EXPECT_TRUE(refused(archive(dict({{"x", "cnumpy.testing\nrunstring\n)R"}})), "'numpy.testing.runstring'"));
  EXPECT_TRUE(refused(archive(dict({{"x", "ctorch\nload\n)R"}})), "'torch.load'"));
  EXPECT_TRUE(refused(archive(dict({{"x", "cpandas.core.arraysx\ny\n)R"}})), "'pandas.core.arraysx.y'"));
  EXPECT_FALSE(std::filesystem::exists(trap));
}

TEST(TorchArchive, ObjectsOfPandasAndNumpyArePassedOver) {
  const std::string t = tensor(kStorage, 0, {1}, {1});
  const std::string index = "cpandas.core.indexes.base\n_new_Index\n(cpandas.core.indexes.base\nIndex\n}tR";
  const std::string array = "cnumpy.core.multiarray\n_reconstruct\n)R}b";
  EXPECT_EQ(read_bytes(archive(dict({{"index", index}, {"array", array}, {"t", t}}))).size(), 1U);
}

TEST(TorchArchive, TheTopMustBeADictionary) {
  EXPECT_TRUE(refused(archive(tensor(kStorage, 0, {1}, {1})), "single tensor"));
  EXPECT_TRUE(refused(archive("N"), "dictionary of tensors"));
  EXPECT_TRUE(refused(archive("]"), "dictionary of tensors"));
}

TEST(TorchArchive, AViewMustLieWithinItsStorage) {
  const auto view = [](std::int64_t offset, const Sizes& shape, const Sizes& strides) {
    return archive_of(tensor(kStorage, offset, shape, strides));
  };
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  const std::string beyond = "reaches beyond its storage of 6 elements";
  EXPECT_TRUE(refused(view(0, {7}, {1}), beyond));
  EXPECT_TRUE(refused(view(1, {6}, {1}), beyond));
  EXPECT_TRUE(refused(view(6, {1}, {1}), beyond));
  EXPECT_TRUE(refused(view(6, {}, {}), beyond));
  EXPECT_TRUE(refused(view(0, {2, 3}, {4, 1}), beyond));
  EXPECT_TRUE(refused(view(0, {2}, {kHuge}), beyond));
  EXPECT_TRUE(refused(view(0, {2, 2}, {kHuge, kHuge}), beyond));
  EXPECT_TRUE(refused(view(kHuge, {2}, {1}), beyond));
  EXPECT_TRUE(refused(view(0, {kHuge}, {1}), beyond));
}

TEST(TorchArchive, ShapesStridesAndOffsetsMustMakeSense) {
  const auto view = [](std::int64_t offset, const Sizes& shape, const Sizes& strides) {
    return archive_of(tensor(kStorage, offset, shape, strides));
  };
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  EXPECT_TRUE(refused(view(-1, {1}, {1}), "-1 in its offset"));
  EXPECT_TRUE(refused(view(0, {-1}, {1}), "-1 in its shape"));
  EXPECT_TRUE(refused(view(0, {-2, -3}, {3, 1}), "-2 in its shape"));
  EXPECT_TRUE(refused(view(5, {3}, {-1}), "-1 in its stride"));
  EXPECT_TRUE(refused(view(0, {2, 3}, {1}), "2 dimensions but 1 strides"));
  EXPECT_TRUE(refused(view(0, {kHuge, 2}, {0, 0}), "more elements than can be counted"));
  EXPECT_TRUE(refused(view(0, {std::int64_t{1} << 32, std::int64_t{1} << 32}, {0, 0}), "than can be counted"));
  EXPECT_TRUE(refused(view(0, {0, kHuge, kHuge}, {0, 0, 0}), "than can be counted"));
  EXPECT_TRUE(refused(view(0, Sizes(65, 1), Sizes(65, 1)), "65 dimensions"));
  EXPECT_TRUE(refused(archive_of("ctorch._utils\n_rebuild_tensor_v2\n" +
                                 tuple({kStorage, "N", integers({1}), integers({1}), "\x89", kNoHooks}) + "R"),
                      "offset that is not a whole number"));
  EXPECT_TRUE(refused(archive_of("ctorch._utils\n_rebuild_tensor_v2\n)R"), "has no storage"));
  EXPECT_TRUE(refused(archive_of("ctorch._utils\n_rebuild_tensor_v2\n" + tuple({kStorage, integer(0)}) + "R"),
                      "has no shape"));
}

TEST(TorchArchive, AnExpandedViewMayNotExplode) {
  EXPECT_TRUE(refused(archive_of(tensor(kStorage, 0, {std::int64_t{1} << 40}, {0})), "in a file of"));
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 10; ++i) many.emplace_back(std::to_string(i), tensor(kStorage, 0, {10'000'000}, {0}));
  EXPECT_TRUE(refused(archive(dict(many)), "tensor '6'"));
}

TEST(TorchArchive, DictionariesThatShareTheirPartsMayNotExplode) {
  std::string nested = "}";
  for (int i = 0; i < 60; ++i) {
    const std::string slot(1, static_cast<char>(i));
    nested += "q"s.append(slot) + "0}(" + text("a") + "h" + slot + text("b") + "h" + slot + "u";
  }
  EXPECT_TRUE(refused(archive(nested), "4,000,000 entries"));
}

TEST(TorchArchive, StoragesMustBeThereAndOfTheSizeThatIsClaimed) {
  const auto of = [](const std::string& a_storage) { return archive_of(tensor(a_storage, 0, {1}, {1})); };
  EXPECT_TRUE(refused(of(storage("FloatStorage", "7", 6)), "'data/7', which is not in the file"));
  EXPECT_TRUE(refused(of(storage("FloatStorage", "../data.pkl", 6)), "not in the file"));
  EXPECT_TRUE(refused(of(storage("FloatStorage", "0", 7)), "7 elements of 4 bytes, but it has 24 bytes"));
  EXPECT_TRUE(refused(of(storage("FloatStorage", "0", 5)), "but it has 24 bytes"));
  EXPECT_TRUE(refused(of(storage("FloatStorage", "0", -6)), "-6 in its storage size"));
  EXPECT_TRUE(refused(of(storage("FloatStorage", "0", (std::int64_t{1} << 62) + 6)), "but it has 24 bytes"));
  EXPECT_TRUE(refused(of(storage("LongStorage", "0", 6)), "but it has 24 bytes"));
  EXPECT_TRUE(refused(of(tuple({text("module"), "N", "N", "N", "N"}) + "Q"), "has no storage"));
  EXPECT_TRUE(refused(of(tuple({text("storage")}) + "Q"), "has no storage"));
  EXPECT_TRUE(refused(of(tuple({text("storage"), "N", text("0"), text("cpu"), integer(6)}) + "Q"), "type or key"));
  EXPECT_TRUE(refused(of("N"), "has no storage"));
}

TEST(TorchArchive, OtherKindsOfTensorsAreNamed) {
  EXPECT_TRUE(refused(archive_of("ctorch._utils\n_rebuild_sparse_tensor\n)R"), "_rebuild_sparse_tensor"));
  EXPECT_TRUE(refused(archive_of("ctorch._utils\n_rebuild_parameter\n)R"), "parameter without a tensor"));
  EXPECT_TRUE(refused(archive_of("ctorch._tensor\n_rebuild_from_type_v2\n)R"), "not described as torch does"));
  EXPECT_TRUE(refused(archive_of("ctorch._utils\n_rebuild_tensor_v2\n" +
                                 tuple({kStorage, integer(0), integers({1}), integers({1}), "\x89", kNoHooks,
                                        dict({{"neg", "\x88"}})}) +
                                 "R"),
                      "negated"));
}

TEST(TorchArchive, RecordsThatClaimMoreThanTheFileHoldsAreRefused) {
  const std::string t = tensor(kStorage, 0, {6}, {1});
  const std::string pickle = "\x80\x02" + dict({{"t", t}}) + ".";
  const auto with_claim = [&](std::int64_t claim) {
    return make_zip({{"a/data.pkl", pickle}, {"a/data/0", kSixFloats, 0, 0, claim}});
  };
  EXPECT_EQ(read_bytes(with_claim(24)).size(), 1U);
  EXPECT_TRUE(refused(with_claim(0xFFFFFFFE), "4294967294 bytes, more than the file holds"));
  EXPECT_THROW(read_bytes(with_claim(0xFFFFFFFF)), FormatError);
  EXPECT_THROW(read_bytes(with_claim(25)), FormatError);
  EXPECT_THROW(read_bytes(with_claim(20)), FormatError);
}

TEST(TorchArchive, CompressedEncryptedAndRepeatedRecordsAreRefused) {
  const std::string t = tensor(kStorage, 0, {6}, {1});
  const Record pickle = {"a/data.pkl", "\x80\x02" + dict({{"t", t}}) + "."};
  EXPECT_TRUE(refused(make_zip({pickle, {"a/data/0", kSixFloats, 8}}), "compressed or encrypted"));
  EXPECT_TRUE(refused(make_zip({pickle, {"a/data/0", kSixFloats, 0, 1}}), "compressed or encrypted"));
  EXPECT_TRUE(refused(make_zip({pickle, {"a/data/0", kSixFloats}, {"a/data/0", kSixFloats}}), "twice"));
  EXPECT_TRUE(refused(make_zip({pickle, {"b/data.pkl", pickle.data}}), "two archives"));
}

TEST(TorchArchive, OtherZipFilesAreRefused) {
  EXPECT_TRUE(refused(make_zip({{"word/document.xml", "<x/>"}}), "no data.pkl"));
  EXPECT_TRUE(refused(make_zip({{"data.pkl", "\x80\x02}."}}), "no data.pkl"));
  EXPECT_TRUE(refused(make_zip({{"a/b/data.pkl", "\x80\x02}."}}), "no data.pkl"));
  EXPECT_TRUE(refused(archive("}", {{"a/constants.pkl", ""}}), "TorchScript"));
}

TEST(TorchArchive, AnotherByteOrderIsRefused) {
  EXPECT_NO_THROW(read_bytes(archive("}", {{"a/byteorder", "little"}})));
  EXPECT_TRUE(refused(archive("}", {{"a/byteorder", "big"}}), "byte order"));
}

TEST(TorchArchive, TheFormatBeforePyTorch16IsNamedWithARemedy) {
  // How torch.save(..., _use_new_zipfile_serialization=False) begins.
  const std::string legacy = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."s;
  EXPECT_TRUE(refused(legacy, "before PyTorch 1.6"));
  EXPECT_TRUE(refused(legacy, "torch.save(torch.load(path), new_path)"));
}

TEST(TorchArchive, OtherFilesAreRefused) {
  EXPECT_TRUE(refused("", "is empty"));
  EXPECT_TRUE(refused("\x89HDF\r\n\x1a\n", "not a file of torch.save"));
  EXPECT_TRUE(refused("PK\x03\x04", "not a whole zip file"));
  const testing::TemporaryDirectory folder;
  EXPECT_THROW(read_torch_archive(folder.path("missing.pt")), IoError);
  EXPECT_THROW(read_torch_archive(folder.path()), IoError);
}

TEST(TorchArchive, IsRefusedWhenCutAnywhere) {
  const testing::TemporaryDirectory folder;
  write_torch_archive(folder.path("w.pt"), two_tensors());
  const std::string whole = contents(folder.path("w.pt"));
  // The directory at the end byte by byte, the records before it in larger steps.
  const std::size_t directory_at = whole.find("PK\x01\x02");
  for (std::size_t size = 0; size < whole.size(); size += size < directory_at ? 7 : 1) {
    EXPECT_THROW(read_bytes(std::string_view(whole).substr(0, size)), FormatError) << "cut to " << size << " bytes";
  }
}

TEST(TorchArchive, AFlippedBitInARecordIsNoticed) {
  const testing::TemporaryDirectory folder;
  write_torch_archive(folder.path("w.pt"), every_type());
  const std::string whole = contents(folder.path("w.pt"));
  for (const LocalRecord& record : local_records(whole)) {
    if (record.name == "archive/version") continue;
    for (std::size_t at = record.data_at; at < record.data_at + record.size; ++at) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
      EXPECT_THROW(read_bytes(damaged), FormatError) << record.name << " byte " << at;
    }
  }
}

TEST(TorchArchive, IsReadOrRefusedWithAnyByteDamaged) {
  const testing::TemporaryDirectory folder;
  write_torch_archive(folder.path("w.pt"), two_tensors());
  const std::string whole = contents(folder.path("w.pt"));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xFF}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      try {
        read_bytes(damaged);
      } catch (const Error&) {
      }
    }
  }
}

TEST(TorchArchive, ThePickleIsReadOrRefusedWithAnyByteReplacedThoughTheChecksumFits) {
  const std::string pickle = "\x80\x02" + dict({{"t", tensor(kStorage, 1, {2, 2}, {2, 1})}}) + ".";
  for (std::size_t at = 0; at < pickle.size(); ++at) {
    for (const char byte : "\x00\x01\x7F\x80\xFF(.0KRqt"s) {
      std::string damaged = pickle;
      damaged[at] = byte;
      try {
        read_bytes(make_zip({{"a/data.pkl", damaged}, {"a/data/0", kSixFloats}}));
      } catch (const Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace scvi::io
