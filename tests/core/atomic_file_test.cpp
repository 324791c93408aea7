#include "scvi/core/atomic_file.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "scvi/core/error.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

namespace fs = std::filesystem;

class AtomicOutput : public ::testing::Test {
 protected:
  std::string path(const std::string& name = "") const { return folder_.path(name); }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  }

  void put(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }

  /// A number that no process bears any more.
  static long dead_pid() {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
    return child;
  }

  testing::TemporaryDirectory folder_;
};

using AtomicFileTest = AtomicOutput;
using AtomicDirectoryTest = AtomicOutput;
using Names = std::vector<std::string>;

/// The message of the error of type E that `act` throws.
template <class E, class Act>
std::string message_of(Act act) {
  try {
    act();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST_F(AtomicFileTest, AppearsOnlyOnCommit) {
  AtomicFile file(path("out.txt"), Overwrite::refuse);
  file.write("abc", 3);
  file.write("def", 3);
  EXPECT_FALSE(fs::exists(path("out.txt")));
  file.commit();
  EXPECT_EQ(read_file(path("out.txt")), "abcdef");
  EXPECT_EQ(names(), Names{"out.txt"});
}

TEST_F(AtomicFileTest, TemporaryLiesHiddenInTheSameFolder) {
  const AtomicFile file(path("out.txt"), Overwrite::refuse);
  EXPECT_EQ(file.temporary_path(), path(".out.txt.tmp." + std::to_string(getpid())));
}

TEST_F(AtomicFileTest, MayBeWrittenByAnotherLibraryThroughItsTemporaryPath) {
  AtomicFile file(path("out.txt"), Overwrite::refuse);
  std::ofstream(file.temporary_path()) << "from elsewhere";
  file.commit();
  EXPECT_EQ(read_file(path("out.txt")), "from elsewhere");
}

TEST_F(AtomicFileTest, LeavesNothingBehindWithoutCommit) {
  put("out.txt", "old");
  try {
    AtomicFile file(path("out.txt"), Overwrite::replace);
    file.write("new", 3);
    throw std::runtime_error("x");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(names(), Names{"out.txt"});
  EXPECT_EQ(read_file(path("out.txt")), "old");
}

TEST_F(AtomicFileTest, RefusesToReplaceUnlessAllowed) {
  put("out.txt", "old");
  EXPECT_EQ(message_of<InputError>([&] { AtomicFile(path("out.txt"), Overwrite::refuse); }),
            path("out.txt") + ": exists already; pass --force to replace it");
  AtomicFile file(path("out.txt"), Overwrite::replace);
  file.write("new", 3);
  file.commit();
  EXPECT_EQ(read_file(path("out.txt")), "new");
}

TEST_F(AtomicFileTest, RefusesAFileThatAppearedMeanwhile) {
  AtomicFile file(path("out.txt"), Overwrite::refuse);
  put("out.txt", "someone else's");
  EXPECT_THROW(file.commit(), InputError);
  EXPECT_EQ(read_file(path("out.txt")), "someone else's");
}

TEST_F(AtomicFileTest, KeepsThePermissionsOfTheFileItReplaces) {
  put("out.txt", "old");
  fs::permissions(path("out.txt"), fs::perms(0640));
  write_file_atomically(path("out.txt"), "new");
  EXPECT_EQ(fs::status(path("out.txt")).permissions(), fs::perms(0640));
}

TEST_F(AtomicFileTest, WritesThroughASymbolicLink) {
  fs::create_directory(path("real"));
  put("real/data.txt", "old");
  fs::create_symlink(path("real/data.txt"), path("link.txt"));
  write_file_atomically(path("link.txt"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link.txt")));
  EXPECT_EQ(read_file(path("real/data.txt")), "new");
}

TEST_F(AtomicFileTest, NamesAMissingFolder) {
  const std::string message = message_of<IoError>([&] { AtomicFile(path("no/out.txt"), Overwrite::refuse); });
  EXPECT_TRUE(message.starts_with(path("no") + ": does not exist")) << message;
}

TEST_F(AtomicFileTest, RefusesAFolderThatIsAFile) {
  put("file", "x");
  EXPECT_THROW(AtomicFile(path("file/out.txt"), Overwrite::refuse), IoError);
}

TEST_F(AtomicFileTest, NamesAFolderThatIsNotWritable) {
  if (!fs::exists("/proc/self")) GTEST_SKIP() << "no /proc here";
  // Not even root may make files there.
  const std::string message = message_of<IoError>([&] { AtomicFile("/proc/self/out.txt", Overwrite::refuse); });
  EXPECT_TRUE(message.starts_with("/proc/self: ")) << message;
}

TEST_F(AtomicFileTest, RefusesToReplaceAFolderOrADevice) {
  fs::create_directory(path("out"));
  const std::string message = message_of<InputError>([&] { AtomicFile(path("out"), Overwrite::replace); });
  EXPECT_TRUE(message.starts_with(path("out") + ": is a folder")) << message;
  EXPECT_THROW(AtomicFile("/dev/null", Overwrite::replace), InputError);
}

TEST_F(AtomicFileTest, ReportsAFullDisk) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  AtomicFile file(path("out.txt"), Overwrite::refuse);
  fs::remove(file.temporary_path());
  fs::create_symlink("/dev/full", file.temporary_path());
  const std::string message = message_of<IoError>([&] { file.write("abc", 3); });
  EXPECT_NE(message.find("No space left on device"), std::string::npos) << message;
  EXPECT_TRUE(message.starts_with(path("out.txt"))) << message;
}

TEST_F(AtomicFileTest, LeavesTheOldFileAloneWhenTheDiskFillsUp) {
  fs::create_directory(path("small"));
  if (mount("scvi-test", path("small").c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "NO SMALL DISK: mounting needs root; this test did not run";
  put("small/out.bin", "old");
  const std::vector<char> much(1 << 20);
  const std::string message = message_of<IoError>([&] {
    AtomicFile file(path("small/out.bin"), Overwrite::replace);
    file.write(much.data(), much.size());
    file.commit();
  });
  const std::string kept = read_file(path("small/out.bin"));
  const auto files = std::distance(fs::directory_iterator(path("small")), fs::directory_iterator());
  umount(path("small").c_str());
  EXPECT_NE(message.find("No space left on device"), std::string::npos) << message;
  EXPECT_EQ(kept, "old");
  EXPECT_EQ(files, 1);
}

TEST_F(AtomicFileTest, TwoForTheSameTargetDoNotDisturbEachOther) {
  AtomicFile first(path("out.txt"), Overwrite::replace);
  AtomicFile second(path("out.txt"), Overwrite::replace);
  first.write("first", 5);
  second.write("second", 6);
  first.commit();
  EXPECT_EQ(read_file(path("out.txt")), "first");
  second.commit();
  EXPECT_EQ(read_file(path("out.txt")), "second");
  EXPECT_EQ(names(), Names{"out.txt"});
}

TEST_F(AtomicFileTest, ClearsAwayWhatDeadProcessesLeftOfTheSameTargetOnly) {
  const std::string dead = std::to_string(dead_pid());
  put(".out.txt.tmp." + dead, "half");
  put(".out.txt.tmp." + dead + ".2", "half");
  put(".out.txt.tmp." + std::to_string(getpid()), "of an earlier process with our number");
  put(".out.txt.tmp.1", "of a living process");
  put(".out.txt.tmp.notes", "not ours");
  put(".other.txt.tmp." + dead, "of another target");
  write_file_atomically(path("out.txt"), "new");
  EXPECT_EQ(names(), (Names{".other.txt.tmp." + dead, ".out.txt.tmp.1", ".out.txt.tmp.notes", "out.txt"}));
}

TEST_F(AtomicFileTest, SurvivesKillOfTheWriter) {
  put("out.txt", "old");
  const pid_t child = fork();
  if (child == 0) {
    AtomicFile file(path("out.txt"), Overwrite::replace);
    file.write("half", 4);
    std::raise(SIGKILL);
  }
  waitpid(child, nullptr, 0);
  EXPECT_EQ(read_file(path("out.txt")), "old");
  EXPECT_EQ(names().size(), 2u);
  write_file_atomically(path("out.txt"), "new");
  EXPECT_EQ(names(), Names{"out.txt"});
}

TEST_F(AtomicFileTest, AcceptsANameWithoutAFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(path());
  write_file_atomically("out.txt", "here");
  fs::current_path(before);
  EXPECT_EQ(read_file(path("out.txt")), "here");
}

TEST_F(AtomicDirectoryTest, AppearsOnlyOnCommit) {
  AtomicDirectory folder(path("model"), Overwrite::refuse);
  std::ofstream(folder.temporary_path() + "/a") << "1";
  EXPECT_FALSE(fs::exists(path("model")));
  folder.commit();
  EXPECT_EQ(read_file(path("model/a")), "1");
  EXPECT_EQ(names(), Names{"model"});
}

TEST_F(AtomicDirectoryTest, ReplacesTheWholeOldFolder) {
  fs::create_directories(path("model/deep"));
  put("model/deep/old", "x");
  AtomicDirectory folder(path("model") + "/", Overwrite::replace);
  fs::create_directory(folder.temporary_path() + "/inner");
  std::ofstream(folder.temporary_path() + "/inner/new") << "1";
  folder.commit();
  EXPECT_FALSE(fs::exists(path("model/deep")));
  EXPECT_EQ(read_file(path("model/inner/new")), "1");
  EXPECT_EQ(names(), Names{"model"});
}

TEST_F(AtomicDirectoryTest, MakesANewFolderWhenReplacingNothing) {
  AtomicDirectory folder(path("model"), Overwrite::replace);
  folder.commit();
  EXPECT_TRUE(fs::is_directory(path("model")));
}

TEST_F(AtomicDirectoryTest, LeavesNothingBehindWithoutCommit) {
  fs::create_directory(path("model"));
  put("model/old", "x");
  {
    const AtomicDirectory folder(path("model"), Overwrite::replace);
    std::ofstream(folder.temporary_path() + "/new") << "1";
  }
  EXPECT_EQ(names(), Names{"model"});
  EXPECT_EQ(read_file(path("model/old")), "x");
}

TEST_F(AtomicDirectoryTest, RefusesToReplaceUnlessAllowed) {
  fs::create_directory(path("model"));
  EXPECT_EQ(message_of<InputError>([&] { AtomicDirectory(path("model"), Overwrite::refuse); }),
            path("model") + ": exists already; pass --force to replace it");
  EXPECT_EQ(names(), Names{"model"});
}

TEST_F(AtomicDirectoryTest, RefusesAFolderThatAppearedMeanwhile) {
  AtomicDirectory folder(path("model"), Overwrite::refuse);
  fs::create_directory(path("model"));
  EXPECT_THROW(folder.commit(), InputError);
}

TEST_F(AtomicDirectoryTest, RefusesToReplaceAFile) {
  put("model", "x");
  const std::string message = message_of<InputError>([&] { AtomicDirectory(path("model"), Overwrite::replace); });
  EXPECT_TRUE(message.starts_with(path("model") + ": is a file")) << message;
  EXPECT_EQ(names(), Names{"model"});
}

TEST_F(AtomicDirectoryTest, ClearsAwayWhatDeadProcessesLeft) {
  const std::string left = ".model.tmp." + std::to_string(dead_pid());
  fs::create_directory(path(left));
  put(left + "/half", "x");
  AtomicDirectory(path("model"), Overwrite::refuse).commit();
  EXPECT_EQ(names(), Names{"model"});
}

TEST_F(AtomicDirectoryTest, PutsTheOldFolderBackThatAKilledReplacementHadMovedAside) {
  const std::string aside = ".model.old." + std::to_string(dead_pid());
  fs::create_directory(path(aside));
  put(aside + "/precious", "x");
  EXPECT_THROW(AtomicDirectory(path("model"), Overwrite::refuse), InputError);
  EXPECT_EQ(read_file(path("model/precious")), "x");
  EXPECT_EQ(names(), Names{"model"});
}

TEST_F(AtomicOutput, ReadFileReturnsAllBytes) {
  std::string bytes;
  for (int i = 0; i < 600000; ++i) bytes += static_cast<char>(i * 7 % 256);
  write_file_atomically(path("bytes"), bytes);
  EXPECT_EQ(read_file(path("bytes")), bytes);
  write_file_atomically(path("empty"), "");
  EXPECT_EQ(read_file(path("empty")), "");
}

TEST_F(AtomicOutput, ReadingWhatIsNoFileIsAnIoError) {
  EXPECT_THROW(read_file(path("missing")), IoError);
  EXPECT_THROW(read_file(path()), IoError);
  EXPECT_THROW(sha256_of_file(path("missing")), IoError);
}

TEST_F(AtomicOutput, Sha256MatchesTheKnownAnswersOfFips180) {
  put("empty", "");
  put("abc", "abc");
  put("million", std::string(1000000, 'a'));
  EXPECT_EQ(sha256_of_file(path("empty")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of_file(path("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of_file(path("million")), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace scvi
