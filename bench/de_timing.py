#!/usr/bin/env python3
"""Times differential expression, every group against all others in change mode: this program and scVI 0.6.3.

    python bench/de_timing.py [--cells 25000,50000,100000] [--scvi FOLDER] [--repeats 3] [--threads 1]

Counts are synthetic (`scvi simulate --kind large`: ten groups, two batches), the model is trained for one epoch, which
changes no time. Ours is the whole command, reading and the table of every group included: processor and wall time,
medians over repeats, and peak memory, with counts in memory and with --memory; `without samples` is the same with two
samples for each group and batch, so what starting, reading and the statistics of the counts take. Of the reference,
whose package --scvi names, it is the call of one_vs_all_degenes() alone, for the numbers of groups in
--reference-groups (each against all other cells) at --reference-cells; a line through them gives its cost of ten. What
it needs to start and read is told apart. Everything runs in turns, so that a machine that is busy with other things
disturbs both.
Needs Python with numpy; with --scvi also what the reference needs. SCVI_BIN as in bench/fidelity.py.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SCVI = os.path.join(os.environ.get("SCVI_BIN", os.path.join(HERE, "../build/release/bin")), "scvi")
QUIET = ["--verbosity", "error", "--no-progress", "--force"]
N_GROUPS = 10


def simulate(arguments, n_cells):
    path = os.path.join(arguments.work, "cells_%d.h5ad" % n_cells)
    if not os.path.exists(path):
        subprocess.run([SCVI, "simulate", path, "--kind", "large", "--cells", str(n_cells), "--genes",
                        str(arguments.genes), "--density", "0.1", "--seed", "1", "--verbosity", "error"], check=True)
    return path


def measured(command):
    """Wall and processor seconds and peak MB of a command."""
    begin = time.perf_counter()
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit("failed: " + " ".join(command))
    return {"wall": time.perf_counter() - begin, "cpu": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss * 1024 / 1e6}


def measure_ours(arguments, run, n_cells, options):
    return measured([SCVI, "de", run, simulate(arguments, n_cells), "-o", os.path.join(arguments.work, "de.tsv"),
                     "--groupby", "cell_type", "--one-vs-all", "--mode", "change", "--threads",
                     str(arguments.threads)] + QUIET + options)


def measure_reference(arguments, n_cells):
    import numpy as np

    answer = os.path.join(arguments.work, "reference.npz")
    command = [sys.executable, os.path.join(HERE, "reference_de.py"), "--scvi", arguments.scvi,
               simulate(arguments, n_cells), answer, "--labels-key", "cell_type", "--batch-key", "batch", "--epochs",
               "1", "--one-vs-all", "--n-groups", arguments.reference_groups, "--threads", str(arguments.threads)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)  # its progress bars
    if done.returncode != 0:
        sys.exit("failed: %s\n%s" % (" ".join(command), done.stderr))
    with np.load(answer) as file:
        slope, start = np.polyfit(file["n_groups"], file["cpu"], 1)
        print("# reference, %d cells: %s groups took %s s of processor, %s s of wall, peak %.0f MB" % (
            n_cells, file["n_groups"], file["cpu"].round(2), file["wall"].round(2), file["peak_mb"]), flush=True)
        return {"cpu": N_GROUPS * slope + start, "group": slope, "load": float(file["load_cpu"]),
                "peak_mb": float(file["peak_mb"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="25000,50000,100000")
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--memory", default="600M", help="for the runs with counts on disk")
    parser.add_argument("--scvi", help="folder with the package scvi of version 0.6.3")
    parser.add_argument("--reference-cells", default="10000,50000")
    parser.add_argument("--reference-groups", default="1,2,4")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", help="keep data and model in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        arguments.work = arguments.work or temporary
        os.makedirs(arguments.work, exist_ok=True)
        measure(arguments)


def measure(arguments):
    cells = [int(n) for n in arguments.cells.split(",")]
    reference_cells = [int(n) for n in arguments.reference_cells.split(",")] if arguments.scvi else []
    run = os.path.join(arguments.work, "run")
    subprocess.run([SCVI, "train", simulate(arguments, cells[0]), "--output", run, "--batch-key", "batch", "--epochs",
                    "1", "--train-size", "0.9"] + QUIET, check=True)
    ways = {"counts in memory": [], "without samples": ["--n-samples", "4"],
            "--memory " + arguments.memory: ["--memory", arguments.memory]}
    ours, reference = {}, {}
    for _ in range(arguments.repeats):
        for n_cells in cells:
            for way, options in ways.items():
                ours.setdefault((n_cells, way), []).append(measure_ours(arguments, run, n_cells, options))
        for n_cells in reference_cells:
            reference.setdefault(n_cells, []).append(measure_reference(arguments, n_cells))
    print("\n| %d groups, %d genes, --threads %d; load %.1f | cpu, s | wall, s | peak memory, MB |\n|---|---|---|---|" % (
        N_GROUPS, arguments.genes, arguments.threads, os.getloadavg()[0]))
    for (n_cells, way), runs in ours.items():
        print("| ours, %d cells, %s | %.2f | %.2f | %.0f |" % (
            n_cells, way, *[statistics.median(run[key] for run in runs) for key in ("cpu", "wall", "peak_mb")]))
    for n_cells, runs in reference.items():
        numbers = [statistics.median(run[key] for run in runs) for key in ("cpu", "group", "load", "peak_mb")]
        print("| scVI 0.6.3, %d cells, %d groups by the line | %.1f (%.2f a group); start and reading %.1f | | %.0f |" %
              (n_cells, N_GROUPS, *numbers))


if __name__ == "__main__":
    main()
