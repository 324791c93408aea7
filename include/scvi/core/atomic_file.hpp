#pragma once

#include <cstddef>
#include <string>

namespace scvi {

/// What to do when the output is there already.
enum class Overwrite { refuse, replace };

/// A file that appears whole or not at all: written under a temporary name in the same folder, then flushed to disk
/// and renamed. Destroyed without commit(), it leaves nothing behind.
class AtomicFile {
 public:
  /// @throws InputError when `path` exists and must not be replaced, IoError when its folder is missing or not
  ///         writable
  AtomicFile(const std::string& path, Overwrite overwrite);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// The name to write to until commit().
  const std::string& temporary_path() const { return temporary_; }
  /// Shorthand: write these bytes to the temporary file. @throws IoError (for instance on a full disk)
  void write(const void* data, std::size_t size);
  void commit();

 private:
  std::string path_;
  std::string temporary_;
  Overwrite overwrite_;
  bool committed_ = false;
};

/// A folder that appears whole or not at all. An existing one is swapped out in one step and then removed.
class AtomicDirectory {
 public:
  AtomicDirectory(std::string path, Overwrite overwrite);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const std::string& temporary_path() const { return temporary_; }
  void commit();

 private:
  std::string path_;
  std::string temporary_;
  Overwrite overwrite_;
  bool committed_ = false;
};

/// Writes `text` to `path` through an AtomicFile, replacing what was there.
void write_file_atomically(const std::string& path, const std::string& text);

/// The whole file. @throws IoError
std::string read_file(const std::string& path);

/// SHA-256 of a file as 64 hexadecimal digits. @throws IoError
std::string sha256_of_file(const std::string& path);

}  // namespace scvi
