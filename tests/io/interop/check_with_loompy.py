#!/usr/bin/env python3
"""Checks .loom files against Python's loompy.

    check_with_loompy.py INTEROP_FILES SOURCE_FOLDER

What we write must be valid for loompy and hold the same; what loompy writes must be read by us; and real files that we
read and write again must stay the same. Exits 77 (skipped) where loompy is not installed.
"""

import os
import subprocess
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
try:
    import h5py
    import loompy
    import numpy as np
except ImportError as error:
    print("=" * 80)
    print(f"NO LOOMPY for {sys.executable} ({error}): OUR .loom FILES WERE NOT CHECKED AGAINST IT")
    print("=" * 80)
    sys.exit(77)

TOOL, SOURCE = sys.argv[1:3]
REAL_FILES = [
    "fixtures/Cortex.loom",
    "fixtures/fc-dropseq.loom",
    "fixtures/osmFISH_SScortex_mouse_all_cell.loom",
    "fixtures/retina.loom",
    "starmap/mpfc-starmap.loom",
]
N_CHECKS = 0


def check(condition, what):
    global N_CHECKS
    N_CHECKS += 1
    if not condition:
        raise AssertionError(what)


def tool(*arguments):
    done = subprocess.run([TOOL, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"interop_files {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def facts(path):
    lines = [line.split("\t") for line in tool("loom", path).splitlines()]
    return {line[0]: line[1:] for line in lines}


def placed_sum(matrix):
    matrix = np.asarray(matrix, dtype=np.float64)
    genes = np.arange(1, matrix.shape[0] + 1)[:, None]
    cells = np.arange(1, matrix.shape[1] + 1)[None, :]
    return float((matrix * genes * cells).sum())


def close(text, value):
    return abs(float(text) - value) <= 1e-6 * max(1.0, abs(value))


def check_valid(path):
    validator = loompy.LoomValidator()
    check(validator.validate(path), f"{path}: {validator.errors}")


def check_written(path):
    tool("write-loom", path)
    check_valid(path)
    with loompy.connect(path, mode="r") as ds:
        check(ds.shape == (3, 4), "shape")
        check((ds[:, :] == np.array([[1, 0, 0, 4], [0, 0, 3, 5], [2, 0, 0, 6]])).all(), "matrix")
        check(list(ds.ra.Gene) == ["g0", "g1", "g2"], "Gene")
        check(list(ds.ca.CellID) == ["c0", "c1", "c2", "c3"], "CellID")
        check(list(ds.ca.batch) == ["a", "b", "", "b"], "categories are text")
        check(list(ds.ca.n) == [7, 8, 9, 10] and ds.ca.n.dtype == np.int64, "whole numbers")
        check(list(ds.ca.score) == [0.5, 1.5, 2.5, 3.5], "numbers")
        check(list(ds.ca.good) == [1, 0, 1, 0], "truth values")
        check(np.isnan(ds.ca.whole_missing[0]) and ds.ca.whole_missing[3] == 4, "missing whole numbers")
        check((ds.ca.place == np.arange(1.0, 9.0).reshape(4, 2)).all(), "two dimensions")
        check(list(ds.ra.weight) == [0.5, 1.5, 2.5], "gene attribute")
        check(float(ds.attrs.alpha) == 0.25, "global attribute")
        check(list(ds.attrs.place_columns) == ["x", "y"], "names of columns")
    # Text beyond ASCII, which spec 3.0 allows, is more than loompy 3.0.7 can read with h5py 3 (its own files included).
    with h5py.File(path, "r") as file:
        check(list(file["col_attrs/note"].asstr()[:]) == ["x", "", "été", "z"], "text")
        check(file["attrs/title"].asstr()[()] == "café", "global text")
    with loompy.connect(path) as ds:
        del ds.ca["note"]
        ds.add_columns(ds[:, :2], {name: value[:2] for name, value in ds.ca.items()})
        check(ds.shape == (3, 6), "loompy can append cells")


def check_read(path):
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.3, (150, 230))
    rows = {"Gene": np.array([f"g{i}" for i in range(150)]), "len": np.arange(150)}
    columns = {
        "CellID": np.array([f"c{i}" for i in range(230)]),
        "kind": np.array(["é", "b"] * 115),
        "size": np.linspace(0, 1, 230),
        "place": rng.normal(size=(230, 3)),
    }
    loompy.create(path, {"": counts, "half": counts / 2}, rows, columns, file_attrs={"title": "café"})
    found = facts(path)
    check(found["format"] == ["loom 3.0.0"], "format")
    check(found["obs index"] == list(columns["CellID"]), "cells")
    check(found["var index"] == list(rows["Gene"]), "genes")
    check(found["obs column kind"] == list(columns["kind"]), "text")
    check(all(close(a, b) for a, b in zip(found["obs column size"], columns["size"])), "numbers")
    check(found["var column len"] == [str(i) for i in range(150)], "whole numbers")
    check(found["table place"][0] == "3" and close(found["table place"][1], columns["place"].sum()), "table")
    check(found["global title"] == ["café"], "global attribute")
    check(close(found["layer matrix"][0], placed_sum(counts)), "matrix")
    check(close(found["layer half"][0], placed_sum(counts / 2)), "layer")


def check_real(path, copy):
    found = facts(path)
    with h5py.File(path, "r") as file:
        matrix = file["matrix"][:]
    check(close(found["layer matrix"][0], placed_sum(matrix)), f"{path}: matrix")
    tool("copy-loom", path, copy)
    check_valid(copy)
    again = facts(copy)
    for name, values in found.items():
        if name.startswith(("obs", "var", "table", "layer matrix")):
            check(again[name] == values, f"{path}: {name} after writing")
    with loompy.connect(copy, mode="r") as ds:
        check((ds[:, :] == matrix.astype(np.float32)).all(), f"{path}: matrix after writing")


def main():
    data = os.environ.get("SCVI_TEST_DATA", os.path.join(SOURCE, "..", "shared", "data"))
    with tempfile.TemporaryDirectory() as folder:
        check_written(os.path.join(folder, "ours.loom"))
        check_read(os.path.join(folder, "theirs.loom"))
        n_real = 0
        for name in REAL_FILES:
            path = os.path.join(data, name)
            if os.path.exists(path):
                check_real(path, os.path.join(folder, f"copy{n_real}.loom"))
                n_real += 1
        if n_real < len(REAL_FILES):
            print(f"NO REAL DATA under {data}: {len(REAL_FILES) - n_real} files were not checked")
    print(f"loompy {loompy.__version__}, h5py {h5py.version.version}: {N_CHECKS} checks passed, {n_real} real files")


if __name__ == "__main__":
    main()
