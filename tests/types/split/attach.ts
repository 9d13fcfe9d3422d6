import type { Dev } from "../../../core/device/mod.ts";
import type { shared, SplitOptions } from "./options.ts";

export async function attach(dev: Dev<SplitOptions, typeof shared.fields>) {
  await Promise.resolve();
  dev.ifnet({ type: "ether" });
  return { dev, rate: dev.options.rate ?? 10, seen: 0 };
}
