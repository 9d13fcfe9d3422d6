/**
 * echo: an example of a driver that lives outside softc. Its interface is a wire with one host at the far end,
 * which answers ARP, ping (RFC 792, RFC 4443) and UDP port 7 (RFC 862), up to a number of answers per second.
 *
 * What there is to see:
 * - `queues: "per-cpu"`: `attach` runs once, on the home CPU; `open` gives each CPU a part of its own, and
 *   `transmit` runs on whatever CPU sends.
 * - `shared`: the allowance is one for all CPUs, so it lives in the arena. All else is plain and unshared.
 * - A packet's three ways out of `transmit`: passed on (`ifInput`), dropped (`take` and `free`), or on the
 *   wire (`take` and `txDone`).
 *
 * Load it with `kernel.modules.load(new URL("./echo.ts", import.meta.url))`.
 *
 * @module
 */
import {
  defineDriver,
  type Dev,
  type Driver,
  type Shared,
  type StandardSchema,
  struct,
} from "@softc/softc/driver";
import { answer } from "./answer.ts";

/** Options of an echo interface. */
export interface EchoOptions {
  /** Answers per second, of all CPUs together; 1000 unless told, as Linux limits ICMP. */
  readonly perSecond?: number;
}

const options: StandardSchema<EchoOptions> = {
  "~standard": {
    version: 1,
    vendor: "softc-examples",
    validate(value) {
      const o = (value ?? {}) as EchoOptions;
      const { perSecond = 1000 } = o;
      if (Number.isInteger(perSecond) && perSecond >= 100 && perSecond <= 1e9) return { value: o };
      return { issues: [{ message: `perSecond is ${perSecond}, wanted a whole number from 100 to 1e9` }] };
    },
  },
};

const shared = struct({
  /** Answers that may still be given until the next refill. */
  allowance: "i32",
});
type Fields = (typeof shared)["fields"];

/** Milliseconds between refills. */
const REFILL = 10;

/** One CPU's part. */
interface Local {
  readonly dev: Dev<EchoOptions, Fields>;
  readonly shared: Shared<Fields>;
}

/** How many of `want` answers may be given. Any CPU, at any time. */
function claim(shared: Shared<Fields>, want: number): number {
  const left = shared.add("allowance", -want);
  const granted = Math.max(0, Math.min(want, left));
  if (granted < want) shared.add("allowance", want - granted);
  return granted;
}

/** The driver: cloner `echo`. */
const echo: Driver<EchoOptions> = defineDriver({
  name: "echo",
  api: 1,
  cloner: "echo",
  queues: "per-cpu",
  options,
  shared,
  attach(dev) {
    dev.ifnet({ type: "ether" });
    dev.link(true);
    const share = Math.ceil((dev.options.perSecond ?? 1000) * REFILL / 1000);
    const refill = dev.timer(() => {
      dev.shared.store("allowance", share);
      refill.set(REFILL); // the framework ends it: a closed scope arms nothing
    });
    dev.shared.store("allowance", share);
    refill.set(REFILL);
    return {};
  },
  open: (dev, shared): Local => ({ dev, shared }),
  transmit({ dev, shared }, batch) {
    const n = batch.length;
    let allowed = claim(shared, n);
    let limited = 0;
    for (let i = 0; i < n; i++) {
      if (!answer(batch.bytes(i))) dev.txDone(batch.take(i));
      else if (allowed > 0) allowed--;
      else {
        dev.free(batch.take(i));
        limited++;
      }
    }
    if (allowed > 0) shared.add("allowance", allowed);
    if (limited > 0) dev.count("limited", limited);
    dev.ifInput(batch); // what is left of it: the answers
    return n;
  },
});
export default echo;
