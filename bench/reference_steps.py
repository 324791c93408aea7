#!/usr/bin/env python3
"""Times the training steps and the latent space of scVI 0.6.3 on the counts of bench_roads.

    python bench/reference_steps.py --scvi FOLDER [--genes 558 --density 0.27] [--threads 1,2] [--epochs 10] ...

Run it with a Python that has the reference's dependencies (PyTorch 1.13.1 and what scVI 0.6.3 imports). FOLDER holds
the reference's package `scvi` as released; its model, data set, trainer and training loop are used as they are.

Each row is a process of its own. `ready-made` is PyTorch as it comes; `tuned` lets MKL take its AVX2 code on AMD
processors, ATen its AVX-512 code where there is one, and malloc keep freed pages, all through environment variables.
`dense` and `sparse` say how the data set holds its counts (numpy array or CSR; the steps are dense with both).

A step is one turn of Trainer.train's loop: minibatch made, loss, gradients, Adam. Wall and processor time, in ms,
medians over all epochs but the first. `arithmetic` leaves the making of the minibatch out. `latent` is one
get_latent() of all cells. Peak memory is that of the process, libraries included.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = [(558, 0.27), (720, 0.11), (2000, 0.10), (3346, 0.08), (4000, 0.21)]  # as in bench_roads
MINIBATCH = 128
ROW = "%5d genes %3.0f %%  %d thread%s  %-10s  %-6s  %8.2f  %8.2f  %10.2f  %8.1f  %8.1f  %7.0f"
HEADING = "%-32s  %-10s  %-6s  %8s  %8s  %10s  %8s  %8s  %7s" % (
    "", "settings", "counts", "step", "cpu", "arithmetic", "latent", "cpu", "peak MB")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scvi", required=True, help="folder with the package scvi of version 0.6.3")
    parser.add_argument("--genes", type=int, help="one shape instead of the five of bench_roads; needs --density")
    parser.add_argument("--density", type=float)
    parser.add_argument("--cells", type=int, default=1280)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--settings", default="ready-made,tuned")
    parser.add_argument("--counts", default="dense,sparse")
    parser.add_argument("--epochs", type=int, default=10, help="of training, the first of which is not counted")
    parser.add_argument("--simulate", default=os.path.join(HERE, "../build/release/bin/scvi"),
                        help="our program scvi, which makes the counts")
    parser.add_argument("--json", help="file to write all numbers to")
    parser.add_argument("--run", nargs=3, metavar=("H5AD", "THREADS", "COUNTS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if (arguments.genes is None) != (arguments.density is None):
        parser.error("--genes and --density go together")
    if arguments.epochs < 2:
        parser.error("--epochs must be at least 2")
    return arguments


def processor(field):
    """The words of a line of /proc/cpuinfo, of the first core."""
    with open("/proc/cpuinfo") as file:
        return next((set(line.split()) for line in file if line.startswith(field)), set())


def has_avx512():
    flags = processor("flags")
    return {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags


def environment(threads, settings):
    """Of a process that measures: read by MKL, OpenMP, ATen and malloc when they are loaded."""
    variables = dict(os.environ, OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads, OPENBLAS_NUM_THREADS="1")
    for name in ("MKL_DEBUG_CPU_TYPE", "ATEN_CPU_CAPABILITY", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"):
        variables.pop(name, None)
    if settings == "tuned":
        variables.update(MALLOC_TRIM_THRESHOLD_="1073741824", MALLOC_MMAP_THRESHOLD_="1073741824")
        if "AuthenticAMD" in processor("vendor_id"):
            variables["MKL_DEBUG_CPU_TYPE"] = "5"
        if has_avx512():
            variables["ATEN_CPU_CAPABILITY"] = "avx512"
    return variables


def read_counts(path, sparse):
    """The data set of the reference, from a file of ours."""
    import h5py
    import numpy as np
    from scipy.sparse import csr_matrix
    from scvi.dataset import GeneExpressionDataset

    with h5py.File(path, "r") as file:
        x = file["X"]
        shape = tuple(int(n) for n in x.attrs["shape"])
        counts = csr_matrix((x["data"][()].astype(np.float32), x["indices"][()], x["indptr"][()]), shape=shape)
        batches = file["obs/batch/codes"][()].astype(np.int64)
    dataset = GeneExpressionDataset()
    dataset.populate_from_data(counts if sparse else counts.toarray(), batch_indices=batches)
    return dataset


class Stopwatch:
    """Stands in the trainer's own hooks and notes when each minibatch came and when its step was done."""

    def __init__(self, trainer):
        self.steps, self.arithmetic = [], []  # (wall, processor) seconds
        self.trainer = trainer
        self.n_epochs = 0
        self.epoch_begin, self.checked = trainer.on_epoch_begin, trainer.on_iteration_end
        trainer.on_epoch_begin = self.begin_epoch
        trainer.on_iteration_begin = self.begin_step
        trainer.on_iteration_end = self.end_step

    @staticmethod
    def now():
        return time.perf_counter(), time.process_time()

    @staticmethod
    def since(start):
        return tuple(end - begin for begin, end in zip(start, Stopwatch.now()))

    def begin_epoch(self):
        self.epoch_begin()
        self.n_epochs += 1
        self.last = self.now()

    def begin_step(self):
        self.loaded = self.now()

    def end_step(self):
        self.checked()
        if self.n_epochs > 1:
            self.steps.append(self.since(self.last))
            self.arithmetic.append(self.since(self.loaded))
        self.last = self.now()


def medians(times):
    """Wall and processor time in ms."""
    return [1e3 * statistics.median(column) for column in zip(*times)]


def measure(arguments):
    """One row, as JSON on the last line."""
    path, threads, counts = arguments.run
    sys.path.insert(0, os.path.abspath(arguments.scvi))
    warnings.simplefilter("ignore")
    import logging

    import torch
    import scvi
    from scvi.inference import UnsupervisedTrainer
    from scvi.models import VAE

    if scvi.__version__ != "0.6.3":
        sys.exit("%s holds scVI %s, expected 0.6.3" % (arguments.scvi, scvi.__version__))
    scvi.set_verbosity(logging.ERROR)
    scvi.set_seed(0)
    torch.set_num_threads(int(threads))
    dataset = read_counts(path, counts == "sparse")
    model = VAE(dataset.nb_genes, n_batch=dataset.n_batches)
    trainer = UnsupervisedTrainer(model, dataset, train_size=1.0, batch_size=MINIBATCH, use_cuda=False,
                                  show_progbar=False)
    stopwatch = Stopwatch(trainer)
    start = time.perf_counter()
    trainer.train(n_epochs=arguments.epochs)
    seconds = time.perf_counter() - start
    posterior = trainer.create_posterior(model, dataset)
    latent = []
    for _ in range(5):
        begin = Stopwatch.now()
        posterior.get_latent()
        latent.append(Stopwatch.since(begin))
    print(json.dumps({
        "torch": torch.__version__, "step": medians(stopwatch.steps), "arithmetic": medians(stopwatch.arithmetic),
        "steps": len(stopwatch.steps), "cells_per_second": dataset.nb_cells * arguments.epochs / seconds,
        "latent": medians(latent[1:]), "loss": trainer.current_loss.item(),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}))


def run_row(arguments, path, threads, settings, counts):
    command = [sys.executable, os.path.abspath(__file__), "--scvi", arguments.scvi, "--epochs", str(arguments.epochs),
               "--run", path, threads, counts]
    done = subprocess.run(command, env=environment(threads, settings), stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(arguments, genes, density, folder):
    """All rows of one shape, then the fastest of them for each number of threads."""
    path = os.path.join(folder, "counts_%d.h5ad" % genes)
    subprocess.run([arguments.simulate, "simulate", path, "--kind", "large", "--cells", str(arguments.cells),
                    "--genes", str(genes), "--density", str(density), "--seed", "1", "--verbosity", "warning"],
                   check=True)
    rows = []
    for threads in arguments.threads.split(","):
        for settings in arguments.settings.split(","):
            for counts in arguments.counts.split(","):
                row = run_row(arguments, path, threads, settings, counts)
                row.update(genes=genes, density=density, threads=int(threads), settings=settings, counts=counts)
                rows.append(row)
                show(row)
    for threads in arguments.threads.split(","):
        show(min((row for row in rows if row["threads"] == int(threads)), key=lambda row: row["step"][0]), "best")
    os.remove(path)
    return rows


def show(row, remark=""):
    print(ROW % (row["genes"], 100 * row["density"], row["threads"], " " if row["threads"] == 1 else "s",
                 row["settings"], row["counts"], row["step"][0], row["step"][1], row["arithmetic"][0],
                 row["latent"][0], row["latent"][1], row["peak_mb"]), remark, flush=True)


def main():
    arguments = parse_arguments()
    if arguments.run:
        return measure(arguments)
    shapes = SHAPES if arguments.genes is None else [(arguments.genes, arguments.density)]
    print("scVI 0.6.3, %d cells, minibatches of %d; load %s" % (
        arguments.cells, MINIBATCH, " ".join("%.1f" % load for load in os.getloadavg())))
    print(HEADING)
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for genes, density in shapes for row in compare(arguments, genes, density, folder)]
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
