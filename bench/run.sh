#!/usr/bin/env bash
# Runs the benchmarks of build/release: readers, kernels and steps, then whole runs with their memory. Further words
# go to Google Benchmark, e.g. --benchmark_filter=training_step
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=build/release/bin
# As the program itself sees to it: one thread for BLAS and OpenMP, the library has its own.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
uptime
$bin/bench_io "$@"
$bin/bench_data "$@"
$bin/bench_steps "$@"

[ $# -gt 0 ] && exit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo
echo "filters and gene selection"
$bin/bench_selection
echo
echo "one epoch of minibatches"
$bin/bench_loader
echo
echo "100,000 synthetic cells x 720 genes: one epoch, then the latent space of all cells"
$bin/scvi simulate "$work/cells.h5ad" --kind large --cells 100000 --genes 720 --verbosity warning
echo -n "the libraries alone:  "
$bin/peak_memory $bin/scvi train --help | tail -1
echo -n "scvi train:           "
$bin/peak_memory $bin/scvi train "$work/cells.h5ad" --output "$work/run" --batch-key batch --epochs 1 \
  --verbosity warning --no-progress
echo -n "scvi embed:           "
$bin/peak_memory $bin/scvi embed "$work/run" "$work/cells.h5ad" --output "$work/out.h5ad" --verbosity warning
