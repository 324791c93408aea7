#include "scvi/io/archive.hpp"

#include <filesystem>

#include "packed_fixture.hpp"
#include "scvi/core/error.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

namespace fs = std::filesystem;
using testing::drain;
using testing::PackedMember;
using testing::read_bytes;
using testing::thrown_message;
using testing::write_bytes;
using testing::write_packed;

class Archives : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("data.archive");
  std::string out_ = folder_.path("out");

  /// Nothing but the archive may be in the folder.
  void expect_nothing_left() {
    for (const auto& entry : fs::directory_iterator(folder_.path())) EXPECT_EQ(entry.path(), path_);
  }
};

const std::vector<PackedMember> kMembers = {{.path = "./d/", .type = AE_IFDIR},
                                            {.path = "./d/a.txt", .content = "alpha"},
                                            {.path = "d//sub/b.txt", .content = std::string(100'000, 'b')}};

TEST_F(Archives, MembersAreListedWithCleanPaths) {
  for (const char* filter : {"", "gzip", "bzip2", "xz"}) {
    write_packed(path_, "tar", filter, kMembers);
    ASSERT_TRUE(is_archive(path_));
    const auto members = list_archive(path_);
    ASSERT_EQ(members.size(), 3);
    EXPECT_EQ(members[0].path, "d");
    EXPECT_EQ(members[0].kind, ArchiveMember::Kind::folder);
    EXPECT_EQ(members[1].path, "d/a.txt");
    EXPECT_EQ(members[1].size, 5);
    EXPECT_EQ(members[2].path, "d/sub/b.txt");
  }
}

TEST_F(Archives, MembersAreReadAsStreams) {
  for (const char* format : {"tar", "zip"}) {
    write_packed(path_, format, "", kMembers);
    EXPECT_EQ(drain(*open_archive_member(path_, "d/sub/b.txt")), std::string(100'000, 'b'));
    EXPECT_EQ(drain(*open_archive_member(path_, "./d/a.txt")), "alpha");
    EXPECT_IN("did you mean 'd/a.txt'", thrown_message<InputError>([&] { open_archive_member(path_, "d/A.txt"); }));
  }
}

TEST_F(Archives, StreamsEndWhenTheArchiveIsReadOn) {
  write_packed(path_, "tar", "", kMembers);
  std::vector<std::unique_ptr<ByteStream>> kept;
  visit_archive(path_,
                [&](const ArchiveMember&, std::unique_ptr<ByteStream> stream) { kept.push_back(std::move(stream)); });
  for (const auto& stream : kept) EXPECT_EQ(drain(*stream), "");
}

TEST_F(Archives, ExtractionGivesTheFilesAndFolders) {
  for (const char* format : {"tar", "zip"}) {
    write_packed(path_, format, "", kMembers);
    extract_archive(path_, out_, Overwrite::replace);
    EXPECT_EQ(read_bytes(out_ + "/d/a.txt"), "alpha");
    EXPECT_EQ(read_bytes(out_ + "/d/sub/b.txt"), std::string(100'000, 'b'));
  }
  EXPECT_THROW(extract_archive(path_, out_), InputError);
}

TEST_F(Archives, PathsThatLeadOutAreRefused) {
  for (const char* evil : {"../evil", "/tmp/scvi-evil", "a/../../evil", ".."}) {
    for (const char* format : {"tar", "zip"}) {
      write_packed(path_, format, "", {{.path = "good", .content = "g"}, {.path = evil, .content = "x"}});
      EXPECT_IN("leads out", thrown_message<FormatError>([&] { extract_archive(path_, out_); })) << evil;
      EXPECT_THROW(list_archive(path_), FormatError);
      expect_nothing_left();
    }
  }
}

TEST_F(Archives, LinksAndDevicesAreNotUnpacked) {
  write_packed(path_, "tar", "",
               {{.path = "link", .type = AE_IFLNK, .link_target = folder_.path()},
                {.path = "fifo", .type = AE_IFIFO},
                {.path = "device", .type = AE_IFCHR},
                {.path = "link/inside", .content = "x"}});
  const testing::LogCatcher log;
  extract_archive(path_, out_);
  EXPECT_IN("3 links or devices are not unpacked", log.text());
  // A folder of its own took the place of the link.
  EXPECT_EQ(read_bytes(out_ + "/link/inside"), "x");
  EXPECT_FALSE(fs::is_symlink(out_ + "/link"));
  EXPECT_FALSE(fs::exists(folder_.path("inside")));
}

TEST_F(Archives, NamesThatMeetAreRefused) {
  const std::vector<std::vector<PackedMember>> kMeetings = {
      {{.path = "a", .content = "1"}, {.path = "a", .content = "2"}},
      {{.path = "a", .content = "1"}, {.path = "a/b", .content = "2"}},
      {{.path = "a/b", .content = "1"}, {.path = "a", .content = "2"}}};
  for (const auto& members : kMeetings) {
    write_packed(path_, "tar", "", members);
    EXPECT_THROW(extract_archive(path_, out_), FormatError);
    expect_nothing_left();
  }
}

TEST_F(Archives, LimitsStopThem) {
  write_packed(path_, "tar", "gzip", {{.path = "a", .content = std::string(1 << 22, '0')}, {.path = "b"}});
  EXPECT_IN("more than 1 members", thrown_message<FormatError>([&] { list_archive(path_, {.max_members = 1}); }));
  EXPECT_IN("unpacks to more than 1.0 MB", thrown_message<FormatError>([&] {
              extract_archive(path_, out_, Overwrite::refuse, {.max_total_bytes = 1'000'000});
            }));
  EXPECT_THROW(
      extract_archive(path_, out_, Overwrite::refuse, {.expansion = {.free_expansion = 1000, .max_ratio = 2}}),
      FormatError);
  expect_nothing_left();
}

TEST_F(Archives, WhatIsNoneIsRecognized) {
  for (const std::string text : {"", "a,b\n1,2\n", "PK"}) {
    write_bytes(path_, text);
    EXPECT_FALSE(is_archive(path_));
    EXPECT_IN("is no archive", thrown_message<FormatError>([&] { list_archive(path_); }));
  }
}

TEST_F(Archives, TruncationLeavesNothingBehind) {
  for (const auto& [format, filter] : {std::pair("tar", "gzip"), std::pair("tar", ""), std::pair("zip", "")}) {
    write_packed(
        path_, format, filter,
        {{.path = "a", .content = std::string(5000, 'a')}, {.path = "b", .content = std::string(7000, 'b')}});
    const std::string whole = read_bytes(path_);
    // A plain tar is whole when its last member is: what fills its last block up may be missing.
    const std::size_t end =
        std::string(filter).empty() && std::string(format) == "tar" ? 512 + 5120 + 512 + 7000 : whole.size();
    for (std::size_t size = 0; size < end; size += 301) {
      // Between two members a plain tar cut short is like one that holds fewer.
      if (std::string(format) == "tar" && size >= 512 + 5000 && size <= 512 + 5120 + 1) continue;
      write_bytes(path_, whole.substr(0, size));
      EXPECT_THROW(extract_archive(path_, out_), FormatError) << format << filter << " cut to " << size;
      expect_nothing_left();
    }
  }
}

TEST_F(Archives, FlippedBytesEndInErrorsOrMembers) {
  for (const auto& [format, filter] : {std::pair("tar", ""), std::pair("zip", "")}) {
    write_packed(path_, format, filter, kMembers);
    const std::string whole = read_bytes(path_);
    for (std::size_t at = 0; at < whole.size(); at += at < 2048 ? 7 : 997) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
      write_bytes(path_, damaged);
      try {
        visit_archive(path_, [](const ArchiveMember&, std::unique_ptr<ByteStream> stream) { drain(*stream); });
      } catch (const Error&) {
      }
    }
  }
}

TEST_F(Archives, RealArchivesOfTheFixtures) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string fixtures = testing::test_data_dir() + "/fixtures/";
  EXPECT_EQ(list_archive(fixtures + "10X/pbmc_10k_protein_v3/filtered_feature_bc_matrix.tar.gz").size(), 7);
  extract_archive(fixtures + "seqfishplus.zip", out_);
  EXPECT_EQ(read_bytes(out_ + "/sourcedata/ob_counts.csv"),
            read_bytes(fixtures + "seqfishplus/sourcedata/ob_counts.csv"));
  EXPECT_EQ(list_archive(fixtures + "HEMATO/data.zip").front().path, "data");
}

}  // namespace
}  // namespace scvi::io
