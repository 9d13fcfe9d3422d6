/**
 * What `defineDriver` infers. The checker is the test: `is<A, B>()` does not compile unless both are the same.
 */
import { assertEquals, assertThrows } from "@std/assert";
import {
  type Batch,
  defineDriver,
  type Dev,
  type Driver,
  type IfChange,
  type Shared,
  type SoftcOf,
  type StandardSchema,
  struct,
  type VnetName,
} from "../../core/device/mod.ts";
import { formatHandle, ifCloneCreate } from "../../mod.ts";
import { frames, send, withCleanKernel } from "../core/kit.ts";
import { attach } from "./split/attach.ts";
import { options, shared, type SplitOptions } from "./split/options.ts";
import { transmit } from "./split/transmit.ts";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
/** Compiles only when A and B are the same type. */
function is<A, B>(..._: Same<A, B> extends true ? [] : [different: never]): void {}

Deno.test("the softc of an async attach reaches every hook of a homed driver", () => {
  const d = defineDriver({
    name: "homed",
    api: 1,
    async attach(dev) {
      is<typeof dev, Dev<undefined, Record<never, never>>>();
      await Promise.resolve();
      return { seen: 0 };
    },
    set(sc, c) {
      is<typeof sc, { seen: number }>();
      is<typeof c, IfChange>();
    },
    canDetach: (sc) => (is<typeof sc, { seen: number }>(), true),
    canMove(sc, to) {
      is<typeof sc, { seen: number }>();
      is<typeof to, VnetName>();
      return sc.seen === 0 ? true : "busy";
    },
    reassign(sc, to) {
      is<typeof sc, { seen: number }>();
      is<typeof to, VnetName>();
    },
    stop: (sc) => is<typeof sc, { seen: number }>(),
    destroy: (sc) => is<typeof sc, { seen: number }>(),
    transmit(sc, batch, queue) {
      is<typeof sc, { seen: number }>();
      is<typeof batch, Batch>();
      is<typeof queue, number>();
      return batch.freeAll();
    },
  });
  is<typeof d, Driver<undefined>>();
  assertEquals(d.name, "homed");
});

Deno.test("a per-CPU driver: the softc goes to the home hooks, what open makes to transmit and close", () => {
  const d = defineDriver({
    name: "wide",
    api: 1,
    queues: "per-cpu",
    options,
    shared,
    attach(dev) {
      is<typeof dev.options, SplitOptions>();
      is<typeof dev.shared, Shared<(typeof shared)["fields"]>>();
      return { home: true };
    },
    open(dev, own, cpu) {
      is<typeof dev.options, SplitOptions>();
      is<typeof own, Shared<(typeof shared)["fields"]>>();
      is<typeof cpu, number>();
      return { cpu, dev };
    },
    stop: (sc) => is<typeof sc, { home: boolean }>(),
    close: (local) => is<typeof local.cpu, number>(),
    transmit(local, batch) {
      is<typeof local.dev.options, SplitOptions>();
      return batch.freeAll();
    },
  });
  is<typeof d, Driver<SplitOptions>>();
  assertEquals(d.queues, "per-cpu");
});

Deno.test("options and shared fields written in place are typed", () => {
  const d = defineDriver({
    name: "inline",
    api: 1,
    options: {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value: unknown) => ({ value: { rate: Number(value) } }),
      },
    },
    shared: struct({ word: "i32" }),
    attach(dev) {
      is<typeof dev.options, { rate: number }>();
      dev.shared.store("word", 1);
      // @ts-expect-error: no such field
      const none = (): void => dev.shared.store("wrod", 1);
      return { dev, none };
    },
    transmit: (sc, batch) => (sc.dev.shared.add("word", batch.length), batch.freeAll()),
  });
  is<typeof d, Driver<{ rate: number }>>();
});

Deno.test("a driver split over files keeps its types, and runs", async () => {
  const d = defineDriver({ name: "split", api: 1, cloner: "split", options, shared, attach, transmit });
  is<typeof d, Driver<SplitOptions>>();
  is<SoftcOf<typeof attach>["rate"], number>();
  assertEquals(d.shared!.words, 17);
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load(new URL("./split/mod.ts", import.meta.url));
    const [i] = await ifCloneCreate(k.vnet0, "split", { options: { rate: 7 } });
    await i.up();
    send(k.vnet0, i, frames(3));
    assertEquals(i.counters.opackets, 3);
  });
});

Deno.test("what is not a driver does not compile, and is refused at run time", () => {
  const make = (d: () => unknown, code = "SOFTC_DRIVER_"): void => void assertThrows(d, Error, code);
  const part = { name: "x", attach: () => ({}) } as const;
  const none = (_sc: object, b: Batch): number => b.length;
  // @ts-expect-error: no such version of the API
  make(() => defineDriver({ ...part, api: 2, transmit: none }));
  // @ts-expect-error: transmit is missing
  make(() => defineDriver({ ...part, api: 1 }));
  // @ts-expect-error: a per-CPU driver needs open
  make(() => defineDriver({ ...part, api: 1, queues: "per-cpu", transmit: none }));
  // @ts-expect-error: transmit is synchronous
  defineDriver({ ...part, api: 1, transmit: () => Promise.resolve(1) });
  // @ts-expect-error: a softc is an object
  defineDriver({ name: "x", api: 1, attach: () => 5, transmit: none });
  // @ts-expect-error: there is no such hook
  make(() => defineDriver({ ...part, api: 1, transmit: none, dettach() {} }), "SOFTC_OPTION_UNKNOWN");
  // @ts-expect-error: the options are those of the schema
  defineDriver({ ...part, api: 1, options, attach: (dev: Dev<{ speed: string }>) => dev, transmit: none });
});

Deno.test("a schema's types follow it", () => {
  is<typeof options, StandardSchema<SplitOptions>>();
  // @ts-expect-error: different types are told apart, or this file proves nothing
  is<string, number>();
});

Deno.test("a vnet, an interface and a module print alike on every runtime, and are plain data in JSON", async () => {
  await withCleanKernel({}, async ({ k }) => {
    const m = await k.modules.load("softc:null");
    const [i] = await ifCloneCreate(k.vnet0, "null");
    const printed: [object, string][] = [
      [k.vnet0, 'vnet "vnet0" (live)'],
      [i, 'null0 (if#1.g1, attached, vnet "vnet0")'],
      [m, 'module "null" (loaded, 1 in use)'],
    ];
    for (const [x, text] of printed) {
      const node = (x as Record<symbol, () => string>)[Symbol.for("nodejs.util.inspect.custom")]!.call(x);
      assertEquals([String(x), Deno.inspect(x), node], [text, text, text]);
      assertEquals(JSON.parse(JSON.stringify(x)).name, (x as { name: string }).name);
    }
    assertEquals(JSON.parse(JSON.stringify(i)).handle, formatHandle(i.handle));
  });
});
