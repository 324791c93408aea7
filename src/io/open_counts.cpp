#include "scvi/io/open_counts.hpp"

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/delimited.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/loom.hpp"
#include "scvi/io/matrix_market.hpp"
#include "scvi/io/tenx.hpp"

namespace scvi::io {
namespace {

struct FormatName {
  CountFormat format;
  const char* name;
};
constexpr FormatName kFormats[] = {
    {CountFormat::h5ad, "h5ad"}, {CountFormat::loom, "loom"},         {CountFormat::tenx_h5, "10x_h5"},
    {CountFormat::tenx, "10x"},  {CountFormat::matrix_market, "mtx"}, {CountFormat::delimited, "text"},
};

void refuse_option(const std::string& path, CountFormat format, const std::string& option,
                   std::initializer_list<CountFormat> formats) {
  std::vector<std::string> names;
  for (const CountFormat known : formats) {
    if (known == format) return;
    names.push_back(count_format_name(known));
  }
  throw InputError(
      {.problem = "has no use for the option '" + option + "', being of format " + count_format_name(format),
       .file = path,
       .remedy = "it is for " + join_some(names)});
}

TenXOptions tenx_options(const OpenCountsOptions& options) {
  TenXOptions tenx;
  tenx.genome = options.genome;
  tenx.measurement_names_column = options.gene_ids.value_or(false) ? 0 : 1;
  return tenx;
}

CountFile read(const std::string& path, CountFormat format, const OpenCountsOptions& options) {
  switch (format) {
    case CountFormat::h5ad:
      return open_h5ad(path, {.layer = options.layer, .all_tables = options.tables, .tables = {}});
    case CountFormat::loom:
      return open_loom(path, {.layer = options.layer});
    case CountFormat::tenx_h5:
      return read_tenx_h5(path, tenx_options(options));
    case CountFormat::tenx:
      return read_tenx(path, tenx_options(options));
    case CountFormat::matrix_market:
      return read_matrix_market_counts(path, {.gene_by_cell = options.gene_by_cell.value_or(true)});
    case CountFormat::delimited:
      break;
  }
  return read_delimited_counts(path, {.separator = options.separator.value_or('\0'),
                                      .gene_by_cell = options.gene_by_cell.value_or(true),
                                      .annotation_columns = options.annotation_columns.value_or(0),
                                      .allow_duplicate_names = true,
                                      .stream = {.member = options.member}});
}

}  // namespace

std::string count_format_name(CountFormat format) {
  for (const FormatName& known : kFormats) {
    if (known.format == format) return known.name;
  }
  return "";
}

std::vector<std::string> count_format_names() {
  std::vector<std::string> names;
  for (const FormatName& known : kFormats) names.emplace_back(known.name);
  return names;
}

CountFormat parse_count_format(const std::string& name) {
  for (const FormatName& known : kFormats) {
    if (name == known.name) return known.format;
  }
  throw InputError(
      {.problem = "is no format: '" + name + "'", .field = "format", .remedy = suggest(name, count_format_names())});
}

bool has_layers(CountFormat format) {
  return format == CountFormat::h5ad || format == CountFormat::loom;
}

void check_open_options(const std::string& path, CountFormat format, const OpenCountsOptions& options) {
  using enum CountFormat;
  if (!options.layer.empty()) refuse_option(path, format, "layer", {h5ad, loom});
  if (!options.genome.empty()) refuse_option(path, format, "genome", {tenx, tenx_h5});
  if (options.gene_ids) refuse_option(path, format, "gene_ids", {tenx, tenx_h5});
  if (options.gene_by_cell) refuse_option(path, format, "gene_by_cell", {delimited, matrix_market});
  if (options.annotation_columns) refuse_option(path, format, "annotation_columns", {delimited});
  if (!options.member.empty()) refuse_option(path, format, "member", {delimited});
  if (options.separator) refuse_option(path, format, "separator", {delimited});
}

CountFile open_counts(const std::string& path, const OpenCountsOptions& options) {
  const bool is_member = !options.format && !options.member.empty();
  const CountFormat format = is_member        ? CountFormat::delimited
                             : options.format ? *options.format
                                              : recognise_counts(path);
  check_open_options(path, format, options);
  CountFile file = read(path, format, options);
  if (!options.tables) file.tables.clear();
  return file;
}

}  // namespace scvi::io
