import type { Batch, SoftcOf } from "../../../core/device/mod.ts";
import type { attach } from "./attach.ts";

export function transmit(sc: SoftcOf<typeof attach>, batch: Batch): number {
  sc.seen += batch.length;
  sc.dev.shared.add("sent", sc.rate);
  return batch.freeAll();
}
