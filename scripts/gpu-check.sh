#!/usr/bin/env bash
# The agent on a machine with an NVIDIA GPU: `xctl doctor`, then every figure beside nvidia-smi's while a real CUDA
# workload rests, works and runs out of memory. `scripts/gpu-check.sh [DIRECTORY]`: the recording is left there.
# Needs the driver, nvidia-smi, gcc and a built checkout (make build); closes with `N passed, N failed`.
set -euo pipefail

directory=${1:-}
# As seen from where it was typed.
case "$directory" in '' | /*) ;; *) directory="$PWD/$directory" ;; esac
cd "$(dirname "$0")/.."

die() { echo "gpu-check: $*" >&2; exit 1; }

command -v nvidia-smi >/dev/null || die "no GPU here: nvidia-smi is not installed"
said=$(nvidia-smi -L 2>&1) || die "no GPU here: nvidia-smi says: $(head -n 1 <<<"$said")"
grep -q '^GPU ' <<<"$said" || die "no GPU here: nvidia-smi lists none"
command -v gcc >/dev/null || die "gcc is needed to build the CUDA workload"
[ -e dist/agent.js ] || die "not built; run make build first"

node_modules/.bin/esbuild scripts/gpu-check/main.ts --bundle --platform=node --format=esm --target=node20 --log-level=warning --outfile=build/gpu-check.mjs
# It undoes what it makes itself, also when it is interrupted.
if [ -n "$directory" ]; then exec node build/gpu-check.mjs "$directory"; fi
exec node build/gpu-check.mjs
