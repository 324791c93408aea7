#include "scvi/io/pandas_pickle.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "h5ad_fixture.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::message_of;
using Texts = std::vector<std::string>;
using Reals = std::vector<double>;
using Wholes = std::vector<std::int64_t>;

std::string bytes_of_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16));
  return bytes;
}

/// pandas 1.5 (protocol 4) and pandas 3 (protocol 5) made these of one table:
///          n  t     k
///   r0     1  a     x
///   r1    -2  None  None
/// n: int16; t: text; k: categorical; the index is called cell.
const std::string kPandas15 = bytes_of_hex(
    "80049506040000000000008c1170616e6461732e636f72652e6672616d65948c09446174614672616d659493942981947d94288c045f"
    "6d6772948c1e70616e6461732e636f72652e696e7465726e616c732e6d616e6167657273948c0c426c6f636b4d616e61676572949394"
    "8c1670616e6461732e5f6c6962732e696e7465726e616c73948c0f5f756e7069636b6c655f626c6f636b9493948c156e756d70792e63"
    "6f72652e6d756c74696172726179948c0c5f7265636f6e7374727563749493948c056e756d7079948c076e6461727261799493944b00"
    "85944301629487945294284b014b014b028694680f8c0564747970659493948c02693294898887945294284b038c013c944e4e4e4aff"
    "ffffff4affffffff4b007494628943040100feff947494628c086275696c74696e73948c05736c6963659493944b004b014b01879452"
    "944b0287945294680b680e68114b008594681387945294284b014b014b02869468188c024f3894898887945294284b038c017c944e4e"
    "4e4affffffff4affffffff4b3f749462895d94288c0161944e6574946268224b014b024b01879452944b0287945294680b8c1370616e"
    "6461732e5f6c6962732e617272617973948c1c5f5f7079785f756e7069636b6c655f4e4441727261794261636b65649493948c1e7061"
    "6e6461732e636f72652e6172726179732e63617465676f726963616c948c0b43617465676f726963616c9493944ab85c550d4e879452"
    "948c1970616e6461732e636f72652e6474797065732e647479706573948c1043617465676f726963616c44747970659493942981947d"
    "94288c0a63617465676f72696573948c1870616e6461732e636f72652e696e64657865732e62617365948c0a5f6e65775f496e646578"
    "94939468458c05496e6465789493947d94288c046461746194680e68114b008594681387945294284b014b018594682d895d948c0178"
    "94617494628c046e616d65944e75869452948c076f72646572656494897562680e68114b008594681387945294284b014b0285946818"
    "8c02693194898887945294284b03682e4e4e4e4affffffff4affffffff4b0074946289430200ff947494627d9487946268224b024b03"
    "4b01879452944b028794529487945d9428684768497d9428684b680e68114b008594681387945294284b014b038594682d895d94288c"
    "016e948c0174948c016b946574946268534e7586945294684768497d9428684b680e68114b008594681387945294284b014b02859468"
    "2d895d94288c027230948c027231946574946268538c0463656c6c94758694529465869452948c045f747970948c0964617461667261"
    "6d65948c095f6d65746164617461945d948c056174747273947d948c065f666c616773947d948c17616c6c6f77735f6475706c696361"
    "74655f6c6162656c7394887375622e");
const std::string kPandas3 = bytes_of_hex(
    "800595a0040000000000008c0670616e646173948c09446174614672616d659493942981947d94288c045f6d6772948c1e70616e6461"
    "732e636f72652e696e7465726e616c732e6d616e6167657273948c0c426c6f636b4d616e616765729493948c1670616e6461732e5f6c"
    "6962732e696e7465726e616c73948c0f5f756e7069636b6c655f626c6f636b9493948c136e756d70792e5f636f72652e6e756d657269"
    "63948c0b5f66726f6d627566666572949394289604000000000000000100feff948c056e756d7079948c0564747970659493948c0269"
    "3294898887945294284b038c013c944e4e4e4affffffff4affffffff4b007494624b014b0286948c014394749452948c086275696c74"
    "696e73948c05736c6963659493944b004b014b01879452944b0287945294680b8c1370616e6461732e5f6c6962732e61727261797394"
    "8c1c5f5f7079785f756e7069636b6c655f4e4441727261794261636b65649493948c0d70616e6461732e617272617973948c0b537472"
    "696e6741727261799493944a1f06f1044e8794529468008c0b537472696e6744747970659493948c06707974686f6e94477ff8000000"
    "000000869452948c166e756d70792e5f636f72652e6d756c74696172726179948c0c5f7265636f6e73747275637494939468108c076e"
    "6461727261799493944b0085944301629487945294284b014b02859468128c024f3894898887945294284b038c017c944e4e4e4affff"
    "ffff4affffffff4b3f749462895d94288c016194477ff800000000000065749462869462681e4b014b024b01879452944b0287945294"
    "680b682568008c0b43617465676f726963616c9493944a1f06f1044e8794529468008c1043617465676f726963616c44747970659493"
    "942981947d94288c0a63617465676f72696573948c1870616e6461732e636f72652e696e64657865732e62617365948c0a5f6e65775f"
    "496e64657894939468008c05496e6465789493947d94288c046461746194682568284a1f06f1044e87945294682c682d477ff8000000"
    "00000086945294683268344b008594683687945294284b014b018594683c895d948c017894617494628694628c046e616d65944e7586"
    "9452948c076f72646572656494897562680e2896020000000000000000ff9468128c02693194898887945294284b03683d4e4e4e4aff"
    "ffffff4affffffff4b007494624b028594681974945294869462681e4b024b034b01879452944b028794529487945d9428685268547d"
    "94286856682568284a1f06f1044e87945294682c682d477ff800000000000086945294683268344b008594683687945294284b014b03"
    "8594683c895d94288c016e948c0174948c016b946574946286946268634e7586945294685268547d94286856682568284a1f06f1044e"
    "87945294682c682d477ff800000000000086945294683268344b008594683687945294284b014b028594683c895d94288c027230948c"
    "027231946574946286946268638c0463656c6c94758694529465869452948c045f747970948c09646174616672616d65948c095f6d65"
    "746164617461945d948c056174747273947d948c065f666c616773947d948c17616c6c6f77735f6475706c69636174655f6c6162656c"
    "7394887375622e");

template <class T>
const T& values_of(const Frame& frame, const std::string& name) {
  const Column* const column = frame.find(name);
  if (column == nullptr) throw std::runtime_error("no column " + name);
  return std::get<T>(column->values);
}

void expect_small_table(const Frame& frame) {
  EXPECT_EQ(frame.index_name, "cell");
  EXPECT_EQ(frame.index, (Texts{"r0", "r1"}));
  EXPECT_EQ(frame.column_names(), (Texts{"n", "t", "k"}));
  EXPECT_EQ(values_of<Wholes>(frame, "n"), (Wholes{1, -2}));
  EXPECT_EQ(frame.find("t")->text(0), "a");
  EXPECT_TRUE(frame.find("t")->is_missing(1));
  EXPECT_EQ(values_of<Categorical>(frame, "k").categories, Texts{"x"});
  EXPECT_EQ(values_of<Categorical>(frame, "k").codes, (std::vector<std::int32_t>{0, -1}));
}

TEST(PandasPickle, TablesOfOldAndNewPandasReadTheSame) {
  for (const std::string& bytes : {kPandas15, kPandas3}) {
    const PandasPickle file("tiny", bytes);
    EXPECT_EQ(file.keys(), Texts{""});
    EXPECT_TRUE(file.is_frame());
    expect_small_table(file.frame());
    EXPECT_THROW(file.array(), InputError);
  }
}

// ---- the metadata of scVI's data sets

PandasPickle fixture(const std::string& name) {
  return PandasPickle(testing::test_data_dir() + "/fixtures/" + name + ".pickle");
}

TEST(PandasPickle, MetadataOfPbmc) {
  SCVI_REQUIRE_TEST_DATA();
  const PandasPickle file = fixture("pbmc_metadata");
  EXPECT_EQ(file.keys(),
            (Texts{"design", "raw_qc", "qc_pc", "normalized_qc", "barcodes", "clusters", "list_clusters"}));
  const Frame barcodes = file.frame("barcodes");
  ASSERT_EQ(barcodes.n_rows(), 91);
  EXPECT_EQ(barcodes.index_name, "x");
  EXPECT_EQ(barcodes.index[90], "AAATGCCAGGGTATCG-1");
  EXPECT_EQ(values_of<Wholes>(barcodes, "Unnamed: 0")[90], 8075);
  const PickledArray clusters = file.array("clusters");
  EXPECT_EQ(clusters.shape, Wholes{91});
  const Wholes& labels = std::get<Wholes>(clusters.column.values);
  EXPECT_EQ(std::accumulate(labels.begin(), labels.end(), std::int64_t{0}), 216);
  EXPECT_EQ(std::get<Texts>(file.array("list_clusters").column.values)[1], "CD14+ Monocytes");
}

TEST(PandasPickle, QualityMeasuresOfPbmc) {
  SCVI_REQUIRE_TEST_DATA();
  const PandasPickle file = fixture("pbmc_metadata");
  const Frame raw = file.frame("raw_qc");
  EXPECT_EQ(raw.column_names(),
            (Texts{"num_umi", "num_reads", "mean_reads_per_umi", "std_reads_per_umi", "mapped_reads",
                   "genome_not_gene", "unmapped_reads", "umi_corrected", "barcode_corrected"}));
  EXPECT_EQ(values_of<Wholes>(raw, "num_umi")[90], 5898);
  EXPECT_DOUBLE_EQ(values_of<Reals>(raw, "mean_reads_per_umi")[90], 12.5510342489);
  EXPECT_DOUBLE_EQ(values_of<Reals>(raw, "barcode_corrected")[90], 0.00868613730311);
  const Frame design = file.frame("design");
  EXPECT_EQ(design.index[90], "8075");
  EXPECT_DOUBLE_EQ(values_of<Reals>(design, "WPC7")[90], -0.246143217522996);
  const PickledArray components = file.array("qc_pc");
  EXPECT_EQ(components.shape, (Wholes{91, 7}));
  const Reals& values = std::get<Reals>(components.column.values);
  EXPECT_NEAR(values[1], -0.13445339, 1e-8) << "rows first, whatever the order in the file";
  EXPECT_NEAR(values[90 * 7 + 6], -0.24614322, 1e-8);
}

TEST(PandasPickle, ArraysInFortranOrderComeOutRowByRow) {
  SCVI_REQUIRE_TEST_DATA();
  const PandasPickle file = fixture("random_metadata");
  const PickledArray places = file.array("ydata");
  EXPECT_EQ(places.shape, (Wholes{1897, 2}));
  const Reals& values = std::get<Reals>(places.column.values);
  EXPECT_NEAR(values[1896 * 2], 1.99279259, 1e-8);
  EXPECT_NEAR(values[1896 * 2 + 1], 1.26209281, 1e-8);
  EXPECT_EQ(std::get<Wholes>(file.array("clusters").column.values).back(), 6);
}

TEST(PandasPickle, MetadataOfBrainSmall) {
  SCVI_REQUIRE_TEST_DATA();
  const PandasPickle file = fixture("brain_small_metadata");
  const Frame clusters = file.frame("clusters");
  EXPECT_EQ(clusters.index_name, "Barcode");
  EXPECT_EQ(clusters.index[49], "AAAGATGGTCATATGC-1");
  const Wholes& numbers = values_of<Wholes>(clusters, "Cluster");
  EXPECT_EQ(numbers[49], 5);
  EXPECT_EQ(std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0}), 132);
  EXPECT_DOUBLE_EQ(values_of<Reals>(file.frame("raw_qc"), "mapped_reads")[49], 0.6244075829379999);
  EXPECT_MENTIONS(message_of<InputError>([&] { file.frame("cluster"); }), "did you mean 'clusters'?");
}

// ---- pickles made by hand. Protocol 0: one instruction and its argument a line.

std::string array_pickle(const std::string& shape, const std::string& dtype, const std::string& order,
                         const std::string& fortran, const std::string& data) {
  return "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n" + shape +
         "cnumpy\ndtype\n(S'" + dtype + "'\nI0\nI1\ntR(I3\nS'" + order + "'\nNNNI-1\nI-1\nI0\ntbI" + fortran + "\n" +
         data + "tb.";
}

PickledArray read_array(const std::string& bytes) {
  return PandasPickle("hand", bytes).array();
}

std::string refusal(const std::string& bytes) {
  return message_of<FormatError>([&] {
    const PandasPickle file("hand", bytes);
    for (const std::string& key : file.keys()) file.is_frame(key) ? (void)file.frame(key) : (void)file.array(key);
  });
}

TEST(PandasPickle, EveryTypeOfNumpyIsRead) {
  const auto numbers = [](const std::string& dtype, const std::string& order, const std::string& text) {
    return read_array(array_pickle("(I2\nt", dtype, order, "00", "S'" + text + "'\n")).column;
  };
  EXPECT_EQ(std::get<Wholes>(numbers("i1", "|", R"(\x01\xff)").values), (Wholes{1, -1}));
  EXPECT_EQ(std::get<Wholes>(numbers("u1", "|", R"(\x01\xff)").values), (Wholes{1, 255}));
  EXPECT_EQ(std::get<Wholes>(numbers("i2", "<", R"(\x01\x00\xfe\xff)").values), (Wholes{1, -2}));
  EXPECT_EQ(std::get<Wholes>(numbers("u2", ">", R"(\x01\x00\xfe\xff)").values), (Wholes{256, 65279}));
  EXPECT_EQ(std::get<Wholes>(numbers("i4", ">", R"(\x00\x00\x00\x01\xff\xff\xff\xff)").values), (Wholes{1, -1}));
  EXPECT_EQ(std::get<Reals>(numbers("f2", "<", R"(\x00\x3c\x00\xc0)").values), (Reals{1, -2}));
  EXPECT_EQ(std::get<Reals>(numbers("f4", ">", R"(\x3f\x80\x00\x00\xc0\x00\x00\x00)").values), (Reals{1, -2}));
  EXPECT_EQ(std::get<Boolean>(numbers("b1", "|", R"(\x01\x00)").values).values, (std::vector<std::uint8_t>{1, 0}));
  EXPECT_EQ(std::get<Texts>(numbers("S3", "|", R"(ab\x00\x00\x00\x00)").values), (Texts{"ab", ""}));
  EXPECT_EQ(
      std::get<Texts>(numbers("U2", "<", R"(a\x00\x00\x00\xb1\x03\x00\x00b\x00\x00\x00\x00\x00\x00\x00)").values),
      (Texts{"a\xCE\xB1", "b"}));
  EXPECT_EQ(std::get<Texts>(numbers("U1", ">", R"(\x00\x00\x00a\x00\x00\x00b)").values), (Texts{"a", "b"}));
}

TEST(PandasPickle, ObjectsBecomeTheNarrowestKindThatHoldsThem) {
  const auto objects = [](const std::string& items) {
    return read_array(array_pickle("(I3\nt", "O8", "|", "00", "(" + items + "l")).column;
  };
  const Column texts = objects("S'a'\nNVb\xE9\n");
  EXPECT_EQ(std::get<Texts>(texts.values), (Texts{"a", "", "b\xC3\xA9"}));
  EXPECT_EQ(texts.missing, (std::vector<std::uint8_t>{0, 1, 0}));
  EXPECT_EQ(std::get<Wholes>(objects("I1\nI2\nI3\n").values), (Wholes{1, 2, 3}));
  EXPECT_EQ(std::get<Reals>(objects("I1\nF2.5\nI3\n").values), (Reals{1, 2.5, 3}));
  EXPECT_EQ(std::get<Boolean>(objects("I01\nI00\nI01\n").values).values, (std::vector<std::uint8_t>{1, 0, 1}));
  EXPECT_EQ(std::get<Texts>(objects("I1\nS'x'\nF0.5\n").values), (Texts{"1", "x", "0.5"}));
}

TEST(PandasPickle, PlainValuesOfDictionariesAreArraysToo) {
  const PandasPickle file("hand", "(dS'n'\nI5\nsS'inner'\n(dS'list'\n(S'a'\nS'b'\nlsI7\nF0.5\nss.");
  EXPECT_EQ(file.keys(), (Texts{"n", "inner/list", "inner/7"}));
  EXPECT_EQ(std::get<Wholes>(file.array("n").column.values), Wholes{5});
  EXPECT_TRUE(file.array("n").shape.empty());
  EXPECT_EQ(std::get<Texts>(file.array("inner/list").column.values), (Texts{"a", "b"}));
  EXPECT_EQ(std::get<Reals>(file.array("inner/7").column.values), Reals{0.5});
}

// ---- hostile pickles

TEST(PandasPickle, NothingButPlainDataMayBeMade) {
  for (const auto& [module, name] : {std::pair{"os", "system"},
                                     {"builtins", "eval"},
                                     {"builtins", "getattr"},
                                     {"numpy", "load"},
                                     {"pandas", "read_pickle"},
                                     {"pandas.io.pickle", "read_pickle"},
                                     {"numpy.core.multiarray", "fromfile"},
                                     {"subprocess", "Popen"}}) {
    const std::string called = std::string(module) + "." + name;
    const std::string message = refusal("c" + std::string(module) + "\n" + name + "\n(S'x'\ntR.");
    EXPECT_MENTIONS(message, "would call '" + called + "'");
    EXPECT_MENTIONS(message, "nothing was executed");
    EXPECT_MENTIONS(refusal("(dS'k'\nc" + std::string(module) + "\n" + name + "\ns."), called);
  }
}

TEST(PandasPickle, ArraysThatContradictThemselvesAreRefused) {
  const std::string two = R"(S'\x01\x02')"
                          "\n";
  EXPECT_MENTIONS(refusal(array_pickle("(I3\nt", "i1", "|", "00", two)), "has 2 bytes for 3 values of 1");
  EXPECT_MENTIONS(refusal(array_pickle("(I2\nt", "i3", "|", "00", two)), "bytes");
  EXPECT_MENTIONS(refusal(array_pickle("(I-2\nt", "i1", "|", "00", two)), "has -2 in its shape");
  EXPECT_MENTIONS(refusal(array_pickle("(I4294967296\nI4294967296\nt", "i1", "|", "00", two)), "beyond all bounds");
  EXPECT_MENTIONS(refusal(array_pickle("(I999999999999\nt", "S0", "|", "00", "S''\n")), "more values than");
  EXPECT_MENTIONS(refusal(array_pickle("S'x'\n", "i1", "|", "00", two)), "a shape that is none");
  EXPECT_MENTIONS(refusal(array_pickle("(I2\nt", "M8", "<", "00", two)), "type 'M8', which is not read");
  EXPECT_MENTIONS(refusal(array_pickle("(I2\nt", "", "<", "00", two)), "no type of values");
  EXPECT_MENTIONS(refusal(array_pickle("(I2\nt", "f99999999999999999999", "<", "00", two)), "which is not read");
  EXPECT_MENTIONS(refusal(array_pickle("(I2\nt", "O8", "|", "00", "(I1\nl")), "has 1 objects for 2 values");
  EXPECT_MENTIONS(refusal(array_pickle("(I2\nt", "O8", "|", "00", two)), "has 0 objects for 2 values");
  EXPECT_MENTIONS(refusal(array_pickle("(I1\nt", "U1", "<", "00",
                                       R"(S'\x00\xd8\x00\x00')"
                                       "\n")),
                  "a character that is none");
  EXPECT_MENTIONS(refusal(array_pickle("(I1\nt", "u8", "<", "00",
                                       R"(S'\xff\xff\xff\xff\xff\xff\xff\xff')"
                                       "\n")),
                  "beyond 64-bit");
}

TEST(PandasPickle, AnEndlessRangeIsRefused) {
  const auto range = [](const std::string& start, const std::string& stop, const std::string& step) {
    return "cpandas.core.indexes.base\n_new_Index\n(cpandas.core.indexes.range\nRangeIndex\n(dS'start'\nI" + start +
           "\nsS'stop'\nI" + stop + "\nsS'step'\nI" + step + "\nstR.";
  };
  EXPECT_EQ(std::get<Wholes>(read_array(range("0", "5", "2")).column.values), (Wholes{0, 2, 4}));
  EXPECT_EQ(std::get<Wholes>(read_array(range("3", "0", "-2")).column.values), (Wholes{3, 1}));
  EXPECT_TRUE(std::get<Wholes>(read_array(range("3", "0", "1")).column.values).empty());
  EXPECT_MENTIONS(refusal(range("0", "999999999999", "1")), "more values than");
  for (const char* step : {"0", "-9223372036854775808"})
    EXPECT_MENTIONS(refusal(range("0", "5", step)), "beyond all bounds");
  EXPECT_MENTIONS(refusal(range("-9223372036854775808", "9223372036854775807", "1")), "beyond all bounds");
}

TEST(PandasPickle, DictionariesThatShareTheirPartsEnd) {
  std::string bytes = "(dp0\n";
  for (int level = 0; level < 60; ++level)
    bytes += "0(dS'a'\ng" + std::to_string(level) + "\nsS'b'\ng" + std::to_string(level) + "\nsp" +
             std::to_string(level + 1) + "\n";
  EXPECT_MENTIONS(refusal(bytes + "."), "more than 100,000 entries");
}

TEST(PandasPickle, ManyKeysOfOneLargeArrayAreDecodedOneByOne) {
  const std::string array = array_pickle("(I3\nt", "i1", "|", "00",
                                         R"(S'\x01\x02\x03')"
                                         "\n");
  const std::string bytes = "(dS'a'\n" + array.substr(0, array.size() - 1) + "p9\nsS'b'\ng9\ns.";
  const PandasPickle file("hand", bytes);
  EXPECT_EQ(std::get<Wholes>(file.array("b").column.values), (Wholes{1, 2, 3}));
}

void read_all_of(const std::string& bytes) {
  const PandasPickle file("damaged", bytes);
  for (const std::string& key : file.keys()) {
    try {
      file.is_frame(key) ? (void)file.frame(key) : (void)file.array(key);
    } catch (const Error&) {
    }
  }
}

TEST(PandasPickle, TruncatedAndCorruptedBytesNeverCrash) {
  for (const std::string& whole : {kPandas15, kPandas3}) {
    for (std::size_t at = 0; at < whole.size(); ++at) {
      EXPECT_THROW(read_all_of(whole.substr(0, at)), FormatError);
      for (const int flip : {0xFF, 0x01, 0x80, 0x40}) {
        std::string bytes = whole;
        bytes[at] = static_cast<char>(bytes[at] ^ flip);
        try {
          read_all_of(bytes);
        } catch (const Error&) {
        }
      }
    }
  }
}

TEST(PandasPickle, CorruptedMetadataNeverCrash) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string whole = read_file(testing::test_data_dir() + "/fixtures/brain_small_metadata.pickle");
  for (std::size_t at = 0; at < whole.size(); at += 7) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(~bytes[at]);
    try {
      read_all_of(bytes);
    } catch (const Error&) {
    }
  }
}

TEST(PandasPickle, FilesThatAreNoPicklesAreRefused) {
  const testing::TemporaryDirectory folder;
  EXPECT_THROW(PandasPickle{folder.path("absent.pickle")}, IoError);
  EXPECT_THROW((PandasPickle{"x", ""}), FormatError);
  EXPECT_THROW((PandasPickle{"x", "barcode,cluster\n"}), FormatError);
}

}  // namespace
}  // namespace scvi::io
