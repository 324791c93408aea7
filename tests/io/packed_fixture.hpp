#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "scvi/core/logging.hpp"
#include "scvi/io/byte_stream.hpp"
#include "scvi/io/count_file.hpp"

namespace scvi::testing {

inline void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// One member of an archive to be written.
struct PackedMember {
  std::string path{};
  std::string content{};
  unsigned type = AE_IFREG;
  std::string link_target{};
};

/// Writes with libarchive. @param format "tar", "zip" or "raw"; @param filter "", "gzip", "bzip2" or "xz"
inline void write_packed(const std::string& path, const std::string& format, const std::string& filter,
                         const std::vector<PackedMember>& members) {
  const std::unique_ptr<archive, int (*)(archive*)> handle(archive_write_new(), archive_write_free);
  const auto check = [&](int result) {
    if (result < ARCHIVE_OK) throw std::runtime_error(archive_error_string(handle.get()));
  };
  if (!filter.empty()) check(archive_write_add_filter_by_name(handle.get(), filter.c_str()));
  if (format == "tar")
    check(archive_write_set_format_gnutar(handle.get()));
  else
    check(archive_write_set_format_by_name(handle.get(), format.c_str()));
  check(archive_write_open_filename(handle.get(), path.c_str()));
  for (const PackedMember& member : members) {
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
    archive_entry_set_pathname(entry.get(), member.path.c_str());
    archive_entry_set_filetype(entry.get(), member.type);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(member.content.size()));
    if (member.type == AE_IFLNK) archive_entry_set_symlink(entry.get(), member.link_target.c_str());
    check(archive_write_header(handle.get(), entry.get()));
    if (!member.content.empty() && archive_write_data(handle.get(), member.content.data(), member.content.size()) < 0)
      throw std::runtime_error(archive_error_string(handle.get()));
  }
  check(archive_write_close(handle.get()));
}

/// One text, packed.
inline void write_packed_text(const std::string& path, const std::string& filter, const std::string& text) {
  write_packed(path, "raw", filter, {{.path = "data", .content = text}});
}

inline std::string drain(io::ByteStream& stream) {
  std::string all;
  char buffer[4096];
  while (const std::size_t got = stream.read(buffer, sizeof buffer)) all.append(buffer, got);
  return all;
}

/// The counts as a dense table, one list a row.
inline std::vector<std::vector<float>> dense(io::MatrixReader& matrix) {
  std::vector<std::vector<float>> rows;
  matrix.for_each_block([&](const io::CsrBlock& block) {
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      auto& values = rows.emplace_back(static_cast<std::size_t>(matrix.info().n_cols));
      for (std::int64_t at = block.indptr[row]; at < block.indptr[row + 1]; ++at)
        values.at(static_cast<std::size_t>(block.indices[at])) = block.values[at];
    }
  });
  return rows;
}

/// Messages that are logged while it lives.
class LogCatcher {
 public:
  std::string text() const { return text_; }

 private:
  std::string text_;
  ScopedLogSink sink_{[this](LogLevel, std::string_view message) { text_ += std::string(message) + "\n"; }};
};

/// The message of the E that `action` must throw.
template <class E, class Action>
std::string thrown_message(Action&& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
    return "";
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace scvi::testing

#define EXPECT_IN(part, text) EXPECT_NE((text).find(part), std::string::npos) << "in: " << (text)
