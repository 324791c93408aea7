#include <algorithm>
#include <utility>

#include "hdf5/hdf5_matrix.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/hdf5.hpp"
#include "scvi/io/tenx.hpp"
#include "tenx_features.hpp"
#include "text/delimited_line.hpp"

namespace scvi::io {
namespace {

constexpr std::int64_t kMaxUnnamedGenes = 1'000'000;
constexpr const char* kMatrixParts[] = {"data", "indices", "indptr", "shape"};

bool holds_matrix(const Hdf5File& file, const std::string& group) {
  return file.is_group(group) &&
         std::ranges::all_of(kMatrixParts, [&](const char* part) { return file.is_dataset(group + "/" + part); });
}

bool is_third_generation(const Hdf5File& file) {
  return holds_matrix(file, "matrix") && file.is_group("matrix/features");
}

/// Groups of the second generation: one a genome.
std::vector<std::string> genome_groups(const Hdf5File& file) {
  std::vector<std::string> groups;
  for (std::string& name : file.children())
    if (holds_matrix(file, name)) groups.push_back(std::move(name));
  return groups;
}

std::string choose_group(const Hdf5File& file, const std::string& genome) {
  const std::vector<std::string> groups = genome_groups(file);
  if (groups.empty())
    throw FormatError({.problem = "is no 10x file: it has neither a group 'matrix' nor one named after a genome",
                       .file = file.path(),
                       .remedy = "it holds: " + join_some(file.children())});
  if (genome.empty() && groups.size() == 1) return groups.front();
  if (genome.empty())
    throw InputError({.problem = "holds several genomes: " + join_some(groups),
                      .file = file.path(),
                      .remedy = "choose one of them"});
  if (std::ranges::find(groups, genome) == groups.end())
    throw InputError(
        {.problem = "has no genome '" + genome + "'", .file = file.path(), .remedy = suggest(genome, groups)});
  return genome;
}

std::vector<std::string> strings_if_any(const Hdf5File& file, const std::string& path) {
  return file.is_dataset(path) ? file.read_strings(path).values : std::vector<std::string>();
}

/// The matrix of a group: compressed by cell, for its columns are the cells.
std::unique_ptr<MatrixReader> open_matrix(std::shared_ptr<const Hdf5File> file, const std::string& group) {
  const std::string shape_path = group + "/shape";
  const std::vector<std::int64_t> shape = file->read<std::int64_t>(shape_path).values;
  if (shape.size() != 2 || shape[0] < 0 || shape[1] < 0)
    throw FormatError({.problem = "is no pair of sizes", .file = file->path(), .field = shape_path});
  MatrixInfo info{
      .layout = MatrixInfo::Layout::csr, .n_rows = shape[1], .n_cols = shape[0], .value_type = {}, .path = group};
  const SparseParts parts{group + "/data", group + "/indices", group + "/indptr"};
  return open_sparse_matrix(std::move(file), parts, std::move(info));
}

/// Files cut down for tests or tutorials may have no names at all. The number of genes is then all that the file says
/// of them, so it is not believed beyond any genome.
void complete_names(TenXParts& parts, const std::string& genome) {
  const MatrixInfo& info = parts.matrix->info();
  if (parts.features.ids.empty() && info.n_cols > kMaxUnnamedGenes)
    throw FormatError({.problem = "claims " + with_thousands(info.n_cols) + " genes and names none",
                       .file = parts.path,
                       .field = genome + "/shape"});
  if (parts.features.ids.empty()) parts.features.ids = numbered_names(static_cast<std::size_t>(info.n_cols));
  parts.features.genomes.assign(parts.features.ids.size(), genome);
}

}  // namespace

bool is_tenx_h5(const std::string& path) {
  try {
    const Hdf5File file = Hdf5File::open(path);
    return is_third_generation(file) || !genome_groups(file).empty();
  } catch (const FormatError&) {
    return false;
  }
}

CountFile read_tenx_h5(const std::string& path, const TenXOptions& options) {
  const auto file = std::make_shared<const Hdf5File>(Hdf5File::open(path));
  TenXParts parts;
  parts.path = path;
  std::string group = "matrix";
  if (is_third_generation(*file)) {
    parts.format = "10x .h5 of Cell Ranger 3";
    parts.features = {.ids = file->read_strings("matrix/features/id").values,
                      .symbols = file->read_strings("matrix/features/name").values,
                      .types = strings_if_any(*file, "matrix/features/feature_type"),
                      .genomes = strings_if_any(*file, "matrix/features/genome")};
  } else {
    group = choose_group(*file, options.genome);
    parts.format = "10x .h5 of Cell Ranger 2";
    parts.features.ids = strings_if_any(*file, group + "/genes");
    parts.features.symbols = strings_if_any(*file, group + "/gene_names");
  }
  parts.barcodes = strings_if_any(*file, group + "/barcodes");
  parts.matrix = open_matrix(file, group);
  if (group != "matrix") complete_names(parts, group);
  return assemble_tenx(std::move(parts), options);
}

}  // namespace scvi::io
