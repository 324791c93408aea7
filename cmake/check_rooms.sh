#!/usr/bin/env bash
# Fails when a room includes a room above it. Ground floor first; docs/architecture.md explains the order.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rooms=(core io dataset metric report loader kernel distribution module model posterior training)
bad=0
for i in "${!rooms[@]}"; do
  room=${rooms[$i]}
  above=$(IFS='|'; echo "${rooms[*]:$((i + 1))}")
  [ -z "$above" ] && continue
  if grep -rnE "#include \"scvi/($above)/" "include/scvi/$room" "src/$room"; then
    echo "^ $room may include only the rooms before it: ${rooms[*]:0:$i}" >&2
    bad=1
  fi
done
# metric works on plain arrays: it knows core alone.
if grep -rnE '#include "scvi/(io|dataset)/' include/scvi/metric src/metric; then
  echo "^ metric may include core alone" >&2
  bad=1
fi
# report draws what it is given: it knows files, but neither data sets nor metrics.
if grep -rnE '#include "scvi/(dataset|metric)/' include/scvi/report src/report; then
  echo "^ report may include core and io" >&2
  bad=1
fi
# Rooms that do not link LibTorch, and third parties that stay out of public headers.
if grep -rnE '#include <(torch|ATen|c10)/' {include/scvi,src}/{core,io,dataset,metric,report}; then
  echo "^ these rooms do not know LibTorch" >&2
  bad=1
fi
if grep -rnE '#include <(hdf5|igraph|svm|cairo|spdlog|CLI|nlohmann|torch/torch)' include/scvi; then
  echo "^ not in a public header" >&2
  bad=1
fi
exit $bad
