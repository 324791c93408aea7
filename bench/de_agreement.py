#!/usr/bin/env python3
"""Compares rankings of genes between cell lines with known identity (mixology): this program and scVI 0.6.3.

    python bench/de_agreement.py [--scvi FOLDER] [--seeds 5] [--work FOLDER]

Every seed is a training of its own, with the settings of the baseline vae_mixology.json. The reference is trained and
asked where --scvi names its package (see bench/reference_de.py); its answers stay in FOLDER of --work as
reference_SEED.npz and are not computed again. Needs Python with numpy and scipy. Folders as in bench/fidelity.py.

Two runs are compared by the Spearman correlation over all genes of both, and by the part of their K first genes that
they share. First are the largest |Bayes factor| (vanilla) and probability (change); where these are equal, as for all
genes on which all samples agree, the larger change of the mean scales or the larger median change goes before.
"""
import argparse
import csv
import itertools
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DATA = os.environ.get("SCVI_TEST_DATA", os.path.join(ROOT, "../shared/data")) + "/mixology/mixology_3cl.h5ad"
SCVI = os.path.join(os.environ.get("SCVI_BIN", os.path.join(ROOT, "build/release/bin")), "scvi")
PAIRS = [("H1975", "H2228"), ("H1975", "HCC827"), ("H2228", "HCC827")]
TRAINING = ["--batch-key", "batch", "--labels-key", "cell_line", "--split-key", "split", "--n-top-genes", "2000",
            "--epochs", "200", "--kl-warmup-epochs", "100"]
OPTIONS = {"vanilla": [], "change": ["--test", "two-sided", "--pseudocount", "0", "--delta", "0.5"]}


def reference_answers(arguments, seed):
    """genes, and {(pair, mode): {column: values}}"""
    import numpy as np

    path = os.path.join(arguments.work, "reference_%d.npz" % seed)
    if not os.path.exists(path):
        if not arguments.scvi:
            sys.exit("%s is not there: name the reference's package by --scvi" % path)
        subprocess.run([sys.executable, os.path.join(HERE, "reference_de.py"), "--scvi", arguments.scvi, DATA, path,
                        "--seed", str(seed), "--threads", str(arguments.threads),
                        "--pairs", ",".join(":".join(pair) for pair in PAIRS)] + TRAINING, check=True)
    answers = {}
    with np.load(path) as file:
        for name in file.files:
            if "/" not in name:
                continue
            number, mode, column = name.split("/")
            answers.setdefault((int(number), mode), {})[column] = file[name]
        return list(file["genes"]), answers


def our_answers(arguments, seed):
    import numpy as np

    run = os.path.join(arguments.work, "run_%d" % seed)
    common = ["--threads", str(arguments.threads), "--no-progress", "--verbosity", "warning", "--force"]
    subprocess.run([SCVI, "train", DATA, "--output", run, "--seed", str(seed)] + TRAINING + common, check=True)
    answers, genes = {}, None
    for (number, pair), mode in itertools.product(enumerate(PAIRS), OPTIONS):
        table = os.path.join(arguments.work, "table.tsv")
        subprocess.run([SCVI, "de", run, DATA, "-o", table, "--groupby", "cell_line", "--group1", pair[0], "--group2",
                        pair[1], "--mode", mode, "--seed", str(seed)] + OPTIONS[mode] + common, check=True)
        with open(table) as file:
            rows = sorted(csv.DictReader(file, delimiter="\t"), key=lambda row: row["gene"])
        genes = [row["gene"] for row in rows]
        columns = [name for name in rows[0] if name.startswith(("proba", "bayes", "scale", "lfc"))]
        answers[number, mode] = {name: np.array([float(row[name]) for row in rows]) for name in columns}
    return genes, answers


class Run:
    """The answers of one training, for the genes that all runs have."""

    def __init__(self, genes, answers):
        self.genes, self.answers = genes, answers

    def restrict(self, genes):
        import numpy as np

        at = {gene: i for i, gene in enumerate(self.genes)}
        keep = np.array([at[gene] for gene in genes])
        self.answers = {key: {name: values[keep] for name, values in columns.items()}
                        for key, columns in self.answers.items()}

    def values(self, pair, measure):
        """What correlations are computed of, and what genes are ranked by: (first key, second key)."""
        import numpy as np

        if measure == "Bayes factor (vanilla)":
            columns = self.answers[pair, "vanilla"]
            return columns["bayes_factor"], (abs(columns["bayes_factor"]),
                                             abs(np.log2(columns["scale1"] / columns["scale2"])))
        columns = self.answers[pair, "change"]
        if measure == "probability (change)":
            return columns["proba_de"], (columns["proba_de"], abs(columns["lfc_median"]))
        return columns["lfc_median"], (abs(columns["lfc_median"]), columns["proba_de"])


MEASURES = ["Bayes factor (vanilla)", "probability (change)", "median change"]


def agreement(first, second, pair, measure, sizes):
    """Spearman correlation, and the shared part of the first genes for each size."""
    import numpy as np
    from scipy.stats import spearmanr

    (x, keys_x), (y, keys_y) = first.values(pair, measure), second.values(pair, measure)
    scores = [spearmanr(x, y)[0]]
    for size in sizes:
        top = [set(np.lexsort((keys[1], keys[0]))[-size:]) for keys in (keys_x, keys_y)]
        scores.append(len(top[0] & top[1]) / size)
    return scores


def report(reference, ours, sizes):
    heading = ["Spearman"] + ["first %d shared" % size for size in sizes]
    print("| pair | measure | quantity | reference with itself | ours with itself | ours with the reference "
          "| a run against the reference's runs: ours minus another of its own | two standard errors | |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (number, pair), measure in itertools.product(enumerate(PAIRS), MEASURES):
        def all_scores(pairs):
            return [agreement(a, b, number, measure, sizes) for a, b in pairs]

        within_reference = {pair: scores for pair, scores in zip(
            itertools.combinations(range(len(reference)), 2), all_scores(itertools.combinations(reference, 2)))}
        within_ours = all_scores(itertools.combinations(ours, 2))
        between = [all_scores((run, other) for other in reference) for run in ours]
        for at, quantity in enumerate(heading):
            theirs = [statistics.mean(scores[at] for who, scores in within_reference.items() if seed in who)
                      for seed in range(len(reference))]
            of_ours = [statistics.mean(scores[at] for scores in row) for row in between]
            error = 2 * (statistics.variance(theirs) / len(theirs) + statistics.variance(of_ours) / len(of_ours)) ** 0.5
            difference = statistics.mean(of_ours) - statistics.mean(theirs)
            verdict = "worse" if difference < -error else "better" if difference > error else "equal"
            cells = [summary([scores[at] for scores in group]) for group in (
                within_reference.values(), within_ours, [scores for row in between for scores in row])]
            print("| %s, %s | %s | %s | %s | %s | %s | %+.3f | %.3f | %s |" % (
                *pair, measure, quantity, *cells, difference, error, verdict))


def summary(values):
    return "%.3f (%.3f to %.3f)" % (statistics.mean(values), min(values), max(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scvi", help="folder with the package scvi of version 0.6.3")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", default="100,500", help="numbers of first genes to compare")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", help="keep the runs and the reference's answers in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        arguments.work = arguments.work or temporary
        os.makedirs(arguments.work, exist_ok=True)
        reference = [Run(*reference_answers(arguments, seed)) for seed in range(arguments.seeds)]
        ours = [Run(*our_answers(arguments, seed)) for seed in range(arguments.seeds)]
    shared = sorted(set.intersection(*[set(run.genes) for run in reference + ours]))
    print("# %d genes, of %d of the reference and %d of ours" % (
        len(shared), len(reference[0].genes), len(ours[0].genes)))
    for run in reference + ours:
        run.restrict(shared)
    saturated = [sum(abs(run.answers[0, "vanilla"]["bayes_factor"]) > 18.4) for run in (reference[0], ours[0])]
    print("# genes on which all samples agree (vanilla, first pair, seed 0): reference %d, ours %d" % tuple(saturated))
    report(reference, ours, [int(size) for size in arguments.first.split(",")])


if __name__ == "__main__":
    main()
