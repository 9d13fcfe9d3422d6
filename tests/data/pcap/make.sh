#!/bin/sh
# Remakes the vectors in this folder, all by other people's tools, and expected.json, which is what tshark reads
# in them. Big-endian files come from big-endian programs: Debian's s390x tcpdump and editcap under qemu-user.
#
# Usage: make.sh S390X_ROOT
#   S390X_ROOT: a folder with the unpacked (dpkg-deb -x) s390x packages of tcpdump, wireshark-common and their
#   libraries.
# Debian packages: tshark wireshark-common tcpdump qemu-user perl
set -eu
cd "$(dirname "$0")"
root=$1
big() { tool=$1; shift; qemu-s390x -L "$root" "$root/usr/bin/$tool" "$@" 2>/dev/null; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Five frames of 42 to 150 bytes: neighbour discovery, ARP, ping, UDP, TCP.
source=../../../examples/data/linux.pcapng
pick() { tshark -r $source -Y "$1" -T fields -e frame.number 2>/dev/null | head -n 1; }
editcap -r $source "$tmp/five.pcapng" "$(pick 'icmpv6.type == 135')" "$(pick arp)" \
  "$(pick 'icmp and frame.len < 100')" "$(pick 'udp and ip')" "$(pick 'tcp.flags.syn == 1')"

# pcap: both byte orders, both resolutions, cut frames, another link type.
tcpdump -r "$tmp/five.pcapng" -w little-us.pcap 2>/dev/null
tcpdump -r "$tmp/five.pcapng" --time-stamp-precision=nano -w little-ns.pcap 2>/dev/null
big tcpdump -r "$tmp/five.pcapng" -w big-us.pcap
big tcpdump -r "$tmp/five.pcapng" --time-stamp-precision=nano -w big-ns.pcap
editcap -F nsecpcap -s 40 "$tmp/five.pcapng" cut.pcap
editcap -F pcap -L -C 14 -T rawip -r "$tmp/five.pcapng" raw.pcap 1 3-5

# pcapng: both byte orders, both resolutions, comments, several sections, several interfaces.
editcap -F pcapng "$tmp/five.pcapng" little.pcapng
big editcap -F pcapng "$tmp/five.pcapng" big.pcapng
editcap -F pcapng little-us.pcap us.pcapng
editcap -F pcapng -a "1:first" -a "4:größer" --capture-comment "five frames" big.pcapng comments.pcapng
big mergecap -w merged.pcapng little-ns.pcap raw.pcap us.pcapng
cat little.pcapng big.pcapng us.pcapng >sections.pcapng

# As dumpcap records: interface names, statistics. What it says about the machine goes.
dumpcap -q -i lo -i any -f "icmp" -a duration:2 -w "$tmp/lo.pcapng" 2>/dev/null &
recorder=$!
sleep 0.7
ping -q -c 2 -i 0.2 -s 8 127.0.0.1 >/dev/null
wait $recorder
perl -0777 -pe '
  my $end = unpack("V", substr($_, 4, 4)); my $head = substr($_, 0, $end); my $at = 24;
  while ($at + 4 <= $end - 4) {
    my ($code, $n) = unpack("vv", substr($head, $at, 4));
    substr($head, $at + 4, $n) = "x" x $n if $code == 2 || $code == 3;
    $at += 4 + (($n + 3) & ~3); last if $code == 0;
  }
  substr($_, 0, $end) = $head; s/(Linux [\w.-]+)/"x" x length $1/ge' "$tmp/lo.pcapng" >dumpcap.pcapng

# What tshark reads in each: the one list that the reader's tests compare with.
chown "$(id -u):$(id -g)" ./*.pcap ./*.pcapng
chmod 644 ./*.pcap ./*.pcapng
for file in *.pcap *.pcapng; do
  tshark -r "$file" -T json -x -J "frame pkt_comment" 2>/dev/null | perl -MJSON::PP -0777 -e '
    my ($name) = @ARGV; my $json = JSON::PP->new->canonical; local $/; my @rows;
    for my $p (@{ $json->decode(<STDIN>) }) {
      my $l = $p->{_source}{layers}; my $f = $l->{frame};
      my ($s, $ns) = split /\./, $f->{"frame.time_epoch"};
      my $comment = $l->{pkt_comment} ? $l->{pkt_comment}{"frame.comment"} : undef;
      my $interface = ref $f->{"frame.interface_id_tree"} ? $f->{"frame.interface_id_tree"}{"frame.interface_name"} : undef;
      push @rows, { at => $s . $ns, captured => 0 + $f->{"frame.cap_len"}, original => 0 + $f->{"frame.len"},
        encapsulation => 0 + $f->{"frame.encap_type"}, bytes => $l->{frame_raw}[0],
        $comment ? (comment => $comment) : (), $interface ? (interface => $interface) : () };
    }
    print $json->encode([$name, \@rows]), "\n"' "$file"
done | perl -0777 -pe 's/\n(?=.)/,\n/g; $_ = "[\n$_]\n"' >expected.json
ls -l
