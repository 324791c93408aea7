#!/usr/bin/env python3
"""Lets scVI 0.6.3 and this program train the same models on the same counts, turn by turn, and compares their steps.

    ./dev build -DSCVI_BUILD_BENCH=ON
    python bench/paired_steps.py --scvi FOLDER [--models ldvae,autozi,vaec,scanvi] [--threads 1,2] [--rounds 3] ...

Run it with a Python that has the reference's dependencies (see bench/reference_steps.py). FOLDER holds its
package `scvi` as released; models, data set and trainers are used as they are, with PyTorch `tuned` and dense counts, the
fastest settings there. Counts are those of bench_roads, in two batches; labels are four, 50 cells of each labelled.
The reference's trainer shows its model the labels of all cells. For the rows `labels hidden` it is given none with the
cells of the first loss, which it can compute: each cell with each label in turn. Ours does that for cells without a label.

A step is one turn of the training loop: minibatch made, loss, gradients, Adam. Each turn is a process of its own that
trains a few epochs of 1,280 cells in minibatches of 128; medians of wall time over its epochs but the first, in ms.
Shown are medians over the rounds, and that of the ratios of the rounds.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import warnings

import reference_steps

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.join(HERE, "../build/release/bin")
N_LABELS = 4
REFERENCES = {"vae": "VAE", "ldvae": "LDVAE", "autozi": "AutoZIVAE", "vaec": "VAEC", "scanvi": "SCANVI"}
WITH_LABELS = {"vaec", "scanvi"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scvi", required=True, help="folder with the package scvi of version 0.6.3")
    parser.add_argument("--models", default="ldvae,autozi,vaec,scanvi", help="of " + ", ".join(REFERENCES))
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5, help="of a turn, the first of which is not counted")
    parser.add_argument("--bin", default=BIN, help="folder with our scvi and bench_family")
    parser.add_argument("--run", nargs=3, metavar=("MODEL", "H5AD", "THREADS"), help=argparse.SUPPRESS)
    parser.add_argument("--hidden", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_counts(arguments, path):
    """Counts of bench_roads, with a label for every cell."""
    import h5py
    import numpy as np

    subprocess.run([os.path.join(arguments.bin, "scvi"), "simulate", path, "--kind", "large", "--cells", "1280",
                    "--genes", str(arguments.genes), "--density", str(arguments.density), "--seed", "1",
                    "--verbosity", "warning"], check=True)
    with h5py.File(path, "r+") as file:
        obs = file["obs"]
        labels = np.array(["type %d" % (cell % N_LABELS) for cell in range(1280)], dtype=object)
        obs["label"] = labels
        obs["label"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
        obs.attrs["column-order"] = np.append(obs.attrs["column-order"], "label").astype(object)


def hiding_labels(trainer):
    """The class of a trainer whose first loss sees no labels."""
    class Hiding(trainer):
        def loss(self, tensors_all, tensors_labelled):
            return super().loss(tensors_all[:-1] + [None], tensors_labelled)

    return Hiding


def measure(arguments):
    """A turn of the reference, as JSON on the last line."""
    model_name, path, threads = arguments.run
    sys.path.insert(0, os.path.abspath(arguments.scvi))
    warnings.simplefilter("ignore")
    import logging

    import numpy as np
    import scvi
    import torch
    from scvi import inference, models
    from scvi.dataset import GeneExpressionDataset

    if scvi.__version__ != "0.6.3":
        sys.exit("%s holds scVI %s, expected 0.6.3" % (arguments.scvi, scvi.__version__))
    scvi.set_verbosity(logging.ERROR)
    scvi.set_seed(0)
    torch.set_num_threads(int(threads))
    counts = reference_steps.read_counts(path, sparse=False)
    dataset = GeneExpressionDataset()
    dataset.populate_from_data(counts.X, batch_indices=counts.batch_indices,
                               labels=np.arange(counts.nb_cells) % N_LABELS)
    kind = getattr(models, REFERENCES[model_name])
    options = {"use_cuda": False, "show_progbar": False, "batch_size": reference_steps.MINIBATCH}
    if model_name in WITH_LABELS:
        model = kind(dataset.nb_genes, n_batch=dataset.n_batches, n_labels=N_LABELS)
        trainer = inference.JointSemiSupervisedTrainer
        if arguments.hidden:
            trainer = hiding_labels(trainer)
        trainer = trainer(model, dataset, n_labelled_samples_per_class=50, **options)
    else:
        model = kind(dataset.nb_genes, n_batch=dataset.n_batches)
        trainer = inference.UnsupervisedTrainer(model, dataset, train_size=1.0, **options)
    stopwatch = reference_steps.Stopwatch(trainer)
    trainer.train(n_epochs=arguments.epochs)
    print(json.dumps({"step": reference_steps.medians(stopwatch.steps)}))


def turn(command, environment):
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["step"][0]


def compare(arguments, model, path, threads, hidden):
    """The row of a model, with all labels shown or those of unlabelled cells hidden."""
    theirs, ours = [], []
    reference = [sys.executable, os.path.abspath(__file__), "--scvi", arguments.scvi, "--epochs", str(arguments.epochs),
                 "--run", model, path, threads] + (["--hidden"] if hidden else [])
    command = [os.path.join(arguments.bin, "bench_family"), model, path, threads, str(arguments.epochs)]
    command += ["hidden"] if hidden else []
    for _ in range(arguments.rounds):
        theirs.append(turn(reference, reference_steps.environment(threads, "tuned")))
        ours.append(turn(command, dict(os.environ, OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS="1")))
    print("| %s | %s | %.1f | %.2f | %.1fx |" % (
        model + (", labels hidden" if hidden else ""), threads, statistics.median(theirs), statistics.median(ours),
        statistics.median(a / b for a, b in zip(theirs, ours))), flush=True)


def main():
    arguments = parse_arguments()
    if arguments.run:
        return measure(arguments)
    print("%d genes, density %.0f %%; load %s\n" % (arguments.genes, 100 * arguments.density,
                                                   " ".join("%.1f" % load for load in os.getloadavg())))
    print("| model | threads | scVI 0.6.3, ms | scvi-cpp, ms | ratio |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "counts.h5ad")
        make_counts(arguments, path)
        for model in arguments.models.split(","):
            for threads in arguments.threads.split(","):
                for hidden in [False, True] if model in WITH_LABELS else [False]:
                    compare(arguments, model, path, threads, hidden)


if __name__ == "__main__":
    main()
