#pragma once

#include <string>

#include "scvi/io/h5ad.hpp"
#include "scvi/metric/cell_map.hpp"

namespace scvi {

/// Under what names a map of cells is stored.
struct CellMapNames {
  std::string representation = "X_scVI";  ///< what was mapped, as in obsm
  std::string clusters = "leiden";        ///< column of obs
};

/// A map of cells where scanpy looks for it: obsp/distances, obsp/connectivities, uns/neighbors, the clusters as
/// categories "0", "1", ... in obs with their parameters in uns, and, where they were made, obsm/X_umap with uns/umap
/// and obsm/X_tsne with uns/tsne.
/// @param options what the map was made with
io::H5adAdditions additions_of(CellMap map, const CellMapOptions& options, const CellMapNames& names = {});

}  // namespace scvi
