#include "torch_records.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "scvi/core/error.hpp"

namespace scvi::io::torch_detail {
namespace {

constexpr std::string_view kArchiveName = "archive";

struct CloseZipFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using ZipFile = std::unique_ptr<zip_file_t, CloseZipFile>;

std::string zip_message(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string message = zip_error_strerror(&error);
  zip_error_fini(&error);
  return message;
}

std::string reason(zip_file_t* file) {
  return " (" + std::string(zip_file_strerror(file)) + ")";
}

/// Tells what lies at `path` when it does not begin as a zip file does.
void check_signature(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw IoError({.problem = "cannot be opened", .file = path, .remedy = "check the name and permissions"});
  std::array<char, 16> head{};
  file.read(head.data(), head.size());
  const std::string_view text(head.data(), static_cast<std::size_t>(file.gcount()));
  if (text.starts_with("PK\x03\x04")) return;
  constexpr std::string_view kLegacyMagicNumber = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  if (text.find(kLegacyMagicNumber) != std::string_view::npos) {
    fail_format(path, "", "is in the format that torch.save wrote before PyTorch 1.6, which is not read",
                "load it in Python and save it again: torch.save(torch.load(path), new_path)");
  }
  if (text.empty()) fail_format(path, "", "is empty", kDamaged);
  fail_format(path, "", "is not a file of torch.save (a zip file)", kSaveAgain);
}

}  // namespace

RecordWriter::RecordWriter(const std::string& path) : path_(path) {
  int code = 0;
  zip_.reset(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (!zip_) fail("cannot be created (" + zip_message(code) + ")");
}

void RecordWriter::add(std::string_view name, const void* data, std::size_t size) {
  const std::string full_name = std::string(kArchiveName) + "/" + std::string(name);
  zip_source_t* source = zip_source_buffer(zip_.get(), data, size, 0);
  if (source == nullptr) fail_here();
  const zip_int64_t index = zip_file_add(zip_.get(), full_name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    fail_here();
  }
  const auto record = static_cast<zip_uint64_t>(index);
  constexpr zip_uint16_t kMidnight = 0;
  constexpr zip_uint16_t kFirstOfJanuary1980 = (1 << 5) | 1;
  if (zip_set_file_compression(zip_.get(), record, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(zip_.get(), record, kMidnight, kFirstOfJanuary1980, 0) != 0) {
    fail_here();
  }
  align(record, full_name.size(), size);
}

void RecordWriter::close() {
  if (zip_close(zip_.get()) != 0) fail_here();
  static_cast<void>(zip_.release());
}

/// As torch does, an extra field of padding lets each record begin at a multiple of 64 bytes, so that it can be
/// mapped into memory.
void RecordWriter::align(zip_uint64_t record, std::size_t name_size, std::size_t size) {
  constexpr std::uint64_t kAlignment = 64;
  constexpr std::uint64_t kLocalHeader = 30;
  constexpr std::uint64_t kExtraHeader = 4;
  constexpr std::uint64_t kZip64Extra = 20;
  constexpr zip_uint16_t kPaddingId = 0x4246;
  const std::uint64_t zip64 = size >= std::numeric_limits<std::uint32_t>::max() ? kZip64Extra : 0;
  const std::uint64_t unpadded = offset_ + kLocalHeader + name_size + zip64 + kExtraHeader;
  const std::uint64_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
  const std::array<zip_uint8_t, kAlignment> zeros{};
  if (zip_file_extra_field_set(zip_.get(), record, kPaddingId, ZIP_EXTRA_FIELD_NEW, zeros.data(),
                               static_cast<zip_uint16_t>(padding), ZIP_FL_LOCAL) != 0) {
    fail_here();
  }
  offset_ = unpadded + padding + size;
}

void RecordWriter::fail(std::string problem) const {
  throw IoError({.problem = std::move(problem), .file = path_, .remedy = "check the folder and the free space"});
}

void RecordWriter::fail_here() const {
  fail("cannot be written (" + std::string(zip_strerror(zip_.get())) + ")");
}

RecordReader::RecordReader(const std::string& path) : path_(path) {
  std::error_code error;
  file_size_ = std::filesystem::file_size(path, error);
  if (error) throw IoError({.problem = "cannot be opened (" + error.message() + ")", .file = path});
  check_signature(path);
  int code = 0;
  zip_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!zip_) fail_format(path_, "", "is not a whole zip file (" + zip_message(code) + ")", kDamaged);
  list_entries();
  find_folder();
}

std::uint64_t RecordReader::size(const std::string& name) const {
  const auto found = entries_.find(folder_ + name);
  if (found == entries_.end()) fail(name, "is missing");
  return found->second.size;
}

std::vector<std::byte> RecordReader::read(const std::string& name) const {
  std::vector<std::byte> bytes(size(name));
  const ZipFile file(zip_fopen_index(zip_.get(), entries_.at(folder_ + name).index, 0));
  if (!file) fail(name, "cannot be read (" + std::string(zip_strerror(zip_.get())) + ")");
  std::size_t done = 0;
  while (done < bytes.size()) {
    const zip_int64_t n_read = zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
    if (n_read <= 0) fail(name, "ends after " + std::to_string(done) + " bytes" + reason(file.get()));
    done += static_cast<std::size_t>(n_read);
  }
  // libzip compares the checksum when it is asked to read on at the end.
  std::byte beyond;
  if (zip_fread(file.get(), &beyond, 1) != 0) fail(name, "is damaged" + reason(file.get()));
  return bytes;
}

void RecordReader::fail(const std::string& name, std::string problem) const {
  fail_format(path_, "record " + quote(name), std::move(problem), kDamaged);
}

/// Stored entries cannot add up to more than the file, so what is allocated later stays in proportion to it.
void RecordReader::list_entries() {
  std::uint64_t total = 0;
  const zip_int64_t n_entries = zip_get_num_entries(zip_.get(), 0);
  for (zip_int64_t i = 0; i < n_entries; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    const auto index = static_cast<zip_uint64_t>(i);
    constexpr zip_uint64_t kNeeded =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(zip_.get(), index, ZIP_FL_ENC_RAW, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
      fail_format(path_, "", "has a directory that cannot be read", kDamaged);
    }
    if (stat.comp_method != ZIP_CM_STORE || stat.encryption_method != ZIP_EM_NONE) {
      fail(stat.name, "is compressed or encrypted, which torch.save does not do");
    }
    if (stat.size != stat.comp_size || stat.size > file_size_ || (total += stat.size) > file_size_) {
      fail(stat.name, "claims a size of " + std::to_string(stat.size) + " bytes, more than the file holds");
    }
    if (!entries_.emplace(stat.name, Entry{index, stat.size}).second) fail(stat.name, "is there twice");
  }
}

void RecordReader::find_folder() {
  constexpr std::string_view kPickle = "/data.pkl";
  for (const auto& [name, entry] : entries_) {
    if (!name.ends_with(kPickle) || name.find('/') != name.size() - kPickle.size()) continue;
    if (!folder_.empty()) fail_format(path_, "", "holds two archives", kDamaged);
    folder_ = name.substr(0, name.size() - kPickle.size() + 1);
  }
  if (folder_.empty()) fail_format(path_, "", "is a zip file, but not one of torch.save: no data.pkl", kSaveAgain);
}

}  // namespace scvi::io::torch_detail
