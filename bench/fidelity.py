#!/usr/bin/env python3
"""Trains on the real data with the settings of the baselines and prints this program beside the reference.

    bench/fidelity.py [starmap] [mixology] [ldvae] [autozi] [scanvi] [--seeds 5] [--work FOLDER]

Needs Python's h5py (Debian: python3-h5py) for the files that are made here. Folders: SCVI_TEST_DATA and
SCVI_BASELINES (default ../shared/data and ../shared/baselines), SCVI_BIN (default build/release/bin).
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DATA = os.environ.get("SCVI_TEST_DATA", os.path.join(ROOT, "../shared/data"))
BASELINES = os.environ.get("SCVI_BASELINES", os.path.join(ROOT, "../shared/baselines"))
SCVI = os.path.join(os.environ.get("SCVI_BIN", os.path.join(ROOT, "build/release/bin")), "scvi")
MIXOLOGY = os.path.join(DATA, "mixology/mixology_3cl.h5ad")

# Name in the baseline -> (set of cells, metric of `scvi evaluate`).
EVALUATED = {
    "elbo_test": ("test", "elbo"),
    "elbo_train": ("train", "elbo"),
    "marginal_ll_test": ("test", "marginal_ll"),
    "ari": ("all", "ari"),
    "nmi": ("all", "nmi"),
    "silhouette_label": ("all", "silhouette"),
    "knn_purity": ("all", "knn_purity"),
    "entropy_batch_mixing": ("all", "entropy_batch_mixing"),
}
LESS_IS_BETTER = {"elbo_test", "elbo_train", "elbo_test_late", "marginal_ll_test"}
NEITHER_IS_BETTER = {"fraction_zi"}


def scvi(*arguments):
    return subprocess.run([SCVI, *arguments, "--verbosity", "warning", "--no-progress"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


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


def starmap(work, seed):
    data = os.path.join(work, "starmap.h5ad")
    if not os.path.exists(data):
        loom_to_h5ad(os.path.join(DATA, "starmap/mpfc-starmap.loom"), data)
    return data, ["--batch-key", "BatchID", "--labels-key", "Clusters", "--train-size", "0.9", "--epochs", "60",
                  "--kl-warmup-epochs", "30"]


def mixology(work, seed):
    return MIXOLOGY, ["--batch-key", "batch", "--labels-key", "cell_line", "--split-key", "split", "--n-top-genes",
                      "2000", "--epochs", "200", "--kl-warmup-epochs", "100"]


def ldvae(work, seed):
    data, options = mixology(work, seed)
    return data, ["--model", "ldvae", *options, "--frequency", "5"]


def autozi(work, seed):
    return MIXOLOGY, ["--model", "autozi", "--n-top-genes", "1000", "--train-size", "0.9", "--epochs", "200",
                      "--kl-warmup-epochs", "400", "--lr", "0.01"]


def with_hidden_labels(source, target, seed, n_per_line=10):
    """A copy in which obs/seen has the line of so many cells of each line, and is empty for all others."""
    import h5py
    import numpy as np

    shutil.copyfile(source, target)
    with h5py.File(target, "r+") as file:
        obs = file["obs"]
        obs.copy("cell_line", "seen")
        lines = obs["cell_line/codes"][()]
        order = np.random.RandomState(seed).permutation(len(lines))
        seen = np.concatenate([order[lines[order] == line][:n_per_line] for line in np.unique(lines)])
        codes = np.full_like(lines, -1)
        codes[seen] = lines[seen]
        obs["seen/codes"][...] = codes
        obs.attrs["column-order"] = np.append(obs.attrs["column-order"], "seen").astype(object)


def scanvi(work, seed):
    data = os.path.join(work, "seen_%d.h5ad" % seed)
    with_hidden_labels(MIXOLOGY, data, seed)
    return data, ["--model", "scanvi", "--batch-key", "batch", "--labels-key", "seen", "--n-top-genes", "2000",
                  "--train-size", "1.0", "--classification-ratio", "50", "--classifier-epochs", "0",
                  "--epochs", "200", "--kl-warmup-epochs", "100"]


def evaluated(folder, data, quantities=EVALUATED):
    metrics = ",".join(dict.fromkeys(metric for _, metric in quantities.values()))
    scores = json.loads(scvi("evaluate", folder, data, "--json", "-", "--metrics", metrics))
    return {name: scores[cells][metric] for name, (cells, metric) in quantities.items()}


def evaluated_late(folder, data):
    """The bound jumps from epoch to epoch; its mean over the last quarter of the training says more."""
    with open(os.path.join(folder, "history.tsv")) as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    epoch, bound = rows[0].index("epoch"), rows[0].index("elbo_test_set")
    late = [float(row[bound]) for row in rows[1:] if row[bound] and int(row[epoch]) >= 150]
    return {**evaluated(folder, data), "elbo_test_late": statistics.mean(late)}


def zero_inflated(folder, data):
    table = folder + "_zi.tsv"
    scvi("zero-inflation", folder, "--output", table, "--force")
    with open(table) as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    column = rows[0].index("is_zero_inflated")
    called = [row[column] == "True" for row in rows[1:]]
    return {"fraction_zi": sum(called) / len(called), **evaluated(folder, data, {"elbo_test": ("test", "elbo")})}


def annotated(folder, data):
    """How many of the cells without a label get the right one."""
    import h5py

    output = folder + "_annotated.h5ad"
    scvi("annotate", folder, data, "--output", output, "--force")
    with h5py.File(output, "r") as file:
        def labels(column):
            return [file["obs"][column]["categories"].asstr()[code] if code >= 0 else None
                    for code in file["obs"][column]["codes"][()]]

        hits = [told == true for told, true, seen in zip(labels("scvi_label"), labels("cell_line"), labels("seen"))
                if seen is None]
    return {"accuracy_unlabelled": sum(hits) / len(hits)}


# Name -> (data and options of `scvi train`, what is asked of the model, baseline).
CASES = {
    "starmap": (starmap, evaluated, "vae_starmap.json"),
    "mixology": (mixology, evaluated, "vae_mixology.json"),
    "ldvae": (ldvae, evaluated_late, "ldvae_mixology.json"),
    "autozi": (autozi, zero_inflated, "autozi_mixology.json"),
    "scanvi": (scanvi, annotated, "scanvi_mixology.json"),
}


def verdict(name, difference, error):
    if name == "seconds":
        return ""
    if abs(difference) <= error:
        return "equal"
    if name in NEITHER_IS_BETTER:
        return "different"
    return "better" if (difference < 0) == (name in LESS_IS_BETTER) else "worse"


def show(case, baseline, runs):
    """A table of means and sample standard deviations over seeds."""
    print("\n| %s | reference (%d seeds) | scvi-cpp (%d seeds) | difference | two standard errors | |" % (
        case, len(baseline), len(runs)))
    print("|---|---|---|---|---|---|")
    for name in runs[0]:
        theirs = [r[name] for r in baseline if r.get(name) is not None]
        ours = [r[name] for r in runs if r.get(name) is not None]
        if not theirs or not ours:
            continue
        spread = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in (theirs, ours)]
        error = 2 * math.sqrt(spread[0] ** 2 / len(theirs) + spread[1] ** 2 / len(ours))
        difference = statistics.mean(ours) - statistics.mean(theirs)
        print("| %s | %.4g ± %.2g | %.4g ± %.2g | %+.3g | %.2g | %s |" % (
            name, statistics.mean(theirs), spread[0], statistics.mean(ours), spread[1], difference, error,
            verdict(name, difference, error)))
    print(flush=True)


def run(case, seeds, work):
    prepare, ask, baseline_file = CASES[case]
    with open(os.path.join(BASELINES, baseline_file)) as file:
        baseline = json.load(file)["runs"]
    runs = []
    for seed in range(seeds):
        data, options = prepare(work, seed)
        folder = os.path.join(work, "%s_%d" % (case, seed))
        start = time.time()
        scvi("train", data, "--output", folder, "--force", "--seed", str(seed), *options)
        seconds = time.time() - start
        runs.append({**ask(folder, data), "seconds": seconds})
        numbers = {name: round(value, 4) for name, value in runs[-1].items() if value is not None}
        print("# %s seed %d: %s" % (case, seed, numbers), flush=True)
    show(case, baseline, runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=[], help="default: all")
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
