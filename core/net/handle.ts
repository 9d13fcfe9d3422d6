/**
 * Handles: an interface's weak name, gencnt and index in one safe integer (rule 4b).
 *
 * Good in JSON, in a message, across processes. It names and never holds: resolve it inside a section, every time.
 *
 * @module
 */
import { SoftcError } from "../error.ts";

/** `gencnt * 2^16 + index`, 47 bits at most. `Ifnet.handle` has it; a move or detach ends it. */
export type Handle = number & { readonly "softc.handle": true };

/**
 * What a handle answers, for people and JSON; no permission to touch anything. `live`: it names an attached
 * interface; `moving`, `moved`: that one is on its way to, or in, another vnet under a new handle; `detached`: that
 * one goes, its slot is not free yet; `gone`: its slot is free; `reused`: its slot is another's; `unknown`: there was
 * no such handle.
 */
export type Resolved = "live" | "moving" | "moved" | "detached" | "gone" | "reused" | "unknown";

/** Indices that a handle can name. */
export const MAX_IFNETS = 1 << 16;
/** A slot whose gencnt came this far is not allocated again. */
export const GENCNT_END = 2 ** 31;

/** Makes a handle. */
export function makeHandle(gencnt: number, index: number): Handle {
  return (gencnt * MAX_IFNETS + index) as Handle;
}

/** The slot that a handle names. */
export function handleIndex(h: Handle): number {
  return h % MAX_IFNETS;
}

/** The gencnt that a handle names. */
export function handleGencnt(h: Handle): number {
  return Math.floor(h / MAX_IFNETS);
}

/**
 * How a handle prints, everywhere: `if#INDEX.gGENCNT`.
 *
 * @example
 * ```ts
 * import { formatHandle, type Handle } from "@softc/softc";
 *
 * console.log(formatHandle((3 * 65536 + 12) as Handle)); // if#12.g3
 * ```
 */
export function formatHandle(h: Handle): string {
  return `if#${handleIndex(h)}.g${handleGencnt(h)}`;
}

/**
 * Reads what {@linkcode formatHandle} wrote.
 *
 * @example
 * ```ts
 * import { parseHandle } from "@softc/softc";
 *
 * console.log(parseHandle("if#12.g3")); // 196620
 * ```
 * @throws {SoftcError} `SOFTC_IF_ARGUMENT` when `text` is none
 */
export function parseHandle(text: string): Handle {
  const m = /^if#(\d{1,5})\.g(\d{1,10})$/.exec(text);
  const index = Number(m?.[1]);
  const gencnt = Number(m?.[2]);
  if (m === null || index >= MAX_IFNETS || gencnt >= GENCNT_END) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot read the handle "${text}"`, {
      wanted: "if#INDEX.gGENCNT",
    });
  }
  return makeHandle(gencnt, index);
}
