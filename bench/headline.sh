#!/usr/bin/env bash
# The headline of scVI's documentation on synthetic data of the same shapes, beside the GPU times that it states.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=build/release/bin

usage() {
  cat <<'TEXT'
usage: bench/headline.sh [--quick] [--threads N] [--work FOLDER] [NAME...]

NAME: cortex, pbmc, brain_large, brain_large_disk (the same with --memory 750M, which leaves the counts on disk).
Default: all four.

  --quick        a few cells and two epochs, to see that this script works; its times say nothing
  --threads N    threads of the training (default 2)
  --work FOLDER  where the data go, and stay for the next time (default: a temporary folder)

The settings are those of section 2.9.10 of the documentation of scVI 0.6.3 (the shapes are in 2.9.14): VAE with its
defaults (zinb, one layer of 128, 10 latent dimensions), no batches, minibatches of 128, lr 1e-3, three quarters of
the cells train, and the ELBO of both sets after every epoch. Its times are those of its training loop alone, on a GPU
that it does not name. Ours are those of the whole command, which reads the file and writes the model as well.

  epoch          one epoch with its ELBO, from --profile
  steps/s        minibatches trained a second, waiting for them included
  brain_large    one epoch is run; "all epochs" is the command and 49 times that epoch more
TEXT
}

quick=no threads=2 work='' names=()
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) quick=yes && shift ;;
    --threads) threads=$2 && shift 2 ;;
    --work) work=$2 && shift 2 ;;
    cortex | pbmc | brain_large | brain_large_disk) names+=("$1") && shift ;;
    --help | -h) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
done
[ ${#names[@]} -gt 0 ] || names=(cortex pbmc brain_large brain_large_disk)
for program in scvi peak_memory; do
  [ -x $bin/$program ] && continue
  echo "no $bin/$program: run ./dev build -DSCVI_BUILD_BENCH=ON" >&2
  exit 1
done
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
work=${work:-$temporary}
mkdir -p "$work"

# Shape of a data set, epochs to run, epochs of the reference, its seconds for them, and further words for training.
describe() { # name
  case "$1" in
    cortex) cells=3005 genes=558 density=0.27 epochs=400 all_epochs=400 reference=151 words=() ;;
    pbmc) cells=11990 genes=3346 density=0.08 epochs=400 all_epochs=400 reference=954 words=() ;;
    brain_large*) cells=1303182 genes=720 density=0.11 epochs=1 all_epochs=50 reference=8903 words=() ;;
  esac
  [ "$1" != brain_large_disk ] || words=(--memory 750M)
  data=$work/${1%_disk}.h5ad
  [ $quick = yes ] || return 0
  data=${data%.h5ad}_quick.h5ad
  cells=$((cells > 100000 ? 4000 : cells / 10))
  epochs=$((epochs > 2 ? 2 : epochs))
}

simulate() {
  [ -e "$data" ] && return
  echo "making $data: $cells cells x $genes genes, density $density" >&2
  $bin/scvi simulate "$data" --kind large --cells "$cells" --genes "$genes" --density "$density" --seed 1 \
    --verbosity warning
}

# Runs the training and appends what it took to the table.
train() { # name
  echo "training on $1: $epochs epochs" >&2
  $bin/peak_memory $bin/scvi train "$data" --output "$temporary/run" --epochs "$epochs" --train-size 0.75 \
    --frequency 1 --threads "$threads" --profile --no-progress --verbosity warning --force "${words[@]}" \
    >"$temporary/$1.txt"
  awk -v name="$1" -v shape="$cells x $genes" -v epochs="$epochs" -v all_epochs="$all_epochs" \
    -v reference="$reference" -v quick=$quick '
    function clock(seconds) {
      if (seconds < 60) return sprintf("%.2f s", seconds)
      seconds = int(seconds + 0.5)
      if (seconds < 3600) return sprintf("%d:%02d", seconds / 60, seconds % 60)
      return sprintf("%d:%02d:%02d", seconds / 3600, seconds % 3600 / 60, seconds % 60)
    }
    # where, calls, seconds, share, ms a call
    $1 == "step" { steps = $2; stepping += $3 }
    /^waiting for minibatches / { stepping += $(NF - 2) }
    # The metrics are also looked at once before the first epoch.
    $1 == "metrics" { before = $3 / $2 }
    $1 == "all" { training = $3 }
    /^wall / { wall = $2; peak = $9 }
    END {
      if (!steps || !training || !wall) { print "no times found" >"/dev/stderr"; exit 1 }
      epoch = (training - before) / epochs
      total = wall + (all_epochs - epochs) * epoch
      printf "%-17s %16s %7d %10s %10s", name, shape, epochs, clock(wall), clock(epoch)
      printf " %9.0f %9.0f", steps / stepping, peak
      if (quick == "no") {
        printf " %12s %12s", clock(total) (all_epochs > epochs ? "*" : ""), clock(reference)
        printf " %7.2f", reference / total
      }
      printf "\n"
    }' "$temporary/$1.txt" >>"$temporary/table"
}

{
  printf '%-17s %16s %7s %10s %10s %9s %9s' 'data set' 'cells x genes' epochs wall epoch steps/s 'peak MB'
  if [ $quick = yes ]; then echo; else printf ' %12s %12s %7s\n' 'all epochs' 'scVI, GPU' ratio; fi
} >"$temporary/table"
uptime >&2
for name in "${names[@]}"; do
  describe "$name"
  simulate
  train "$name"
done
cat "$temporary/table"
[ $quick = yes ] || echo "* 50 epochs, extrapolated from one; ratio: how many times faster than scVI 0.6.3 on its GPU"
