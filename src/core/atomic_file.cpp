#include "scvi/core/atomic_file.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_io(const std::string& path, const std::string& what, int error = errno) {
  throw IoError({.problem = what + ": " + std::strerror(error), .file = path});
}

/// An open file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Some file systems report a failed write only here.
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

/// Flushes a file or folder to the disk.
void sync_to_disk(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw_io(path, "cannot be opened to be flushed to disk");
  // EINVAL: a file system on which this has no meaning, not a loss.
  if (::fsync(file.get()) != 0 && errno != EINVAL && errno != EROFS) throw_io(path, "cannot be flushed to disk");
}

void sync_tree_to_disk(const std::string& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (!entry.is_symlink() && (entry.is_regular_file() || entry.is_directory())) sync_to_disk(entry.path().string());
  sync_to_disk(folder);
}

void remove_quietly(const std::string& path) noexcept {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

/// The temporaries in use by this process; what else bears its number was left by an earlier one.
struct Registry {
  std::mutex mutex;
  std::set<std::string> names;
};

Registry& registry() {
  static Registry* const the_registry = new Registry;
  return *the_registry;
}

bool claim(const std::string& name) {
  const std::lock_guard lock(registry().mutex);
  return registry().names.insert(name).second;
}

void release(const std::string& name) {
  const std::lock_guard lock(registry().mutex);
  registry().names.erase(name);
}

bool in_use(const std::string& name) {
  const std::lock_guard lock(registry().mutex);
  return registry().names.contains(name);
}

/// ".NAME.tmp." or ".NAME.old." in the folder of `path`.
std::string hidden_prefix(const std::string& path, const char* kind) {
  std::string prefix = ".";
  return prefix.append(fs::path(path).filename().string()).append(".").append(kind).append(".");
}

/// The process number of a hidden name "PREFIX<pid>" or "PREFIX<pid>.<count>", 0 when it is not of that form.
long owner_of(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return 0;
  name.remove_prefix(prefix.size());
  long pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  const bool whole = error == std::errc() && (end == name.data() + name.size() || *end == '.');
  return whole && pid > 0 ? pid : 0;
}

bool is_left_over(const std::string& path, long owner) {
  if (owner == ::getpid()) return !in_use(path);
  return ::kill(static_cast<pid_t>(owner), 0) != 0 && errno == ESRCH;
}

/// Clears away what a killed process left of an earlier attempt to write `path`.
void remove_leftovers(const std::string& path) {
  const std::string temporary_prefix = hidden_prefix(path, "tmp");
  const std::string aside_prefix = hidden_prefix(path, "old");
  std::error_code ignored;
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(path), ignored)) {
    const std::string name = entry.path().filename().string();
    const long temporary_owner = owner_of(name, temporary_prefix);
    const long aside_owner = owner_of(name, aside_prefix);
    const std::string full = folder_of(path) + "/" + name;
    if (temporary_owner && is_left_over(full, temporary_owner)) found.push_back(full);
    if (!aside_owner || !is_left_over(full, aside_owner)) continue;
    // Killed between moving the old folder aside and moving the new one in: the old one is still the truth.
    if (!fs::exists(path, ignored) && ::rename(full.c_str(), path.c_str()) == 0) continue;
    found.push_back(full);
  }
  for (const std::string& left_over : found) remove_quietly(left_over);
}

/// The folder that will hold the output must be there and writable.
void check_folder(const std::string& path) {
  const std::string folder = folder_of(path);
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) {
    if (errno == ENOENT)
      throw IoError({.problem = "does not exist, so '" + path + "' cannot be written",
                     .file = folder,
                     .remedy = "make the folder first"});
    throw_io(folder, "cannot be used to write '" + path + "'");
  }
  if (!S_ISDIR(info.st_mode))
    throw IoError({.problem = "is not a folder, so '" + path + "' cannot be written", .file = folder});
  if (::access(folder.c_str(), W_OK | X_OK) != 0) throw_io(folder, "is not writable");
}

[[noreturn]] void throw_exists(const std::string& path) {
  throw InputError({.problem = "exists already", .file = path, .remedy = "pass --force to replace it"});
}

/// Through a symbolic link, what it points at is written; the link stays.
std::string resolved(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path target = fs::weakly_canonical(path, error);
  return error ? path : target.string();
}

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

/// Claims a temporary name beside `path` and lets `make` create it.
template <class Make>
std::string make_temporary(const std::string& path, Make make) {
  const std::string stem = folder_of(path) + "/" + hidden_prefix(path, "tmp") + std::to_string(::getpid());
  std::string name = stem;
  for (int count = 2; !claim(name); ++count) name = stem + "." + std::to_string(count);
  if (make(name)) return name;
  const int error = errno;
  release(name);
  throw_io(folder_of(path), "cannot hold a new file", error);
}

/// Moves `temporary` to `path`, which must not exist.
void move_to_new_name(const std::string& temporary, const std::string& path) {
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EEXIST) throw_exists(path);
  if (errno != EINVAL && errno != ENOSYS) throw_io(path, "cannot be put in place");
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) throw_exists(path);
  if (::rename(temporary.c_str(), path.c_str()) != 0) throw_io(path, "cannot be put in place");
}

/// Where a file system cannot exchange two names: moves the old folder aside, then the new one in.
void replace_in_two_steps(const std::string& temporary, const std::string& path) {
  const std::string aside = folder_of(path) + "/" + hidden_prefix(path, "old") + std::to_string(::getpid());
  if (::rename(path.c_str(), aside.c_str()) != 0) throw_io(path, "cannot be replaced");
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    (void)::rename(aside.c_str(), path.c_str());
    throw_io(path, "cannot be replaced", error);
  }
  remove_quietly(aside);
}

void replace_folder(const std::string& temporary, const std::string& path) {
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0)
    return remove_quietly(temporary);
  if (errno == ENOENT) return move_to_new_name(temporary, path);
  if (errno != EINVAL && errno != ENOSYS) throw_io(path, "cannot be replaced");
  replace_in_two_steps(temporary, path);
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path, Overwrite overwrite) : path_(resolved(path)), overwrite_(overwrite) {
  check_folder(path_);
  remove_leftovers(path_);
  struct stat info {};
  const bool exists = ::stat(path_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode))
    throw InputError(
        {.problem = "is a folder, but a file is to be written", .file = path_, .remedy = "give another name"});
  if (exists && !S_ISREG(info.st_mode))
    throw InputError({.problem = "is not a regular file", .file = path_, .remedy = "give another name"});
  if (exists && overwrite == Overwrite::refuse) throw_exists(path_);
  temporary_ = make_temporary(path_, [&](const std::string& name) {
    const Descriptor file(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    // A file that takes another's place keeps its permissions.
    if (file && exists) (void)!::fchmod(file.get(), info.st_mode & 07777);
    return static_cast<bool>(file);
  });
}

AtomicFile::~AtomicFile() {
  if (!committed_) ::unlink(temporary_.c_str());
  release(temporary_);
}

void AtomicFile::write(const void* data, std::size_t size) {
  Descriptor file(::open(temporary_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  if (!file) throw_io(path_, "cannot be written");
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(file.get(), next, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_io(path_, "cannot be written");
    next += written;
    size -= static_cast<std::size_t>(written);
  }
  if (file.close() != 0) throw_io(path_, "cannot be written");
}

void AtomicFile::commit() {
  if (committed_) return;
  sync_to_disk(temporary_);
  if (overwrite_ == Overwrite::refuse)
    move_to_new_name(temporary_, path_);
  else if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw_io(path_, "cannot be put in place");
  committed_ = true;
  sync_to_disk(folder_of(path_));
}

AtomicDirectory::AtomicDirectory(std::string path, Overwrite overwrite)
    : path_(resolved(without_trailing_slashes(std::move(path)))), overwrite_(overwrite) {
  check_folder(path_);
  remove_leftovers(path_);
  struct stat info {};
  const bool exists = ::stat(path_.c_str(), &info) == 0;
  if (exists && !S_ISDIR(info.st_mode))
    throw InputError(
        {.problem = "is a file, but a folder is to be written", .file = path_, .remedy = "give another name"});
  if (exists && overwrite == Overwrite::refuse) throw_exists(path_);
  temporary_ = make_temporary(path_, [](const std::string& name) { return ::mkdir(name.c_str(), 0777) == 0; });
}

AtomicDirectory::~AtomicDirectory() {
  if (!committed_) remove_quietly(temporary_);
  release(temporary_);
}

void AtomicDirectory::commit() {
  if (committed_) return;
  sync_tree_to_disk(temporary_);
  if (overwrite_ == Overwrite::refuse)
    move_to_new_name(temporary_, path_);
  else
    replace_folder(temporary_, path_);
  committed_ = true;
  sync_to_disk(folder_of(path_));
}

void write_file_atomically(const std::string& path, const std::string& text) {
  AtomicFile file(path, Overwrite::replace);
  file.write(text.data(), text.size());
  file.commit();
}

namespace {

/// Calls consume(data, size) for the bytes of a file, piece by piece.
template <class Consume>
void for_each_piece(const std::string& path, Consume consume) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw_io(path, "cannot be opened");
  std::vector<char> buffer(1 << 18);
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_io(path, "cannot be read");
    if (got == 0) return;
    consume(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string read_file(const std::string& path) {
  std::string text;
  for_each_piece(path, [&](const char* data, std::size_t size) { text.append(data, size); });
  return text;
}

std::string sha256_of_file(const std::string& path) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  for_each_piece(path, [&](const char* data, std::size_t length) {
    good = good && EVP_DigestUpdate(context.get(), data, length) == 1;
  });
  if (!good || EVP_DigestFinal_ex(context.get(), digest.data(), &size) != 1)
    throw IoError({.problem = "SHA-256 could not be computed", .file = path});
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace scvi
