/** Step 4: options and changes. The schema gives `dev.options` its type; `set` may refuse, and nothing changes. */
import { defineDriver, type Driver, type StandardSchema } from "@softc/softc/driver";

/** Options of an interface. */
export interface Step4Options {
  /** Bytes that the device's buffers hold; 1500 unless told. */
  readonly buffer?: number;
}

const options: StandardSchema<Step4Options> = {
  "~standard": {
    version: 1,
    vendor: "guide",
    validate(value) {
      const o = value as Step4Options; // {} when none are given
      const { buffer = 1500 } = o;
      if (Number.isInteger(buffer) && buffer >= 576) return { value: o };
      return { issues: [{ message: `buffer is ${buffer}, wanted a whole number from 576` }] };
    },
  },
};

const driver: Driver<Step4Options> = defineDriver({
  name: "step4",
  api: 1,
  cloner: "step",
  options,
  attach(dev) {
    const { buffer = 1500 } = dev.options;
    dev.ifnet({ type: "ether", mtu: Math.min(1500, buffer) });
    return { buffer };
  },
  async set(sc, change) {
    await Promise.resolve(); // a device is asked here
    if (change.mtu !== undefined && change.mtu > sc.buffer) {
      throw new Error(`no room for ${change.mtu} bytes`);
    }
  },
  transmit: (_sc, batch) => batch.freeAll(),
});
export default driver;
