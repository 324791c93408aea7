#include "scvi/io/byte_stream.hpp"

#include <sys/stat.h>

#include "packed_fixture.hpp"
#include "scvi/core/error.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::drain;
using testing::read_bytes;
using testing::thrown_message;
using testing::write_bytes;
using testing::write_packed;
using testing::write_packed_text;

/// Long enough for several blocks of every format, and not too regular.
std::string long_text() {
  std::string text;
  for (int line = 0; line < 20000; ++line) text += "gene" + std::to_string(line * 7919 % 10007) + ",0,1\n";
  return text;
}

class ByteStreams : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("data.bin");

  std::string content() { return drain(*open_byte_stream(path_)); }
};

TEST_F(ByteStreams, PlainFilesComeAsTheyAre) {
  for (const std::string text : {"", "a", "BZh1,BZh2,x\n1,2,3\n", "\x1f", "PK"}) {
    write_bytes(path_, text);
    EXPECT_EQ(content(), text);
  }
}

TEST_F(ByteStreams, ContentNotNameDecidesHowTheyAreUnpacked) {
  for (const char* filter : {"gzip", "bzip2", "xz"}) {
    for (const std::string& text : {std::string(), std::string("x"), long_text()}) {
      write_packed_text(path_, filter, text);
      EXPECT_EQ(content(), text) << filter;
    }
  }
}

TEST_F(ByteStreams, GzipMembersFollowEachOther) {
  write_packed_text(path_, "gzip", "first\n");
  const std::string first = read_bytes(path_);
  write_packed_text(path_, "gzip", "second\n");
  write_bytes(path_, first + read_bytes(path_) + std::string(512, '\0'));
  EXPECT_EQ(content(), "first\nsecond\n");
}

TEST_F(ByteStreams, JunkBehindGzipIsRefused) {
  write_packed_text(path_, "gzip", "text");
  write_bytes(path_, read_bytes(path_) + "junk");
  EXPECT_IN("do not belong there", thrown_message<FormatError>([&] { content(); }));
}

TEST_F(ByteStreams, ZipWithOneFileGivesThatFile) {
  write_packed(path_, "zip", "", {{.path = "d/", .type = AE_IFDIR}, {.path = "d/a.csv", .content = long_text()}});
  EXPECT_EQ(content(), long_text());
  write_packed_text(path_, "gzip", "packed twice");
  write_packed(path_, "zip", "", {{.path = "a.csv.gz", .content = read_bytes(path_)}});
  EXPECT_EQ(content(), "packed twice");
}

TEST_F(ByteStreams, ZipWithSeveralFilesAsksForAName) {
  write_packed(path_, "zip", "", {{.path = "a.csv", .content = "1"}, {.path = "b.csv", .content = "2"}});
  EXPECT_IN("a.csv, b.csv", thrown_message<InputError>([&] { content(); }));
  EXPECT_EQ(drain(*open_byte_stream(path_, {.member = "b.csv"})), "2");
  EXPECT_IN("did you mean 'b.csv'",
            thrown_message<InputError>([&] { open_byte_stream(path_, {.member = "B.csv"}); }));
}

TEST_F(ByteStreams, TruncationAnywhereIsAnError) {
  for (const char* filter : {"gzip", "bzip2", "xz"}) {
    write_packed_text(path_, filter, long_text());
    const std::string whole = read_bytes(path_);
    // Shorter than its signature, a file is plain text.
    constexpr std::size_t kSignature = 10;
    for (std::size_t size = kSignature; size < whole.size();
         size += size < 64 || size + 64 > whole.size() ? 1 : 997) {
      write_bytes(path_, whole.substr(0, size));
      EXPECT_THROW(content(), FormatError) << filter << " cut to " << size << " of " << whole.size();
    }
  }
}

TEST_F(ByteStreams, TruncatedZipIsAnError) {
  write_packed(path_, "zip", "", {{.path = "a.csv", .content = long_text()}});
  const std::string whole = read_bytes(path_);
  for (std::size_t size = 4; size<whole.size(); size += size + 64> whole.size() ? 1 : 997) {
    write_bytes(path_, whole.substr(0, size));
    EXPECT_THROW(content(), Error) << "cut to " << size;
  }
}

TEST_F(ByteStreams, FlippedBytesNeverPassUnnoticed) {
  for (const char* filter : {"gzip", "bzip2", "xz"}) {
    write_packed_text(path_, filter, long_text());
    const std::string whole = read_bytes(path_);
    for (std::size_t at = 12; at < whole.size(); at += 1499) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
      write_bytes(path_, damaged);
      EXPECT_THROW(content(), FormatError) << filter << " at " << at;
    }
  }
}

TEST_F(ByteStreams, BombsAreStopped) {
  const std::string zeros(std::size_t{4} << 20, '0');
  const ByteStreamOptions tight{.free_expansion = 1 << 20, .max_ratio = 10};
  for (const char* filter : {"gzip", "bzip2", "xz"}) {
    write_packed_text(path_, filter, zeros);
    EXPECT_IN("unpacks to more than 1.0 MB",
              thrown_message<FormatError>([&] { drain(*open_byte_stream(path_, tight)); }));
  }
  write_packed(path_, "zip", "", {{.path = "a", .content = zeros}});
  EXPECT_THROW(drain(*open_byte_stream(path_, tight)), FormatError);
}

TEST_F(ByteStreams, WhatIsNoRegularFileIsRefusedAtOnce) {
  EXPECT_THROW(open_byte_stream(folder_.path("absent")), IoError);
  EXPECT_IN("is a folder", thrown_message<IoError>([&] { open_byte_stream(folder_.path()); }));
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THROW(open_byte_stream(path_), IoError);
}

TEST_F(ByteStreams, MessagesNameFileMemberAndPlace) {
  write_packed(path_, "zip", "", {{.path = "m.mtx", .content = "x"}});
  const auto stream = open_byte_stream(path_);
  EXPECT_IN(path_ + ": m.mtx, line 3 is odd", thrown_message<FormatError>([&] { stream->fail("line 3", "is odd"); }));
}

}  // namespace
}  // namespace scvi::io
