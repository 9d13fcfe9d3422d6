/**
 * A device with little room: takes `room` packets, then says full until its interrupt frees the room again.
 * It counts packets, hook calls, and packets that came behind a later one of their flow.
 *
 * @module
 */
import { defineDriver, type Dev, type Driver } from "../../core/device/mod.ts";
import { anyOptions } from "./options.ts";

/** Options of the device. */
export interface SlowOptions {
  /** Packets that it holds; no limit unless told. */
  readonly room?: number;
}

const FLOW_AT = 42;

const slow: Driver<SlowOptions> = defineDriver({
  name: "slow",
  api: 1,
  cloner: "slow",
  queueLength: 256,
  options: anyOptions<SlowOptions>(),
  attach(dev: Dev<SlowOptions>) {
    dev.ifnet({ type: "ether" });
    const room = dev.options.room ?? Infinity;
    const sc = { dev, left: room, last: new Map<number, number>(), bell: { ring: (): void => {} } };
    sc.bell = dev.interrupt(() => {
      sc.left = room;
      dev.txWake(0);
    });
    return sc;
  },
  transmit(sc, b) {
    const n = Math.min(sc.left, b.length);
    for (let i = 0; i < n; i++) {
      const bytes = b.bytes(i);
      const v = new DataView(bytes.buffer, bytes.byteOffset);
      const flow = v.getUint32(FLOW_AT);
      const seq = v.getUint32(FLOW_AT + 4);
      if (seq <= (sc.last.get(flow) ?? -1)) sc.dev.count("misordered");
      sc.last.set(flow, seq);
    }
    sc.left -= n;
    sc.dev.count("packets", n);
    sc.dev.count("calls");
    if (n < b.length) sc.bell.ring();
    return n;
  },
});
export default slow;
