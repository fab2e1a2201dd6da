#!/usr/bin/env bash
# Installs what only the fault lab wants on top of scripts/setup.sh: PyTorch for the real training, filesystems' tools.
# Quick and silent when nothing is missing. Where it cannot be had the lab goes on: it skips those scenarios and says so.
set -euo pipefail

packages=(python3-torch e2fsprogs xfsprogs)

command -v dpkg-query >/dev/null || { echo "lab setup: no Debian system: ${packages[*]} are not installed" >&2; exit 0; }
installed=$(LC_ALL=C dpkg-query -W -f='${db:Status-Abbrev} ${binary:Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^ii *\([^:]*\).*/\1/p' || true)
missing=()
for package in "${packages[@]}"; do
  grep -qx "$package" <<<"$installed" || missing+=("$package")
done
((${#missing[@]})) || exit 0

[ "$(id -u)" = 0 ] || { echo "lab setup: must be root to install: ${missing[*]}" >&2; exit 0; }
echo "lab setup: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# No standard input for apt: a question nobody answers would hang a CI run.
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 5 "$log" >&2
  echo "lab setup: apt-get could not install: ${missing[*]}" >&2
fi
