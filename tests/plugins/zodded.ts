/** Options by zod: every one has a default. @module */
import { z } from "zod";
import { defineDriver } from "../../core/device/mod.ts";

const options = z.strictObject({ buffer: z.number().int().min(576).default(1500) });

export default defineDriver({
  name: "zodded",
  api: 1,
  cloner: "zodded",
  options,
  attach(dev) {
    const { buffer } = dev.options;
    dev.ifnet({ type: "ether", mtu: Math.min(1500, buffer) });
    return { buffer };
  },
  transmit: (_sc, batch) => batch.freeAll(),
});
