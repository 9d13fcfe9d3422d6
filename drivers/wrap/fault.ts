/**
 * fault: a device that fails now and then, the same way each time.
 *
 * @module
 */
import type { Batch } from "../../core/device/mod.ts";
import { random } from "./random.ts";
import type { Middleware } from "./wrap.ts";

/** What goes wrong. Probabilities are from 0 to 1, 0 unless told. */
export interface FaultOptions {
  /** Of the faults' order; each CPU has its own from it. 1 unless told. */
  readonly seed?: number;
  /** One bit of a packet is wrong, either way. */
  readonly corrupt?: number;
  /** A transmit takes nothing, and wakes the queue 1 ms later: back-pressure. */
  readonly refuse?: number;
  /** Hooks that throw an `Error`, by name: the `n`th call of each, from 1, on each CPU. */
  readonly hooks?: Readonly<Record<string, number>>;
}

/**
 * Faults. Counts `fault_corrupted` and `fault_refused`.
 *
 * @example
 * ```ts
 * import nullDriver from "@softc/softc/drivers/null";
 * import { fault, wrap } from "@softc/softc/drivers/wrap";
 *
 * export default wrap(nullDriver, fault({ corrupt: 0.01, hooks: { stop: 1 } }));
 * ```
 */
export function fault(o: FaultOptions): Middleware {
  const { seed = 1, corrupt = 0, refuse = 0, hooks = {} } = o;
  return {
    name: "fault",
    open({ dev }) {
      const next = random(seed + dev.cpu);
      const calls: Record<string, number> = {};
      const spoil = (b: Batch, i: number): "pass" => {
        if (corrupt > 0 && next() < corrupt && b.len(i) > 0) {
          b.finishCsum(i); // a checksum made or trusted later would hide it
          const bytes = b.bytes(i);
          const at = Math.floor(next() * bytes.length);
          bytes[at] = bytes[at]! ^ 1 << Math.floor(next() * 8);
          dev.count("fault_corrupted");
        }
        return "pass";
      };
      const again = dev.timer(() => dev.txWake(0));
      return {
        sent: spoil,
        received: spoil,
        admit(batch) {
          if (refuse === 0 || next() >= refuse) return batch.length;
          dev.count("fault_refused");
          again.set(1);
          return 0;
        },
        hook(name) {
          calls[name] = (calls[name] ?? 0) + 1;
          if (calls[name] === hooks[name]) throw new Error(`fault: call ${calls[name]} of ${name}`);
        },
      };
    },
  };
}
