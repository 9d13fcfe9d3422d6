#!/bin/sh
# Records examples/data/linux.pcapng from a real Linux stack: two network namespaces joined by a veth pair;
# neighbour discovery, ping, ping -6, UDP both ways, TCP over IPv4 and IPv6. Then has tshark check the result.
#
# Usage (root): scripts/record-capture.sh [OUTPUT]
# Debian packages: tshark wireshark-common tcpdump socat iproute2 iputils-ping ethtool procps
set -eu

out=${1:-"$(dirname "$0")/../examples/data/linux.pcapng"}
# Only packets with the standard's documentation addresses and locally administered MACs end up in the file.
mac_a=02:00:00:00:00:0a mac_b=02:00:00:00:00:0b
a4=192.0.2.1 b4=192.0.2.2 a6=2001:db8::1 b6=2001:db8::2

for tool in tcpdump tshark editcap capinfos socat ip ping ethtool; do
  command -v "$tool" >/dev/null || { echo "record-capture: $tool is missing" >&2; exit 3; }
done

tmp=$(mktemp -d)
a=rec$$a b=rec$$b
servers=
cleanup() {
  for pid in $servers; do kill "$pid" 2>/dev/null || true; done
  ip netns del "$a" 2>/dev/null || true
  ip netns del "$b" 2>/dev/null || true
  rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# Waits for a condition: up to 5 s.
until_true() {
  n=0
  until "$@" >/dev/null 2>&1; do
    n=$((n + 1))
    [ $n -lt 100 ] || { echo "record-capture: timed out: $*" >&2; exit 1; }
    sleep 0.05
  done
}

ip netns add "$a"
ip netns add "$b"
ip -n "$a" link add veth0 address $mac_a type veth peer name veth0 address $mac_b netns "$b"
for ns in "$a" "$b"; do
  # Frames as a wire carries them: real checksums, no segments larger than the MTU.
  ip netns exec "$ns" ethtool -K veth0 tx off rx off tso off gso off gro off >/dev/null
  # Duplicate address detection in a tenth of the time: a capture with no long silence.
  ip netns exec "$ns" sysctl -qw net.ipv6.conf.veth0.router_solicitation_delay=0 \
    net.ipv6.neigh.veth0.retrans_time_ms=100
done
ip -n "$a" addr add $a4/24 dev veth0
ip -n "$b" addr add $b4/24 dev veth0
ip -n "$a" addr add $a6/64 dev veth0
ip -n "$b" addr add $b6/64 dev veth0

# b stays down (no carrier) until the recorder runs, so that duplicate address detection is in the file.
ip -n "$a" link set veth0 up
ip netns exec "$a" tcpdump -i veth0 -n -s 65535 -U --immediate-mode --time-stamp-precision=nano \
  -w "$tmp/raw.pcap" 2>"$tmp/tcpdump.log" &
recorder=$!
servers="$servers $recorder"
until_true grep -q "listening on" "$tmp/tcpdump.log"
ip -n "$b" link set veth0 up
for ns in "$a" "$b"; do
  no_tentative() { [ -z "$(ip -n "$1" -6 addr show dev veth0 tentative)" ]; }
  until_true no_tentative "$ns"
done

ip netns exec "$a" ping -q -c 20 -i 0.01 $b4 >/dev/null
ip netns exec "$b" ping -q -c 20 -i 0.01 -s 1000 $a4 >/dev/null
ip netns exec "$a" ping -6 -q -c 20 -i 0.01 $b6 >/dev/null
ip netns exec "$b" ping -6 -q -c 5 -i 0.01 "fe80::ff:fe00:a%veth0" >/dev/null

# UDP both ways: b echoes what a sends, one datagram a line.
ip netns exec "$b" socat UDP4-LISTEN:7,bind=$b4 PIPE &
servers="$servers $!"
ip netns exec "$b" socat UDP6-LISTEN:7,bind=[$b6] PIPE &
servers="$servers $!"
listening() { ip netns exec "$b" ss -Hln "$1" "$2" "sport = :$3" | grep -q .; }
until_true listening -4 -u 7
until_true listening -6 -u 7
datagrams() {
  i=0
  while [ $i -lt 50 ]; do
    printf 'datagram %02d %0*d\n' $i $((i * 4 + 1)) 0
    sleep 0.005
    i=$((i + 1))
  done
}
datagrams | ip netns exec "$a" socat -t 0.2 - UDP4:$b4:7 >/dev/null
datagrams | ip netns exec "$a" socat -t 0.2 - UDP6:[$b6]:7 >/dev/null

# TCP: a short transfer, a to b over IPv4 and b to a over IPv6.
head -c 30000 /dev/zero | tr '\0' 's' >"$tmp/payload"
ip netns exec "$b" socat -u TCP4-LISTEN:9,bind=$b4,reuseaddr OPEN:/dev/null &
sink4=$!
ip netns exec "$b" socat -U TCP6-LISTEN:19,ipv6only=1,bind=[$b6],reuseaddr OPEN:"$tmp/payload" &
source6=$!
servers="$servers $sink4 $source6"
until_true listening -4 -t 9
until_true listening -6 -t 19
ip netns exec "$a" socat -u OPEN:"$tmp/payload" TCP4:$b4:9
ip netns exec "$a" socat -u TCP6:[$b6]:19 OPEN:/dev/null
wait $sink4 $source6

# Everything has been sent; the recorder is done when its file no longer grows.
settled() {
  before=$(wc -c <"$tmp/raw.pcap")
  sleep 0.3
  [ "$(wc -c <"$tmp/raw.pcap")" -eq "$before" ]
}
until_true settled
kill -INT $recorder
wait $recorder || true
editcap -F pcapng "$tmp/raw.pcap" "$tmp/linux.pcapng"

# The result is only kept when tshark finds nothing wrong with it.
bad=$(tshark -r "$tmp/linux.pcapng" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
  -o udp.check_checksum:TRUE -Y '_ws.malformed || ip.checksum.status == "Bad" || tcp.checksum.status == "Bad" ||
  udp.checksum.status == "Bad" || icmp.checksum.status == "Bad" || icmpv6.checksum.status == "Bad" ||
  tcp.analysis.lost_segment' 2>/dev/null)
[ -z "$bad" ] || { echo "record-capture: tshark objects to:" >&2; echo "$bad" >&2; exit 1; }
size=$(wc -c <"$tmp/linux.pcapng")
[ "$size" -le 204800 ] || { echo "record-capture: $size bytes is more than 200 KiB" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
mv "$tmp/linux.pcapng" "$out"
chmod 644 "$out"
capinfos -c -u -s -t "$out"
tshark -r "$out" -q -z io,phs 2>/dev/null
