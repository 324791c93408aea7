#include <algorithm>
#include <cmath>
#include <iostream>
#include <set>

#include "cli.hpp"
#include "counts_input.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/loom.hpp"

namespace scvi::app {
namespace {

/// What there is to say of the values of a matrix.
struct CountSummary {
  std::int64_t n_nonzero = 0;
  std::int64_t n_fractional = 0;
  std::int64_t n_negative = 0;
  std::int64_t n_not_finite = 0;
  std::int64_t n_empty_cells = 0;
  float largest = 0;
  std::vector<double> totals;
};

CountSummary summarize(io::MatrixReader& matrix) {
  CountSummary summary;
  matrix.for_each_block([&](const io::CsrBlock& block) {
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      double total = 0;
      for (std::int64_t at = block.indptr[row]; at < block.indptr[row + 1]; ++at) {
        const float value = block.values[at];
        total += value;
        summary.largest = std::max(summary.largest, value);
        summary.n_negative += value < 0;
        summary.n_not_finite += !std::isfinite(value);
        summary.n_fractional += std::isfinite(value) && value != std::floor(value);
      }
      summary.n_empty_cells += total == 0;
      summary.totals.push_back(total);
    }
    summary.n_nonzero += std::ssize(block.values);
  });
  return summary;
}

std::string plain(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6g", value);
  return buffer;
}

std::string percent(std::int64_t part, std::int64_t whole) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.3g %%",
                whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
  return buffer;
}

void print_counts(const io::MatrixInfo& info, CountSummary summary) {
  std::cout << "  " << percent(summary.n_nonzero, info.n_rows * info.n_cols)
            << " of the values are not zero, the largest is " << plain(summary.largest) << "\n";
  if (!summary.totals.empty()) {
    std::sort(summary.totals.begin(), summary.totals.end());
    std::cout << "  total per cell: least " << plain(summary.totals.front()) << ", median "
              << plain(summary.totals[summary.totals.size() / 2]) << ", most " << plain(summary.totals.back())
              << "\n";
  }
  if (summary.n_empty_cells > 0) std::cout << "  " << summary.n_empty_cells << " cells have no counts\n";
  if (summary.n_not_finite > 0) std::cout << "  NOT COUNTS: " << summary.n_not_finite << " values are not finite\n";
  if (summary.n_negative > 0) std::cout << "  NOT COUNTS: " << summary.n_negative << " values are negative\n";
  if (summary.n_fractional > 0) {
    std::cout << "  NOT WHOLE NUMBERS: " << percent(summary.n_fractional, summary.n_nonzero)
              << " of the non-zero values; scVI wants raw counts (another layer, perhaps)\n";
  }
}

std::string describe(const io::Column& column) {
  const io::Categorical categories = column.as_categorical();
  const auto n_missing = std::count(categories.codes.begin(), categories.codes.end(), -1);
  std::string text;
  if (std::holds_alternative<std::vector<double>>(column.values) && categories.categories.size() > 12) {
    const auto& values = std::get<std::vector<double>>(column.values);
    double least = INFINITY;
    double most = -INFINITY;
    for (const double value : values) {
      least = std::fmin(least, value);
      most = std::fmax(most, value);
    }
    text = "numbers from " + plain(least) + " to " + plain(most);
  } else {
    std::vector<std::int64_t> sizes(categories.categories.size());
    for (const auto code : categories.codes) {
      if (code >= 0) ++sizes[code];
    }
    std::vector<std::string> named;
    for (std::size_t i = 0; i < sizes.size() && i < 12; ++i) {
      named.push_back(categories.categories[i] + " (" + std::to_string(sizes[i]) + ")");
    }
    for (std::size_t i = named.size(); i < sizes.size(); ++i) named.push_back(categories.categories[i]);
    text = std::to_string(sizes.size()) + (sizes.size() == 1 ? " value: " : " values: ") + join_some(named, 8);
  }
  if (n_missing > 0) text += "; " + std::to_string(n_missing) + " missing";
  return text;
}

void print_frame(const char* title, const io::Frame& frame) {
  std::cout << title << " (" << with_thousands(frame.n_rows()) << ")";
  if (!frame.index.empty()) std::cout << ": " << join_some(frame.index, 3);
  std::cout << "\n";
  const std::set<std::string> distinct(frame.index.begin(), frame.index.end());
  if (distinct.size() < frame.index.size()) {
    std::cout << "  " << frame.index.size() - distinct.size() << " names occur more than once\n";
  }
  for (const auto& column : frame.columns) std::cout << "  " << column.name << ": " << describe(column) << "\n";
}

void print_title(const std::string& path, std::int64_t n_cells, std::int64_t n_genes, const std::string& format) {
  std::cout << path << ": " << with_thousands(n_cells) << " cells x " << with_thousands(n_genes) << " genes"
            << (format.empty() ? "" : ", " + format) << "\n\n";
}

void print_frames(const io::Frame& obs, const io::Frame& var) {
  print_frame("cells (obs)", obs);
  std::cout << "\n";
  print_frame("genes (var)", var);
}

void print_matrix(io::MatrixReader& matrix, bool quick) {
  static constexpr const char* kLayouts[] = {"dense", "sparse by cell (CSR)", "sparse by gene (CSC)"};
  const auto& info = matrix.info();
  std::cout << "\n"
            << info.path << ": " << kLayouts[static_cast<int>(info.layout)] << " " << info.value_type << ", "
            << with_thousands(info.n_rows) << " x " << with_thousands(info.n_cols) << "\n";
  if (!quick) print_counts(info, summarize(matrix));
}

/// Tables, and the elements that are not in any of these places, under a title of their own if there are any.
void print_elsewhere(const std::vector<io::CellTable>& tables, const std::vector<io::ElementInfo>& elements = {},
                     const std::vector<std::string>& places = {}) {
  std::string lines;
  for (const io::CellTable& table : tables) {
    lines += "  table " + table.name + ": " + with_thousands(table.values.n_rows) + " x " +
             std::to_string(table.values.n_cols) + ": " + join_some(table.columns, 8) + "\n";
  }
  for (const io::ElementInfo& element : elements) {
    const bool known = std::any_of(places.begin(), places.end(), [&](const std::string& place) {
      return element.path == place || element.path.starts_with(place + "/");
    });
    if (!known) lines += "  " + element.path + ": " + element.description + "\n";
  }
  if (!lines.empty()) std::cout << "\nelsewhere in the file\n" << lines;
}

void print_h5ad(const std::string& path, bool quick) {
  const io::H5adFile file(path);
  print_title(path, file.n_obs(), file.n_vars(), "");
  print_frames(file.obs(), file.var());
  std::vector<std::string> matrices = file.layers();
  if (file.has_raw()) matrices.insert(matrices.begin(), "raw");
  if (file.has_x()) matrices.insert(matrices.begin(), "X");
  for (const std::string& name : matrices) print_matrix(*file.matrix(name), quick);
  print_elsewhere({}, file.elements(), {"obs", "var", "X", "layers", "raw"});
}

void print_loom(const std::string& path, bool quick) {
  const io::LoomFile file(path);
  const std::string& version = file.spec_version();
  print_title(path, file.n_cells(), file.n_genes(), version.empty() ? "loom" : "loom " + version);
  print_frames(file.obs(), file.var());
  std::vector<std::string> matrices = file.layers();
  matrices.insert(matrices.begin(), "");
  for (const std::string& name : matrices) print_matrix(*file.matrix(name), quick);
  print_elsewhere(file.tables(), file.elements(), {"matrix", "layers", "row_attrs", "col_attrs"});
}

void print_counts_file(const io::CountFile& file, bool quick) {
  print_title(file.path, file.obs.n_rows(), file.var.n_rows(), file.format);
  print_frames(file.obs, file.var);
  print_matrix(*file.counts, quick);
  print_elsewhere(file.tables);
}

}  // namespace

int run_info(const Arguments& arguments) {
  std::string path;
  bool quick = false;
  CountsInput reading;
  CommonOptions common;
  CLI::App app(
      "Shows what a file of counts holds: cells, genes, annotation, matrices, and whether they are counts.\n\n"
      "  scvi info cells.h5ad\n"
      "  scvi info filtered_feature_bc_matrix/ --quick",
      "info");
  app.add_option("DATA", path, kAnyCounts)->required()->check(not_empty());
  app.add_flag("--quick", quick, "do not read the matrices");
  add_input_options(app, reading);
  add_common_options(app, common);
  if (!parse(app, arguments)) return 0;
  apply(common);

  io::OpenCountsOptions options = open_options(reading);
  if (!options.format && options.member.empty()) options.format = io::recognise_counts(path);
  if (options.format) io::check_open_options(path, *options.format, options);
  // These two hold several matrices: all are shown, unless one is asked for.
  if (options.format == io::CountFormat::h5ad && options.layer.empty())
    print_h5ad(path, quick);
  else if (options.format == io::CountFormat::loom && options.layer.empty())
    print_loom(path, quick);
  else
    print_counts_file(io::open_counts(path, options), quick);
  return 0;
}

}  // namespace scvi::app
