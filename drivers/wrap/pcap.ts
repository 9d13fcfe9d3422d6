/**
 * pcap: shows every packet to a function, as a capture would record it.
 *
 * @module
 */
import type { Middleware } from "./wrap.ts";

/** Where packets are shown. */
export interface PcapSink {
  /** A packet; its bytes are a view, to be copied by who keeps them. `at` is in milliseconds of the kernel's clock. */
  packet(direction: "out" | "in", bytes: Uint8Array, at: number): void;
  /** No more will come from this CPU. */
  end?(): void;
}

/**
 * Shows packets to what `open` makes on each CPU: a `PcapngWriter` of `@softc/softc/drivers/pcap` with a file, say.
 *
 * @example
 * ```ts
 * import nullDriver from "@softc/softc/drivers/null";
 * import { pcap, wrap } from "@softc/softc/drivers/wrap";
 *
 * export default wrap(
 *   nullDriver,
 *   pcap((cpu) => ({ packet: (way, bytes, at) => console.log(cpu, way, bytes.length, at) })),
 * );
 * ```
 */
export function pcap(open: (cpu: number) => PcapSink): Middleware {
  return {
    name: "pcap",
    open({ dev }) {
      const sink = open(dev.cpu);
      return {
        sent: (b, i) => (sink.packet("out", b.bytes(i), dev.now()), "pass"),
        received: (b, i) => (sink.packet("in", b.bytes(i), dev.now()), "pass"),
        stop: () => sink.end?.(),
      };
    },
  };
}
