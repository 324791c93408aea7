#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/archive.hpp"
#include "scvi/io/byte_stream.hpp"
#include "scvi/io/hdf5.hpp"
#include "scvi/io/open_counts.hpp"
#include "scvi/io/tenx.hpp"

namespace scvi::io {
namespace {

const char* const kKnown = "known are .h5ad, .loom, 10x (.h5, folder, archive), Matrix Market and tables of text";

/// HDF5 allows a block of the user's before its signature.
bool is_hdf5(const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  std::ifstream in(path, std::ios::binary);
  std::array<char, kSignature.size()> bytes{};
  for (std::streamoff at = 0; at <= 4096; at = at == 0 ? 512 : 2 * at) {
    in.seekg(at);
    if (!in.read(bytes.data(), bytes.size())) return false;
    if (std::string_view(bytes.data(), bytes.size()) == kSignature) return true;
  }
  return false;
}

/// What an HDF5 file without counts that we know seems to be.
std::string other_hdf5(const Hdf5File& file) {
  if (file.exists("mod")) return "it looks like a .h5mu file of several modalities: write one of them as .h5ad";
  if (file.exists("assays")) return "it looks like a file of SeuratDisk: convert it to .h5ad there";
  return kKnown;
}

CountFormat recognise_hdf5(const std::string& path) {
  if (is_tenx_h5(path)) return CountFormat::tenx_h5;
  const Hdf5File file = Hdf5File::open(path);
  if (file.exists("obs") && file.exists("var")) return CountFormat::h5ad;
  if (file.is_dataset("matrix") && file.exists("row_attrs")) return CountFormat::loom;
  const std::vector<std::string> held = file.children("/");
  throw FormatError({.problem = "is an HDF5 file without counts in a form that is known; it holds " +
                                (held.empty() ? "nothing" : join_some(held)),
                     .file = path,
                     .remedy = other_hdf5(file)});
}

/// The name of the file in lower case, without what compression adds.
std::string plain_name(std::string path) {
  std::transform(path.begin(), path.end(), path.begin(), [](unsigned char letter) { return std::tolower(letter); });
  for (const std::string_view ending : {".gz", ".bz2", ".xz"}) {
    if (path.ends_with(ending)) path.resize(path.size() - ending.size());
  }
  return path;
}

/// What the members of an archive are: a matrix of 10x, or one packed table. @pre it is an archive
CountFormat recognise_archive(const std::string& path) {
  std::vector<std::string> files;
  for (const ArchiveMember& member : list_archive(path)) {
    if (member.kind == ArchiveMember::Kind::file) files.push_back(member.path);
  }
  const auto holds = [&](std::string_view ending) {
    return std::any_of(files.begin(), files.end(),
                       [&](const std::string& file) { return plain_name(file).ends_with(ending); });
  };
  if (holds(".mtx")) return files.size() == 1 ? CountFormat::matrix_market : CountFormat::tenx;
  if (holds("workbook.xml")) {
    throw FormatError({.problem = "is an Excel workbook", .file = path, .remedy = "save its sheet as .csv"});
  }
  const bool is_zip = files.size() == 1 && plain_name(path).ends_with(".zip");
  const bool is_table = holds(".csv") || holds(".tsv") || holds(".txt");
  if (is_zip && is_table) return CountFormat::delimited;
  throw FormatError({.problem = "is an archive without counts in a form that is known; it holds " +
                                (files.empty() ? "nothing" : join_some(files, 5)),
                     .file = path,
                     .remedy = is_table ? "unpack it, or name one of a .zip with --member" : kKnown});
}

/// By the beginning of what the file unpacks to.
CountFormat recognise_stream(const std::string& path) {
  std::string head(4096, '\0');
  const std::unique_ptr<ByteStream> stream = open_byte_stream(path);
  std::size_t n = 0;
  for (std::size_t got = 1; got > 0 && n < head.size(); n += got) got = stream->read(&head[n], head.size() - n);
  head.resize(n);
  if (head.empty()) throw FormatError({.problem = "is empty", .file = path, .remedy = kKnown});
  if (head.starts_with("%%MatrixMarket")) return CountFormat::matrix_market;
  if (head.starts_with("\x89HDF")) {
    throw FormatError({.problem = "is a compressed HDF5 file", .file = path, .remedy = "unpack it first"});
  }
  const bool is_text = std::none_of(head.begin(), head.end(), [](unsigned char byte) {
    return byte < 32 && byte != '\t' && byte != '\n' && byte != '\r';
  });
  if (is_text) return CountFormat::delimited;
  throw FormatError({.problem = "holds no counts in a form that is known", .file = path, .remedy = kKnown});
}

}  // namespace

CountFormat recognise_counts(const std::string& path) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) return CountFormat::tenx;
  if (is_hdf5(path)) return recognise_hdf5(path);
  if (is_archive(path)) return recognise_archive(path);
  return recognise_stream(path);
}

}  // namespace scvi::io
