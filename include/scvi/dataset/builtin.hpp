#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

// The built-in data sets, each loaded from the files of its catalogue entry (catalogue.hpp), which lie in `folder`
// under the names given there. Nothing is downloaded here. All functions throw IoError for a missing file and
// FormatError or InputError, naming file and place, for one that is damaged or is another one.
//
// Cells without counts are left out unless said otherwise. Fields named reference_0_6_3 do as scVI 0.6.3 does where
// that is a mistake; the data are then the same numbers in the wrong place, for comparisons with it.

/// Zeisel et al. 2015: 3,005 cells of the mouse cortex and hippocampus.
struct CortexOptions {
  std::vector<std::string> genes_to_keep{};       ///< these genes come first, in this order
  std::optional<std::int64_t> total_genes = 558;  ///< filled up with the most variable others; empty: not filled up
};

/// Labels are the seven main classes. Of the file's other lines about cells each becomes a cell attribute ("tissue",
/// "sex", "level2class", ...); "precise_labels" is the number of the group, scVI's name for it. With neither genes
/// nor a total all genes are loaded. @throws InputError for an unknown gene, with the nearest one
GeneExpressionDataset load_cortex(const std::string& folder, const CortexOptions& options = {});

/// What Cell Ranger wrote: its called cells, or every barcode.
enum class TenXType { filtered, raw };

/// A data set of 10x Genomics.
struct Dataset10XOptions {
  TenXType type = TenXType::filtered;
  bool dense = false;                ///< keep the counts dense
  int measurement_names_column = 0;  ///< column with the names of genes and proteins: 0 identifier, 1 symbol
};

/// Names of the data sets that scVI knows, in the order of Cell Ranger's generations.
const std::vector<std::string>& available_10x_datasets();

/// One of them, from `folder`/`name`. Batches come from the number at the end of the barcodes; proteins become the
/// measurement "protein_expression", other features one named after their type.
/// @throws InputError for an unknown name, with the nearest one
GeneExpressionDataset load_10x_dataset(const std::string& folder, const std::string& name,
                                       const Dataset10XOptions& options = {});

/// Quality metrics (measurement "qc") of 9,128 mouse brain cells with the clusters that Cell Ranger found as labels
/// (cell type "3" is its cluster 3). The counts are those of neuron_9k, in `folder_10x`; empty: in `folder`.
GeneExpressionDataset load_brain_small(const std::string& folder, const std::string& folder_10x = "");

/// 10x Genomics' 1.3 million cells of the embryonic mouse brain.
struct BrainLargeOptions {
  std::string filename = "brain_large.h5";
  std::int64_t sample_size_gene_var = 10000;        ///< cells (the first ones) on which variances are computed
  std::optional<std::int64_t> max_cells_to_keep{};  ///< only so many cells (the first ones); empty: all
  std::int64_t nb_genes_to_keep = 720;              ///< genes of the largest variance, the largest first
  std::int64_t loading_batch_size = 100000;         ///< cells read at a time; fewer where memory calls for it
};

/// The counts are read in pieces and only those of the chosen genes are kept, so that memory holds no more than these
/// and one piece. Gene names and barcodes are kept where the file has them.
GeneExpressionDataset load_brain_large(const std::string& folder, const BrainLargeOptions& options = {});

/// Blood cells in two batches (pbmc8k, pbmc4k) as annotated by scVI's authors.
struct PbmcOptions {
  std::string folder_10x{};  ///< where the two 10x data sets lie; empty: in the folder of this one
  /// 98 of the 12,039 cells share their barcode with a cell of the other batch. scVI gives those of pbmc8k the counts
  /// of their namesakes and leaves the others out.
  bool reference_0_6_3 = false;
};

/// Labels are clusters found with Seurat. Measurements: "qc" (quality metrics), "normalized_qc", "qc_pc" (their
/// principal components) and "design". Genes are those with bulk data, whose table gives gene attributes.
GeneExpressionDataset load_pbmc(const std::string& folder, const PbmcOptions& options = {});

/// Blood cells purified by type (Zheng et al. 2017), each type a batch and a label.
struct PurifiedPbmcOptions {
  /// Positions in purified_pbmc_populations(); empty: all of them.
  std::vector<std::int64_t> subset_datasets{};
};

/// The populations as scVI lists them; "cd4_t_helper" is there twice (positions 0 and 7), and so are its cells.
const std::vector<std::string>& purified_pbmc_populations();

/// Genes without counts are left out too. @throws InputError for a position that does not exist
GeneExpressionDataset load_purified_pbmc(const std::string& folder, const PurifiedPbmcOptions& options = {});

/// Shekhar et al. 2016: bipolar cells of the mouse retina in two batches with 15 cell types.
GeneExpressionDataset load_retina(const std::string& folder);

/// Wang et al. 2018: STARmap of the mouse prefrontal cortex. The measurement "Spatial_coordinates" and the cell
/// attributes x_coord and y_coord say where cells lie.
GeneExpressionDataset load_prefrontal_cortex_starmap(const std::string& folder);

/// Saunders et al. 2018: Drop-seq of the mouse frontal cortex; cell types in the order of the layers.
/// @param genes_to_keep only these, in this order (cells stay, even those that become empty); empty: all
GeneExpressionDataset load_frontal_cortex_dropseq(const std::string& folder,
                                                  const std::vector<std::string>& genes_to_keep = {});

/// Codeluppi et al. 2018: osmFISH of the mouse somatosensory cortex, 33 genes. Cell attributes x_coord and y_coord.
struct SmfishOptions {
  bool use_high_level_cluster = true;  ///< six main cell types, other cells left out; false: all 32 fine ones
};
GeneExpressionDataset load_smfish(const std::string& folder, const SmfishOptions& options = {});

/// Tusi et al. 2018: blood progenitors of the mouse along continuous paths.
struct HematoOptions {
  /// Labels are the whole part of "lineage" (below), as a 16-bit number; by default there are no labels.
  bool reference_0_6_3 = false;
};

/// Library basal_bm1 is left out. Cell attributes: x_coord and y_coord (the SPRING layout), Potential and the
/// probabilities Pr_Er, Pr_Gr, ... of population balance analysis, and "lineage" = logit(Pr_Gr) - logit(Pr_Er).
GeneExpressionDataset load_hemato(const std::string& folder, const HematoOptions& options = {});

/// Stoeckius et al. 2017: human genes of a CITE-seq experiment, one of "cbmc", "pbmc" and "cd8", from
/// `folder`/`name`. Measurements "protein_expression" and "protein_expression_clr" (as the authors transformed it).
GeneExpressionDataset load_cite_seq(const std::string& folder, const std::string& name = "cbmc");

/// Spatial transcriptomics of Stahl et al. 2016: spots of breast cancer (layer 2) and of the mouse olfactory bulb
/// (replicate 11).
GeneExpressionDataset load_breast_cancer(const std::string& folder);
GeneExpressionDataset load_mouse_ob(const std::string& folder);

/// Shah et al. 2016: seqFISH of the mouse hippocampus.
struct SeqfishOptions {
  /// The table lists genes in rows; scVI takes them for cells, and the first of them for a header.
  bool reference_0_6_3 = false;
};
GeneExpressionDataset load_seqfish(const std::string& folder, const SeqfishOptions& options = {});

/// Regions of Eng et al. 2019.
enum class SeqFishPlusRegion { subventricular_cortex, olfactory_bulb };

struct SeqFishPlusOptions {
  SeqFishPlusRegion tissue_region = SeqFishPlusRegion::subventricular_cortex;
  /// A column of row numbers without a name is no gene; scVI takes it for one called "Unnamed: 0".
  bool reference_0_6_3 = false;
};

/// Measurement "coords" (x, y) and cell attributes cell_id, field_of_view and (cortex) region. Cells without counts
/// stay.
GeneExpressionDataset load_seqfish_plus(const std::string& folder, const SeqFishPlusOptions& options = {});

}  // namespace scvi
