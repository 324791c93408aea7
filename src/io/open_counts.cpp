#include "scvi/io/open_counts.hpp"

#include <filesystem>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/loom.hpp"

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

CountFile open_loom_counts(const std::string& path, const OpenCountsOptions& options) {
  CountFile file = open_loom(path, {.layer = options.layer});
  if (!options.tables) file.tables.clear();
  return file;
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

CountFile open_counts(const std::string& path, const OpenCountsOptions& options) {
  const CountFormat format = options.format ? *options.format : recognise_counts(path);
  if (format == CountFormat::loom) return open_loom_counts(path, options);
  return open_h5ad(path, {.layer = options.layer, .all_tables = options.tables, .tables = {}});
}

}  // namespace scvi::io
