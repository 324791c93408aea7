#!/usr/bin/env python3
"""Trains scVI 0.6.3 itself on an .h5ad file and saves its answers about differential expression.

    python bench/reference_de.py --scvi FOLDER DATA.h5ad OUT.npz --labels-key KEY --pairs A:B,A:C [--seed 0] ...
    python bench/reference_de.py --scvi FOLDER DATA.h5ad OUT.npz --labels-key KEY --one-vs-all --epochs 1 ...

Run it with a Python that has the reference's dependencies; FOLDER holds its package `scvi` as released (see
bench/reference_steps.py). Model, training and statistics are its own, with its defaults but for the options here.

--pairs compares groups of cells in both modes: OUT.npz holds `genes` and, for the pair I, `I/vanilla/COLUMN` and
`I/change/COLUMN`, genes in the order of the model. --one-vs-all times one_vs_all_degenes() in change mode: `cpu` and
`wall` in seconds for each number of groups in --n-groups, `load_cpu` for the start and the reading before the training,
and `peak_mb` of the process.
"""
import argparse
import logging
import os
import resource
import sys
import time
import warnings

COLUMNS = {"vanilla": ["proba_m1", "bayes_factor", "scale1", "scale2"],
           "change": ["proba_de", "bayes_factor", "scale1", "scale2", "lfc_mean", "lfc_median", "lfc_std"]}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("output")
    parser.add_argument("--scvi", required=True, help="folder with the package scvi of version 0.6.3")
    parser.add_argument("--labels-key", required=True, help="obs column with the groups")
    parser.add_argument("--batch-key", help="obs column with the batches; none: no correction")
    parser.add_argument("--split-key", help="obs column that says train or test; none: a random tenth is left out")
    parser.add_argument("--n-top-genes", type=int, default=0, help="keep those of largest variance; 0: all")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--kl-warmup-epochs", type=int, default=100)
    parser.add_argument("--pairs", default="", help="GROUP1:GROUP2, several with commas; GROUP2 may be rest")
    parser.add_argument("--delta", type=float, default=0.5)
    parser.add_argument("--n-samples", type=int, default=5000)
    parser.add_argument("--one-vs-all", action="store_true")
    parser.add_argument("--n-groups", default="1,2", help="with --one-vs-all: numbers of groups to time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def load(arguments):
    """The data set of the reference, made from arrays: its own reader does not know the files of today."""
    import anndata
    import numpy as np
    from scipy.sparse import csr_matrix
    from scvi.dataset import GeneExpressionDataset

    data = anndata.read_h5ad(arguments.data)
    labels = data.obs[arguments.labels_key].astype("category").cat
    batches = data.obs[arguments.batch_key].astype("category").cat.codes if arguments.batch_key else None
    dataset = GeneExpressionDataset()
    dataset.populate_from_data(
        csr_matrix(data.X, dtype=np.float32), batch_indices=None if batches is None else np.asarray(batches),
        labels=np.asarray(labels.codes), cell_types=[str(name) for name in labels.categories],
        gene_names=np.asarray(data.var_names, dtype=str))
    if arguments.n_top_genes:
        dataset.subsample_genes(arguments.n_top_genes, mode="variance")
    split = np.asarray(data.obs[arguments.split_key]) if arguments.split_key else None
    return dataset, split


def train(arguments, dataset, split):
    import numpy as np
    from scvi.inference import UnsupervisedTrainer
    from scvi.models import VAE

    model = VAE(dataset.nb_genes, n_batch=dataset.n_batches if arguments.batch_key else 0)
    trainer = UnsupervisedTrainer(model, dataset, train_size=0.9, n_epochs_kl_warmup=arguments.kl_warmup_epochs,
                                  seed=arguments.seed, use_cuda=False, show_progbar=False)
    if split is not None:
        for name in ("train", "test"):
            posterior = trainer.create_posterior(model, dataset, indices=np.where(split == name)[0])
            setattr(trainer, name + "_set", posterior)
    trainer.train(n_epochs=arguments.epochs, lr=1e-3)
    model.eval()
    return trainer.create_posterior(model, dataset, indices=np.arange(len(dataset)))


def cells_of(dataset, name):
    labels = dataset.labels.ravel()
    return labels == list(map(str, dataset.cell_types)).index(name)


def compare_pairs(arguments, dataset, posterior):
    answers = {"genes": dataset.gene_names.astype(str)}
    for number, pair in enumerate(arguments.pairs.split(",")):
        name1, name2 = pair.split(":")
        first = cells_of(dataset, name1)
        second = ~first if name2 == "rest" else cells_of(dataset, name2)
        for mode, columns in COLUMNS.items():
            table = posterior.differential_expression_score(
                idx1=first, idx2=second, mode=mode, delta=arguments.delta, n_samples=arguments.n_samples)
            table = table.loc[dataset.gene_names]
            for column in columns:
                answers["%d/%s/%s" % (number, mode, column)] = table[column].values.astype("float64")
    return answers


def time_one_vs_all(arguments, dataset, posterior):
    import numpy as np

    labels = dataset.labels.ravel()
    cpu, wall = [], []
    counts = [int(n) for n in arguments.n_groups.split(",")]
    groups = list(dataset.cell_types)
    for n_groups in counts:
        dataset.cell_types = groups[:n_groups]  # each still against all cells that are not its own
        begin = time.process_time(), time.perf_counter()
        posterior.one_vs_all_degenes(mode="change", cell_labels=None, n_samples=arguments.n_samples,
                                     delta=arguments.delta)
        cpu.append(time.process_time() - begin[0])
        wall.append(time.perf_counter() - begin[1])
    return {"n_groups": np.array(counts), "cpu": np.array(cpu), "wall": np.array(wall), "n_cells": len(labels),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}


def main():
    arguments = parse_arguments()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    sys.path.insert(0, os.path.abspath(arguments.scvi))
    warnings.simplefilter("ignore")
    import numpy as np
    import torch
    import scvi

    if scvi.__version__ != "0.6.3":
        sys.exit("%s holds scVI %s, expected 0.6.3" % (arguments.scvi, scvi.__version__))
    scvi.set_verbosity(logging.ERROR)
    scvi.set_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    dataset, split = load(arguments)
    load_cpu = time.process_time()
    posterior = train(arguments, dataset, split)
    answer = time_one_vs_all if arguments.one_vs_all else compare_pairs
    np.savez_compressed(arguments.output, load_cpu=load_cpu, **answer(arguments, dataset, posterior))


if __name__ == "__main__":
    main()
