/**
 * A driver for a worker of its own, which it ends in one way or another.
 *
 * @module
 */
import process from "node:process";
import { type Batch, defineDriver, type Dev } from "../../core/device/mod.ts";

/** How it ends, from when it is UP; "none" does not. */
export const VICES = [
  "none",
  "none",
  "throw in transmit",
  "throw in timer",
  "exit",
  "spin",
  "late set",
  "late stop",
] as const;

/** Its options. */
export interface MortalOptions {
  readonly vice: (typeof VICES)[number];
}

const fail = (where: string): never => {
  throw new Error(`planted: ${where}`);
};
const never = (): Promise<never> => new Promise(() => {});

/** Cloner `mortal`. */
const mortal = defineDriver({
  name: "mortal",
  api: 1,
  cloner: "mortal",
  attach(dev: Dev<MortalOptions>) {
    dev.ifnet({ type: "ether" });
    return { dev, vice: dev.options.vice };
  },
  set({ dev, vice }, change): void | Promise<never> {
    if (vice === "late set" && change.mtu !== undefined) return never();
    if (change.up !== true) return;
    if (vice === "throw in timer") dev.timer(() => fail("timer")).set(1);
    else if (vice === "exit") {
      setTimeout(() => typeof close === "function" ? close() : process.exit(3), 1);
    } else if (vice === "spin") {
      dev.timer(() => {
        for (const end = Date.now() + 1500; Date.now() < end;);
      }).set(1);
    }
  },
  transmit({ dev, vice }, batch: Batch) {
    if (vice === "throw in transmit") fail("transmit");
    const b = dev.alloc(batch.length);
    for (let k = 0; k < b.length; k++) b.setLen(k, 60);
    dev.ifInput(b);
    return batch.freeAll();
  },
  stop({ vice }): void | Promise<never> {
    if (vice === "late stop") return never();
  },
});
export default mortal;
