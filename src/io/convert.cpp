#include "scvi/io/convert.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/loom.hpp"

namespace scvi::io {
namespace {

/// Gives out each name once, without slashes.
class Names {
 public:
  explicit Names(std::set<std::string> taken) : taken_(std::move(taken)) {}

  /// The name itself, or one like it.
  std::string claim(std::string name) {
    std::replace(name.begin(), name.end(), '/', '_');
    if (name.empty() || name == ".") name = "unnamed";
    std::string candidate = name;
    for (int suffix = 1; !taken_.insert(candidate).second; ++suffix) candidate = name + "_" + std::to_string(suffix);
    return candidate;
  }

 private:
  std::set<std::string> taken_;
};

/// Names that both formats take.
void tidy(CountFile& file, CountFormat output) {
  // .h5ad keeps these for itself; .loom has no "__categories" but the file may be converted back.
  const std::set<std::string> reserved = {"_index", "__categories"};
  for (Frame* frame : {&file.obs, &file.var}) frame->index_name = Names({}).claim(frame->index_name);
  Names genes(reserved);
  genes.claim(file.var.index_name);
  for (Column& column : file.var.columns) column.name = genes.claim(column.name);
  Names cells(reserved);
  cells.claim(file.obs.index_name);
  for (Column& column : file.obs.columns) column.name = cells.claim(column.name);
  // Attributes of one and of two dimensions share their names in a .loom.
  Names tables(output == CountFormat::loom ? Names(cells) : Names({}));
  for (CellTable& table : file.tables) table.name = tables.claim(table.name);
}

/// What an open .h5ad holds that a CountFile of it does not.
std::vector<std::string> beyond_counts(const H5adFile& file, const CountFile& counts) {
  std::set<std::string> tables;
  for (const CellTable& table : counts.tables) tables.insert("obsm/" + table.name);
  const std::string matrix = counts.counts->info().path;
  std::vector<std::string> others;
  for (const ElementInfo& element : file.elements()) {
    const auto is_in = [&](const std::string& place) { return element.path.starts_with(place + "/"); };
    const bool is_matrix = element.path == matrix || element.path == "raw" || is_in(matrix);
    const bool is_annotation = element.path == "obs" || element.path == "var" || is_in("obs") || is_in("var");
    const bool of_raw = (is_in("raw") && element.path != "raw/X") || element.path.starts_with("raw.");
    if (!is_matrix && !is_annotation && !of_raw && !tables.contains(element.path)) others.push_back(element.path);
  }
  return others;
}

std::vector<std::string> beyond_counts(const LoomFile& file, const std::string& layer) {
  std::vector<std::string> others;
  if (!layer.empty() && layer != "matrix") others.push_back("matrix");
  for (const std::string& name : file.layers()) {
    if (name != layer) others.push_back("layers/" + name);
  }
  for (const std::string& name : file.cell_graphs()) others.push_back("col_graphs/" + name);
  for (const std::string& name : file.gene_graphs()) others.push_back("row_graphs/" + name);
  return others;
}

UnsValue value_of(const Column& column) {
  const bool single = column.size() == 1;
  if (const auto* reals = std::get_if<std::vector<double>>(&column.values))
    return single ? UnsValue{reals->front()} : UnsValue{*reals};
  if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    if (single) return UnsValue{whole->front()};
    return UnsValue{std::vector<double>(whole->begin(), whole->end())};
  }
  std::vector<std::string> texts;
  for (std::int64_t row = 0; row < column.size(); ++row) texts.push_back(column.text(row));
  return single ? UnsValue{texts.front()} : UnsValue{std::move(texts)};
}

/// In the place of one of its name, or at the end.
void put(std::vector<Column>& columns, const Column& column) {
  const auto same = [&](const Column& other) { return other.name == column.name; };
  const auto found = std::find_if(columns.begin(), columns.end(), same);
  if (found == columns.end())
    columns.push_back(column);
  else
    *found = column;
}

void write_as_h5ad(CountFile file, const std::vector<Column>& global, const std::string& output, Overwrite overwrite,
                   const H5adAdditions& additions = {}) {
  H5adContents contents;
  for (const Column& column : additions.obs) put(file.obs.columns, column);
  for (const Column& column : additions.var) put(file.var.columns, column);
  for (const auto& [name, array] : additions.obsm)
    std::erase_if(file.tables, [&name = name](const CellTable& table) { return table.name == name; });
  contents.obsm = additions.obsm;
  contents.varm = additions.varm;
  contents.obsp = additions.obsp;
  contents.layers = additions.layers;
  contents.uns = additions.uns;
  std::set<std::string> column_names = {"cell_measurements_col_mappings"};
  for (const CellTable& table : file.tables) column_names.insert(table.columns_name);
  Names names(column_names);
  for (const Column& column : global) {
    if (column_names.contains(column.name)) continue;
    contents.uns.emplace_back(names.claim(column.name), value_of(column));
  }
  contents.obs = std::move(file.obs);
  contents.var = std::move(file.var);
  contents.rows = file.counts.get();
  contents.tables = std::move(file.tables);
  write_h5ad(output, contents, overwrite);
}

void write_as_loom(CountFile file, std::vector<Column> global, const std::string& output, Overwrite overwrite) {
  LoomContents contents;
  contents.obs = std::move(file.obs);
  contents.var = std::move(file.var);
  contents.rows = file.counts.get();
  contents.tables = std::move(file.tables);
  contents.global = std::move(global);
  write_loom(output, contents, overwrite);
}

}  // namespace

CountFormat output_format_of(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension();
  if (ending == ".h5ad") return CountFormat::h5ad;
  if (ending == ".loom") return CountFormat::loom;
  throw InputError({.problem = "cannot be written in a format that its name ends with",
                    .file = path,
                    .remedy = "end the name with .h5ad or .loom"});
}

namespace {

/// A file open to be written in another format.
struct Source {
  CountFile file;
  std::vector<Column> global;         ///< what is said of the file as a whole
  std::vector<std::string> left_out;  ///< what the output will not hold
};

/// @pre options.format is set
Source open_source(const std::string& input, const OpenCountsOptions& options, CountFormat to) {
  Source source{.file = open_counts(input, options), .global = {}, .left_out = {}};
  if (options.format == CountFormat::h5ad) source.left_out = beyond_counts(H5adFile(input), source.file);
  if (options.format == CountFormat::loom) {
    const LoomFile loom(input);
    source.global = loom.global_attributes();
    source.left_out = beyond_counts(loom, options.layer);
  }
  tidy(source.file, to);
  return source;
}

OpenCountsOptions with_format(const std::string& input, OpenCountsOptions options) {
  if (!options.format) options.format = options.member.empty() ? recognise_counts(input) : CountFormat::delimited;
  check_open_options(input, *options.format, options);
  return options;
}

}  // namespace

Conversion convert_counts(const std::string& input, const std::string& output, const OpenCountsOptions& options,
                          Overwrite overwrite) {
  const CountFormat to = output_format_of(output);
  // Refuse what cannot be written before the work, not after.
  { const AtomicFile probe(output, overwrite); }
  const OpenCountsOptions opening = with_format(input, options);
  if (opening.format == CountFormat::h5ad && to == CountFormat::h5ad && options.layer.empty()) {
    const H5adFile file(input);
    copy_h5ad_with(input, output, {}, overwrite);
    return {.format = ".h5ad, copied whole", .n_cells = file.n_obs(), .n_genes = file.n_vars(), .left_out = {}};
  }
  Source source = open_source(input, opening, to);
  Conversion done{.format = source.file.format,
                  .n_cells = source.file.obs.n_rows(),
                  .n_genes = source.file.var.n_rows(),
                  .left_out = std::move(source.left_out)};
  if (to == CountFormat::h5ad)
    write_as_h5ad(std::move(source.file), source.global, output, overwrite);
  else
    write_as_loom(std::move(source.file), std::move(source.global), output, overwrite);
  return done;
}

void copy_counts_with(const std::string& input, const std::string& output, const H5adAdditions& additions,
                      const OpenCountsOptions& options, Overwrite overwrite) {
  const OpenCountsOptions opening = with_format(input, options);
  if (opening.format == CountFormat::h5ad) return copy_h5ad_with(input, output, additions, overwrite);
  Source source = open_source(input, opening, CountFormat::h5ad);
  write_as_h5ad(std::move(source.file), source.global, output, overwrite, additions);
}

}  // namespace scvi::io
