#pragma once

// What the fuzzing programs share: a reader is given a file of arbitrary bytes, and may answer with one of our
// errors.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"

namespace scvi::fuzzing {

/// A file in memory that holds the bytes, with a path to it.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : descriptor_(::memfd_create("fuzzed", MFD_CLOEXEC)) {
    if (descriptor_ < 0 || ::write(descriptor_, data, size) != static_cast<ssize_t>(size)) std::abort();
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

/// Runs read(path) on a file of these bytes. An Error is a fine answer; whatever else leaves `read` is a finding.
template <class Read>
int try_reading(const std::uint8_t* data, std::size_t size, Read&& read) {
  set_verbosity(LogLevel::off);
  const MemoryFile file(data, size);
  try {
    read(file.path());
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace scvi::fuzzing
