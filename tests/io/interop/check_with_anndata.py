#!/usr/bin/env python3
"""Checks .h5ad files against Python's anndata.

    check_with_anndata.py INTEROP_H5AD SOURCE_FOLDER

What we write must open in anndata with the same content; a copy that we add to must keep everything else as it was;
and what anndata writes from our files must be read by us. Exits 77 (skipped) where anndata is not installed.
"""

import math
import os
import subprocess
import sys
import tempfile
import warnings

try:
    import anndata
    import h5py
    import numpy as np
    import pandas as pd
    from scipy import sparse
except ImportError as error:
    print("=" * 80)
    print(f"NO ANNDATA for {sys.executable} ({error}): OUR .h5ad FILES WERE NOT CHECKED AGAINST IT")
    print("=" * 80)
    sys.exit(77)

warnings.simplefilter("ignore")

TOOL = sys.argv[1]
SOURCE = sys.argv[2]
REAL_FILES = [
    "mixology/mixology_3cl.h5ad",
    "osmfish/osmfish_cortex.h5ad",
    "pbmc_citeseq/pbmc_5k_protein_v3.h5ad",
    "fixtures/TM_droplet_mat.h5ad",
    "pretrained/scvi-tools-1.x/exp_activation_totalvi/adata.h5ad",
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
        raise AssertionError(f"interop_h5ad {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def dense(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


def is_missing(value):
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def text(value):
    """A value as Column::text writes it."""
    if is_missing(value):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "True" if value else "False"
    if isinstance(value, (float, np.floating)) and float(value) == int(value):
        return str(int(value))
    return str(value)


# ------------------------------------------------------------------ what our additions must look like

def check_sample_columns(obs, where, record=False):
    """`record`: the old format, which has neither nulls nor categories of its own."""
    n = len(obs)

    def rows(name):
        return list(obs[name])

    levels = rows("our_levels")
    check(levels[1:] == ["high"] * (n - 1), f"{where}: our_levels {levels[:4]}")
    check(levels[0] == "" if record else is_missing(levels[0]), f"{where}: our_levels begins with {levels[0]!r}")
    if not record:
        check(list(obs["our_levels"].cat.categories) == ["low", "high"], f"{where}: categories")
        check(obs["our_levels"].cat.ordered, f"{where}: ordered")
    check(rows("our_text") == ["t\u00e9xt"] * n, f"{where}: our_text")
    real = rows("our_real")
    check(is_missing(real[0]) and real[1:] == [0.25] * (n - 1), f"{where}: our_real")
    check(rows("our_whole") == [-3] * n, f"{where}: our_whole")
    whole = rows("our_whole_missing")
    check(is_missing(whole[0]) and whole[1:] == [5] * (n - 1), f"{where}: our_whole_missing {whole[:3]}")
    check(rows("our_truth") == [True] * n, f"{where}: our_truth")
    truth = [text(value) for value in rows("our_truth_missing")]
    check(truth == [""] + ["False"] * (n - 1), f"{where}: our_truth_missing {truth[:3]}")
    missing = [text(value) for value in rows("our_text_missing")]
    check(missing == [""] + ["x"] * (n - 1), f"{where}: our_text_missing {missing[:3]}")


def check_sample_uns(uns, where):
    ours = uns["our_dict"]
    check(ours["text"] == "d\u00e9j\u00e0", f"{where}: text")
    check(ours["whole"] == 400 and ours["real"] == 0.5, f"{where}: numbers")
    check(list(ours["texts"]) == ["a", "b"] and len(ours["no_texts"]) == 0, f"{where}: texts")
    check(list(ours["reals"]) == [1.5, 2.5], f"{where}: reals")
    check(dict(ours["deeper"]["empty"]) == {}, f"{where}: nested")


# ------------------------------------------------------------------ new files

def check_new_files(folder):
    expected = np.array([[1, 0, 2], [0, 0, 0], [0, 3, 0], [4, 5, 6]], dtype=np.float32)
    for name in ["new", "dense", "plain", "no_x"]:
        data = anndata.read_h5ad(f"{folder}/{name}.h5ad")
        check(data.shape == (4, 3), f"{name}: shape")
        if name == "no_x":
            check(data.X is None, "no_x: X")
        else:
            check(sparse.issparse(data.X) == (name != "dense"), f"{name}: sparse")
            check(data.X.dtype == np.float32 and (dense(data.X) == expected).all(), f"{name}: X")
        check(list(data.obs_names) == ["c0", "c1", "c2", "c3"], f"{name}: obs_names")
        check(list(data.var_names) == ["g0", "g1", "g2"] and data.var.index.name == "gene", f"{name}: var_names")
        check(list(data.obs.columns[:5]) == ["batch", "n", "score", "note", "good"], f"{name}: columns")
        check(list(data.obs["n"]) == [7, 8, 9, 10], f"{name}: n")
        check(list(data.obs["note"]) == ["x", "", "\u00e9t\u00e9", "z"], f"{name}: note")
        check(list(data.obs["batch"].cat.codes) == [0, 1, -1, 1], f"{name}: batch")
        check(len(data.var.columns) == 0, f"{name}: var columns")
        check_sample_columns(data.obs, name)
        check_sample_uns(data.uns, name)
        check((data.obsm["X_scvi"] == np.arange(1, 9, dtype=np.float32).reshape(4, 2)).all(), f"{name}: obsm")
        check(data.varm["our_loadings"].shape == (3, 2), f"{name}: varm")
        check(data.uns["alpha"] == 0.25 and list(data.uns["names"]) == ["p", "q"], f"{name}: uns")
        check_round_trip(data, folder, name)
    backed = anndata.read_h5ad(f"{folder}/new.h5ad", backed="r")
    check((dense(backed.X[:]) == expected).all(), "new: backed")
    backed.file.close()


def check_same_encodings_as_anndata(folder):
    """Every element that both wrote carries the same tags."""
    data = anndata.read_h5ad(f"{folder}/plain.h5ad")
    data.write_h5ad(f"{folder}/theirs.h5ad")
    with h5py.File(f"{folder}/plain.h5ad", "r") as ours, h5py.File(f"{folder}/theirs.h5ad", "r") as theirs:
        for name in ["encoding-type", "encoding-version"]:
            check(ours.attrs[name] == theirs.attrs[name], f"root {name}")

        def compare(path, element):
            # anndata makes text columns categorical, and has arrays of its own under these names.
            other = ours.get(path)
            if other is None or type(other) is not type(element) or "note" in path or "our_text" in path:
                return
            for name in ["encoding-type", "encoding-version"]:
                same = other.attrs.get(name) == element.attrs.get(name)
                nullable = str(element.attrs.get(name)).startswith("nullable-string")
                check(same or nullable, f"{path} {name}: {other.attrs.get(name)} / {element.attrs.get(name)}")

        theirs.visititems(compare)


# ------------------------------------------------------------------ copies

def same_array(left, right):
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype.kind in "fc":
        return bool(np.array_equal(left, right, equal_nan=True))
    if left.dtype.names:
        return all(same_array(left[name], right[name]) for name in left.dtype.names)
    return bool((left == right).all())


def same_attribute(original, copied):
    if isinstance(original, h5py.Reference):
        return isinstance(copied, h5py.Reference)
    if isinstance(original, h5py.Empty):
        return isinstance(copied, h5py.Empty)
    return same_array(original, copied)


def check_untouched(before, after, where):
    """Everything of the original is in the copy, value by value, but what had to change."""
    touched = set()
    for frame in ["obs", "var"]:
        if isinstance(before[frame], h5py.Dataset):
            touched.add(frame)
            for field in before[frame].dtype.names:
                check(same_array(before[frame][field], after[frame][field]), f"{where}: {frame} field {field}")
    for group in ["obsm", "varm"]:
        if group in before and isinstance(before[group], h5py.Dataset):
            touched.add(group)
            for field in before[group].dtype.names:
                values = before[group][field]
                same = np.array_equal(values.reshape(len(values), -1), after[group][field][()], equal_nan=True)
                check(same, f"{where}: {group} {field}")

    def compare(path, element):
        if path in touched:
            return
        check(path in after, f"{where}: {path} is gone")
        other = after[path]
        for name, value in element.attrs.items():
            if path in ("obs", "var") and name == "column-order":
                kept = [str(column) for column in value]
                now = [column if isinstance(column, str) else column.decode() for column in other.attrs[name]]
                check(now[: len(kept)] == kept, f"{where}: {path} {name} {now}")
            else:
                check(same_attribute(value, other.attrs[name]), f"{where}: {path} attribute {name}")
        if isinstance(element, h5py.Dataset):
            check(element.dtype == other.dtype and element.shape == other.shape, f"{where}: {path} type")
            if element.shape is not None:
                check(same_array(element[()], other[()]), f"{where}: {path} values")

    before.visititems(compare)


def check_copy(original, folder, name):
    copied = f"{folder}/copy_of_{name}.h5ad"
    tool("copy", original, copied)
    with h5py.File(original, "r") as before, h5py.File(copied, "r") as after:
        record = isinstance(before["obs"], h5py.Dataset)
        check_untouched(before, after, name)
    old = anndata.read_h5ad(original)
    new = anndata.read_h5ad(copied)
    check(old.shape == new.shape, f"{name}: shape")
    if old.X is not None:
        check(np.array_equal(dense(old.X), dense(new.X), equal_nan=True), f"{name}: X")
    for frame in ["obs", "var"]:
        ours = [column for column in getattr(new, frame).columns if column.startswith("our_")]
        left = getattr(old, frame)
        pd.testing.assert_frame_equal(left, getattr(new, frame).drop(columns=ours))
    check_sample_columns(new.obs, name, record)
    check((new.var["our_gene_real"] == 1.5).all(), f"{name}: our_gene_real")
    check_sample_uns(new.uns, name)
    latent = np.arange(2 * new.n_obs, dtype=np.float32).reshape(-1, 2)
    check(same_array(new.obsm["our_latent"], latent), f"{name}: our_latent")
    for key in old.obsm:
        check(key in new.obsm, f"{name}: obsm {key}")
        left = old.obsm[key]
        if not hasattr(left, "columns"):
            check(np.allclose(dense(left).reshape(new.n_obs, -1), dense(new.obsm[key])), f"{name}: obsm {key}")
    for key in old.uns:
        check(key in new.uns, f"{name}: uns {key}")
    if old.raw is not None:
        check(np.array_equal(dense(old.raw.X), dense(new.raw.X)), f"{name}: raw")
        pd.testing.assert_frame_equal(old.raw.var, new.raw.var)
    check_round_trip(new, folder, f"copy_of_{name}")


# ------------------------------------------------------------------ what anndata writes from ours, read by us

def check_round_trip(data, folder, name):
    path = f"{folder}/{name}_again.h5ad"
    for key in list(data.uns):
        # Record arrays of references cannot be written by every anndata; they are not the point here.
        if isinstance(data.uns[key], np.ndarray) and data.uns[key].dtype.names:
            del data.uns[key]
    data.write_h5ad(path, compression="lzf")
    facts = dict(line.split("\t", 1) for line in tool("summary", path).splitlines() if "\t" in line)
    for frame in ["obs", "var"]:
        table = getattr(data, frame)
        check(facts[f"{frame} index"].split("\t") == list(table.index), f"{name}: {frame} index read by us")
        for column in table.columns:
            values = list(table[column])
            ours = facts[f"{frame} column {column}"].split("\t")
            if table[column].dtype.kind == "f":
                same = all((o == "" and is_missing(v)) or math.isclose(float(o), v, rel_tol=1e-6) for o, v in zip(ours, values))
            else:
                same = ours == [text(value) for value in values]
            check(same and len(ours) == len(values), f"{name}: {frame} {column} read by us: {ours[:5]} / {values[:5]}")
    if data.X is not None:
        total, count = facts["matrix X"].split("\t")
        matrix = dense(data.X)
        check(math.isclose(float(total), float(matrix.astype(np.float64).sum()), rel_tol=1e-6, abs_tol=1e-3), f"{name}: sum of X read by us")
        check(int(count) == np.count_nonzero(matrix), f"{name}: entries of X read by us")
    for key, value in data.obsm.items():
        if hasattr(value, "columns"):
            continue
        total = facts[f"obsm {key}"].split("\t")[0]
        check(math.isclose(float(total), float(dense(value).astype(np.float64).sum()), rel_tol=1e-5, abs_tol=1e-3), f"{name}: obsm {key} read by us")


def anndata_version():
    try:
        from importlib.metadata import version

        return version("anndata")
    except ImportError:
        return "?"


def main():
    data_folder = os.environ.get("SCVI_TEST_DATA", os.path.join(SOURCE, "..", "shared", "data"))
    with tempfile.TemporaryDirectory() as folder:
        tool("write", folder)
        check_new_files(folder)
        check_same_encodings_as_anndata(folder)
        originals = {name: f"{folder}/{name}.h5ad" for name in ["new", "dense", "no_x", "old06", "old07"]}
        for path in REAL_FILES:
            if os.path.exists(os.path.join(data_folder, path)):
                originals[path.replace("/", "_")] = os.path.join(data_folder, path)
            else:
                print(f"NO REAL DATA: {path} was not checked")
        for more in os.environ.get("SCVI_INTEROP_FILES", "").split():
            originals[os.path.basename(more)] = more
        # Files of ours that carry our columns already get them replaced; that is another test.
        for name in ["new", "dense", "no_x"]:
            with h5py.File(originals[name], "r+") as file:
                order = [c for c in file["obs"].attrs["column-order"] if not c.startswith("our_")]
                for column in [c for c in file["obs"] if c.startswith("our_")]:
                    del file["obs"][column]
                file["obs"].attrs["column-order"] = order
                del file["uns/our_dict"], file["varm/our_loadings"]
        for name, path in originals.items():
            check_copy(path, folder, name)
    print(f"anndata {anndata_version()}, h5py {h5py.version.version}: {N_CHECKS} checks passed on {len(originals)} files")



if __name__ == "__main__":
    main()
