/**
 * Reads capture files: pcap and pcapng, both byte orders.
 *
 * All or nothing: a file that breaks its format is refused with the offset, never read in part. Frames are
 * views into the file's bytes, and every length is checked against the file before it is used, so that the
 * memory taken is bounded by the size of the file whatever it says.
 *
 * @module
 */

import { BLOCK, type Capture, PCAP_MAGIC } from "./format.ts";
import { readPcap } from "./_pcap.ts";
import { readPcapng } from "./_pcapng.ts";
import { Source } from "./_source.ts";

/** Files that are often taken for captures: how they start, and what to do with them. */
const LOOKALIKES: readonly (readonly [start: string, format: string, fix: string])[] = [
  ["1f8b", "gzip", "decompress it first: gunzip"],
  ["28b52ffd", "zstd", "decompress it first: unzstd"],
  ["04224d18", "lz4", "decompress it first: unlz4"],
  ["a1b2cd34", "modified pcap", "convert it first: editcap -F pcapng IN OUT"],
  ["34cdb2a1", "modified pcap", "convert it first: editcap -F pcapng IN OUT"],
  ["736e6f6f", "snoop", "convert it first: editcap -F pcapng IN OUT"],
];

/**
 * Reads a capture file that is in memory.
 *
 * @param bytes The whole file; the frames are views into it.
 * @param name What errors call it: its path or URL.
 * @returns Its interfaces and frames, in file order.
 * @throws {SoftcError} `SOFTC_PCAP_BAD` with the offset where the file breaks its format.
 *
 * @example
 * ```ts
 * import { PcapngWriter, readCapture } from "@softc/softc/drivers/pcap";
 *
 * const w = new PcapngWriter();
 * w.frame({ interface: w.addInterface({ name: "lo0" }), at: 0n, bytes: new Uint8Array(60) });
 * const { frames } = readCapture(w.take(), "lo0.pcapng"); // or readFileSync("lo0.pcapng")
 * console.log(frames.length, frames[0]?.bytes.length); // 1 60
 * ```
 */
export function readCapture(bytes: Uint8Array, name: string): Capture {
  const source = new Source(bytes, name);
  source.need(0, 4, "file");
  source.littleEndian = false;
  const magic = source.u32(0);
  if (magic === BLOCK.sectionHeader) return readPcapng(source);
  for (const littleEndian of [false, true]) {
    source.littleEndian = littleEndian;
    if (source.u32(0) === PCAP_MAGIC.microseconds) return readPcap(source, 1_000);
    if (source.u32(0) === PCAP_MAGIC.nanoseconds) return readPcap(source, 1);
  }
  const start = magic.toString(16).padStart(8, "0");
  for (const [prefix, format, fix] of LOOKALIKES) {
    if (start.startsWith(prefix)) source.bad(0, `this is a ${format} file`, fix);
  }
  return source.bad(0, `neither pcap nor pcapng: it starts with the bytes ${start}`);
}
