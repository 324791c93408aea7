#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "scvi/core/atomic_file.hpp"
#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

/// Limits within which an archive is read.
struct ArchiveOptions {
  std::int64_t max_members = 1'000'000;
  /// Of all members together, unpacked.
  std::int64_t max_total_bytes = std::int64_t{1} << 40;
  /// How far the archive as a whole may unpack for its size (`member` is not used).
  ByteStreamOptions expansion{};
};

/// What an archive says of one of its members.
struct ArchiveMember {
  enum class Kind { file, folder, other };  ///< other: links, devices, and what else is no plain file
  /// In valid UTF-8, without "./" and double slashes: "filtered_gene_bc_matrices/mm10/genes.tsv".
  std::string path{};
  Kind kind = Kind::file;
  std::int64_t size = -1;  ///< bytes as the archive states them, -1 when it does not
};

/// Whether the file is an archive (tar, compressed or not, or zip), by its content.
/// @throws IoError when it cannot be read
bool is_archive(const std::string& path);

/// Members in the order of the archive. Paths that lead out of the archive (absolute, or with "..") are errors here
/// and in the functions below: no honest archive has them.
/// @throws IoError, or FormatError when the file is no archive, damaged, or beyond the limits
std::vector<ArchiveMember> list_archive(const std::string& path, const ArchiveOptions& options = {});

/// Calls `use` for each member in order. The stream gives the content of a plain file, as stored in the archive (a
/// "matrix.mtx.gz" is still compressed), and nothing otherwise; what of it is not read is passed over.
using ArchiveVisitor = std::function<void(const ArchiveMember& member, std::unique_ptr<ByteStream> stream)>;
void visit_archive(const std::string& path, const ArchiveVisitor& use, const ArchiveOptions& options = {});

/// The content of one plain file of the archive. Getting there unpacks what lies before it in a tar.
/// @throws InputError when there is none of that path, naming the nearest
std::unique_ptr<ByteStream> open_archive_member(const std::string& path, const std::string& member,
                                                const ArchiveOptions& options = {});

/// Unpacks files and folders into `folder`, which appears whole or not at all. Links and devices are passed over with
/// a warning; permissions and owners are not taken from the archive.
/// @throws InputError when `folder` exists and must not be replaced; FormatError, IoError
void extract_archive(const std::string& path, const std::string& folder, Overwrite overwrite = Overwrite::refuse,
                     const ArchiveOptions& options = {});

}  // namespace scvi::io
