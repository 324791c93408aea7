#pragma once

#include <zip.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "torch_detail.hpp"

/// The zip file around a torch archive.
namespace scvi::io::torch_detail {

struct DiscardZip {
  void operator()(zip_t* zip) const { zip_discard(zip); }
};
using Zip = std::unique_ptr<zip_t, DiscardZip>;

/// Adds stored records to a new zip file. What the records hold must stay alive until close().
class RecordWriter {
 public:
  /// @throws IoError, as the others do
  explicit RecordWriter(const std::string& path);
  void add(std::string_view name, const void* data, std::size_t size);
  void close();

 private:
  void align(zip_uint64_t record, std::size_t name_size, std::size_t size);
  [[noreturn]] void fail(std::string problem) const;
  [[noreturn]] void fail_here() const;

  std::string path_;
  Zip zip_;
  std::uint64_t offset_ = 0;
};

/// The records of a torch archive: stored entries of a zip file below one folder.
class RecordReader {
 public:
  /// @throws IoError, FormatError
  explicit RecordReader(const std::string& path);

  std::uint64_t file_size() const { return file_size_; }
  bool has(const std::string& name) const { return entries_.contains(folder_ + name); }
  /// @throws FormatError when there is no such record
  std::uint64_t size(const std::string& name) const;
  /// @throws FormatError also when the checksum does not match
  std::vector<std::byte> read(const std::string& name) const;

 private:
  struct Entry {
    zip_uint64_t index;
    std::uint64_t size;
  };

  [[noreturn]] void fail(const std::string& name, std::string problem) const;
  void list_entries();
  void find_folder();

  std::string path_;
  std::uint64_t file_size_ = 0;
  Zip zip_;
  std::unordered_map<std::string, Entry> entries_;
  std::string folder_;  ///< with a slash at the end
};

}  // namespace scvi::io::torch_detail
