#!/usr/bin/env python3
"""Makes a baseline of scVI 0.6.3 on the mixology data anew, with as many seeds as asked for.

    python bench/reference_fidelity.py ldvae --scvi FOLDER --seeds 8 --output BASELINES
    SCVI_BASELINES=BASELINES bench/fidelity.py ldvae --seeds 8

Run it with a Python that has the reference's dependencies (see bench/reference_steps.py). FOLDER holds its
package `scvi` as released; model, data set and trainer are used as they are. Settings are those of bench/fidelity.py.
"""
import argparse
import json
import logging
import os
import statistics
import sys
import time
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("SCVI_TEST_DATA", os.path.join(HERE, "../../shared/data"))
LATE = range(150, 201, 5)  # epochs whose bounds are averaged, as in bench/fidelity.py
FILES = {"mixology": "vae_mixology.json", "ldvae": "ldvae_mixology.json"}


def read_data():
    """The data set with its genes chosen, and which cells train and test."""
    import h5py
    import numpy as np
    from scipy.sparse import csr_matrix
    from scvi.dataset import GeneExpressionDataset

    with h5py.File(os.path.join(DATA, "mixology/mixology_3cl.h5ad"), "r") as file:
        x, obs = file["X"], file["obs"]
        counts = csr_matrix((x["data"][()], x["indices"][()], x["indptr"][()]), shape=tuple(x.attrs["shape"]))
        codes = {name: obs[name]["codes"][()].astype(np.int64) for name in ("batch", "cell_line", "split")}
        sets = list(obs["split"]["categories"].asstr()[()])
    dataset = GeneExpressionDataset()
    dataset.populate_from_data(counts.toarray().astype(np.float32), batch_indices=codes["batch"],
                               labels=codes["cell_line"])
    dataset.subsample_genes(2000, mode="variance")
    return dataset, [np.where(codes["split"] == sets.index(name))[0] for name in ("train", "test")]


def train(case, dataset, cells, seed):
    import scvi
    from scvi.inference import UnsupervisedTrainer
    from scvi.models import LDVAE, VAE

    scvi.set_seed(seed)
    model = {"mixology": VAE, "ldvae": LDVAE}[case](dataset.nb_genes, n_batch=dataset.n_batches)
    trainer = UnsupervisedTrainer(model, dataset, train_size=0.9, use_cuda=False, show_progbar=False,
                                  n_epochs_kl_warmup=100, frequency=5, metrics_to_monitor=["elbo"])
    trainer.train_set = trainer.create_posterior(model, dataset, indices=cells[0])
    trainer.test_set = trainer.create_posterior(model, dataset, indices=cells[1])
    trainer.train(n_epochs=200)
    return trainer


def scores(trainer, dataset):
    """Under the names of the baselines."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

    every = trainer.create_posterior(trainer.model, dataset)
    latent, _, labels = every.sequential().get_latent()
    labels = labels.ravel()
    clusters = KMeans(dataset.n_labels, n_init=50, random_state=0).fit_predict(latent)
    late = [trainer.history["elbo_test_set"][epoch // 5] for epoch in LATE]
    return {"elbo_test": float(trainer.test_set.elbo()), "elbo_train": float(trainer.train_set.elbo()),
            "elbo_test_late": float(statistics.mean(late)),
            "marginal_ll_test": float(trainer.test_set.marginal_ll(n_mc_samples=100)),
            "ari": float(adjusted_rand_score(labels, clusters)),
            "nmi": float(normalized_mutual_info_score(labels, clusters)),
            "silhouette_label": float(silhouette_score(latent, labels)),
            "knn_purity": float(every.knn_purity()),
            "entropy_batch_mixing": float(every.entropy_batch_mixing())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=list(FILES))
    parser.add_argument("--scvi", required=True, help="folder with the package scvi of version 0.6.3")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--output", required=True, help="folder for the baseline")
    arguments = parser.parse_args()
    sys.path.insert(0, os.path.abspath(arguments.scvi))
    warnings.simplefilter("ignore")
    import scvi

    if scvi.__version__ != "0.6.3":
        sys.exit("%s holds scVI %s, expected 0.6.3" % (arguments.scvi, scvi.__version__))
    scvi.set_verbosity(logging.ERROR)
    dataset, cells = read_data()
    os.makedirs(arguments.output, exist_ok=True)
    runs = []
    for seed in range(arguments.seeds):
        start = time.time()
        trainer = train(arguments.case, dataset, cells, seed)
        seconds = time.time() - start
        runs.append({**scores(trainer, dataset), "seconds": seconds})
        print("# seed %d: %s" % (seed, {name: round(value, 4) for name, value in runs[-1].items()}), flush=True)
        with open(os.path.join(arguments.output, FILES[arguments.case]), "w") as file:
            json.dump({"case": FILES[arguments.case][:-5], "peer": "scVI 0.6.3", "runs": runs}, file, indent=1)


if __name__ == "__main__":
    main()
