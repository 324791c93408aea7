#pragma once

// The real files of counts that the tests of the program read, with what they hold.

#include "files.hpp"

namespace scvi::testing {

struct RealCounts {
  const char* path;
  const char* shape;
  std::vector<std::string> options{};  ///< that it needs
};

inline const std::vector<RealCounts> kRealCounts = {
    {"mixology/mixology_3cl.h5ad", "450 cells x 15,073 genes"},
    {"mixology/sc_celseq2.count.csv.gz", "274 cells x 28,204 genes"},
    {"mixology/sc_celseq2_5cl_p1.count.csv.gz", "297 cells x 15,564 genes"},
    {"mixology/sc_dropseq.count.csv.gz", "225 cells x 15,127 genes"},
    {"osmfish/osmfish_cortex.h5ad", "4,530 cells x 33 genes"},
    {"pbmc_citeseq/pbmc_5k_protein_v3.h5ad", "200 cells x 16,581 genes"},
    {"pbmc_citeseq/pbmc_10k_protein_v3.h5ad", "200 cells x 16,727 genes"},
    {"pretrained/scvi-tools-1.x/exp_activation_totalvi/adata.h5ad", "400 cells x 100 genes"},
    {"pretrained/scvi-tools-1.x/pre_logits_fix_scanvi/adata.h5ad", "400 cells x 100 genes"},
    {"starmap/mpfc-starmap.loom", "3,704 cells x 158 genes"},
    {"fixtures/Cortex.loom", "50 cells x 10 genes"},
    {"fixtures/retina.loom", "25 cells x 1,316 genes"},
    {"fixtures/fc-dropseq.loom", "25 cells x 1,316 genes"},
    {"fixtures/mpfc-starmap.loom", "3,704 cells x 158 genes"},
    {"fixtures/osmFISH_SScortex_mouse_all_cell.loom", "64 cells x 33 genes"},
    {"fixtures/simulation/simulation_1.loom", "50 cells x 5 genes"},
    {"fixtures/simulation/simulation_2.loom", "50 cells x 5 genes"},
    {"fixtures/simulation/simulation_3.loom", "50 cells x 5 genes"},
    {"fixtures/TM_droplet_mat.h5ad", "47 cells x 10 genes"},
    {"fixtures/10X/pbmc8k/filtered_gene_bc_matrices.tar.gz", "50 cells x 10 genes"},
    {"fixtures/10X/pbmc_10k_protein_v3/filtered_feature_bc_matrix.tar.gz", "1,024 cells x 100 genes"},
    {"fixtures/10X/neuron_9k/filtered_gene_bc_matrices", "50 cells x 10 genes"},
    {"fixtures/filtered_gene_bc_matrices/hg19", "42 cells x 14 genes"},
    {"fixtures/filtered_gene_bc_matrices/hg19/matrix.mtx", "42 cells x 14 genes"},
    {"fixtures/brain_large.h5", "70 cells x 4,000 genes"},
    {"fixtures/GSE100866_CBMC_8K_13AB_10X-RNA_umi.csv.gz", "50 cells x 10 genes"},
    {"fixtures/citeSeq/cbmc/cbmc_rna.csv.gz", "20 cells x 50 genes"},
    {"fixtures/citeSeq/pbmc/pbmc_adt_centered.csv.gz", "20 cells x 3 genes"},
    {"fixtures/immune_control_expression_matrix.txt", "99 cells x 99 genes"},
    {"fixtures/Layer2_BC_count_matrix-1.tsv", "8 cells x 14,789 genes", {"--lines-are", "cells"}},
    {"fixtures/Rep11_MOB_count_matrix-1.tsv", "20 cells x 50 genes", {"--lines-are", "cells"}},
    {"fixtures/HEMATO/bBM.raw_umifm_counts.csv.gz",
     "50 cells x 10 genes",
     {"--lines-are", "cells", "--annotation-columns", "1"}},
    {"fixtures/seqfishplus/sourcedata/cortex_svz_counts.csv", "10 cells x 10 genes", {"--lines-are", "cells"}},
    {"fixtures/seqfishplus.zip", "10 cells x 10 genes", {"--member", "sourcedata/ob_counts.csv"}},
};

}  // namespace scvi::testing
