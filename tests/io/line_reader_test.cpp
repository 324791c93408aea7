#include "scvi/io/line_reader.hpp"

#include "packed_fixture.hpp"
#include "scvi/core/error.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

std::vector<std::string> lines_of(const std::string& text, std::int64_t most = LineReader::kMaxLineBytes) {
  const testing::TemporaryDirectory folder;
  testing::write_bytes(folder.path("t"), text);
  const auto stream = open_byte_stream(folder.path("t"));
  LineReader reader(*stream, most);
  std::vector<std::string> lines;
  std::string_view line;
  while (reader.next(line)) {
    lines.emplace_back(line);
    EXPECT_EQ(reader.line_number(), std::ssize(lines));
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(LineReader, LinesEndInEitherWayOrNotAtAll) {
  EXPECT_EQ(lines_of(""), Lines{});
  EXPECT_EQ(lines_of("a\nb\n"), (Lines{"a", "b"}));
  EXPECT_EQ(lines_of("a\r\nb"), (Lines{"a", "b"}));
  EXPECT_EQ(lines_of("\n\na"), (Lines{"", "", "a"}));
  EXPECT_EQ(lines_of("a\rb\r"), (Lines{"a\rb"}));
}

TEST(LineReader, ByteOrderMarkIsPassedOver) {
  EXPECT_EQ(lines_of("\xEF\xBB\xBF"
                     "a\n"),
            (Lines{"a"}));
  EXPECT_EQ(lines_of("\xEF\xBB\xBF"), Lines{});
}

TEST(LineReader, Utf16IsRefusedWithAdvice) {
  EXPECT_IN("UTF-8", testing::thrown_message<FormatError>([] {
              lines_of(
                  std::string("\xFF\xFE"
                              "a\0",
                              4));
            }));
}

TEST(LineReader, LongLinesAreReadUpToTheBound) {
  const std::string line(1'000'000, 'x');
  EXPECT_EQ(lines_of(line + "\nb"), (Lines{line, "b"}));
  EXPECT_IN("line 2", testing::thrown_message<FormatError>([&] { lines_of("a\n" + line, 999'999); }));
  EXPECT_EQ(lines_of(line, 1'000'000), (Lines{line}));
}

}  // namespace
}  // namespace scvi::io
