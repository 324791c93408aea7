#!/usr/bin/env python3
"""Trains on the real data with the settings of the baselines and prints this program beside the reference.

    bench/fidelity.py [mixology] [starmap] [--seeds 5] [--work FOLDER]

Needs Python's h5py (Debian: python3-h5py) to turn the .loom file into .h5ad. Folders: SCVI_TEST_DATA and
SCVI_BASELINES (default ../shared/data and ../shared/baselines), SCVI_BIN (default build/release/bin).
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DATA = os.environ.get("SCVI_TEST_DATA", os.path.join(ROOT, "../shared/data"))
BASELINES = os.environ.get("SCVI_BASELINES", os.path.join(ROOT, "../shared/baselines"))
SCVI = os.path.join(os.environ.get("SCVI_BIN", os.path.join(ROOT, "build/release/bin")), "scvi")

METRICS = "elbo,marginal_ll,ari,nmi,silhouette,knn_purity,entropy_batch_mixing"
# Name in the baseline -> (set of cells, metric, whether less is better).
QUANTITIES = {
    "elbo_test": ("test", "elbo", True),
    "elbo_train": ("train", "elbo", True),
    "marginal_ll_test": ("test", "marginal_ll", True),
    "ari": ("all", "ari", False),
    "nmi": ("all", "nmi", False),
    "silhouette_label": ("all", "silhouette", False),
    "knn_purity": ("all", "knn_purity", False),
    "entropy_batch_mixing": ("all", "entropy_batch_mixing", False),
}


def loom_to_h5ad(loom, h5ad):
    """Counts, clusters and batches of the STARmap file, in the encoding of anndata 0.8."""
    import h5py
    import numpy as np

    with h5py.File(loom, "r") as source, h5py.File(h5ad, "w") as target:
        def text(group, name, values):
            data = group.create_dataset(name, data=np.asarray(values, dtype=object), dtype=h5py.string_dtype())
            data.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})

        target.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        counts = target.create_dataset("X", data=source["matrix"][()].T.astype("float32"), compression="gzip")
        counts.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        columns = {"Clusters": [c.decode() for c in source["col_attrs/Clusters"][()]],
                   "BatchID": [str(int(b)) for b in source["col_attrs/BatchID"][()].ravel()]}
        frames = {"obs": (["cell%d" % i for i in range(counts.shape[0])], columns),
                  "var": ([g.decode() for g in source["row_attrs/Gene"][()]], {})}
        for name, (index, contents) in frames.items():
            group = target.create_group(name)
            group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
            group.attrs["column-order"] = np.asarray(list(contents), dtype=object if contents else "float64")
            text(group, "_index", index)
            for column, values in contents.items():
                text(group, column, values)


def mixology(work):
    data = os.path.join(DATA, "mixology/mixology_3cl.h5ad")
    return data, ["--batch-key", "batch", "--labels-key", "cell_line", "--split-key", "split", "--n-top-genes", "2000",
                  "--epochs", "200", "--kl-warmup-epochs", "100"]


def starmap(work):
    data = os.path.join(work, "starmap.h5ad")
    loom_to_h5ad(os.path.join(DATA, "starmap/mpfc-starmap.loom"), data)
    return data, ["--batch-key", "BatchID", "--labels-key", "Clusters", "--train-size", "0.9", "--epochs", "60",
                  "--kl-warmup-epochs", "30"]


CASES = {"mixology": (mixology, "vae_mixology.json"), "starmap": (starmap, "vae_starmap.json")}


def run(case, seeds, work):
    prepare, baseline_file = CASES[case]
    data, options = prepare(work)
    with open(os.path.join(BASELINES, baseline_file)) as file:
        baseline = json.load(file)["runs"]
    runs = []
    for seed in range(seeds):
        folder = os.path.join(work, "%s_%d" % (case, seed))
        start = time.time()
        subprocess.run([SCVI, "train", data, "--output", folder, "--force", "--seed", str(seed), "--no-progress",
                        "--verbosity", "warning"] + options, check=True)
        seconds = time.time() - start
        scores = json.loads(subprocess.run([SCVI, "evaluate", folder, data, "--json", "-", "--metrics", METRICS,
                                            "--verbosity", "warning"], check=True, stdout=subprocess.PIPE).stdout)
        runs.append({name: scores[cells][metric] for name, (cells, metric, _) in QUANTITIES.items()})
        runs[-1]["seconds"] = seconds
        print("# %s seed %d: %s" % (case, seed, {k: round(v, 4) for k, v in runs[-1].items() if v is not None}), flush=True)
    print("\n| %s | reference (%d seeds) | scvi-cpp (%d seeds) | difference | two standard errors | |" % (
        case, len(baseline), len(runs)))
    print("|---|---|---|---|---|---|")
    for name in list(QUANTITIES) + ["seconds"]:
        theirs = [r[name] for r in baseline if r.get(name) is not None]
        ours = [r[name] for r in runs if r.get(name) is not None]
        if not theirs or not ours:
            continue
        spread = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in (theirs, ours)]
        error = 2 * math.sqrt(spread[0] ** 2 / len(theirs) + spread[1] ** 2 / len(ours))
        difference = statistics.mean(ours) - statistics.mean(theirs)
        verdict = ""
        if name in QUANTITIES:
            worse = difference if QUANTITIES[name][2] else -difference
            verdict = "worse" if worse > error else "better" if worse < -error else "equal"
        print("| %s | %.4g ± %.2g | %.4g ± %.2g | %+.3g | %.2g | %s |" % (
            name, statistics.mean(theirs), spread[0], statistics.mean(ours), spread[1], difference, error, verdict))
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", help="keep the runs in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or temporary
        os.makedirs(work, exist_ok=True)
        for case in arguments.cases or CASES:
            run(case, arguments.seeds, work)


if __name__ == "__main__":
    main()
