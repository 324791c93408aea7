#!/usr/bin/env python3
"""Checks what `scvi convert` writes against Python's anndata and loompy.

    check_converted.py SCVI SOURCE_FOLDER

Every real .loom and .h5ad file is converted to the other format and back; what the Python packages read from the
results must equal what they read from the original. Exits 77 (skipped) where they are not installed.
"""

import glob
import os
import subprocess
import sys
import tempfile
import warnings

try:
    import anndata
    import h5py
    import loompy
    import numpy as np
    from scipy import sparse
except ImportError as error:
    print("=" * 80)
    print(f"NO ANNDATA OR LOOMPY for {sys.executable} ({error}): CONVERTED FILES WERE NOT CHECKED AGAINST THEM")
    print("=" * 80)
    sys.exit(77)

warnings.simplefilter("ignore")

SCVI, SOURCE = sys.argv[1], sys.argv[2]
DATA = os.environ.get("SCVI_TEST_DATA", os.path.join(SOURCE, "..", "shared", "data"))
N_CHECKS = 0


def check(condition, what):
    global N_CHECKS
    N_CHECKS += 1
    if not condition:
        raise AssertionError(what)


def convert(before, after):
    done = subprocess.run([SCVI, "convert", before, after, "--verbosity", "error"], capture_output=True, text=True)
    check(done.returncode == 0, f"scvi convert {before} {after}: {done.stderr}")


def dense(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


def texts(values):
    return ["" if value is None or value != value else str(value) for value in values]


def same(left, right):
    """Equal numbers, or equal text; truth values are 0 and 1 in a .loom, and missing text is empty there."""
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape:
        return False
    if left.dtype.kind in "fiub" and right.dtype.kind in "fiub":
        return bool(np.array_equal(left.astype(float), right.astype(float), equal_nan=True))
    return texts(left.ravel()) == texts(right.ravel())


def loom_contents(path):
    """Counts as cells x genes, attributes of cells and genes, as plain arrays of the file."""
    with h5py.File(path, "r") as file:
        cells = {name: values[()] for name, values in file["col_attrs"].items()}
        genes = {name: values[()] for name, values in file["row_attrs"].items()}
        counts = file["matrix"][()].T

    def plain(values):
        if values.dtype.kind in "SO":
            return np.array([v.decode() if isinstance(v, bytes) else v for v in values.ravel()], dtype=object)
        return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values

    return counts, {k: plain(v) for k, v in cells.items()}, {k: plain(v) for k, v in genes.items()}


def check_attributes(attributes, frame, obsm, where):
    """Each attribute of the .loom is the index, a column, or a matrix of obsm."""
    for name, values in attributes.items():
        if name in obsm:
            check(same(values, obsm[name]), f"{where}: {name} in obsm")
        elif name in frame.columns:
            check(same(values, frame[name]), f"{where}: {name}")
        elif values.ndim == 2:
            for column in range(values.shape[1]):
                check(same(values[:, column], frame[f"{name}_{column + 1}"]), f"{where}: {name}, column {column}")
        else:
            check(same(values, frame.index), f"{where}: {name} is neither a column nor the index")


def check_loom(path, folder):
    name = os.path.relpath(path, DATA).replace("/", "_")
    convert(path, f"{folder}/{name}.h5ad")
    data = anndata.read_h5ad(f"{folder}/{name}.h5ad")
    counts, cells, genes = loom_contents(path)
    check(np.array_equal(dense(data.X), counts.astype(np.float32), equal_nan=True), f"{name}: counts")
    check_attributes(cells, data.obs, data.obsm, f"{name}: cells")
    check_attributes(genes, data.var, {}, f"{name}: genes")
    convert(f"{folder}/{name}.h5ad", f"{folder}/{name}.loom")
    check_opens_in_loompy(f"{folder}/{name}.loom", data, name)


def check_opens_in_loompy(path, data, name):
    with loompy.connect(path, mode="r") as loom:
        check(loom.shape == data.shape[::-1], f"{name}: shape in loompy")
        check(np.array_equal(loom[:, :].T, dense(data.X).astype(np.float32), equal_nan=True), f"{name}: counts in loompy")
        check(list(loom.ca.CellID) == list(data.obs_names), f"{name}: names of cells in loompy")
        check(list(loom.ra.Gene) == list(data.var_names), f"{name}: names of genes in loompy")
        for frame, attributes, index in [(data.obs, loom.ca, "CellID"), (data.var, loom.ra, "Gene")]:
            for column in frame.columns:
                if column != index:
                    check(same(attributes[column], frame[column]), f"{name}: {column} in loompy")
        for key, values in data.obsm.items():
            values = dense(values.to_numpy() if hasattr(values, "to_numpy") else values)
            if values.dtype.kind in "fiub":
                found = loom.ca[key].reshape(values.shape)
                check(np.array_equal(found, values.astype(float), equal_nan=True), f"{name}: {key} in loompy")


def check_h5ad(path, folder):
    name = os.path.relpath(path, DATA).replace("/", "_")
    data = anndata.read_h5ad(path)
    convert(path, f"{folder}/{name}.loom")
    check_opens_in_loompy(f"{folder}/{name}.loom", data, name)
    convert(path, f"{folder}/{name}")
    copy = anndata.read_h5ad(f"{folder}/{name}")
    check(np.array_equal(dense(copy.X), dense(data.X), equal_nan=True), f"{name}: counts of the copy")
    check(copy.obs.equals(data.obs) and copy.var.equals(data.var), f"{name}: annotation of the copy")
    check(sorted(copy.uns) == sorted(data.uns) and sorted(copy.obsm) == sorted(data.obsm), f"{name}: the rest")


def main():
    looms = sorted(glob.glob(f"{DATA}/**/*.loom", recursive=True))
    h5ads = sorted(glob.glob(f"{DATA}/**/*.h5ad", recursive=True))
    if not looms and not h5ads:
        print(f"NO REAL DATA in {DATA}: NOTHING WAS CHECKED")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        for path in looms:
            check_loom(path, folder)
        for path in h5ads:
            check_h5ad(path, folder)
    print(f"{N_CHECKS} checks passed on {len(looms)} .loom and {len(h5ads)} .h5ad files")


if __name__ == "__main__":
    main()
