#!/usr/bin/env python3
"""Checks what `scvi cluster` writes with Python's anndata, and with scanpy where it is installed.

    check_clustered.py SCVI

Files of cells in known clouds, written by anndata, are clustered; graphs, clusters and maps must be where scanpy looks
for them, and all else untouched. With scanpy, the graph must equal the one it makes and its plots must work. Exits 77
(skipped) where anndata is not installed.
"""

import subprocess
import sys
import tempfile
import warnings

try:
    import anndata
    import numpy as np
    import pandas as pd
    from scipy import sparse
except ImportError as error:
    print("=" * 80)
    print(f"NO ANNDATA for {sys.executable} ({error}): CLUSTERED FILES WERE NOT CHECKED AGAINST IT")
    print("=" * 80)
    sys.exit(77)
try:
    import scanpy
except ImportError:
    scanpy = None

warnings.simplefilter("ignore")

SCVI = sys.argv[1]
N_CELLS, N_CLOUDS = 400, 4


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def write_cells(path):
    random = np.random.RandomState(0)
    cloud = np.arange(N_CELLS) % N_CLOUDS
    cells = anndata.AnnData(
        sparse.csr_matrix(random.poisson(1.0, (N_CELLS, 5)).astype(np.float32)),
        obs=pd.DataFrame({"cloud": pd.Categorical(cloud.astype(str))}, index=[f"c{i}" for i in range(N_CELLS)]),
        dtype=np.float32,
    )
    cells.obsm["X_space"] = (random.normal(size=(N_CELLS, 6)) + 9 * np.eye(N_CLOUDS, 6)[cloud]).astype(np.float32)
    # What an earlier analysis left is replaced.
    cells.obsp["connectivities"] = sparse.eye(N_CELLS, format="csr")
    cells.uns["neighbors"] = {"params": {"n_neighbors": 3}}
    cells.uns["kept"] = "as it was"
    cells.write(path)


def check_file(before, after):
    check(list(after.obs_names) == list(before.obs_names), "names of cells")
    check((after.X != before.X).nnz == 0, "counts")
    check(np.array_equal(after.obsm["X_space"], before.obsm["X_space"]), "space")
    check(after.uns["kept"] == "as it was", "uns")
    neighbors = after.uns["neighbors"]
    check(neighbors["connectivities_key"] == "connectivities" and neighbors["distances_key"] == "distances", "keys")
    check(neighbors["params"]["n_neighbors"] == 15 and neighbors["params"]["use_rep"] == "X_space", "parameters")
    graph, distances = after.obsp["connectivities"], after.obsp["distances"]
    check(sparse.issparse(graph) and abs(graph - graph.T).max() == 0, "the graph is symmetric")
    check(np.all(np.diff(distances.indptr) == 14), "14 distances a cell")
    leiden = after.obs["leiden"]
    check(isinstance(leiden.dtype, pd.CategoricalDtype), "clusters are categories")
    sizes = leiden.value_counts().reindex(leiden.cat.categories).to_numpy()
    check(list(leiden.cat.categories) == [str(i) for i in range(len(sizes))], "names of clusters")
    check(np.all(np.diff(sizes) <= 0), "clusters by size")
    check(np.all(pd.crosstab(leiden, after.obs["cloud"]).gt(0).sum(axis=1) == 1), "no cluster joins two clouds")
    for name in ("X_umap", "X_tsne"):
        check(after.obsm[name].shape == (N_CELLS, 2) and np.isfinite(after.obsm[name]).all(), name)


def check_with_scanpy(before, after, folder):
    import matplotlib

    matplotlib.use("Agg")
    scanpy.settings.figdir = folder
    scanpy.pp.neighbors(before, n_neighbors=15, use_rep="X_space")
    check(abs(before.obsp["connectivities"] - after.obsp["connectivities"]).max() < 1e-4, "connectivities as scanpy's")
    scanpy.pl.umap(after, color=["leiden", "cloud"], show=False, save=".png")
    scanpy.pl.tsne(after, color="leiden", show=False, save=".png")
    scanpy.tl.umap(after)


def main():
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/cells.h5ad", f"{folder}/clustered.h5ad"
        write_cells(source)
        words = [SCVI, "cluster", source, "--rep", "X_space", "-o", target, "--tsne", "--no-progress"]
        done = subprocess.run(words, capture_output=True, text=True)
        check(done.returncode == 0, done.stderr)
        before, after = anndata.read_h5ad(source), anndata.read_h5ad(target)
        check_file(before, after)
        if scanpy is not None:
            check_with_scanpy(before, after, folder)
    print(f"checked with anndata {anndata.__version__}" + (f" and scanpy {scanpy.__version__}" if scanpy else ""))


if __name__ == "__main__":
    main()
