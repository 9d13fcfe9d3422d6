/**
 * Networks for the tests of the IP stack: vnets joined by epairs, and frames made by hand.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  boot,
  type BootOptions,
  ifCloneCreate,
  type Ifnet,
  ifOutput,
  ifunit,
  ifVmove,
  type Kernel,
  mAlloc,
  type SoftcError,
  type Vnet,
  vnetCreate,
} from "../../mod.ts";
import { assertNoLeaks } from "../helpers/leaks.ts";

/** Boots a kernel with epairs, runs the body, shuts it down: nothing may be left over or unaccounted. */
export async function kernel(o: BootOptions, body: (k: Kernel) => Promise<void>): Promise<void> {
  await assertNoLeaks(async (watch) => {
    const faults: SoftcError[] = [];
    const k = watch(await boot({ ...o, onFault: (e) => faults.push(e) }));
    try {
      await k.modules.load("softc:epair");
      await k.modules.load("softc:loopback");
      await body(k);
    } finally {
      const r = await k.shutdown();
      assertEquals({
        unaccounted: r.unaccounted,
        leaks: r.leaks,
        wedged: r.wedged,
        faults: faults.map(String),
      }, {
        unaccounted: 0,
        leaks: [],
        wedged: [],
        faults: [],
      });
    }
  });
}

let pairs = 0;

/** An epair with one end in each vnet, both UP. */
export async function link(a: Vnet, b: Vnet): Promise<[Ifnet, Ifnet]> {
  const [x, y] = await ifCloneCreate(a, "epair", { name: `p${pairs++}` }) as [Ifnet, Ifnet];
  const z = a === b ? y : (await ifVmove(y, b)).ifnet;
  await x.up();
  await z.up();
  return [x, z];
}

/** Makes vnets. */
export function vnets<N extends string>(k: Kernel, ...names: N[]): Promise<Vnet[]> {
  return Promise.all(names.map((n) => vnetCreate(k.vnet0, n)));
}

/** Sends one frame out of an interface, as bytes. */
export function send(i: Ifnet, frame: Uint8Array): number {
  return i.vnet.section((s) => {
    const b = mAlloc(s, 1, frame.length);
    b.copyFrom(0, frame);
    return ifOutput(s, ifunit(s, i.name)!, b);
  });
}

/** The bytes of an interface's MAC address. */
export function macOf(i: Ifnet): number[] {
  return i.toJSON().mac.split(":").map((x) => parseInt(x, 16));
}

/** What comes in on (or goes out of) an interface, as it is seen by a tap. */
export function watch(
  i: Ifnet,
): { frames: { bytes: Uint8Array; direction: "in" | "out" }[]; close(): Promise<void> } {
  const frames: { bytes: Uint8Array; direction: "in" | "out" }[] = [];
  const tap = i.tap({ onPacket: ({ bytes, direction }) => frames.push({ bytes, direction }) });
  return { frames, close: () => tap.close() };
}

/** Waits until the condition holds, within a deadline. */
export async function until(what: string, condition: () => boolean, ms = 3000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Bytes from hexadecimal digits. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replace(/\s/g, "").match(/../g)!, (h) => parseInt(h, 16));
}

/** What a promise is rejected with. */
export function rejected(p: Promise<unknown>): Promise<{ code?: string } | undefined> {
  return p.then(() => undefined, (e) => e);
}

/** Moves a virtual clock until the promise settles. */
export async function advancing<T>(k: Kernel, p: Promise<T>): Promise<T> {
  let settled = false;
  p.then(() => settled = true, () => settled = true);
  for (let i = 0; i < 200 && !settled; i++) {
    k.advance(100);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return await p;
}
