/** Options that are taken as they are. @module */
import type { StandardSchema } from "../../core/device/mod.ts";

/** A schema that accepts anything. */
export function anyOptions<O>(): StandardSchema<O> {
  return {
    "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: (value ?? {}) as O }) },
  };
}
