#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/report/cell_map_figure.hpp"
#include "table_columns.hpp"

namespace scvi::report {
namespace {

constexpr std::size_t kMostNumberCategories = 20;

/// Names that people know a basis by: "X_umap" is UMAP.
std::string axis_title(const io::H5adFile& file, const std::string& basis, int column) {
  const std::vector<std::string> names = file.obsm_columns(basis);
  if (column < std::ssize(names)) return names[column];
  std::string name = basis.starts_with("X_") ? basis.substr(2) : basis;
  if (name == "umap" || name == "pca")
    std::ranges::transform(name, name.begin(), [](char c) { return c - 'a' + 'A'; });
  if (name == "tsne") name = "t-SNE";
  return name + " " + std::to_string(column + 1);
}

std::vector<double> coordinates(const io::H5adFile& file, const io::DenseArray& array, const std::string& basis,
                                int column) {
  if (column < 0 || column >= array.n_cols) {
    throw InputError({.problem = "has " + std::to_string(array.n_cols) + " columns, but number " +
                                 std::to_string(column + 1) + " is asked for",
                      .file = file.path(),
                      .field = "obsm/" + basis});
  }
  std::vector<double> places;
  for (std::int64_t cell = 0; cell < array.n_rows; ++cell) {
    const double value = array.values[cell * array.n_cols + column];
    if (!std::isfinite(value)) {
      throw InputError(
          {.problem = "is " + std::to_string(value) + ", but a place must be finite",
           .file = file.path(),
           .field = "obsm/" + basis + ", cell '" + file.obs().index[cell] + "', column " + std::to_string(column)});
    }
    places.push_back(value);
  }
  return places;
}

/// Whether a column is shown by a scale of colours. A few whole numbers, whichever way they are stored, are
/// categories.
bool shows_numbers(const io::Column& column, const std::string& file) {
  const bool is_real = std::holds_alternative<std::vector<double>>(column.values);
  if (!is_real && !std::holds_alternative<std::vector<std::int64_t>>(column.values)) return false;
  std::set<double> different;
  for (const double value : numbers_of(column, file)) {
    if (std::isnan(value)) continue;
    different.insert(value);
    if (value != std::floor(value) || std::isinf(value) || different.size() > kMostNumberCategories) return true;
  }
  return false;
}

CellMapPanel panel_of_column(const io::Column& column, const std::string& file) {
  if (shows_numbers(column, file)) {
    return {.title = column.name, .colors = NumberColors{.values = numbers_of(column, file), .title = column.name}};
  }
  io::Categorical categories = with_used_categories(column.as_categorical());
  if (std::ssize(categories.categories) > kMostCategoryColors) {
    throw InputError({.problem = "has " + with_thousands(std::ssize(categories.categories)) +
                                 " categories, but at most " + std::to_string(kMostCategoryColors) +
                                 " can be told apart by colour",
                      .file = file,
                      .field = "obs column '" + column.name + "'",
                      .remedy = "choose a column with fewer"});
  }
  return {
      .title = column.name,
      .colors = CategoryColors{.codes = std::move(categories.codes), .categories = std::move(categories.categories)}};
}

CellMapPanel all_alike(std::int64_t n_cells) {
  return {.title = "",
          .colors = CategoryColors{.codes = std::vector<std::int32_t>(static_cast<std::size_t>(n_cells)),
                                   .categories = {"cells"}}};
}

/// A column of a matrix of obsm.
struct ObsmColumn {
  std::string key;
  int column = 0;  // counted from 0
};

/// "X_scVI:3" where there is a matrix X_scVI.
std::optional<ObsmColumn> obsm_column(const io::H5adFile& file, const std::string& name) {
  const std::size_t colon = name.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::string key = name.substr(0, colon);
  const std::vector<std::string> keys = file.obsm_keys();
  if (std::ranges::find(keys, key) == keys.end()) return std::nullopt;
  int column = 0;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + colon + 1, end, column);
  if (error != std::errc() || rest != end || column < 1) {
    throw InputError({.problem = "must end in the number of a column, counted from 1",
                      .file = file.path(),
                      .field = "'" + name + "'"});
  }
  return ObsmColumn{.key = key, .column = column - 1};
}

CellMapPanel panel_of_obsm(const io::H5adFile& file, const ObsmColumn& of) {
  const std::string title = axis_title(file, of.key, of.column);
  return {.title = title,
          .colors = NumberColors{.values = coordinates(file, file.obsm(of.key), of.key, of.column), .title = title}};
}

/// The gene of that name; where there is none, columns are suggested, too.
std::int64_t gene_of(const GeneNames& genes, const io::H5adFile& file, const std::string& name) {
  if (genes.has(name)) return genes.find(name);
  const std::string near = nearest_match(name, file.obs().column_names());
  if (near.empty()) return genes.find(name);
  throw InputError({.problem = "has neither a column of obs nor a gene '" + name + "'",
                    .file = file.path(),
                    .remedy = "did you mean '" + near + "'?"});
}

/// Fills the panels that show genes.
void add_genes(CellMapFigure& figure, const io::H5adFile& file, const CellMapSource& source) {
  std::vector<std::size_t> panels;
  for (std::size_t i = 0; i < source.colors.size(); ++i) {
    if (!file.obs().find(source.colors[i]) && !obsm_column(file, source.colors[i])) panels.push_back(i);
  }
  if (panels.empty()) return;
  const GeneNames names(file.var_of(source.layer), source.gene_symbols, file.path());
  std::vector<std::int64_t> genes;
  for (const std::size_t panel : panels) genes.push_back(gene_of(names, file, source.colors[panel]));
  const auto matrix = file.matrix(source.layer);
  const auto values = read_gene_values(*matrix, genes, source.transform, file.path());
  const bool is_layer = !source.layer.empty() && source.layer != "X" && !source.layer.starts_with("raw");
  const std::string title = title_of(source.transform, is_layer ? source.layer : "counts");
  for (std::size_t i = 0; i < genes.size(); ++i) {
    figure.panels[panels[i]] = {
        .title = names.label(genes[i]),
        .colors = NumberColors{.values = {values[i].begin(), values[i].end()}, .title = title}};
  }
}

}  // namespace

CellMapFigure read_cell_map(const io::H5adFile& file, const CellMapSource& source) {
  if (file.n_obs() == 0) throw InputError({.problem = "holds no cells", .file = file.path()});
  const io::DenseArray array = file.obsm(source.basis);
  CellMapFigure figure{.x = coordinates(file, array, source.basis, source.first_axis),
                       .y = coordinates(file, array, source.basis, source.second_axis),
                       .x_title = axis_title(file, source.basis, source.first_axis),
                       .y_title = axis_title(file, source.basis, source.second_axis),
                       .panels = {}};
  for (const std::string& name : source.colors) {
    const io::Column* column = file.obs().find(name);
    const auto of_obsm = column ? std::nullopt : obsm_column(file, name);
    figure.panels.push_back(column    ? panel_of_column(*column, file.path())
                            : of_obsm ? panel_of_obsm(file, *of_obsm)
                                      : CellMapPanel{});
  }
  add_genes(figure, file, source);
  if (source.colors.empty()) figure.panels.push_back(all_alike(file.n_obs()));
  return figure;
}

}  // namespace scvi::report
