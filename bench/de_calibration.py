#!/usr/bin/env python3
"""Holds differential expression against the truth of simulated counts: this program, scVI 0.6.3 and Wilcoxon's test.

    python bench/de_calibration.py [CASE ...] [--seeds 5] [--scvi FOLDER --reference-seeds 2] [--work FOLDER]

For every case and seed: counts with known fold changes (`scvi simulate`), a model trained on them, and the first
group against the second. Changes are log2 quotients of scales; true are those of more than --delta. Printed, as means
over seeds: the area under the precision-recall curve (average precision; equal scores stand together), the correlation
and slope of the estimated changes on the true ones, and for each stated false discovery rate how many genes are called,
which part of them is false, and which part of the true ones is found. Then, over all seeds, how many genes have a
probability (change mode) in each range and which part of them is true: a calibrated probability is that part.

--scvi runs the reference on the same data (see bench/reference_de.py). Genes are called by the rule of `scvi de --fdr`
for it, too, which it does not have; rows `each` call the genes with a probability of at least 1 - X instead. With
--trainings N there are also rows for the mean of the probabilities (and changes) of N trainings of ours with other
seeds. FOLDER of --work keeps trained models and the reference's answers, and what is there is not computed again.
Wilcoxon's rank-sum test is that of log(1 +
10,000 count / total), with Benjamini and Hochberg's rates; it asks for any change, so calls are also counted
as false where the drawn changes of both groups are equal (`false (no change)`).
Needs Python with h5py, numpy and scipy. Folders as in bench/fidelity.py.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SCVI = os.path.join(os.environ.get("SCVI_BIN", os.path.join(ROOT, "build/release/bin")), "scvi")
TARGETS = [0.05, 0.1, 0.2]
RANGES = [0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1]
ZINB = ["--kind", "zinb", "--lfc-min", "0.25"]
CASES = {
    "zinb": ZINB,
    "zinb-batches": ZINB + ["--batches", "2", "--batch-effect", "0.3"],
    "zinb-up": ZINB + ["--up", "1"],
    "zinb-deep": ZINB + ["--total", "20000"],
    "zinb-few-cells": ZINB + ["--cells", "300"],
    "zinb-null": ZINB + ["--differential", "0"],
    "corr": ["--kind", "corr"],
    "zi": ["--kind", "zi"],
}
TRAINING = ["--epochs", "200", "--kl-warmup-epochs", "100"]
# Of `scvi de`: name in the report -> options.
VARIANTS = {
    "vanilla": ["--mode", "vanilla"],
    "three-way (default)": ["--mode", "change"],
    "two-sided, no pseudocount": ["--mode", "change", "--test", "two-sided", "--pseudocount", "0"],
}


class Data:
    """The counts of two groups and the truth about them."""

    def __init__(self, path):
        import h5py
        import numpy as np
        from scipy.sparse import csr_matrix

        with h5py.File(path, "r") as file:
            x = file["X"]
            counts = x[()] if isinstance(x, h5py.Dataset) else csr_matrix(
                (x["data"][()], x["indices"][()], x["indptr"][()]), shape=tuple(map(int, x.attrs["shape"]))).toarray()
            names = [name.decode() for name in file["obs/cell_type/categories"][()]]
            codes = file["obs/cell_type/codes"][()]
            self.genes = [name.decode() for name in file["var/_index"][()]]
            self.groups = names[:2]
            if "scale_group_0" in file["var"]:
                scales = [file["var/scale_group_%d" % group][()] for group in (0, 1)]
                self.drawn = file["var/lfc_group_0"][()] - file["var/lfc_group_1"][()]
                self.lfc = np.log2(scales[0] / scales[1])
            else:  # blocks of genes, one for each cluster, four times as high
                block = np.arange(len(self.genes)) // (len(self.genes) // len(names))
                self.lfc = self.drawn = 2.0 * (block == 0) - 2.0 * (block == 1)
        self.counts = [counts[codes == group].astype(float) for group in (0, 1)]


def simulate(arguments, case, seed):
    path = os.path.join(arguments.work, "%s_%d.h5ad" % (case, seed))
    subprocess.run([SCVI, "simulate", path, "--seed", str(seed), "--force", "--verbosity", "error"] + CASES[case],
                   check=True)
    return path


def batch_options(case):
    return ["--batch-key", "batch"] if "batches" in case else []


def our_tables(arguments, case, seed, path, data):
    """By the name of the variant; of the first training, then of the mean of all."""
    trainings = [tables_of_training(arguments, case, seed, path, data, training)
                 for training in range(arguments.trainings)]
    tables = {"ours, " + name: table for name, table in trainings[0].items()}
    if len(trainings) > 1:
        name = "three-way (default)"
        columns = ["proba_de", "lfc_median"]
        tables["ours, %s, mean of %d trainings" % (name, len(trainings))] = {
            column: sum(tables[name][column] for tables in trainings) / len(trainings) for column in columns}
    return tables


def tables_of_training(arguments, case, seed, path, data, training):
    import numpy as np

    run = os.path.join(arguments.work, "run_%s_%d" % (case, seed) + ("_%d" % training if training else ""))
    common = ["--threads", str(arguments.threads), "--no-progress", "--verbosity", "error", "--force"]
    if not os.path.exists(run):
        subprocess.run([SCVI, "train", path, "--output", run, "--seed", str(seed + 1000 * training), "--train-size",
                        "0.9"] + TRAINING + batch_options(case) + common, check=True)
    tables = {}
    for name, options in VARIANTS.items():
        table = os.path.join(arguments.work, "table.tsv")
        subprocess.run([SCVI, "de", run, path, "-o", table, "--groupby", "cell_type", "--group1", data.groups[0],
                        "--group2", data.groups[1], "--delta", str(arguments.delta), "--seed", str(seed), "--fdr",
                        ",".join(map(str, TARGETS))] + options + common, check=True)
        with open(table) as file:
            rows = {row["gene"]: row for row in csv.DictReader(file, delimiter="\t")}
        tables[name] = {
            column: np.array([float({"True": 1, "False": 0}.get(rows[gene][column], rows[gene][column]))
                              for gene in data.genes])
            for column in next(iter(rows.values())) if column.startswith(("proba", "bayes", "scale", "lfc", "is_de"))}
    return tables


def reference_tables(arguments, case, seed, path, data):
    import numpy as np

    answers = os.path.join(arguments.work, "reference_%s_%d.npz" % (case, seed))
    if not os.path.exists(answers):
        subprocess.run([sys.executable, os.path.join(HERE, "reference_de.py"), "--scvi", arguments.scvi, path, answers,
                        "--labels-key", "cell_type", "--pairs", ":".join(data.groups), "--delta",
                        str(arguments.delta), "--seed", str(seed), "--threads", str(arguments.threads)] + TRAINING +
                       batch_options(case), check=True)
    tables = {}
    with np.load(answers) as file:
        assert list(file["genes"]) == data.genes
        for name in file.files:
            if "/" in name:
                _, mode, column = name.split("/")
                tables.setdefault("scVI 0.6.3, " + mode, {})[column] = file[name]
    return tables


def average_precision(truth, score):
    """Area under the precision-recall curve by steps, equal scores taken together."""
    import numpy as np

    order = np.argsort(-score, kind="stable")
    ends = np.append(np.where(np.diff(score[order]))[0], len(score) - 1)
    found = np.cumsum(truth[order])[ends]
    precision = found / (ends + 1)
    return float(np.sum(precision * np.diff(np.append(0, found))) / max(truth.sum(), 1))


def called_by_expected_fdr(proba, target):
    """As call_by_expected_fdr() of this program."""
    import numpy as np

    order = np.argsort(-proba, kind="stable")
    ends = np.append(np.where(np.diff(proba[order]))[0], len(proba) - 1)
    expected = np.cumsum(1 - proba[order])[ends] / (ends + 1)
    fine = ends[expected <= target]
    return proba >= proba[order][fine[-1]] if len(fine) else np.zeros(len(proba), bool)


def judge_table(table, data, delta):
    import numpy as np

    truth = abs(data.lfc) > delta
    if "lfc_median" not in table:
        change = np.log2(table["scale1"] / table["scale2"])
        result = {"ap": average_precision(truth, abs(table["bayes_factor"]))}
        calls = {}
    else:
        change = table["lfc_median"]
        result = {"ap": average_precision(truth, table["proba_de"])}
        result["ranges"] = by_range(table["proba_de"], truth)
        calls = {target: table["is_de_fdr_%g" % target] > 0 if "is_de_fdr_%g" % target in table
                 else called_by_expected_fdr(table["proba_de"], target) for target in TARGETS}
    return dict(result, **judge_change(change, data), **judge_calls(calls, data, truth))


def by_range(proba, truth):
    """[genes, true ones] for each range of probabilities, the upper end included."""
    return [[int(inside.sum()), int((inside & truth).sum())] for inside in (
        (proba > low if low else proba >= 0) & (proba <= high) for low, high in zip(RANGES, RANGES[1:]))]


def judge_change(change, data):
    import numpy as np

    finite = np.isfinite(change)
    if not data.drawn.any():
        return {}
    slope = np.polyfit(data.lfc[finite], change[finite], 1)[0]
    return {"r": float(np.corrcoef(data.lfc[finite], change[finite])[0, 1]), "slope": float(slope)}


def judge_calls(calls, data, truth):
    result = {}
    for target, called in calls.items():
        n = int(called.sum())
        result["%g" % target] = {"called": n, "false": float((called & ~truth).sum() / max(n, 1)),
                                 "no_change": float((called & (data.drawn == 0)).sum() / max(n, 1)),
                                 "found": float((called & truth).sum() / max(truth.sum(), 1))}
    return result


def judge_wilcoxon(data, delta):
    import numpy as np
    from scipy.stats import mannwhitneyu

    normalised = [np.log1p(1e4 * counts / np.maximum(counts.sum(1, keepdims=True), 1)) for counts in data.counts]
    p = np.array([mannwhitneyu(first, second, alternative="two-sided").pvalue if first.any() or second.any() else 1.0
                  for first, second in zip(normalised[0].T, normalised[1].T)])
    means = [(counts / np.maximum(counts.sum(1, keepdims=True), 1)).mean(0) for counts in data.counts]
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    truth = abs(data.lfc) > delta
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.log2(means[0]) - np.log2(means[1])
    return dict({"ap": average_precision(truth, -p)}, **judge_change(change, data),
                **judge_calls({target: adjusted <= target for target in TARGETS}, data, truth))


def run(arguments, case):
    results = {}
    for seed in range(arguments.seeds):
        path = simulate(arguments, case, seed)
        data = Data(path)
        tables = our_tables(arguments, case, seed, path, data)
        if arguments.scvi and seed < arguments.reference_seeds:
            tables.update(reference_tables(arguments, case, seed, path, data))
        for name, table in tables.items():
            results.setdefault(name, []).append(judge_table(table, data, arguments.delta))
            if "proba_de" in table:
                truth = abs(data.lfc) > arguments.delta
                calls = {target: table["proba_de"] >= 1 - target for target in TARGETS}
                results.setdefault(name + ", each", []).append(judge_calls(calls, data, truth))
        results.setdefault("Wilcoxon", []).append(judge_wilcoxon(data, arguments.delta))
        print("# %s seed %d: %d of %d genes change by more than %g" % (
            case, seed, (abs(data.lfc) > arguments.delta).sum(), len(data.genes), arguments.delta), flush=True)
    report(case, results)
    return results


def mean_of(values, form):
    values = [value for value in values if value is not None]
    return form % (sum(values) / len(values)) if values else "-"


def report(case, results):
    print("\n| %s | seeds | area | r, slope | " % case + " | ".join(
        "stated %g: called; false; false (no change); found" % target for target in TARGETS) + " |")
    print("|---|---|---|---|" + "---|" * len(TARGETS))
    for name, runs in results.items():
        changes = ", ".join(mean_of([run.get(key) for run in runs], "%.2f") for key in ("r", "slope"))
        cells = ["%d" % len(runs), mean_of([run.get("ap") for run in runs], "%.3f"), changes.replace("-, -", "-")]
        for target in TARGETS:
            at = [run["%g" % target] for run in runs if "%g" % target in run]
            cells.append("; ".join(mean_of([judged[key] for judged in at], form) for key, form in (
                ("called", "%.0f"), ("false", "%.3f"), ("no_change", "%.3f"), ("found", "%.3f"))) if at else "")
        print("| %s | %s |" % (name, " | ".join(cells)))
    print("\n| %s: genes; part true | " % case + " | ".join(
        "%g to %g" % ends for ends in zip(RANGES, RANGES[1:])) + " |\n|---|" + "---|" * (len(RANGES) - 1))
    for name, runs in results.items():
        if "ranges" in runs[0]:
            sums = [(sum(pair[0] for pair in at), sum(pair[1] for pair in at))
                    for at in zip(*[run["ranges"] for run in runs])]
            print("| %s | %s |" % (name, " | ".join("%d; %.2f" % (n, true / n) if n else "0" for n, true in sums)))
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scvi", help="folder with the package scvi of version 0.6.3")
    parser.add_argument("--reference-seeds", type=int, default=2, help="seeds that the reference is trained for")
    parser.add_argument("--trainings", type=int, default=1, help="trainings of ours to take the mean of, too")
    parser.add_argument("--delta", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", help="keep data, runs and the reference's answers in this folder")
    parser.add_argument("--json", help="file to write all numbers to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        arguments.work = arguments.work or temporary
        os.makedirs(arguments.work, exist_ok=True)
        results = {case: run(arguments, case) for case in arguments.cases or CASES}
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
