#!/usr/bin/env python3
"""Checks our reading of pickled tables and arrays against the pandas and numpy that made them.

    check_with_pandas.py INTEROP_FILES

Exits 77 (skipped) where pandas is not installed.
"""

import os
import pickle
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import pandas as pd
except ImportError as error:
    print("=" * 80)
    print(f"NO PANDAS for {sys.executable} ({error}): OUR READING OF PICKLES WAS NOT CHECKED AGAINST IT")
    print("=" * 80)
    sys.exit(77)

TOOL = sys.argv[1]
N_CHECKS = 0


def check(condition, what):
    global N_CHECKS
    N_CHECKS += 1
    if not condition:
        raise AssertionError(what)


def text(value):
    """A value as Column::text writes it."""
    if value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "True" if value else "False"
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (float, np.floating)):
        value = float(value)
        if value == int(value):
            return str(int(value))
        narrow = np.float32(value)
        return str(narrow) if float(narrow) == value else repr(value)
    return str(value)


def facts(path):
    done = subprocess.run([TOOL, "pickle", path], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {line[0]: line[1:] for line in lines}


def frames():
    many = pd.DataFrame(
        {
            "i": np.array([1, 2, 3], dtype="int32"),
            "f": [0.5, np.nan, 2.0],
            "s": ["a", "é", None],
            "b": [True, False, True],
            "c": pd.Categorical(["x", "y", np.nan]),
            "numbers": pd.Categorical([3, 1, 3], ordered=True),
            "I": pd.array([1, None, 3], dtype="Int64"),
            "S": pd.array(["q", None, "r"], dtype="string"),
            "B": pd.array([True, None, False], dtype="boolean"),
            "F": pd.array([0.5, None, 1.5], dtype="Float64"),
            "i2": np.array([4, 5, 6], dtype="int32"),
            "f32": np.array([0.1, 0.2, 0.3], dtype="float32"),
        },
        index=["r0", "r1", "r2"],
    )
    yield "many", many
    yield "transposed", pd.DataFrame(np.arange(6.0).reshape(2, 3)).T
    yield "fortran", pd.DataFrame(np.asfortranarray(np.arange(12).reshape(3, 4)), columns=list("abcd"))
    yield "numbered", pd.DataFrame({"a": [1, 2]}, index=pd.Index([10, 20], name="n"))
    yield "kinds", pd.DataFrame({"a": [1, 2]}, index=pd.CategoricalIndex(["u", "v"]))
    yield "empty", pd.DataFrame({"a": pd.Series([], dtype="int64"), "b": pd.Series([], dtype="float64")})
    yield "no columns", pd.DataFrame(index=["x", "y"])
    yield "every other", many[["i", "s", "i2"]].iloc[::2]
    grown = pd.DataFrame({"a": [1, 2]})
    for name in "bcd":
        grown[name] = grown["a"] * 2
    yield "grown", grown


def series():
    yield "series", pd.Series([1.0, 2.5], name="ser", index=["a", "b"])
    yield "text series", pd.Series(["a", None])
    yield "categories", pd.Series(["a", "b", "a"]).astype("category")
    yield "nullable", pd.Series([1, None], dtype="Int32")


def arrays():
    yield "index", pd.Index(["a", "b"])
    yield "range", pd.RangeIndex(2, 9, 3)
    yield "scalar", np.float64(2.5)
    yield "unicode", np.array(["ab", "c", "é"])
    yield "bytes", np.array([b"x", b"yz"])
    yield "objects", np.array(["x", None, "z"], dtype=object)
    yield "fortran array", np.asfortranarray(np.arange(24.0).reshape(2, 3, 4))
    yield "view", np.arange(20).reshape(4, 5)[::2, 1:3]
    yield "big endian", np.arange(3, dtype=">i4")
    yield "no rows", np.zeros((0, 3))
    for kind in ("int8", "uint16", "int64", "uint64", "float16", "float32", "bool"):
        yield kind, np.array([0, 1, 1]).astype(kind)
    yield "list", ["a", "b"]


def check_frame(found, name, frame):
    check(found[f"{name} index"] == [text(value) for value in frame.index], f"{name}: index")
    columns = [key for key in found if key.startswith(f"{name} column ")]
    check(columns == [f"{name} column {column}" for column in frame.columns], f"{name}: {columns}")
    for column in frame.columns:
        values = [text(value) for value in frame[column]]
        check(found[f"{name} column {column}"] == values, f"{name}: {column}: {found[f'{name} column {column}']}")


def check_all(folder, protocol):
    everything = {**dict(frames()), **dict(series()), **dict(arrays())}
    everything["dates"] = pd.Series(pd.to_datetime(["2020-01-01"]))
    everything["levels"] = pd.Series([1], index=pd.MultiIndex.from_tuples([("a", 1)]))
    path = os.path.join(folder, f"all{protocol}.pickle")
    with open(path, "wb") as file:
        pickle.dump(everything, file, protocol=protocol)
    found = facts(path)
    for name, frame in frames():
        check_frame(found, name, frame)
    for name, one in series():
        check_frame(found, name, one.to_frame(one.name or "values"))
    for name, array in arrays():
        array = np.asarray(array)
        label = " ".join([f"{name} array", *map(str, array.shape)])
        check(label in found, f"{label} is not among {list(found)}")
        check(found[label] == [text(value) for value in array.ravel()], f"{label}: {found[label]}")
    check("dates refused" in found and "levels refused" in found, "what is not read is said")
    single = os.path.join(folder, "single.pickle")
    frame = dict(frames())["many"]
    frame.to_pickle(single, protocol=protocol)
    check_frame(facts(single), "", frame)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            check_all(folder, protocol)
    print(f"pandas {pd.__version__}, numpy {np.__version__}: {N_CHECKS} checks passed")


if __name__ == "__main__":
    main()
