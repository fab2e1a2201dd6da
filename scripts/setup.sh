#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: Debian packages, then node_modules.
# Quick and silent when nothing is missing. Needs root only when Debian packages are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "setup: $*" >&2; exit 1; }

command -v node >/dev/null || die "Node.js 20 or later is needed and there is none on PATH"
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
  die "Node.js 20 or later is needed, this is $(node --version)"
command -v npm >/dev/null || die "npm is needed and there is none on PATH (it comes with Node.js)"
command -v dpkg-query >/dev/null || die "this sets up Debian 12; on other systems install clang, llvm, libbpf >= 1.0, bpftool, gcc, make, iproute2 and nftables by hand, then run 'npm ci' and 'make build SETUP=no'"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

packages=(clang llvm libbpf-dev libbpf1 libelf1 bpftool gcc libc6-dev make iproute2 nftables util-linux procps ca-certificates git)

# In the C locale dpkg-query prints "ii " for what is installed and nothing for what it never heard of.
installed=$(LC_ALL=C dpkg-query -W -f='${db:Status-Abbrev} ${binary:Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^ii *\([^:]*\).*/\1/p' || true)
missing=()
for package in "${packages[@]}"; do
  grep -qx "$package" <<<"$installed" || missing+=("$package")
done
if ((${#missing[@]})); then
  [ "$(id -u)" = 0 ] || die "must be root to install: ${missing[*]}"
  command -v apt-get >/dev/null || die "no apt-get here to install: ${missing[*]}"
  echo "setup: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # No standard input for apt: a question nobody answers would hang a CI run.
  if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 5 "$log" >&2
    die "apt-get could not install: ${missing[*]}"
  fi
fi

# node_modules holds what the lock file asks for? Optional packages for other platforms may be absent.
if ! node -e '
  const read = (path) => JSON.parse(require("node:fs").readFileSync(path, "utf8")).packages;
  const asked = read("package-lock.json");
  const there = read("node_modules/.package-lock.json");
  for (const [path, { version, optional }] of Object.entries(asked)) {
    if (path !== "" && there[path]?.version !== version && !(optional && there[path] === undefined)) process.exit(1);
  }' 2>/dev/null; then
  echo "setup: npm ci"
  if ! npm ci --no-audit --no-fund --loglevel=error >"$log" 2>&1 </dev/null; then
    head -n 15 "$log" >&2
    die "npm ci could not install node_modules"
  fi
fi
