#include "scvi/io/tenx.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string_view>
#include <utility>

#include "clean_names.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/line_reader.hpp"
#include "scvi/io/matrix_market.hpp"
#include "tenx_features.hpp"

namespace scvi::io {
namespace {

namespace fs = std::filesystem;

/// Each name takes 32 bytes and more.
constexpr std::size_t kMaxLines = std::size_t{1} << 26;

/// Where one matrix and its names lie, within a folder or an archive. Empty where there is none.
struct TenXPaths {
  std::string name{};  ///< of its folder, or the common prefix of its files
  std::string matrix{};
  std::string features{};
  std::string barcodes{};
};

/// The files of a folder or an archive, and a way to read some of them.
struct TenXSource {
  std::vector<std::string> files{};
  /// Calls `use` for each of the files that are wanted, in any order.
  using Use = std::function<void(const std::string& file, std::unique_ptr<ByteStream> stream)>;
  std::function<void(const Use& use)> visit{};
};

TenXSource open_folder(const std::string& folder) {
  constexpr int kDeepest = 8;
  constexpr std::size_t kMostFiles = 100'000;
  TenXSource source;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
  if (error) throw IoError({.problem = "cannot be read: " + error.message(), .file = folder});
  for (; at != fs::recursive_directory_iterator(); at.increment(error)) {
    throw_if_interrupted();
    if (error) throw IoError({.problem = "cannot be read: " + error.message(), .file = folder});
    if (at.depth() >= kDeepest || at->path().filename().string().starts_with('.')) at.disable_recursion_pending();
    if (at->is_regular_file(error)) source.files.push_back(at->path().lexically_relative(folder).string());
    if (source.files.size() > kMostFiles)
      throw InputError({.problem = "holds more than " + with_thousands(kMostFiles) + " files",
                        .file = folder,
                        .remedy = "give the folder of the matrix itself"});
  }
  std::ranges::sort(source.files);
  source.visit = [files = source.files](const TenXSource::Use& use) {
    for (const std::string& file : files) use(file, nullptr);
  };
  return source;
}

TenXSource open_archive(const std::string& path, const ArchiveOptions& options) {
  TenXSource source;
  for (ArchiveMember& member : list_archive(path, options))
    if (member.kind == ArchiveMember::Kind::file) source.files.push_back(std::move(member.path));
  std::ranges::sort(source.files);
  source.visit = [path, options](const TenXSource::Use& use) {
    visit_archive(
        path,
        [&](const ArchiveMember& member, std::unique_ptr<ByteStream> stream) {
          if (member.kind == ArchiveMember::Kind::file) use(member.path, std::move(stream));
        },
        options);
  };
  return source;
}

/// The first of the names that is among the files, or "".
std::string first_of(const std::vector<std::string>& files, const std::string& prefix,
                     std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (std::ranges::binary_search(files, prefix + name)) return prefix + name;
  return "";
}

std::string last_part(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

/// Every matrix among the files, with what belongs to it.
std::vector<TenXPaths> find_matrices(const std::vector<std::string>& files, const std::string& root) {
  std::vector<TenXPaths> found;
  for (const std::string& file : files) {
    const std::string base = last_part(file);
    if (base.starts_with('.')) continue;
    constexpr std::string_view kMatrix = "matrix.mtx";
    const std::string_view plain = std::string_view(file).substr(0, file.size() - (base.ends_with(".gz") ? 3 : 0));
    if (!plain.ends_with(kMatrix)) continue;
    const std::string prefix(plain.substr(0, plain.size() - kMatrix.size()));
    TenXPaths paths{
        .matrix = file,
        .features = first_of(files, prefix, {"features.tsv.gz", "features.tsv", "genes.tsv", "genes.tsv.gz"}),
        .barcodes = first_of(files, prefix, {"barcodes.tsv.gz", "barcodes.tsv"})};
    const bool own_folder = prefix.empty() || prefix.ends_with('/');
    const std::string folder = prefix.empty() ? root : prefix.substr(0, prefix.size() - 1);
    paths.name = last_part(own_folder ? folder : prefix);
    // A folder may hold a matrix both packed and not.
    if (found.empty() || found.back().features.empty() || found.back().features != paths.features)
      found.push_back(std::move(paths));
  }
  return found;
}

TenXPaths choose(std::vector<TenXPaths> found, const std::string& genome, const std::string& path) {
  if (found.empty())
    throw InputError({.problem = "holds no matrix.mtx or matrix.mtx.gz",
                      .file = path,
                      .remedy = "give a folder or archive of Cell Ranger"});
  std::vector<std::string> names;
  for (const TenXPaths& paths : found) names.push_back(paths.name);
  if (!genome.empty()) std::erase_if(found, [&](const TenXPaths& paths) { return paths.name != genome; });
  if (found.empty())
    throw InputError(
        {.problem = "has no matrix of the genome '" + genome + "'", .file = path, .remedy = suggest(genome, names)});
  const auto is_raw = [](const TenXPaths& paths) { return paths.matrix.find("raw") != std::string::npos; };
  if (found.size() > 1 && std::ranges::count_if(found, is_raw) == std::ssize(found) - 1) std::erase_if(found, is_raw);
  if (found.size() == 1) return std::move(found.front());
  throw InputError({.problem = "holds several matrices: " + join_some(names),
                    .file = path,
                    .remedy = "choose one of them (--genome), or give its own folder"});
}

/// The columns of a table without a header and quotes.
std::vector<std::vector<std::string>> read_columns(std::unique_ptr<ByteStream> packed,
                                                   const ByteStreamOptions& options, std::size_t most,
                                                   const std::string& what) {
  const std::unique_ptr<ByteStream> stream = decompressed(std::move(packed), options);
  LineReader lines(*stream);
  std::vector<std::vector<std::string>> columns;
  std::string_view line;
  while (lines.next(line)) {
    throw_if_interrupted();
    if (line.empty()) continue;
    const std::size_t n_fields = static_cast<std::size_t>(std::ranges::count(line, '\t')) + 1;
    if (columns.empty()) columns.resize(std::min(n_fields, most));
    const std::string place = "line " + std::to_string(lines.line_number());
    if (n_fields < columns.size())
      stream->fail(place, "has " + std::to_string(n_fields) + " fields, where " + std::to_string(columns.size()) +
                              " are expected");
    if (columns.front().size() == kMaxLines) stream->fail(place, "is beyond the number of lines that is supported");
    for (std::vector<std::string>& column : columns) {
      column.emplace_back(line.substr(0, line.find('\t')));
      line.remove_prefix(std::min(line.size(), column.back().size() + 1));
    }
  }
  for (std::vector<std::string>& column : columns) clean_names(column, *stream, what);
  columns.resize(most);
  return columns;
}

/// Reads the parts of one matrix as they come.
class PartsReader {
 public:
  PartsReader(TenXPaths paths, const ByteStreamOptions& options) : paths_(std::move(paths)), options_(options) {}

  bool wants(const std::string& file) const {
    return !file.empty() && (file == paths_.matrix || file == paths_.features || file == paths_.barcodes);
  }

  void read(const std::string& file, std::unique_ptr<ByteStream> stream) {
    if (file == paths_.matrix) {
      parts_.matrix = read_matrix_market(std::move(stream), {.gene_by_cell = true, .stream = options_});
    } else if (file == paths_.features) {
      constexpr std::size_t kColumns = 3;
      auto columns = read_columns(std::move(stream), options_, kColumns, "names of features");
      parts_.features = {std::move(columns[0]), std::move(columns[1]), std::move(columns[2]), {}};
    } else {
      parts_.barcodes = std::move(read_columns(std::move(stream), options_, 1, "barcodes").front());
    }
  }

  TenXParts finish(const std::string& path, const std::string& kind) {
    const bool old = last_part(paths_.features).find("genes.tsv") != std::string::npos;
    if (!parts_.matrix)
      throw FormatError({.problem = "changed while it was being read", .file = path, .field = paths_.matrix});
    parts_.path = path;
    parts_.format = "10x " + kind + (old ? " of Cell Ranger 2" : " of Cell Ranger 3");
    // The second generation has a folder for each genome.
    if (old) parts_.features.genomes.assign(parts_.features.ids.size(), paths_.name);
    return std::move(parts_);
  }

 private:
  TenXPaths paths_;
  ByteStreamOptions options_;
  TenXParts parts_;
};

CountFile read_source(const TenXSource& source, const std::string& path, const std::string& kind,
                      const TenXOptions& options) {
  const std::string root = last_part(fs::path(path).lexically_normal().string());
  const TenXPaths paths = choose(find_matrices(source.files, root), options.genome, path);
  if (paths.features.empty())
    throw FormatError({.problem = "lies without a features.tsv or genes.tsv", .file = path, .field = paths.matrix});
  PartsReader reader(paths, options.archive.expansion);
  source.visit([&](const std::string& file, std::unique_ptr<ByteStream> stream) {
    if (!reader.wants(file)) return;
    if (!stream) stream = open_byte_stream((fs::path(path) / file).string(), options.archive.expansion);
    reader.read(file, std::move(stream));
  });
  return assemble_tenx(reader.finish(path, kind), options);
}

bool begins_like_hdf5(const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  std::array<char, kSignature.size()> head{};
  std::ifstream(path, std::ios::binary).read(head.data(), head.size());
  return std::string_view(head.data(), head.size()) == kSignature;
}

}  // namespace

CountFile read_tenx(const std::string& path, const TenXOptions& options) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return read_source(open_folder(path), path, "folder", options);
  if (is_archive(path)) return read_source(open_archive(path, options.archive), path, "archive", options);
  if (begins_like_hdf5(path)) return read_tenx_h5(path, options);
  throw FormatError({.problem = "is no 10x data: neither a folder, an archive nor an .h5 file", .file = path});
}

}  // namespace scvi::io
