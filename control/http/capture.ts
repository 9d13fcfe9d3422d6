/** A capture: the packets of an interface as a pcap file that grows while it is read. @module */
import type { Context } from "hono";
import { stream } from "hono/streaming";
import type { Ifnet } from "../../mod.ts";
import { pcapHeader, pcapPacket } from "../pcap.ts";
import type { Streams } from "./live.ts";

/** Bytes that a slow reader may lag behind; packets beyond it are left out. */
const LAG = 4 * 2 ** 20;

/** Answers with a capture of at most `count` packets and `seconds`. */
export function capture(
  c: Context,
  streams: Streams,
  ifnet: Ifnet,
  o: { readonly seconds: number; readonly count: number; readonly snap: number },
): Response {
  let pieces: Uint8Array[] = [];
  let queued = 0;
  let seen = 0;
  let ended = false;
  let wake = (): void => {};
  const end = (): void => {
    ended = true;
    wake();
  };
  const remove = streams.add(end);
  c.header("content-type", "application/vnd.tcpdump.pcap");
  c.header("content-disposition", `attachment; filename="${ifnet.name}.pcap"`);
  return stream(c, async (out) => {
    out.onAbort(end);
    const timer = setTimeout(end, o.seconds * 1000);
    const tap = ifnet.tap({
      snap: o.snap,
      onPacket: (p) => {
        if (ended || queued > LAG) return;
        const piece = pcapPacket(performance.timeOrigin + performance.now(), p.bytes, p.length);
        pieces.push(piece);
        queued += piece.length;
        if (++seen === o.count) ended = true;
        wake();
      },
    });
    try {
      await out.write(pcapHeader(o.snap));
      for (;;) {
        const now = pieces;
        pieces = [];
        queued = 0;
        for (const piece of now) await out.write(piece);
        if (ended && pieces.length === 0) break;
        if (pieces.length === 0) await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      clearTimeout(timer);
      await tap.close();
      remove();
    }
  });
}
