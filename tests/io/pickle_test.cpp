#include "scvi/io/pickle.hpp"

#include <gtest/gtest.h>

#include <string>

#include "scvi/core/error.hpp"

using namespace std::string_literals;

namespace scvi::io::pickle {
namespace {

Document parse_text(std::string_view text, const Options& options = {}) {
  return parse(std::as_bytes(std::span(text.data(), text.size())), options);
}

Options permitting(std::string module, std::string name) {
  return {.may_construct = [=](std::string_view m, std::string_view n) { return m == module && n == name; }};
}

std::string message_of(const std::string& text, const Options& options = {}) {
  try {
    parse_text(text, options);
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

::testing::AssertionResult refused(const std::string& text, const std::string& because, const Options& options = {}) {
  const std::string message = message_of(text, options);
  if (message.find(because) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << (message.empty() ? "was read" : message);
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

/// The value as Python's repr would show it; shared values are shown as often as they occur.
std::string show(const Value& value);

std::string show_items(const std::vector<Ref>& items) {
  std::string text;
  for (Ref item : items) text += (text.empty() ? "" : ", ") + show(*item);
  return text;
}

std::string show_pairs(const Pairs& pairs) {
  std::string text;
  for (const auto& [key, item] : pairs) text += (text.empty() ? "" : ", ") + show(*key) + ": " + show(*item);
  return text;
}

struct Shower {
  std::string operator()(None) const { return "None"; }
  std::string operator()(bool value) const { return value ? "True" : "False"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const { return std::to_string(value); }
  std::string operator()(const std::string& text) const { return "'" + text + "'"; }
  std::string operator()(const BigInteger& value) const {
    return "<" + std::to_string(value.bytes.size()) + " bytes of integer>";
  }
  std::string operator()(const Bytes& value) const { return "<" + std::to_string(value.data.size()) + " bytes>"; }
  std::string operator()(const List& list) const { return "[" + show_items(list.items) + "]"; }
  std::string operator()(const Tuple& tuple) const { return "(" + show_items(tuple.items) + ")"; }
  std::string operator()(const Set& set) const { return "set(" + show_items(set.items) + ")"; }
  std::string operator()(const Dict& dict) const { return "{" + show_pairs(dict.items) + "}"; }
  std::string operator()(const Global& global) const { return global.qualified(); }
  std::string operator()(const Object& object) const {
    std::string text = object.global().qualified() + show(*object.args);
    if (object.kwargs != nullptr) text += " kwargs " + show(*object.kwargs);
    if (object.state != nullptr) text += " state " + show(*object.state);
    if (!object.items.empty()) text += " items " + show_items(object.items);
    if (!object.pairs.empty()) text += " pairs " + show_pairs(object.pairs);
    return text;
  }
  std::string operator()(const PersistentId& reference) const { return "persistent " + show(*reference.id); }
};

std::string show(const Value& value) {
  return std::visit(Shower{}, value.data);
}

std::string shown(const std::string& text, const Options& options = {}) {
  return show(parse_text(text, options).root());
}

// Made by Python 3.11: pickle.dumps({'a': [1, -2, 300, 70000, 2**40], 'b': (1.5, None, True, False),
//   'n': {'ä': 'x\n\\y'}, 't': (1,), 'u': (1, 2), 'v': (1, 2, 3), 'e': ((), [], {}), 'same': <the list of 'a'>}, p)
constexpr std::string_view kOfProtocol[] = {
    "286470300a56610a70310a286c70320a49310a61492d320a61493330300a614937303030300a614c313039393531313632373737364c0a61"
    "735662"
    "0a70330a2846312e350a4e4930310a4930300a7470340a73566e0a70350a286470360a56e40a70370a56785c75303030615c753030356379"
    "0a7038"
    "0a737356740a70390a2849310a747031300a7356750a7031310a2849310a49320a747031320a7356760a7031330a2849310a49320a49330a"
    "747031"
    "340a7356650a7031350a282874286c7031360a28647031370a747031380a735673616d650a7031390a67320a732e",
    "7d71002858010000006171015d7102284b014afeffffff4d2c014a701101004c313039393531313632373737364c0a655801000000627103"
    "28473f"
    "f80000000000004e4930310a4930300a74710458010000006e71057d71065802000000c3a471075804000000780a5c797108735801000000"
    "747109"
    "284b0174710a580100000075710b284b014b0274710c580100000076710d284b014b024b0374710e580100000065710f28295d71107d7111"
    "747112"
    "580400000073616d6571136802752e",
    "80027d71002858010000006171015d7102284b014afeffffff4d2c014a701101008a0600000000000165580100000062710328473ff80000"
    "000000"
    "004e888974710458010000006e71057d71065802000000c3a471075804000000780a5c7971087358010000007471094b0185710a58010000"
    "007571"
    "0b4b014b0286710c580100000076710d4b014b024b0387710e580100000065710f295d71107d7111877112580400000073616d6571136802"
    "752e",
    "80037d71002858010000006171015d7102284b014afeffffff4d2c014a701101008a0600000000000165580100000062710328473ff80000"
    "000000"
    "004e888974710458010000006e71057d71065802000000c3a471075804000000780a5c7971087358010000007471094b0185710a58010000"
    "007571"
    "0b4b014b0286710c580100000076710d4b014b024b0387710e580100000065710f295d71107d7111877112580400000073616d6571136802"
    "752e",
    "8004957c000000000000007d94288c0161945d94284b014afeffffff4d2c014a701101008a06000000000001658c01629428473ff8000000"
    "000000"
    "4e888974948c016e947d948c02c3a4948c04780a5c7994738c0174944b0185948c0175944b014b0286948c0176944b014b024b0387948c01"
    "659429"
    "5d947d9487948c0473616d65946802752e",
    "8005957c000000000000007d94288c0161945d94284b014afeffffff4d2c014a701101008a06000000000001658c01629428473ff8000000"
    "000000"
    "4e888974948c016e947d948c02c3a4948c04780a5c7994738c0174944b0185948c0175944b014b0286948c0176944b014b024b0387948c01"
    "659429"
    "5d947d9487948c0473616d65946802752e"};

class EveryProtocol : public ::testing::TestWithParam<int> {};

TEST_P(EveryProtocol, GivesTheSameValue) {
  EXPECT_EQ(shown(from_hex(kOfProtocol[GetParam()])),
            "{'a': [1, -2, 300, 70000, 1099511627776], 'b': (1.500000, None, True, False), 'n': {'ä': 'x\n\\y'}, "
            "'t': (1), 'u': (1, 2), 'v': (1, 2, 3), 'e': ((), [], {}), 'same': [1, -2, 300, 70000, 1099511627776]}");
}

TEST_P(EveryProtocol, SharesWhatWasShared) {
  const Document document = parse_text(from_hex(kOfProtocol[GetParam()]));
  const auto& items = document.root().as<Dict>()->items;
  EXPECT_EQ(items.front().second, items.back().second);
}

TEST_P(EveryProtocol, IsRefusedWhenCutAnywhere) {
  const std::string whole = from_hex(kOfProtocol[GetParam()]);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(parse_text(whole.substr(0, size)), FormatError) << "cut to " << size << " bytes";
  }
}

TEST_P(EveryProtocol, IsReadOrRefusedWithAnyByteReplaced) {
  const std::string whole = from_hex(kOfProtocol[GetParam()]);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    // Every fifth value at each place, another fifth at the next one.
    for (int byte = static_cast<int>(at % 5); byte < 256; byte += 5) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(byte);
      try {
        shown(damaged);
      } catch (const FormatError&) {
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Pickle, EveryProtocol, ::testing::Range(0, 6));

TEST(Pickle, ReadsTheTypesOfNewerProtocols) {
  // {'b': b'\x00\xff', 's': {1}, 'f': frozenset([2]), 'l': 2**70, 'y': bytearray(b'ab')}, protocol 5
  const std::string text = from_hex(
      "80059540000000000000007d94288c016294430200ff948c0173948f94284b01908c016694284b0291948c016c948a0900000000000000"
      "0040"
      "8c017994960200000000000000616294752e");
  EXPECT_EQ(shown(text), "{'b': <2 bytes>, 's': set(1), 'f': set(2), 'l': <9 bytes of integer>, 'y': <2 bytes>}");
}

TEST(Pickle, ReadsWholeNumbersOfAllWidths) {
  EXPECT_EQ(shown("\x80\x02\x8a\x00."s), "0");
  EXPECT_EQ(shown("\x80\x02\x8a\x01\xff."s), "-1");
  EXPECT_EQ(shown("\x80\x02\x8a\x02\xff\x00."s), "255");
  EXPECT_EQ(shown("\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."s), "-9223372036854775808");
  EXPECT_EQ(shown("\x80\x02\x8b\x01\x00\x00\x00\x7f."s), "127");
  EXPECT_EQ(shown("J\xff\xff\xff\xff."s), "-1");
  EXPECT_EQ(shown("M\xff\xff."s), "65535");
}

TEST(Pickle, ReadsStringsOfPython2AsTextWhereTheyAreText) {
  EXPECT_EQ(shown("S'a\\x41\\n\\''\n."), "'aA\n''");
  EXPECT_EQ(shown("U\x02hi."s), "'hi'");
  EXPECT_EQ(shown("T\x01\x00\x00\x00\xff."s), "<1 bytes>");
}

TEST(Pickle, KeepsPersistentReferences) {
  EXPECT_EQ(shown("Pstore 1\n."), "persistent 'store 1'");
  EXPECT_EQ(shown("U\x01sK\x01\x86Q."s), "persistent ('s', 1)");
}

TEST(Pickle, MentioningANameNeedsNoPermission) {
  EXPECT_EQ(shown("cos\nsystem\n."), "os.system");
}

class CallsCode : public ::testing::TestWithParam<std::string> {};

TEST_P(CallsCode, IsRefusedByName) {
  const Options only_ordered_dict = permitting("collections", "OrderedDict");
  EXPECT_TRUE(refused(GetParam(), "nothing was executed"));
  EXPECT_TRUE(refused(GetParam(), "nothing was executed", only_ordered_dict));
}

INSTANTIATE_TEST_SUITE_P(
    Pickle, CallsCode,
    ::testing::Values("cos\nsystem\n(S'touch /tmp/x'\ntR.",  // REDUCE
                      "cbuiltins\neval\n(X\x03\x00\x00\x00"
                      "1+1tR."s,                  //
                      "(S'id'\nios\nsystem\n.",   // INST
                      "(cos\nsystem\nS'id'\no.",  // OBJ
                      "\x80\x02"
                      "csubprocess\nPopen\n)\x81."s,                               // NEWOBJ
                      "\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."s,  // STACK_GLOBAL
                      "\x80\x04\x8c\x02os\x8c\x06system\x93)}\x92."s,              // NEWOBJ_EX
                      "(lp0\n(cos\nsystem\n(S'id'\ntRtp1\na."));                   // nested

TEST(Pickle, RefusalNamesTheFunctionTheFileAndTheRemedy) {
  const std::string message = message_of("cos\nsystem\n(S'id'\ntR.",
                                         {.file = "m.pt", .field = "data.pkl", .remedy = "save the weights only"});
  EXPECT_EQ(message,
            "m.pt: data.pkl, byte 19, would call 'os.system', which plain data does not need; nothing was executed; "
            "save the weights only");
}

TEST(Pickle, APermittedCallBecomesARecordOfIt) {
  const Options options = permitting("m", "C");
  EXPECT_EQ(shown("cm\nC\n(K\x01tR."s, options), "m.C(1)");
  EXPECT_EQ(shown("\x80\x02"
                  "cm\nC\n)\x81}U\x01kNsb."s,
                  options),
            "m.C() state {'k': None}");
  EXPECT_EQ(shown("cm\nC\n)R(K\x01K\x02"
                  "e."s,
                  options),
            "m.C() items 1, 2");
  EXPECT_EQ(shown("cm\nC\n)RU\x01kK\x02s."s, options), "m.C() pairs 'k': 2");
  EXPECT_EQ(shown("cm\nC\n)R(U\x01kK\x02U\x01lK\x03u."s, options), "m.C() pairs 'k': 2, 'l': 3");
  EXPECT_EQ(shown("\x80\x04"
                  "cm\nC\n)}U\x01kK\x02s\x92."s,
                  options),
            "m.C() kwargs {'k': 2}");
  EXPECT_EQ(shown("(K\x05im\nC\n."s, options), "m.C(5)");
  EXPECT_EQ(shown("(cm\nC\nK\x05o."s, options), "m.C(5)");
  // collections.OrderedDict([('k', 1)]), protocol 4, by Python 3.11
  EXPECT_EQ(
      shown(from_hex("80049529000000000000008c0b636f6c6c656374696f6e73948c0b4f726465726564446963749493942952948c016b"
                     "944b01732e"),
            permitting("collections", "OrderedDict")),
      "collections.OrderedDict() pairs 'k': 1");
}

TEST(Pickle, PermissionIsForTheExactName) {
  const Options options = permitting("m", "C");
  EXPECT_TRUE(refused("cm\nD\n)R.", "'m.D'", options));
  EXPECT_TRUE(refused("cm.C\nC\n)R.", "'m.C.C'", options));
}

TEST(Pickle, OnlyNamesCanBeCalled) {
  const Options options = permitting("m", "C");
  EXPECT_TRUE(refused("K\x01)R."s, "not a named class", options));
  EXPECT_TRUE(refused("cm\nC\n)R)R.", "not a named class", options));
  EXPECT_TRUE(refused("cm\nC\n]R.", "else than a tuple", options));
  EXPECT_TRUE(
      refused("\x80\x04"
              "cm\nC\n))\x92."s,
              "not a dictionary", options));
}

TEST(Pickle, NamesMustBeFitToShow) {
  EXPECT_TRUE(refused("\x80\x04\x8c\x02o\n\x8c\x01x\x93."s, "not a name"));
  EXPECT_TRUE(refused("c\nx\n.", "not a name"));
  EXPECT_TRUE(refused("c" + std::string(1000, 'm') + "\nx\n.", "not a name"));
  EXPECT_TRUE(refused("\x80\x04K\x01K\x02\x93."s, "not text"));
}

TEST(Pickle, LengthsAreComparedWithWhatIsLeftBeforeAnythingIsAllocated) {
  EXPECT_TRUE(refused("X\xff\xff\xff\xff."s, "4294967295 bytes, but only 1"));
  EXPECT_TRUE(refused("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff."s, "18446744073709551615 bytes, but only 1"));
  EXPECT_TRUE(refused("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."s, "only 1"));
  EXPECT_TRUE(refused("\x80\x05\x96\x02\x00\x00\x00\x00\x00\x00\x00."s, "only 1"));
  EXPECT_TRUE(refused("B\x02\x00\x00\x00."s, "only 1"));
  EXPECT_TRUE(refused("T\xff\xff\xff\xff."s, "length of -1"));
  EXPECT_TRUE(refused("\x80\x02\x8b\xff\xff\xff\xff."s, "length of -1"));
  EXPECT_TRUE(refused("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN."s, "frame"));
}

TEST(Pickle, TheStackHoldsWhatAnInstructionTakes) {
  for (const std::string& text :
       {"."s,  "R."s,    "0."s,    "1."s,    "2."s,     "a."s,    "b."s,    "e."s,    "l."s,    "t."s,
        "d."s, "s."s,    "u."s,    "Q."s,    "q\x01."s, "\x85."s, "\x86."s, "\x87."s, "\x81."s, "\x93."s,
        "o."s, "\x94."s, "\x90."s, "\x91."s, "N\x86."s, "(o."s,   "]e."s,   "}(Nu."s, "N)R."s}) {
    EXPECT_THROW(parse_text(text), FormatError) << text;
  }
}

TEST(Pickle, NothingBelowAMarkIsTaken) {
  EXPECT_TRUE(refused("N(\x85."s, "where there is none"));
  EXPECT_TRUE(refused("NN(\x86."s, "where there is none"));
  EXPECT_TRUE(refused("N(.", "where there is none"));
  EXPECT_TRUE(refused("NN.", "left over"));
}

TEST(Pickle, PopTakesAMarkThatIsOnTop) {
  EXPECT_EQ(shown("N(0."), "None");
}

TEST(Pickle, ContainersAreWhatTheyAreUsedAs) {
  EXPECT_TRUE(refused("NNa.", "not a list"));
  EXPECT_TRUE(refused("N(Ne.", "not a list"));
  EXPECT_TRUE(refused("NNNs.", "not a dictionary"));
  EXPECT_TRUE(refused("](NNu.", "not a dictionary"));
  EXPECT_TRUE(refused("}}b.", "not an object"));
  EXPECT_TRUE(refused("N(N\x90.", "not a list"));
  EXPECT_TRUE(refused("(Nd.", "without a value"));
}

TEST(Pickle, TheMemoGivesOnlyWhatWasStored) {
  EXPECT_TRUE(refused("h\x05."s, "value 5"));
  EXPECT_TRUE(refused("j\xff\xff\xff\xff."s, "value 4294967295"));
  EXPECT_TRUE(refused("g-1\n.", "not a number"));
  EXPECT_TRUE(refused("gx\n.", "not a number"));
  EXPECT_EQ(shown("Nr\xff\xff\xff\xff"
                  "0j\xff\xff\xff\xff."s),
            "None");
}

TEST(Pickle, NumbersAreNumbers) {
  EXPECT_TRUE(refused("I1x\n.", "'1x'"));
  EXPECT_TRUE(refused("L99999999999999999999L\n.", "64 bits"));
  EXPECT_TRUE(refused("Fx\n.", "'x'"));
  EXPECT_EQ(shown("F-1e3\n."), "-1000.000000");
}

TEST(Pickle, TextIsText) {
  EXPECT_TRUE(refused("X\x01\x00\x00\x00\xff."s, "UTF-8"));
  EXPECT_TRUE(refused("V\\ud800\n.", "UTF-8"));
  EXPECT_TRUE(refused("V\\u12\n.", "escape"));
  EXPECT_TRUE(refused("V\\U00110000\n.", "escape"));
  EXPECT_TRUE(refused("S'a\n.", "quoted"));
  EXPECT_TRUE(refused("S'\\x4'\n.", "quoted"));
  EXPECT_TRUE(refused("S'\\'\n.", "quoted"));
  EXPECT_TRUE(refused("S'\n.", "quoted"));
}

TEST(Pickle, WhatIsUnknownIsRefused) {
  EXPECT_TRUE(refused("\x80\x06N."s, "protocol 6"));
  EXPECT_TRUE(refused("\x80\x02\x82\x01."s, "extension code"));
  EXPECT_TRUE(refused("\x80\x05\x97."s, "outside"));
  EXPECT_TRUE(refused("\xfe", "unknown instruction 254"));
  EXPECT_TRUE(refused("N.N", "1 more bytes"));
}

TEST(Pickle, AValueThatContainsItselfIsRefused) {
  EXPECT_TRUE(
      refused("]q\x01h\x01"
              "a."s,
              "contains itself"));
  EXPECT_TRUE(refused("]q\x01}q\x02Nh\x01sa."s, "contains itself"));
  EXPECT_TRUE(
      refused("cm\nC\n)Rq\x01h\x01"
              "b."s,
              "contains itself", permitting("m", "C")));
}

TEST(Pickle, NestingIsLimited) {
  const auto nested = [](std::size_t depth) { return "\x80\x02)"s + std::string(depth - 1, '\x85') + "."; };
  EXPECT_EQ(shown(nested(3), {.max_depth = 3}), "((()))");
  EXPECT_TRUE(refused(nested(4), "more than 3 levels", {.max_depth = 3}));
  EXPECT_TRUE(refused(nested(1'000'000), "more than 200 levels"));
}

TEST(Pickle, NestingIsLimitedThroughSharedValuesToo) {
  // ((x, (x,)) with x = ((),): the second way to x is the longer one.
  const std::string text = ")\x85q\x01h\x01\x85\x86."s;
  EXPECT_EQ(shown(text, {.max_depth = 4}), "((()), ((())))");
  EXPECT_TRUE(refused(text, "more than 3 levels", {.max_depth = 3}));
}

TEST(Pickle, TheNumberOfValuesIsLimited) {
  const Options options{.max_values = 10};
  EXPECT_EQ(shown("(" + std::string(9, 'N') + "l.", options).size(), 2U + 9 * 4 + 8 * 2);
  EXPECT_TRUE(refused("(" + std::string(10, 'N') + "l.", "more than 10 values", options));
  EXPECT_TRUE(refused("(N" + std::string(10, '2') + "l.", "more than 10 values", options));
  EXPECT_TRUE(refused(std::string(11, '('), "more than 10 values", options));
}

TEST(Pickle, ManyWaysToOneValueCostNothing) {
  // x = (x, x) sixty times over: 2^60 ways to the innermost tuple.
  std::string text = "\x80\x02)"s;
  for (int i = 0; i < 60; ++i) text += "2\x86"s;
  EXPECT_NO_THROW(parse_text(text + "."));
}

}  // namespace
}  // namespace scvi::io::pickle
