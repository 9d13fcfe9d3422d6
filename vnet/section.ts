/** Sections for users: one synchronous function. @module */
import { SoftcError } from "../core/error.ts";
import type { Net } from "../core/net/net.ts";
import type { Section, Sync } from "../core/net/section.ts";
import type { Vnet } from "../core/net/vnet.ts";

/** Runs `fn` in a section of `vnet` (`undefined`: sees all). A promise is refused: a section may not await (X5). */
export function runSection<R>(net: Net, vnet: Vnet | undefined, fn: (s: Section) => Sync<R>): R {
  if (net.cpu.hooks > 0) {
    throw new SoftcError("SOFTC_DEV_REENTRANT", "Cannot open a section from inside a hook");
  }
  if (typeof fn !== "function") {
    throw new SoftcError("SOFTC_EPOCH_ARGUMENT", "Cannot open a section", {
      state: typeof fn,
      wanted: "a function",
    });
  }
  if (net.cpu.stopped) {
    throw new SoftcError("SOFTC_BOOT_DOWN", "Cannot open a section", { state: "down", wanted: "up" });
  }
  const s = net.open(vnet?.id ?? 0, vnet);
  let result: Sync<R>;
  try {
    result = fn(s);
  } finally {
    net.close(s);
  }
  if (typeof (result as { then?: unknown } | undefined)?.then === "function") {
    (result as unknown as Promise<unknown>).then(() => {}, () => {});
    throw new SoftcError("SOFTC_EPOCH_ASYNC", "Cannot keep a section open across an await", {
      state: "the callback returned a promise",
      wanted: "a plain value",
    });
  }
  return result as R;
}
