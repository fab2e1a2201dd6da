#!/usr/bin/env bash
# Every check that needs no kernel. All run, so that one look shows all there is to mend.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=node_modules/.bin
failed=0

check() {
  local name=$1
  shift
  if "$@"; then
    echo "lint: $name ok"
  else
    echo "lint: $name FAILED"
    failed=1
  fi
}

# The names are broken up so that this file does not find itself.
no_machine_names() {
  local hosts='registry[.]npmjs|(deb|security)[.]debian[.]org|pypi[.]org/simple|"resolved": *"http' found
  found=$(git grep -n -I -E "$hosts" -- . ':!vmlinux.h') || found=
  # A path of this very checkout is nobody else's.
  found+=$(git grep -n -I -F "$PWD/" -- . ':!vmlinux.h') || true
  [ -z "$found" ] && return 0
  printf '%s\n' "$found" | cut -c1-200 >&2
  return 1
}

scripts_parse() {
  local file
  for file in scripts/*.sh scripts/vm/*.sh .ci/run; do bash -n "$file" || return 1; done
}

check "biome" "$bin/biome" ci --diagnostic-level=warn --colors=off src test bench scripts
check "types" "$bin/tsc" -p .
check "folder direction" "$bin/depcruise" --config .dependency-cruiser.cjs --output-type err src test bench
check "shell scripts" scripts_parse
check "no registry host or path of this machine" no_machine_names
exit "$failed"
