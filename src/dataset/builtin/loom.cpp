// Data sets published as .loom files: bipolar cells of the retina, STARmap and Drop-seq of the frontal cortex, and
// osmFISH of the somatosensory cortex.

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/builtin.hpp"
#include "scvi/io/loom.hpp"
#include "sources.hpp"

namespace scvi {
namespace {

using builtin::columns_but;
using builtin::required_column;

constexpr const char* kScviData = "https://github.com/YosefLab/scVI-data/raw/master/";

const std::vector<std::string> kRetinaCellTypes{"RBC",  "MG",  "BC5A", "BC7",  "BC6",  "BC5C", "BC1A", "BC3B",
                                                "BC1B", "BC2", "BC5D", "BC3A", "BC5B", "BC4",  "BC8_9"};

/// Positions of the cell types of the frontal cortex, in the order of its layers.
constexpr std::array<std::int64_t, 14> kLayerOrder{5, 6, 3, 2, 4, 0, 1, 8, 7, 9, 10, 11, 12, 13};

/// The osmFISH clusters that make up each main cell type.
const std::vector<std::pair<std::string, std::vector<std::int64_t>>> kMainClusters{
    {"Astrocytes", {3, 2}},
    {"Endothelials", {7, 26}},
    {"Inhibitory", {18, 17, 14, 19, 15, 16, 20}},
    {"Microglias", {29, 28}},
    {"Oligodendrocytes", {32, 33, 30, 22, 21}},
    {"Pyramidals", {9, 8, 10, 6, 5, 4, 12, 1, 13}},
};

/// Cell types that the file lists for what is in a column of clusters.
std::vector<std::string> listed_cell_types(const std::string& path) {
  for (const io::Column& attribute : io::LoomFile(path).global_attributes()) {
    if (attribute.name == "CellTypes") return builtin::texts(attribute);
  }
  throw FormatError({.problem = "has no global attribute 'CellTypes'", .file = path});
}

/// What every one of these files has: gene names, other attributes, measurements, and batches where it has them.
PopulateOptions options_of(const io::CountFile& file, const std::string& labels_column) {
  PopulateOptions options;
  if (const io::Column* batches = file.obs.find("BatchID")) {
    options.batch_indices = builtin::whole_numbers(*batches, file.path);
  }
  options.gene_names = file.var.index;
  options.cell_attributes = columns_but(file.obs, {"BatchID", labels_column});
  options.gene_attributes = file.var.columns;
  for (const io::CellTable& table : file.tables) options.measurements.push_back(builtin::measurement_of(table));
  return options;
}

GeneExpressionDataset populated(io::CountFile& file, PopulateOptions options) {
  GeneExpressionDataset dataset;
  dataset.populate_from_data(builtin::read_counts(*file.counts), std::move(options));
  return dataset;
}

/// Cell types are named by rank, as scVI does: the smallest label is the first of `names`.
void name_cell_types(GeneExpressionDataset& dataset, const std::vector<std::string>& names, const std::string& path) {
  const auto n_labels = static_cast<std::size_t>(dataset.n_labels());
  if (n_labels > names.size()) {
    throw FormatError({.problem = "has " + std::to_string(n_labels) + " clusters, but " +
                                  std::to_string(names.size()) + " cell types are known",
                       .file = path,
                       .field = "ClusterID"});
  }
  dataset.initialize_mapped_attribute("labels", "cell_types", {names.begin(), names.begin() + dataset.n_labels()});
}

/// The number of each name in `names`.
std::vector<std::int64_t> positions_of(const std::vector<std::string>& values, const std::vector<std::string>& names,
                                       const std::string& path) {
  std::map<std::string, std::int64_t> position;
  for (std::size_t at = 0; at < names.size(); ++at) position.emplace(names[at], static_cast<std::int64_t>(at));
  std::vector<std::int64_t> out;
  out.reserve(values.size());
  for (const std::string& value : values) {
    const auto found = position.find(value);
    if (found == position.end()) {
      throw FormatError({.problem = "'" + value + "' is not among the cell types that the file lists",
                         .file = path,
                         .field = "Clusters, cell " + std::to_string(out.size() + 1)});
    }
    out.push_back(found->second);
  }
  return out;
}

/// Puts the cell types into the order of the layers; those beyond the 14 known ones come last.
void order_by_layers(GeneExpressionDataset& dataset) {
  const std::vector<std::string>& types = dataset.cell_types();
  const auto n_types = static_cast<std::int64_t>(types.size());
  std::vector<std::string> order;
  for (const std::int64_t position : kLayerOrder) {
    if (position < n_types) order.push_back(types[position]);
  }
  dataset.reorder_cell_types(order);
}

/// The two columns of "Spatial_coordinates" as attributes of their own.
void add_coordinates(const io::CountFile& file, PopulateOptions& options) {
  const auto table = std::find_if(file.tables.begin(), file.tables.end(),
                                  [](const io::CellTable& each) { return each.name == "Spatial_coordinates"; });
  if (table == file.tables.end() || table->columns.size() != 2) {
    throw FormatError({.problem = "has no two columns 'Spatial_coordinates'", .file = file.path});
  }
  std::array<std::vector<double>, 2> places;
  const std::vector<double>& values = table->values.values;
  for (std::size_t at = 0; at < values.size(); ++at) places[at % 2].push_back(values[at]);
  options.cell_attributes.push_back(builtin::column_of("x_coord", std::move(places[0])));
  options.cell_attributes.push_back(builtin::column_of("y_coord", std::move(places[1])));
}

struct FineClusters {
  std::vector<std::int64_t> labels;  ///< per cell, as the file numbers clusters
  std::vector<std::string> names;    ///< names[label], "" where the file has no such cluster
};

/// The number and the name of each cell's cluster.
FineClusters fine_clusters(const io::CountFile& file) {
  FineClusters out{builtin::whole_numbers(required_column(file.obs, "ClusterID", file.path), file.path), {}};
  const std::vector<std::string> names = builtin::texts(required_column(file.obs, "ClusterName", file.path));
  for (std::size_t cell = 0; cell < out.labels.size(); ++cell) {
    const std::int64_t label = out.labels[cell];
    if (label < 0 || label >= kMaxCategories) {
      throw FormatError({.problem = "is " + std::to_string(label),
                         .file = file.path,
                         .field = "ClusterID, cell " + std::to_string(cell + 1)});
    }
    if (out.names.size() <= static_cast<std::size_t>(label)) out.names.resize(static_cast<std::size_t>(label) + 1);
    if (out.names[label].empty()) out.names[label] = names[cell];
  }
  return out;
}

/// Joins the fine clusters into the main ones and keeps only their cells.
void keep_main_clusters(GeneExpressionDataset& dataset, const FineClusters& fine) {
  std::map<std::int64_t, std::int64_t> main_of;
  std::vector<std::string> names;
  for (const auto& [name, members] : kMainClusters) {
    for (const std::int64_t label : members) main_of[label] = static_cast<std::int64_t>(names.size());
    names.push_back(name);
  }
  std::vector<std::int64_t> cells;
  std::vector<std::int64_t> labels;
  for (std::size_t cell = 0; cell < fine.labels.size(); ++cell) {
    const auto found = main_of.find(fine.labels[cell]);
    if (found == main_of.end()) continue;
    cells.push_back(static_cast<std::int64_t>(cell));
    labels.push_back(found->second);
  }
  dataset.update_cells(cells);
  dataset.initialize_cell_attribute(builtin::column_of("labels", std::move(labels)), true);
  dataset.initialize_mapped_attribute("labels", "cell_types", std::move(names));
  dataset.remap_categorical_attributes({"labels"});
}

}  // namespace

GeneExpressionDataset load_retina(const std::string& folder) {
  const std::string path = builtin::existing_file(folder, "retina.loom");
  io::CountFile file = io::open_loom(path);
  PopulateOptions options = options_of(file, "ClusterID");
  options.labels = builtin::whole_numbers(required_column(file.obs, "ClusterID", path), path);
  GeneExpressionDataset dataset = populated(file, std::move(options));
  builtin::drop_empty_cells(dataset);
  name_cell_types(dataset, kRetinaCellTypes, path);
  return dataset;
}

GeneExpressionDataset load_prefrontal_cortex_starmap(const std::string& folder) {
  const std::string path = builtin::existing_file(folder, "mpfc-starmap.loom");
  io::CountFile file = io::open_loom(path);
  PopulateOptions options = options_of(file, "Clusters");
  options.cell_types = listed_cell_types(path);
  options.labels =
      positions_of(builtin::texts(required_column(file.obs, "Clusters", path)), options.cell_types, path);
  add_coordinates(file, options);
  GeneExpressionDataset dataset = populated(file, std::move(options));
  builtin::drop_empty_cells(dataset);
  return dataset;
}

GeneExpressionDataset load_frontal_cortex_dropseq(const std::string& folder,
                                                  const std::vector<std::string>& genes_to_keep) {
  const std::string path = builtin::existing_file(folder, "fc-dropseq.loom");
  io::CountFile file = io::open_loom(path);
  PopulateOptions options = options_of(file, "Clusters");
  options.labels = builtin::whole_numbers(required_column(file.obs, "Clusters", path), path);
  options.cell_types = listed_cell_types(path);
  GeneExpressionDataset dataset = populated(file, std::move(options));
  builtin::drop_empty_cells(dataset);
  if (!genes_to_keep.empty()) dataset.reorder_genes(genes_to_keep, true);
  order_by_layers(dataset);
  return dataset;
}

GeneExpressionDataset load_smfish(const std::string& folder, const SmfishOptions& smfish) {
  const std::string path = builtin::existing_file(folder, "osmFISH_SScortex_mouse_all_cell.loom");
  io::CountFile file = io::open_loom(path);
  FineClusters fine = fine_clusters(file);
  PopulateOptions options = options_of(file, "ClusterID");
  for (const auto& [column, name] : {std::pair{"X", "x_coord"}, std::pair{"Y", "y_coord"}}) {
    std::vector<double> places = builtin::real_numbers(required_column(file.obs, column, path), path);
    std::erase_if(options.cell_attributes,
                  [&, name_in_file = column](const io::Column& attribute) { return attribute.name == name_in_file; });
    options.cell_attributes.push_back(builtin::column_of(name, std::move(places)));
  }
  RemappedCategories clusters = remap_categories(fine.labels);
  options.labels = std::move(clusters.codes);
  for (const std::int64_t cluster : clusters.old_values) options.cell_types.push_back(fine.names[cluster]);
  GeneExpressionDataset dataset = populated(file, std::move(options));
  if (smfish.use_high_level_cluster) keep_main_clusters(dataset, fine);
  return dataset;
}

namespace builtin {

std::vector<Definition> loom_definitions() {
  std::vector<Definition> out;
  out.push_back({
      .entry = {.name = "retina",
                .aliases = {"RetinaDataset"},
                .organism = "mouse",
                .what = "bipolar cells of the retina; Drop-seq",
                .n_cells = 19829,
                .n_genes = 13166,
                .annotations = {"2 batches", "15 cell types"},
                .reference = "Shekhar et al. 2016, doi:10.1016/j.cell.2016.07.054",
                .save_path = "data/",
                .files = {{.name = "retina.loom", .url = std::string(kScviData) + "retina.loom"}}},
      .prepare = [](const OptionValues&) -> Load { return [](const std::string& f) { return load_retina(f); }; },
  });
  out.push_back({
      .entry = {.name = "prefrontal_cortex_starmap",
                .aliases = {"PreFrontalCortexStarmapDataset", "starmap"},
                .organism = "mouse",
                .what = "medial prefrontal cortex; STARmap",
                .n_cells = 3704,
                .n_genes = 158,
                .annotations = {"3 batches", "16 cell types", "coordinates"},
                .reference = "Wang et al. 2018, doi:10.1126/science.aat5691",
                .save_path = "data/",
                .files = {{.name = "mpfc-starmap.loom",
                           .url = std::string(kScviData) + "mpfc-starmap.loom",
                           .bytes = 529817,
                           .sha256 = "c5e744fb7f780b4b140781a455d632058a7aa9c789b4c4a150c2a7cd3ab6682b"}}},
      .prepare = [](const OptionValues&) -> Load {
        return [](const std::string& folder) { return load_prefrontal_cortex_starmap(folder); };
      },
  });
  out.push_back({
      .entry = {.name = "frontal_cortex_dropseq",
                .aliases = {"FrontalCortexDropseqDataset", "dropseq"},
                .organism = "mouse",
                .what = "frontal cortex; Drop-seq",
                .n_cells = 71639,
                .n_genes = 7611,
                .annotations = {"cell types in the order of the layers"},
                .reference = "Saunders et al. 2018, doi:10.1016/j.cell.2018.07.028",
                .save_path = "data/",
                .files = {{.name = "fc-dropseq.loom",
                           .url = std::string(kScviData) + "fc-dropseq.loom",
                           .bytes = 251569704,
                           .sha256 = "462d1ec16acc9134cc0e8f8cd5e10134429d4b210496a106bb30d776a9f52fae"}},
                .options = {{"genes_to_keep", "", "only these genes, in this order"}}},
      .prepare = [](const OptionValues& values) -> Load {
        return [genes = values.list("genes_to_keep")](const std::string& folder) {
          return load_frontal_cortex_dropseq(folder, genes);
        };
      },
  });
  out.push_back({
      .entry = {.name = "smfish",
                .aliases = {"SmfishDataset", "osmfish"},
                .organism = "mouse",
                .what = "somatosensory cortex; osmFISH",
                .n_cells = 4530,
                .n_genes = 33,
                .annotations = {"6 main or 32 fine cell types", "coordinates"},
                .reference = "Codeluppi et al. 2018, doi:10.1038/s41592-018-0175-z",
                .save_path = "data/",
                .files = {{.name = "osmFISH_SScortex_mouse_all_cell.loom",
                           .url = "http://linnarssonlab.org/osmFISH/osmFISH_SScortex_mouse_all_cells.loom"}},
                .options = {{"use_high_level_cluster", "true", "six main cell types only; false: all fine ones"}}},
      .prepare = [](const OptionValues& values) -> Load {
        const SmfishOptions options{.use_high_level_cluster = values.flag("use_high_level_cluster")};
        return [options](const std::string& folder) { return load_smfish(folder, options); };
      },
  });
  return out;
}

}  // namespace builtin
}  // namespace scvi
