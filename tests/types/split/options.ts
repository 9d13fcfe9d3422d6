import { type StandardSchema, struct } from "../../../core/device/mod.ts";

export interface SplitOptions {
  readonly rate?: number;
}

export const options: StandardSchema<SplitOptions> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => ({ value: (value ?? {}) as SplitOptions }),
  },
};

export const shared = struct({ sent: "i32", perCpu: ["i32", 16] });
