#!/usr/bin/env bash
# seeds.sh FOLDER: picks small real files to begin fuzzing with, FOLDER/NAME for the program fuzz_NAME. Those that are
# committed (corpus/NAME) do without the real data.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$1
data=${SCVI_TEST_DATA:-../shared/data}
[ -d "$data" ] || { echo "no real data at $data: fuzzing begins with tests/fuzz/corpus alone" >&2; exit 0; }

pick() { # NAME, then patterns of find
  local name=$1 pattern number=0
  shift
  mkdir -p "$folder/$name"
  for pattern in "$@"; do
    while read -r file; do
      number=$((number + 1))
      cp -f "$file" "$folder/$name/$number"
      chmod u+w "$folder/$name/$number"
    done < <(find "$data" -path "$data/$pattern" -size -400 -type f)
  done
}

pick h5ad '*.h5ad'
pick loom '*.loom'
pick tenx_h5 '*.h5'
pick delimited '*.csv' '*.csv.gz' '*.tsv' '*.txt'
pick matrix_market '*.mtx' '*.mtx.gz'
pick archive '*.tar.gz' '*.zip'
pick xlsx '*.xlsx'
pick pickle '*.pickle'
pick pandas_pickle '*.pickle'
pick torch_archive '*.pt'
