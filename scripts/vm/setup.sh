#!/usr/bin/env bash
# Installs what `make test-vm` needs on top of scripts/setup.sh: QEMU, a static shell for the guest's initramfs,
# what unpacks Debian's kernels, and what guests make their faults with. Quick and silent when nothing is missing.
set -euo pipefail

die() { echo "vm setup: $*" >&2; exit 1; }

command -v dpkg-query >/dev/null || die "make test-vm fetches Debian's kernels by apt and needs a Debian system"
[ "$(dpkg --print-architecture)" = amd64 ] || die "make test-vm knows the kernels of amd64 only"

# What guests run of the host's root: a file server, md, device mapper, a load for disks, and verbs.
guest=(nfs-kernel-server nfs-common mdadm dmsetup fio e2fsprogs xfsprogs)
guest+=(rdma-core ibverbs-utils ibverbs-providers perftest libibverbs-dev librdmacm-dev)
packages=(qemu-system-x86 busybox-static kmod xz-utils debian-archive-keyring "${guest[@]}")

installed=$(LC_ALL=C dpkg-query -W -f='${db:Status-Abbrev} ${binary:Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^ii *\([^:]*\).*/\1/p' || true)
missing=()
for package in "${packages[@]}"; do
  grep -qx "$package" <<<"$installed" || missing+=("$package")
done
((${#missing[@]})) || exit 0

[ "$(id -u)" = 0 ] || die "must be root to install: ${missing[*]}"
echo "vm setup: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# No standard input for apt: a question nobody answers would hang a CI run.
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 5 "$log" >&2
  die "apt-get could not install: ${missing[*]}"
fi
