/**
 * netem: a link with loss, a rate and a delay, seeded.
 *
 * @module
 */
import type { Batch, Mbuf } from "../../core/device/mod.ts";
import { random } from "./random.ts";
import type { Middleware } from "./wrap.ts";

/** What the link is like, for each CPU that runs the driver. */
export interface NetemOptions {
  /** Of the losses' order. 1 unless told. */
  readonly seed?: number;
  /** Probability that a packet is lost, either way, 0 to 1; 0 unless told. */
  readonly loss?: number;
  /** Packets per second that may be sent: what is above waits in the queue (is dropped by a per-CPU driver). No limit unless told. */
  readonly rate?: number;
  /** Milliseconds that a received packet is late; 0 unless told. */
  readonly delay?: number;
  /** Received packets that are under way at most; what is above is lost. 1000 unless told. */
  readonly limit?: number;
}

interface Late {
  readonly m: Mbuf;
  readonly len: number;
  readonly due: number;
}

/**
 * An emulated link; compare tc-netem(8). Counts `netem_lost` and `netem_late`, in packets. Checks no option.
 *
 * @example
 * ```ts
 * import nullDriver from "@softc/softc/drivers/null";
 * import { netem, wrap } from "@softc/softc/drivers/wrap";
 *
 * export default wrap(nullDriver, netem({ loss: 0.01, delay: 20, seed: 7 }));
 * ```
 */
export function netem(o: NetemOptions): Middleware {
  const { seed = 1, loss = 0, rate, delay = 0, limit = 1000 } = o;
  return {
    name: "netem",
    open({ dev, input }) {
      const next = random(seed + dev.cpu);
      const lost = (): boolean => {
        if (loss === 0 || next() >= loss) return false;
        dev.count("netem_lost");
        return true;
      };
      /** Packets that may be sent by now: at most 10 ms of them are saved up. */
      const burst = rate === undefined ? 0 : Math.max(1, rate / 100);
      let credit = burst;
      let since = dev.now();
      const again = dev.timer(() => dev.txWake(0));
      const late: Late[] = [];
      const arrive = dev.timer(() => {
        const now = dev.now();
        while (late.length > 0 && late[0]!.due <= now) {
          const b = dev.gather();
          while (late.length > 0 && late[0]!.due <= now && b.length < 64) {
            const { m, len } = late.shift()!;
            b.put(m, len);
          }
          input(b);
        }
        if (late.length > 0) arrive.set(late[0]!.due - now);
      });
      const received = (b: Batch, i: number): "pass" | "lose" | "taken" => {
        if (lost()) return "lose";
        if (delay === 0) return "pass";
        if (late.length >= limit) return dev.count("netem_lost"), "lose";
        const len = b.len(i);
        late.push({ m: b.take(i), len, due: dev.now() + delay });
        dev.count("netem_late");
        if (late.length === 1) arrive.set(delay);
        return "taken";
      };
      return {
        ...(loss === 0 ? {} : { sent: () => lost() ? "lose" as const : "pass" as const }),
        ...(loss === 0 && delay === 0 ? {} : { received }),
        ...(rate === undefined ? {} : {
          admit(batch: Batch): number {
            const now = dev.now();
            credit = Math.min(burst, credit + (now - since) * rate / 1000);
            since = now;
            const n = Math.min(batch.length, Math.floor(credit));
            credit -= n;
            if (n < batch.length) again.set(Math.max(1, 1000 / rate));
            return n;
          },
        }),
        stop() {
          for (const { m } of late.splice(0)) dev.free(m);
        },
      };
    },
  };
}
