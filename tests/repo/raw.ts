/**
 * Files that read and write plain shared words without the door, each with its reason. Protocol words never:
 * `Atomics` has no exception. By convention the arena's view is named `a` everywhere.
 */
export const RAW: Record<string, string> = {
  "core/memory/ring.ts":
    "entries of a ring, and what one side alone uses: where the door's compare doubles a plain access",
  "core/memory/mbuf.ts": "header words of a packet its CPU owns: once per packet, as above",
  "core/net/output.ts": "lengths and the hint before an atomic check: once per packet, once per turn",
  "core/net/input.ts": "the interface that a packet came in on, lengths, the hint: as above",
  "core/net/flow.ts": "length and offset of a packet its CPU owns: once per packet",
  "core/net/pktgen.ts": "packet bytes as words: 64 bytes are 16 of them",
  "core/net/tap.ts": "length of a copy its CPU owns: once per packet",
  "testing/torture/near.ts": "a watch behind the door, as the sanitizer",
  "core/memory/sanitizer.ts": "it is the watch behind the door: through the door it would ask itself",
};
