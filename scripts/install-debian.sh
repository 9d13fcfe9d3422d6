#!/usr/bin/env bash
# Installs the Debian packages that the tests of `deno task test:real` use. Does nothing when all are there.
# A test whose tool is missing skips with a reason, so this is a convenience, not a need.
set -euo pipefail

packages=(
  chromium           # the dashboard's tests
  iproute2           # ip: network namespaces, veth
  iputils-ping       # ping, ping -6
  netcat-openbsd     # nc
  qemu-system-x86    # the virtio device model behind qtest
  socat              # UDP and TCP peers
  tcpdump            # captures on a real interface
  traceroute
  tshark             # dissects our captures
  wireshark-common   # capinfos, editcap, mergecap
)

missing=()
for p in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$p")
done
if ((${#missing[@]} == 0)); then
  echo "all ${#packages[@]} packages are installed"
  exit 0
fi

skip() {
  echo "not installed: ${missing[*]}: $1; the tests that need them will skip"
  exit 0
}
command -v apt-get >/dev/null || skip "no apt-get here"
((EUID == 0)) || skip "needs root"

export DEBIAN_FRONTEND=noninteractive
echo "installing: ${missing[*]}"
apt-get -qq -o DPkg::Lock::Timeout=60 update
apt-get -qq -y -o DPkg::Lock::Timeout=60 -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" >/dev/null
echo "installed"
